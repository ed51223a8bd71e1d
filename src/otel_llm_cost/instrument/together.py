"""together: chat, legacy completions and embeddings. Streams tell usage unasked, in the last chunk.

Not counted: images, video, audio and rerank, which are not billed by the token. Paths read in together 3.1;
Stainless generates them from 2.0 on.
"""

from __future__ import annotations

from otel_llm_cost.instrument.chat_routes import CHAT, EMBEDDINGS, TEXT
from otel_llm_cost.instrument.sdk import Sdk

SDK = Sdk(
    name="together",
    package="together",
    oldest="2.0",
    provider="together_ai",
    routes={"/chat/completions": CHAT, "/completions": TEXT, "/embeddings": EMBEDDINGS},
    modules=("together._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
