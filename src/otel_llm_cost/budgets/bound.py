"""The most that a call can cost, before it is made: prompt bound × dearest rate + output limit × rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.request_size import measure
from otel_llm_cost.core.units import UNIT
from otel_llm_cost.pricing.vector import Rate, Vector, atto

if TYPE_CHECKING:
    from otel_llm_cost.core.call import Call
    from otel_llm_cost.pricing import PriceList

MOST_OUTPUT: tuple[tuple[str, int], ...] = (
    ("gpt-5-chat", 16_384),
    ("gpt-5", 128_000),
    ("gpt-4.1", 32_768),
    ("gpt-4o-audio", 16_384),
    ("gpt-4o", 16_384),
    ("chatgpt-4o", 16_384),
    ("gpt-4-turbo", 4_096),
    ("gpt-4-32k", 32_768),
    ("gpt-4", 8_192),
    ("gpt-3.5-turbo", 4_096),
    ("o1-mini", 65_536),
    ("o1", 100_000),
    ("o3", 100_000),
    ("o4-mini", 100_000),
)
"""Beginning of a model's name → the most tokens it writes, the more specific name first
(https://platform.openai.com/docs/models; from memory, unchecked). Anthropic's requests always carry
`max_tokens`."""

SILENT = frozenset({"embeddings"})
"""Operations without output tokens."""

GUESSED_OUTPUT = 4_096
"""Reserved for the output of a call that has no bound, where calls without one are let through."""

# What a provider may serve and bill above the asked tier, where the request leaves the choice to it.
RAISED_TIERS: dict[str, tuple[str, ...]] = {"openai": ("priority",)}
"""https://platform.openai.com/docs/guides/priority-processing: `auto` follows the project's setting
(from memory, unchecked)."""


class Tariff(NamedTuple):
    """Prices above `threshold` prompt tokens: atto-dollars per token as fractions, and a fee per call."""

    threshold: int
    input: tuple[int, int]
    output: tuple[int, int]
    fee: int


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a call can need, or why that is not known.

    amounts: to reserve; a guess where gaps is not empty. input, output: tokens. choices: `n`.
    """

    amounts: Amounts
    gaps: tuple[str, ...]
    input: int
    output: int
    choices: int
    tariffs: tuple[Tariff, ...]

    def with_input(self, tokens: int) -> Bound:
        """The same with an exact count of the prompt, where that is less."""
        return self if tokens >= self.input else self._with(tokens, self.output)

    def with_output(self, tokens: int) -> Bound:
        """The same with a lower limit of the output."""
        return self if tokens >= self.output else self._with(self.input, tokens)

    def _with(self, tokens_in: int, tokens_out: int) -> Bound:
        amounts = _amounts(tokens_in, tokens_out * self.choices, self.tariffs)
        return replace(self, input=tokens_in, output=tokens_out, amounts=amounts)

    def output_that_fits(self, room: Amounts) -> int:
        """The highest output limit whose bound fits into `room`; below 1 when not even the prompt does."""
        most = room.tokens - self.input
        for threshold, (top, bottom), (top_out, bottom_out), fee in self.tariffs:
            if self.input > threshold and top_out:
                left = room.usd - fee - atto(self.input, top, bottom) - ROUNDING
                most = min(most, left * bottom_out // top_out)
        return min(self.output, most // self.choices)


ROUNDING = 2
"""Atto-dollars that rounding each line may add."""


class Bounds:
    """Bounds calls at the prices of one list; remembers the tariffs of the models it has seen."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._tariffs: dict[tuple[Any, ...], tuple[int, int, tuple[Tariff, ...], str]] = {}

    def bound(
        self, call: Call, body: Mapping[str, Any], terms: Mapping[str, str], usual_output: int | None = None
    ) -> Bound:
        """The bound of a call that is about to be made.

        terms: what of the request decides the price. usual_output: a high percentile of what such calls
        wrote, to reserve instead of the model's maximum where there is no limit; no guarantee then.
        """
        size = measure(body)
        gaps = list(size.gaps)
        choices = _choices(body)
        output = 0 if call.operation in SILENT else _output(call, body, usual_output, gaps)
        if "audio" in (body.get("modalities") or ()):
            gaps.append("audio in the answer")
        tariffs, unpriced = self._look_up(call, terms, size.caches)
        if unpriced:
            gaps.append(unpriced)
        amounts = _amounts(size.tokens, output * choices, tariffs)
        return Bound(amounts, tuple(gaps), size.tokens, output, choices, tariffs)

    def _look_up(self, call: Call, terms: Mapping[str, str], caches: bool) -> tuple[tuple[Tariff, ...], str]:
        key = (call.provider, call.request_model, call.server_address, caches, *terms.items())
        known = self._tariffs.get(key)
        if known is None or not known[0] <= call.started_at < known[1]:
            if len(self._tariffs) >= MOST_TARIFFS:
                self._tariffs.clear()
            vectors = _vectors(call, terms, self._prices)
            known = self._tariffs[key] = (
                max(vector.valid_from for vector in vectors),
                min(vector.valid_until for vector in vectors),
                tuple(tariff for vector in vectors for tariff in _read(vector, caches)),
                vectors[0].unpriced,
            )
        return known[2:]


MOST_TARIFFS = 1_000


def _amounts(tokens_in: int, tokens_out: int, tariffs: Iterable[Tariff]) -> Amounts:
    usd = 0
    for threshold, (top, bottom), (top_out, bottom_out), fee in tariffs:
        if tokens_in > threshold:
            if bottom == bottom_out == 1:
                cost = tokens_in * top + tokens_out * top_out + fee + ROUNDING
            else:
                cost = atto(tokens_in, top, bottom) + atto(tokens_out, top_out, bottom_out) + fee + ROUNDING
            if cost > usd:
                usd = cost
    return Amounts(usd, tokens_in + tokens_out, 1)


def _choices(body: Mapping[str, Any]) -> int:
    counts = [body[name] for name in ("n", "best_of") if isinstance(body.get(name), int)]
    return max(1, *counts) if counts else 1


def _output(call: Call, body: Mapping[str, Any], usual: int | None, gaps: list[str]) -> int:
    prediction = measure({"prediction": body["prediction"]}).tokens if body.get("prediction") else 0
    if call.max_tokens is not None:
        # Rejected predicted tokens are billed beside the limit, and interleaved thinking may pass it.
        thinking = body.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
        extra = budget if isinstance(budget, int) and budget > call.max_tokens else 0
        return call.max_tokens + extra + prediction
    if usual is not None:
        return usual
    model = call.request_model.removeprefix("openai/")
    for beginning, most in MOST_OUTPUT:
        if model.startswith(beginning):
            return most + prediction
    gaps.append(f"no output limit, and the most that {call.request_model or 'the model'} writes is not known")
    return GUESSED_OUTPUT


def _vectors(call: Call, terms: Mapping[str, str], prices: PriceList) -> list[Vector]:
    before = call.terms
    try:
        call.terms = terms
        vectors = [prices.vector(call)]
        if terms.get("service_tier", "auto") == "auto":
            for tier in RAISED_TIERS.get(call.provider, ()):
                call.terms = {**terms, "service_tier": tier}
                raised = prices.vector(call)
                if not raised.unpriced:
                    vectors.append(raised)
    finally:
        call.terms = before
    return vectors


def _read(vector: Vector, caches: bool) -> Iterable[Tariff]:
    """The dearest input and output rate of every tier."""
    for threshold, table in ((-1, vector.base), *vector.tiers):
        inputs = [rate for unit, rate in table.items() if _is_prompt(unit, caches)]
        outputs = [rate for unit, rate in table.items() if _is_text(unit, "output")]
        fee = atto(1, *table["requests"][:2]) if vector.per_request and "requests" in table else 0
        if inputs:
            yield Tariff(threshold, _dearest(inputs), _dearest(outputs), fee)


def _is_text(unit: str, family: str) -> bool:
    return UNIT[unit].family == family and UNIT[unit].modality == "text"


def _is_prompt(unit: str, caches: bool) -> bool:
    """Whether text of a prompt may be billed as this; some cache writes only where the request asks."""
    return _is_text(unit, "input") and (caches or unit not in ("cache_write_5m", "cache_write_1h"))


def _dearest(rates: list[Rate]) -> tuple[int, int]:
    return max(
        ((rate.numerator, rate.denominator) for rate in rates),
        key=lambda pair: pair[0] / pair[1],
        default=(0, 1),
    )
