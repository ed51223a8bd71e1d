"""One request of google-genai: what is asked in the names that policies know, and what its chunks tell."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from otel_llm_cost.core import tags
from otel_llm_cost.core.call import Call
from otel_llm_cost.instrument import hosts
from otel_llm_cost.instrument.exchange import Exchange
from otel_llm_cost.instrument.hosts import Target
from otel_llm_cost.instrument.payload import parse
from otel_llm_cost.instrument.request import LIMITS
from otel_llm_cost.instrument.sdk import Route, Sdk
from otel_llm_cost.instrument.streams import Tap
from otel_llm_cost.instrument.watched import KEPT
from otel_llm_cost.pipeline import Pipeline
from otel_llm_cost.pricing import normalise

CONFIG = "generationConfig"


class GenaiExchange(Exchange):
    """An exchange without a response object. last_error: of the attempt before this one."""

    __slots__ = ("last_error",)

    def __init__(self, sdk: Sdk, pipeline: Pipeline, client: Any, asked: Asked, stream: bool) -> None:
        target = target_of(client)
        super().__init__(sdk, pipeline, client, asked.route, target, asked.body, stream)
        self.last_error: BaseException | None = None
        self.call = Call(
            provider=target.provider,
            operation=asked.route.operation,
            request_model=asked.body["model"],
            api=asked.route.api,
            stream=stream,
            server_address=target.host,
            server_port=target.port,
            started_at=time.time_ns(),
            max_tokens=asked.limit,
            tags=tags.current(tags.of_call(asked.body, asked.headers)),
            project=target.project,
            api_key_hash=target.api_key_hash,
        )

    def _fail(self, error: BaseException | None) -> None:
        super()._fail(error)
        code, status = getattr(error, "code", None), getattr(error, "status", None)
        if isinstance(code, int):  # google.genai.errors.APIError
            self.run.call.status_code = code
            if isinstance(status, str) and status:
                self.run.call.error_type = status

    def answered_with(self, body: object) -> None:
        """The whole answer, as the text of a JSON object."""
        payload = parse(body.encode()) if isinstance(body, str) else None
        if payload:
            self.read(payload, "provider")

    def watch(self) -> ChunkTap:
        """A stream began."""
        self._tap = tap = ChunkTap(self, hide_usage=False)
        return tap


class ChunkTap(Tap):
    """What is known of a stream of JSON objects, each of which carries the usage so far."""

    __slots__ = ("_room", "is_finished")

    def __init__(self, exchange: Exchange, hide_usage: bool) -> None:
        super().__init__(exchange, hide_usage)
        self._room = KEPT
        self.is_finished = False

    def take(self, body: object) -> None:
        """A chunk came."""
        self.begin()
        self.last_seen = time.monotonic()
        event = parse(body.encode()) if isinstance(body, str) else None
        if event is None or not isinstance(body, str):
            return
        self.state = normalise.fold(self.route.api, self.state, event)
        if "finishReason" in body or "promptFeedback" in body:
            self.is_finished = self.is_finished or _is_final(event)
        if len(body) <= self._room:  # for an estimate, should the stream end early
            self._room -= len(body)
            self.chunks.append(b"data: " + body.encode() + b"\n\n")
        else:
            self.events += 1

    def _digest(self, block: bytes) -> None:
        """Every chunk was read when it came."""


def _is_final(event: Mapping[str, Any]) -> bool:
    if isinstance(event.get("promptFeedback"), Mapping):
        return True
    candidates = event.get("candidates")
    return isinstance(candidates, list) and any(
        isinstance(one, Mapping) and one.get("finishReason") for one in candidates
    )


class Asked:
    """A billable request. body: it in the names that policies and estimates know. limit: of output tokens."""

    def __init__(self, route: Route, path: str, request: Mapping[str, Any], headers: object) -> None:
        self.route = route
        self.headers = headers
        config = request.get(CONFIG)
        config = config if isinstance(config, Mapping) else {}
        limit = config.get("maxOutputTokens")
        self.limit = limit if isinstance(limit, int) else None
        self.body: dict[str, Any] = {
            "model": model_of(path),
            "messages": request.get("contents") or request.get("content") or request.get("requests") or [],
        }
        if self.limit is not None:
            self.body["max_output_tokens"] = self.limit
        for name, value in (
            ("system", request.get("systemInstruction")),
            ("tools", request.get("tools")),
            ("n", config.get("candidateCount")),
            ("service_tier", request.get("serviceTier")),
        ):
            if value is not None:
                self.body[name] = value


def changed(exchange: Exchange, path: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and request to send, with what policies changed."""
    for name, value in exchange.changes.items():
        if name == "model":
            head, _, tail = path.partition("?")
            before, _, method = head.rpartition("/")
            path = f"{before}/{value}:{method.rpartition(':')[2]}" + (f"?{tail}" if tail else "")
        elif name in LIMITS:
            request = {**request, CONFIG: {**(request.get(CONFIG) or {}), "maxOutputTokens": value}}
    return path, request


def model_of(path: str) -> str:
    """`…/models/gemini-2.5-flash:generateContent?alt=sse` → gemini-2.5-flash."""
    return path.partition("?")[0].rpartition("/")[2].rpartition(":")[0]


def target_of(client: Any) -> Target:
    """Where this client's calls go."""
    return _target(
        str(client._http_options.base_url or ""),
        bool(client.vertexai),
        client.project or "",
        client.location or "",
        client.api_key or "",
    )


@lru_cache(maxsize=256)
def _target(base_url: str, vertex: bool, project: str, location: str, key: str) -> Target:
    url = urlsplit(base_url)
    host = url.hostname or ""
    return Target(
        provider="gcp.vertex_ai" if vertex else "gcp.gemini",
        host=host,
        port=url.port,
        is_known=True,
        billing_account="",
        project=project,
        api_key_hash=hosts.hash_of(key) if key else "",
        terms=normalise.terms_of_context({"host": host, "location": location} if vertex else {"host": host}),
    )


def text_of(chunk: Any) -> object:
    """The JSON of an SdkHttpResponse."""
    body = getattr(chunk, "body", None)
    return body if isinstance(body, str) else json.dumps(body) if isinstance(body, dict) else None
