"""The common usage object, read in one pass: what every call costs, so what it costs matters.

`tokens.read_tokens` looks for everything a provider might have sent. Here each count that was sent is looked
up once in the same rows; anything that is not plain (an unknown count, a modality, a contradiction, a number
as text) is left to the thorough reader. Both give the same answer, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm_cost.pricing.normalise.quantity import LARGEST

Roles = Mapping[str, Any]
"""Name in the usage object → role, or for a nested object its names → role."""

THOROUGH = "thorough"
"""Role of names that only the thorough reader weighs."""


def roles_of(rows: Iterable[tuple[str, Iterable[tuple[str, ...]]]]) -> Roles:
    """Roles by name from pairs of role and paths; paths of more than two steps are not plain."""
    roles: dict[str, Any] = {}
    for role, paths in rows:
        for path in paths:
            if len(path) == 1:
                roles.setdefault(path[0], role)
            elif len(path) == 2 and isinstance(inner := roles.setdefault(path[0], {}), dict):
                inner.setdefault(path[1], role)
    return roles


def read(usage: dict[str, Any], roles: Roles) -> dict[str, int] | None:
    """Counts by role; None when the object is not plain."""
    found: dict[str, int] = {}
    for name, value in usage.items():
        kind = type(value)
        if kind is int:
            role = roles.get(name)
            if not value and role is None and name.isidentifier():
                continue
            if type(role) is not str or role is THOROUGH or role in found or not 0 <= value <= LARGEST:
                return None
            found[role] = value
        elif kind is dict:
            inner = roles.get(name)
            for part, count in value.items():
                if count is None:
                    continue
                role = inner.get(part) if type(inner) is dict else None
                if type(count) is not int or not 0 <= count <= LARGEST or role in found:
                    return None
                if role is not None:
                    found[role] = count
                elif count or not part.isidentifier():
                    return None
        elif (value is not None and kind is not str) or (kind is str and name in roles):
            return None
    return found
