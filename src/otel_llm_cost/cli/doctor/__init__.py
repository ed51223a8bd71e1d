"""`otel-llm-cost doctor`: what is installed, wrapped, reachable, and what is off and why."""

from __future__ import annotations

import importlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict

import click

from otel_llm_cost.cli.doctor.finding import Check, Environ, Finding, State
from otel_llm_cost.cli.options import JSON, format_options
from otel_llm_cost.environment_variables import choose_protocol

CHECKS = ("installed", "sdks", "export", "ledger", "settings")
"""Modules of this package, in the order in which they are told."""

MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "note": ("note", "cyan"),
    "off": ("off", "bright_black"),
    "problem": ("problem", "red"),
}
"""State → its word and colour."""


@click.command()
@format_options("text", "json")
@click.pass_context
def doctor(ctx: click.Context, form: str) -> None:
    """Show what is installed, wrapped, reachable, and what is off and why.

    Looks at this environment as an app in it would start. Exits 1 when something needs attention.
    """
    logging.getLogger("otel_llm_cost").setLevel(logging.CRITICAL)  # what it would warn of is a finding here
    environ = dict(os.environ)
    choose_protocol(environ)
    findings = list(examine(environ))
    healthy = all(finding.state != "problem" for finding in findings)
    if form == JSON:
        click.echo(
            json.dumps({"ok": healthy, "findings": [asdict(finding) for finding in findings]}, indent=2)
        )
    else:
        for line in _lines(findings, healthy):
            click.echo(line)
    ctx.exit(0 if healthy else 1)


def examine(environ: Environ) -> Iterator[Finding]:
    """Everything there is to find. A check that fails is a finding itself."""
    for name in CHECKS:
        try:
            look: Check = importlib.import_module(f"{__name__}.{name}").look
            yield from look(environ)
        except Exception as error:  # noqa: BLE001 - a broken environment is what a doctor is for
            text = f"could not be examined: {type(error).__name__}: {error}"
            yield Finding(name, "examination", "problem", text, "please report this, with the text above")


def _lines(findings: list[Finding], healthy: bool) -> Iterator[str]:
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            yield click.style(area, bold=True)
        word, colour = MARKS[finding.state]
        yield f"  {click.style(f'{word:8}', fg=colour)} {finding.name}: {finding.text}"
        if finding.advice:
            yield f"           → {finding.advice}"
    problems = sum(finding.state == "problem" for finding in findings)
    yield ""
    yield (
        "All is well."
        if healthy
        else f"{problems} {'thing needs' if problems == 1 else 'things need'} attention."
    )
