"""The one thread that empties the spool: decode ▸ normalise ▸ recognise ▸ price ▸ insert ▸ forget."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.dead_letters import DeadLetters
from otel_llm_cost.collector.decode import Decoder
from otel_llm_cost.collector.recognise import Decision, Recogniser, hash_of
from otel_llm_cost.collector.spool import Claim, Request, Spool
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.ledger import Booking, Row, kind_of, row
from otel_llm_cost.normalise import Billable, Normaliser

log = logging.getLogger("otel_llm_cost.collector")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds between tries while the ledger cannot be reached, doubling."""
TIDY_SECONDS = 60.0


class Sink(Protocol):
    """Where rows go; `sinks.clickhouse.ClickHouseSink` is one. Both raise StoreError when it cannot be known
    that all rows arrived."""

    def write(self, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Insert rows of a batch that was never tried."""

    def write_again(self, batch_id: str, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Make sure that an earlier try is over, and insert what it did not."""


class Writer:
    """Drains a spool into a sink until stopped."""

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        *,
        normaliser: Normaliser,
        price: Callable[[Call], Cost],
        counters: Counters,
        batch_rows: int,
        batch_seconds: float,
        dedupe_days: int,
    ) -> None:
        self.spool = spool
        self.sink = sink
        self.price = price
        self.counters = counters
        self.batch_rows = batch_rows
        self.batch_seconds = batch_seconds
        self.dedupe_days = dedupe_days
        self._decoder = Decoder()
        self._normaliser = normaliser
        self._recogniser = Recogniser(spool.db, normaliser.tables)
        self._dead_letters = DeadLetters(spool.folder)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._drain_by: float | None = None
        self._tidied = 0.0
        self._thread = threading.Thread(target=self._run, name="llm-cost-writer", daemon=True)

    def start(self) -> None:
        """Begin to drain."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._wake.set()

    def stop(self, drain_seconds: float) -> None:
        """Drain what is there, for so long at most, and stop. What is left stays in the spool."""
        self._drain_by = time.monotonic() + drain_seconds
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        retry = False
        while not self._is_over():
            try:
                self._wait()
                claim = self.spool.claim(self.batch_rows)
                if claim is None:
                    self._tidy()
                    if self._stopping.is_set():
                        return
                    continue
                self._book(claim._replace(retried=True) if retry else claim)
            except LLMCostError as error:
                retry = True
                self._note(str(error))
            except Exception:
                # A fault of ours must not end the thread that everything waits for.
                retry = True
                log.exception("a batch could not be booked; it stays in the spool")
                self._note("a fault of the collector; see its log")
            else:
                pause, retry = FIRST_PAUSE, False
                self.counters.store_error = ""
                continue
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _is_over(self) -> bool:
        return self._drain_by is not None and time.monotonic() > self._drain_by

    def _wait(self) -> None:
        """Until a batch is full or its oldest request is old enough."""
        while not self._stopping.is_set() and self.spool.items < self.batch_rows:
            oldest = self.spool.oldest
            if oldest is None:
                self._wake.clear()
                if self.spool.oldest is None:
                    self._wake.wait(TIDY_SECONDS)
                    if self.spool.oldest is None:
                        return
                continue
            left = self.batch_seconds - (time.time_ns() - oldest) / 1e9
            if left <= 0:
                return
            self._stopping.wait(min(left, self.batch_seconds))

    def _note(self, sentence: str) -> None:
        self.counters.failed_inserts += 1
        if sentence != self.counters.store_error:
            log.warning("the ledger cannot be written: %s", sentence)
        self.counters.store_error = sentence

    def _book(self, claim: Claim) -> None:
        requests = self.spool.read(claim)
        rows = self._rows(claim, requests)
        if rows and claim.retried:
            self.sink.write_again(claim.batch_id, rows, query_id=claim.batch_id)
        elif rows:
            self.sink.write(rows, query_id=claim.batch_id)
        self.spool.finish(claim, self._recogniser.statements(int(time.time())))
        self.counters.inserts += 1
        self.counters.booked += len(rows)
        if requests:
            self.counters.insert_lag_s = (time.time_ns() - requests[0].received_at) / 1e9

    def _rows(self, claim: Claim, requests: Sequence[Request]) -> list[Row]:
        billables: list[Billable] = []
        numbers: list[int] = []
        number = -1
        for request in requests:
            for emitted in self._decoder.decode(request.signal, request.body, request.received_at):
                number += 1
                try:
                    found = self._normaliser.read(emitted)
                except Exception as error:  # noqa: BLE001 - whatever a stranger's values do, the rest goes on
                    self._reject(emitted, f"{type(error).__name__}: {error}")
                    continue
                if isinstance(found, Billable):
                    found.call.call_id = found.call.call_id or _call_id(found, claim, number)
                    billables.append(found)
                    numbers.append(number)
                else:
                    self.counters.passed += 1
        decisions = self._recogniser.decide(billables)
        booked_at = requests[-1].received_at if requests else 0
        rows: list[Row] = []
        for billable, row_no, decision in zip(billables, numbers, decisions, strict=True):
            try:
                rows.append(self._row(billable, decision, claim.batch_id, row_no, booked_at))
            except Exception as error:  # noqa: BLE001 - same
                self._reject(billable.source, f"{type(error).__name__}: {error}")
        return rows

    def _row(self, billable: Billable, decision: Decision, batch_id: str, row_no: int, booked_at: int) -> Row:
        call, source = billable.call, billable.source
        app_cost = call.cost
        kind = "duplicate" if decision.duplicate_of else kind_of(call)
        call.cost = self.price(call) if kind == "usage" else None
        if kind == "duplicate":
            self.counters.duplicates += 1
        elif call.cost is not None and call.cost.effective_atto is None:
            self.counters.unpriced += 1
        return row(
            call,
            Booking(
                batch_id=batch_id,
                row_no=row_no,
                booked_at=booked_at,
                kind=kind,
                service=billable.service,
                trace_id=source.trace_id,
                span_id=source.span_id,
                parent_span_id=source.parent_span_id,
                session_id=str(source.attributes.get("session.id", "")),
                dedupe_key=decision.key,
                duplicate_of=decision.duplicate_of,
                emitter=source.scope,
                emitter_version=source.scope_version,
                signal="log" if source.is_record else "span",
                rule=billable.rule,
                app_cost=app_cost,
            ),
        )

    def _reject(self, emitted: Any, reason: str) -> None:
        self.counters.rejected += 1
        log.warning("a span or record was not understood and lies in the dead-letter file: %s", reason)
        self._dead_letters.bury(emitted, reason)

    def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied > TIDY_SECONDS:
            self._tidied = now
            self.spool.tidy()
            self._recogniser.forget(int(time.time()) - self.dedupe_days * 86_400)


def _call_id(billable: Billable, claim: Claim, number: int) -> str:
    """A call id for an emitter that gives none: the same for the same span, whenever it comes."""
    source = billable.source
    if source.span_id and not source.is_record:
        return f"{source.trace_id[:16]:0<16}{source.span_id:0<16}"
    return f"{hash_of(f'{claim.batch_id}:{number}') & (2**64 - 1):032x}"
