"""The local provider as a fixture: real SDKs talk to it over HTTP, and nothing is mocked.

    def test_x(provider):
        provider.script("status=429 | ok")   # or Step(...): see otel_llm_cost/demo/provider/script.py
        OpenAI(base_url=provider.openai_url, api_key="k").chat.completions.create(...)
        assert len(provider.requests) == 2
        assert provider.bill.usd == "0.0000123"

A single request is scripted by its header instead: `extra_headers={"x-demo-script": "die_after=3"}`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_llm_cost.demo.provider import Provider


@pytest.fixture(scope="session")
def _running_provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def provider(_running_provider: Provider) -> Provider:
    """A provider with nothing asked, billed, scripted or cached yet."""
    _running_provider.reset()
    return _running_provider
