"""anthropic: messages and beta messages; Bedrock, Vertex and Foundry by client class.

Free and not counted: `count_tokens`, batches (counted when their results are fetched), models. The SDK emits
a span of its own since 1.17, a child of ours, which is marked as counted by us. Paths read in anthropic 2.13.
"""

from __future__ import annotations

from otel_llm_cost.instrument.sdk import Route, Sdk

SDK = Sdk(
    name="anthropic",
    package="anthropic",
    oldest="0.40",
    provider="anthropic",
    routes={
        "/v1/messages": Route(
            "chat", "messages", ends=(b"message_stop",), deltas=("text", "partial_json", "thinking")
        ),
    },
    flavours={
        "AnthropicBedrock": "aws.bedrock",
        "AsyncAnthropicBedrock": "aws.bedrock",
        "AnthropicBedrockMantle": "aws.bedrock",
        "AsyncAnthropicBedrockMantle": "aws.bedrock",
        "AnthropicVertex": "gcp.vertex_ai",
        "AsyncAnthropicVertex": "gcp.vertex_ai",
        "AnthropicGoogleCloud": "gcp.vertex_ai",
        "AsyncAnthropicGoogleCloud": "gcp.vertex_ai",
        "AnthropicFoundry": "azure.ai.inference",
        "AsyncAnthropicFoundry": "azure.ai.inference",
    },
    modules=("anthropic._base_client",),
    family="otel_llm_cost.instrument.stainless",
    native_scope="com.anthropic.sdk.python",
)
