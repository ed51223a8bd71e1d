"""The ui port: health, metrics, and the ledger's named queries for whoever holds the token."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from otel_llm_cost.collector.http_server import (
    JSON,
    Application,
    Receive,
    Scope,
    Send,
    read_body,
    reply,
)
from otel_llm_cost.core.errors import ConfigError, StoreError

log = logging.getLogger("otel_llm_cost.collector")

MAX_QUERY_BYTES = 1 << 20
Query = Callable[[str, Mapping[str, Any]], bytes]
"""Named query and its parameters → the answer as JSON. Raises ConfigError for a query that does not exist or
has no such parameter, StoreError for what the ledger refuses."""


def page_application(
    *,
    token: str,
    query: Query,
    job: Query,
    health: Callable[[], tuple[int, bytes]],
    metrics: Callable[[], bytes],
) -> Application:
    """GET /healthz and /metrics for anyone on this address; with the token POST /v1/query/<name>, and
    /v1/jobs/<name> for one step of a job that changes the ledger."""
    asked = {"/v1/query/": query, "/v1/jobs/": job}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path == "/healthz":
            await reply(send, *health(), content_type=JSON)
        elif path == "/metrics":
            await reply(send, 200, metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")
        elif start := next((start for start in asked if path.startswith(start)), None):
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            if not _is_allowed(headers, token):
                await _refuse(send, 401, "give the token of collector.json as a bearer token")
            elif method != "POST":
                await _refuse(send, 405, "queries and jobs are POST")
            else:
                body = await read_body(headers, receive, MAX_QUERY_BYTES)
                await _answer(send, asked[start], path.removeprefix(start), body)
        else:
            await _refuse(send, 404, "there is nothing here; see /healthz and /metrics")

    return application


async def _answer(send: Send, query: Query, name: str, body: bytes | None) -> None:
    try:
        params = json.loads(body or b"{}")
        if not isinstance(params, dict):
            raise ValueError("parameters are an object")
    except ValueError:
        await _refuse(send, 400, "the body is no JSON object")
        return
    try:
        answer = await asyncio.to_thread(query, name, params)
    except ConfigError as error:
        await _refuse(send, 400, str(error))
    except StoreError as error:
        await _refuse(send, 503, str(error))
    except Exception:
        log.exception("query %s failed", name)
        await _refuse(send, 500, "the query failed; see the collector's log")
    else:
        await reply(send, 200, answer, content_type=JSON)


def _is_allowed(headers: Mapping[bytes, str], token: str) -> bool:
    scheme, _, given = headers.get(b"authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())


async def _refuse(send: Send, status: int, sentence: str) -> None:
    await reply(send, status, json.dumps({"error": sentence}).encode(), content_type=JSON)
