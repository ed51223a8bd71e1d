"""How OpenAI talks: headers, errors, and what chat, completions and responses have in common."""

from __future__ import annotations

import base64
import os
import struct
import time
from collections.abc import Mapping
from typing import Any

from .cache import PromptCache
from .generation import Generated, used
from .prices import MODELS, Model, model_named
from .quantities import Quantities
from .reply import Refusal, Reply, letters
from .script import Step
from .text import json_of, pieces, strings

_ERROR_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    429: ("rate_limit_exceeded", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", None),
}
PER_MESSAGE = 3
"""Tokens around each message of a chat."""


class OpenAIWire:
    """OpenAI's headers and errors."""

    provider = "openai"

    def headers(self, request_id: str) -> dict[str, str]:
        """As api.openai.com sends them."""
        return {
            "x-request-id": request_id,
            "openai-organization": "demo",
            "openai-version": "2020-10-01",
            "openai-processing-ms": "12",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:  # noqa: ARG002 - it is in the headers
        """`{"error": {message, type, param, code}}`."""
        kind, code = _ERROR_TYPES.get(refusal.status, ("invalid_request_error", None))
        return {
            "error": {
                "message": refusal.message,
                "type": kind,
                "param": refusal.param or None,
                "code": refusal.code or code,
            }
        }

    def error_event(self, request_id: str) -> bytes:
        """A data line with an error object, which the SDK raises as APIError."""
        return data_line(self.error(Refusal(500, "The server had an error. Sorry about that!"), request_id))

    def new_request_id(self) -> str:
        """`req_` and 32 hex digits."""
        return f"req_{os.urandom(16).hex()}"

    def key(self, headers: Mapping[str, str]) -> str:
        """The bearer token."""
        return headers.get("authorization", "").removeprefix("Bearer ").strip()


def data_line(value: Any) -> bytes:
    """An event without a name."""
    return f"data: {json_of(value)}\n\n".encode()


def named_event(value: Mapping[str, Any]) -> bytes:
    """An event named by its own type."""
    return f"event: {value['type']}\ndata: {json_of(value)}\n\n".encode()


def the_model(body: Mapping[str, Any], provider: str = "openai") -> Model:
    """The model a request names. Raises Refusal as OpenAI does."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "you must provide a model parameter")
    model = model_named(name, provider)
    if model is None:
        raise Refusal(
            404, f"The model `{name}` does not exist or you do not have access to it.", "model_not_found"
        )
    return model


def required(body: Mapping[str, Any], name: str) -> Any:
    """A parameter that must be there. Raises Refusal as OpenAI does."""
    value = body.get(name)
    if value is None or value == []:
        raise Refusal(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", param=name)
    return value


def meter(
    model: Model, read: tuple[Any, ...], messages: int, said: Generated, step: Step, cache: PromptCache
) -> Quantities:
    """What a call used; `read` is everything in the request that a model reads."""
    prompt = pieces("\n".join(text for each in read for text in strings(each)))
    cached, stored = cache.automatic(model.served_as, prompt) if "cache_read" in model.prices else (0, 0)
    if "cache_write" not in model.prices:
        stored = 0
    tokens = len(prompt) + PER_MESSAGE * messages
    counted = Quantities(input=tokens - cached - stored, cache_read=cached, cache_write=stored)
    return used(counted, said, step)


def completion_usage(total: Quantities, model: Model) -> dict[str, Any]:
    """`usage` of chat and legacy completions: the prompt includes what the cache read or stored."""
    prompt_details = {"cached_tokens": total.cache_read, "audio_tokens": 0}
    if "cache_write" in model.prices:
        prompt_details["cache_write_tokens"] = total.cache_write
    return {
        "prompt_tokens": total.prompt,
        "completion_tokens": total.output,
        "total_tokens": total.prompt + total.output,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": total.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


_DIMENSIONS = 8


def embeddings(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:  # noqa: ARG001 - an endpoint
    """POST /v1/embeddings: a small vector per input; no response id, and no output to pay."""
    model = the_model(body)
    texts = required(body, "input")
    inputs: list[Any] = texts if isinstance(texts, list) and not isinstance(texts[0], int) else [texts]
    counted = sum(len(pieces(each)) if isinstance(each, str) else len(each) for each in inputs)
    total = used(Quantities(input=counted), Generated(), step)
    length = body.get("dimensions") or _DIMENSIONS
    vectors = [[1.0 / (number + place + 1) for place in range(length)] for number in range(len(inputs))]
    as_text = body.get("encoding_format") == "base64"
    reply = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": _base64(vector) if as_text else vector}
            for number, vector in enumerate(vectors)
        ],
        "model": model.served_as,
        "usage": {"prompt_tokens": total.prompt, "total_tokens": total.prompt},
    }
    return Reply(body=reply | step.body, model=model.served_as, used=total)


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def models(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:  # noqa: ARG001 - an endpoint
    """GET /v1/models: free."""
    found = [name for name, model in MODELS.items() if model.provider == "openai"]
    entries = [
        {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "demo"} for name in found
    ]
    return Reply(body={"object": "list", "data": entries})


def moderations(body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:  # noqa: ARG001 - an endpoint
    """POST /v1/moderations: free."""
    result = {
        "flagged": False,
        "categories": {},
        "category_scores": {},
        "category_applied_input_types": {},
    }
    reply = {"id": f"modr-{letters(29)}", "model": "omni-moderation-latest", "results": [result]}
    return Reply(body=reply | step.body)


def now() -> int:
    """Seconds, as `created` is given."""
    return int(time.time())
