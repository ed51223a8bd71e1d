"""`otel-llm-cost schema`: the ledger's tables, as text or into a store."""

from __future__ import annotations

import json

import click

from otel_llm_cost.cli.options import JSON, TEXT, format_options, store_of, store_option
from otel_llm_cost.ledger import ddl, migrations


@click.group()
def schema() -> None:
    """Print or migrate the ledger's schema."""


@schema.command("print")
@format_options(TEXT, JSON)
def print_(form: str) -> None:
    """Print the statements that make an empty ledger of this version."""
    statements = [migrations.CREATE_APPLIED, ddl.create_table()]
    if form == JSON:
        click.echo(json.dumps({"statements": statements}, indent=2))
        return
    click.echo("\n\n".join(f"{statement};" for statement in statements))


@schema.command()
@store_option
@format_options(TEXT, JSON)
def migrate(store: str | None, form: str) -> None:
    """Bring a ledger to this version's schema. A collector does so itself when it starts."""
    from otel_llm_cost.sinks.clickhouse import ClickHouseSink  # loads an engine

    with ClickHouseSink(store_of(store)) as sink:
        applied = sink.migrate()
        if form == JSON:
            click.echo(json.dumps({"store": str(sink.location), "applied": applied}))
            return
        for name in applied:
            click.echo(name)
        click.echo(f"{sink.location}: {'migrated' if applied else 'up to date'}", err=True)
