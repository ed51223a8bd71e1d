"""What an SDK's file says about it: names as strings, so that nothing of the SDK is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_llm_cost.pipeline import Pipeline

Wrap = Callable[[Callable[..., Any], "Sdk", "Pipeline"], Callable[..., Any]]
"""From the original function to the one that takes its place."""


@dataclass(frozen=True, slots=True)
class WrapPoint:
    """A function of the SDK to take the place of.

    attribute: `Class.method` in `module`. optional: absent in some supported versions, and not missed there.
    """

    module: str
    attribute: str
    wrap: Wrap
    optional: bool = False

    @property
    def path(self) -> str:
        """As `doctor` shows it."""
        return f"{self.module}.{self.attribute}"


@dataclass(frozen=True, slots=True)
class Route:
    """A billable path. operation: `gen_ai.operation.name`. api: the key of `pricing.normalise`.

    asks_usage: streams carry usage only if `stream_options.include_usage` is set.
    ends: what the last event of a complete stream contains, any of them.
    deltas: keys under which a stream's events carry generated text.
    """

    operation: str
    api: str
    asks_usage: bool = False
    ends: tuple[bytes, ...] = ()
    deltas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK.

    package: import name. distribution: what is installed, where its name differs. oldest: lowest supported
    version. provider: its own (`gen_ai.provider.name`), where neither client class nor host says otherwise.
    flavours: provider by client class. routes: billable paths, by exact suffix. native_scope: the
    instrumentation scope of the spans that the SDK emits itself. modules: modules of the SDK whose import
    is waited for.
    family: our module with `points(package)`, which is loaded when one of them is imported.
    """

    name: str
    package: str
    oldest: str
    provider: str
    routes: Mapping[str, Route]
    modules: tuple[str, ...]
    family: str
    flavours: Mapping[str, str] = field(default_factory=dict)
    native_scope: str = ""
    distribution: str = ""

    @property
    def installs(self) -> str:
        """What to `pip install`."""
        return self.distribution or self.package

    def route(self, url: str) -> Route | None:
        """The billable path that `url` ends in, query aside; None for everything else."""
        path = url.partition("?")[0]
        found = self.routes.get(path)
        if found is None:
            for suffix, route in self.routes.items():
                if path.endswith(suffix):
                    return route
        return found
