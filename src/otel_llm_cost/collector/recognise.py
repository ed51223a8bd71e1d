"""Which copies are one call: several emitters, a span and a record, a resend, hours apart (design D2).

What is known of calls lives beside the spool and is written in the transaction that finishes a batch, so that
a batch which is built again decides the same.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from otel_llm_cost.collector.copies import (
    Copy,
    copy_of,
    numbered_keys,
    pack,
    span_number,
    trace_number,
    unpack,
)
from otel_llm_cost.collector.verdicts import judge
from otel_llm_cost.normalise import Billable, Passed, Tables

SCHEMA = """
CREATE TABLE IF NOT EXISTS copies (
    number INTEGER PRIMARY KEY, "group" INTEGER NOT NULL, at INTEGER NOT NULL, copy BLOB NOT NULL,
    telling TEXT);
CREATE INDEX IF NOT EXISTS copies_group ON copies ("group");
CREATE TABLE IF NOT EXISTS keys (key INTEGER PRIMARY KEY, number INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS traces (trace INTEGER PRIMARY KEY, spans BLOB NOT NULL, at INTEGER NOT NULL);
"""
CHUNK = 500
SLICES = 256
_SLICE = 2**64 // SLICES
TRACE_S = 3 * 86_400
"""How long spans of one trace may come one after the other and still be put together."""
_LINK = struct.Struct("<qqq")  # span, parent, number of its copy or 0

_NO_LINK = (0, 0)
_NO_LINKS: dict[int, tuple[int, int]] = {}

Statement = tuple[str, Sequence[Sequence[Any]]]


class Decision(NamedTuple):
    """Whether a copy counts, and the strongest key by which it is known.

    duplicate_of: call id of the copy that does, empty when this one does.
    """

    copy: Copy
    key: str
    duplicate_of: str


class Change(NamedTuple):
    """A copy that was booked before and is now judged otherwise. duplicate_of: as in Decision."""

    copy: Copy
    duplicate_of: str
    telling: str


class Verdict(NamedTuple):
    """What became of a batch: a decision per billable, in order, and what it changed of earlier ones."""

    decisions: list[Decision]
    changes: list[Change]


class Recogniser:
    """Knows the calls of the last weeks."""

    def __init__(self, reader: sqlite3.Connection, tables: Tables) -> None:
        """reader: a connection to a database with SCHEMA, used by one thread only."""
        self._db = reader
        self._tables = tables
        self._slice = 0

    def decide(self, found: Sequence[Billable | Passed]) -> Verdict:
        """Judge the billables of a batch, in the light of everything known. Changes nothing yet."""
        known = _Known(self._db)
        billables = [item for item in found if isinstance(item, Billable)]
        fresh = [copy_of(billable, known.next + index) for index, billable in enumerate(billables)]
        keys = [numbered_keys(billable, self._tables) for billable in billables]
        known.load({number for named in keys for _, number in named if number}, _traces(found, fresh))
        for item in found:
            if isinstance(item, Passed):
                known.link(item)
        for copy, named in zip(fresh, keys, strict=True):
            known.add(copy, [number for _, number in named if number])
        touched = known.judge(fresh)
        self._known = known
        decisions = [
            Decision(copy, named[0][0] if named else "", "" if copy.counts else known.counted(copy))
            for copy, named in zip(fresh, keys, strict=True)
        ]
        changes = [
            Change(copy, "" if copy.counts else known.counted(copy), known.tellings.get(copy.number, ""))
            for copy in sorted(touched, key=lambda copy: copy.number)
        ]
        return Verdict(decisions, changes)

    def statements(self, now_s: int, tellings: dict[int, str]) -> list[Statement]:
        """What the finishing transaction must write. tellings: what is needed to book a duplicate later."""
        return self._known.statements(now_s, tellings)

    def forget(self, now_s: int, days: int) -> list[Statement]:
        """Statements that forget what is too old, in one slice of all: short ones, and never a whole scan.

        Called once a minute, it comes round to every slice within a few hours.
        """
        low = -(2**63) + self._slice * _SLICE
        self._slice = (self._slice + 1) % SLICES
        within = (low, min(low + _SLICE - 1, 2**63 - 1))
        old = now_s - days * 86_400
        apart = max(old, now_s - TRACE_S)
        return [
            ("DELETE FROM keys WHERE key BETWEEN ? AND ? AND at < ?", [(*within, old)]),
            (
                "DELETE FROM traces WHERE trace BETWEEN ? AND ? AND at < ?",
                [(*within, apart)],
            ),
            # Numbers rise with time, so the oldest are at the front.
            (
                "DELETE FROM copies WHERE number <= (SELECT min(number) + 10000 FROM copies) AND at < ?",
                [(old,)],
            ),
        ]


def _traces(found: Iterable[Billable | Passed], fresh: Iterable[Copy]) -> set[int]:
    traces = {copy.trace for copy in fresh}
    traces |= {trace_number(item.source.trace_id) for item in found if isinstance(item, Passed)}
    return traces - {0}


class _Known:
    """The part of what is known that a batch touches, in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        (last,) = db.execute("SELECT coalesce(max(number), 0) FROM copies").fetchone()
        self.next = last + 1
        self.copies: dict[int, Copy] = {}
        self.groups: dict[int, list[Copy]] = {}
        self.traces: dict[int, list[Copy]] = {}
        self.parents: dict[int, int] = {}
        self.tellings: dict[int, str] = {}
        self._links: dict[int, dict[int, tuple[int, int]]] = {}
        self._keys: dict[int, int] = {}
        self._new_keys: dict[int, int] = {}
        self._dirty_traces: set[int] = set()
        self._dirty: dict[int, Copy] = {}

    def load(self, keys: Iterable[int], traces: set[int]) -> None:
        """Everything that hangs together with these keys and traces."""
        self._keys = dict(self._select("SELECT key, number FROM keys WHERE key IN", keys))
        numbers = set(self._keys.values())
        while numbers or traces:
            for trace, blob in self._select("SELECT trace, spans FROM traces WHERE trace IN", traces):
                links = self._links[trace] = {}
                for span, parent, number in _LINK.iter_unpack(blob):
                    links[span] = (parent, number)
                    self.parents[span] = parent
                    if number:
                        numbers.add(number)
            seen_traces = set(self._links) | traces
            numbers -= self.copies.keys()
            groups = {
                group for (group,) in self._select('SELECT "group" FROM copies WHERE number IN', numbers)
            } - self.groups.keys()
            traces = set()
            sql = 'SELECT number, "group", copy, telling FROM copies WHERE "group" IN'
            for number, group, blob, telling in self._select(sql, groups):
                copy = unpack(number, group, blob)
                self._place(copy)
                if telling:
                    self.tellings[copy.number] = telling
                if copy.trace and copy.trace not in seen_traces:
                    traces.add(copy.trace)
            numbers = set()

    def _select(self, sql: str, values: Iterable[int]) -> Iterable[Any]:
        wanted = sorted(values)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            yield from self._db.execute(f"{sql} ({','.join('?' * len(chunk))})", chunk)

    def _place(self, copy: Copy) -> None:
        self.copies[copy.number] = copy
        self.groups.setdefault(copy.group, []).append(copy)
        if copy.trace:
            self.traces.setdefault(copy.trace, []).append(copy)

    def link(self, passed: Passed) -> None:
        """Remember how a span that is no request hangs between others."""
        source = passed.source
        trace = trace_number(source.trace_id)
        if trace and source.span_id and not source.is_record:
            self._link(
                trace, span_number(trace, source.span_id), span_number(trace, source.parent_span_id), 0
            )

    def _link(self, trace: int, span: int, parent: int, number: int) -> None:
        links = self._links.setdefault(trace, {})
        if span not in links or (number and not links[span][1]):
            links[span] = (parent, number)
            self.parents[span] = parent
            self._dirty_traces.add(trace)

    def add(self, copy: Copy, keys: Iterable[int]) -> None:
        """Take a new copy in, with the copies that it shares a key with."""
        self._place(copy)
        self._dirty[copy.number] = copy
        if copy.trace and copy.span:
            _, earlier = self._links.get(copy.trace, _NO_LINKS).get(copy.span, _NO_LINK)
            if earlier in self.copies:  # the same span, sent again
                self._merge(self.copies[earlier].group, copy.group)
            else:
                self._link(copy.trace, copy.span, copy.parent, copy.number)
        for key in keys:
            number = self._keys.get(key)
            other = None if number is None else self.copies.get(number)
            if other is None:
                self._keys[key] = self._new_keys[key] = copy.number
            elif other.group != copy.group:
                self._merge(other.group, copy.group)

    def _merge(self, one: int, other: int) -> None:
        kept, gone = min(one, other), max(one, other)
        for copy in self.groups.pop(gone):
            copy.group = kept
            self.groups[kept].append(copy)
            self._dirty[copy.number] = copy

    def judge(self, fresh: Sequence[Copy]) -> list[Copy]:
        """Set `counts` of every copy that hangs together with the fresh ones; return the earlier ones that
        changed."""
        first_fresh = self.next
        changed: list[Copy] = []
        judged: set[int] = set()
        # A span that came late may be the missing link between copies that came before it.
        linked = [self.traces[trace][0] for trace in sorted(self._dirty_traces) if trace in self.traces]
        for start in (*fresh, *linked):
            if start.number in judged:
                continue
            if len(self.groups[start.group]) == 1 and len(self.traces.get(start.trace, ())) <= 1:
                start.counts = True  # nothing else is known of it: by far the most common case
                continue
            together = self._together(start)
            judged.update(together)
            counting = judge(together.values(), self.parents)
            for copy in together.values():
                counts = copy.number in counting
                if copy.counts != counts:
                    copy.counts = counts
                    self._dirty[copy.number] = copy
                    if copy.number < first_fresh:
                        changed.append(copy)
        return changed

    def _together(self, start: Copy) -> dict[int, Copy]:
        found: dict[int, Copy] = {start.number: start}
        waiting = [start]
        groups: set[int] = set()
        traces: set[int] = set()
        while waiting:
            copy = waiting.pop()
            near: list[Copy] = []
            if copy.group not in groups:
                groups.add(copy.group)
                near += self.groups[copy.group]
            if copy.trace and copy.trace not in traces:
                traces.add(copy.trace)
                near += self.traces[copy.trace]
            for other in near:
                if other.number not in found:
                    found[other.number] = other
                    waiting.append(other)
        return found

    def counted(self, copy: Copy) -> str:
        """Call id of the copy that counts in place of this one, the nearest that can be named."""
        for other in self.groups[copy.group]:
            if other.counts:
                return other.call_id
        span = copy.parent
        for _ in range(1_000):
            if not span:
                break
            for other in self.traces.get(copy.trace, ()):
                if other.span == span and other.counts:
                    return other.call_id
            span = self.parents.get(span, 0)
        below = (other for other in self._together(copy).values() if other.counts)
        return next((other.call_id for other in below), copy.call_id)

    def statements(self, now_s: int, tellings: dict[int, str]) -> list[Statement]:
        """Everything that is new or different."""
        blobs = [
            (trace, b"".join(_LINK.pack(span, *link) for span, link in self._links[trace].items()), now_s)
            for trace in self._dirty_traces
        ]
        copies = [
            (number, copy.group, now_s, pack(copy), tellings.get(number) or self.tellings.get(number))
            for number, copy in self._dirty.items()
        ]
        return [
            ("INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?)", copies),
            (
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?)",
                [(*key, now_s) for key in self._new_keys.items()],
            ),
            ("INSERT OR REPLACE INTO traces VALUES (?, ?, ?)", blobs),
        ]
