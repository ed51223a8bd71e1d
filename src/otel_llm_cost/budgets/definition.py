"""A budget as it is written in `otel-llm-cost.yaml` and kept in a store: validated once, frozen after."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from otel_llm_cost.budgets.measure import GRAIN, MOST_GRAINS, Measure, amount_text
from otel_llm_cost.budgets.names import nearest
from otel_llm_cost.budgets.period import FOREVER, Calendar, Every, Rolling, Whole, Window
from otel_llm_cost.core.cost import from_text
from otel_llm_cost.core.errors import ConfigError

Action = Literal["block", "warn", "degrade", "cap_output"]

LIFETIMES = ("trace", "session", "conversation")
"""What `per` may name for a cap on one workflow run; such a budget has no window."""

PRODUCTION_WARNS: dict[str, Action] = {"production": "warn", "prod": "warn"}
"""Nobody's production stops by surprise; a budget that shall says `environments: {production: block}`."""

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_EVERY: tuple[str, ...] = get_args(Every)


class Limit(BaseModel):
    """How much. In the file `500 USD`, `2M tokens`, `1000 calls`, or `{usd: 500}`.

    amount: atto-dollars, tokens or calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int
    measure: Measure

    @model_validator(mode="after")
    def _in_range(self) -> Limit:
        if self.amount <= 0:
            raise ValueError(f"expected a limit above zero, got {self}; to stop all calls use `1 calls`")
        if self.amount // GRAIN[self.measure] > MOST_GRAINS:
            most = amount_text(MOST_GRAINS * GRAIN[self.measure], self.measure)
            raise ValueError(f"expected a limit of at most {most} in one window; split the budget")
        return self

    def __str__(self) -> str:
        return amount_text(self.amount, self.measure)


def parse_limit(value: Any, rates: Mapping[str, Decimal] | None = None) -> Limit:
    """A limit from what stands in the file. `rates`: USD per one of each other currency.

    Raises ValueError saying what was expected.
    """
    if isinstance(value, Limit):
        return value
    rates = rates or {}
    if isinstance(value, Mapping):
        if {"amount", "measure"} == set(value):
            return Limit(amount=int(value["amount"]), measure=value["measure"])
        if len(value) != 1:
            raise ValueError("expected one limit such as `500 USD`, `2M tokens` or `1000 calls`")
        ((unit, amount),) = value.items()
        value = f"{amount} {unit}"
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("expected a limit such as `500 USD`, `2M tokens` or `1000 calls`")
    match = re.fullmatch(r"\s*\$?\s*([-+]?[\d_,]*\.?\d+)\s*([kKmMbB]?)\s*([A-Za-z]*)\s*", str(value))
    if match is None:
        raise ValueError(f"cannot read the limit {value!r}; write `500 USD`, `2M tokens` or `1000 calls`")
    digits, factor, unit = match.groups()
    try:
        number = Decimal(re.sub("[_,]", "", digits)) * _FACTORS[factor.lower()]
    except InvalidOperation:
        raise ValueError(f"cannot read the number in the limit {value!r}") from None
    return _limit(number, unit or "usd", rates)


def _limit(number: Decimal, unit: str, rates: Mapping[str, Decimal]) -> Limit:
    measure = unit.lower().rstrip("s") + "s" if unit.lower() != "usd" else "usd"
    if measure in ("tokens", "calls"):
        if number != int(number):
            raise ValueError(f"expected a whole number of {measure}, got {number}")
        return Limit(amount=int(number), measure=measure)  # type: ignore[arg-type]
    if measure != "usd":
        currency = unit.upper()
        if currency not in rates:
            raise ValueError(
                f"no rate for {currency}; add `currency_rates: {{{currency}: <USD for one {currency}>}}`, "
                "or give the limit in USD, tokens or calls"
            )
        number *= rates[currency]
    return Limit(amount=from_text(number), measure="usd")


def _limit_in_context(value: Any, info: ValidationInfo) -> Limit:
    return parse_limit(value, info.context)


def read_rates(rates: Any) -> dict[str, Decimal]:
    """Rates as written in the file (USD for one of a currency); what is no positive number is left out."""
    pairs = rates.items() if isinstance(rates, Mapping) else ()
    found = {}
    for currency, text in pairs:
        try:
            rate = Decimal(str(text))
        except InvalidOperation:
            continue
        if rate > 0:
            found[str(currency).upper()] = rate
    return found


def parse_duration(text: str) -> int:
    """`90s`, `15m`, `24h`, `30d`, `2w` in seconds. Raises ValueError."""
    match = re.fullmatch(r"(\d+)\s*([smhdw])", str(text).strip().lower())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"expected a duration such as 90s, 15m, 24h, 30d or 2w, got {text!r}")
    return int(match[1]) * _SECONDS[match[2]]


class WindowSpec(BaseModel):
    """When a budget starts over: `month`, `{every: day, timezone: Asia/Tokyo}`, `{rolling: 24h}`, `never`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Every | None = None
    timezone: str = "UTC"
    rolling: str = ""
    never: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value in _EVERY:
            return {"every": value}
        if value == "never":
            return {"never": True}
        if value.startswith("rolling "):
            return {"rolling": value.removeprefix("rolling ")}
        raise ValueError(f"expected one of {', '.join(_EVERY)}, `rolling 24h` or `never`, got {value!r}")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            if name != "UTC":
                ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            hint = nearest(name, available_timezones()) or "see the IANA time zone names"
            raise ValueError(f"there is no time zone {name!r}; did you mean {hint}?") from None
        return name

    @field_validator("rolling")
    @classmethod
    def _duration(cls, text: str) -> str:
        if text:
            parse_duration(text)
        return text

    @model_validator(mode="after")
    def _one_kind(self) -> WindowSpec:
        if bool(self.every) + bool(self.rolling) + self.never != 1:
            raise ValueError("expected either `every` (a calendar period), `rolling` (a duration) or `never`")
        return self

    def window(self) -> Window:
        """The arithmetic that this describes."""
        if self.rolling:
            return Rolling(parse_duration(self.rolling))
        if self.never:
            return Whole(FOREVER)
        assert self.every is not None
        return Calendar(self.every, self.timezone)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Values = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Budget(BaseModel):
    """One budget. Every budget that matches a call must agree to it.

    match: tag, `provider`, `model`, `service` or `operation` → accepted values, `*` allowed; empty: all.
    per: one account per value of these tags, or per `trace`, `session` or `conversation`.
    action: what happens to a call that could pass the limit.
    environments: another action where the call's `environment` tag says so.
    on_failure: `open` lets calls go while the store is away, `closed` refuses them.
    unbounded: whether calls whose cost has no upper bound are let through as best effort, or refused.
    output_bound: what to reserve when a request has no output limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    limit: Annotated[Limit, BeforeValidator(_limit_in_context)]
    match: dict[str, Values] = {}
    per: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    window: WindowSpec | None = None
    action: Action = "block"
    degrade_to: str = ""
    environments: dict[str, Action] = PRODUCTION_WARNS
    on_failure: Literal["open", "closed"] = "open"
    unbounded: Literal["allow", "deny"] = "allow"
    output_bound: Literal["maximum", "observed"] = "maximum"
    contact: str = ""
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        for key in value if isinstance(value, Mapping) else ():
            if key not in cls.model_fields:
                near = nearest(str(key), cls.model_fields)
                hint = f"did you mean {near}?" if near else f"known are {', '.join(cls.model_fields)}"
                raise ValueError(f"unknown key {key}; {hint}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Budget:
        lifetimes = [key for key in self.per if key in LIFETIMES]
        if len(lifetimes) > 1:
            raise ValueError(f"expected at most one of {', '.join(LIFETIMES)} in `per`")
        if lifetimes and self.window is not None:
            raise ValueError(f"a budget per {lifetimes[0]} has no window; leave `window` out")
        actions = {self.action, *self.environments.values()}
        if ("degrade" in actions) != bool(self.degrade_to):
            raise ValueError(
                "`degrade_to` names the cheaper model of the action `degrade`; one needs the other"
            )
        return self

    @cached_property
    def clock(self) -> Window:
        """The window's arithmetic; a budget without one counts calendar months in UTC."""
        if any(key in LIFETIMES for key in self.per):
            return Whole()
        return self.window.window() if self.window else Calendar("month")

    def action_in(self, environment: str) -> Action:
        """What happens at the limit to a call of this environment."""
        return self.environments.get(environment, self.action)


def refuse_doubles(budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
    """The budgets as they are. Raises ValueError when two have one name."""
    seen: set[str] = set()
    for budget in budgets:
        if budget.name in seen:
            raise ValueError(f"two budgets are called {budget.name}; names must differ")
        seen.add(budget.name)
    return budgets


def read_budgets(
    items: Iterable[Mapping[str, Any]], rates: Mapping[str, Decimal] | None = None, place: str = "budgets"
) -> tuple[Budget, ...]:
    """Budgets from parsed YAML or JSON. Raises ConfigError: which budget, which key, what was expected."""
    budgets = tuple(read_budget(item, rates, f"{place}[{index}]") for index, item in enumerate(items))
    try:
        return refuse_doubles(budgets)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None


def read_budget(
    item: Mapping[str, Any], rates: Mapping[str, Decimal] | None = None, place: str = "budget"
) -> Budget:
    """One budget from parsed YAML or JSON. Raises ConfigError."""
    if not isinstance(item, Mapping):
        raise ConfigError(f"{place}: expected a budget as `key: value` lines")
    where = f"{place} ({item['name']})" if isinstance(item.get("name"), str) else place
    try:
        return Budget.model_validate(item, context=rates)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(where, details) for details in error.errors())) from None


def _explain(where: str, details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    message = str(details["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"
