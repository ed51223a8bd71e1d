"""Runaway spending, seen while it runs: retry storms, loops, velocity, error storms. Pure, without a clock.

A detector is asked before an attempt and told after it. When it trips it stays open for its cooldown, then it
is half open: few attempts are enough to open it again, for twice as long, and a calm cooldown closes it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from otel_llm_cost.budgets.measure import amount_text
from otel_llm_cost.budgets.storm_settings import ErrorStorm, Loop, RetryStorm, Velocity

MOST_KEYS = 20_000
"""Requests, runs or tag values watched at a time by one detector; the longest unseen are forgotten."""

MOST_COOLDOWN = 3600.0
"""Seconds; however often a breaker opens again."""

FEW = 3
"""Attempts that open a half-open breaker again."""


class Attempt(NamedTuple):
    """What detectors look at.

    fingerprint: equal for equal requests of one caller. run: the trace or session, or empty. tool_repeats:
    how often the last tool call of the request stands there in a row, word for word.
    """

    fingerprint: int
    run: str
    route: str
    tags: Mapping[str, str]
    tool_repeats: int = 0


class Outcome(NamedTuple):
    """How an attempt ended: cost in atto-dollars, and whether the provider or the network failed it."""

    usd: int
    failed: bool


class Trip(NamedTuple):
    """Why an attempt looks like a storm: for the error, the span and the alert."""

    breaker: str
    key: str
    reason: str


@dataclass(slots=True)
class _Open:
    trip: Trip
    until: float
    cooldown: float
    half_open: bool = False


class Detector(Protocol):
    """One way of running away."""

    name: str
    cooldown: float

    def key(self, attempt: Attempt) -> str | None:
        """What is tripped together; None where this detector does not look."""

    def look(self, key: str, attempt: Attempt, now: float, *, half_open: bool) -> str:
        """Why this attempt looks like a storm, or empty. It counts from here on."""

    def tell(self, key: str, outcome: Outcome, now: float) -> None:
        """How it ended."""

    def forget(self, key: str) -> None:
        """The storm is over: start counting anew."""


class Breaker:
    """A detector with the state open, half-open, closed, per key."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.opened: dict[str, _Open] = {}

    def check(self, attempt: Attempt, now: float) -> Trip | None:
        """Whether this attempt must not be made (or be warned of)."""
        key = self.detector.key(attempt)
        if key is None:
            return None
        state = self.opened.get(key)
        if state is None:
            return self._look(key, attempt, now, self.detector.cooldown, half_open=False)
        if now < state.until:
            return state.trip
        if not state.half_open:
            state.half_open = True
            self.detector.forget(key)
        elif now >= state.until + self.detector.cooldown:
            del self.opened[key]
            return self._look(key, attempt, now, self.detector.cooldown, half_open=False)
        return self._look(key, attempt, now, min(state.cooldown * 2, MOST_COOLDOWN), half_open=True)

    def _look(
        self, key: str, attempt: Attempt, now: float, cooldown: float, *, half_open: bool
    ) -> Trip | None:
        reason = self.detector.look(key, attempt, now, half_open=half_open)
        return self._open(key, reason, now, cooldown) if reason else None

    def _open(self, key: str, reason: str, now: float, cooldown: float) -> Trip:
        trip = Trip(self.detector.name, key, reason)
        self.opened[key] = _Open(trip, now + cooldown, cooldown)
        if len(self.opened) > MOST_KEYS:
            del self.opened[next(iter(self.opened))]
        return trip

    def tell(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """How an attempt that was made ended."""
        key = self.detector.key(attempt)
        if key is not None:
            self.detector.tell(key, outcome, now)


class Recent(OrderedDict[str, Any]):
    """A dictionary of the keys seen last."""

    def of(self, key: str, make: Any) -> Any:
        """The value of a key, made when it is new."""
        found = self.get(key)
        if found is None:
            found = self[key] = make()
            if len(self) > MOST_KEYS:
                self.popitem(last=False)
        else:
            self.move_to_end(key)
        return found


class RetryStorms:
    """The same request of the same caller, again and again, whether it fails or not."""

    name = "retry_storm"

    def __init__(self, settings: RetryStorm) -> None:
        self._settings = settings
        self.cooldown = settings.cooldown_s
        self._seen = Recent()

    def key(self, attempt: Attempt) -> str | None:
        return f"{attempt.fingerprint:x}"

    def look(self, key: str, attempt: Attempt, now: float, *, half_open: bool) -> str:  # noqa: ARG002
        settings = self._settings
        attempts = min(FEW, settings.attempts) if half_open else settings.attempts
        times: deque[float] = self._seen.of(key, lambda: deque(maxlen=settings.attempts))
        times.append(now)
        if len(times) < attempts or now - times[-attempts] > settings.within_s:
            return ""
        return f"the same request was made {attempts} times within {now - times[-attempts]:.1f} s"

    def tell(self, key: str, outcome: Outcome, now: float) -> None:
        pass

    def forget(self, key: str) -> None:
        self._seen.pop(key, None)


class Loops:
    """One run that takes too many steps, or makes the same tool call over and over."""

    name = "loop"

    def __init__(self, settings: Loop) -> None:
        self._settings = settings
        self.cooldown = settings.cooldown_s
        self._steps = Recent()

    def key(self, attempt: Attempt) -> str | None:
        return attempt.run or None

    def look(self, key: str, attempt: Attempt, now: float, *, half_open: bool) -> str:  # noqa: ARG002
        settings = self._settings
        steps: list[int] = self._steps.of(key, lambda: [0])
        steps[0] += 1
        if steps[0] > settings.steps:
            return f"this run made {steps[0]} calls, more than {settings.steps}"
        if attempt.tool_repeats >= settings.repeated_tool_calls:
            return f"the same tool call was made {attempt.tool_repeats} times in a row"
        return ""

    def tell(self, key: str, outcome: Outcome, now: float) -> None:
        pass

    def forget(self, key: str) -> None:
        """A run does not get shorter: what was counted stays counted."""


@dataclass(slots=True)
class _Spend:
    minute: int = 0
    usd: int = 0
    before: int = 0  # of the minute before
    usual: float = 0.0  # per minute with spend, slowly following; a ratio is compared, no money kept
    minutes: int = 0


@dataclass
class Velocities:
    """Dollars per minute of one tag value, against a cap and against its own past."""

    settings: Velocity
    name: str = "velocity"
    _spend: Recent = field(default_factory=Recent)

    @property
    def cooldown(self) -> float:
        """Seconds."""
        return self.settings.cooldown_s

    def key(self, attempt: Attempt) -> str | None:
        return f"{self.settings.per}={attempt.tags.get(self.settings.per, '')}"

    def look(self, key: str, attempt: Attempt, now: float, *, half_open: bool) -> str:  # noqa: ARG002
        spend = self._roll(key, now)
        settings = self.settings
        # the running minute, and what of the one before still lies within the last 60 seconds
        last = spend.usd + spend.before * (60 - int(now) % 60) // 60
        shown = amount_text(last, "usd")
        if settings.cap is not None and last >= settings.cap.amount:
            return f"{key} spent {shown} in a minute, the cap is {settings.cap}"
        usual = spend.usual
        if spend.minutes >= settings.history_minutes and last >= max(
            settings.least.amount, int(usual * settings.times_usual)
        ):
            return f"{key} spent {shown} in a minute, usual is {amount_text(int(usual), 'usd')}"
        return ""

    def tell(self, key: str, outcome: Outcome, now: float) -> None:
        self._roll(key, now).usd += outcome.usd

    def forget(self, key: str) -> None:
        spend = self._spend.get(key)
        if spend is not None:
            spend.usd = spend.before = 0

    def _roll(self, key: str, now: float) -> _Spend:
        spend: _Spend = self._spend.of(key, _Spend)
        minute = int(now // 60)
        if minute != spend.minute:
            if spend.usd:
                weight = max(1 / (spend.minutes + 1), 1 / 240)  # a mean at first, then of the last hours
                spend.usual += (spend.usd - spend.usual) * weight
                spend.minutes += 1
            spend.before = spend.usd if minute == spend.minute + 1 else 0
            spend.minute, spend.usd = minute, 0
        return spend


class ErrorStorms:
    """A route (provider and model) where nearly everything fails: calls that only add load and latency."""

    name = "error_storm"

    def __init__(self, settings: ErrorStorm) -> None:
        self._settings = settings
        self.cooldown = settings.cooldown_s
        self._ends = Recent()

    def key(self, attempt: Attempt) -> str | None:
        return attempt.route

    def look(self, key: str, attempt: Attempt, now: float, *, half_open: bool) -> str:  # noqa: ARG002
        settings = self._settings
        calls = min(FEW, settings.calls) if half_open else settings.calls
        ends: deque[tuple[float, bool]] = self._ends.of(key, lambda: deque(maxlen=settings.calls))
        if len(ends) < calls or now - ends[0][0] > settings.within_s:
            return ""
        failed = sum(failed for _, failed in ends)
        if failed * 100 < settings.failed_percent * len(ends):
            return ""
        return f"{failed} of the last {len(ends)} calls of {key} failed"

    def tell(self, key: str, outcome: Outcome, now: float) -> None:
        self._ends.of(key, lambda: deque(maxlen=self._settings.calls)).append((now, outcome.failed))

    def forget(self, key: str) -> None:
        self._ends.pop(key, None)
