"""Requests → ledger rows: decode ▸ normalise ▸ recognise ▸ price. The same batch gives the same rows."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from otel_llm_cost.collector.changes import Ledger, correct, telling
from otel_llm_cost.collector.decode import Decoder
from otel_llm_cost.collector.recognise import Recogniser, Statement
from otel_llm_cost.collector.spool import Claim, Request
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.ledger import Booking, Row
from otel_llm_cost.ledger.book import book
from otel_llm_cost.normalise import Billable, Emitted, Normaliser, Passed
from otel_llm_cost.normalise.identity import call_id_of

log = logging.getLogger("otel_llm_cost.collector")

Price = Callable[[Call], Cost]


@dataclass(slots=True)
class Prepared:
    """A batch that is ready to insert, and what the transaction that finishes it must write."""

    claim: Claim
    rows: list[Row] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    duplicates: int = 0
    passed: int = 0
    unpriced: int = 0
    corrections: int = 0
    rejected: list[tuple[Emitted, str]] = field(default_factory=list)
    received_at: int = 0


class Bookkeeper:
    """Prepares batches. Use one, from one thread."""

    def __init__(
        self, reader: sqlite3.Connection, normaliser: Normaliser, price: Price, ledger: Ledger
    ) -> None:
        self._decoder = Decoder()
        self._normaliser = normaliser
        self._price = price
        self._ledger = ledger
        self.recogniser = Recogniser(reader, normaliser.tables)

    def prepare(self, claim: Claim, requests: Sequence[Request]) -> Prepared:
        """The rows of a batch. Raises StoreError when an earlier row is needed and the ledger is away."""
        prepared = Prepared(claim)
        if requests:
            prepared.received_at = requests[0].received_at
        booked_at = requests[-1].received_at if requests else 0
        found: list[Billable | Passed] = []
        numbers: list[int] = []
        items = 0
        for number, emitted in enumerate(self._emitted(requests)):
            items = number + 1
            try:
                one = self._normaliser.read(emitted)
            except Exception as error:  # noqa: BLE001 - whatever a stranger's values do, the rest goes on
                prepared.rejected.append((emitted, f"{type(error).__name__}: {error}"))
                continue
            found.append(one)
            if isinstance(one, Billable):
                one.call.call_id = call_id_of(one, claim.batch_id, number)
                numbers.append(number)
            else:
                prepared.passed += 1
        verdict = self.recogniser.decide(found)
        billables = [one for one in found if isinstance(one, Billable)]
        tellings: dict[int, str] = {}
        for billable, number, decision in zip(billables, numbers, verdict.decisions, strict=True):
            try:
                one_row = book(
                    billable,
                    self._price,
                    batch_id=claim.batch_id,
                    row_no=number,
                    booked_at=booked_at,
                    dedupe_key=decision.key,
                    duplicate_of=decision.duplicate_of,
                )
            except Exception as error:  # noqa: BLE001 - same
                prepared.rejected.append((billable.source, f"{type(error).__name__}: {error}"))
                continue
            prepared.rows.append(one_row)
            cost = billable.call.cost
            prepared.duplicates += bool(decision.duplicate_of)
            prepared.unpriced += cost is not None and cost.effective_atto is None
            if decision.duplicate_of and not decision.copy.failed:
                tellings[decision.copy.number] = telling(billable)
        for change in verdict.changes:
            booking = Booking(claim.batch_id, items, booked_at, "correction")
            correction = correct(change, booking, self._ledger, self._price)
            if correction is not None:
                prepared.rows.append(correction)
                prepared.corrections += 1
                items += 1
        prepared.statements = self.recogniser.statements(booked_at // 10**9, tellings)
        return prepared

    def _emitted(self, requests: Sequence[Request]) -> Iterator[Emitted]:
        for request in requests:
            yield from self._decoder.decode(request.signal, request.body, request.received_at)
