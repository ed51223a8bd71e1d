"""`budget import`, `reconcile` and `replay`: budgets against other files and against the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otel_llm_cost.budgets import evidence, litellm
from otel_llm_cost.budgets import replay as replaying
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.rules import Rules
from otel_llm_cost.cli import budget_forms
from otel_llm_cost.cli.options import format_options, period_of, period_options, store_of, store_option
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.marked_yaml import read_mapping
from otel_llm_cost.sinks import Ledger, open_ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_llm_cost.cli.budget import Desk

PAGE = 10_000


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Set the budgets, too, for all running processes.")
@format_options("table", "json")
@click.pass_obj
def import_(desk: Callable[[], Desk], file: Path, write: bool, form: str) -> None:
    """Read the budgets of a LiteLLM configuration, and say what of it was not understood.

    Exit code 1 when something was not.
    """
    values, _ = read_mapping(file)
    found = litellm.read(values)
    budgets = read_budgets(found.budgets, place=str(file))
    if not budgets and not found.not_understood:
        raise ConfigError(f"{file}: there are no budgets in it")
    if write:
        from otel_llm_cost.cli.budget import _who

        here = desk()
        for each in budgets:
            here.ask(
                here.store.define, each.name, each.model_dump_json(), _who(), f"imported from {file.name}"
            )
    if form == "json":
        outcome = {
            "budgets": found.budgets,
            "understood": found.understood,
            "not_understood": found.not_understood,
        }
        click.echo(json.dumps(outcome, indent=2))
    else:
        rows = [{"setting": path, "understood": True, "as": what} for path, what in found.understood.items()]
        rows += [
            {"setting": path, "understood": False, "as": why} for path, why in found.not_understood.items()
        ]
        click.echo(budget_forms.show(rows, ("setting", "understood", "as"), form, "settings"), nl=False)
    if found.not_understood:
        raise click.exceptions.Exit(1)


@click.command()
@store_option
@click.option("--dry-run", is_flag=True, help="Only compare; exit code 1 when store and ledger differ.")
@format_options("table", "json")
@click.pass_obj
def reconcile(desk: Callable[[], Desk], store: str | None, dry_run: bool, form: str) -> None:
    """Compare the budgets' accounts with the ledger, and repair them.

    What the ledger knows replaces reservations whose outcome nobody knew, and is added where no process had
    reported it. Costs that a process reported are never lowered: the ledger may lag behind.
    """
    here = desk()
    now = int(datetime.now(timezone.utc).timestamp())
    with open_ledger(store_of(store)) as ledger:
        findings = here.ask(_reconcile, here, ledger, now, not dry_run)
    rows = []
    for finding in findings:
        measure = finding.account.measure
        numbers = {
            "ledger": finding.ledger,
            "reported": finding.spent,
            "unknown_before": finding.unknown,
            "unknown_after": finding.keeps,
            "added": finding.adjusted,
        }
        shown = {name: budget_forms.amount(number, measure) for name, number in numbers.items()}
        rows.append({**budget_forms.account_title(finding.account), **shown, "agreed": finding.is_right})
    columns = (
        "budget",
        "subject",
        "ledger",
        "reported",
        "unknown_before",
        "unknown_after",
        "added",
        "agreed",
    )
    click.echo(budget_forms.show(rows, columns, form, "accounts"), nl=False)
    if dry_run and not all(finding.is_right for finding in findings):
        raise click.exceptions.Exit(1)


def _reconcile(here: Desk, ledger: Ledger, now: int, repair: bool) -> list[evidence.Finding]:
    return evidence.reconcile(here.store, here.rules(), now, ledger_of(ledger), repair=repair)


def ledger_of(ledger: Ledger) -> evidence.Spend:
    """The ledger's answers in the shape that `evidence` asks for."""

    def spend(since: int, until: int, keys: Sequence[str]) -> list[dict[str, Any]]:
        params = {"since": _time(since), "until": _time(until), "by": list(keys)}
        return ledger.query("budget_spend", params).records()

    return spend


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(max(seconds, 1), timezone.utc)


@click.command()
@store_option
@click.option(
    "--file", "source", type=click.Path(path_type=Path), help="Budgets to try; else those in force."
)
@period_options
@format_options("table", "json")
@click.pass_obj
def replay(
    desk: Callable[[], Desk],
    store: str | None,
    source: Path | None,
    since: datetime | None,
    until: datetime | None,
    form: str,
) -> None:
    """Say which past calls budgets would have stopped, when, whose, and what that would have saved."""
    from otel_llm_cost.cli.budget import read_file

    rules = Rules(read_file(source)) if source is not None else desk().rules()
    start, end = period_of(since, until)
    with open_ledger(store_of(store)) as ledger:
        verdicts = replaying.replay(rules, _calls(ledger, rules.keys, start, end))
    rows = [
        {
            **budget_forms.account_title(verdict.account),
            "action": verdict.budget.action,
            "calls": verdict.calls,
            "stopped": verdict.stopped,
            "saved": budget_forms.usd(verdict.saved),
            "first": verdict.first,
            "last": verdict.last,
            "unpriced_calls": verdict.unpriced,
        }
        for verdict in sorted(verdicts, key=lambda v: (-v.saved, v.account))
    ]
    saved = budget_forms.usd(sum(verdict.saved for verdict in verdicts))
    stopped = sum(verdict.stopped for verdict in verdicts)
    columns = ("budget", "subject", "period", "action", "calls", "stopped", "saved", "first", "last")
    click.echo(budget_forms.show(rows, columns, form, "accounts", stopped=stopped, saved=saved), nl=False)
    if form == "table":
        click.echo(f"{stopped} calls stopped, {saved} USD saved")


def _calls(
    ledger: Ledger, keys: Sequence[str], since: datetime, until: datetime
) -> Iterator[Mapping[str, Any]]:
    offset = 0
    while True:
        params = {"since": since, "until": until, "by": list(keys), "limit": PAGE, "offset": offset}
        page = ledger.query("budget_calls", params).records()
        yield from page
        if len(page) < PAGE:
            return
        offset += PAGE
