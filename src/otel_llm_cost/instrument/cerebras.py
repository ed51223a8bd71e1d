"""cerebras: chat and legacy completions. Streams are asked for usage.

Free and not counted: models, and the GET that warms up the connection. Paths read in cerebras-cloud-sdk 1.91.
"""

from __future__ import annotations

from otel_llm_cost.instrument.chat_routes import CHAT_IF_ASKED, TEXT_IF_ASKED
from otel_llm_cost.instrument.sdk import Sdk

SDK = Sdk(
    name="cerebras",
    package="cerebras.cloud.sdk",
    distribution="cerebras-cloud-sdk",
    oldest="1.50",
    provider="cerebras",
    routes={"/v1/chat/completions": CHAT_IF_ASKED, "/v1/completions": TEXT_IF_ASKED},
    modules=("cerebras.cloud.sdk._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
