"""Google Gemini: generateContent, Live, Interactions and embedContent, on the Gemini API and Vertex AI."""

from __future__ import annotations

from typing import Any

from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.quantity import quantity, tokens
from otel_llm_cost.pricing.normalise.reading import Reading, compact, first, get, sequence, text
from otel_llm_cost.pricing.normalise.tokens import Shape, read_tokens, usage_of

MODALITY = {"AUDIO": "audio", "IMAGE": "image", "VIDEO": "video"}
"""Modalities that may have a price of their own; TEXT and DOCUMENT are text."""


def _modal(*names: str) -> Any:
    """Counts by modality from lists of {modality, tokenCount}; several lists add up."""

    def counts(usage: Any, flags: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for camel in names:
            for item in sequence(first(usage, (camel,), (_snake(camel),))):
                modality = MODALITY.get(str(get(item, "modality")).rpartition(".")[2].upper())
                count = tokens(first(item, ("tokenCount",), ("token_count",)), camel, flags)
                if modality and count:
                    found[modality] = found.get(modality, 0) + count
        return found

    return counts


def _snake(camel: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in camel)


def _both(*camels: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for camel in camels for name in (camel, _snake(camel)))


GENERATE = Shape(
    # total = prompt + candidates + tool_use_prompt + thoughts; prompt ⊇ cached; candidates exclude thoughts.
    source="google-genai 3.6 UsageMetadata; recorded 5 + 1 + 51 = 57",
    input=_both("promptTokenCount"),
    extra_input=_both("toolUsePromptTokenCount"),
    output=_both("candidatesTokenCount", "responseTokenCount"),
    cache_read=_both("cachedContentTokenCount"),
    reasoning=_both("thoughtsTokenCount"),
    reasoning_inside=False,
    input_modal=_modal("promptTokensDetails", "toolUsePromptTokensDetails"),
    cached_modal=_modal("cacheTokensDetails"),
    output_modal=_modal("candidatesTokensDetails", "responseTokensDetails"),
)
INTERACTIONS = Shape(
    source="google-genai 3.6 interactions Usage; total_tokens settles whether thoughts are inside",
    input=(("total_input_tokens",),),
    extra_input=(("total_tool_use_tokens",),),
    output=(("total_output_tokens",),),
    total=(("total_tokens",),),
    cache_read=(("total_cached_tokens",),),
    reasoning=(("total_thought_tokens",), ("total_reasoning_tokens",)),
    reasoning_inside=False,
)


def read(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """One generateContent answer, or one chunk of it (counts are cumulative)."""
    usage = first(payload, ("usageMetadata",), ("usage_metadata",))
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    if usage is not None:
        terms = {**terms, **_served_terms(usage)}
        quantities = read_tokens(usage, GENERATE, flags)
        if "output" not in quantities and quantities:
            # A prompt that was blocked, or an answer of thoughts alone, has no candidates count.
            thoughts = tokens(first(usage, *GENERATE.reasoning), "thoughtsTokenCount", flags) or 0
            quantities |= {"output": thoughts, **({"reasoning": thoughts} if thoughts else {})}
        _grounding(payload, quantities)
    elif statistics := _embedding_tokens(payload, flags):
        quantities["input_uncached"] = statistics
    return _reading(payload, usage, quantities, terms, flags)


def read_interaction(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """One Interactions API result."""
    usage = first(payload, ("interaction", "usage"), ("usage",))
    flags: list[str] = []
    quantities: dict[str, Quantity] = {}
    if usage is not None:
        terms = {**terms, **_served_terms(usage)}
        quantities = read_tokens(usage, INTERACTIONS, flags)
        for item in sequence(get(usage, "grounding_tool_count")):
            count = quantity(get(item, "count"), "grounding_tool_count", flags) or 0
            quantities["grounding_queries"] = quantities.get("grounding_queries", 0) + count
        if quantities.get("grounding_queries"):
            quantities["grounded_prompts"] = 1
    return _reading(payload, usage, quantities, terms, flags)


def _reading(
    payload: Any, usage: Any, quantities: dict[str, Quantity], terms: dict[str, str], flags: list[str]
) -> Reading:
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(
            first(payload, ("modelVersion",), ("model_version",), ("interaction", "model"), ("model",))
        ),
        response_id=text(first(payload, ("responseId",), ("response_id",), ("interaction", "id"), ("id",))),
        terms=terms,
        flags=tuple(flags),
        finish_reasons=tuple(
            str(reason).rpartition(".")[2]
            for candidate in sequence(get(payload, "candidates"))
            if (reason := first(candidate, ("finishReason",), ("finish_reason",)))
        ),
        raw_usage=compact(usage),
    )


def _served_terms(usage: Any) -> dict[str, str]:
    terms = {}
    tier = first(usage, ("serviceTier",), ("service_tier",))
    traffic = first(usage, ("trafficType",), ("traffic_type",))
    if tier:
        terms["service_tier"] = str(tier).rpartition(".")[2].lower()
    if traffic:
        terms["traffic_type"] = str(traffic).rpartition(".")[2].lower()
    return terms


def _grounding(payload: Any, quantities: dict[str, Quantity]) -> None:
    """Both things that Google has billed: the grounded prompt (2.5) and its unique queries (3 and later).

    Which of the two has a price is a fact of the model, in the overlay.
    """
    queries: set[str] = set()
    grounded = False
    for candidate in sequence(get(payload, "candidates")):
        metadata = first(candidate, ("groundingMetadata",), ("grounding_metadata",))
        if metadata is None:
            continue
        for name in ("webSearchQueries", "imageSearchQueries"):
            for query in sequence(first(metadata, (name,), (_snake(name),))):
                if isinstance(query, str) and query.strip():
                    queries.add(query.strip())
        grounded = grounded or bool(sequence(first(metadata, ("groundingChunks",), ("grounding_chunks",))))
    if queries or grounded:
        quantities["grounded_prompts"] = 1
        quantities["grounding_queries"] = len(queries)


def _embedding_tokens(payload: Any, flags: list[str]) -> int:
    """Vertex AI counts tokens per embedding; the Gemini API tells nothing."""
    return sum(
        tokens(first(item, ("statistics", "tokenCount"), ("statistics", "token_count")), "token_count", flags)
        or 0
        for item in sequence(get(payload, "embeddings"))
    )
