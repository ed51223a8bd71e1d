"""`otel-llm-cost dashboards`: the files that Grafana provisions, built from the panels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from otel_llm_cost.panels.generated import FILES, differences

DEFAULT_FOLDER: Final = Path("dashboards")

folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Where the files are.",
)


@click.group()
def dashboards() -> None:
    """Build or check the Grafana dashboards."""


@dashboards.command()
@folder_option
def build(folder: Path) -> None:
    """Write the files, and print the path of each that was not up to date."""
    for name, _ in differences(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES[name](), "utf-8")
        click.echo(path)


@dashboards.command()
@folder_option
def check(folder: Path) -> None:
    """Say which files differ from the panels: exit code 1 when one does."""
    found = differences(folder)
    for name, why in found:
        click.echo(f"{folder / name}: {why}")
    if found:
        click.echo("otel-llm-cost: run `otel-llm-cost dashboards build` to write them anew", err=True)
        raise click.exceptions.Exit(1)
