"""Token totals of any emitter → disjoint usage, by what its totals include (a row of data) and by proof.

Totals that contradict the row prove it wrong: more cached tokens than input means that the input excludes
them. The reverse is never inferred: some emitters write total = input + output while excluding the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otel_llm_cost.core.usage import Quantity, Usage

MODALITIES = ("audio", "image", "video")


@dataclass(frozen=True, slots=True)
class Counted:
    """The usage, the rule that was applied to the totals, and what had to be assumed."""

    usage: Usage
    rule: str
    flags: tuple[str, ...] = ()


def count(
    totals: Mapping[str, int],
    *,
    cache_inside: bool,
    reasoning_inside: bool,
    write_unit: str,
    rule: str,
) -> Counted:
    """Disjoint usage of the totals (keys: `usage` in names.yaml). What was not reported is absent."""
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    read = totals.get("cache_read", 0)
    write = totals.get("cache_write", 0)
    write_5m, write_1h = totals.get("cache_write_5m", 0), totals.get("cache_write_1h", 0)
    write = max(write, write_5m + write_1h)
    input_, output = totals.get("input"), totals.get("output")
    total = totals.get("total")
    if input_ is not None:
        input_ += totals.get("extra_input", 0)
        if cache_inside and read + write > input_:
            cache_inside, rule = False, f"{rule}; cache exceeds input, so it is outside"
        elif cache_inside and read + write and output is not None and total == input_ + output + read + write:
            cache_inside, rule = False, f"{rule}; total shows that cache is outside"
        uncached = input_ - read - write if cache_inside else input_
        for modality in MODALITIES:
            part = min(totals.get(f"input_{modality}", 0), uncached)
            if part:
                quantities[f"input_uncached_{modality}"] = part
                uncached -= part
        quantities["input_uncached"] = uncached
        quantities["cache_read"] = read
    if write:
        if write_1h or write_5m:
            quantities["cache_write_1h"] = write_1h
            quantities["cache_write_5m"] = write - write_1h
        else:
            quantities[write_unit] = write
            flags.append("cache_ttl_assumed")
    if output is not None:
        reasoning = totals.get("reasoning", 0)
        apart = reasoning > output or total == (input_ or 0) + output + reasoning
        if reasoning_inside and reasoning and apart:
            reasoning_inside, rule = False, f"{rule}; total shows that reasoning is outside"
        if not reasoning_inside:
            output += reasoning
        for modality in MODALITIES[:2]:
            part = min(totals.get(f"output_{modality}", 0), output)
            if part:
                quantities[f"output_{modality}"] = part
                output -= part
        quantities["output"] = output
        if reasoning:
            quantities["reasoning"] = reasoning
    return Counted(Usage(quantities), rule, tuple(flags))
