"""Who answers: the provider behind a client, from its class, then from the host it talks to.

A host that is not in the table, loopback included, keeps the client's own provider: a proxy or a test server
speaks for it. A self-hosted model is said to be one by configuration only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from otel_llm_cost.instrument.sdk import Sdk
from otel_llm_cost.pricing import normalise

# Host, or its end where that starts with a dot or dash (each provider's API documentation, read 2026-11-24).
HOSTS: tuple[tuple[str, str], ...] = (
    ("api.openai.com", "openai"),
    (".api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    (".amazonaws.com", "aws.bedrock"),
    (".api.aws", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("-aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".rep.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    (".api.x.ai", "x_ai"),
    ("api.groq.com", "groq"),
    ("api.together.xyz", "together_ai"),
    ("api.together.ai", "together_ai"),
    ("-api.together.xyz", "together_ai"),
    ("-api.together.ai", "together_ai"),
    ("api.fireworks.ai", "fireworks_ai"),
    ("api.mistral.ai", "mistral_ai"),
    (".api.mistral.ai", "mistral_ai"),
    ("api.eu.mistral.ai", "mistral_ai"),
    ("api.us.mistral.ai", "mistral_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.cerebras.ai", "cerebras"),
    ("api.perplexity.ai", "perplexity"),
    ("router.huggingface.co", "hugging_face"),
    ("api.writer.com", "writer"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    (".aliyuncs.com", "alibaba_cloud"),
    ("ai-gateway.vercel.sh", "vercel"),
    ("api.voyageai.com", "voyage_ai"),
)

USAGE_ON_REQUEST = frozenset(
    {
        "openai",
        "azure.ai.openai",
        "openrouter",
        "deepseek",
        "x_ai",
        "together_ai",
        "fireworks_ai",
        "cerebras",
        "writer",
        "gcp.gemini",
    }
)
"""Providers that take `stream_options.include_usage`. The others send usage unasked, or refuse the option."""

SELF_HOSTED = "OTEL_LLM_COST_SELF_HOSTED"
"""`host:port=provider, …`: hosts of your own and the provider name their calls are priced under."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client's calls go; the port only where it is not the scheme's own, and empty texts for unknown.

    is_known: whether class or host told the provider. api_key_hash: tells keys apart. terms: what the host
    says about prices.
    """

    provider: str
    host: str
    port: int | None
    is_known: bool
    billing_account: str
    project: str
    api_key_hash: str
    terms: Mapping[str, str]


def provider_of_host(host: str, port: int | None) -> str:
    """The provider that owns a host, or an empty string."""
    own = _self_hosted(os.environ.get(SELF_HOSTED, ""))
    if own and (provider := own.get(f"{host}:{port}") or own.get(host)):
        return provider
    for name, provider in HOSTS:
        if host == name or (name[0] in ".-" and host.endswith(name)):
            return provider
    return ""


_targets: dict[int, tuple[Any, Any, Any, Target]] = {}
_REMEMBERED = 256


def target_of(client: Any, sdk: Sdk) -> Target:
    """Where this client's calls go; remembered per base URL and key, since asking costs microseconds."""
    url, key = client._base_url, getattr(client, "api_key", None)
    found = _targets.get(id(url))
    if found is not None and found[0] is url and found[1] is key and found[2] is type(client):
        return found[3]
    target = _look_up(client, sdk, url, key)
    if len(_targets) >= _REMEMBERED:
        _targets.clear()
    _targets[id(url)] = (url, key, type(client), target)
    return target


def target_of_url(url: str, client: Any, sdk: Sdk) -> Target:
    """Where a request goes whose URL may name a host of its own; else where the client's go."""
    target = target_of(client, sdk)
    parts = urlsplit(url)
    if not parts.hostname or parts.hostname == target.host:
        return target
    provider = provider_of_host(parts.hostname, parts.port)
    return replace(
        target,
        provider=provider or target.provider,
        host=parts.hostname,
        port=parts.port,
        is_known=bool(provider),
        terms=normalise.terms_of_host(parts.hostname),
    )


def _look_up(client: Any, sdk: Sdk, url: Any, key: Any) -> Target:
    host, port = url.host, url.port
    flavour = next(
        (sdk.flavours[kind.__name__] for kind in type(client).__mro__ if kind.__name__ in sdk.flavours), ""
    )
    by_host = provider_of_host(host, port)
    return Target(
        provider=flavour or by_host or sdk.provider,
        host=host,
        port=port,
        is_known=bool(flavour or by_host),
        billing_account=_text(getattr(client, "organization", None)),
        project=_text(getattr(client, "project", None)),
        api_key_hash=hash_of(key) if isinstance(key, str) and key else "",
        terms=normalise.terms_of_host(host),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=256)
def hash_of(key: str) -> str:
    """Tells keys apart without telling them: 64 bits of a hash of a random secret."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@lru_cache(maxsize=4)
def _self_hosted(setting: str) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in setting.split(",") if "=" in entry)
    return {host.strip().lower(): provider.strip() for host, _, provider in pairs}
