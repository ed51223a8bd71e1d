"""Which SDKs are counted: each is imported and wrapped in this process, as it would be in an app."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.metadata import entry_points

from otel_llm_cost import wiring
from otel_llm_cost.cli.doctor.finding import Environ, Finding
from otel_llm_cost.instrument import SDKS
from otel_llm_cost.instrument.engine import Status
from otel_llm_cost.pipeline import Pipeline

AREA = "sdks"
DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def look(environ: Environ) -> Iterator[Finding]:
    """Each SDK that we know; and who else traces it."""
    disabled = {name.strip() for name in environ.get(DISABLED, "").split(",")}
    for name in SDKS:
        installed = next(status for status in wiring.status() if status.sdk == name)
        if not installed.version:
            yield Finding(AREA, name, "off", "not installed here")
        elif {"*", f"llm_cost_{name}"} & disabled:
            yield Finding(AREA, name, "off", f"{installed.version}, but {DISABLED} names llm_cost_{name}")
        else:
            yield _finding(_wrapped(name))
            yield from _others(name)


def _wrapped(name: str) -> Status:
    """What becomes of the SDK when it is imported. What we wrap for this, we give back."""
    was_off = next(status for status in wiring.status() if status.sdk == name).state == "off"
    wiring.instrument_sdk(name, pipeline=Pipeline(()))
    try:
        for module in dict.fromkeys((SDKS[name].package, *SDKS[name].modules)):
            importlib.import_module(module)
        return next(status for status in wiring.status() if status.sdk == name)
    finally:
        if was_off:
            wiring.uninstrument_sdk(name)


def _finding(status: Status) -> Finding:
    details = {"version": status.version, "wrapped": list(status.wrapped), "skipped": dict(status.skipped)}
    if status.state != "on":
        why = status.reason or "nothing of it could be wrapped"
        return Finding(
            AREA,
            status.sdk,
            "problem",
            f"not counted: {why}",
            f"pip install -U {SDKS[status.sdk].installs}",
            details,
        )
    places = f"{status.version}, wrapped at {len(status.wrapped)} places"
    if status.skipped:
        missing = ", ".join(status.skipped)
        return Finding(
            AREA, status.sdk, "problem", f"{places}; some calls are not counted: no {missing}", "", details
        )
    return Finding(AREA, status.sdk, "ok", places, details=details)


def _others(name: str) -> Iterator[Finding]:
    for point in entry_points(group="opentelemetry_instrumentor"):
        if name in point.name and not point.value.startswith("otel_llm_cost."):
            yield Finding(
                AREA,
                f"{name} by {point.name}",
                "note",
                f"{point.value.partition(':')[0]} traces it too; the collector counts a call once",
                f"to trace it once, add {point.name} to {DISABLED}",
            )
