"""The README's table of SDKs is made from the code: `python tests/docs/test_sdk_table.py` writes it anew."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from otel_llm_cost.instrument import SDKS
from otel_llm_cost.instrument.sdk import Sdk

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"(<!-- sdks:start -->\n)(.*?)(<!-- sdks:end -->)", re.DOTALL)
COLUMNS = ("SDK", "versions", "what is counted", "sync", "async", "stream", "retries")
ATTEMPTS = ("_build_request", "_request_once", "_async_request_once")
"""Functions of SDKs that run once per attempt."""


def row(sdk: Sdk) -> tuple[str, ...]:
    """One SDK, as its wrap points and routes say."""
    points = importlib.import_module(sdk.family).points(sdk.package)
    wrapped = []
    for point in points:
        kind, _, name = point.attribute.partition(".")
        function = getattr(getattr(importlib.import_module(point.module), kind), name)
        wrapped.append(inspect.iscoroutinefunction(function))
    apis = dict.fromkeys(route.api for route in sdk.routes.values())
    return (
        f"`{sdk.installs}`",
        f"≥ {sdk.oldest}",
        ", ".join(apis),
        _yes(not all(wrapped)),
        _yes(any(wrapped)),
        _yes(any(route.deltas for route in sdk.routes.values())),
        _yes(any(point.attribute.endswith(ATTEMPTS) for point in points)),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def table() -> str:
    """The table in Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(row, SDKS.values())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def test_the_readme_lists_the_sdks_that_the_code_counts() -> None:
    shown = BLOCK.search(README.read_text(encoding="utf-8"))
    assert shown is not None, "the README has no table of SDKs"
    assert shown[2] == table(), "run python tests/docs/test_sdk_table.py"


if __name__ == "__main__":
    README.write_text(
        BLOCK.sub(lambda found: found[1] + table() + found[3], README.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
