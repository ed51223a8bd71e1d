"""Names in budgets that nothing else knows, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from otel_llm_cost.core.semconv import WELL_KNOWN_TAGS

if TYPE_CHECKING:
    from otel_llm_cost.budgets.definition import Budget

CALL_FACTS = ("provider", "model", "service", "operation")
"""What `match` and `per` may name besides tags."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that this one is probably meant to be, or empty."""
    by_folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else ""


def doubts(budgets: Iterable[Budget], tags: Collection[str] = (), models: Collection[str] = ()) -> list[str]:
    """What is legal but probably not meant, one sentence each: unknown tags and models, budgets that overlap.

    tags: tag keys that are in use besides the well-known ones. models: model names that have a price; when
    empty they are not checked.
    """
    budgets = list(budgets)
    known = {*WELL_KNOWN_TAGS, *CALL_FACTS, *tags, "trace", "session", "conversation"}
    return [
        *(sentence for budget in budgets for sentence in _unknown(budget, known, models)),
        *_overlaps(budgets),
    ]


def _unknown(budget: Budget, keys: Collection[str], models: Collection[str]) -> Iterator[str]:
    for key in dict.fromkeys((*budget.match, *budget.per)):
        if key not in keys:
            yield f"budget {budget.name}: no call has carried the tag {key} yet{_hint(key, keys)}"
    for model in budget.match.get("model", ()) if models else ():
        if "*" not in model and model not in models:
            yield f"budget {budget.name}: no price is known for model {model}{_hint(model, models)}"


def _hint(name: str, known: Iterable[str]) -> str:
    close = nearest(name, known)
    return f"; did you mean {close}?" if close else ""


def _overlaps(budgets: list[Budget]) -> Iterator[str]:
    seen: dict[object, str] = {}
    for budget in budgets:
        same = (
            tuple(sorted(budget.match.items())),
            budget.per,
            budget.limit.measure,
            budget.clock,
            budget.action,
        )
        if same in seen:
            yield (
                f"budgets {seen[same]} and {budget.name} watch the same calls in the same window; "
                "only the lower limit can be reached"
            )
        seen.setdefault(same, budget.name)
