"""writer: chat, at a path of its own, and text completions. Streams are asked for usage.

Not counted: applications, graph questions and vision, which tell no usage. Paths read in writer-sdk 3.0.
"""

from __future__ import annotations

from otel_llm_cost.instrument.chat_routes import CHAT_IF_ASKED, TEXT
from otel_llm_cost.instrument.sdk import Sdk

SDK = Sdk(
    name="writer",
    package="writerai",
    distribution="writer-sdk",
    oldest="3.0",
    provider="writer",
    routes={"/v1/chat": CHAT_IF_ASKED, "/v1/completions": TEXT},
    modules=("writerai._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
