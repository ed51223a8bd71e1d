"""`otel-llm-cost demo`: the whole product on a small app and a local provider, and whether it is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from otel_llm_cost.cli import report, report_forms
from otel_llm_cost.cli.options import JSON, format_options
from otel_llm_cost.demo.check import Check, Gap, plain
from otel_llm_cost.demo.run import Finished, running

BY = ["team", "feature"]


@click.command()
@click.option(
    "--keep", is_flag=True, help="Leave the collector and its ledger up, and say how to reach them."
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings for the collector; see docs/settings.md.",
)
@format_options("table", "json", "md")
def demo(keep: bool, config: Path | None, form: str) -> None:
    """Run the whole product on a small app and a local provider.

    Starts a provider that speaks the OpenAI and Anthropic wire formats and bills by itself, a
    collector on an embedded ledger, and an app under `opentelemetry-instrument`. Prints the
    report, then compares the ledger with the provider's bill: exit code 1 when they differ.
    """

    def say(text: str) -> None:
        click.echo(f"otel-llm-cost: {text}", err=True)

    with running(keep=keep, config=config, say=say) as finished:
        outcome = report.ask(finished.ledger, BY, finished.since, finished.until)
        click.echo(_FORMS[form](finished, outcome), nl=False)
        if finished.kept:
            click.echo(finished.kept, err=True)
    if not finished.check.ok:
        raise click.exceptions.Exit(1)


def _as_text(form: str) -> Any:
    def show(finished: Finished, outcome: dict[str, Any]) -> str:
        table = report_forms.FORMS[form](outcome, BY, finished.since, finished.until)
        return f"{table}\n{_verdict(finished.check)}"

    return show


def _verdict(check: Check) -> str:
    """The check in words: what was compared, and what cannot be exact beside it."""
    equal = "equal to the last digit" if check.ok else "not the whole story, see below"
    figures = f"ledger {plain(check.ledger)} USD, bill {plain(check.billed)} USD"
    rows = [(f"{_count(check.priced, 'call')} priced", f"{figures}: {equal}")]
    for gap in check.cut_off:
        figures = f"estimated {plain(gap.ledger)} USD, billed {plain(gap.billed)} USD"
        off = f"{plain(abs(gap.missing))} USD too {'little' if gap.missing > 0 else 'much'}"
        rows.append(("1 stream cut off", f"{figures}: {off} ({gap.model})"))
    for gap in check.unpriced:
        why = f"not in the total: {gap.model} is in no price list"
        rows.append(("1 call unpriced", f"billed {plain(gap.billed)} USD, {why}"))
    rows.append((f"{_count(check.refused, 'attempt')} refused", "counted, not billed"))
    lines = ["Compared with the provider's own bill, call by call:"]
    lines += [f"  {what:<18} {found}" for what, found in rows]
    if check.differences:
        lines += ["The ledger and the bill DIFFER:", *(f"  {sentence}" for sentence in check.differences)]
    return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(finished: Finished, outcome: dict[str, Any]) -> str:
    check = finished.check
    found = {
        "ok": check.ok,
        "priced_calls": check.priced,
        "ledger_usd": plain(check.ledger),
        "bill_usd": plain(check.billed),
        "cut_off": [_gap(gap) for gap in check.cut_off],
        "unpriced": [_gap(gap) for gap in check.unpriced],
        "refused_attempts": check.refused,
        "untagged_calls": check.untagged,
        "differences": check.differences,
    }
    return json.dumps({"report": report_forms.plain(outcome), "check": found}, indent=2) + "\n"


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "model": gap.model,
        "response_id": gap.response_id,
        "ledger_usd": None if gap.ledger is None else plain(gap.ledger),
        "bill_usd": plain(gap.billed),
        "gap_usd": plain(gap.missing),
    }


_FORMS = {"table": _as_text("table"), "md": _as_text("md"), JSON: _as_json}
