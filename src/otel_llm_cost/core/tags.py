"""Whose spend a call is: tags that hold for a stretch of code, and all that apply to a call right now.

Precedence, highest first (design §5): the call, `with tags(…)` or its decorator, allow-listed W3C baggage,
the environment (OTEL_LLM_COST_TAGS), resource attributes. Baggage and resource need OpenTelemetry, so
`propagation` hands their readers in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from otel_llm_cost.core import tag_text
from otel_llm_cost.core.semconv import WELL_KNOWN_TAGS

Tags = Mapping[str, str]
Reader = Callable[[], "Tags | None"]
"""Tags from elsewhere. The resource's may answer None: not known yet, ask again."""

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

NONE: Final[Tags] = MappingProxyType({})


class _Frame:
    """The tags that hold in a context: those of the innermost `with`, over its outer ones.

    A frame never changes and knows who opened it, so leaving needs no token: one `tags` object may be open
    in many threads and tasks at once, and be left in another context than it was entered in.
    """

    __slots__ = ("merged", "opener", "outer", "tags")

    def __init__(self, held: Tags, outer: _Frame | None, opener: tags | None) -> None:
        self.tags = held
        self.outer = outer
        self.opener = opener
        self.merged: tuple[Tags, Tags] | None = None
        """(process tags, those with ours over them): the answer of `current` while the first stays."""


_ROOT = _Frame(NONE, None, None)
_CLEARED = _Frame(NONE, None, None)
"""In force while a pool makes a worker, which would keep the tags of its first task for life."""
_frame: ContextVar[_Frame] = ContextVar("llm_cost_tags", default=_ROOT)
_MAX_DEPTH = 64


class tags:  # noqa: N801 - it reads as a statement: `with tags(team="search"):`
    """Tags for every LLM call in a `with` (or `async with`) block, or in a decorated function.

        with tags(team="search", feature="rank"): ...

        @tags(team="search")
        async def answer(question): ...

    Inner tags win over outer ones of the same key; None leaves the outer one as it is. Keys that are no
    Python names go into a mapping: `tags({"cost-centre": "4711"})`. Functions, coroutine functions,
    generators and async generators can be decorated; a decorated generator has its tags while its own body
    runs, and its consumer does not. One object may be used again and by many threads at once.

    Values that cannot be tags are dropped with one warning and never raise (bounds: `core.tag_text`).
    """

    __slots__ = ("own",)

    def __init__(self, pairs: Mapping[str, object] | None = None, /, **named: object) -> None:
        self.own: Tags = MappingProxyType(
            tag_text.clean({**(pairs or {}), **named}.items(), "otel_llm_cost.tags()")
        )

    def __enter__(self) -> tags:
        _frame.set(self._over(_frame.get()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        frame = _frame.get()
        _frame.set(frame.outer if frame.opener is self and frame.outer else _without(frame, self))

    async def __aenter__(self) -> tags:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        from otel_llm_cost.core.tag_decorator import decorate  # `inspect`, only for those who decorate

        return decorate(self, function)

    def __repr__(self) -> str:
        return f"tags({dict(self.own)})"

    def _over(self, outer: _Frame) -> _Frame:
        held = {**outer.tags, **self.own}
        if len(held) > tag_text.MAX_TAGS:
            held = tag_text.clean((*self.own.items(), *outer.tags.items()), "nested tags()") | dict(self.own)
        return _Frame(MappingProxyType(held), outer, self)


def _without(frame: _Frame, opener: tags) -> _Frame:
    """`frame` as if `opener` had not been entered: left out of order, or in a context that never had it."""
    above: list[tags] = []
    here: _Frame | None = frame
    while here is not None and here.opener is not None and len(above) < _MAX_DEPTH:
        if here.opener is opener and here.outer is not None:
            left = here.outer
            for other in reversed(above):
                left = other._over(left)
            return left
        above.append(here.opener)
        here = here.outer
    return frame


class Scope:
    """A generator's own place for tags: in force while its body runs, out of its consumer's sight."""

    __slots__ = ("_consumer", "_own")

    def __init__(self, opener: tags) -> None:
        self._consumer = _frame.get()
        self._own = opener._over(self._consumer)

    def __enter__(self) -> None:
        self._consumer = _frame.get()
        _frame.set(self._own)

    def __exit__(self, *_: object) -> None:
        self._own = _frame.get()
        _frame.set(self._consumer)


_process: Tags | None = None
_environment: Tags | None = None
_read_baggage: Reader = lambda: None  # noqa: E731
_read_resource: Reader = lambda: None  # noqa: E731


def current(call: Tags | None = None) -> Tags:
    """Every tag that applies to a call made here and now; `call` are the tags that the call itself brings.

    Read-only and cheap (the hot path). The tags of the process are read once.
    """
    frame = _frame.get()
    process = _process if _process is not None else _work_out_process()
    baggage = _read_baggage()
    if baggage or call:
        return MappingProxyType({**process, **(baggage or NONE), **frame.tags, **(call or NONE)})
    merged = frame.merged
    if merged is None or merged[0] is not process:
        held = MappingProxyType({**process, **frame.tags}) if frame.tags else process
        merged = frame.merged = (process, held)
    return merged[1]


def of_call(body: Mapping[str, Any], *headers: object) -> Tags:
    """The tags that a call brings in its request: header, over `metadata`, over `user` as customer_id.

    Of `metadata` only the well-known keys and those named `llm_cost.<key>` are taken, since the rest is the
    app's own and may be anything. `user` is OpenAI's, `metadata.user_id` Anthropic's name of the end user.
    Of several sets of headers (the client's, the call's) the later wins; what is no mapping is passed over.
    """
    found: Tags = NONE
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else NONE
    if metadata or "user" in body:
        pairs = [("customer_id", body.get("user") or metadata.get("user_id"))]
        for key, value in metadata.items():
            if key in WELL_KNOWN_TAGS:
                pairs.append((key, value))
            elif isinstance(key, str) and key.startswith("llm_cost."):
                pairs.append((key.removeprefix("llm_cost.").removeprefix("tag."), value))
        found = tag_text.clean(pairs, "a request's metadata")
    for some in headers:
        if some and isinstance(some, Mapping):
            for name, value in some.items():
                if isinstance(name, str) and name.lower() == tag_text.HEADER and isinstance(value, str):
                    found = {**found, **tag_text.parse_header(value)}
    return found


def carried() -> Tags:
    """The tags to take along to another thread or process: of this context and of its baggage."""
    frame = _frame.get()
    if frame is _CLEARED:
        return NONE
    baggage = _read_baggage()
    return MappingProxyType({**baggage, **frame.tags}) if baggage else frame.tags


def of_process() -> Tags:
    """The tags that the environment gives to the whole process."""
    global _environment
    if _environment is None:
        text = os.environ.get(tag_text.VARIABLE, "")
        _environment = MappingProxyType(tag_text.parse(text, tag_text.VARIABLE)) if text else NONE
    return _environment


def run_with(held: Tags, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` with exactly these tags in its context, whatever was there before."""
    before = _frame.get()
    _frame.set(_Frame(held, None, None))
    try:
        return function(*args, **kwargs)
    finally:
        _frame.set(before)


def run_cleared(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` so that a thread or process it starts takes no tags along."""
    before = _frame.get()
    _frame.set(_CLEARED)
    try:
        return function(*args, **kwargs)
    finally:
        _frame.set(before)


class Carried:
    """A function that takes the tags of here and now along, to a worker thread or (pickled) process."""

    __slots__ = ("_function", "_held")

    def __init__(self, function: Callable[..., Any], held: Tags) -> None:
        self._function = function
        self._held = held

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return run_with(self._held, self._function, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Carried, (self._function, dict(self._held)))


def connect(read_baggage: Reader | None, read_resource: Reader | None) -> None:
    """Say where baggage and resource tags come from (None: nowhere), and read the process's tags anew."""
    global _read_baggage, _read_resource
    _read_baggage = read_baggage or (lambda: None)
    _read_resource = read_resource or (lambda: None)
    reread()


def reread() -> None:
    """Read the tags of the process anew at the next call: its environment or its resource has changed."""
    global _environment, _process
    _environment = _process = None


def _work_out_process() -> Tags:
    """Environment over resource; kept once the resource is known."""
    global _process
    resource = _read_resource()
    environment = of_process()
    if resource is None:
        return environment
    _process = MappingProxyType({**resource, **environment}) if resource else environment
    return _process
