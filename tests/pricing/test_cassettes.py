"""Recorded bodies of real providers parse: usage is found, sums are the provider's own, no flag is raised."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.pricing.cases import SHARED

from otel_llm_cost.pricing.normalise import fold, read

CASSETTES = SHARED / "cassettes"
API_OF_PATH = (
    ("chat/completions", "chat.completions"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/messages", "messages"),
    ("GenerateContent", "generateContent"),
    ("generateContent", "generateContent"),
    ("/converse", "converse"),
    ("/invoke", "invoke_model"),
    ("v2/chat", "v2/chat"),
    ("v2/embed", "v2/embed"),
    ("/api/chat", "api/chat"),
)
NO_USAGE = re.compile(
    r"count_tokens|not_complete|404|api_error|_error\.|stream_error|embed_content|background|count|agent_stream"
)


def bodies(file: Path) -> Iterator[tuple[str, Any, bool]]:
    """(url, body, whether it was a stream) of every successful answer in a recording."""
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")).get("interactions", []):
        if "response_sample" in entry:  # xAI over gRPC, recorded as protobuf JSON
            yield "gRPC chat/completions", entry["response_sample"]["json"], False
            continue
        if "response" not in entry:
            continue
        response, url = entry["response"], entry["request"]["uri"]
        status = (
            response.get("status", {}).get("code", 200) if isinstance(response.get("status"), dict) else 200
        )
        body = response.get("parsed_body") or (response.get("body") or {}).get("string")
        if status != 200 or body is None:
            continue
        if isinstance(body, (dict, list)):
            yield url, body, False
            continue
        if isinstance(body, bytes):
            if body[:2] == b"\x1f\x8b":
                body = gzip.decompress(body)
            body = body.decode("utf-8", "replace")
        if body.lstrip().startswith(("data:", "event:", ": ")):
            yield (
                url,
                [
                    json.loads(line[5:])
                    for line in body.splitlines()
                    if line.startswith("data:") and line[5:].strip().startswith("{")
                ],
                True,
            )
        else:
            try:
                yield url, json.loads(body), False
            except ValueError:
                continue


FILES = sorted(CASSETTES.rglob("*.yaml")) if CASSETTES.exists() else []


@pytest.mark.skipif(not FILES, reason="the shared recordings are not here")
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_recorded_bodies_parse(file: Path) -> None:
    provider, found = file.parent.name, 0
    for url, body, is_stream in bodies(file):
        api = next((api for part, api in API_OF_PATH if part in url), "")
        if is_stream:
            state = None
            for event in body:
                state = fold(api, state, event)
            body = state or {}
        reading = read(provider, api, body)
        assert not [flag for flag in reading.flags if " " in flag]
        total = total_of(body)
        if reading.usage and total and provider not in ("anthropic", "cohere", "together_ai"):
            assert reading.usage.input_tokens + reading.usage.output_tokens == total, (url, reading)
        found += bool(reading.usage)
    if not NO_USAGE.search(file.name) and provider not in ("xai", "bedrock"):
        assert found, "no usage was read from any body"


def total_of(body: Any) -> int:
    usage = body.get("usage") or body.get("usageMetadata") or {}
    total = usage.get("total_tokens") or usage.get("totalTokenCount") or usage.get("totalTokens") or 0
    return int(total)
