"""Budgets as rows, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from otel_llm_cost.budgets.lease import Identity, State
from otel_llm_cost.budgets.measure import GRAIN, Measure
from otel_llm_cost.budgets.rules import Facets, Rules, identify
from otel_llm_cost.core.cost import to_text

ACCOUNT = (
    "budget",
    "subject",
    "action",
    "measure",
    "limit",
    "spent",
    "reserved",
    "unknown",
    "left",
    "resets_at",
)
"""What an account shows. reserved: by running processes. unknown: of calls whose outcome nobody knows."""


def accounts(rules: Rules, states: Iterable[State], now: int) -> list[dict[str, Any]]:
    """Every account of the running periods, and an empty one for each budget without."""
    by_budget: dict[str, list[State]] = {}
    for state in states:
        by_budget.setdefault(state.account.budget, []).append(state)
    rows = []
    for budget in rules.budgets:
        facts = dict.fromkeys(rules.keys, "")
        period = identify(budget, facts, now).period
        found = [
            state
            for state in by_budget.get(budget.name, ())
            if state.account.period == period and state.account.measure == budget.limit.measure
        ]
        limit = rules.limit(budget, now)
        if not found:
            identity = identify(budget, facts, now)._replace(subject="")
            found = [State(identity, limit, 0, 0, 0, 0, 0, 0)]
        rows += [_row(state, limit, budget.action) for state in found]
    return rows


def matching(rules: Rules, states: Iterable[State], facets: Facets, now: int) -> list[dict[str, Any]]:
    """The accounts that a call of these facets must agree with."""
    by_key = {state.account.key: state for state in states}
    return [
        _row(by_key.get(identity.key) or State(identity, limit, 0, 0, 0, 0, 0, 0), limit, action)
        for _, identity, limit, action in rules.matching(facets, now)
    ]


def _row(state: State, limit: int, action: str) -> dict[str, Any]:
    account = state.account
    unknown = state.unknown + state.dead
    spent = state.spent + state.adjusted
    reserved = state.leased - state.dead
    amounts = {
        "limit": limit,
        "spent": spent,
        "reserved": reserved,
        "unknown": unknown,
        "left": limit - spent - reserved - unknown,
    }
    return {
        "budget": account.budget,
        "subject": unquote(account.subject),
        "action": action,
        "measure": account.measure,
        **{name: amount(number, account.measure) for name, number in amounts.items()},
        "resets_at": None if account.end is None else instant(account.end),
        "_left": amounts["left"] * GRAIN[account.measure],
    }


def has_room(row: Mapping[str, Any], need: Mapping[str, int]) -> bool:
    """Whether an account has room for what is needed, or for anything where that is not said."""
    left: int = row["_left"]
    return left >= need.get(row["measure"], 1)


def amount(grains: int, measure: Measure) -> str | int:
    """Money as a plain decimal string, counts as whole numbers."""
    return to_text(grains * GRAIN[measure]) if measure == "usd" else grains


def usd(atto: int) -> str:
    """Atto-dollars as a plain decimal string."""
    return to_text(atto)


def instant(seconds: int) -> str:
    """Unix seconds as ISO 8601."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_title(account: Identity) -> dict[str, str]:
    """The columns that say which account a row is about."""
    return {"budget": account.budget, "subject": unquote(account.subject), "period": account.period}


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str, name: str, **more: Any) -> str:
    """Rows as JSON (`{name: […], …}`) or as a table."""
    if form == "json":
        plain = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
        return json.dumps({name: plain, **more}, indent=2, default=str) + "\n"
    if not rows:
        return f"no {name}\n"
    cells = [[column.replace("_", " ") for column in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    numeric = [all(_is_number(row.get(column)) for row in rows) for column in columns]
    lines = []
    for line in cells:
        parts = [
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines) + "\n"


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).removeprefix("-").isdigit()
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
