"""`breakers:` in the configuration: what counts as a storm. A normal day passes the defaults unnoticed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from otel_llm_cost.budgets.definition import Limit, parse_duration, parse_limit

Seconds = Annotated[
    float, BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value)
]
Money = Annotated[Limit, BeforeValidator(parse_limit)]


class _Storm(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    action: Literal["block", "warn", "off"] = "block"
    cooldown_s: Seconds = Field(60.0, alias="cooldown", gt=0)


class RetryStorm(_Storm):
    """The same request of the same caller, `attempts` times `within` a time."""

    attempts: int = Field(40, ge=2)
    within_s: Seconds = Field(60.0, alias="within", gt=0)


class Loop(_Storm):
    """One trace, session or conversation with more than so many calls or repeated tool calls."""

    steps: int = Field(300, ge=1)
    repeated_tool_calls: int = Field(8, ge=2)
    cooldown_s: Seconds = Field(600.0, alias="cooldown", gt=0)


class Velocity(_Storm):
    """Dollars per minute of each value of the tag `per`: over `cap`, or over `times_usual` its own past.

    The past counts after `history_minutes` with spend, and never below `least` a minute.
    """

    per: str = "feature"
    cap: Money | None = None
    times_usual: float = Field(20.0, gt=1)
    least: Money = Field(default_factory=lambda: parse_limit("5 USD"))
    history_minutes: int = Field(60, ge=1)


class ErrorStorm(_Storm):
    """Of the last `calls` of a provider's model, made `within` a time, at least `failed_percent` failed."""

    calls: int = Field(100, ge=2)
    within_s: Seconds = Field(120.0, alias="within", gt=0)
    failed_percent: float = Field(95.0, gt=0, le=100)
    cooldown_s: Seconds = Field(30.0, alias="cooldown", gt=0)


class Breakers(BaseModel):
    """All breakers; each can be `action: off`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retry_storm: RetryStorm = Field(default_factory=lambda: RetryStorm.model_validate({}))
    loop: Loop = Field(default_factory=lambda: Loop.model_validate({}))
    velocity: Velocity = Field(default_factory=lambda: Velocity.model_validate({}))
    error_storm: ErrorStorm = Field(default_factory=lambda: ErrorStorm.model_validate({}))
