"""The dashboards we ship, in the order a reader meets them."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.panel import Dashboard
from otel_llm_cost.panels.spend import SPEND

DASHBOARDS: Final[tuple[Dashboard, ...]] = (SPEND,)
