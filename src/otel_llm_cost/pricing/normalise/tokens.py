"""Token counts of any provider → disjoint units, from one row of data per shape.

A row says where each count lies and whether it is inside its total. One function does the subtraction, so
that "cached tokens are (not) part of input tokens" is written once per provider and nowhere in code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_llm_cost.core.usage import Quantity, Usage
from otel_llm_cost.pricing.normalise import quick
from otel_llm_cost.pricing.normalise.quantity import LARGEST, clamp, tokens
from otel_llm_cost.pricing.normalise.reading import get

Path = tuple[str, ...]
Paths = tuple[Path, ...]
MODALITIES = ("audio", "image", "video")


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a provider's usage object keeps its counts, and what is inside what.

    source: the page or file that says so. `*_inside`: whether the part is included in the total.
    `writes` maps a cache-write unit to its paths; `writes_total` is a count that no TTL split covers, it
    goes to `write_unit`. `modal` functions give counts by modality for payloads that list them.
    """

    source: str
    input: Paths
    output: Paths = ()
    total: Paths = ()
    cache_read: Paths = ()
    cache_read_inside: bool = True
    writes: Mapping[str, Paths] = ()  # type: ignore[assignment]
    writes_total: Paths = ()
    write_unit: str = "cache_write_5m"
    writes_inside: bool = True
    reasoning: Paths = ()
    reasoning_inside: bool = True
    extra_input: Paths = ()
    input_modal: Callable[[Any, list[str]], dict[str, int]] | None = None
    cached_modal: Callable[[Any, list[str]], dict[str, int]] | None = None
    output_modal: Callable[[Any, list[str]], dict[str, int]] | None = None
    roles: quick.Roles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        writes = ((unit, paths) for unit, paths in dict(self.writes).items())
        rows = (
            ("input", self.input[:1]),
            ("output", self.output[:1]),
            ("total", self.total[:1]),
            ("cache_read", self.cache_read),
            *writes,
            ("writes_total", self.writes_total),
            ("reasoning", self.reasoning),
            (quick.THOROUGH, (*self.input, *self.output)),
        )
        object.__setattr__(self, "roles", quick.roles_of(rows))


def at(paths: Paths, usage: Any, flags: list[str]) -> int | None:
    """The token count at the first path that holds one."""
    for path in paths:
        value = get(usage, *path)
        if type(value) is int and 0 <= value <= LARGEST:  # the common case
            return value
        if value is not None:
            return tokens(value, ".".join(paths[0]), flags)
    return None


def by_path(**paths: Path) -> Callable[[Any, list[str]], dict[str, int]]:
    """Counts by modality that lie under fixed names (`audio_tokens`)."""

    def modal(usage: Any, flags: list[str]) -> dict[str, int]:
        counts = {}
        for modality, path in paths.items():
            if count := at((path,), usage, flags):
                counts[modality] = count
        return counts

    return modal


def read_tokens(usage: Any, shape: Shape, flags: list[str]) -> dict[str, Quantity]:
    """Disjoint token quantities by unit. A side that the payload does not mention stays absent."""
    plain = quick.read(usage, shape.roles)
    if plain is not None and (known := plain_quantities(plain[0], shape)) is not None:
        return known
    quantities: dict[str, Quantity] = {}
    total_in = at(shape.input, usage, flags)
    if total_in is not None:
        _read_input(quantities, total_in, usage, shape, flags)
    total_out = at(shape.output, usage, flags)
    if total_out is not None:
        _read_output(quantities, total_in or 0, total_out, usage, shape, flags)
    return quantities


def plain_quantities(found: dict[str, int], shape: Shape) -> dict[str, Quantity] | None:
    """The common case of `read_tokens`, from counts by role to what `Usage` keeps; else None."""
    rest = found.pop("input", None)
    if rest is None:
        return None
    output = found.pop("output", None)
    found.pop("total", None)
    cached = found.pop("cache_read", 0)
    reasoning = found.pop("reasoning", 0)
    written = found.pop("writes_total", 0)
    quantities: dict[str, Quantity] = {}
    if written or found:
        quantities.update((unit, count) for unit, count in found.items() if count)
        by_ttl = sum(found.values())
        if by_ttl > written:
            return None
        if by_ttl < written:
            quantities[shape.write_unit] = found.get(shape.write_unit, 0) + written - by_ttl
    if shape.cache_read_inside:
        rest -= cached
    if shape.writes_inside:
        rest -= written
    if rest < 0 or (reasoning and (not shape.reasoning_inside or output is None or reasoning > output)):
        return None
    quantities["input_uncached"] = rest
    if cached:
        quantities["cache_read"] = cached
    if output is not None:
        quantities["output"] = output
        if reasoning:
            quantities["reasoning"] = reasoning
    return quantities


def _read_input(
    quantities: dict[str, Quantity], total: int, usage: Any, shape: Shape, flags: list[str]
) -> None:
    total += at(shape.extra_input, usage, flags) or 0
    cached = at(shape.cache_read, usage, flags) or 0
    writes = _writes(usage, shape, flags)
    name = shape.input[0][-1]
    if not shape.cache_read_inside:
        total += cached
    else:
        cached = clamp(cached, total, "cached tokens", name, flags)
    if not shape.writes_inside:
        total += sum(writes.values())
    else:
        room = total - cached
        for unit in writes:
            writes[unit] = clamp(writes[unit], room, "cache-write tokens", f"uncached {name}", flags)
            room -= writes[unit]
    modal = shape.input_modal(usage, flags) if shape.input_modal else {}
    if not modal and not (cached and shape.cached_modal):
        quantities["input_uncached"] = total - cached - sum(writes.values())
        quantities["cache_read"] = cached
    else:
        _split_input(quantities, total, cached, sum(writes.values()), modal, usage, shape, flags)
    quantities.update(writes)


def _writes(usage: Any, shape: Shape, flags: list[str]) -> dict[str, int]:
    """Cache writes by TTL. What the split does not cover of the total has the default TTL."""
    writes = {}
    for unit, paths in dict(shape.writes).items():
        if count := at(paths, usage, flags):
            writes[unit] = count
    total = at(shape.writes_total, usage, flags) or 0
    if rest := total - sum(writes.values()):
        if rest < 0:
            flags.append("cache-write tokens by TTL exceed their total")
        else:
            writes[shape.write_unit] = writes.get(shape.write_unit, 0) + rest
    return writes


def _split_input(
    quantities: dict[str, Quantity],
    total: int,
    cached: int,
    written: int,
    modal: dict[str, int],
    usage: Any,
    shape: Shape,
    flags: list[str],
) -> None:
    """Uncached and cached input by modality. Without a split of the cached part, text was cached first."""
    room = total
    for modality in modal:
        modal[modality] = clamp(modal[modality], room, f"{modality} tokens", shape.input[0][-1], flags)
        room -= modal[modality]
    text = room
    cached_modal = shape.cached_modal(usage, flags) if shape.cached_modal else {}
    spare = cached
    for modality in cached_modal:
        count = clamp(
            cached_modal[modality], min(spare, modal.get(modality, 0)), "cached tokens", modality, flags
        )
        cached_modal[modality] = count
        spare -= count
    cached_text = min(spare, text - min(written, text))
    spare -= cached_text
    for modality, count in modal.items():
        more = min(spare, count - cached_modal.get(modality, 0))
        cached_modal[modality] = cached_modal.get(modality, 0) + more
        spare -= more
    quantities["cache_read"] = cached_text
    uncached_text = text - cached_text - written
    for modality, count in modal.items():
        quantities[f"cache_read_{modality}"] = cached_modal[modality]
        rest = count - cached_modal[modality]
        taken = min(rest, max(0, -uncached_text))  # writes beyond the text were of this modality
        uncached_text += taken
        quantities[f"input_uncached_{modality}"] = rest - taken
    quantities["input_uncached"] = max(0, uncached_text)


def _read_output(
    quantities: dict[str, Quantity], total_in: int, total: int, usage: Any, shape: Shape, flags: list[str]
) -> None:
    reasoning = at(shape.reasoning, usage, flags) or 0
    name = shape.output[0][-1]
    if reasoning and not shape.reasoning_inside:
        grand_total = at(shape.total, usage, flags)
        # The provider's own grand total settles it: some of its APIs include reasoning after all.
        if grand_total is None or grand_total != total_in + total:
            total += reasoning
    if reasoning > total:  # it only informs, so the cost is not in doubt
        flags.append("reasoning_clamped")
        reasoning = total
    modal = shape.output_modal(usage, flags) if shape.output_modal else {}
    text = total
    for modality, count in modal.items():
        count = clamp(count, text, f"{modality} tokens", name, flags)
        quantities[f"output_{modality}"] = count
        text -= count
    quantities["output"] = text
    if reasoning:
        quantities["reasoning"] = reasoning


def usage_of(quantities: Mapping[str, Quantity]) -> Usage:
    """The quantities as Usage, unknown ones left out."""
    return Usage(quantities)
