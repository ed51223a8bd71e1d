"""Any emitter's span or record → Call: the collector's and the in-app exporter's common first step.

Our own spans say everything under our own names. For the others, tables (names.yaml, emitters.yaml) say what
they call things, which of their spans are one billable request, and what their totals include.
"""

from __future__ import annotations

from otel_llm_cost.normalise.candidates import markers_of
from otel_llm_cost.normalise.emitted import OWN, Billable, Emitted, Passed
from otel_llm_cost.normalise.read import Normaliser
from otel_llm_cost.normalise.tables import Tables, default_tables

__all__ = [
    "OWN",
    "Billable",
    "Emitted",
    "Normaliser",
    "Passed",
    "Tables",
    "default_tables",
    "markers_of",
]
