"""`otel-llm-cost reprice`: correct past costs with the prices known now."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import click

from otel_llm_cost.cli.options import JSON, TEXT, format_options, read_moment, store_of, store_option
from otel_llm_cost.ledger.reprice import Outcome, Slice, plan
from otel_llm_cost.sinks.repricing import to_json

Work = Callable[[Slice, bool], tuple[Outcome, str]]
"""Does one slice, writing or not; what came of it, and the version of the prices that were used."""


@click.command()
@click.option("--since", callback=read_moment, metavar="TIME", required=True, help="First instant, or 30d.")
@click.option("--until", callback=read_moment, metavar="TIME", help="End, not included. Default: now.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the difference and write nothing.")
@store_option
@format_options(TEXT, JSON)
def reprice(
    since: datetime,
    until: datetime | None,
    models: tuple[str, ...],
    dry_run: bool,
    store: str | None,
    form: str,
) -> None:
    """Price stored calls again and append the differences as corrections.

    History stays: each correction has its call's id and time. A second run writes nothing, so a run that was
    stopped is simply started again. With a living collector, its prices are used: restart it after a change.
    """
    end = until or datetime.now(timezone.utc)
    if since >= end:
        raise click.UsageError(
            f"--since {since:%Y-%m-%dT%H:%M:%SZ} is not before --until {end:%Y-%m-%dT%H:%M:%SZ}"
        )
    from otel_llm_cost.sinks import open_ledger

    with open_ledger(store_of(store)) as ledger:
        hours = ledger.query(
            "reprice_hours", {"since": since, "until": end, "filters": {"model": list(models)}}
        ).rows
        work = _work(ledger, models)
        found, version, touched = _run(plan(hours, since, end), work, write=False, label="comparing")
        if form == TEXT:
            click.echo("\n".join(_lines(found, version)))
        if not dry_run:
            found.written = _run(touched, work, write=True, label="correcting")[0].written
    if form == JSON:
        period = {"since": since.isoformat(), "until": end.isoformat(), "dry_run": dry_run}
        click.echo(json.dumps({**period, **to_json(found, version)}, indent=2, ensure_ascii=False))
    elif dry_run and found.changed:
        click.echo("nothing was written (--dry-run)")
    elif found.changed:
        click.echo(f"{found.written:,} correction{_s(found.written)} written")


def _work(ledger: Any, models: tuple[str, ...]) -> Work:
    """By the collector where one owns the store, else here."""
    from otel_llm_cost.sinks.clickhouse import ClickHouseSink
    from otel_llm_cost.sinks.repricing import from_json, job_of, reprice_slice

    if not isinstance(ledger, ClickHouseSink):

        def ask(part: Slice, write: bool) -> tuple[Outcome, str]:
            answer = ledger.job("reprice", job_of(part, models, write=write))
            return from_json(answer), str(answer["price_version"])

        return ask

    from otel_llm_cost import config
    from otel_llm_cost.pricing import PriceList, price

    prices = PriceList.of_settings(config.load())

    def do(part: Slice, write: bool) -> tuple[Outcome, str]:
        done = reprice_slice(
            ledger, lambda call: price(call, prices), prices.version, part, models=models, write=write
        )
        return done, prices.version

    return do


def _run(parts: Sequence[Slice], work: Work, *, write: bool, label: str) -> tuple[Outcome, str, list[Slice]]:
    """The sum over slices, the prices' version, and the slices in which something differs."""
    total, version, touched = Outcome(), "", []
    with click.progressbar(
        length=sum(part.rows for part in parts) or 1, label=label, file=sys.stderr, hidden=not _watched(parts)
    ) as bar:
        for part in parts:
            outcome, version = work(part, write)
            total += outcome
            if outcome.changed:
                touched.append(part)
            bar.update(part.rows)
    return total, version, touched


def _watched(parts: Sequence[Slice]) -> bool:
    """Whether it takes a while and somebody looks."""
    return sys.stderr.isatty() and sum(part.rows for part in parts) > 20_000


def _lines(found: Outcome, version: str) -> list[str]:
    if not found.calls:
        return ["there are no calls in this period"]
    lines = [f"{found.calls:,} call{_s(found.calls)} compared with {version}"]
    if found.skipped:
        lines.append(f"{found.skipped:,} left alone: several calls share an id")
    if not found.changed:
        return [*lines, "every cost is what it would be today; there is nothing to correct"]
    head = f"{'month':8} {'provider':16} {'model':32} {'calls':>9} {'before':>14} {'after':>14}"
    lines += ["", f"{head} {'difference':>14}"]
    for (month, provider, model), change in sorted(found.differences.items()):
        lines.append(
            f"{month:8} {provider:16} {model:32} {change.calls:>9,} {_usd(change.before):>14} "
            f"{_usd(change.after):>14} {_usd(change.after - change.before, '+'):>14}{_priced(change)}"
        )
    total = sum((change.after - change.before for change in found.differences.values()), Decimal(0))
    return [*lines, "", f"{found.changed:,} call{_s(found.changed)} differ, {_usd(total, '+')} USD in all"]


def _priced(change: Any) -> str:
    notes = [
        f"{number:,} {words}"
        for number, words in (
            (change.newly_priced, "had no price"),
            (change.no_longer_priced, "have no price any more"),
        )
        if number
    ]
    return f"  ({', '.join(notes)})" if notes else ""


def _usd(amount: Decimal, sign: str = "") -> str:
    return f"{amount:{sign},.6f}"


def _s(number: int) -> str:
    return "" if number == 1 else "s"
