"""Quantities as providers send them: numbers, numeric text, floats that mean integers, and nonsense."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from otel_llm_cost.core.usage import Quantity

LARGEST = 10**15
"""No single call reports more of anything; a larger number is a fault, not usage."""

CONTRADICTIONS = (" is negative", " is not a ", " exceeds ", " exceed ")
"""How the flags read that say that a usage contradicts itself; a flag without these words only informs."""


def contradicts(flag: str) -> bool:
    """Whether a usage flag says that counts were clamped or dropped, so that the sum is a lower bound."""
    return any(words in flag for words in CONTRADICTIONS)


def quantity(value: Any, name: str, flags: list[str]) -> Quantity | None:
    """A quantity that is not negative, or None where the provider said nothing usable.

    Numeric text parses. Negative clamps to 0, nonsense (not a number, infinite, absurdly large) is dropped;
    both leave a flag that names the field.
    """
    if type(value) is int:  # the common case: no further look
        if 0 <= value <= LARGEST:
            return value
    elif value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        flags.append(f"{name} is not a number")
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        flags.append(f"{name} is not a number")
        return None
    if not number.is_finite() or number > LARGEST:
        flags.append(f"{name} is not a usable number")
        return None
    if number < 0:
        flags.append(f"{name} is negative")
        return 0
    return int(number) if number == number.to_integral_value() else number


def tokens(value: Any, name: str, flags: list[str]) -> int | None:
    """A whole number of tokens; a fraction is rounded down and flagged."""
    number = quantity(value, name, flags)
    if number is None or type(number) is int:
        return number
    flags.append(f"{name} is not a whole number")
    return int(number)


def clamp(part: int, whole: int, name: str, whole_name: str, flags: list[str]) -> int:
    """A part that cannot exceed its whole; when it does, the whole, and a flag."""
    if part > whole:
        flags.append(f"{name} exceeds {whole_name}")
        return whole
    return part
