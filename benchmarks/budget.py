"""What budgets add to a call: check and settle alone, per store, and a whole call with cost and budgets.

Five budgets match. Thread CPU time in memory and for the whole call; wall time for the shared stores, since
waiting counts there. Redis is measured where redis-server is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from otel_llm_cost import tags, wiring
from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.stores import open_store
from otel_llm_cost.core.cost import ATTO

CALLS = 20_000
BUDGETS = [
    {"name": "company", "limit": "500000 USD"},
    {"name": "team", "match": {"team": "search"}, "limit": "200000 USD"},
    {"name": "feature", "match": {"feature": "rank"}, "per": "customer_id", "limit": "100000 USD"},
    {"name": "model", "match": {"model": "gpt-4o*"}, "limit": "200B tokens", "window": "day"},
    {"name": "calls", "match": {"provider": "openai"}, "limit": "50M calls", "window": "week"},
]
TAGS = {"team": "search", "feature": "rank", "customer_id": "acme"}


def run() -> Iterator[tuple[str, str, str]]:
    """Rows of: what, measured, limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _alone("memory", "memory://", time.thread_time, 3)
        yield _alone("sqlite, leases", f"sqlite://{folder / 'budgets.db'}", time.perf_counter, 10)
        with _redis(folder) as dsn:
            if dsn:
                yield _alone("redis, leases", dsn, time.perf_counter, 10)
        yield _whole_call(folder)


def _alone(name: str, dsn: str, clock: Callable[[], float], limit: int) -> tuple[str, str, str]:
    book = Book(open_store(dsn), read_budgets(BUDGETS))
    now = int(time.time())
    bound, true = Amounts(ATTO // 1000, 2000, 1), Amounts(ATTO // 3000, 900, 1)
    rules, figures = book.rules, []
    for _ in range(7):
        start = clock()
        for _ in range(CALLS):
            facets = rules.facets("openai", "gpt-4o", "shop", "chat", TAGS)
            hold = book.reserve(facets, bound, now)
            assert isinstance(hold, Hold)
            book.settle(hold, true)
        figures.append((clock() - start) / CALLS * 1e6)
    book.close()
    spread = f"{median(figures):.1f} µs ({min(figures):.1f}…{max(figures):.1f})"
    return f"budget check + settle, 5 budgets, {name}", spread, f"≤ {limit} µs"


def _whole_call(folder: Path) -> tuple[str, str, str]:
    from benchmarks.pair import added_us, median_of_rounds
    from benchmarks.rig import MESSAGES, Rig

    file = folder / "otel-llm-cost.yaml"
    file.write_text(json.dumps({"budget_store": f"sqlite://{folder / 'call.db'}", "budgets": BUDGETS}))
    os.environ["OTEL_LLM_COST_CONFIG"] = str(file)
    rig = Rig(metrics=False)
    try:

        def instrumented() -> None:
            rig.instrumented.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=300)

        def plain() -> None:
            rig.plain.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=300)

        with tags(**TAGS):
            middle, least, most = median_of_rounds(lambda: added_us(plain, instrumented))
        assert wiring._book is not None
        assert len(wiring._book._refill.shares) == len(BUDGETS)
    finally:
        rig.close()
        if wiring._book is not None:
            wiring._book.close()
        wiring._book = None
        del os.environ["OTEL_LLM_COST_CONFIG"]
    return (
        "call with cost and 5 budgets, metrics off",
        f"{middle:.0f} µs ({least:.0f}…{most:.0f})",
        "≤ 125 µs",
    )


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        yield ""
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0?socket_timeout=1&socket_connect_timeout=1"
    finally:
        server.kill()
        server.wait()
