"""The report's rows as a table: every row a heading, every amount exact in its tooltip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from otel_llm_cost.panels.filters import UNTAGGED
from otel_llm_cost.panels.html_charts import bar
from otel_llm_cost.panels.html_facts import is_tag
from otel_llm_cost.panels.html_text import label, safe
from otel_llm_cost.panels.units import UNKNOWN, count, exact, money, share, short

NO_NAME: Final = "(unknown)"


_ADDED_UP = (
    "calls",
    "failed_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "estimated_calls",
    "unpriced_calls",
)


@dataclass(frozen=True, slots=True)
class Headings:
    """Which columns this table has. Columns that would hold only zeros are left out."""

    keys: tuple[str, ...]
    counts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, keys: Sequence[str], total: Mapping[str, Any]) -> Headings:
        """The headings for rows by these keys."""
        optional = (
            ("failed_attempts", "Failed"),
            ("estimated_calls", "Estimated"),
            ("unpriced_calls", "Unpriced"),
        )
        return cls(tuple(keys), tuple((name, title) for name, title in optional if total[name]))


def key_name(row: Mapping[str, Any], key: str) -> str:
    """What a row is about, as text; a missing tag has a name of its own."""
    value = row[key]
    if value is None or value == "":
        return UNTAGGED if is_tag(key) else NO_NAME
    return str(value)


def head(headings: Headings) -> str:
    """The column headings."""
    keys = "".join(f'<th scope="col">{safe(key)}</th>' for key in headings.keys)
    numbers = (
        "Calls",
        "Input",
        "Output",
        "From cache",
        *(title for _, title in headings.counts),
        "Effective cost",
    )
    cells = "".join(f'<th scope="col" class="number">{safe(title)}</th>' for title in numbers)
    return f'<thead><tr>{keys}{cells}<td class="bar"></td></tr></thead>\n'


def body(rows: Sequence[Mapping[str, Any]], headings: Headings) -> str:
    """One table row per row of the report."""
    amounts = [Decimal(row["effective_cost"]) for row in rows if row["effective_cost"] is not None]
    largest = max(amounts, default=Decimal(0))
    lines = []
    for row in rows:
        names = "".join(_name(row, key) for key in headings.keys)
        cost = row["effective_cost"]
        drawn = bar(Decimal(cost), largest) if cost is not None else ""
        lines.append(f'<tr>{names}{_numbers(row, headings)}<td class="bar">{drawn}</td></tr>\n')
    return f"<tbody>\n{''.join(lines)}</tbody>\n"


def foot(left_out: Sequence[Mapping[str, Any]], total: Mapping[str, Any], headings: Headings) -> str:
    """The total, and before it one line for rows that are not written one by one."""
    lines = []
    span = max(len(headings.keys), 1)
    if left_out:
        lines.append(_foot_line(f"{count(len(left_out))} more rows", _sum(left_out), headings, span))
    lines.append(_foot_line("Total", total, headings, span))
    return f"<tfoot>\n{''.join(lines)}</tfoot>\n"


def _foot_line(name: str, row: Mapping[str, Any], headings: Headings, span: int) -> str:
    first = f'<th scope="row" colspan="{span}">{safe(name)}</th>' if headings.keys else ""
    return f'<tr>{first}{_numbers(row, headings)}<td class="bar"></td></tr>\n'


def _name(row: Mapping[str, Any], key: str) -> str:
    name = key_name(row, key)
    if row[key] is None or row[key] == "":
        return f'<th scope="row"><span class="absent">{safe(name)}</span></th>'
    return f'<th scope="row">{label(name)}</th>'


def _numbers(row: Mapping[str, Any], headings: Headings) -> str:
    cached = share(Decimal(row["cache_read_tokens"]) / row["input_tokens"]) if row["input_tokens"] else "–"
    cells = [
        count(row["calls"]),
        _tokens(row["input_tokens"]),
        _tokens(row["output_tokens"]),
        cached,
        *(count(row[name]) for name, _ in headings.counts),
        _cost(row),
    ]
    return "".join(f'<td class="number">{cell}</td>' for cell in cells)


def _tokens(number: int) -> str:
    shown = short(number)
    return shown if shown == count(number) else f'<span title="{count(number)}">{shown}</span>'


def _cost(row: Mapping[str, Any]) -> str:
    if row["effective_cost"] is None:
        return f'<span class="absent">{UNKNOWN}</span>'
    amount = Decimal(row["effective_cost"])
    at_least = '<span class="at-least" title="some of these calls have no known price">≥</span> '
    shown = f'<span title="{exact(amount)} USD">{safe(money(amount))}</span>'
    return (at_least if row["unpriced_calls"] or row.get("is_lower_bound") else "") + shown


def _sum(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {name: sum(row[name] for row in rows) for name in _ADDED_UP}
    known = [Decimal(row["effective_cost"]) for row in rows if row["effective_cost"] is not None]
    return {**total, "effective_cost": sum(known, Decimal(0)) if known else None}
