"""Providers with a small format of their own: Cohere, Mistral OCR, Ollama."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_llm_cost.core.usage import Quantity
from otel_llm_cost.pricing.normalise.quantity import quantity
from otel_llm_cost.pricing.normalise.reading import Reading, compact, first, get, text
from otel_llm_cost.pricing.normalise.tokens import usage_of

COHERE_BILLED: Mapping[str, str] = {
    "input_tokens": "input_uncached",
    "output_tokens": "output",
    "search_units": "search_units",
    "images": "images",
    "image_tokens": "input_uncached_image",
}
"""Cohere charges `billed_units`, not `tokens` (docs.cohere.com/docs/rate-limits, recorded 7 against 69)."""

OCR_PAGES: Mapping[str, str] = {"pages_processed": "pages", "pages_processed_annotation": "annotated_pages"}
"""Mistral OCR `usage_info` (docs.mistral.ai/api/endpoint/ocr) → unit."""

OLLAMA: Mapping[str, str] = {"prompt_eval_count": "input_uncached", "eval_count": "output"}
"""Ollama's native counts; a prompt served from its cache is not counted at all."""


def _counts(node: Any, table: Mapping[str, str], flags: list[str]) -> dict[str, Quantity]:
    found = {}
    for name, unit in table.items():
        count = quantity(get(node, name), name, flags)
        if count is not None:
            found[unit] = count
    return found


def _reading(
    payload: Any, usage: Any, quantities: dict[str, Quantity], terms: dict[str, str], flags: list[str]
) -> Reading:
    reason = text(first(payload, ("finish_reason",), ("done_reason",), ("delta", "finish_reason")))
    return Reading(
        usage=usage_of(quantities),
        usage_source="provider" if quantities else "missing",
        response_model=text(get(payload, "model")),
        response_id=text(first(payload, ("id",), ("generation_id",))),
        terms=terms,
        flags=tuple(flags),
        finish_reasons=(reason,) if reason else (),
        raw_usage=compact(usage),
    )


def read_cohere(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Cohere v1 and v2: chat, embed, rerank, classify."""
    holder = first(payload, ("usage",), ("meta",), ("delta", "usage"), ("response", "meta"))
    billed = get(holder, "billed_units")
    flags: list[str] = []
    quantities = _counts(billed, COHERE_BILLED, flags)
    return _reading(payload, holder, quantities, terms, flags)


def read_ocr(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Mistral OCR."""
    usage = get(payload, "usage_info")
    flags: list[str] = []
    quantities = _counts(usage, OCR_PAGES, flags)
    if annotated := quantities.get("annotated_pages"):
        quantities["pages"] = max(0, quantities.get("pages", 0) - annotated)
    elif get(payload, "document_annotation") is not None and "pages" in quantities:
        quantities["annotated_pages"] = quantities.pop("pages")
    return _reading(payload, usage, quantities, terms, flags)


def read_ollama(payload: Any, _provider: str, terms: dict[str, str]) -> Reading:
    """Ollama's native chat and generate."""
    flags: list[str] = []
    quantities = _counts(payload, OLLAMA, flags)
    facts = {name: get(payload, name) for name in OLLAMA if get(payload, name) is not None}
    return _reading(payload, facts or None, quantities, terms, flags)
