"""What the request side knows and the payload does not: batch, host, region, deployment, requested tier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CONTEXT_TERMS: tuple[tuple[str, str], ...] = (
    ("processing", "processing"),
    ("service_tier", "service_tier"),
    ("requested_service_tier", "service_tier"),
    ("request_service_tier", "service_tier"),
    ("speed", "speed"),
    ("inference_geo", "inference_geo"),
    ("residency", "residency"),
    ("data_residency", "residency"),
    ("region", "region"),
    ("location", "region"),
    ("vertex_location", "region"),
    ("aws_region", "region"),
    ("endpoint", "region"),
    ("deployment_type", "deployment_type"),
    ("sku", "deployment_type"),
    ("zone", "zone"),
    ("data_zone", "zone"),
    ("search_context", "search_context"),
    ("search_context_size", "search_context"),
    ("search_type", "search_type"),
    ("traffic_type", "traffic_type"),
    ("size", "image_size"),
    ("quality", "image_quality"),
    ("latency", "latency"),
)
"""Key of the request's context → term of `core.call.Terms`; the first that is given wins."""

HOST_TERMS: tuple[tuple[str, str], ...] = (
    # https://developers.openai.com/api/docs/guides/data-residency (checked 2026-11-24): regional hosts.
    (r"^(?P<residency>[a-z]{2})\.api\.openai\.com$", "residency"),
    # Vertex AI: `<location>-aiplatform.googleapis.com`; the bare host is the global endpoint.
    (r"^(?P<region>[a-z]+-[a-z]+\d+|us|eu)-aiplatform\.googleapis\.com$", "region"),
    (r"^aiplatform\.(?P<region>[a-z]+-[a-z]+\d+|us|eu)\.rep\.googleapis\.com$", "region"),
    (r"^bedrock(?:-runtime)?(?:-fips)?\.(?P<region>[a-z-]+\d)\.amazonaws\.com$", "region"),
    # https://docs.together.ai/docs/regional-endpoints (checked 2026-11-24).
    (r"^(?P<region>us|ca)-api\.together\.(?:xyz|ai)$", "region"),
    # https://docs.mistral.ai/inference/regional-inference (checked 2026-11-24).
    (r"^(?:api\.(?P<a>eu|us)|(?P<region>eu|us)\.api)\.mistral\.ai$", "region"),
)
"""Host of the API → the term that its name reveals."""

_HOSTS = tuple((re.compile(pattern), term) for pattern, term in HOST_TERMS)

_FIXED_HOSTS = {"aiplatform.googleapis.com": {"region": "global"}}


def host_of(url: str) -> str:
    """The host name in a base URL, or the text itself when it is a bare host."""
    return (
        url.partition("://")[2].partition("/")[0].partition(":")[0].lower() if "://" in url else url.lower()
    )


def terms_of_host(host: str) -> dict[str, str]:
    """The price terms that the API's host name reveals; empty for most hosts."""
    if fixed := _FIXED_HOSTS.get(host):
        return dict(fixed)
    for pattern, term in _HOSTS:
        if match := pattern.match(host):
            value = next((group for group in match.groups() if group), "")
            return {term: value} if value else {}
    return {}


def terms_of_context(context: Mapping[str, Any]) -> dict[str, str]:
    """The price terms that the request side states."""
    if not context:
        return {}
    terms: dict[str, str] = {}
    for key in ("base_url", "host", "server_address"):
        if isinstance(context.get(key), str):
            terms.update(terms_of_host(host_of(context[key])))
    for key, term in CONTEXT_TERMS:
        value = context.get(key)
        if isinstance(value, str) and value and (term not in terms or key == term):
            terms[term] = value.lower() if term != "deployment_type" else value
    if context.get("batch") in (True, "true", 1):
        terms["processing"] = "batch"
    return terms
