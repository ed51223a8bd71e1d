"""The one thread that empties the spool into the ledger, and never gives up (design D8)."""

from __future__ import annotations

import logging
import threading
import time

from otel_llm_cost.collector.bookkeeper import Bookkeeper, Prepared
from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.dead_letters import DeadLetters
from otel_llm_cost.collector.refused import LAST_PATIENCE, PATIENCE, Sink, find_refused
from otel_llm_cost.collector.spool import Spool
from otel_llm_cost.core.errors import LLMCostError, StoreError
from otel_llm_cost.ledger import NAMES

log = logging.getLogger("otel_llm_cost.collector")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds between tries while the ledger cannot be reached, doubling."""
TIDY_SECONDS = 60.0


class Writer:
    """Drains a spool into a sink until stopped."""

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        bookkeeper: Bookkeeper,
        counters: Counters,
        *,
        batch_rows: int,
        batch_seconds: float,
        dedupe_days: int,
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._bookkeeper = bookkeeper
        self._counters = counters
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._dedupe_days = dedupe_days
        self._dead_letters = DeadLetters(spool.folder)
        self.exclusive = threading.Lock()
        """Held while a batch is booked; whoever else changes the ledger holds it too."""
        self._prepared: Prepared | None = None
        self._tries = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._drain_by: float | None = None
        self._tidied = time.monotonic()
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
        while self._drain_by is None or time.monotonic() < self._drain_by:
            try:
                self._wait()
                with self.exclusive:
                    found_some = self._book_next()
                self._tidy()
            except LLMCostError as error:
                self._note(str(error))
            except Exception:
                # A fault of ours must not end the thread that everything waits for.
                log.exception("a batch could not be booked; it stays in the spool")
                self._note("a fault of the collector; see its log")
            else:
                pause = FIRST_PAUSE
                self._counters.store_error = ""
                if not found_some and self._stopping.is_set():
                    return
                continue
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            if self._stopping.is_set():
                time.sleep(FIRST_PAUSE)

    def _wait(self) -> None:
        """Until a batch is full, its oldest request is old enough, or there is tidying to do."""
        while not self._stopping.is_set() and self._prepared is None and self._spool.items < self._batch_rows:
            self._wake.clear()
            oldest = self._spool.oldest
            if oldest is None:
                if not self._wake.wait(TIDY_SECONDS):
                    return
                continue
            left = self._batch_seconds - (time.time_ns() - oldest) / 1e9
            if left <= 0:
                return
            self._wake.wait(min(left, self._batch_seconds))

    def _book_next(self) -> bool:
        """Book one batch; whether there was one."""
        tried = self._prepared is not None
        if self._prepared is None:
            claim = self._spool.claim(self._batch_rows)
            if claim is None:
                return False
            self._prepared = self._bookkeeper.prepare(claim, self._spool.read(claim))
        prepared = self._prepared
        batch_id = prepared.claim.batch_id
        if prepared.rows and not tried and not prepared.claim.retried:
            self._sink.write(prepared.rows, query_id=batch_id)
        elif prepared.rows:
            self._write_again(prepared)
        self._spool.finish(prepared.claim, prepared.statements)
        self._prepared, self._tries = None, 0
        self._count(prepared)
        return True

    def _write_again(self, prepared: Prepared) -> None:
        """Insert what an earlier try did not; after some tries, find the rows that the ledger refuses."""
        self._tries += 1
        batch_id = prepared.claim.batch_id
        try:
            self._sink.write_again(batch_id, prepared.rows, query_id=batch_id)
        except StoreError:
            if self._tries < PATIENCE:
                raise
            refused = find_refused(self._sink, batch_id, prepared.rows, self._tries >= LAST_PATIENCE)
            for row, reason in refused:
                self._dead_letters.bury_row(dict(zip(NAMES, row, strict=True)), reason)
                self._counters.rejected += 1
                log.warning("the ledger refuses a row; it is in the dead-letter file: %s", reason)

    def _count(self, prepared: Prepared) -> None:
        counters = self._counters
        counters.inserts += 1
        counters.booked += len(prepared.rows)
        counters.duplicates += prepared.duplicates
        counters.passed += prepared.passed
        counters.unpriced += prepared.unpriced
        counters.corrections += prepared.corrections
        counters.insert_lag_s = (time.time_ns() - prepared.received_at) / 1e9
        for emitted, reason in prepared.rejected:
            counters.rejected += 1
            log.warning("a span or record was not understood and is in the dead-letter file: %s", reason)
            self._dead_letters.bury(emitted, reason)

    def _note(self, sentence: str) -> None:
        self._counters.failed_inserts += 1
        if sentence != self._counters.store_error:
            log.warning("the ledger cannot be written: %s", sentence)
        self._counters.store_error = sentence

    def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied > TIDY_SECONDS:
            self._tidied = now
            self._spool.tidy(self._bookkeeper.recogniser.forget(int(time.time()), self._dedupe_days))
