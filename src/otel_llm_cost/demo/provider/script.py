"""What the provider does with a request, when a test or the demo wants something other than a good answer.

A script is steps, written as objects or as text. The steps of a request's header are taken by attempt, the
last one again for all later attempts; queued steps are taken once each, by the next request (of that model).

    "status=429 | ok"            refuse once, then serve
    "input=1200,output=80"       report (and bill) these quantities
    "die_after=3"                send three events of a stream, then drop the connection
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .quantities import Quantities

HEADER = "x-demo-script"
"""Request header that scripts its own request: safe where many tests share a provider."""


@dataclass(frozen=True)
class Step:
    """One answer. The defaults serve at once and truthfully.

    status: an error in the provider's own words unless 200. retry_after: seconds, sent with errors.
    hang: seconds of silence before anything is sent. delay: seconds between the events of a stream.
    chunks: length of the text in tokens, one event each. text: the answer, word for word.
    die_after / fail_after: after so many events of a stream drop the connection / send an error event.
    dies: drop the connection instead of answering at all.
    usage: quantities to report and bill instead of the counted ones. body: keys merged into the response.
    tools: whether offered tools are called. gzip: compress the body. headers: added to the response's.
    """

    status: int = 200
    retry_after: float = 0.001
    should_retry: str = ""
    hang: float = 0.0
    delay: float = 0.0
    chunks: int = 0
    text: str = ""
    die_after: int = -1
    fail_after: int = -1
    dies: bool = False
    tools: bool = True
    gzip: bool = False
    usage: Mapping[str, int] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Step:
        """A step from `key=value, …`; quantities are keys too. ValueError names a key that is none."""
        settings: dict[str, Any] = {}
        usage: dict[str, int] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key, _, value = (side.strip() for side in entry.partition("="))
            if key == "ok":
                continue
            if key in _QUANTITIES:
                usage[key] = int(value)
            elif key in _READERS:
                settings[key] = _READERS[key](value)
            else:
                raise ValueError(f"a step has no {key!r}; it has {', '.join([*_READERS, *_QUANTITIES])}")
        return cls(**settings, usage=usage)


_QUANTITIES = frozenset(each.name for each in fields(Quantities))
_READERS: dict[str, Any] = {
    "status": int,
    "retry_after": float,
    "should_retry": str,
    "hang": float,
    "delay": float,
    "chunks": int,
    "text": str,
    "die_after": int,
    "fail_after": int,
    "dies": lambda value: value != "no",
    "tools": lambda value: value != "no",
    "gzip": lambda value: value != "no",
}
SERVE = Step()


class Script:
    """The steps to come, shared by the provider's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Step] = deque()
        self._by_model: dict[str, deque[Step]] = {}

    def add(self, steps: tuple[Step | str, ...], model: str = "") -> None:
        """Queue steps for whichever requests come next, or for those that name a model."""
        with self._lock:
            queue = self._by_model.setdefault(model, deque()) if model else self._queue
            queue.extend(_steps(steps))

    def clear(self) -> None:
        """Forget every step."""
        with self._lock:
            self._queue.clear()
            self._by_model.clear()

    def next(self, model: str, headers: Mapping[str, str]) -> Step:
        """The step for a request: its header's, else its model's queue, else the queue, else serve it."""
        if text := headers.get(HEADER, ""):
            own = _steps((text,))
            attempt = headers.get("x-stainless-retry-count", "0")
            return own[min(int(attempt) if attempt.isdigit() else 0, len(own) - 1)]
        with self._lock:
            for queue in (self._by_model.get(model), self._queue):
                if queue:
                    return queue.popleft()
        return SERVE


def _steps(steps: tuple[Step | str, ...]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.extend([step] if isinstance(step, Step) else map(Step.parse, step.split("|")))
    return found
