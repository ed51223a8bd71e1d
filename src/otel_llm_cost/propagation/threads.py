"""Tags over `Thread.start` and into pools of threads.

Python up to 3.13 gives a new thread an empty context, and a pool's worker keeps the one it was born in for
life. Asyncio tasks, `to_thread` and (by `submit`) `run_in_executor` need nothing of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_llm_cost.core.tags import Carried, carried, run_cleared, run_with

Function = Callable[..., Any]


def thread_start(original: Function) -> Function:
    """In place of `Thread.start`: `run` is shadowed on the object, so subclasses and Timer work too."""

    def start(self: Any) -> Any:
        held = carried()
        if not held:
            return original(self)
        own = self.__dict__.get("run")
        run = self.run

        def reveal() -> None:
            """Take our `run` off the object: with it, the thread would be its own reference cycle."""
            if own is None:
                self.__dict__.pop("run", None)
            else:
                self.run = own

        def run_with_tags() -> None:
            reveal()
            run_with(held, run)

        self.run = run_with_tags
        try:
            return original(self)
        except BaseException:
            reveal()
            raise

    return start


def submit(original: Function) -> Function:
    """In place of `submit(fn, …)`: the task has its submitter's tags, a worker born meanwhile has none."""

    def submit(self: Any, fn: Function, /, *args: Any, **kwargs: Any) -> Any:
        held = carried()
        if not held:
            return original(self, fn, *args, **kwargs)
        return run_cleared(original, self, Carried(fn, held), *args, **kwargs)

    return submit


def pool_task(original: Function) -> Function:
    """In place of `apply_async(func, …)` and its like on `multiprocessing.pool.Pool` and `ThreadPool`."""

    def put(self: Any, *args: Any, **kwargs: Any) -> Any:
        if held := carried():
            if args:
                args = (Carried(args[0], held), *args[1:])
            elif "func" in kwargs:
                kwargs["func"] = Carried(kwargs["func"], held)
        return original(self, *args, **kwargs)

    return put
