"""The billable units: the single place that says what can be metered, and how it is counted.

Units are disjoint: a token is counted in exactly one of them, so that quantities can be multiplied by
rates and summed without charging anything twice. Totals (`input_tokens`, `output_tokens`) are derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["input", "output", "fee", "note"]
"""`input` and `output` are reported as a whole: a later report of a family replaces the earlier one.
Each `fee` unit stands alone. `note` units inform and are never priced."""

Total = Literal["cache_read", "cache_write", "plain"]

MODALITIES = ("text", "audio", "image", "video")


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing a provider meters.

    name: as in `llm_cost.usage.<name>`. per: how many of it a published price is for (1_000_000 tokens).
    modality: of token units, text unless said. part: which derived total of its family it belongs to.
    """

    name: str
    family: Family
    per: int
    meaning: str
    modality: str = "text"
    part: Total = "plain"


def _by_modality(name: str, family: Family, meaning: str, part: Total = "plain") -> tuple[Unit, ...]:
    """A token unit in every modality; text goes under the bare name."""
    return tuple(
        Unit(
            name if modality == "text" else f"{name}_{modality}",
            family,
            1_000_000,
            meaning if modality == "text" else f"{meaning}, {modality}",
            modality,
            part,
        )
        for modality in MODALITIES
    )


UNITS: tuple[Unit, ...] = (
    *_by_modality("input_uncached", "input", "prompt tokens that no cache served or stored"),
    *_by_modality("cache_read", "input", "prompt tokens read from the provider's cache", "cache_read"),
    Unit(
        "cache_write_5m", "input", 1_000_000, "prompt tokens written to a 5-minute cache", part="cache_write"
    ),
    Unit(
        "cache_write_30m",
        "input",
        1_000_000,
        "prompt tokens written to a 30-minute cache",
        part="cache_write",
    ),
    Unit("cache_write_1h", "input", 1_000_000, "prompt tokens written to a 1-hour cache", part="cache_write"),
    Unit(
        "cache_write_12h", "input", 1_000_000, "prompt tokens written to a 12-hour cache", part="cache_write"
    ),
    *_by_modality("output", "output", "generated tokens, reasoning included"),
    Unit("output_reasoning", "output", 1_000_000, "hidden reasoning tokens, where they have their own price"),
    Unit("output_citation", "output", 1_000_000, "citation tokens, where they have their own price"),
    Unit("reasoning", "note", 1_000_000, "the part of output that was hidden reasoning"),
    Unit("web_searches", "fee", 1_000, "web searches the provider ran"),
    Unit("web_fetches", "fee", 1_000, "pages the provider fetched"),
    Unit("file_searches", "fee", 1_000, "searches in files stored at the provider"),
    Unit("social_searches", "fee", 1_000, "searches in a social network's posts"),
    Unit("code_sessions", "fee", 1, "code-interpreter containers opened"),
    Unit("code_executions", "fee", 1_000, "code runs, where each run costs"),
    Unit("grounded_prompts", "fee", 1_000, "prompts that were grounded by search"),
    Unit("grounding_queries", "fee", 1_000, "unique search queries used for grounding"),
    Unit("search_units", "fee", 1_000, "rerank search units (one query over up to 100 documents)"),
    Unit("requests", "fee", 1_000, "requests, where the request itself costs"),
    Unit("images", "fee", 1, "images made or read, where images are priced by the piece"),
    Unit("pages", "fee", 1_000, "pages processed by OCR"),
    Unit("annotated_pages", "fee", 1_000, "pages processed by OCR with structured annotations"),
    Unit("characters", "fee", 1_000_000, "characters of text, where text is priced by the character"),
    Unit("audio_seconds", "fee", 3_600, "seconds of audio, where audio is priced by time"),
    Unit("video_seconds", "fee", 1, "seconds of video made"),
    Unit("messages", "fee", 1_000, "text messages sent into a voice session"),
    Unit("cache_token_hours", "fee", 1_000_000, "tokens kept in an explicit cache, times hours"),
)

UNIT: dict[str, Unit] = {unit.name: unit for unit in UNITS}

INPUT_UNITS = frozenset(unit.name for unit in UNITS if unit.family == "input")
OUTPUT_UNITS = frozenset(unit.name for unit in UNITS if unit.family == "output")
CACHE_READ_UNITS = frozenset(unit.name for unit in UNITS if unit.part == "cache_read")
CACHE_WRITE_UNITS = frozenset(unit.name for unit in UNITS if unit.part == "cache_write")
BASE_UNIT: dict[Family, str] = {"input": "input_uncached", "output": "output"}
"""The unit that is present, at least as an explicit zero, exactly when its family was reported."""
