"""Price keys: how a price is written in data, with its unit in its name, so that its scale is plain."""

from __future__ import annotations

from otel_llm_cost.core.units import MODALITIES, UNIT

KEYS: dict[str, tuple[str, ...]] = {
    "input_mtok": ("input_uncached",),
    "output_mtok": ("output",),
    "cache_read_mtok": ("cache_read",),
    # A write whose lifetime is not named has the provider's default one: 5 or 30 minutes.
    "cache_write_mtok": ("cache_write_5m", "cache_write_30m"),
    "cache_write_5m_mtok": ("cache_write_5m",),
    "cache_write_30m_mtok": ("cache_write_30m",),
    "cache_write_1h_mtok": ("cache_write_1h",),
    "cache_write_12h_mtok": ("cache_write_12h",),
    **{f"input_{modality}_mtok": (f"input_uncached_{modality}",) for modality in MODALITIES[1:]},
    **{f"cache_{modality}_read_mtok": (f"cache_read_{modality}",) for modality in MODALITIES[1:]},
    **{f"output_{modality}_mtok": (f"output_{modality}",) for modality in MODALITIES[1:]},
    "output_reasoning_mtok": ("output_reasoning",),
    "output_citation_mtok": ("output_citation",),
    "input_mchars": ("characters",),
    "audio_hours": ("audio_seconds",),
    "input_audio_hours": ("audio_seconds",),
    "video_seconds_each": ("video_seconds",),
    "images_each": ("images",),
    "input_document_kpages": ("pages",),
    "input_annotated_document_kpages": ("annotated_pages",),
    "rerank_searches_kcount": ("search_units",),
    "web_searches_kcount": ("web_searches",),
    "web_fetches_kcount": ("web_fetches",),
    "social_searches_kcount": ("social_searches",),
    "storage_searches_kcount": ("file_searches",),
    "grounded_prompts_kcount": ("grounded_prompts",),
    "grounding_queries_kcount": ("grounding_queries",),
    "code_executions_kcount": ("code_executions",),
    "code_sessions_each": ("code_sessions",),
    "requests_kcount": ("requests",),
    "input_text_messages_kcount": ("messages",),
    "cache_token_hours_mtok": ("cache_token_hours",),
}
"""Price key, as genai-prices spells it (ours where it has none) → the units that it prices."""

KEY_OF_UNIT: dict[str, str] = {unit: key for key, units in reversed(KEYS.items()) for unit in units}
"""Unit → the key to write in a config for it."""
KEY_OF_UNIT |= {"cache_write_5m": "cache_write_mtok", "cache_write_30m": "cache_write_mtok"}

TOKEN_UNITS = frozenset(name for name, unit in UNIT.items() if unit.family in ("input", "output"))
FEE_UNITS = frozenset(name for name, unit in UNIT.items() if unit.family == "fee")
MODEL_UNITS = TOKEN_UNITS | {
    *("audio_seconds", "video_seconds", "characters", "images", "pages", "annotated_pages", "search_units"),
}
"""Units that are the model's own work; the others are fees of tools and requests around it."""
