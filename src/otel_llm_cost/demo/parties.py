"""The collector and the app of a demo, as processes: how each is started, and what it is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.demo.processes import Started
from otel_llm_cost.demo.provider import Provider

_START_S = 30.0
_APP_S = 45.0
_NOT_HANDED_ON = ("OTEL_", "OPENAI_", "ANTHROPIC_")
"""Variables of the user's that would make it another demo."""


class Collector:
    """A collector on free ports of this machine, owner of a new ledger in `folder`."""

    def __init__(self, folder: Path, config: Path | None, ends: ExitStack) -> None:
        """Returns when it is ready; `ends` ends it. Raises LLMCostError when it does not start."""
        self.store = f"chdb://{folder}/ledger"
        command = [sys.executable, "-m", "otel_llm_cost.cli", "collector", "--store", self.store]
        command += ["--grpc-port", "0", "--http-port", "0", "--ui-port", "0"]
        command += ["--config", str(config.resolve())] if config is not None else []
        # The engine leaves its scratch folder behind when it is ended while it starts: let it go with ours.
        process = Started("collector", command, environment() | {"TMPDIR": str(folder)}, folder)
        ends.callback(process.end)
        ready = process.line("ready ", _START_S)
        self.pid = process.pid
        self.addresses = dict(pair.split("=", 1) for pair in ready.split()[1:])
        """host:port of `grpc`, `http` and `ui`."""


def run_app(command: Sequence[str], provider: Provider, collector: Collector, folder: Path) -> str:
    """Run an app, its calls going to a provider, its telemetry to a collector.

    Returns its last line on standard error, which should be none. Raises LLMCostError when it fails.
    """
    env = environment() | {
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
        "OPENAI_API_KEY": "demo",
        "ANTHROPIC_API_KEY": "demo",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.addresses['http']}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "support-app",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=demo",
    }
    with ExitStack() as ends:
        app = Started("app", command, env, folder)
        ends.callback(app.end)
        code = app.wait(_APP_S)
        if code is None:
            raise LLMCostError(f"the app did not end within {_APP_S:.0f} s: {app.last_words()}")
        if code:
            raise LLMCostError(f"the app failed (exit code {code}): {app.last_words()}")
        return app.last_words(otherwise="")


def environment() -> dict[str, str]:
    """The user's environment, without settings that would make it another demo, and without a proxy."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, (env.get(name, ""), "127.0.0.1")))
    return env
