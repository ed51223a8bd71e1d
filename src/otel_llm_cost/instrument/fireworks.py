"""fireworks: chat, legacy completions and messages. Streams tell usage unasked, in the last chunk.

Fine-tuning, deployments and other administration are not calls. Paths read in fireworks-ai 1.2.
"""

from __future__ import annotations

from otel_llm_cost.instrument import anthropic
from otel_llm_cost.instrument.chat_routes import CHAT, TEXT
from otel_llm_cost.instrument.sdk import Sdk

SDK = Sdk(
    name="fireworks",
    package="fireworks",
    distribution="fireworks-ai",
    oldest="1.2",
    provider="fireworks_ai",
    routes={"/v1/chat/completions": CHAT, "/v1/completions": TEXT, **anthropic.SDK.routes},
    modules=("fireworks._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
