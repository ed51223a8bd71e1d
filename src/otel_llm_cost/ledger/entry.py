"""What a row is made from: a call, its booking, and every value that is not simply copied from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import Component, Cost, from_text, to_decimal, to_text
from otel_llm_cost.core.semconv import COST_GROUPS, WELL_KNOWN_TAGS
from otel_llm_cost.core.units import CACHE_READ_UNITS, CACHE_WRITE_UNITS, INPUT_UNITS, OUTPUT_UNITS
from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.ledger.booking import Booking

NOTHING: Final = Decimal(0)
NOT_PRICED: Final = Cost("unpriced", reason="not priced")
NOT_SERVED: Final = Cost("unpriced")

EARLIEST_NS: Final = 1_577_836_800 * 10**9
"""2020-01-01: before the first LLM API was sold."""
AHEAD_NS: Final = 24 * 3600 * 10**9
"""So far an emitter's clock may be ahead of ours."""
CLOCK_FLAG: Final = "start_time_not_plausible"
"""In `usage_flags` of a row whose emitter's clock cannot be right; the row stands at its booking time, so
that one bad clock neither hides spend outside of every report nor makes a partition per month since 1970."""


MOST_DIGITS: Final = 18
"""Before the point of a dollar amount that may be meant; what has more is noise, and fits no column."""


class Entry:
    """A call on its way into the ledger. Every attribute is the value of the column of that name."""

    __slots__ = (
        "booking",
        "cache_read_cost",
        "cache_read_tokens",
        "cache_write_cost",
        "cache_write_tokens",
        "call",
        "calls",
        "cost",
        "customer_id",
        "effective_cost",
        "environment",
        "estimated_calls",
        "feature",
        "input_cost",
        "input_tokens",
        "output_cost",
        "output_tokens",
        "partial_calls",
        "started_at",
        "status",
        "tags",
        "team",
        "tools_cost",
        "unpriced_calls",
        "usage",
        "usage_flags",
    )
    charge_category = "Usage"
    charge_class = ""

    def __init__(self, call: Call, booking: Booking) -> None:
        self.call = call
        self.booking = booking
        self._set_tags(call.tags)
        self._set_usage()
        self._set_cost()
        started_at = call.started_at
        if not EARLIEST_NS <= started_at <= booking.booked_at + AHEAD_NS:
            started_at = booking.booked_at
            self.usage_flags = (*call.usage_flags, CLOCK_FLAG)
        self.started_at = started_at // 1000

    def _set_tags(self, tags: Mapping[str, str]) -> None:
        self.team = self.feature = self.customer_id = ""
        self.environment = self.booking.environment
        self.tags: Mapping[str, str] = {}
        if not tags:
            return
        self.team = tags.get("team", "")
        self.feature = tags.get("feature", "")
        self.customer_id = tags.get("customer_id", "")
        self.environment = tags.get("environment") or self.environment
        if not tags.keys() <= _WELL_KNOWN:
            self.tags = {key: text for key, text in tags.items() if key not in _WELL_KNOWN}

    def _set_usage(self) -> None:
        self.usage: dict[str, Quantity] = dict(self.call.usage.items())
        self.usage_flags = self.call.usage_flags
        # The totals of `Usage`, in one pass: this runs for every row.
        into = output = read = written = 0
        for unit, quantity in self.usage.items():
            if unit in INPUT_UNITS:
                into += int(quantity)
                if unit in CACHE_READ_UNITS:
                    read += int(quantity)
                elif unit in CACHE_WRITE_UNITS:
                    written += int(quantity)
            elif unit in OUTPUT_UNITS:
                output += int(quantity)
        self.input_tokens, self.output_tokens = into, output
        self.cache_read_tokens, self.cache_write_tokens = read, written

    def _set_cost(self) -> None:
        self.calls = 1 if self.booking.kind == "usage" else 0
        # An attempt that was never served is not a call whose price is missing.
        self.cost = self.call.cost or (NOT_PRICED if self.calls else NOT_SERVED)
        self.status = self.cost.status if self.call.cost or self.calls else ""
        self.estimated_calls = self.calls if self.status == "estimated" else 0
        self.partial_calls = self.calls if self.status == "partial" else 0
        self.unpriced_calls = self.calls if self.status == "unpriced" else 0
        atto = self.cost.effective_atto
        self.effective_cost = None if atto is None else to_decimal(atto)
        # No parts either where nobody split the amount (a reported cost).
        components = self.cost.components if atto is not None else ()
        nothing = NOTHING if components else None
        self.input_cost = self.output_cost = self.cache_read_cost = self.cache_write_cost = nothing
        self.tools_cost = nothing
        for group, part in _by_group(components).items():
            setattr(self, f"{group}_cost", to_decimal(part))

    @property
    def booked_at(self) -> int:
        """Unix microseconds."""
        return self.booking.booked_at // 1000

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None when not known, never negative."""
        call = self.call
        return None if call.ended_at is None else max(0, call.ended_at - call.started_at) / 1e9

    @property
    def attempt(self) -> int:
        """1 for the first try."""
        return _within(self.call.attempt, 65535)

    @property
    def is_stream(self) -> int:
        """1 when the answer was streamed."""
        return 1 if self.call.stream else 0

    @property
    def service_tier(self) -> str:
        """The tier that served the call, else the one asked for."""
        return self.call.terms.get("service_tier", "")

    @property
    def region(self) -> str:
        """Where the call was served, by the most specific term that says so."""
        terms = self.call.terms
        if not terms:
            return ""
        return terms.get("region") or terms.get("residency") or terms.get("inference_geo") or ""

    @property
    def server_port(self) -> int:
        """The port, 0 when not known or not a port."""
        return _within(self.call.server_port, 65535)

    @property
    def status_code(self) -> int:
        """The HTTP status, 0 when not known or not a status."""
        return _within(self.call.status_code, 65535)

    @property
    def failed_attempts(self) -> int:
        """1 on a failed attempt."""
        return 1 if self.booking.kind == "failed_attempt" else 0

    @property
    def denials(self) -> int:
        """1 on a refused call."""
        return 1 if self.booking.kind == "denial" else 0

    @property
    def duplicates(self) -> int:
        """1 on a copy of a booked call."""
        return 1 if self.booking.kind == "duplicate" else 0

    @property
    def reasoning_tokens(self) -> int:
        """The part of output that was hidden reasoning, under whichever unit it is billed."""
        usage = self.usage
        return int(usage.get("reasoning") or usage.get("output_reasoning") or 0)

    @property
    def usage_parts(self) -> str:
        """JSON of what other models did inside the call: [[model, {unit: quantity}], …]."""
        parts = self.call.parts
        if not parts:
            return ""
        return json.dumps([[part.model, {unit: str(n) for unit, n in part.usage.items()}] for part in parts])

    @property
    def contracted_cost(self) -> Decimal | None:
        """At negotiated rates; the effective cost where the price list says nothing else."""
        return self._amount(self.cost.contracted_atto)

    @property
    def list_cost(self) -> Decimal | None:
        """At public prices; the effective cost where the price list says nothing else."""
        return self._amount(self.cost.list_atto)

    def _amount(self, atto: int | None) -> Decimal | None:
        if atto is None or atto == self.cost.effective_atto:
            return self.effective_cost
        return to_decimal(atto)

    @property
    def reported_cost(self) -> Decimal | None:
        """What the provider said the call costs; None when it said nothing that is a number."""
        return _told_amount(self.call.reported_cost)

    @property
    def hinted_cost(self) -> Decimal | None:
        """What a gateway estimated; None when it said nothing that is a number."""
        return _told_amount(self.call.hinted_cost)

    @property
    def computed_cost(self) -> Decimal | None:
        """Our own figure where the provider's is the effective one."""
        atto = self.cost.computed_atto
        return None if atto is None else to_decimal(atto)

    @property
    def app_cost(self) -> Decimal | None:
        """What the app worked out; None when it said nothing."""
        cost = self.booking.app_cost
        if cost is None or cost.effective_atto is None:
            return None
        if cost.effective_atto == self.cost.effective_atto:
            return self.effective_cost
        return to_decimal(cost.effective_atto)

    @property
    def components(self) -> str:
        """The arithmetic as JSON, one array per line, exact numbers as text."""
        lines = self.cost.components
        return f"[{','.join([_line(line) for line in lines])}]" if lines else ""


_WELL_KNOWN: Final = frozenset(WELL_KNOWN_TAGS)


def _told_amount(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount.adjusted() > MOST_DIGITS:
        return None
    return to_decimal(from_text(amount))


def _within(number: Any, most: int) -> int:
    return number if isinstance(number, int) and 0 < number <= most else 0


def _by_group(components: tuple[Component, ...]) -> dict[str, int]:
    groups: dict[str, int] = {}
    for component in components:
        group = COST_GROUPS[component.unit]
        groups[group] = groups.get(group, 0) + component.atto
    return groups


def _line(component: Component) -> str:
    unit, quantity, unit_price, per, atto, model = component
    line = f'["{unit}","{quantity}","{_plain(unit_price)}",{per},"{to_text(atto)}"'
    return f"{line},{json.dumps(model)}]" if model else f"{line}]"


@lru_cache(maxsize=4096)
def _plain(price: Decimal) -> str:
    return f"{price:f}"
