"""Reprice: what stored calls are worth at the prices known now, and the corrections that follow (design D7).

Pure. The work is cut into slices that can be done one by one, in any order and again: a slice that is done
finds nothing to correct, so a run that was killed is simply started again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any, Final

from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Quantity, Usage
from otel_llm_cost.ledger.booking import Booking
from otel_llm_cost.ledger.columns import COLUMNS, INDEX, INSTANT
from otel_llm_cost.ledger.correction import NEWEST, OWN, difference
from otel_llm_cost.ledger.entry import Entry
from otel_llm_cost.ledger.row import Row

SLICE_ROWS: Final = 20_000
"""Rows in one slice: what one query reads, one insert writes, and memory holds."""
REASON: Final = "repriced"
HOUR: Final = timedelta(hours=1)

WORTH: Final = (
    *("effective_cost", "contracted_cost", "list_cost", "computed_cost"),
    *("input_cost", "output_cost", "cache_read_cost", "cache_write_cost", "tools_cost"),
    *("estimated_calls", "partial_calls", "unpriced_calls"),
)
"""Summed columns that a price decides."""
PRICED_BY: Final[Mapping[str, str]] = {
    column.name: column.value or column.name
    for column in COLUMNS
    if column.name
    in ("currency", "cost_status", "cost_reason", "price_id", "price_version", "price_source", "components")
}
"""Other columns that tell of the price, and where an `Entry` has each."""
NEEDED: Final = (
    *("call_id", "started_at", "booked_at", "kind", "span_id", "calls"),
    *("provider", "api", "operation", "model", "request_model", "response_model", "server_address"),
    *("deployment", "terms", "usage", "usage_source", "usage_flags", "usage_parts", "reported_cost"),
    *("hinted_cost", "cost_status"),
    *WORTH,
)
"""What must be read of a row to judge its price."""

_worth = attrgetter(*WORTH)
_told = attrgetter(*PRICED_BY.values())
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the work: calls that started in a range and whose id falls into one of several buckets."""

    since: datetime
    until: datetime
    bucket: int = 0
    buckets: int = 1
    rows: int = 0

    def params(self) -> dict[str, Any]:
        """The parameters of the named queries that read it."""
        return {"since": self.since, "until": self.until, "bucket": self.bucket, "buckets": self.buckets}


def plan(
    hours: Iterable[tuple[datetime, int]], since: datetime, until: datetime, most: int = SLICE_ROWS
) -> list[Slice]:
    """Slices of about `most` rows: small hours together, large ones in buckets.

    hours: each hour that has rows, ascending, and how many.
    """
    slices: list[Slice] = []
    for hour, rows in hours:
        start, end = max(hour, since), min(hour + HOUR, until)
        if rows > most:
            buckets = -(-rows // most)
            slices += [Slice(start, end, bucket, buckets, rows // buckets) for bucket in range(buckets)]
        elif slices and slices[-1].buckets == 1 and slices[-1].rows + rows <= most:
            slices[-1] = Slice(slices[-1].since, end, rows=slices[-1].rows + rows)
        else:
            slices.append(Slice(start, end, rows=rows))
    return slices


@dataclass(slots=True)
class Difference:
    """What changes for the calls of one model in one month. Money in USD; unknown costs count as nothing."""

    calls: int = 0
    newly_priced: int = 0
    no_longer_priced: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)

    def __iadd__(self, other: Difference) -> Difference:
        self.calls += other.calls
        self.newly_priced += other.newly_priced
        self.no_longer_priced += other.no_longer_priced
        self.before += other.before
        self.after += other.after
        return self


@dataclass(slots=True)
class Outcome:
    """What slices came to. differences: by (month, provider, model). skipped: ids that calls share."""

    calls: int = 0
    changed: int = 0
    skipped: int = 0
    written: int = 0
    differences: dict[tuple[str, str, str], Difference] = field(default_factory=dict)

    def __iadd__(self, other: Outcome) -> Outcome:
        self.calls += other.calls
        self.changed += other.changed
        self.skipped += other.skipped
        self.written += other.written
        for key, changes in other.differences.items():
            self.differences.setdefault(key, Difference()).__iadd__(changes)
        return self


@dataclass(slots=True)
class Change:
    """A call whose worth is not what was booked.

    base: the row that counts it. latest: the one with the newest facts of it. amounts: by how much each
    column of WORTH differs. booked: how many rows it has.
    """

    base: Sequence[Any]
    latest: Sequence[Any]
    entry: Entry
    amounts: list[Any]
    booked: int


def judge(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], price: Callable[[Call], Cost], outcome: Outcome
) -> Iterator[Change]:
    """Calls that would be booked otherwise today; `outcome` counts all of them on the way.

    rows: of `columns`, ordered by call id and then as they were booked; all rows of a call are among them.
    """
    at = {name: columns.index(name) for name in NEEDED}
    worth_at = [at[name] for name in WORTH]
    worth = itemgetter(*worth_at)
    for group in _calls(rows, at["call_id"]):
        counted = sum(row[at["calls"]] for row in group)
        if counted != 1:
            outcome.skipped += counted > 1
            continue  # taken back, a copy, or an id that is not one call's
        outcome.calls += 1
        base = next(row for row in reversed(group) if row[at["calls"]] > 0)
        latest = next(row for row in reversed(group) if row[at["span_id"]] == base[at["span_id"]])
        call = _call(base, latest, group, at)
        call.cost = price(call)
        entry = Entry(call, Booking("", 0, call.started_at))
        now = _worth(entry)
        if len(group) == 1 and now == worth(base):
            continue
        amounts, changed = [], False
        for place, value in zip(worth_at, now, strict=True):
            if len(group) == 1 and value is not None and value == base[place]:
                amounts.append(0)  # most columns of most calls, and the general way takes 4 µs
                continue
            amount, differs = difference(value, [row[place] for row in group])
            amounts.append(amount)
            changed = changed or differs
        if not changed:
            continue
        outcome.changed += 1
        _count(outcome, base, group, entry, at)
        yield Change(base, latest, entry, amounts, len(group))


def corrections(changes: Iterable[Change], price_version: str, booked_at: int) -> tuple[str, list[Row]]:
    """The correction rows, and the name of their batch: the same for the same changes, whoever makes them.

    changes: judged on rows with every column. booked_at: Unix nanoseconds.
    """
    found = list(changes)
    digest = hashlib.sha256(price_version.encode())
    for change in found:
        # The count of rows tells the same difference at another time, when prices went back and forth, apart.
        digest.update(f"{change.base[CALL_ID]} {change.booked} {change.amounts}".encode())
    batch_id = f"reprice-{digest.hexdigest()[:24]}"
    return batch_id, [
        _correction(change, Booking(batch_id, number, booked_at, "correction", reason=REASON))
        for number, change in enumerate(found)
    ]


def _correction(change: Change, booking: Booking) -> Row:
    """As `ledger.correction` makes it, without looking at what a price cannot change."""
    values = list(change.base)
    for number in _TIMES:
        values[number] = (values[number] - _EPOCH) // _MICROSECOND
    for number, nothing in _UNCHANGED:
        values[number] = None if values[number] is None else nothing
    for number in _FACTS:
        values[number] = change.latest[number]
    for number, value in zip(_TOLD_AT, _told(change.entry), strict=True):
        values[number] = value
    for number, amount in zip(_WORTH_AT, change.amounts, strict=True):
        values[number] = amount
    for name, own in OWN.items():
        values[INDEX[name]] = own(booking)
    return tuple(values)


CALL_ID: Final = INDEX["call_id"]
_WORTH_AT: Final = tuple(INDEX[name] for name in WORTH)
_TOLD_AT: Final = tuple(INDEX[name] for name in PRICED_BY)
_FACTS: Final = tuple(INDEX[name] for name in sorted(NEWEST - PRICED_BY.keys()))
_TIMES: Final = tuple(number for number, column in enumerate(COLUMNS) if column.type == INSTANT)
_UNCHANGED: Final = tuple(
    (number, column.nothing)
    for number, column in enumerate(COLUMNS)
    if column.summed and column.name not in WORTH
)


def _calls(rows: Iterable[Sequence[Any]], at: int) -> Iterator[list[Sequence[Any]]]:
    group: list[Sequence[Any]] = []
    for row in rows:
        if group and group[0][at] != row[at]:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _call(
    base: Sequence[Any], latest: Sequence[Any], group: list[Sequence[Any]], at: Mapping[str, int]
) -> Call:
    """The call as pricing knows it: who and when as booked, what is known of its usage by now."""
    reported = _sum(row[at["reported_cost"]] for row in group)
    hinted = _sum(row[at["hinted_cost"]] for row in group)
    if len(group) > 1:  # copies and what corrects them hold 0 where nothing was told
        hinted = hinted or None
        if not reported and (hinted or latest[at["cost_status"]] != "reported"):
            reported = None
    return Call(
        provider=base[at["provider"]],
        operation=base[at["operation"]],
        request_model=base[at["request_model"]],
        response_model=base[at["response_model"]],
        call_id=base[at["call_id"]],
        api=base[at["api"]],
        server_address=base[at["server_address"]],
        deployment=base[at["deployment"]],
        started_at=(base[at["started_at"]] - _EPOCH) // _MICROSECOND * 1000,
        usage=_usage(group, at["usage"]),
        usage_source=latest[at["usage_source"]],
        usage_flags=tuple(latest[at["usage_flags"]]),
        parts=_parts(latest[at["usage_parts"]]),
        terms=latest[at["terms"]],
        reported_cost="" if reported is None else f"{reported:f}",
        hinted_cost="" if hinted is None else f"{hinted:f}",
    )


def _usage(group: list[Sequence[Any]], at: int) -> Usage:
    if len(group) == 1:
        return Usage({unit: _quantity(amount) for unit, amount in group[0][at].items()})
    total: dict[str, Decimal] = {}
    for row in group:
        for unit, amount in row[at].items():
            total[unit] = total.get(unit, Decimal(0)) + amount
    return Usage({unit: _quantity(max(amount, Decimal(0))) for unit, amount in total.items()})


def _quantity(amount: Decimal) -> Quantity:
    whole = int(amount)
    return whole if whole == amount else amount


def _parts(text: str) -> tuple[Part, ...]:
    if not text:
        return ()
    return tuple(
        Part(model, Usage({unit: _quantity(Decimal(amount)) for unit, amount in units.items()}))
        for model, units in json.loads(text)
    )


def _count(
    outcome: Outcome, base: Sequence[Any], group: list[Sequence[Any]], entry: Entry, at: Mapping[str, int]
) -> None:
    started = base[at["started_at"]]
    key = (f"{started.year:04}-{started.month:02}", base[at["provider"]], base[at["model"]])
    was_unpriced = sum(row[at["unpriced_calls"]] for row in group) > 0
    before = _sum(row[at["effective_cost"]] for row in group)
    outcome.differences.setdefault(key, Difference()).__iadd__(
        Difference(
            calls=1,
            newly_priced=int(was_unpriced and not entry.unpriced_calls),
            no_longer_priced=int(bool(entry.unpriced_calls) and not was_unpriced),
            before=before or Decimal(0),
            after=entry.effective_cost or Decimal(0),
        )
    )


def _sum(values: Iterable[Any]) -> Any:
    """The exact sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return known[0] if known else None
    return -difference(0, known)[0]
