"""Processes that the demo starts, and ends with all their children, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from otel_llm_cost.core.errors import LLMCostError

POLL_S = 0.05
_GRACE_S = 10.0
"""How long a process may take to end in good order before it is killed."""


class Started:
    """A running process in a group of its own, its output in two files."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        """name: of the files in `folder`, and in what is said about it."""
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with _written(self.out) as out, _written(self.err) as err:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; None when it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def line(self, start: str, timeout_s: float) -> str:
        """The first line of output that begins with `start`. Raises LLMCostError when it does not come."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for line in self.out.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return line.rstrip("\n")
            if self._process.poll() is not None:
                raise LLMCostError(f"the {self.name} did not start: {self.last_words()}")
            time.sleep(POLL_S)
        raise LLMCostError(f"the {self.name} was not ready within {timeout_s:.0f} s: {self.last_words()}")

    def last_words(self, otherwise: str = "it said nothing") -> str:
        """The last line on standard error, else `otherwise`."""
        lines = self.err.read_text(encoding="utf-8", errors="replace").split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), otherwise)
        return words.removeprefix("otel-llm-cost: ")

    def end(self) -> None:
        """Ask it to end, and end it if it does not, or if we are told to hurry; its children end with it."""
        try:
            if self._process.poll() is None:
                self._process.terminate()
                self.wait(_GRACE_S)
        finally:
            self._signal(signal.SIGKILL)  # it, or whoever it left behind in its group
            self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that nothing is left running."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, unwind)) for number in numbers]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)


def instrumented(script: Path) -> list[str]:
    """The command `opentelemetry-instrument python script` of this environment."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    if command.exists():
        return [str(command), sys.executable, str(script)]
    run = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    return [sys.executable, "-c", run, sys.executable, str(script)]


def _written(path: Path) -> IO[bytes]:
    return path.open("wb")
