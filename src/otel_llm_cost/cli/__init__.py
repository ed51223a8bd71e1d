"""The command line: one file per command, imported only when it is used, and errors that say what to do."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from otel_llm_cost.core.errors import ConfigError, LLMCostError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Run the whole product on a small app and a local provider."),
    "collector": ("collector:collector", "Receive OTLP from any emitter, price it, keep it in the ledger."),
    "report": ("report:report", "Show what was spent, by team, feature, model, day or any tag."),
    "price": ("price:price", "Price usage from a file, without any app or store."),
    "prices": ("prices:prices", "Show prices, compare and update your own."),
    "explain": ("explain:explain", "Show how the cost of one call was worked out."),
    "reprice": ("reprice:reprice", "Correct past costs with the prices known now."),
    "budget": ("budget:budget", "List, check and set budgets."),
    "dashboards": ("dashboards:dashboards", "Build or check the Grafana dashboards."),
    "schema": ("schema:schema", "Print or migrate the ledger's schema."),
    "doctor": ("doctor:doctor", "Show what is installed, wrapped, reachable, and what is off and why."),
}
"""Command → where it lives (below this package) and its line in `--help`, shown without importing it."""

WRONG_USE = 2
FAILURE = 1


class Commands(click.Group):
    """A group that imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands of this version, in the order of the table."""
        return [name for name, (where, _) in COMMANDS.items() if _is_here(where)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        """The command itself; None when there is no such command in this version."""
        where, _ = COMMANDS.get(cmd_name, ("", ""))
        if not where or not _is_here(where):
            return None
        module, _, attribute = where.partition(":")
        command = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table: `--help` must not wait for ten imports."""
        if lines := [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]:
            with formatter.section("Commands"):
                formatter.write_dl(lines)


def _is_here(where: str) -> bool:
    return importlib.util.find_spec(f"{__name__}.{where.partition(':')[0]}") is not None


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # not needed by any other command

        click.echo(f"otel-llm-cost {version('otel-llm-cost')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def otel_llm_cost() -> None:
    """Know what every LLM call costs, who spent it, and stop it before it passes the budget."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 the answer is no or a failure, 2 wrong use.

    Standard output holds results only; an error of ours is one line on standard error, never a traceback.
    """
    try:
        code = otel_llm_cost.main(args=arguments, prog_name="otel-llm-cost", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _fail("interrupted", FAILURE)
    except LLMCostError as error:
        _fail(str(error), WRONG_USE if isinstance(error, ConfigError) else FAILURE)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"otel-llm-cost: {sentence}", err=True)
    sys.exit(code)
