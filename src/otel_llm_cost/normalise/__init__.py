"""Any emitter's span or record → Call: the collector's and the in-app exporter's common first step.

Our own spans say everything under our own names. For the others, tables (names.yaml, emitters.yaml) say what
they call things, which of their spans are one billable request, and what their totals include.
"""

from __future__ import annotations

from otel_llm_cost.normalise.emitted import Billable, Emitted, Passed
from otel_llm_cost.normalise.read import OWN, Normaliser
from otel_llm_cost.normalise.tables import Tables, default_tables

__all__ = [
    "OWN",
    "RECORD_MARKERS",
    "SPAN_MARKERS",
    "Billable",
    "Emitted",
    "Normaliser",
    "Passed",
    "Tables",
    "default_tables",
]

SPAN_MARKERS = (b"gen_ai.", b"llm_cost.", b"llm.", b"ai.usage.", b"langfuse.observation", b"mlflow.chat")
"""Bytes of which one at least stands in every serialised span that may be billable."""
RECORD_MARKERS = (*SPAN_MARKERS, b"claude_code", b"codex.sse_event", b"gemini_cli")
"""The same for log records."""
