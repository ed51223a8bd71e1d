"""Metrics of a finished call: tokens, seconds, dollars.

Recording a histogram costs about 12 µs; so a call only appends to a queue, and the queue is worked off by
our own thread, or when the metrics are collected, whichever is first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otel_llm_cost.core import semconv
from otel_llm_cost.core.background import background
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.pipeline import Policy, Run

# Boundaries that semconv advises for GenAI clients (semantic-conventions-genai, read 2026-11-24).
TOKEN_BOUNDARIES = tuple(4**power for power in range(14))
SECOND_BOUNDARIES = tuple(0.01 * 2**power for power in range(14))

BATCH = 64
"""So many calls wait before our thread is asked to record them."""

TAGS = ("team", "feature", "environment")
"""Tags that are dimensions by default; customer_id only when asked for, since 10,000 overflow the series."""


class Measure(Policy):
    """`gen_ai.client.token.usage`, `gen_ai.client.operation.duration` and `llm_cost.cost` (USD)."""

    name = "measure"

    def __init__(self, meter: Meter, tags: Sequence[str] = TAGS) -> None:
        self._tags = tuple((key, semconv.tag_attribute(key)) for key in tags)
        self._waiting: deque[tuple[Call, Any]] = deque()
        self._spent: dict[tuple[tuple[str, str], ...], int] = {}
        self._recording = threading.Lock()
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens used by a call, cached ones included",
            explicit_bucket_boundaries_advisory=TOKEN_BOUNDARIES,
        )
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Time from the call to the end of its answer",
            explicit_bucket_boundaries_advisory=SECOND_BOUNDARIES,
        )
        self._cost = meter.create_observable_counter(
            "llm_cost.cost",
            callbacks=[self._observe],
            unit="USD",
            description="Effective cost of calls, estimates included; calls without a known cost add nothing",
        )

    def leave(self, run: Run) -> None:
        if not run.is_last:
            return
        waiting = self._waiting
        waiting.append((run.call, run.context))
        if len(waiting) >= BATCH:
            background.start()
            background.submit(self.record)

    def record(self) -> None:
        """Record everything that waits."""
        with self._recording:
            while self._waiting:
                self._record(*self._waiting.popleft())

    def _record(self, call: Call, context: Any) -> None:
        attributes: dict[str, Any] = {semconv.OPERATION: call.operation, semconv.PROVIDER: call.provider}
        for name, text in (
            (semconv.REQUEST_MODEL, call.request_model),
            (semconv.RESPONSE_MODEL, call.response_model),
            ("server.address", call.server_address),
        ):
            if text:
                attributes[name] = text
        for key, name in self._tags:
            if key in call.tags:
                attributes[name] = call.tags[key]
        usage = call.usage
        if usage.has_input:
            tokens = {**attributes, "gen_ai.token.type": "input"}
            self._tokens.record(usage.input_tokens, tokens, context)
        if usage.has_output:
            tokens = {**attributes, "gen_ai.token.type": "output"}
            self._tokens.record(usage.output_tokens, tokens, context)
        if call.cost is not None and call.cost.effective_atto:
            series = tuple(attributes.items())
            self._spent[series] = self._spent.get(series, 0) + call.cost.effective_atto
        if call.error_type:
            attributes["error.type"] = call.error_type
        if call.ended_at is not None:
            self._seconds.record((call.ended_at - call.started_at) / 1e9, attributes, context)

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        self.record()
        return [Observation(atto / ATTO, dict(series)) for series, atto in list(self._spent.items())]
