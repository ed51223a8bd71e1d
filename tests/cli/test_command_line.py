"""The command line's own manners: help without imports, one-line errors, exit codes, closed pipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import click
import pytest

from otel_llm_cost import cli
from otel_llm_cost.core.errors import ConfigError, LLMCostError, MissingExtra, StoreError


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Adds a command `fail` that raises what the test asks for."""

    def install(error: Exception) -> None:
        @click.command()
        def fail() -> None:
            raise error

        module = ModuleType("otel_llm_cost.cli.fail")
        module.__spec__ = cli.__spec__
        module.fail = fail  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "fail", ("fail:fail", "Fail."))

    return install


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("the store is away; start it"), 1),
        (MissingExtra("chdb", "embedded"), 1),
        (LLMCostError("no"), 1),
        (ConfigError("port must be a number"), 2),
    ],
)
def test_an_error_of_ours_is_one_line_and_an_exit_code(
    fault: Callable[[Exception], None], error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    fault(error)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["fail"])
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err) == (code, "", f"otel-llm-cost: {error}\n")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_llm_cost.cli", *arguments], capture_output=True, text=True, timeout=30
    )


def test_an_unknown_command_is_wrong_use() -> None:
    done = run("colector")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'colector'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("otel-llm-cost ")


def test_help_lists_the_commands_without_importing_them() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import sys, otel_llm_cost.cli as c\n"
                "try: c.main(['--help'])\n"
                "finally: print([m for m in sys.modules if 'otel_llm_cost.cli.' in m], file=sys.stderr)"
            ),
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "collector" in done.stdout
    assert done.stderr == "[]\n"


def test_a_closed_pipe_ends_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -m otel_llm_cost.cli --help | true",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("name", cli.Commands().list_commands(None))  # type: ignore[arg-type]
def test_every_command_of_the_table_loads(name: str) -> None:
    assert cli.otel_llm_cost.get_command(None, name) is not None  # type: ignore[arg-type]
