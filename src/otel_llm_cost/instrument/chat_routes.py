"""Paths of SDKs that speak OpenAI's chat format under their own names: what their files are made of."""

from __future__ import annotations

from dataclasses import replace

from otel_llm_cost.instrument.sdk import Route

_DONE = (b"[DONE]",)

CHAT = Route("chat", "chat.completions", ends=_DONE, deltas=("content", "reasoning", "refusal", "arguments"))
"""Chat of a provider whose streams tell usage unasked."""
CHAT_IF_ASKED = replace(CHAT, asks_usage=True)
"""Chat of a provider whose streams tell usage only where `stream_options` ask for it."""
TEXT = Route("text_completion", "completions", ends=_DONE, deltas=("text",))
TEXT_IF_ASKED = replace(TEXT, asks_usage=True)
EMBEDDINGS = Route("embeddings", "embeddings")
