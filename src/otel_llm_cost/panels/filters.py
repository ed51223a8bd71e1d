"""What a reader can narrow every panel to. The same list serves Grafana's variables and the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UNTAGGED: Final = "(untagged)"
"""How an empty key is shown, and chosen in a filter."""

CHOSEN_TAG: Final = "<chosen tag>"
"""Stands for the key of the free tag that the reader has chosen; no tag is called so."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice of values. name: of the variable and in addresses. key: as the ledger's queries know it."""

    name: str
    key: str
    title: str


FILTERS: Final[dict[str, Filter]] = {
    each.name: each
    for each in (
        Filter("team", "team", "Team"),
        Filter("feature", "feature", "Feature"),
        Filter("environment", "environment", "Environment"),
        Filter("customer", "customer_id", "Customer"),
        Filter("provider", "provider", "Provider"),
        Filter("model", "model", "Model"),
        Filter("service", "service", "Service"),
        Filter("tag_value", CHOSEN_TAG, "Value of the tag"),
    )
}
