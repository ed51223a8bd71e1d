"""openai: chat, legacy completions, responses, embeddings; Azure and Bedrock by client class.

Free and not counted: moderations, `responses/input_tokens`, cancel, files, models. Paths read in openai 3.57.
"""

from __future__ import annotations

from otel_llm_cost.instrument.sdk import Route, Sdk

_DONE = (b"[DONE]",)
_RESPONSE_ENDS = (b"response.completed", b"response.incomplete", b"response.failed")

SDK = Sdk(
    name="openai",
    package="openai",
    oldest="1.50",
    provider="openai",
    routes={
        "/chat/completions": Route(
            "chat",
            "chat.completions",
            asks_usage=True,
            ends=_DONE,
            deltas=("content", "refusal", "arguments"),
        ),
        "/responses": Route("chat", "responses", ends=_RESPONSE_ENDS, deltas=("delta",)),
        "/embeddings": Route("embeddings", "embeddings"),
        "/completions": Route(
            "text_completion", "completions", asks_usage=True, ends=_DONE, deltas=("text",)
        ),
    },
    flavours={
        "AzureOpenAI": "azure.ai.openai",
        "AsyncAzureOpenAI": "azure.ai.openai",
        "BedrockOpenAI": "aws.bedrock",
        "AsyncBedrockOpenAI": "aws.bedrock",
    },
    modules=("openai._base_client",),
    family="otel_llm_cost.instrument.stainless",
)
