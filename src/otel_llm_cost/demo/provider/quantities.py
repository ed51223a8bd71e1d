"""What one answer used, each token in exactly one field; the wire formats add up what theirs include."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Quantities:
    """Tokens and searches. `input` is what no cache served or stored; `reasoning` is a part of `output`.

    `cache_write` is OpenAI's 30-minute write; Anthropic's carry their time to live in the name.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0

    @property
    def prompt(self) -> int:
        """All tokens that went in."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_5m + self.cache_write_1h

    def with_(self, overrides: Mapping[str, int]) -> Quantities:
        """The same with some fields set by a script."""
        return replace(self, **overrides) if overrides else self

    def as_dict(self) -> dict[str, int]:
        """Field name → quantity."""
        return asdict(self)
