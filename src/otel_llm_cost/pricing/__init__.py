"""Usage, a price list and an instant → cost. Pure: no clock, no network, no environment.

    price(call, PriceList.default())

The price data loads at the first look-up, not with this module.
"""

from __future__ import annotations

from otel_llm_cost.pricing.calculate import price
from otel_llm_cost.pricing.price_list import PriceList

__all__ = ["PriceList", "price"]
