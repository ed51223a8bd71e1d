"""Usage: what one call consumed, as disjoint quantities by unit."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from decimal import Decimal

from otel_llm_cost.core.units import CACHE_READ_UNITS, CACHE_WRITE_UNITS, INPUT_UNITS, OUTPUT_UNITS, UNIT

Quantity = int | Decimal


class Usage:
    """Immutable quantities by unit (`core.units`), never negative, disjoint.

    A family (input, output) that was reported has its base unit, at least as an explicit zero; other zeros
    are left out. So "reported as nothing" and "not reported" stay apart: see `has_input`, `has_output`.
    """

    __slots__ = ("_quantities",)
    _quantities: dict[str, Quantity]

    def __init__(self, quantities: Mapping[str, Quantity] | None = None, /, **units: Quantity) -> None:
        """Raises ValueError for an unknown unit or a negative quantity, naming both."""
        kept: dict[str, Quantity] = {}
        has_input = has_output = False
        for name, quantity in {**(quantities or {}), **units}.items():
            if name not in UNIT:
                raise ValueError(f"unknown unit {name!r}; the units are listed in core/units.py")
            if quantity < 0:
                raise ValueError(f"{name} is {quantity}; a quantity cannot be negative")
            if name in INPUT_UNITS:
                has_input = True
            elif name in OUTPUT_UNITS or name == "reasoning":
                has_output = True
            if quantity:
                kept[name] = quantity
        if has_input:
            kept.setdefault("input_uncached", 0)
        if has_output:
            kept.setdefault("output", 0)
        self._quantities = kept

    @classmethod
    def trusted(cls, quantities: dict[str, Quantity]) -> Usage:
        """The same from quantities that are known to be as kept: known units, base units, no other zeros."""
        usage = cls.__new__(cls)
        usage._quantities = quantities
        return usage

    def __getitem__(self, unit: str) -> Quantity:
        """The quantity of a unit; 0 when it was not reported."""
        return self._quantities.get(unit, 0)

    def __contains__(self, unit: str) -> bool:
        return unit in self._quantities

    def __bool__(self) -> bool:
        return bool(self._quantities)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._quantities == other._quantities

    def __hash__(self) -> int:
        return hash(frozenset(self._quantities.items()))

    def __repr__(self) -> str:
        return f"Usage({', '.join(f'{unit}={quantity}' for unit, quantity in self._quantities.items())})"

    def __or__(self, later: Usage) -> Usage:
        """This report updated by a later one: each family or fee that it mentions replaces ours."""
        if not later._quantities:
            return self
        replaced: frozenset[str] = frozenset(later._quantities)
        if later.has_input:
            replaced |= INPUT_UNITS
        if later.has_output:
            replaced |= OUTPUT_UNITS | {"reasoning"}
        kept = {unit: quantity for unit, quantity in self._quantities.items() if unit not in replaced}
        return Usage({**kept, **later._quantities})

    def items(self) -> ItemsView[str, Quantity]:
        """Unit and quantity of everything that was reported."""
        return self._quantities.items()

    @property
    def has_input(self) -> bool:
        """Whether the prompt side was reported at all."""
        return "input_uncached" in self._quantities

    @property
    def has_output(self) -> bool:
        """Whether the answer side was reported at all."""
        return "output" in self._quantities

    @property
    def input_tokens(self) -> int:
        """All prompt tokens, cache reads and writes and every modality included."""
        return self._sum(INPUT_UNITS)

    @property
    def output_tokens(self) -> int:
        """All generated tokens, reasoning and every modality included."""
        return self._sum(OUTPUT_UNITS)

    @property
    def cache_read_tokens(self) -> int:
        """The part of the prompt that the provider's cache served."""
        return self._sum(CACHE_READ_UNITS)

    @property
    def cache_write_tokens(self) -> int:
        """The part of the prompt that was written to the provider's cache, whatever its lifetime."""
        return self._sum(CACHE_WRITE_UNITS)

    def _sum(self, units: frozenset[str]) -> int:
        return int(sum(quantity for unit, quantity in self._quantities.items() if unit in units))
