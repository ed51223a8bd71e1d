"""One SDK call between its request and its last byte: what was asked, what came back, how it ended."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.trace import get_current_span

from otel_llm_cost.core import faults, semconv
from otel_llm_cost.core.background import background
from otel_llm_cost.core.call import Call
from otel_llm_cost.instrument import streams
from otel_llm_cost.instrument.hosts import USAGE_ON_REQUEST, Target, provider_of_host
from otel_llm_cost.instrument.payload import parse, plain
from otel_llm_cost.instrument.request import price_terms
from otel_llm_cost.instrument.sdk import Route, Sdk
from otel_llm_cost.pipeline import Pipeline, Request, Run
from otel_llm_cost.pricing import normalise
from otel_llm_cost.pricing.normalise import families
from otel_llm_cost.pricing.normalise.reported import hinted_cost
from otel_llm_cost.pricing.sessions import OpenSessions

ABORTED = "aborted"
"""Usage flag: the caller stopped reading before the provider was done."""
MAYBE_BILLED = "maybe_billed"
"""Usage flag: no answer came, yet the provider may have made one and charged for it."""

NOT_SENT = "not_sent"
"""Usage flag: no connection was made, so the provider cannot have charged for it."""

_sessions = OpenSessions()
HINT = "x-litellm-response-cost"
"""A gateway's own estimate of the call in USD (https://docs.litellm.ai/docs/proxy/response_headers)."""

_refusing: set[str] = set()
"""Hosts that refused `stream_options`, and are not asked again."""

_CODE = re.compile(r"[A-Za-z_][\w.\-]{0,63}")


class Exchange(Request):
    """Carries one SDK call through the pipeline. Holds no response and no context token."""

    __slots__ = (
        "_asked_usage",
        "_tap",
        "_target",
        "attempts",
        "call",
        "client",
        "is_answered",
        "pipeline",
        "route",
        "run",
        "sdk",
        "stream",
    )

    def __init__(
        self,
        sdk: Sdk,
        pipeline: Pipeline,
        client: Any,
        route: Route,
        target: Target,
        body: Mapping[str, Any],
        stream: bool,
    ) -> None:
        self.sdk = sdk
        self.pipeline = pipeline
        self.client = client
        self.route = route
        self.stream = stream
        self.attempts = 0
        self.is_answered = False
        self.call: Call
        self.run: Run
        self.body = body
        self.changes = {}
        self._target = target
        self._asked_usage = False
        self._tap: streams.Tap | None = None

    # the way in

    def should_ask_usage(self) -> bool:
        """Whether this stream carries usage only if we ask, and the provider lets us."""
        target = self._target
        if self.body.get("stream_options") or target.host in _refusing:
            return False
        if target.is_known and target.provider not in USAGE_ON_REQUEST:
            return False
        # Azure's dated API took the option from 2024-09-01-preview on; the v1 API has no such date.
        version = getattr(self.client, "_api_version", None)
        return not isinstance(version, str) or version >= "2024-09-01" or version[:2] != "20"

    def ask_usage(self, body: Any) -> dict[str, Any]:
        """A copy of the request's body that asks for usage."""
        self._asked_usage = True
        return {**(body or {}), "stream_options": {"include_usage": True}}

    def start(self) -> Any:
        """Enter the pipeline; the OpenTelemetry context to make the request in. Raises CallDenied."""
        self.run = self.pipeline.start(self.call, self)
        return self.run.context

    async def start_async(self) -> Any:
        """`start` on an event loop."""
        self.run = await self.pipeline.start_async(self.call, self)
        return self.run.context

    @property
    def terms(self) -> Mapping[str, str]:
        """What of the request decides the price."""
        return price_terms(self._target, self.body)

    def changed(self, options: Any) -> Any:
        """The options to send, with what policies changed of the request."""
        if not self.changes:
            return options
        options = copy.copy(options)
        options.json_data = {**(options.json_data or {}), **self.changes}
        return options

    def attempt(self, in_flight: BaseException | None) -> None:
        """An attempt is about to be sent. Raises CallDenied.

        in_flight: the exception being handled, which is why older SDKs try again.
        """
        self.attempts += 1
        if self.attempts == 1:
            if self.sdk.native_scope:
                self._mark_native_span()
            return
        self.is_answered = False
        self._tap = None
        if not self.run.call.error_type:
            self.broken(in_flight)
        self.run.retry(self.run.call.next_attempt(time.time_ns()))

    def _mark_native_span(self) -> None:
        """The SDK's own span is a child of ours and tells the same call: say who counts it."""
        span: Any = get_current_span()
        scope = getattr(span, "instrumentation_scope", None)
        if scope is not None and scope.name == self.sdk.native_scope:
            own = self.run.span.get_span_context().span_id if self.run.span is not None else 0
            span.set_attribute(semconv.COUNTED_BY, f"{own:016x}" if own else self.run.call.call_id)

    # failures

    def refused(self, response: Any) -> None:
        """The provider answered with a status that the SDK will retry."""
        self._fail(self.client._make_status_error("", body=_read_error(response), response=response))

    def broken(self, error: BaseException | None) -> None:
        """The attempt ended without an answer, and the SDK will retry."""
        if not self.run.call.error_type:
            self._fail(error)

    def failed(self, error: BaseException) -> bool:
        """The SDK call raised; whether to send it again without what we added to it."""
        if self.run.call.denied_by:  # it was recorded when it was denied
            return False
        try:
            if self._tap is not None:
                self._tap.fail(error)
            elif self._asked_usage and _is_about_stream_options(error):
                _refusing.add(self._target.host)
                self._asked_usage = False
                self._fail(error)
                return True
            else:
                self._fail(error)
                self._finish()
        except Exception as fault:  # noqa: BLE001
            faults.report("recording a failed call", fault)
        return False

    def _fail(self, error: BaseException | None) -> None:
        call = self.run.call
        call.ended_at = time.time_ns()
        call.error_type = error_type(error)
        status = getattr(error, "status_code", None)
        call.status_code = status if isinstance(status, int) else None
        request_id = getattr(error, "request_id", None)
        if isinstance(request_id, str):
            call.request_id = request_id
        if _is_unsent(error):
            call.usage_flags = (*call.usage_flags, NOT_SENT)
        elif call.status_code is None and not call.usage and self.attempts:
            call.usage_flags = (*call.usage_flags, MAYBE_BILLED)

    # the answer

    def answered(self, response: Any) -> None:
        """A good answer began. What is still to be read is watched while the user reads it."""
        self.is_answered = True
        try:
            if _may_be_gateway(self._target.host):
                self.run.call.hinted_cost = hinted_cost(response.headers.get(HINT))
            if self.stream or not response.is_closed:
                self._tap = streams.watch(response, self, hide_usage=self._asked_usage)
        except Exception as error:  # noqa: BLE001
            faults.report("watching a response", error)

    def read_result(self, result: Any, response: Any) -> None:
        """What the user gets, parsed by the SDK already; a raw response is parsed here."""
        if self._tap is not None:
            return
        try:
            fields = getattr(result, "__dict__", None)
            if fields and fields.get("usage") is not None:  # a model; wrappers of raw responses have none
                self.read(result, "provider")
                request_id = fields.get("_request_id")
                if type(request_id) is str:
                    self.run.call.request_id = request_id
            elif (body := parse(response.content)) is not None:
                self.read(body, "provider")
        except Exception as error:  # noqa: BLE001
            faults.report("reading an answer", error)

    def read_body(self, response: Any) -> None:
        """The SDK (or the user's parser) failed over a good answer, which is billed all the same."""
        if self._tap is None:
            self.read_result(None, response)

    def read(self, answer: Any, source: str) -> None:
        """Put what the provider said about the call on it. answer: a body, or the SDK's object for one."""
        call = self.run.call
        family = families.by_name(call.api)
        reading = family.quick(answer, call.provider) if family is not None else None
        if reading is None:
            reading = normalise.read(call.provider, call.api, plain(answer))
            reading = _sessions.charge(reading, call.started_at)
        call.usage = reading.usage
        call.usage_source = source if reading.usage_source == "provider" else reading.usage_source
        call.response_model = reading.response_model
        call.response_id = reading.response_id
        asked = price_terms(self._target, self.body)
        call.terms = {**asked, **reading.terms} if asked else reading.terms
        call.parts = reading.parts
        call.reported_cost = reading.reported_cost
        call.raw_usage = reading.raw_usage
        call.finish_reasons = reading.finish_reasons
        if reading.flags:
            call.usage_flags = (*call.usage_flags, *reading.flags)

    def returned(self) -> None:
        """The SDK call returned to the user; a watched response ends later."""
        if self._tap is None:
            call = self.run.call
            call.ended_at = time.time_ns()
            if call.usage and self.pipeline.is_ready:
                self.run.finish()
            else:
                self._finish()

    # the end

    def ended(self, tap: streams.Tap) -> None:
        """A watched response is over. Runs on the caller's thread only where the provider was done."""
        call = self.run.call
        call.ended_at = tap.ended_at
        if tap.first_chunk_at:
            call.time_to_first_chunk_s = (tap.first_chunk_at - call.started_at) / 1e9
        if tap.error is not None:
            call.error_type = error_type(tap.error)
        elif not tap.is_complete:
            call.usage_flags = (*call.usage_flags, ABORTED)
        if tap.state:
            self.read(tap.state, "stream" if self.stream else "provider")
        self._finish(tap)

    def _finish(self, tap: streams.Tap | None = None) -> None:
        run = self.run
        if self._needs_estimate(tap) or not self.pipeline.is_ready:
            background.run(lambda: self._finish_later(tap))
        else:
            run.finish()

    def _needs_estimate(self, tap: streams.Tap | None) -> bool:
        call = self.run.call
        if tap is not None and not tap.is_complete:
            return True
        return not call.usage and not call.error_type and self.attempts > 0

    def _finish_later(self, tap: streams.Tap | None) -> None:
        try:
            if not self.pipeline.is_ready:
                self.pipeline.prepare()
            if self._needs_estimate(tap):
                self._estimate(tap)
        except Exception as error:  # noqa: BLE001
            faults.report("estimating usage", error)
        finally:
            self.run.finish()

    def _estimate(self, tap: streams.Tap | None) -> None:
        from otel_llm_cost.instrument import estimate

        call = self.run.call
        usage = estimate.complete(call.usage, self.route, self.body, tap)
        if usage:
            call.usage = usage
            call.usage_source = "estimated"
            call.usage_flags = tuple(flag for flag in call.usage_flags if flag != normalise.OUTPUT_MISSING)


_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ConnectionRefusedError", "gaierror"})
"""Exceptions, of any HTTP library, that say that no connection came about."""


def _is_unsent(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ in _UNSENT:
            return True
        error = error.__cause__
    return False


def error_type(error: BaseException | None) -> str:
    """The provider's error code where there is one, else the exception's name: few values, no message."""
    if error is None:
        return "_OTHER"
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error")
        inner = inner if isinstance(inner, Mapping) else body
        for name in ("code", "type"):
            code = inner.get(name)
            if isinstance(code, str) and _CODE.fullmatch(code):
                return code
    return type(error).__name__


def _read_error(response: Any) -> Mapping[str, Any] | None:
    """The error object of a refusal, when its body was read (it is not, for streams)."""
    body = parse(response.content) if response.is_closed or response.is_stream_consumed else None
    if body is None:
        return None
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _is_about_stream_options(error: BaseException) -> bool:
    text = str(getattr(error, "body", None) or error)
    return getattr(error, "status_code", None) in (400, 422) and (
        "stream_options" in text or "include_usage" in text
    )


@lru_cache(maxsize=256)
def _may_be_gateway(host: str) -> bool:
    """Whether a host is nobody's whose answers we know; theirs are not searched for a gateway's header."""
    return not provider_of_host(host, None)
