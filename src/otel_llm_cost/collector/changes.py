"""Corrections: what a later copy changes of what is booked already (design D7).

A copy that no longer counts is taken back where it was booked, with its own tags; one that counts now is
booked where it was a duplicate. So every sum, by any key, is right again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from otel_llm_cost.collector.copies import Copy, span_number, trace_number
from otel_llm_cost.collector.recognise import Change
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.semconv import from_attributes, to_attributes
from otel_llm_cost.ledger import COLUMNS, INDEX, NAMES, Booking, Row, correction, row
from otel_llm_cost.normalise import Billable

BETTER_COPY = "another copy tells more"
COUNTS_AFTER_ALL = "what covered it adds up several calls"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Ledger(Protocol):
    """The ledger as it is asked for earlier rows."""

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer of a named query: `columns` and `rows`."""


def telling(billable: Billable) -> str:
    """What must be kept of a duplicate to book it later, should it turn out to count."""
    call, source = billable.call, billable.source
    booking = {
        "service": billable.service,
        "trace_id": source.trace_id,
        "span_id": source.span_id,
        "parent_span_id": source.parent_span_id,
        "emitter": source.scope,
        "emitter_version": source.scope_version,
        "signal": "log" if source.is_record else "span",
        "rule": billable.rule,
    }
    attributes = to_attributes(call)
    return json.dumps([attributes, call.started_at, call.ended_at, booking], separators=(",", ":"))


def correct(change: Change, booking: Booking, ledger: Ledger, price: Callable[[Call], Cost]) -> Row | None:
    """The correction that a change of judgement asks for; None when the sums are right without one."""
    reason = COUNTS_AFTER_ALL if change.copy.counts else BETTER_COPY
    booking = booking._replace(reason=reason, duplicate_of=change.duplicate_of)
    if change.copy.counts and change.telling:
        now, booked = _from_telling(change.telling, booking, price)
    else:
        # Rows of this very batch may be there already when it is tried again; they are no part of its past.
        booked = [one for one in _rows_of(change.copy, ledger) if one[INDEX["batch_id"]] != booking.batch_id]
        if not booked:
            return None
        now = booked[0] if change.copy.counts else _taken_back(booked[0], change.duplicate_of)
    return correction(now, booked, booking)


def _from_telling(text: str, booking: Booking, price: Callable[[Call], Cost]) -> tuple[Row, list[Row]]:
    attributes, started_at, ended_at, told = json.loads(text)
    call = from_attributes(attributes, started_at=started_at, ended_at=ended_at)
    as_duplicate = row(call, booking._replace(kind="duplicate", **told))
    call.cost = price(call)
    return row(call, booking._replace(kind="usage", **told)), [as_duplicate]


def _taken_back(booked: Row, duplicate_of: str) -> Row:
    """The row as if it had been booked as a duplicate to begin with."""
    values = list(booked)
    for number, column in enumerate(COLUMNS):
        if column.summed:
            values[number] = column.nothing
    values[INDEX["duplicates"]] = 1
    values[INDEX["duplicate_of"]] = duplicate_of
    return tuple(values)


def _rows_of(copy: Copy, ledger: Ledger) -> list[Row]:
    """Every row of this copy, the first booked one first. A span and a record may share a call id."""
    answer = ledger.query("call_by_id", {"call_id": copy.call_id})
    assert tuple(answer.columns) == NAMES
    return [_as_row(values) for values in answer.rows if _is_of(copy, values)]


def _is_of(copy: Copy, values: tuple[Any, ...]) -> bool:
    if values[INDEX["signal"]] != "span":
        return copy.span == 0 or span_number(
            trace_number(values[INDEX["trace_id"]]), values[INDEX["span_id"]]
        ) in (copy.parent, 0)
    return span_number(trace_number(values[INDEX["trace_id"]]), values[INDEX["span_id"]]) == copy.span


def _as_row(values: tuple[Any, ...]) -> Row:
    """A row as the ledger answers, with times as it takes them."""
    return tuple(_micros(value) if isinstance(value, datetime) else value for value in values)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
