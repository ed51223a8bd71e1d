"""`otel-llm-cost report`: what was spent, by team, feature, model, day or any tag."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, datetime, timezone
from decimal import Context, Decimal
from typing import Any, Final

import click

from otel_llm_cost.cli import report_forms
from otel_llm_cost.cli.options import format_options, period_of, period_options, store_of, store_option
from otel_llm_cost.ledger.queries import KEYS
from otel_llm_cost.sinks import Ledger, open_ledger

COUNTS: Final = ("calls", "failed_attempts", "input_tokens", "output_tokens", "cache_read_tokens")
DOUBTS: Final = ("estimated_calls", "unpriced_calls")
NUMBERS: Final = (*COUNTS, "effective_cost", *DOUBTS)
"""What a row of the report holds besides its keys, in this order."""

_EXACT = Context(prec=76)


def read_keys(_ctx: click.Context, _option: click.Parameter, text: str) -> list[str]:
    """The keys of `--by`. Raises click.BadParameter for what cannot be one."""
    keys = [key.strip() for key in text.split(",")] if text.strip() else []
    for key in keys:
        if not key:
            raise click.BadParameter("there is an empty key; write keys with commas between, as team,feature")
        if key in NUMBERS:
            raise click.BadParameter(f"{key} is a number of the report, not something to group by")
    if len(set(keys)) < len(keys):
        raise click.BadParameter("a key is named twice")
    return keys


@click.command()
@store_option
@click.option(
    "--by",
    default="team,feature",
    show_default=True,
    metavar="KEYS",
    callback=read_keys,
    help=f"Comma-separated: {', '.join(KEYS)}, or any tag key. Empty for the total only.",
)
@period_options
@format_options("table", "json", "csv", "md", "html")
def report(
    store: str | None, by: list[str], since: datetime | None, until: datetime | None, form: str
) -> None:
    """Show what was spent, by team, feature, model, day or any tag."""
    start, end = period_of(since, until)
    with open_ledger(store_of(store)) as ledger:
        outcome = ask(ledger, by, start, end)
        if outcome["rows"]:
            _check_tag_keys(ledger, by, outcome["rows"], start, end)
    click.echo(report_forms.FORMS[form](outcome, by, start, end), nl=False)


def ask(ledger: Ledger, by: Sequence[str], since: datetime, until: datetime) -> dict[str, Any]:
    """The report as plain data: `{"rows": […], "total": {…}}`, money as Decimal, an untagged key as None.

    The total is a lower bound when some calls have no cost, or one that leaves out a unit without a rate.
    """
    answer = ledger.query("spend_by", {"by": list(by), "since": since, "until": until}).records()
    found = [row for row in answer if any(row[name] for name in (*COUNTS, *DOUBTS, "effective_cost"))]
    rows = [{**{key: _key(row[key]) for key in by}, **{name: row[name] for name in NUMBERS}} for row in found]
    total: dict[str, Any] = {name: sum(row[name] for row in rows) for name in (*COUNTS, *DOUBTS)}
    known = [row["effective_cost"] for row in rows if row["effective_cost"] is not None]
    total["effective_cost"] = _sum(known) if known else None
    total = {name: total[name] for name in NUMBERS}
    total["is_lower_bound"] = any(row["unpriced_calls"] > 0 or row["partial_calls"] > 0 for row in found)
    return {"rows": rows, "total": total}


def _sum(amounts: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)  # the default context would round to 28 digits
    return total


def _key(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    return value or None


def _check_tag_keys(
    ledger: Ledger, by: Sequence[str], rows: Sequence[dict[str, Any]], since: datetime, until: datetime
) -> None:
    """A key that no call carries is most likely a typo: refuse it where a known key is near, else say so."""
    unseen = [key for key in by if key not in KEYS and all(row[key] is None for row in rows)]
    if not unseen:
        return
    tags = [tag for tag, _ in ledger.query("tag_keys", {"since": since, "until": until}).rows]
    for key in unseen:
        if near := difflib.get_close_matches(key, [*KEYS, *tags], n=1, cutoff=0.7):
            raise click.UsageError(f"no call in this period has a tag {key!r}; did you mean {near[0]}?")
        known = f"; it has {', '.join(tags)}" if tags else ""
        click.echo(f"otel-llm-cost: no call in this period has a tag {key!r}{known}", err=True)
