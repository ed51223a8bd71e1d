"""The ledger: where it is, who answers for it, and what it holds."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from otel_llm_cost import config
from otel_llm_cost.cli.doctor.finding import Environ, Finding
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.sinks import living, open_ledger
from otel_llm_cost.sinks.dsn import Embedded, parse

AREA = "ledger"


def look(environ: Environ) -> Iterator[Finding]:
    """One finding: whether the configured ledger can be asked from here."""
    try:
        dsn = config.load(environ=environ).store
        location = parse(dsn)
    except LLMCostError as error:
        yield Finding(AREA, "store", "problem", str(error))
        return
    name = config.redact(dsn)
    collector = None
    if isinstance(location, Embedded) and location.folder:
        collector = living.find(location.folder)
        if collector is None and not location.folder.is_dir():
            yield Finding(AREA, name, "off", "nothing was written there yet", "run `otel-llm-cost collector`")
            return
        if collector is None and importlib.util.find_spec("chdb") is None:
            yield Finding(
                AREA,
                name,
                "off",
                "it cannot be opened without the engine, and an app does not need to",
                "pip install 'otel-llm-cost[embedded]'",
            )
            return
    try:
        with open_ledger(dsn) as ledger:
            (held,) = ledger.query("extent").records()
    except LLMCostError as error:
        yield Finding(AREA, name, "problem", str(error))
        return
    by = f"asked through its collector (process {collector.pid})" if collector else "opened from here"
    details = {key: str(value) if value is not None else None for key, value in held.items()}
    yield Finding(AREA, name, "ok", f"{by}; it holds {held.get('rows', 0)} rows", details=details)
