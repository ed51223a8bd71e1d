"""google-genai: generateContent and embeddings, on the Gemini API and on Vertex AI, chats included.

Automatic function calling is several requests, and several calls. Not counted: images, video, live sessions,
interactions and batches; cached contents, which are billed by the hour. Free: countTokens, files, models.
Paths read in google-genai 3.6.
"""

from __future__ import annotations

from otel_llm_cost.instrument.sdk import Route, Sdk

_EMBED = Route("embeddings", "embed_content")

SDK = Sdk(
    name="google_genai",
    package="google.genai",
    distribution="google-genai",
    oldest="1.50",
    provider="gcp.gemini",
    routes={
        ":generateContent": Route("generate_content", "generate_content", deltas=("text",)),
        ":streamGenerateContent": Route("generate_content", "generate_content", deltas=("text",)),
        ":embedContent": _EMBED,
        ":batchEmbedContents": _EMBED,
    },
    modules=("google.genai._api_client",),
    family="otel_llm_cost.instrument.genai_calls",
)
