"""Before each attempt: is this a storm? Runaway loops are stopped in seconds, not at the end of a budget."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from otel_llm_cost.budgets.storm_settings import Breakers
from otel_llm_cost.budgets.storms import (
    Attempt,
    Breaker,
    ErrorStorms,
    Loops,
    Outcome,
    RetryStorms,
    Trip,
    Velocities,
)
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import BreakerOpen
from otel_llm_cost.pipeline import Exit, Policy, Run

_log = logging.getLogger("otel_llm_cost")

BREAKER = "llm_cost.breaker.name"
"""On the span: which breaker a call tripped or met open."""
REASON = "llm_cost.breaker.reason"

SESSION_TAGS = ("session_id", "session.id", "session")
NOT_FAILED = frozenset({"BudgetExceeded", "BreakerOpen"})


class BreakCircuits(Policy):
    """Refuses (or only warns of) attempts that look like a storm, and says who tripped the breaker."""

    name = "breaker"

    def __init__(self, settings: Breakers, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        makers: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
            (settings.retry_storm, RetryStorms),
            (settings.loop, Loops),
            (settings.velocity, Velocities),
            (settings.error_storm, ErrorStorms),
        )
        self.breakers = [(Breaker(make(one)), one.action) for one, make in makers if one.action != "off"]
        self._told: set[Trip] = set()

    def enter(self, run: Run) -> Exit | None:
        attempt = attempt_of(run)
        now = self._clock()
        with self._lock:
            trips = [(trip, action) for one, action in self.breakers if (trip := one.check(attempt, now))]
        for trip, action in trips:
            self._say(run, trip)
            if action == "block":
                raise BreakerOpen(
                    f"breaker {trip.breaker} is open: {trip.reason} ({_who(run.call)}). "
                    "The call was not made and nothing was billed.",
                    breaker=trip.breaker,
                    reason=trip.reason,
                )
        return lambda run: self._end(run, attempt)

    def _end(self, run: Run, attempt: Attempt) -> None:
        call = run.call
        if call.denied_by:
            return
        cost = None if call.cost is None else call.cost.effective_atto
        outcome = Outcome(cost or 0, bool(call.error_type) and call.error_type not in NOT_FAILED)
        with self._lock:
            now = self._clock()
            for breaker, _ in self.breakers:
                breaker.tell(attempt, outcome, now)

    def _say(self, run: Run, trip: Trip) -> None:
        if run.span is not None and run.span.is_recording():
            run.span.set_attributes({BREAKER: trip.breaker, REASON: trip.reason})
        if trip not in self._told:
            if len(self._told) > 1_000:
                self._told.clear()
            self._told.add(trip)
            _log.warning("breaker %s: %s (%s)", trip.breaker, trip.reason, _who(run.call))


def attempt_of(run: Run) -> Attempt:
    """What detectors look at of an attempt that is about to be made."""
    call = run.call
    body = run.request.body if run.request is not None else {}
    trace = ""
    if run.span is not None:
        context = run.span.get_span_context()
        parent = getattr(run.span, "parent", None)
        trace = f"{context.trace_id:032x}" if context.trace_id and parent is not None else ""
    session = next((call.tags[name] for name in SESSION_TAGS if call.tags.get(name)), "")
    who = (call.tags.get("customer_id", ""), session, call.conversation_id)
    run_of = session or call.conversation_id or trace
    fingerprint = hash((who, call.request_model, _digest(body)))
    return Attempt(
        fingerprint & (1 << 64) - 1,
        run_of,
        f"{call.provider}/{call.request_model}",
        call.tags,
        _repeats(body),
    )


def _digest(body: Mapping[str, Any]) -> int:
    """Equal for equal requests in this process; nothing of the text is kept."""
    found = 0
    stack: list[Any] = [body.get(name) for name in ("messages", "input", "prompt", "system", "instructions")]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found = hash((found, item))
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
    return found


def _repeats(body: Mapping[str, Any]) -> int:
    """How often the last tool call stands in the conversation in a row, word for word."""
    messages = body.get("messages") or body.get("input")
    if not isinstance(messages, list):
        return 0
    last, count = None, 0
    for message in reversed(messages[-200:]):
        call = _tool_call(message)
        if call is None:
            continue
        if last is None:
            last = call
        elif call != last:
            break
        count += 1
    return count


def _tool_call(message: Any) -> str | None:
    """The tool calls of one message, as text; None where it makes none."""
    if not isinstance(message, Mapping):
        return None
    if message.get("type") == "function_call":  # responses
        return f"{message.get('name')} {message.get('arguments')}"
    if calls := message.get("tool_calls"):  # chat completions
        return json.dumps([call.get("function") for call in calls if isinstance(call, Mapping)], default=str)
    content = message.get("content")
    if message.get("role") == "assistant" and isinstance(content, list):  # messages
        uses = [part for part in content if isinstance(part, Mapping) and part.get("type") == "tool_use"]
        if uses:
            return json.dumps([(part.get("name"), part.get("input")) for part in uses], default=str)
    return None


def _who(call: Call) -> str:
    """Who made the call, for a person to find."""
    tags = ", ".join(f"{key}={value}" for key, value in sorted(call.tags.items()) if value)
    return f"{call.provider} {call.request_model}{', ' if tags else ''}{tags}"
