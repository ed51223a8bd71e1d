"""Which spans and records may be billable, told from their bytes: names stand in them in clear.

Searching for one name costs a third of a microsecond per span, so no more are searched for than needed.
"""

from __future__ import annotations

from functools import lru_cache

from otel_llm_cost.core.semconv import SCOPE

Markers = tuple[bytes, ...]

GEN_AI: Markers = (b"gen_ai.",)
SPAN_MARKERS: Markers = (*GEN_AI, b"llm.", b"ai.usage.", b"langfuse.observation", b"mlflow.")
"""One of them at least stands in every span that may be billable. `llm.` is OpenInference and old
OpenLLMetry, `ai.usage.` Vercel's SDK; all others write `gen_ai.`."""
RECORD_MARKERS: Markers = (*GEN_AI, b"llm_cost.", b"codex.sse_event", b"gemini_cli")
"""The same for log records."""

PLAIN_SCOPES = (
    "opentelemetry.instrumentation.",
    "io.opentelemetry.",
    "@opentelemetry/",
    "go.opentelemetry.io/",
    "OpenTelemetry.Instrumentation.",
    "Microsoft.AspNetCore",
    "System.Net.Http",
)
"""Scopes of OpenTelemetry's own instrumentations, which make most of the spans there are; those of models
among them write `gen_ai.` and nothing else."""
KEPT_SCOPES = (SCOPE, "com.anthropic.claude_code")
"""Scopes whose spans and records are all candidates."""


@lru_cache(maxsize=4096)
def markers_of(scope: str, is_record: bool = False) -> Markers:
    """What to search for in the items of a scope; nothing to search for means that all are candidates."""
    if scope.startswith(KEPT_SCOPES):
        return ()
    if is_record:
        return RECORD_MARKERS
    return GEN_AI if scope.startswith(PLAIN_SCOPES) else SPAN_MARKERS
