"""What one price costs: on a warm price list, at the first look-up of a model, and from a raw payload."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

from otel_llm_cost.core.call import Call
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing import PriceList, normalise, price

AT = 1_795_176_000 * 10**9  # 2026-11-20T12:00:00Z
USAGE = Usage(input_uncached=86, cache_read=17_817, output=300, web_searches=1)
BODY = {
    "id": "c1",
    "object": "chat.completion",
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 17_903,
        "completion_tokens": 300,
        "total_tokens": 18_203,
        "prompt_tokens_details": {"cached_tokens": 17_817, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
}
MODELS = (
    *(
        ("openai", name)
        for name in ("gpt-5", "gpt-5.4", "gpt-5.6-sol", "gpt-6-astra", "o3", "gpt-4.1", "gpt-4o")
    ),
    *(("anthropic", name) for name in ("claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-4-6")),
    *(("gcp.gemini", name) for name in ("gemini-2.5-pro", "gemini-3.8-flash", "gemini-4-argon")),
    *(("deepseek", "deepseek-v4-pro"), ("mistral_ai", "mistral-large-2512"), ("x_ai", "grok-4.6")),
)


def call(provider: str, model: str, terms: dict[str, str] | None = None) -> Call:
    """A call with four billed components."""
    terms = {"service_tier": "default"} if terms is None else terms
    return Call(provider=provider, request_model=model, usage=USAGE, terms=terms, started_at=AT)


def microseconds(work: Callable[[], object], times: int) -> float:
    """Thread CPU per run: the median of seven rounds."""
    rounds = []
    for _ in range(7):
        start = time.thread_time()
        for _ in range(times):
            work()
        rounds.append((time.thread_time() - start) / times * 1e6)
    return median(rounds)


def cold(prices: PriceList) -> float:
    """Thread CPU of the first look-up of a model under terms not seen before, the median."""
    figures = []
    for provider, model in MODELS:
        for terms in ({}, {"service_tier": "standard"}, {"processing": "batch"}):
            one = call(provider, model, terms)
            start = time.thread_time()
            prices.vector(one)
            figures.append((time.thread_time() - start) * 1e6)
    return median(figures)


def imports(statement: str) -> float:
    """CPU seconds of an import in a new process."""
    script = f"import time; t = time.process_time(); {statement}; print(time.process_time() - t)"
    runs = [
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(5)
    ]
    return median(runs)


def run() -> Iterator[tuple[str, str, str]]:
    """(what, measured, limit) for `make bench`."""
    prices = PriceList.default()
    for what, one in (
        ("flat rates", call("openai", "gpt-5")),
        ("rates with a tier", call("openai", "gpt-5.4")),
    ):
        price(one, prices)

        def work(one: Call = one) -> object:
            return price(one, prices)

        yield f"price, warm, 4 components, {what}", f"{microseconds(work, 20_000):.2f} µs", "at most 3 µs"
    fresh = PriceList.of({})
    fresh.vector(call("openai", "gpt-3.5-turbo"))
    yield "price, first look-up of a model", f"{cold(fresh):.0f} µs", "at most 200 µs"
    reading = microseconds(lambda: normalise.read("openai", "chat.completions", BODY), 5_000)
    yield "usage from a chat completion body", f"{reading:.1f} µs", ""
    yield (
        "import otel_llm_cost.pricing",
        f"{imports('import otel_llm_cost.pricing') * 1e3:.0f} ms",
        "no price data",
    )
    loading = imports("from otel_llm_cost.pricing.database import Database; Database()")
    yield "load the price data, once per process", f"{loading * 1e3:.0f} ms", "at the first SDK import"
