"""Spans and records → the rows of one insert."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from otel_llm_cost import config, pricing
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.ledger import Row
from otel_llm_cost.ledger.book import book
from otel_llm_cost.normalise import Billable, Emitted, Normaliser
from otel_llm_cost.normalise.identity import call_id_of, keys_of
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.sinks.dsn import FORMS, Server, parse

MOST_KEYS = 200_000
"""Keys of calls remembered, for copies of them from this process."""


@dataclass(slots=True)
class Batch:
    """The rows of one insert; the same `batch_id` and row numbers at every try."""

    batch_id: str
    rows: list[Row] = field(default_factory=list)
    passed: int = 0
    rejected: int = 0
    why: str = ""


class Reader:
    """Reads, recognises and prices. Belongs to one thread."""

    def __init__(self, store: str | None) -> None:
        """Raises ConfigError when the store is not a ClickHouse server."""
        settings = config.load(overrides={"store": store})
        location = parse(settings.store)
        if not isinstance(location, Server):
            raise ConfigError(
                "the exporter llm_cost_clickhouse needs a ClickHouse server; set OTEL_LLM_COST_STORE to "
                f"clickhouse://user:password@host:8123/database (a DSN is {FORMS}), or run a collector"
            )
        self.location = location
        self._normaliser = Normaliser(self_hosted=settings.self_hosted)
        self._prices = PriceList.of_settings(settings)
        self._seen: OrderedDict[str, str] = OrderedDict()

    def read(self, emitted: Sequence[Emitted]) -> Batch:
        """The rows of what was emitted, our own first: of copies in one batch, ours counts."""
        batch = Batch(os.urandom(16).hex())
        billables: list[Billable] = []
        for one in emitted:
            try:
                found = self._normaliser.read(one)
            except Exception as error:  # noqa: BLE001 - whatever a stranger's values do, the rest goes on
                batch.rejected += 1
                batch.why = f"{type(error).__name__}: {error}"
                continue
            if isinstance(found, Billable):
                billables.append(found)
            else:
                batch.passed += 1
        billables.sort(key=lambda billable: billable.emitter != "llm_cost")
        booked_at = time.time_ns()
        for number, billable in enumerate(billables):
            try:
                batch.rows.append(self._row(billable, batch.batch_id, number, booked_at))
            except Exception as error:  # noqa: BLE001 - same
                batch.rejected += 1
                batch.why = f"{type(error).__name__}: {error}"
        return batch

    def _row(self, billable: Billable, batch_id: str, number: int, booked_at: int) -> Row:
        call = billable.call
        call.call_id = call_id_of(billable, batch_id, number)
        keys = keys_of(billable, self._normaliser.tables)
        seen = self._seen
        duplicate_of = next((seen[key] for key in keys if key in seen), "")
        for key in keys:
            seen.setdefault(key, duplicate_of or call.call_id)
        while len(seen) > MOST_KEYS:
            seen.popitem(last=False)
        return book(
            billable,
            lambda call: pricing.price(call, self._prices),
            batch_id=batch_id,
            row_no=number,
            booked_at=booked_at,
            dedupe_key=keys[0] if keys else "",
            duplicate_of=duplicate_of,
        )
