"""`python -m otel_llm_cost.cli`: the command line where no console script is installed."""

from __future__ import annotations

from otel_llm_cost.cli import main

main()
