"""What a request says before it is sent: model, limits, tags, and the terms that decide its price."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from otel_llm_cost.core import tags
from otel_llm_cost.core.call import Call
from otel_llm_cost.instrument.hosts import Target
from otel_llm_cost.instrument.sdk import Route
from otel_llm_cost.pricing import normalise

LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""Under which names a request bounds its output, the most specific first."""

TERMS = ("service_tier", "speed", "inference_geo", "size", "quality")
"""Request parameters that may decide the price (`pricing.normalise.context.CONTEXT_TERMS`)."""
SEARCH = "web_search_options"
_DECIDING = frozenset((*TERMS, SEARCH))


def body_of(options: Any) -> Mapping[str, Any]:
    """The request's JSON object; `extra_body` wins over the parameters, as it does when the SDK sends it."""
    body = options.json_data
    if not isinstance(body, Mapping):
        body = {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if extra else body


def describe(
    target: Target, route: Route, client: Any, options: Any, body: Mapping[str, Any], stream: bool
) -> Call:
    """The first attempt of a request."""
    model = body.get("model")
    return Call(
        provider=target.provider,
        operation=route.operation,
        request_model=model if isinstance(model, str) else "",
        api=route.api,
        stream=stream,
        server_address=target.host,
        server_port=target.port,
        started_at=time.time_ns(),
        max_tokens=_limit(body),
        tags=tags.current(tags.of_call(body, getattr(client, "_custom_headers", None), options.headers)),
        conversation_id=_conversation(body) if "conversation" in body else "",
        billing_account=target.billing_account,
        project=target.project,
        api_key_hash=target.api_key_hash,
    )


def price_terms(target: Target, body: Mapping[str, Any]) -> Mapping[str, str]:
    """What of the request decides the price (`core.call.Terms`); what the answer says was served beats it."""
    if _DECIDING.isdisjoint(body):
        return target.terms
    asked: dict[str, Any] = {name: body[name] for name in TERMS if name in body}
    search = body.get(SEARCH)
    if isinstance(search, Mapping):
        asked["search_context_size"] = search.get("search_context_size")
    return normalise.terms_of_context({**asked, "host": target.host})


def _limit(body: Mapping[str, Any]) -> int | None:
    for name in LIMITS:
        if name in body and isinstance(limit := body[name], int):
            return limit
    return None


def _conversation(body: Mapping[str, Any]) -> str:
    conversation = body.get("conversation")
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    return conversation if isinstance(conversation, str) else ""
