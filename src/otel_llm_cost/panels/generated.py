"""Which files are generated from panels and rules, and whether the ones on disk are up to date."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.panels import alerting, grafana
from otel_llm_cost.panels.dashboards import DASHBOARDS
from otel_llm_cost.panels.rules import RULES

FILES: Final[dict[str, Callable[[], str]]] = {
    **{f"generated/{dashboard.name}.json": partial(grafana.text, dashboard) for dashboard in DASHBOARDS},
    "provisioning/alerting/rules.json": alerting.rules_text,
}
"""Path below `dashboards/` → text of the file."""


def readme_tables() -> dict[str, list[str]]:
    """The generated lines of dashboards/README.md, by the name of their markers."""
    return {
        "dashboards": [
            "| dashboard | question |",
            "|---|---|",
            *(f"| {each.title} | {each.question} |" for each in DASHBOARDS),
        ],
        "rules": [
            "| fires when | severity | looks at |",
            "|---|---|---|",
            *(f"| {each.title} | {each.severity} | {_range(each.range_s)} |" for each in RULES),
        ],
    }


def _range(seconds: int) -> str:
    return f"the last {seconds // 3600} h" if seconds >= 3600 else f"the last {seconds // 60} min"


def differences(folder: Path) -> list[tuple[str, str]]:
    """Files that are missing or differ, and which of the two. Raises StoreError when one cannot be read."""
    found = []
    for name, make in FILES.items():
        path = folder / name
        try:
            is_same = path.read_text("utf-8") == make()
        except FileNotFoundError:
            found.append((name, "missing"))
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} cannot be read ({error}); name another folder with --folder") from None
        else:
            if not is_same:
                found.append((name, "differs from the panels"))
    return found
