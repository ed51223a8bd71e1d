"""Text that came from outside, made safe and readable inside HTML."""

from __future__ import annotations

import re
from html import escape
from typing import Final

LONGEST_LABEL: Final = 80
LONGEST_TITLE: Final = 1_000

_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]|[\ud800-\udfff]"
)


def safe(text: object) -> str:
    """Text for HTML, in an element or a quoted attribute. Control and direction characters become �."""
    return escape(_INVISIBLE.sub("\ufffd", str(text)), quote=True)


def label(text: str) -> str:
    """A name somebody chose, isolated from our reading direction; a very long one is cut, its start in the
    tooltip."""
    if len(text) <= LONGEST_LABEL:
        return f"<bdi>{safe(text)}</bdi>"
    cut = safe(text[: LONGEST_LABEL - 1])
    return f'<bdi title="{safe(text[:LONGEST_TITLE])}">{cut}…</bdi>'


def plain(text: str) -> str:
    """The same name where no markup can be, as in a chart's tooltip."""
    return safe(text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…")
