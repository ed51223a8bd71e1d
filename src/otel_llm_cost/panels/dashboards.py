"""The dashboards we ship, in the order a reader meets them."""

from __future__ import annotations

from typing import Final

from otel_llm_cost.panels.attribution import ATTRIBUTION
from otel_llm_cost.panels.cache import CACHE
from otel_llm_cost.panels.cuts import CUTS
from otel_llm_cost.panels.models import MODELS
from otel_llm_cost.panels.overview import OVERVIEW
from otel_llm_cost.panels.panel import Dashboard
from otel_llm_cost.panels.quality import QUALITY
from otel_llm_cost.panels.spend import SPEND
from otel_llm_cost.panels.unit_economics import UNIT_ECONOMICS

DASHBOARDS: Final[tuple[Dashboard, ...]] = (
    OVERVIEW,
    SPEND,
    ATTRIBUTION,
    MODELS,
    CACHE,
    UNIT_ECONOMICS,
    CUTS,
    QUALITY,
)
