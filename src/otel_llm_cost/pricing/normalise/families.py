"""Which reader and which stream fold an API's payloads need: the table, and how a payload shows its shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otel_llm_cost.pricing.normalise import bedrock, chat, gemini, media, messages, others, responses, stream
from otel_llm_cost.pricing.normalise.reading import Reading, get

Read = Callable[[Any, str, dict[str, str]], Reading]


def _never(_payload: Any, _provider: str) -> None:
    """No quick reading of this format."""


@dataclass(frozen=True, slots=True)
class Family:
    """One wire format: how to read a body, how to fold its stream.

    quick: reads what most answers are, also as an SDK's own object; None for what it leaves to `read`.
    """

    read: Read
    fold: stream.Fold
    quick: Callable[[Any, str], Reading | None] = _never


CHAT = Family(chat.read, stream.fold_chat, chat.read_plain)
RESPONSES = Family(responses.read, stream.fold_responses)
MESSAGES = Family(messages.read, stream.fold_messages)
GEMINI = Family(gemini.read, stream.fold_gemini)
INTERACTIONS = Family(gemini.read_interaction, stream.fold_interactions)
CONVERSE = Family(bedrock.read, stream.fold_converse)
NATIVE = Family(bedrock.read_native, stream.fold_last)
IMAGES = Family(media.read_images, stream.fold_last)
AUDIO = Family(media.read_audio, stream.fold_last)
SPEECH = Family(media.read_speech, stream.fold_last)
REALTIME = Family(media.read_realtime, stream.fold_realtime)
COHERE = Family(others.read_cohere, stream.fold_last)
OCR = Family(others.read_ocr, stream.fold_last)
OLLAMA = Family(others.read_ollama, stream.fold_last)

APIS: dict[str, Family] = {
    "chat.completions": CHAT,
    "chat": CHAT,
    "completions": CHAT,
    "embeddings": CHAT,
    "fim.completions": CHAT,
    "responses": RESPONSES,
    "responses.compact": RESPONSES,
    "messages": MESSAGES,
    "generatecontent": GEMINI,
    "streamgeneratecontent": GEMINI,
    "generate_content": GEMINI,
    "batchgeneratecontent": GEMINI,
    "embedcontent": GEMINI,
    "embed_content": GEMINI,
    "live": GEMINI,
    "interactions": INTERACTIONS,
    "converse": CONVERSE,
    "converse_stream": CONVERSE,
    "conversestream": CONVERSE,
    "images": IMAGES,
    "images.generate": IMAGES,
    "images.edit": IMAGES,
    "images.generations": IMAGES,
    "images.edits": IMAGES,
    "audio.transcriptions": AUDIO,
    "audio.translations": AUDIO,
    "audio.speech": SPEECH,
    "realtime": REALTIME,
    "v1/chat": COHERE,
    "v2/chat": COHERE,
    "v1/embed": COHERE,
    "v2/embed": COHERE,
    "embed": COHERE,
    "v1/rerank": COHERE,
    "v2/rerank": COHERE,
    "rerank": COHERE,
    "ocr": OCR,
    "api/chat": OLLAMA,
    "api/generate": OLLAMA,
}
"""API name, as OpenTelemetry instrumentations and our SDK tables spell it, lower case → its wire format.

Names that carry any of several formats (`batch`, `rawPredict`, `invoke_model`) are absent: the payload
shows its shape.
"""

NOISE = ("beta ", "beta.", "vertex ", "bedrock ", "azure ", " stream", ".stream", ".create", ".parse")
"""Words around an API's name that do not change the format."""

BATCH_APIS = frozenset(("batch", "batches", "message batches", "batchgeneratecontent"))
"""APIs whose every result is a batch result."""

SHAPES: tuple[tuple[tuple[str, ...], Family], ...] = (
    (("usageMetadata",), GEMINI),
    (("usage_metadata",), GEMINI),
    (("usage_info", "pages_processed"), OCR),
    (("usage", "inputTokens"), CONVERSE),
    (("metadata", "usage", "inputTokens"), CONVERSE),
    (("amazon-bedrock-invocationMetrics",), MESSAGES),
    (("usage", "billed_units"), COHERE),
    (("meta", "billed_units"), COHERE),
    (("usage", "total_input_tokens"), INTERACTIONS),
    (("interaction", "usage"), INTERACTIONS),
    (("usage", "prompt_tokens"), CHAT),
    (("x_groq", "usage"), CHAT),
    (("usage", "input_token_details"), REALTIME),
    (("response", "usage", "input_token_details"), REALTIME),
    (("usage", "cache_creation_input_tokens"), MESSAGES),
    (("usage", "cache_read_input_tokens"), MESSAGES),
    (("usage", "cache_creation"), MESSAGES),
    (("usage", "server_tool_use"), MESSAGES),
    (("usage", "seconds"), AUDIO),
    (("usage", "input_tokens_details"), RESPONSES),
    (("prompt_eval_count",), OLLAMA),
    (("inputTextTokenCount",), NATIVE),
    (("generation_token_count",), NATIVE),
    (("usage", "total_tokens"), CHAT),
    (("usage", "input_tokens"), MESSAGES),
)
"""A path that is present → the format; the first that holds decides. Last resort: the bare pair of counts."""

OBJECTS: dict[str, Family] = {
    "chat.completion": CHAT,
    "chat.completion.chunk": CHAT,
    "text_completion": CHAT,
    "response": RESPONSES,
    "batch": RESPONSES,
    "message": MESSAGES,
}
"""What the body calls itself (`object`, or Anthropic's `type`) → the format."""

EVENTS: tuple[tuple[str, Family], ...] = (
    ("response.done", REALTIME),
    ("response.", RESPONSES),
    ("message_", MESSAGES),
    ("content_block_", MESSAGES),
    ("transcript.", AUDIO),
    ("speech.", SPEECH),
    ("image_", IMAGES),
    ("interaction", INTERACTIONS),
    ("message-", COHERE),
)
"""How a stream event's type begins → the format."""


def by_name(api: str) -> Family | None:
    """The format of an API by its name; None when the name carries several."""
    name = api.lower()
    if name not in APIS:
        for noise in NOISE:
            name = name.replace(noise, "")
        name = name.strip()
    return APIS.get(name)


def by_shape(payload: Any) -> Family | None:
    """The format that a body shows."""
    for key in ("object", "type"):
        family = OBJECTS.get(str(get(payload, key)))
        if family is not None:
            return family
    for path, family in SHAPES:
        if get(payload, *path) is not None:
            return family
    return None


def by_event(event: Any) -> Family | None:
    """The format that a stream event shows."""
    kind = get(event, "type") or get(event, "event_type")
    if isinstance(kind, str):
        for prefix, family in EVENTS:
            if kind.startswith(prefix):
                return family
    if any(get(event, key) is not None for key in ("messageStart", "contentBlockDelta", "metadata")):
        return CONVERSE
    return by_shape(event)


def is_batch(api: str) -> bool:
    """Whether every result of this API is a batch result."""
    return api.lower() in BATCH_APIS
