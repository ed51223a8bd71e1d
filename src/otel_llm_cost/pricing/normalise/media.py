"""OpenAI images, transcription, speech and realtime; audio by the second or by the token."""

from __future__ import annotations

from typing import Any

from otel_llm_cost.core.call import Part
from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.chat import served_terms
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import Reading, compact, first, get, sequence, text
from otel_llm_cost.pricing.normalise.tokens import Shape, by_path, read_tokens, usage_of

IMAGES = Shape(
    source="openai 3.57 types/images_response.py",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("input_tokens_details", "cached_tokens"),),
    input_modal=by_path(image=("input_tokens_details", "image_tokens")),
    cached_modal=by_path(image=("input_tokens_details", "cached_tokens_details", "image_tokens")),
)
TRANSCRIPTION = Shape(
    source="openai 3.57 types/audio/transcription.py UsageTokens",
    input=(("input_tokens",), ("prompt_tokens",)),
    output=(("output_tokens",), ("completion_tokens",)),
    cache_read=(("input_token_details", "cached_tokens"),),
    input_modal=by_path(audio=("input_token_details", "audio_tokens")),
)
REALTIME = Shape(
    source="openai 3.57 types/realtime/realtime_response_usage.py (note: token_details, singular)",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cache_read=(("input_token_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")),
    input_modal=by_path(
        audio=("input_token_details", "audio_tokens"), image=("input_token_details", "image_tokens")
    ),
    cached_modal=by_path(
        audio=("input_token_details", "cached_tokens_details", "audio_tokens"),
        image=("input_token_details", "cached_tokens_details", "image_tokens"),
    ),
    output_modal=by_path(audio=("output_token_details", "audio_tokens")),
)
SVG = Shape(
    source="openai 3.57 types/images_response.py svg_usage",
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    reasoning=(("reasoning_tokens",),),
)


def _reading(
    payload: Any,
    usage: Any,
    quantities: dict[str, Quantity],
    terms: dict[str, str],
    flags: list[str],
    parts: tuple[Part, ...] = (),
) -> Reading:
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        response_id=text(get(payload, "id")),
        terms={**terms, **served_terms(payload, usage)},
        parts=parts,
        flags=tuple(flags),
        raw_usage=compact(usage),
    )


def read_images(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Images made or edited: tokens where the model bills tokens, else pieces."""
    usage = get(payload, "usage")
    flags: list[str] = []
    parts: tuple[Part, ...] = ()
    if usage is None:
        made = len(sequence(get(payload, "data")))
        quantities: dict[str, Quantity] = {"images": made} if made else {}
    else:
        quantities = read_tokens(usage, IMAGES, flags)
        if "output" in quantities:  # without a split every output token is an image token
            total = quantities["output"]
            written = quantity(get(usage, "output_tokens_details", "text_tokens"), "text_tokens", flags) or 0
            quantities["output"] = min(written, total)
            quantities["output_image"] = total - quantities["output"]
    svg = get(payload, "svg_usage")
    if svg is not None and text(get(svg, "model")):
        parts = (Part(text(get(svg, "model")), usage_of(read_tokens(svg, SVG, flags))),)
    for key, term in (("size", "image_size"), ("quality", "image_quality")):
        if isinstance(value := get(payload, key), str):
            terms = {**terms, term: value.lower()}
    return _reading(payload, usage, quantities, terms, flags, parts)


def read_audio(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Speech to text: tokens, or seconds (`usage`, or the `duration` of verbose answers)."""
    usage = get(payload, "usage")
    flags: list[str] = []
    seconds = quantity(
        first(payload, ("usage", "seconds"), ("usage", "prompt_audio_seconds")), "seconds", flags
    )
    if seconds is None and first(usage, ("input_tokens",), ("prompt_tokens",)) is None:
        seconds = quantity(get(payload, "duration"), "duration", flags)
    quantities: dict[str, Quantity] = read_tokens(usage, TRANSCRIPTION, flags) if usage is not None else {}
    if seconds is not None:
        quantities["audio_seconds"] = seconds
    return _reading(payload, usage, quantities, terms, flags)


def read_speech(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Text to speech: tokens where they are told, else the characters that the request side counted."""
    usage = get(payload, "usage")
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    if usage is not None:
        quantities = read_tokens(usage, TRANSCRIPTION, flags)
        if "output" in quantities:
            quantities["output_audio"] = quantities.pop("output")
    characters = quantity(get(payload, "characters"), "characters", flags)
    if characters:
        quantities["characters"] = characters
    return _reading(payload, usage, quantities, terms, flags)


def read_realtime(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """One finished response of a realtime session (`response.done`)."""
    usage = first(payload, ("response", "usage"), ("usage",))
    flags: list[str] = []
    quantities = read_tokens(usage, REALTIME, flags) if usage is not None else {}
    seconds = quantity(get(usage, "seconds"), "seconds", flags)
    if seconds:
        quantities["audio_seconds"] = seconds
    return _reading(payload, usage, quantities, terms, flags)
