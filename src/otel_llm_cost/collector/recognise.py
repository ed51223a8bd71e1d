"""Which copies are one call: several emitters, a span and a record, a resend, hours apart (design D2).

Keys live beside the spool and are written in the transaction that finishes a batch, so that a batch which is
built again decides the same. A key is 64 bits of a hash: among a hundred million keys, the chance that a new
call meets a foreign one is below one in a hundred billion.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from otel_llm_cost.normalise import Billable, Tables

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (key INTEGER PRIMARY KEY, call_id TEXT NOT NULL, at INTEGER NOT NULL);
"""
CHUNK = 500
SHORTEST_UNIQUE = 16
"""Response ids with fewer characters after their prefix are drawn from too small a range to be unique."""


class Decision(NamedTuple):
    """Whether a copy counts. duplicate_of: call id of the one that does, empty when this one does."""

    key: str
    duplicate_of: str


def keys_of(billable: Billable, tables: Tables) -> list[str]:
    """The keys of a copy, strongest first."""
    call, source = billable.call, billable.source
    keys: list[str] = []
    if billable.emitter == "llm_cost":
        keys.append(f"call:{call.call_id}")
    if call.response_id:
        if call.provider in tables.unique_response_ids and _looks_unique(call.response_id):
            keys.append(f"response:{call.response_id}")
        elif source.trace_id:
            keys.append(f"weak:{source.trace_id}:{call.response_id}:{hash_of(repr(call.usage))}")
    if call.request_id:
        keys.append(f"request:{call.provider}:{call.request_id}")
    if source.span_id and not source.is_record:
        keys.append(f"span:{source.trace_id}:{source.span_id}")
    return keys


def _looks_unique(response_id: str) -> bool:
    return len(response_id) - max(response_id.rfind("-"), response_id.rfind("_")) > SHORTEST_UNIQUE


def hash_of(text: str) -> int:
    """64 bits of a hash, as SQLite keeps them: signed."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


class Recogniser:
    """Knows the calls of the last weeks by their keys."""

    def __init__(self, db: sqlite3.Connection, tables: Tables) -> None:
        self._db = db
        self._tables = tables
        db.executescript(SCHEMA)

    def decide(self, billables: Sequence[Billable]) -> list[Decision]:
        """One decision per copy, in order; the first copy of a call counts."""
        named = [keys_of(billable, self._tables) for billable in billables]
        hashed = [[hash_of(key) for key in keys] for keys in named]
        known = self._known({number for numbers in hashed for number in numbers})
        decisions: list[Decision] = []
        for billable, keys, numbers in zip(billables, named, hashed, strict=True):
            found = next((known[number] for number in numbers if number in known), None)
            for number in numbers:
                known.setdefault(number, found or billable.call.call_id)
            decisions.append(Decision(keys[0] if keys else "", found or ""))
        self._fresh = known
        return decisions

    def statements(self, now_s: int) -> list[tuple[str, list[tuple[int, str, int]]]]:
        """What the finishing transaction of the batch must write."""
        rows = [(number, call_id, now_s) for number, call_id in self._fresh.items()]
        return [("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", rows)]

    def forget(self, before_s: int) -> None:
        """Forget keys older than that."""
        self._db.execute("DELETE FROM keys WHERE at < ?", (before_s,))

    def _known(self, numbers: Iterable[int]) -> dict[int, str]:
        wanted = sorted(numbers)
        found: dict[int, str] = {}
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT key, call_id FROM keys WHERE key IN ({marks})"  # noqa: S608 - question marks only
            found.update(self._db.execute(sql, chunk))
        return found
