"""What the call and stream benchmarks share: one provider in memory, a plain client, an instrumented one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
from opentelemetry.context import attach, detach
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, set_span_in_context

from otel_llm_cost import wiring

PARTS = ("request", "_process_response", "_build_request", "_should_retry", "_sleep_for_retry")

MESSAGES: list[Any] = [
    {"role": "system", "content": "You answer support questions about an online shop, briefly and politely."},
    {"role": "user", "content": "Where is my parcel? It was sent on Monday and has not come."},
]

ANSWER = json.dumps(
    {
        "id": "chatcmpl-A1b2C3d4E5f6G7h8",
        "object": "chat.completion",
        "created": 1764000000,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It is on its way and arrives tomorrow.",
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 180,
            "total_tokens": 1380,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_2b83f7d7a1",
    }
).encode()


class Counting(SpanExporter):
    """Counts spans and drops them."""

    spans = 0

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


def _chunk(delta: dict[str, Any], **more: Any) -> bytes:
    event = {
        "id": "chatcmpl-A1b2C3d4E5f6G7h8",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_2b83f7d7a1",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        **more,
    }
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def stream_of(chunks: int, *, usage: bool) -> list[bytes]:
    """A stream of `chunks` content events as OpenAI sends it."""
    null = {"usage": None} if usage else {}
    events = [_chunk({"content": " parcel"}, **null) for _ in range(chunks)]
    if usage:
        total = {"prompt_tokens": 1200, "completion_tokens": chunks, "total_tokens": 1200 + chunks}
        events.append(_chunk({}, choices=[], usage=total))
    return [*events, b"data: [DONE]\n\n"]


class Rig:
    """A plain client and an instrumented one over the same in-memory transport."""

    def __init__(self, *, metrics: bool) -> None:
        self.exporter = Counting()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(BatchSpanProcessor(self.exporter))
        self.streams: dict[tuple[int, bool], list[bytes]] = {}
        base = openai._base_client.SyncAPIClient
        originals = {
            name: getattr(base, name) for name in PARTS if name in base.__dict__ or hasattr(base, name)
        }
        pinned = type("OpenAI", (openai.OpenAI,), originals)
        self.plain = pinned(api_key="k", http_client=self._http())
        meter_provider = MeterProvider([InMemoryMetricReader()]) if metrics else NoOpMeterProvider()
        wiring.instrument_sdk("openai", tracer_provider=self.tracer_provider, meter_provider=meter_provider)
        self.instrumented = openai.OpenAI(api_key="k", http_client=self._http())

    def bare_span_client(self) -> openai.OpenAI:
        """A client whose every request makes one span with 15 attributes and does nothing else."""
        tracer = self.tracer_provider.get_tracer("floor")
        asked, told = ({f"{kind}{n}": "text" for n in range(count)} for kind, count in (("a", 4), ("b", 11)))
        original = type(self.plain).request

        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            span = tracer.start_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=asked)
            token = attach(set_span_in_context(span))
            try:
                return original(client, *args, **kwargs)
            finally:
                detach(token)
                span.set_attributes(told)
                span.end()

        kind = type("OpenAI", (type(self.plain),), {"request": request})
        return kind(api_key="k", http_client=self._http())

    def close(self) -> None:
        """Give everything back."""
        wiring.uninstrument_sdk("openai")
        self.tracer_provider.shutdown()

    def _http(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        if not body.get("stream"):
            headers = {"content-type": "application/json", "x-request-id": "req_1"}
            return httpx2.Response(200, headers=headers, content=ANSWER)
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = self._events(int(body["max_tokens"]), usage)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    def _events(self, chunks: int, usage: bool) -> Iterator[bytes]:
        events = self.streams.get((chunks, usage))
        if events is None:
            events = self.streams[chunks, usage] = stream_of(chunks, usage=usage)
        return iter(events)
