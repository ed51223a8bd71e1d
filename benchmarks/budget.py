"""What a budget adds to a call: check and settle with five matching budgets, per store.

Goals: memory at most 3 µs, SQLite and Redis with leases at most 10 µs amortised. Thread CPU time for memory,
wall time for the shared stores, since waiting counts there.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.lease import Store
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.stores import open_store
from otel_llm_cost.core.cost import ATTO

BUDGETS = [
    {"name": "company", "limit": "5000 USD"},
    {"name": "team", "match": {"team": "search"}, "limit": "2000 USD"},
    {"name": "feature", "match": {"feature": "rank"}, "per": "customer_id", "limit": "1000 USD"},
    {"name": "model", "match": {"model": "gpt-4o*"}, "limit": "2B tokens", "window": "day"},
    {"name": "calls", "match": {"provider": "openai"}, "limit": "50M calls", "window": "week"},
]
TAGS = {"team": "search", "feature": "rank", "customer_id": "acme", "environment": "staging"}


def rounds(store: Store, calls: int, clock: Callable[[], float]) -> list[float]:
    """Microseconds per reserve and settle, one figure per round."""
    book = Book(store, read_budgets(BUDGETS))
    now = int(time.time())
    bound, true = Amounts(ATTO // 1000, 2000, 1), Amounts(ATTO // 3000, 900, 1)
    rules, figures = book.rules, []
    for _ in range(7):
        start = clock()
        for _ in range(calls):
            facets = rules.facets("openai", "gpt-4o", "shop", "chat", TAGS)
            hold = book.reserve(facets, bound, now)
            assert isinstance(hold, Hold)
            book.settle(hold, true)
        figures.append((clock() - start) / calls * 1e6)
    book.close()
    return figures


def main() -> None:
    """Print one line per store. A Redis is measured when OTEL_LLM_COST_REDIS names one."""
    with tempfile.TemporaryDirectory() as folder:
        stores = {"memory": "memory://", "sqlite": f"sqlite://{Path(folder) / 'budgets.db'}"}
        if dsn := os.environ.get("OTEL_LLM_COST_REDIS"):
            stores["redis"] = dsn
        for name, dsn in stores.items():
            figures = rounds(
                open_store(dsn), 20_000, time.thread_time if name == "memory" else time.perf_counter
            )
            print(f"budget, 5 matching, {name:7} {median(figures):6.2f} µs (worst round {max(figures):.2f})")


if __name__ == "__main__":
    sys.exit(main())
