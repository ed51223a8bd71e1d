"""Where the example app lies: beside the sources in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

from otel_llm_cost.core.errors import LLMCostError

_HERE = Path(__file__).parent
_PLACES = (_HERE / "support_app", _HERE.parents[2] / "examples" / "support_app")
"""As installed (see force-include in pyproject.toml); as checked out."""


def locate() -> Path:
    """The script that starts the app. Raises LLMCostError when it was not shipped."""
    for place in _PLACES:
        if (script := place / "app.py").is_file():
            return script
    raise LLMCostError(f"the example app is not in {_PLACES[0]}; install otel-llm-cost again, from its wheel")
