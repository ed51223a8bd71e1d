"""Finding: one thing that `doctor` looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "note", "off", "problem"]
"""ok: as it should be. note: worth knowing. off: not in use, and why. problem: needs attention."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is what is so; `advice` what to do, empty when there is nothing. `details` are for programs."""

    area: str
    name: str
    state: State
    text: str
    advice: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


Environ = Mapping[str, str]
Check = Callable[[Environ], Iterable[Finding]]
"""Looks at one area, in an app's environment as `opentelemetry-instrument` would start it."""
