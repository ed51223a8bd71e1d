"""Every error that may leave this package, drawn as a tree.

    LLMCostError
    ├── ConfigError        a setting is wrong; says file, line, key and what was expected
    ├── MissingExtra       an optional dependency is not installed; says the pip command
    ├── StoreError         the ledger cannot be reached or refuses; says what to do
    └── CallDenied         a policy refused the call: the only one that may reach user code
        └── BudgetExceeded a hard budget limit would be passed

Provider errors are not here: they pass through unchanged.
"""

from __future__ import annotations

import importlib
from typing import Any


class LLMCostError(Exception):
    """Base of all our errors. `str(error)` is one sentence for a person: what is wrong and what to do."""


class ConfigError(LLMCostError):
    """A setting is wrong. The text names the file and line (or variable), the key, what was expected."""


class MissingExtra(LLMCostError):  # noqa: N818 - it is read as a fact, not as a fault
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed; run: pip install 'otel-llm-cost[{extra}]'")
        self.module = module
        self.extra = extra


class StoreError(LLMCostError):
    """The ledger's store cannot be reached, or refused what was asked."""


class CallDenied(LLMCostError):  # noqa: N818
    """A policy refused the call before it was made; nothing was sent and nothing was billed."""


class BudgetExceeded(CallDenied):
    """The call could pass a hard budget limit."""


def require(module: str, extra: str) -> Any:
    """Import an optional dependency, or say which extra brings it.

    Raises MissingExtra when the module (or one that it needs) is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra((error.name or module).partition(".")[0], extra) from error
