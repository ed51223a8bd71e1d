"""Where LLM SDKs are wrapped: one file per SDK, and the engine that they share.

`SDKS` is the one list of them; nothing here imports an SDK.
"""

from __future__ import annotations

from otel_llm_cost.instrument import (
    anthropic,
    cerebras,
    fireworks,
    google_genai,
    groq,
    openai,
    together,
    writer,
)
from otel_llm_cost.instrument.sdk import Sdk

SDKS: dict[str, Sdk] = {
    module.SDK.name: module.SDK
    for module in (openai, anthropic, google_genai, groq, together, fireworks, cerebras, writer)
}
