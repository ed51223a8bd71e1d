"""What a wire format hands to the server: a body or a stream of events, and what is charged for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .bill import Line
from .cache import PromptCache
from .quantities import Quantities
from .script import Step

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Refusal(Exception):  # noqa: N818 - the provider says no
    """A request that this provider does not serve. `code` and `param` as OpenAI names them."""

    def __init__(self, status: int, message: str, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


@dataclass(frozen=True)
class Event:
    """One event of a stream. `generated`: output tokens made when it leaves; `final`: it carries the end."""

    data: bytes
    generated: int
    final: bool = False


@dataclass(frozen=True)
class Reply:
    """Either a body or events. `used` is charged to `model`; None where an answer is free."""

    body: Mapping[str, Any] | None = None
    events: Sequence[Event] | None = None
    response_id: str = ""
    model: str = ""
    used: Quantities | None = None

    def charge(self, provider: str, request_id: str) -> Line | None:
        """The bill's line for it: whole for a body, still to grow for a stream."""
        if self.used is None:
            return None
        used = self.used if self.events is None else self.used.with_({"output": 0, "reasoning": 0})
        return Line(provider, self.model, request_id, self.response_id, used)


class Wire(Protocol):
    """How one provider talks: its headers and its words for errors."""

    provider: str

    def headers(self, request_id: str) -> dict[str, str]:
        """Headers of every answer."""

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """An error body."""

    def error_event(self, request_id: str) -> bytes:
        """An error in the middle of a stream."""

    def new_request_id(self) -> str:
        """A request id, never the same twice."""

    def key(self, headers: Mapping[str, str]) -> str:
        """The API key that came with a request."""


class Endpoint(Protocol):
    """What serves one path."""

    def __call__(self, body: dict[str, Any], step: Step, cache: PromptCache) -> Reply:
        """The answer to a request. Raises Refusal."""


def letters(length: int) -> str:
    """A random id body, from the system, so that ids never repeat."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(length))
