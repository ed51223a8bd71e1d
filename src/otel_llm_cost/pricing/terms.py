"""Terms of a call → its mode (standard, batch, flex …), and Azure's deployment types in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from otel_llm_cost.pricing.facts import STANDARD

TIERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("", "auto", "default", "standard", "standard_only", "on_demand", "none", "unspecified"), STANDARD
    ),
    "performance": STANDARD,
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",  # OpenAI: "requests for fast return priority"
    "ultrafast": "ultrafast",
    "batch": "batch",
    "scale": "committed",
    "reserved": "provisioned",
}
"""Served service tier → mode; a tier that is not here is its own mode, which then has to have a price."""

PROVIDER_TIERS: Mapping[tuple[str, str], str] = {
    # Anthropic's Priority Tier is committed capacity (docs: service-tiers), not a dearer price.
    ("anthropic", "priority"): "committed",
}

TRAFFIC: Mapping[str, str] = {
    "traffic_type_unspecified": STANDARD,
    "on_demand": STANDARD,
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
    "on_demand_offpeak": "offpeak",
    "provisioned_throughput": "provisioned",
}
"""Vertex AI `trafficType` → mode."""

SPEEDS: Mapping[str, str] = {"": STANDARD, "standard": STANDARD, "fast": "fast"}
"""Anthropic `speed` → mode."""

LATENCIES: Mapping[str, str] = {"": STANDARD, "standard": STANDARD, "optimized": "latency-optimized"}

PROCESSING: Mapping[str, str] = {"": STANDARD, "batch": "batch"}

DEPLOYMENTS: Mapping[str, tuple[str, str]] = {
    "globalstandard": ("global", STANDARD),
    "global": ("global", STANDARD),
    "datazonestandard": ("data_zone", STANDARD),
    "datazone": ("data_zone", STANDARD),
    "standard": ("regional", STANDARD),
    "regional": ("regional", STANDARD),
    "regionalstandard": ("regional", STANDARD),
    "provisionedmanaged": ("regional", "provisioned"),
    "provisioned": ("regional", "provisioned"),
    "ptu": ("regional", "provisioned"),
    "globalprovisionedmanaged": ("global", "provisioned"),
    "datazoneprovisionedmanaged": ("data_zone", "provisioned"),
    "globalbatch": ("global", "batch"),
    "datazonebatch": ("data_zone", "batch"),
    "developertier": ("global", STANDARD),
}
"""Azure deployment type, as ARM spells it, letters only → where it runs, and its mode."""


def deployment(terms: Mapping[str, str]) -> tuple[str, str]:
    """Where an Azure deployment runs and its mode; an unknown type is returned as it came."""
    name = terms.get("deployment_type", "")
    if not name:
        return "", STANDARD
    plain = "".join(letter for letter in name.lower() if letter.isalpha())
    return DEPLOYMENTS.get(plain, (name, STANDARD))


def mode(provider: str, terms: Mapping[str, str]) -> tuple[str, ...]:
    """The modes that the terms name, without `standard`: none, usually one; two have no published price."""
    tier = terms.get("service_tier", "").lower()
    named = [
        PROCESSING.get(terms.get("processing", ""), terms.get("processing", "")),
        PROVIDER_TIERS.get((provider, tier)) or TIERS.get(tier, tier),
        SPEEDS.get(terms.get("speed", ""), terms.get("speed", "")),
        TRAFFIC.get(terms.get("traffic_type", ""), terms.get("traffic_type", "")) or STANDARD,
        LATENCIES.get(terms.get("latency", ""), terms.get("latency", "")),
        deployment(terms)[1],
    ]
    found = dict.fromkeys(name for name in named if name != STANDARD)
    if "batch" in found and provider in ("openai", "azure.ai.openai"):
        return ("batch",)  # a batch result repeats the tier of its request; batch has no tiers
    return tuple(found)
