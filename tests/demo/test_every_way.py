"""Every way to call both SDKs, with random models and quantities: each call costs what the provider bills."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from otel_llm_cost.demo.check import Story, compare
from otel_llm_cost.demo.parties import Collector, run_app
from otel_llm_cost.demo.processes import instrumented
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.demo.run import wait_for_calls
from otel_llm_cost.sinks import open_ledger

WORKLOAD = Path(__file__).parent / "workload.py"
EVERY_WAY_ONCE = 120
"""Three quarters run in threads, in 30 ways; the rest as tasks, in 8."""


@pytest.mark.parametrize(
    ("seed", "calls"), [("few", EVERY_WAY_ONCE), pytest.param("many", 1_000, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(300)
def test_every_way_of_calling_costs_what_is_billed(
    provider: Provider, tmp_path: Path, seed: str, calls: int
) -> None:
    now = datetime.now(timezone.utc)
    period = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    with ExitStack() as ends:
        collector = Collector(tmp_path, None, ends)
        complaint = run_app([*instrumented(WORKLOAD), seed, str(calls)], provider, collector, tmp_path)
        with open_ledger(collector.store) as ledger:
            wait_for_calls(ledger, period, len(provider.requests))
            check = compare(provider.bill, provider.requests, ledger, period, Story())
            ways = ledger.query("spend_by", {**period, "by": ["way"]}).records()
    assert (check.differences, complaint) == ([], "")
    assert check.priced == len(provider.bill) == calls
    assert check.ledger == check.billed > 0
    assert check.refused == len(provider.requests) - calls > 0
    assert len([row for row in ways if row["way"] and row["calls"] >= calls // 40 - 1]) == 38
