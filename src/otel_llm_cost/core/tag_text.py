"""Tags as text, in and out: what a tag may be, and how a list of them is written. Never raises."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final
from urllib.parse import quote, unquote

VARIABLE: Final = "OTEL_LLM_COST_TAGS"
"""`team=search,feature=rank`: the tags of a whole process, and how tags reach a child process."""
HEADER: Final = "x-litellm-tags"
"""Request header `team:search,feature:rank`; LiteLLM's proxy reads it too (docs.litellm.ai, 2026-11-24)."""

MAX_TAGS: Final = 32
MAX_KEY: Final = 64
MAX_VALUE: Final = 256
MAX_TEXT: Final = 8192
"""Bounds, in characters: tags become span attributes, table columns and headers."""

_log = logging.getLogger("otel_llm_cost")
_warned: set[tuple[str, str]] = set()
_KEY = re.compile(r"\w[\w./-]*")
_SAFE = " !\"#$&'()*+-./:;<>?@[]^_`{|}~"  # everything printable but the three characters of our own syntax


def clean(pairs: Iterable[tuple[object, object]], source: str) -> dict[str, str]:
    """The usable tags among `pairs`; of two with one key the later.

    Numbers, booleans and enum members become text. None and empty text are no tag and pass silently. What
    breaks a bound is dropped, not cut: spend on the wrong line is worse than untagged spend. `source` names
    the origin in the one warning that each kind of mistake gets; values are never logged.
    """
    tags: dict[str, str] = {}
    for key, value in pairs:
        text = _text(value)
        if not text:
            if text is None:
                _warn(source, "a value that is neither text nor number")
        elif not isinstance(key, str) or len(key) > MAX_KEY or not _KEY.fullmatch(key):
            _warn(source, f"a key that is not a word of at most {MAX_KEY} characters")
        elif len(text) > MAX_VALUE or not text.isprintable():
            _warn(source, f"a value longer than {MAX_VALUE} characters, or with control characters in it")
        elif len(tags) >= MAX_TAGS and key not in tags:
            _warn(source, f"more than {MAX_TAGS} tags")
        else:
            tags[key] = text
    return tags


def _text(value: object) -> str | None:
    """The value as text, empty when there is nothing to say, None when it cannot be a tag."""
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else None


def parse(text: str, source: str = VARIABLE) -> dict[str, str]:
    """The tags in `key=value,key=value`; percent escapes are read, what has no key or value is dropped."""
    pairs = list(_pairs(text, "=", source))
    if not all(key and value for key, value in pairs):
        _warn(source, "an entry that is not key=value")
    return clean(((unquote(key), unquote(value)) for key, value in pairs if key), source)


def parse_header(text: str) -> dict[str, str]:
    """The tags in a request header, `key:value,key:value`; other entries are LiteLLM's own tags."""
    source = f"the {HEADER} header"
    return clean(((key, value) for key, value in _pairs(text, ":", source) if key and value), source)


def _pairs(text: str, separator: str, source: str) -> Iterator[tuple[str, str]]:
    if len(text) > MAX_TEXT:
        _warn(source, f"a list longer than {MAX_TEXT} characters")
        return
    for entry in text.split(","):
        if entry.strip():
            key, _, value = entry.partition(separator)
            yield key.strip(), value.strip()


def to_text(tags: Mapping[str, str]) -> str:
    """The text that `parse` reads back as the same tags: ASCII, so that any locale can hold it."""
    entries: list[str] = []
    length = 0
    for key, value in tags.items():
        entry = f"{quote(key, safe=_SAFE)}={quote(value, safe=_SAFE)}"
        length += len(entry) + 1
        if length > MAX_TEXT:
            _warn("tags for another process", f"a list longer than {MAX_TEXT} characters")
            break
        entries.append(entry)
    return ",".join(entries)


def _warn(source: str, mistake: str) -> None:
    if (source, mistake) not in _warned:
        _warned.add((source, mistake))
        _log.warning("%s: %s; it is ignored, and so is every later one", source, mistake)
