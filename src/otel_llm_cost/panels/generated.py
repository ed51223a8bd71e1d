"""Which files are generated from panels and rules, and whether the ones on disk are up to date."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.panels import alerting, grafana
from otel_llm_cost.panels.dashboards import DASHBOARDS

FILES: Final[dict[str, Callable[[], str]]] = {
    **{f"generated/{dashboard.name}.json": partial(grafana.text, dashboard) for dashboard in DASHBOARDS},
    "provisioning/alerting/rules.json": alerting.rules_text,
}
"""Path below `dashboards/` → text of the file."""


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
