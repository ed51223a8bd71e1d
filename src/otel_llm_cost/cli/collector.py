"""`otel-llm-cost collector`: receive OTLP, price it, keep it in the ledger."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from otel_llm_cost.core.errors import require


@click.command()
@click.option("--store", metavar="DSN", help="Where the ledger is: chdb:///folder or clickhouse://….")
@click.option("--host", metavar="H", help="Address to listen on (default 127.0.0.1).")
@click.option("--grpc-port", type=int, metavar="N", help="OTLP over gRPC (default 4317; 0 picks a free one).")
@click.option("--http-port", type=int, metavar="N", help="OTLP over HTTP (default 4318; 0 picks a free one).")
@click.option("--ui-port", type=int, metavar="N", help="Health, metrics and queries (default 4319).")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings; see docs/settings.md."
)
@click.option("--verbose", is_flag=True, help="Say on standard error what happens.")
def collector(config: Path | None, verbose: bool, **flags: Any) -> None:
    """Receive OTLP from any emitter, price it, keep it in the ledger.

    Prints one line when it is ready to take data. SIGTERM and SIGINT book what was
    acknowledged, then exit 0.
    """
    for module in ("grpc", "uvicorn", "opentelemetry.proto", "clickhouse_connect", "yaml"):
        require(module, "collector")
    from otel_llm_cost.collector.app import Ready, run
    from otel_llm_cost.config import load

    _log_to_stderr(logging.INFO if verbose else logging.WARNING)

    def when_ready(ready: Ready) -> None:
        click.echo(str(ready))
        sys.stdout.flush()

    run(load(config, overrides=flags), when_ready)


def _log_to_stderr(level: int) -> None:
    """Our own log, and of other libraries only errors: some set their loggers' levels themselves."""
    for name, at_least in (("otel_llm_cost", level), (None, logging.ERROR)):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handler.setLevel(at_least)
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(at_least)
    logging.getLogger("otel_llm_cost").propagate = False
