"""Prompt caches of both kinds: OpenAI's is automatic, Anthropic's is marked by the caller."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST = 1_024
"""Tokens below which nothing is cached (both providers' documentation, most models)."""
STEP = 128
"""OpenAI caches prefixes in steps of this many tokens."""
SECONDS = {"5m": 300, "1h": 3_600}
_REMEMBERED = 64


@dataclass(frozen=True)
class Block:
    """One cacheable piece of an Anthropic prompt. `ttl`: `5m` or `1h` before a breakpoint, else empty."""

    text: str
    tokens: int
    ttl: str = ""


class PromptCache:
    """What was cached, for all models."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiry: dict[str, float] = {}
        self._prompts: dict[str, deque[list[str]]] = {}

    def clear(self) -> None:
        """Forget every prompt."""
        with self._lock:
            self._expiry.clear()
            self._prompts.clear()

    def automatic(self, model: str, prompt: list[str]) -> tuple[int, int]:
        """Tokens read from the cache and newly stored, for a prompt given as its tokens."""
        if len(prompt) < SMALLEST:
            return 0, 0
        with self._lock:
            seen = self._prompts.setdefault(model, deque(maxlen=_REMEMBERED))
            shared = max((_shared(prompt, earlier) for earlier in seen), default=0)
            seen.append(prompt)
        read = shared // STEP * STEP if shared >= SMALLEST else 0
        return read, len(prompt) // STEP * STEP - read

    def marked(self, model: str, blocks: Sequence[Block]) -> tuple[int, dict[str, int]]:
        """Tokens read, and tokens stored per time to live, for a prompt with breakpoints.

        The longest prefix that ends at a breakpoint and is still stored is read (and lives on); what lies
        between it and each later breakpoint is written under that breakpoint's time to live.
        """
        now = time.monotonic()
        digest = hashlib.sha256(model.encode())
        total = read = 0
        stops: list[tuple[str, int, str]] = []
        for block in blocks:
            digest.update(block.text.encode() + b"\0")
            total += block.tokens
            if block.ttl and total >= SMALLEST:
                stops.append((digest.hexdigest(), total, block.ttl))
        written: dict[str, int] = {}
        with self._lock:
            for key, length, ttl in reversed(stops):
                if self._expiry.get(key, 0) > now:
                    self._expiry[key] = now + SECONDS[ttl]
                    read = length
                    break
            reached = read
            for key, length, ttl in stops:
                if length > reached:
                    written[ttl] = written.get(ttl, 0) + length - reached
                    self._expiry[key] = now + SECONDS[ttl]
                    reached = length
        return read, written


def _shared(left: list[str], right: list[str]) -> int:
    for number, (mine, theirs) in enumerate(zip(left, right, strict=False)):
        if mine != theirs:
            return number
    return min(len(left), len(right))
