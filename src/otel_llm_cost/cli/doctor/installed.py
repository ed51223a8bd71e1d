"""What is installed: our dependencies, the extras, and what OpenTelemetry starts by."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, entry_points, requires, version

from packaging.requirements import Requirement

from otel_llm_cost.cli.doctor.finding import Environ, Finding

AREA = "installed"
US = "otel-llm-cost"
EXTRAS = {
    "collector": "to run `otel-llm-cost collector`",
    "embedded": "to keep the ledger in a folder (chDB)",
    "estimate": "to count tokens where a provider sends no usage",
    "redis": "to keep budgets in Redis",
}
"""Extra → what it is for."""


def look(_environ: Environ) -> Iterator[Finding]:
    """Our version, each dependency out of range, each extra, and the distro."""
    try:
        yield Finding(
            AREA,
            US,
            "ok",
            f"{version(US)} on Python {platform.python_version()}",
            details={"version": version(US), "python": platform.python_version()},
        )
    except PackageNotFoundError:
        yield Finding(AREA, US, "problem", "the package is not installed", f"pip install {US}")
        return
    needed = [Requirement(text) for text in requires(US) or ()]
    own = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = list(_wrong(own))
    for one, found in wrong:
        yield Finding(
            AREA,
            one.name,
            "problem",
            f"{found or 'not installed'}, needed is {one.specifier}",
            f"pip install '{one}'",
        )
    if not wrong:
        versions = {one.name: version(one.name) for one in own}
        yield Finding(AREA, "dependencies", "ok", f"all {len(own)} are there and in range", details=versions)
    for extra, purpose in EXTRAS.items():
        of_extra = [
            one for one in needed if one not in own and one.marker and one.marker.evaluate({"extra": extra})
        ]
        missing = [one.name for one, _ in _wrong(of_extra)]
        if missing:
            text = f"not installed ({', '.join(missing)}); it is needed {purpose}"
            yield Finding(AREA, f"extra {extra}", "off", text, f"pip install '{US}[{extra}]'")
        else:
            yield Finding(AREA, f"extra {extra}", "ok", "installed")
    yield from _start()


def _wrong(needed: Iterable[Requirement]) -> Iterator[tuple[Requirement, str]]:
    """Requirements that are not met, each with the version that is there or an empty text."""
    for one in needed:
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield one, ""
            continue
        if not one.specifier.contains(found, prereleases=True):
            yield one, found


def _start() -> Iterator[Finding]:
    configurators = [point.value for point in entry_points(group="opentelemetry_configurator")]
    if not configurators:
        yield Finding(
            AREA,
            "opentelemetry-instrument",
            "problem",
            "nothing configures OpenTelemetry at start, so nothing is exported",
            "pip install opentelemetry-distro",
        )
    elif len(configurators) > 1:
        yield Finding(
            AREA,
            "opentelemetry-instrument",
            "note",
            f"several would configure OpenTelemetry, the first found does: {', '.join(configurators)}",
            "choose one with OTEL_PYTHON_CONFIGURATOR and OTEL_PYTHON_DISTRO",
        )
    else:
        yield Finding(AREA, "opentelemetry-instrument", "ok", f"configured by {configurators[0]}")
