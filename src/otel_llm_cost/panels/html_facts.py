"""The head of the page: the few numbers that matter, and what to do where they are not whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from otel_llm_cost.core.semconv import WELL_KNOWN_TAGS
from otel_llm_cost.ledger.query import KEYS
from otel_llm_cost.panels.html_text import safe
from otel_llm_cost.panels.units import UNKNOWN, count, exact, money, share, short


def is_tag(key: str) -> bool:
    """Whether somebody has to set this key; every call has the others by itself."""
    return key in WELL_KNOWN_TAGS or key not in KEYS


def facts(rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The summary as a description list."""
    cost = total["effective_cost"]
    input_tokens = total["input_tokens"]
    entries = [
        ("Effective cost", _cost(total), _cost_note(total)),
        ("Calls", count(total["calls"]), _failed(total["failed_attempts"])),
        (
            "Tokens",
            short(input_tokens + total["output_tokens"]),
            f"{short(input_tokens)} in, {short(total['output_tokens'])} out",
        ),
        (
            "Read from cache",
            share(Decimal(total["cache_read_tokens"]) / input_tokens) if input_tokens else "none",
            "of input tokens",
        ),
    ]
    entries += [
        (f"Without {key}", *_untagged([row for row in rows if row[key] is None], cost))
        for key in keys
        if is_tag(key)
    ]
    cells = "".join(
        f'<div><dt>{safe(name)}</dt><dd>{value}</dd><dd class="more">{safe(more)}</dd></div>'
        for name, value, more in entries
    )
    return f'<dl class="facts">{cells}</dl>\n'


def notes(rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], keys: Sequence[str]) -> str:
    """What is missing from the numbers, and what to do about it; nothing when they are whole."""
    sentences = []
    if total["is_lower_bound"]:
        sentences.append(
            f"The total is a lower bound: {_calls(total['unpriced_calls'])} without a price. Which models "
            "they are says <code>otel-llm-cost report --by model</code>; why, <code>otel-llm-cost explain "
            "CALL_ID</code>. Add the price to the file that <code>price_overrides</code> names."
        )
    if total["estimated_calls"]:
        sentences.append(
            f"{_calls(total['estimated_calls'])} estimated: the provider sent no usage for them, as when a "
            "stream is cut off."
        )
    missing = [key for key in keys if is_tag(key) and any(row[key] is None for row in rows)]
    if missing:
        name = safe(missing[0])
        sentences.append(
            f"Some calls carry no {safe(' or no '.join(missing))}. Set it for a process with "
            f"<code>OTEL_LLM_COST_TAGS={name}=…</code>, or in code with "
            f"<code>with otel_llm_cost.tags({name}=…)</code>."
        )
    if not sentences:
        return ""
    return f'<ul class="notes">{"".join(f"<li>{sentence}</li>" for sentence in sentences)}</ul>\n'


def _untagged(rows: Sequence[Mapping[str, Any]], cost: Any) -> tuple[str, str]:
    """What rows without a tag cost, and their share of the cost."""
    known = [Decimal(row["effective_cost"]) for row in rows if row["effective_cost"] is not None]
    if not rows:
        return "none", "every call has one"
    if not known:
        return f'<span class="absent">{UNKNOWN}</span>', "no price is known"
    amount = sum(known, Decimal(0))
    part = f"{share(amount / Decimal(cost))} of the cost" if Decimal(cost) else ""
    return _amount(amount), part


def _cost(total: Mapping[str, Any]) -> str:
    if total["effective_cost"] is None:
        return f'<span class="absent">{UNKNOWN}</span>'
    shown = _amount(Decimal(total["effective_cost"]))
    return f'<span class="at-least">≥</span> {shown}' if total["is_lower_bound"] else shown


def _cost_note(total: Mapping[str, Any]) -> str:
    if total["effective_cost"] is None:
        return "no call has a known price"
    if total["unpriced_calls"]:
        calls = total["unpriced_calls"]
        return f"at least: {'1 call has' if calls == 1 else f'{count(calls)} calls have'} no price"
    return "at least: some costs are not known" if total["is_lower_bound"] else "US dollars"


def _amount(amount: Decimal) -> str:
    return f'<span title="{exact(amount)} USD">{safe(money(amount))}</span>'


def _failed(attempts: int) -> str:
    if not attempts:
        return "no failed attempts"
    return "1 failed attempt" if attempts == 1 else f"{count(attempts)} failed attempts"


def _calls(number: int) -> str:
    return "1 call is" if number == 1 else f"{count(number)} calls are"
