"""Every error that may leave this package, drawn as a tree.

    LLMCostError
    ├── ConfigError        a setting is wrong; says file, line, key and what was expected
    ├── MissingExtra       an optional dependency is not installed; says the pip command
    ├── StoreError         the ledger cannot be reached or refuses; says what to do
    └── CallDenied         a policy refused the call: the only one that may reach user code
        ├── BudgetExceeded a hard budget limit would be passed
        └── BreakerOpen    the call looks like part of a storm: a retry loop, an agent that runs in circles

Provider errors are not here: they pass through unchanged.
"""

from __future__ import annotations

import importlib
from decimal import Decimal
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
    """The call could pass a hard budget limit.

    budget, subject: which account. limit, spent, reserved, needed: in USD, tokens or calls, as `measure`
    says; None when the budget's store did not answer. resets_at: Unix seconds, None for never. contact: who
    to ask. status_code, retryable: what retry loops look at; trying again without a change will not help.
    """

    status_code = 402
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        budget: str = "",
        subject: str = "",
        measure: str = "usd",
        limit: Decimal | None = None,
        spent: Decimal | None = None,
        reserved: Decimal | None = None,
        needed: Decimal | None = None,
        resets_at: int | None = None,
        contact: str = "",
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.subject = subject
        self.measure = measure
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.needed = needed
        self.resets_at = resets_at
        self.contact = contact


class BreakerOpen(CallDenied):
    """The call looks like part of a storm, or its breaker has not closed again.

    breaker: which one. reason: what it saw. status_code, retryable: see BudgetExceeded.
    """

    status_code = 402
    retryable = False

    def __init__(self, message: str, *, breaker: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.breaker = breaker
        self.reason = reason


def require(module: str, extra: str) -> Any:
    """Import an optional dependency, or say which extra brings it.

    Raises MissingExtra when the module (or one that it needs) is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra((error.name or module).partition(".")[0], extra) from error
