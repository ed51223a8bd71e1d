"""Where rows go, and how a ledger is asked, wherever it is and whoever has it open."""

from __future__ import annotations

from otel_llm_cost.sinks.opening import Ledger, open_ledger
from otel_llm_cost.sinks.wire import Result

__all__ = ["Ledger", "Result", "open_ledger"]
