"""The report as a table, JSON, CSV, Markdown or a page. Each form is a text that ends with a newline."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final

from otel_llm_cost.ledger.queries import KEYS
from otel_llm_cost.panels.units import UNITS, UNKNOWN, count, money, share
from otel_llm_cost.sinks.wire import decimal_text

Outcome = Mapping[str, Any]
Form = Callable[[Outcome, Sequence[str], datetime, datetime], str]

UNTAGGED: Final = "(untagged)"
NOT_TOLD: Final = "(unknown)"
_TAGS: Final = frozenset({"team", "feature", "environment", "customer_id"})

HEADINGS: Final[tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...]] = (
    ("calls", lambda row: count(row["calls"])),
    ("failed", lambda row: count(row["failed_attempts"])),
    ("input", lambda row: UNITS["tokens"].show(row["input_tokens"])),
    ("output", lambda row: UNITS["tokens"].show(row["output_tokens"])),
    ("cache read", lambda row: _cache_share(row)),
    ("effective cost", lambda row: _cost(row)),
    ("estimated", lambda row: count(row["estimated_calls"])),
    ("unpriced", lambda row: count(row["unpriced_calls"])),
)
"""Columns for people: heading, and the cell of a row."""


def as_json(outcome: Outcome, by: Sequence[str], since: datetime, until: datetime) -> str:  # noqa: ARG001
    """Money as plain decimal strings, unknown and untagged as null."""
    return json.dumps(plain(outcome), indent=2, ensure_ascii=False) + "\n"


def plain(outcome: Outcome) -> dict[str, Any]:
    """The outcome with money as text."""
    return {"rows": [_with_text(row) for row in outcome["rows"]], "total": _with_text(outcome["total"])}


def _with_text(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: decimal_text(value) if isinstance(value, Decimal) else value for key, value in row.items()}


def as_csv(outcome: Outcome, by: Sequence[str], since: datetime, until: datetime) -> str:  # noqa: ARG001
    """One line per row, exact; no total, so that a column can be summed."""
    names = [*by, *(name for name in outcome["total"] if name != "is_lower_bound")]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in plain(outcome)["rows"]:
        writer.writerow({**row, **{key: _not_a_formula(row[key]) for key in by}})
    return text.getvalue()


def _not_a_formula(text: Any) -> Any:
    """Tags come from outside; a spreadsheet must not run one (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{text}" if isinstance(text, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_table(outcome: Outcome, by: Sequence[str], since: datetime, until: datetime) -> str:
    """For a terminal: text left, numbers right, the total below a rule."""
    if not outcome["rows"]:
        return f"{_nothing(since, until)}\n"
    lines = _cells(outcome, by)
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))

    def show(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if place < len(by) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    shown = [show(line) for line in lines]
    parts = [shown[0], rule, *shown[1:-1], rule, shown[-1]]
    return "\n".join([*parts, *_notes(outcome)]) + "\n"


def as_markdown(outcome: Outcome, by: Sequence[str], since: datetime, until: datetime) -> str:
    """A table for an issue or a wiki."""
    if not outcome["rows"]:
        return f"{_nothing(since, until)}\n"
    head, *rows = [[_escaped(cell) for cell in line] for line in _cells(outcome, by)]
    rows[-1] = [f"**{cell}**" if cell else "" for cell in rows[-1]]
    marks = ["---" if place < len(by) else "---:" for place in range(len(head))]
    table = "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *rows))
    return "\n\n".join([table, *_notes(outcome)]) + "\n"


def _escaped(cell: str) -> str:
    for character in "\\|`*_<>[]":
        cell = cell.replace(character, f"\\{character}")
    return cell


def as_html(outcome: Outcome, by: Sequence[str], since: datetime, until: datetime) -> str:
    """One self-contained page."""
    from otel_llm_cost.panels import html  # pictures: only when they are asked for

    return html.page(
        "LLM spend", plain(outcome), keys=by, since=since, until=until, written_at=datetime.now(timezone.utc)
    )


FORMS: Final[Mapping[str, Form]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "md": as_markdown,
    "html": as_html,
}


def _cells(outcome: Outcome, by: Sequence[str]) -> list[list[str]]:
    """Heading, rows, total: every line as wide as the others."""
    heading = [*by, *(name for name, _ in HEADINGS)]
    rows = [[*(key_text(key, row[key]) for key in by), *_numbers(row)] for row in outcome["rows"]]
    keys = ["total", *[""] * (len(by) - 1)] if by else []
    return [heading, *rows, [*keys, *_numbers(outcome["total"])]]


def _numbers(row: Mapping[str, Any]) -> list[str]:
    return [show(row) for _, show in HEADINGS]


def key_text(key: str, value: Any) -> str:
    """A row's key for a person: one line, and a name for what is not there."""
    if value is None:
        return UNTAGGED if key in _TAGS or key not in KEYS else NOT_TOLD
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


_WIDEST: Final = 60


def _cache_share(row: Mapping[str, Any]) -> str:
    if not row["input_tokens"]:
        return "–"
    return share(Decimal(row["cache_read_tokens"]) / Decimal(row["input_tokens"]))


def _cost(row: Mapping[str, Any]) -> str:
    if row["effective_cost"] is None:
        return UNKNOWN
    bound = "≥ " if row.get("is_lower_bound") else ""
    return f"{bound}{money(row['effective_cost'])}"


def _notes(outcome: Outcome) -> list[str]:
    total = outcome["total"]
    if not total["is_lower_bound"]:
        return []
    unpriced = total["unpriced_calls"]
    if unpriced == 0:
        because = "some usage has no known price"
    else:
        because = f"{count(unpriced)} {'call has' if unpriced == 1 else 'calls have'} no known price"
    return [f"The total is a lower bound: {because}."]


def _nothing(since: datetime, until: datetime) -> str:
    return f"No calls from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC."
