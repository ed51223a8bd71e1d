"""Know what every LLM call costs, who spent it, and stop it before it passes the budget.

The names of `__all__` are the whole public face. Each is loaded when it is first used, so that importing the
package costs an app nothing at start-up.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_llm_cost.core.errors import BudgetExceeded, CallDenied
    from otel_llm_cost.core.tags import tags
    from otel_llm_cost.core.usage import Usage
    from otel_llm_cost.plugin import instrument, uninstrument
    from otel_llm_cost.quote import price

__version__ = "0.1.0"

__all__ = [
    "BudgetExceeded",
    "CallDenied",
    "Usage",
    "__version__",
    "instrument",
    "price",
    "tags",
    "uninstrument",
]

_HOMES = {
    "BudgetExceeded": "core.errors",
    "CallDenied": "core.errors",
    "Usage": "core.usage",
    "instrument": "plugin",
    "price": "quote",
    "tags": "core.tags",
    "uninstrument": "plugin",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Face(ModuleType):
    """The package as apps see it: `instrument` is the function, though a subpackage has that name too."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            return  # the import system binds each submodule to its parent; `sys.modules` has it all the same
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
