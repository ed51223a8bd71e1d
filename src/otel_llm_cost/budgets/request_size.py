"""How many tokens a request can be at most, from its bytes, and what makes that unknowable.

A byte-level tokenizer makes at least one byte of every token, so bytes bound tokens for text: about four
times too many for English, exact enough far from a limit, and 2 µs where counting takes 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from otel_llm_cost import tokens

PER_NODE = 8
"""Bytes added per object of the request: roles, separators and what a provider wraps around a message."""

TOOLS_PROMPT = 1_000
"""Tokens a provider's hidden instructions for tools take at most; Anthropic's took up to 804 of them
(https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview; from memory, unchecked)."""

MEDIA: dict[str, str] = {
    **dict.fromkeys(("image", "image_url", "input_image"), "an image"),
    **dict.fromkeys(("audio", "input_audio"), "audio"),
    **dict.fromkeys(("file", "input_file", "document", "container_upload"), "a file"),
    **dict.fromkeys(("video", "video_url"), "a video"),
    "item_reference": "an item kept at the provider",
}
"""Types of content whose tokens do not follow from the request's bytes."""

KEPT_AT_PROVIDER: dict[str, str] = {
    "previous_response_id": "an earlier answer that the provider keeps",
    "conversation": "a conversation that the provider keeps",
    "prompt": "a prompt template that the provider keeps",
    "mcp_servers": "remote tool servers",
    "container": "a container at the provider",
    "web_search_options": "web search",
}
"""Parameters that make the provider read or do more than the request says."""

OWN_TOOLS = ("function", "custom", "bash_", "text_editor_", "memory_", "local_shell", "apply_patch", "")
"""Beginnings of types of tools that run at the caller; every other tool runs, and bills, at the provider."""


class Size(NamedTuple):
    """What is known of a request's prompt.

    tokens: no prompt has more, if `gaps` is empty. gaps: why it may have more. caches: asks for cache writes.
    """

    tokens: int
    caches: bool
    gaps: tuple[str, ...]


def measure(body: Mapping[str, Any]) -> Size:
    """Bound a request's prompt by its bytes."""
    kept = body.keys() & KEPT_AT_PROVIDER.keys()
    gaps = [KEPT_AT_PROVIDER[name] for name in sorted(kept) if body[name] and not _is_text(name, body)]
    offered = body.get("tools")
    if offered:
        gaps += [f"the tool {kind}, which runs at the provider" for kind in _foreign(offered)]
    total, caches, media = _walk(body)
    unknown = tuple(dict.fromkeys((*gaps, *media))) if gaps or media else ()
    return Size(total + (TOOLS_PROMPT if offered else 0), caches, unknown)


def count(body: Mapping[str, Any], model: str) -> int | None:
    """The prompt's tokens by the model's own vocabulary, None where that is not at hand.

    Texts are counted, everything around them stays bounded by its bytes.
    """
    if not model.startswith(O200K) or tokens.counter() is tokens.by_length:
        return None
    texts: list[str] = []
    bare = _without_texts({name: body[name] for name in body if name in COUNTED}, texts)
    rest, _, _ = _walk({**body, **bare})
    return rest + sum(tokens.count(text) for text in texts) + (TOOLS_PROMPT if body.get("tools") else 0)


O200K = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "o1", "o3", "o4", "chatgpt-4o")
"""Beginnings of the models whose vocabulary is o200k_base
(https://github.com/openai/tiktoken, model.py; from memory, unchecked)."""

COUNTED = ("messages", "input", "instructions")


def _without_texts(value: Any, texts: list[str]) -> Any:
    if isinstance(value, str):
        texts.append(value)
        return ""
    if isinstance(value, dict):
        return {
            key: item if key in ("role", "type") else _without_texts(item, texts)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_texts(item, texts) for item in value]
    return value


def _is_text(name: str, body: Mapping[str, Any]) -> bool:
    return name == "prompt" and isinstance(body[name], str | list)  # the completions API's prompt is the text


def _foreign(offered: Any) -> list[str]:
    kinds = (
        [tool.get("type") or "" for tool in offered if isinstance(tool, Mapping)] if _is_list(offered) else []
    )
    return [str(kind) for kind in kinds if not str(kind).startswith(OWN_TOOLS[:-1]) and kind != ""]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _walk(body: Any) -> tuple[int, bool, list[str]]:
    """Bytes of everything in a request, whether it marks cache breakpoints, and media in it."""
    total, caches = 0, False
    media: list[str] = []
    stack = [body]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            total += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
        elif kind is dict or isinstance(item, Mapping):
            total += PER_NODE
            for key, value in item.items():
                total += len(key) + 4
                stack.append(value)
                if key == "cache_control":
                    caches = True
                elif key == "type" and type(value) is str and value in MEDIA:
                    media.append(MEDIA[value])
        elif kind is list or kind is tuple:
            stack.extend(item)
        elif item is None or isinstance(item, int | float):
            total += 24
        else:
            media.append(f"a {kind.__name__} object")
    return total, caches, media
