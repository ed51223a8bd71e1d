"""Names: which provider and which model a call means, whatever spelling it arrived in."""

from __future__ import annotations

import re
from functools import lru_cache

PROVIDERS: dict[str, tuple[str, ...]] = {
    # OpenTelemetry gen_ai.provider.name (or our name where it has none) → other spellings.
    "openai": ("openai.com",),
    "azure.ai.openai": ("azure", "azure_openai", "azure-openai", "azure.openai", "az.ai.openai"),
    "azure.ai.inference": ("azure_ai", "az.ai.inference"),
    "anthropic": ("anthropic.com", "claude"),
    "aws.bedrock": ("aws", "bedrock", "aws_bedrock", "amazon", "amazon_bedrock", "amazon-bedrock"),
    "gcp.gemini": ("google", "gemini", "google_genai", "google-genai", "google-gla", "google.gemini"),
    "gcp.vertex_ai": (
        "vertex_ai",
        "vertex",
        "vertexai",
        "google_vertexai",
        "google-vertex",
        "google.vertex_ai",
    ),
    "gcp.gen_ai": (),
    "mistral_ai": ("mistral", "mistralai", "mistral-ai"),
    "x_ai": ("x-ai", "xai", "x.ai", "grok"),
    "cohere": ("cohere.com",),
    "deepseek": ("deep_seek",),
    "groq": ("groq.com",),
    "perplexity": ("perplexity_ai", "pplx"),
    "openrouter": ("open_router", "openrouter.ai"),
    "together_ai": ("together", "togetherai", "together-ai"),
    "fireworks_ai": ("fireworks", "fireworks-ai"),
    "cerebras": (),
    "voyage_ai": ("voyage", "voyageai"),
    "moonshot_ai": ("moonshot", "moonshotai"),
    "z_ai": ("zai", "z-ai"),
    "zhipu_ai": ("zhipuai", "zhipu"),
    "minimax": (),
    "novita": ("novita_ai",),
    "cloudflare": ("cloudflare_ai", "workers_ai"),
    "databricks": (),
    "elevenlabs": ("eleven_labs",),
    "hugging_face": ("huggingface",),
    "ollama": (),
    "writer": (),
    "ibm.watsonx.ai": ("watsonx",),
}

_BY_SPELLING = {spelling: name for name, spellings in PROVIDERS.items() for spelling in (name, *spellings)}

DATABASE_IDS: dict[str, tuple[str, ...]] = {
    "azure.ai.openai": ("azure",),
    "azure.ai.inference": ("azure",),
    "aws.bedrock": ("aws",),
    "gcp.gemini": ("google",),
    "gcp.vertex_ai": ("google",),
    "gcp.gen_ai": ("google",),
    "mistral_ai": ("mistral",),
    "x_ai": ("x-ai",),
    "together_ai": ("together",),
    "fireworks_ai": ("fireworks",),
    "voyage_ai": ("voyageai",),
    "moonshot_ai": ("moonshotai",),
    "z_ai": ("zai",),
    "zhipu_ai": ("zhipuai",),
    "ollama": (),
    "writer": (),
    "hugging_face": (),
    "ibm.watsonx.ai": (),
}
"""Our name → provider ids in genai-prices, where they differ."""


@lru_cache(maxsize=1024)
def provider_name(provider: str) -> str:
    """OpenTelemetry's name of a provider; an unknown one is returned as it came, in lower case."""
    spelling = provider.strip().lower()
    return _BY_SPELLING.get(spelling, spelling)


def database_ids(provider: str) -> tuple[str, ...]:
    """The provider's ids in genai-prices; its own name when no row says otherwise."""
    return DATABASE_IDS.get(provider, (provider,))


CLEANUPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Vertex AI and Gemini resource names
        (r"^(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/", ""),
        (r"^models/", ""),
        # Bedrock ARNs of foundation models and system inference profiles end in the model's id
        (r"^arn:aws[\w-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/", ""),
        # LiteLLM style prefixes that repeat the provider
        (r"^(?:azure|azure_ai|bedrock|vertex_ai|gemini)/(?:converse/|invoke/|responses/)?", ""),
        # Anthropic on Vertex AI: claude-x@20250929, @default, @latest
        (r"@(?:default|latest)$", ""),
    )
)
"""Wrappers around a model's id, and what is left of them."""


@lru_cache(maxsize=4096)
def model_name(model: str) -> str:
    """A model's id without the wrappers of the API that it was called through; lower case."""
    name = model.strip().lower()
    for pattern, replacement in CLEANUPS:
        name = pattern.sub(replacement, name)
    return name


OPAQUE = re.compile(
    r"^arn:aws[\w-]*:bedrock:[^:]*:[^:]*:(application-inference-profile|provisioned-model|custom-model)"
)
"""Bedrock ARNs that say nothing about the model; only the operator's mapping can."""


def region_of_arn(model: str) -> str:
    """The AWS region in a Bedrock ARN, else empty."""
    return model.split(":")[3] if model.startswith("arn:aws") and model.count(":") >= 5 else ""
