"""The common usage object, read in one pass: what every call costs, so what it costs matters.

`tokens.read_tokens` looks for everything a provider might have sent. Here each count that was sent is looked
up once in the same rows; anything that is not plain (an unknown count, a modality, a contradiction, a number
as text) is left to the thorough reader. Both give the same answer, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from otel_llm_cost.pricing.normalise.quantity import LARGEST

THOROUGH = "thorough"
"""Role of names that only the thorough reader weighs."""


class Details(NamedTuple):
    """The roles of the counts in a nested object, by name, and all of them."""

    roles: Mapping[str, str]
    all: frozenset[str]


Roles = Mapping[str, "str | Details"]
"""Name in the usage object → role, or the roles inside a nested object."""


def roles_of(rows: Iterable[tuple[str, Iterable[tuple[str, ...]]]]) -> Roles:
    """Roles by name from pairs of role and paths; paths of more than two steps are not plain."""
    flat: dict[str, str] = {}
    nested: dict[str, dict[str, str]] = {}
    for role, paths in rows:
        for path in paths:
            if len(path) == 1:
                flat.setdefault(path[0], role)
            elif len(path) == 2:
                nested.setdefault(path[0], {}).setdefault(path[1], role)
    details = {name: Details(roles, frozenset(roles.values())) for name, roles in nested.items()}
    return {**details, **flat}


def fields_of(node: Any) -> Mapping[str, Any] | None:
    """What an SDK's object or a dict holds; None for an object with fields that its SDK does not know."""
    if type(node) is dict:
        return node
    return None if getattr(node, "__pydantic_extra__", None) else getattr(node, "__dict__", None)


def read(usage: Any, roles: Roles) -> tuple[dict[str, int], str] | None:
    """Counts by role, and what was sent as compact JSON without zeros of details; None when it is not plain.

    usage: a dict, or an SDK's object, whose None means absent. The JSON is empty where texts were sent too.
    """
    fields = fields_of(usage)
    if fields is None:
        return None
    found: dict[str, int] = {}
    seen: set[str] = set()
    sent: list[str] | None = []
    for name, value in fields.items():
        if value is None:
            continue
        role = roles.get(name)
        kind = type(value)
        if kind is int:
            if role is None and not value:
                continue
            if role.__class__ is not str or role is THOROUGH or role in seen or not 0 <= value <= LARGEST:
                return None
            seen.add(role)
            found[role] = value
            if sent is not None:
                sent.append(f'"{name}":{value}')
            continue
        if kind is str:
            if role is not None:
                return None
            sent = None
            continue
        details = fields_of(value)
        if details is None or role.__class__ is not Details or not role.all.isdisjoint(seen):
            return None
        seen |= role.all
        parts = _read_details(details, role.roles, found)
        if parts is None:
            return None
        if parts and sent is not None:
            sent.append(f'"{name}":{{{",".join(parts)}}}')
    return found, f"{{{','.join(sent)}}}" if sent else ""


def _read_details(
    details: Mapping[str, Any], roles: Mapping[str, str], found: dict[str, int]
) -> list[str] | None:
    parts: list[str] = []
    for part, count in details.items():
        if count:
            role = roles.get(part)
            if role is None or type(count) is not int or not 0 < count <= LARGEST:
                return None
            found[role] = count
            parts.append(f'"{part}":{count}')
        elif count is not None and type(count) is not int:
            return None
    return parts
