"""The demo's three parties, started, joined and ended: the provider, the collector, the app.

provider (this process) ◄── HTTP ── app (opentelemetry-instrument) ── OTLP ──► collector ──► ledger
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from otel_llm_cost.core.errors import LLMCostError, MissingExtra
from otel_llm_cost.demo.check import Check, Story, compare
from otel_llm_cost.demo.example import locate
from otel_llm_cost.demo.processes import Started, ended_by_signals, instrumented
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.sinks import Ledger, open_ledger

NEEDED = ("openai", "anthropic", "clickhouse_connect", "chdb", "grpc", "uvicorn")
_NEW_LEDGER_S = 30.0
_APP_S = 45.0
_LAST_ROWS_S = 15.0

# What the app does to itself is in the app; this is what the provider does to it.
RETRIED = "gpt-5-nano"
CUT_OFF = "gpt-4.1"
STORY = Story(cut_off="gpt-4.1-2025-04-14", unknown="gpt-next-preview", untagged=1)


@dataclass(frozen=True)
class Finished:
    """A demo that has run: the ledger to report from, over which period, and what the check found."""

    ledger: Ledger
    store: str
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
        store = f"chdb://{folder}/ledger"
        say("starting a provider and a collector on this machine")
        collector = _collector(store, config, folder, keeping)
        say("running the example app under opentelemetry-instrument")
        _run_app(script, provider, _address(collector, "http"), folder)
        until = datetime.now(timezone.utc) + timedelta(hours=1)
        period = {"since": since, "until": until}
        with open_ledger(store) as ledger:
            _wait_for_rows(ledger, period, len(provider.requests))
            check = compare(provider.bill, provider.requests, ledger, period, STORY)
            kept = ""
            if keep:
                keeping.pop_all()
                kept = _how_to_reach(collector, store, folder)
            yield Finished(ledger, store, since, until, check, kept)


def _collector(store: str, config: Path | None, folder: Path, ends: ExitStack) -> Started:
    command = [sys.executable, "-m", "otel_llm_cost.cli", "collector", "--store", store]
    command += ["--grpc-port", "0", "--http-port", "0", "--ui-port", "0"]
    command += ["--config", str(config.resolve())] if config is not None else []
    collector = Started("collector", command, _environment(), folder)
    ends.callback(collector.end)
    collector.line("ready ", _NEW_LEDGER_S)
    return collector


def _address(collector: Started, name: str) -> str:
    ready = collector.line("ready ", 0.1)
    return dict(pair.split("=", 1) for pair in ready.split()[1:])[name]


def _run_app(script: Path, provider: Provider, endpoint: str, folder: Path) -> None:
    env = _environment() | {
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
        "OPENAI_API_KEY": "demo",
        "ANTHROPIC_API_KEY": "demo",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "support-app",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=demo",
    }
    with ExitStack() as ends:
        app = Started("app", instrumented(script), env, folder)
        ends.callback(app.end)
        code = app.wait(_APP_S)
        if code is None:
            raise LLMCostError(f"the example app did not end within {_APP_S:.0f} s: {app.last_words()}")
        if code:
            raise LLMCostError(f"the example app failed (exit code {code}): {app.last_words()}")


def _environment() -> dict[str, str]:
    """The user's environment, without settings that would make it another demo."""
    ours = ("OTEL_", "OPENAI_", "ANTHROPIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, (env.get(name, ""), "127.0.0.1")))
    return env


def _wait_for_rows(ledger: Ledger, period: Mapping[str, datetime], attempts: int) -> None:
    """Until every attempt is booked, or it is clear that one never will be: then the check names it."""
    until = time.monotonic() + _LAST_ROWS_S
    while time.monotonic() < until:
        booked = ledger.query("spend_by", {**period, "by": []}).records()
        if sum(row["calls"] + row["failed_attempts"] for row in booked) >= attempts:
            return
        time.sleep(0.1)


def _how_to_reach(collector: Started, store: str, folder: Path) -> str:
    return (
        f"The collector is still up (process {collector.pid}): OTLP on http://{_address(collector, 'http')}, "
        f"health on http://{_address(collector, 'ui')}/healthz\n"
        f"  ask it   otel-llm-cost report --store {store} --by team,feature\n"
        f"  stop it  kill {collector.pid}\n"
        f"Its ledger stays in {folder} until you remove it."
    )
