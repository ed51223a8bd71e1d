"""The demo's three parties, started, joined and ended: the provider, the collector, the app.

provider (this process) ◄── HTTP ── app (opentelemetry-instrument) ── OTLP ──► collector ──► ledger
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from otel_llm_cost.core.errors import MissingExtra
from otel_llm_cost.demo.check import Check, Story, compare
from otel_llm_cost.demo.example import locate
from otel_llm_cost.demo.parties import Collector, run_app
from otel_llm_cost.demo.processes import ended_by_signals, instrumented
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.sinks import Ledger, open_ledger

NEEDED = ("openai", "anthropic", "clickhouse_connect", "chdb", "grpc", "uvicorn")
_LAST_ROWS_S = 15.0

# What the app does to itself is in the app; this is what the provider does to it.
RETRIED = "gpt-5-nano"
CUT_OFF = "gpt-4.1"
STORY = Story(cut_off=("gpt-4.1-2025-04-14",), unknown=("gpt-next-preview",), untagged=1)


@dataclass(frozen=True)
class Finished:
    """A demo that has run: the ledger to report from, over which period, and what the check found."""

    ledger: Ledger
    since: datetime
    until: datetime
    check: Check
    kept: str
    """How to reach and stop the collector; empty when it was not kept."""


def require_everything() -> None:
    """Raises MissingExtra for the first package of the demo that is not installed; imports none."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, "demo")


@contextmanager
def running(*, keep: bool, config: Path | None, say: Callable[[str], None]) -> Iterator[Finished]:
    """Run the demo; inside the block the ledger can be asked. Afterwards nothing is left, unless kept.

    config: settings for the collector. say: gets a line about each step.
    Raises MissingExtra, or LLMCostError when a part of it fails.
    """
    require_everything()
    script = locate()
    since = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    with ExitStack() as ends:
        ends.enter_context(ended_by_signals())
        folder = Path(tempfile.mkdtemp(prefix="otel-llm-cost-demo-"))
        keeping = ends.enter_context(ExitStack())
        keeping.callback(shutil.rmtree, folder, ignore_errors=True)
        provider = ends.enter_context(Provider())
        provider.script("status=429,retry_after=0.2", model=RETRIED)
        provider.script("chunks=200,delay=0.02", model=CUT_OFF)
        say("starting a provider and a collector on this machine")
        collector = Collector(folder, config, keeping)
        say("running the example app under opentelemetry-instrument")
        complaint = run_app(instrumented(script), provider, collector, folder)
        until = datetime.now(timezone.utc) + timedelta(hours=1)
        period = {"since": since, "until": until}
        with open_ledger(collector.store) as ledger:
            wait_for_calls(ledger, period, len(provider.requests))
            check = compare(provider.bill, provider.requests, ledger, period, STORY)
            if check.differences and complaint:
                check.differences.append(f"the app said: {complaint}")
            yield Finished(ledger, since, until, check, _how_to_reach(collector, folder) if keep else "")
        if keep:
            keeping.pop_all()


def wait_for_calls(ledger: Ledger, period: Mapping[str, datetime], attempts: int) -> None:
    """Until every attempt is booked, or it is clear that one never will be: then the check names it."""
    until = time.monotonic() + _LAST_ROWS_S
    while time.monotonic() < until:
        booked = ledger.query("spend_by", {**period, "by": []}).records()
        if sum(row["calls"] + row["failed_attempts"] for row in booked) >= attempts:
            return
        time.sleep(0.1)


def _how_to_reach(collector: Collector, folder: Path) -> str:
    http, ui = collector.addresses["http"], collector.addresses["ui"]
    return (
        f"The collector is still up (process {collector.pid}): OTLP on http://{http}, health on "
        f"http://{ui}/healthz\n"
        f"  ask it   otel-llm-cost report --store {collector.store} --by team,feature\n"
        f"  stop it  kill {collector.pid}\n"
        f"Its ledger stays in {folder} until you remove it."
    )
