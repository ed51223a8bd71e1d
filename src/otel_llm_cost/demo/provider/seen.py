"""A request as the provider saw it, kept for assertions, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .bill import Line


@dataclass
class Seen:
    """One attempt that arrived. Header names are lower case; `status` is 0 until an answer began.

    `finished`: the whole answer was written. `line`: what was charged for it, None when nothing was.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    request_id: str = ""
    response_id: str = ""
    status: int = 0
    finished: bool = False
    line: Line | None = field(default=None, repr=False)

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model", ""))

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return self.body.get("stream") is True

    @property
    def attempt(self) -> int:
        """1 for the first attempt of a call, from the SDK's own retry count."""
        count = self.headers.get("x-stainless-retry-count", "0")
        return int(count) + 1 if count.isdigit() else 1
