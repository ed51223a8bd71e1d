"""Runs policies around a call: the few lines that every call goes through (design D9).

A policy is told of every attempt on its way in, and answers with what to do on its way out. Ways out run in
reverse. Between the two nothing is held but plain data, since a stream may end in another thread, task or
garbage collection. Why functions and not context managers: docs/decisions/0003-policies.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otel_llm_cost.core import faults
from otel_llm_cost.core.call import Call
from otel_llm_cost.core.errors import CallDenied

Exit = Callable[["Run"], object]
"""A way out. It reads and completes `run.call`; errors of the call are data on it (`call.error_type`)."""


class Policy:
    """One concern around every attempt; override what you need."""

    name = "policy"
    """What `llm_cost.denied_by` says when this policy refuses a call."""

    def prepare(self) -> None:
        """Load what is slow to load. Called when an SDK is imported, never on an event loop."""

    def enter(self, run: Run) -> Exit | None:  # noqa: ARG002
        """Before an attempt: what to do after it. Must not block.

        Raises CallDenied to refuse the attempt; nothing is sent then.
        """
        return self.leave

    def leave(self, run: Run) -> None:
        """After an attempt, where `enter` says nothing else."""

    async def enter_async(self, run: Run) -> Exit | None:
        """The same on an event loop; override it where the way in may have to wait."""
        return self.enter(run)

    async def expect_async(self, run: Run) -> None:
        """On an event loop, before the pause that comes before another attempt: its `enter` cannot wait."""


class Request:
    """What is about to be sent, as far as policies may look at it.

    body: its JSON object. terms: what of it decides the price. changes: what policies changed of it.
    """

    __slots__ = ("_terms", "body", "changes")

    def __init__(self, body: Mapping[str, Any], terms: Callable[[], Mapping[str, str]]) -> None:
        self.body = body
        self.changes: dict[str, Any] = {}
        self._terms = terms

    @property
    def terms(self) -> Mapping[str, str]:
        """`core.call.Terms` of the request."""
        return self._terms()

    def change(self, **parameters: Any) -> None:
        """Set parameters of the request. Only before the first attempt: later ones repeat it."""
        self.body = {**self.body, **parameters}
        self.changes.update(parameters)


class Run:
    """One SDK call on its way through the policies: its attempts, one at a time.

    call: the attempt that runs. is_last: on the way out, whether the SDK call ends with this attempt.
    span, context: set by the policy that traces, for those who start work inside the call.
    request: what will be sent, None where nobody can see it. expected: what `expect_async` prepared.
    """

    __slots__ = ("_exits", "_open", "call", "context", "expected", "is_last", "pipeline", "request", "span")

    def __init__(self, pipeline: Pipeline, call: Call, request: Request | None = None) -> None:
        self.pipeline = pipeline
        self.call = call
        self.request = request
        self.expected: Any = None
        self.is_last = False
        self.span: Any = None
        self.context: Any = None
        self._exits: list[Exit] = []
        self._open = [True]

    def retry(self, call: Call) -> None:
        """The running attempt failed, as `self.call` says; `call` is the next one. Raises CallDenied."""
        self._leave()
        self.call = call
        self.pipeline.enter(self)

    async def expect_retry(self) -> None:
        """On an event loop: the running attempt failed, and another one comes after a pause."""
        for policy in self.pipeline.policies:
            try:
                await policy.expect_async(self)
            except Exception as error:  # noqa: BLE001 - a policy's fault must not reach the user
                faults.report(f"preparing a retry in {policy.name}", error)

    def finish(self) -> None:
        """The SDK call is over and its outcome stands on `self.call`. Once: later calls do nothing."""
        try:
            self._open.pop()  # atomic, so that of two threads only one goes on
        except IndexError:
            return
        self.is_last = True
        self._leave()
        # Who made the request holds this run: let go, so that neither waits for the garbage collector.
        self.request = None

    def _leave(self) -> None:
        exits = self._exits
        while exits:
            leave = exits.pop()
            try:
                leave(self)
            except Exception as error:  # noqa: BLE001 - a policy's fault must not reach the user
                faults.report(f"leaving {getattr(leave, '__qualname__', leave)}", error)

    def _deny(self, policy: Policy, error: CallDenied) -> None:
        self.call.denied_by = policy.name
        self.call.error_type = type(error).__name__
        self.finish()


def _step(policy: Policy) -> tuple[Policy, Exit | None]:
    """A policy, and its way out where the way in is only that."""
    return policy, policy.leave if type(policy).enter is Policy.enter else None


class Pipeline:
    """Policies in the order in which a call meets them: the first is the outermost."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self.is_ready = not self.policies
        self._steps = tuple(map(_step, self.policies))

    def prepare(self) -> None:
        """Let every policy load what it needs; a call may come before, and is then finished on our thread."""
        for policy in self.policies:
            try:
                policy.prepare()
            except Exception as error:  # noqa: BLE001
                faults.report(f"preparing {policy.name}", error)
        self.is_ready = True

    def start(self, call: Call, request: Request | None = None) -> Run:
        """Enter every policy with the first attempt. Raises CallDenied."""
        run = Run(self, call, request)
        self.enter(run)
        return run

    async def start_async(self, call: Call, request: Request | None = None) -> Run:
        """`start` on an event loop."""
        run = Run(self, call, request)
        for policy in self.policies:
            try:
                leave = await policy.enter_async(run)
            except CallDenied as denied:
                run._deny(policy, denied)
                raise
            except Exception as error:  # noqa: BLE001
                faults.report(f"entering {policy.name}", error)
                continue
            if leave is not None:
                run._exits.append(leave)
        return run

    def enter(self, run: Run) -> None:
        """Enter every policy with `run.call`. Raises CallDenied, with the policies before it left again."""
        exits = run._exits
        for policy, leave in self._steps:
            if leave is not None:
                exits.append(leave)
                continue
            try:
                leave = policy.enter(run)
            except CallDenied as denied:
                run._deny(policy, denied)
                raise
            except Exception as error:  # noqa: BLE001
                faults.report(f"entering {policy.name}", error)
                continue
            if leave is not None:
                exits.append(leave)
