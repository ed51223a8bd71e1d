"""OTLP over HTTP: protobuf and JSON, gzip and deflate, as a plain ASGI application.

https://opentelemetry.io/docs/specs/otlp/#otlphttp (read 2026-11-24)
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from google.rpc import status_pb2

from otel_llm_cost.collector.receive import RETRY_SECONDS, SIGNALS, Outcome, Receiver, Verdict

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_RPC_CODES = {"INVALID_ARGUMENT": 3, "RESOURCE_EXHAUSTED": 8, "UNAVAILABLE": 14}


def otlp_application(receiver: Receiver, health: Callable[[], tuple[int, bytes]]) -> Application:
    """POST /v1/{traces,logs,metrics} and GET /healthz."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/")
        if path == "/healthz":
            await reply(send, *health(), content_type=JSON)
            return
        signal = SIGNALS.get(path.removeprefix("/v1/")) if path.startswith("/v1/") else None
        if signal is None:
            await reply(send, 404, b"OTLP is taken at /v1/traces, /v1/logs and /v1/metrics\n")
            return
        if scope["method"] != "POST":
            await reply(send, 405, b"OTLP requests are POST\n", extra=[(b"allow", b"POST")])
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if content_type not in (PROTOBUF, JSON):
            await reply(send, 415, f"send {PROTOBUF} or {JSON}\n".encode())
            return
        encoding = headers.get(b"content-encoding", "").strip().lower()
        body = await read_body(headers, receive, receiver.max_bytes)
        if body is None:
            verdict = Verdict(Outcome.TOO_LARGE, f"larger than {receiver.max_bytes} bytes")
        else:
            verdict = await receiver.receive(
                signal,
                body,
                encoding="" if encoding == "identity" else encoding,
                is_json=content_type == JSON,
            )
        await _answer(send, verdict, content_type)

    return application


async def read_body(headers: MutableMapping[bytes, str], receive: Receive, limit: int) -> bytes | None:
    """The request's body; None when it is longer than `limit`, which is noticed before it is all there."""
    declared = headers.get(b"content-length", "")
    if declared.isdigit() and int(declared) > limit:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _answer(send: Send, verdict: Verdict, content_type: str) -> None:
    status, code = verdict.outcome.value
    if verdict.outcome is Outcome.KEPT:
        # An empty Export…Response: full success.
        await reply(send, status, b"{}" if content_type == JSON else b"", content_type=content_type)
        return
    number = _RPC_CODES[code]
    if content_type == JSON:
        body = json.dumps({"code": number, "message": verdict.message}).encode()
    else:
        body = status_pb2.Status(code=number, message=verdict.message).SerializeToString()
    retry = [(b"retry-after", str(RETRY_SECONDS).encode())] if status in (429, 503) else []
    await reply(send, status, body, content_type=content_type, extra=retry)


async def reply(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: str = "text/plain; charset=utf-8",
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Send a whole response."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *(extra or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
