"""What to add to the config so that an unpriced call gets a price."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from otel_llm_cost.pricing.keys import KEYS

_WORD = re.compile(r"[a-z0-9_]+")
DEFAULT_KEYS = ("input_mtok", "output_mtok")
MAPPED: tuple[tuple[str, str, str], ...] = (
    ("providers.bedrock.profiles", "bedrock", "profiles"),
    ("providers.azure.deployments", "azure", "deployments"),
)
"""What a reason mentions → the section of `providers:` that answers it."""

GAPS = ("no price", "no published price", "hides its model", "has prices from")
"""What a reason says when data is missing; other reasons are about the usage."""


def snippet(gaps: Iterable[tuple[str, str, str, str]]) -> str:
    """YAML to fill in, for (provider, model, reason, comment) of each gap; empty when there is none."""
    prices: list[str] = []
    maps: list[str] = []
    for provider, model, reason, comment in dict.fromkeys(gaps):
        if not model or not any(words in reason for words in GAPS):
            continue
        section = next((entry for entry in MAPPED if entry[0] in reason and "(or" not in reason), None)
        if section is not None:
            maps += [
                f"  # {comment}",
                f"  {section[1]}:",
                f"    {section[2]}:",
                f"      {json.dumps(model)}: {{model: }}",
            ]
            continue
        keys = [word for word in dict.fromkeys(_WORD.findall(reason)) if word in KEYS] or list(DEFAULT_KEYS)
        mode = re.search(r"`mode: ([\w-]+)`", reason)
        prices += [f"  # {comment}", f"  - provider: {provider}", f"    model: {json.dumps(model)}"]
        prices += [f"    mode: {mode[1]}"] if mode else []
        prices += [f"    {key}: " for key in keys] + ["    source: "]
    lines = (
        ["prices:  # USD; _mtok is for 1,000,000 tokens, _kcount for 1,000, _each for one", *prices]
        if prices
        else []
    )
    lines += ["providers:", *maps] if maps else []
    return "\n".join(lines)
