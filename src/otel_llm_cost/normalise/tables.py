"""The tables that say what emitters mean, read once: names.yaml and emitters.yaml, and a user's additions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from otel_llm_cost.core.errors import ConfigError

PACKED = "tables.json"
"""Packed from the YAML files beside it (`python -m otel_llm_cost.normalise.pack`): an app reads no YAML."""


Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Emitter:
    """One row of emitters.yaml."""

    id: str
    source: str
    scope: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    resource: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    billable: Lists = field(default_factory=dict)
    never: Lists = field(default_factory=dict)
    embeddings: Lists = field(default_factory=dict)
    skip: str = ""
    input_includes_cache: Mapping[str, bool] = field(default_factory=dict)
    output_includes_reasoning: Mapping[str, bool] = field(default_factory=dict)
    fields: Lists = field(default_factory=dict)
    usage: Lists = field(default_factory=dict)
    terms: Lists = field(default_factory=dict)
    tags: Lists = field(default_factory=dict)
    reported_cost: tuple[str, ...] = ()
    unpack: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables, ready for use. Field by field as in names.yaml."""

    emitters: tuple[Emitter, ...]
    fields: Lists
    usage: Lists
    reported_cost: tuple[str, ...]
    terms: Lists
    tags: Lists
    tag_prefixes: tuple[str, ...]
    billable: frozenset[str]
    never: frozenset[str]
    providers: Mapping[str, str]
    hosts: Mapping[str, str]
    host_corrects: frozenset[str]
    events: frozenset[str]
    models: Mapping[str, str]
    unique_response_ids: frozenset[str]
    default_cache_write: Mapping[str, str]

    @classmethod
    def load(cls, additions: Path | None = None) -> Tables:
        """The package's tables; a user's emitters go first, so that they win over ours with the same id."""
        packed = json.loads((files("otel_llm_cost.normalise") / PACKED).read_text(encoding="utf-8"))
        names, emitters = packed["names"], packed["emitters"]["emitters"]
        if additions is not None:
            from otel_llm_cost.marked_yaml import read_mapping  # only who adds tables pays for it

            mine = read_mapping(additions)[0].get("emitters", [])
            ids = {row.get("id") for row in mine}
            emitters = [*mine, *(row for row in emitters if row["id"] not in ids)]
        return cls(
            emitters=tuple(_emitter(row, additions) for row in emitters),
            fields=_lists(names["fields"]),
            usage=_lists(names["usage"]),
            reported_cost=tuple(names["reported_cost"]),
            terms=_lists(names["terms"]),
            tags=_lists(names["tags"]),
            tag_prefixes=tuple(names["tag_prefixes"]),
            billable=frozenset(names["operations"]["billable"]),
            never=frozenset(names["operations"]["never"]),
            providers=names["providers"],
            hosts=names["hosts"],
            host_corrects=frozenset(names["host_corrects"]),
            events=frozenset(names["events"]),
            models=names["models"],
            unique_response_ids=frozenset(names["unique_response_ids"]),
            default_cache_write=names["default_cache_write"],
        )


@functools.cache
def default_tables() -> Tables:
    """The package's own tables."""
    return Tables.load()


def _lists(table: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(names) for key, names in table.items()}


def _emitter(row: Mapping[str, Any], file: Path | None) -> Emitter:
    unknown = set(row) - set(Emitter.__dataclass_fields__)
    if unknown or "id" not in row:
        where = file or "emitters.yaml"
        raise ConfigError(f"{where}: emitter {row.get('id', '?')}: unknown key {', '.join(sorted(unknown))}")
    return Emitter(
        id=row["id"],
        source=row.get("source", ""),
        scope=tuple(row.get("scope", ())),
        has=tuple(row.get("has", ())),
        events=tuple(row.get("events", ())),
        reported_cost=tuple(row.get("reported_cost", ())),
        billable=_lists(row.get("billable", {})),
        never=_lists(row.get("never", {})),
        embeddings=_lists(row.get("embeddings", {})),
        fields=_lists(row.get("fields", {})),
        usage=_lists(row.get("usage", {})),
        terms=_lists(row.get("terms", {})),
        tags=_lists(row.get("tags", {})),
        resource=row.get("resource", {}),
        skip=row.get("skip", ""),
        input_includes_cache=_by_provider(row.get("input_includes_cache", True)),
        output_includes_reasoning=_by_provider(row.get("output_includes_reasoning", True)),
        unpack=row.get("unpack", {}),
        provider=row.get("provider", ""),
        operation=row.get("operation", ""),
    )


def _by_provider(value: bool | Mapping[str, bool]) -> Mapping[str, bool]:
    """`yes` and `no` hold for every provider; a mapping says it by provider, `default` for the rest."""
    return {"default": value} if isinstance(value, bool) else value
