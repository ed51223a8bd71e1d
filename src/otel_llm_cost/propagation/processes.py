"""Tags to child processes: in a `subprocess`'s environment, on a `multiprocessing` process's object.

The parent's own environment is never touched: other threads start processes, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.baggage import clear
from opentelemetry.context import attach, detach

from otel_llm_cost.core import faults, tag_text, tags
from otel_llm_cost.core.tags import carried, run_cleared
from otel_llm_cost.propagation.threads import submit

Function = Callable[..., Any]

_HELD = "_otel_llm_cost_tags"
"""On a process object, which every start method (fork, spawn, forkserver) brings to the child."""
_ENV = 10
"""Place of `env` among the arguments of `subprocess.Popen`, in its documented order."""


def popen(original: Function) -> Function:
    """In place of `Popen.__init__`."""

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        if held := carried():
            try:
                args, kwargs = _with_environment(held, args, kwargs)
            except Exception as error:  # noqa: BLE001 - the child is the user's, and starts
                faults.report("giving tags to a child process", error)
        original(self, *args, **kwargs)

    return start


def _with_environment(
    held: Mapping[str, str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Popen's arguments with the tags in `env`. Tags that the caller put there on purpose win over ours."""
    positional = len(args) > _ENV
    env = args[_ENV] if positional else kwargs.get("env")
    own = os.environ.get(tag_text.VARIABLE, "")
    given = own if env is None else env.get(tag_text.VARIABLE, "")
    theirs = tag_text.parse(given, tag_text.VARIABLE) if given else {}
    merged = {**theirs, **held} if given == own else {**held, **theirs}
    env = {**(os.environ if env is None else env), tag_text.VARIABLE: tag_text.to_text(merged)}
    if positional:
        return (*args[:_ENV], env, *args[_ENV + 1 :]), kwargs
    return args, {**kwargs, "env": env}


def process_start(original: Function) -> Function:
    """In place of `multiprocessing.Process.start`; the child's half is `adopt`."""

    def start(self: Any) -> Any:
        if held := {**_inherited(), **carried()}:
            setattr(self, _HELD, held)
        return original(self)

    return start


def adopt() -> None:
    """In a child: what the parent's tags were at its start is the child's environment from now on."""
    if held := _inherited():
        os.environ[tag_text.VARIABLE] = tag_text.to_text({**tags.of_process(), **held})
        tags.reread()


def _inherited() -> dict[str, str]:
    process = sys.modules.get("multiprocessing.process")
    held = getattr(process.current_process(), _HELD, None) if process is not None else None
    return held if isinstance(held, dict) else {}


def submit_to_process(original: Function) -> Function:
    """In place of `ProcessPoolExecutor.submit`, which forks workers: they would keep our baggage for life."""
    return submit(_without_baggage(original))


def make_pool(original: Function) -> Function:
    """In place of `Pool.__init__`: its workers serve everyone and take no tags of who made the pool."""
    make = _without_baggage(original)

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        if carried():
            run_cleared(make, self, *args, **kwargs)
        else:
            original(self, *args, **kwargs)

    return start


def _without_baggage(original: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        token = attach(clear())
        try:
            return original(*args, **kwargs)
        finally:
            detach(token)

    return call
