"""The report as one HTML file: no script, no outside resource, readable in light, dark, print and by ear."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final

from otel_llm_cost.ledger.query import TIME_KEYS
from otel_llm_cost.panels import html_charts
from otel_llm_cost.panels.html_facts import facts, notes
from otel_llm_cost.panels.html_style import STYLE
from otel_llm_cost.panels.html_table import Headings, body, foot, head, key_name
from otel_llm_cost.panels.html_text import safe
from otel_llm_cost.panels.units import UNITS

MOST_ROWS: Final = 1_000
"""Rows written one by one; a page with more would be slow to open. The total covers all of them."""

FOOT: Final = (
    "Costs are computed from usage and price lists; only an invoice is a bill. "
    "Hover over an amount to see all its digits."
)


def page(
    title: str,
    result: Mapping[str, Any],
    *,
    keys: Sequence[str],
    since: datetime,
    until: datetime,
    written_at: datetime | None = None,
) -> str:
    """A complete page for the outcome of `report`.

    result: what `report --format json` prints, amounts as decimal texts or Decimals. keys: what it is by, in
    order; there may be none. since, until: the half-open period, UTC. written_at: when the page was made.
    """
    rows: list[Mapping[str, Any]] = list(result["rows"])
    if time_keys := [key for key in keys if key in TIME_KEYS]:
        rows.sort(key=lambda row: [str(row[key]) for key in time_keys])  # a stable sort: largest first within
    total: Mapping[str, Any] = result["total"]
    by = ", ".join(keys)
    when = f"{_moment(since)} to {_moment(until)} UTC"
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    made = f"Written {_moment(written_at)} UTC. " if written_at else ""
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            f"<title>{safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            f"<header><h1>{safe(title)}</h1>",
            f'<p class="when">{safe(when)}{f" · by {safe(by)}" if by else ""}</p></header>\n',
            *(_nothing() if not rows else _sections(rows, total, keys)),
            f"<footer>{safe(made)}{FOOT}</footer>\n",
            "</main>\n</body>\n</html>\n",
        )
    )


def _nothing() -> Iterable[str]:
    yield (
        '<section class="card"><h2>No calls in this period</h2>'
        "<p>Run <code>otel-llm-cost doctor</code> to see whether calls are recorded and the collector is "
        "reached, or choose a longer period with <code>--since</code>.</p></section>\n"
    )


def _sections(
    rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], keys: Sequence[str]
) -> Iterable[str]:
    yield facts(rows, total, keys)
    yield notes(rows, total, keys)
    yield _chart(rows, keys)
    shown = rows[:MOST_ROWS]
    headings = Headings.of(keys, total)
    yield '<section class="card scroll" tabindex="0" aria-label="All rows">\n<table>\n'
    by = f" by {', '.join(keys)}" if keys else ""
    yield f"<caption>Spend{safe(by)}</caption>\n"
    yield from (head(headings), body(shown, headings), foot(rows[MOST_ROWS:], total, headings))
    yield "</table>\n</section>\n"


def _chart(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """Over time when the rows are by day or hour; else the first key's totals, split by the second."""
    usd = UNITS["usd"]
    time_key = next((key for key in keys if key in TIME_KEYS), None)
    names = [key for key in keys if key != time_key]
    if time_key:
        picture = html_charts.columns(
            _points(rows, (time_key,), names[:1]), usd, f"Effective cost by {time_key}"
        )
        heading = f"Effective cost by {time_key}" + (f" and {names[0]}" if names else "")
    elif len(names) > 1:
        picture = html_charts.stacks(
            _points(rows, names[:1], names[1:2]), usd, f"Effective cost by {names[0]}"
        )
        heading = f"Effective cost by {names[0]}, split by {names[1]}"
    else:
        return ""  # the table's own bars say it all
    caption = f"<figcaption><h2>{safe(heading)}</h2></figcaption>"
    return f'<section class="card"><figure>{caption}{picture}</figure></section>\n'


def _points(
    rows: Sequence[Mapping[str, Any]], along: Sequence[str], split: Sequence[str]
) -> dict[str, dict[str, Decimal]]:
    points: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        if row["effective_cost"] is None:
            continue
        name = " / ".join(key_name(row, key) for key in along)
        part = " / ".join(key_name(row, key) for key in split)
        parts = points.setdefault(name, {})
        parts[part] = parts.get(part, Decimal(0)) + Decimal(row["effective_cost"])
    return dict(sorted(points.items())) if set(along) & TIME_KEYS else points


def _moment(when: datetime) -> str:
    moment = when if when.tzinfo is None else when.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"
