"""groq: chat and embeddings. Streams tell usage unasked, in `x_groq` of the last chunk.

Not counted: audio, which is billed by the second; batches, files and models are free. Paths read in groq 1.7.
"""

from __future__ import annotations

from otel_llm_cost.instrument.chat_routes import CHAT, EMBEDDINGS
from otel_llm_cost.instrument.sdk import Sdk

SDK = Sdk(
    name="groq",
    package="groq",
    oldest="0.37",
    provider="groq",
    routes={"/v1/chat/completions": CHAT, "/v1/embeddings": EMBEDDINGS},
    modules=("groq._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
