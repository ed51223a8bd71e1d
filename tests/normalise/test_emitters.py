# ruff: noqa: E501 - a table reads better in rows
"""Every emitter of the table, by the attributes it documents or was seen to write: what a call of it means.

Shapes, not running emitters: Java, .NET, the coding agents and server-side spans cannot run here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from otel_llm_cost.core.usage import Usage
from otel_llm_cost.normalise import (
    Billable,
    Emitted,
    Normaliser,
    Passed,
    default_tables,
    markers_of,
)
from otel_llm_cost.normalise.pack import FOLDER, packed
from otel_llm_cost.normalise.tables import PACKED


@dataclass
class Case:
    """A span (or, with an event, a record) of an emitter, and what must come of it."""

    emitter: str
    attributes: dict[str, Any]
    usage: Usage
    provider: str = "openai"
    model: str = "gpt-4o"
    operation: str = "chat"
    scope: str = ""
    event: str = ""
    resource: dict[str, Any] = field(default_factory=dict)
    reported: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    terms: dict[str, str] = field(default_factory=dict)


def gen_ai(**usage: Any) -> dict[str, Any]:
    """A chat span of the current conventions; usage by the name after `gen_ai.usage.`, `__` for a dot."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        **{f"gen_ai.usage.{name.replace('__', '.')}": value for name, value in usage.items()},
    }


ANTHROPIC = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
CACHED = {"cache_read__input_tokens": 60, "cache_write__input_tokens": 30}
OLD_CACHED = {"cache_read__input_tokens": 60, "cache_creation__input_tokens": 30}

CASES = {
    "current semconv, official instrumentation": Case(
        "otel_genai",
        gen_ai(input_tokens=100, output_tokens=20, cache_read__input_tokens=40, reasoning__output_tokens=5),
        Usage(input_uncached=60, cache_read=40, output=20, reasoning=5),
        scope="opentelemetry.instrumentation.genai.openai",
    ),
    "semconv 1.41, cache_creation": Case(
        "otel_genai",
        {**gen_ai(input_tokens=190, output_tokens=20, **OLD_CACHED), **ANTHROPIC},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="anthropic", model="claude-sonnet-4-5", flags=("cache_ttl_assumed",),
        scope="opentelemetry.instrumentation.genai.anthropic",
    ),
    "semconv 1.36, gen_ai.system": Case(
        "otel_genai",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "az.ai.openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2},
        Usage(input_uncached=10, output=2), provider="azure.ai.openai",
        scope="opentelemetry.instrumentation.openai_v2",
    ),
    "semconv before 1.27, unknown emitter": Case(
        "semconv",
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": 2},
        Usage(input_uncached=10, output=2), scope="my.own",
    ),
    "the log event of current semconv": Case(
        "otel_genai",
        gen_ai(input_tokens=10, output_tokens=2), Usage(input_uncached=10, output=2),
        scope="opentelemetry.instrumentation.genai.openai", event="gen_ai.client.inference.operation.details",
    ),
    "official bedrock excludes the cache": Case(
        "otel_bedrock",
        {**gen_ai(input_tokens=100, output_tokens=20, **CACHED), "gen_ai.provider.name": "aws.bedrock"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="aws.bedrock", scope="opentelemetry.instrumentation.genai.bedrock", flags=("cache_ttl_assumed",),
    ),
    "contrib botocore excludes the cache": Case(
        "otel_bedrock",
        {**gen_ai(input_tokens=100, output_tokens=20, **OLD_CACHED), "gen_ai.provider.name": "",
         "gen_ai.system": "aws.bedrock"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="aws.bedrock", scope="opentelemetry.instrumentation.botocore.bedrock-runtime",
        flags=("cache_ttl_assumed",),
    ),
    "Anthropic's SDK tells the time to live": Case(
        "anthropic_sdk",
        {**gen_ai(input_tokens=190, output_tokens=20, **CACHED), **ANTHROPIC,
         "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 10,
         "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 20,
         "anthropic.response.service_tier": "priority"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=10, cache_write_1h=20, output=20),
        provider="anthropic", model="claude-sonnet-4-5", scope="com.anthropic.sdk.python",
        terms={"service_tier": "priority"},
    ),
    "OpenLLMetry": Case(
        "openllmetry",
        {**gen_ai(input_tokens=100, output_tokens=20, cache_read__input_tokens=60, reasoning_tokens=5,
                  total_tokens=120), "traceloop.association.properties.team": "search"},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=5), scope="opentelemetry.instrumentation.openai.v1",
        tags={"team": "search"},
    ),
    "OpenLLMetry bedrock excludes the cache, whatever its total says": Case(
        "openllmetry_bedrock",
        {**gen_ai(input_tokens=100, output_tokens=20, total_tokens=120, **OLD_CACHED), "gen_ai.provider.name": "AWS"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="aws.bedrock", scope="opentelemetry.instrumentation.bedrock", flags=("cache_ttl_assumed",),
    ),
    "OpenLLMetry google leaves thoughts out": Case(
        "openllmetry_google",
        {**gen_ai(input_tokens=100, output_tokens=20, reasoning_tokens=7, total_tokens=127),
         "gen_ai.provider.name": "Google", "gen_ai.request.model": "gemini-2.5-pro"},
        Usage(input_uncached=100, output=27, reasoning=7),
        provider="gcp.gemini", model="gemini-2.5-pro", scope="opentelemetry.instrumentation.google_generativeai",
    ),
    "OpenLLMetry legacy": Case(
        "openllmetry_legacy",
        {"llm.vendor": "openai", "llm.request.model": "gpt-4o", "llm.usage.prompt_tokens": 10,
         "llm.usage.completion_tokens": 2, "llm.usage.total_tokens": 12, "llm.request.type": "chat"},
        Usage(input_uncached=10, output=2),
    ),
    "OpenInference": Case(
        "openinference",
        {"openinference.span.kind": "LLM", "llm.provider": "azure", "llm.model_name": "gpt-4o",
         "llm.token_count.prompt": 100, "llm.token_count.completion": 20, "llm.token_count.total": 120,
         "llm.token_count.prompt_details.cache_read": 60, "llm.token_count.completion_details.reasoning": 4,
         "llm.cost.total": 0.5, "session.id": "s", "user.id": "u"},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=4), provider="azure.ai.openai",
        scope="openinference.instrumentation.openai", reported="0.5", tags={"user": "u"},
    ),
    "OpenInference embedding": Case(
        "openinference",
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small",
         "llm.token_count.prompt": 8},
        Usage(input_uncached=8), model="text-embedding-3-small", operation="embeddings",
        scope="openinference.instrumentation.openai",
    ),
    "OpenLIT anthropic excludes the cache, and 0 means unknown": Case(
        "openlit",
        {**gen_ai(input_tokens=100, output_tokens=20, cost=0, total_tokens=120, **OLD_CACHED), **ANTHROPIC,
         "gen_ai.environment": "prod"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="anthropic", model="claude-sonnet-4-5", resource={"telemetry.sdk.name": "openlit"},
        flags=("cache_ttl_assumed",), tags={"environment": "prod"},
    ),
    "OpenLIT google leaves thoughts out": Case(
        "openlit",
        {**gen_ai(input_tokens=100, output_tokens=20, reasoning_tokens=5, cost=0.25),
         "gen_ai.provider.name": "gemini"},
        Usage(input_uncached=100, output=25, reasoning=5), provider="gcp.gemini",
        resource={"telemetry.sdk.name": "openlit"}, reported="0.25",
    ),
    "LiteLLM v2": Case(
        "litellm",
        {**gen_ai(input_tokens=100, output_tokens=20, cache_read__input_tokens=60), "litellm.call_id": "x",
         "litellm.provider.model": "gpt-4o-mini", "litellm.cost.total": 0.125, "litellm.team.alias": "search",
         "litellm.end_user.id": "acme", "litellm.cache_hit": False},
        Usage(input_uncached=40, cache_read=60, output=20), model="gpt-4o-mini", reported="0.125",
        tags={"team": "search", "customer_id": "acme"},
    ),
    "LiteLLM legacy": Case(
        "litellm_legacy",
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.prompt_tokens": 10,
         "gen_ai.usage.completion_tokens": 2, "gen_ai.cost.total_cost": 0.5,
         "metadata.user_api_key_team_alias": "ads"},
        Usage(input_uncached=10, output=2), scope="litellm", reported="0.5", tags={"team": "ads"},
    ),
    "Vercel AI SDK 6": Case(
        "vercel_ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "openai.responses",
         "ai.model.id": "gpt-4o", "ai.response.model": "gpt-4o-2024-08-06", "ai.usage.inputTokens": 100,
         "ai.usage.outputTokens": 20, "ai.usage.inputTokenDetails.cacheReadTokens": 60,
         "ai.usage.outputTokenDetails.reasoningTokens": 3, "ai.telemetry.metadata.feature": "chat"},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=3), model="gpt-4o-2024-08-06", scope="ai",
        tags={"feature": "chat"},
    ),
    "Vercel AI SDK embedding": Case(
        "vercel_ai",
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.provider": "openai.embedding",
         "ai.model.id": "text-embedding-3-small", "ai.usage.tokens": 8},
        Usage(input_uncached=8), model="text-embedding-3-small", operation="embeddings", scope="ai",
    ),
    "Vercel AI SDK 7": Case(
        "vercel_ai_otel", gen_ai(input_tokens=10, output_tokens=2), Usage(input_uncached=10, output=2),
        scope="@ai-sdk/otel",
    ),
    "Langfuse passes OpenAI's usage through": Case(
        "langfuse",
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o",
         "langfuse.observation.usage_details": '{"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,'
         ' "prompt_tokens_details": {"cached_tokens": 60}}',
         "langfuse.observation.cost_details": '{"total": 0.25}', "langfuse.environment": "prod"},
        Usage(input_uncached=40, cache_read=60, output=20), reported="0.25", tags={"environment": "prod"},
    ),
    "Langfuse passes Anthropic's usage through": Case(
        "langfuse",
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "claude-sonnet-4-5",
         "langfuse.observation.usage_details": '{"input_tokens": 100, "output_tokens": 20,'
         ' "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}'},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20),
        provider="anthropic", model="claude-sonnet-4-5", flags=("cache_ttl_assumed",),
    ),
    "LangSmith writes Python text": Case(
        "langsmith",
        {"langsmith.span.kind": "llm", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20,
         "gen_ai.usage.input_token_details": "{'cache_read': 60, 'audio': 0}",
         "gen_ai.usage.output_token_details": "{'reasoning': 3}", "langsmith.metadata.team": "search"},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=3), tags={"team": "search"},
    ),
    "MLflow writes JSON everywhere": Case(
        "mlflow",
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.provider": '"anthropic"',
         "mlflow.llm.model": '"claude-sonnet-4-5"',
         "mlflow.chat.tokenUsage": '{"input_tokens": 190, "output_tokens": 20, "cache_read_input_tokens": 60,'
         ' "cache_creation_input_tokens": 30, "cache_creation_input_tokens_above_1hr": 10}',
         "mlflow.llm.cost": '{"total_cost": 0.5}'},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=20, cache_write_1h=10, output=20),
        provider="anthropic", model="claude-sonnet-4-5", reported="0.5",
    ),
    "Spring AI writes numbers as text": Case(
        "spring_ai",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
         "gen_ai.usage.input_tokens": "100", "gen_ai.usage.output_tokens": "20", "gen_ai.usage.total_tokens": "120",
         "gen_ai.usage.cache_read.input_tokens": "60"},
        Usage(input_uncached=100, cache_read=60, output=20), provider="anthropic", model="claude-sonnet-4-5",
        scope="org.springframework.boot",
    ),
    "Microsoft.Extensions.AI": Case(
        "microsoft_extensions_ai",
        {**gen_ai(input_tokens=100, output_tokens=20, cache_read__input_tokens=60),
         "gen_ai.response.finish_reasons": '["stop"]'},
        Usage(input_uncached=40, cache_read=60, output=20), scope="Experimental.Microsoft.Extensions.AI",
    ),
    "Semantic Kernel": Case(
        "semantic_kernel",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2},
        Usage(input_uncached=10, output=2), scope="semantic_kernel.connectors",
    ),
    "Microsoft Agent Framework": Case(
        "agent_framework", gen_ai(input_tokens=10, output_tokens=2), Usage(input_uncached=10, output=2),
        scope="agent_framework",
    ),
    "pydantic-ai": Case(
        "pydantic_ai",
        {**gen_ai(input_tokens=190, output_tokens=20, details__cache_read_tokens=60, details__cache_write_tokens=30),
         **ANTHROPIC, "operation.cost": 0.125},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20), provider="anthropic",
        model="claude-sonnet-4-5", scope="pydantic-ai", reported="0.125", flags=("cache_ttl_assumed",),
    ),
    "Strands names itself, not the provider": Case(
        "strands",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents",
         "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-v1:0", "gen_ai.usage.input_tokens": 100,
         "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read_input_tokens": 60},
        Usage(input_uncached=40, cache_read=60, output=20), provider="aws.bedrock",
        model="us.anthropic.claude-sonnet-4-5-v1:0", scope="strands.telemetry.tracer",
    ),
    "Google ADK": Case(
        "adk",
        {**gen_ai(input_tokens=100, output_tokens=27, cache_read__input_tokens=60, reasoning__output_tokens=7),
         "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gemini"},
        Usage(input_uncached=40, cache_read=60, output=27, reasoning=7), provider="gcp.gemini",
        operation="generate_content", scope="gcp.vertex.agent",
    ),
    "Sentry": Case(
        "sentry",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.usage.input_tokens": 100, "gen_ai.usage.input_tokens.cached": 60, "gen_ai.usage.output_tokens": 20,
         "gen_ai.usage.output_tokens.reasoning": 3, "gen_ai.cost.total_tokens": 0.25},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=3), reported="0.25",
    ),
    "OpenRouter broadcast": Case(
        "openrouter",
        {**gen_ai(input_tokens=10, output_tokens=2, total_cost=0.5), "gen_ai.provider.name": "openrouter"},
        Usage(input_uncached=10, output=2), provider="openrouter", reported="0.5",
    ),
    "Claude Code": Case(
        "claude_code",
        {"event.name": "api_request", "model": "claude-sonnet-4-5", "input_tokens": 100, "output_tokens": 20,
         "cache_read_tokens": 60, "cache_creation_tokens": 30, "cost_usd": 0.125, "request_id": "req_1",
         "speed": "fast", "user.id": "u"},
        Usage(input_uncached=100, cache_read=60, cache_write_5m=30, output=20), provider="anthropic",
        model="claude-sonnet-4-5", scope="com.anthropic.claude_code.events", event="api_request",
        reported="0.125", flags=("cache_ttl_assumed",), tags={"user": "u", "team": "platform"},
        resource={"team.id": "platform"}, terms={"speed": "fast"},
    ),
    "Codex CLI": Case(
        "codex",
        {"event.name": "codex.sse_event", "event.kind": "response.completed", "model": "gpt-5-codex",
         "input_token_count": "100", "output_token_count": "20", "cached_token_count": "60",
         "reasoning_token_count": "5", "tool_token_count": "120"},
        Usage(input_uncached=40, cache_read=60, output=20, reasoning=5), model="gpt-5-codex",
        event="codex.sse_event",
    ),
    "Gemini CLI": Case(
        "gemini_cli",
        {"event.name": "gemini_cli.api_response", "model": "gemini-2.5-pro", "input_token_count": 100,
         "output_token_count": 20, "cached_content_token_count": 60, "thoughts_token_count": 7,
         "tool_token_count": 3},
        Usage(input_uncached=43, cache_read=60, output=27, reasoning=7), provider="gcp.gemini",
        model="gemini-2.5-pro", operation="generate_content", event="gemini_cli.api_response",
        resource={"service.name": "gemini-cli"},
    ),
}  # fmt: skip


def emitted(case: Case) -> Emitted:
    return Emitted(
        case.attributes, case.resource, case.scope, name=case.event or "span", is_record=bool(case.event)
    )


@pytest.mark.parametrize("name", CASES)
def test_a_call_of_this_emitter_means(name: str) -> None:
    case = CASES[name]
    found = Normaliser().read(emitted(case))
    assert isinstance(found, Billable), found
    call = found.call
    assert found.emitter == case.emitter
    assert found.rule.startswith(case.emitter)
    assert (call.provider, call.model, call.operation) == (case.provider, case.model, case.operation)
    assert call.usage == case.usage
    assert call.usage_source == "provider"
    assert call.reported_cost == case.reported
    assert call.tags == case.tags
    assert call.usage_flags == case.flags
    assert call.terms == case.terms


def test_every_row_of_the_table_has_a_case_or_skips() -> None:
    rows = {emitter.id for emitter in default_tables().emitters if not emitter.skip}
    assert rows == {case.emitter for case in CASES.values()}


NOT_BILLABLE = {
    "agent": Emitted({**gen_ai(input_tokens=9), "gen_ai.operation.name": "invoke_agent"}),
    "tool": Emitted({**gen_ai(), "gen_ai.operation.name": "execute_tool"}),
    "fetched again": Emitted({**gen_ai(input_tokens=9), "gen_ai.operation.name": "fetch_response"}),
    "OpenInference chain": Emitted({"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 9}),
    "Vercel outer span": Emitted(
        {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 9, "ai.model.id": "m"}, scope="ai"
    ),
    "traceloop workflow": Emitted({**gen_ai(input_tokens=9), "traceloop.span.kind": "workflow"}),
    "Langfuse span": Emitted({"langfuse.observation.type": "agent", "gen_ai.usage.input_tokens": 9}),
    "gateway's cache hit": Emitted(
        {**gen_ai(input_tokens=9), "litellm.call_id": "x", "litellm.cache_hit": True}
    ),
    "another event": Emitted(gen_ai(input_tokens=9), name="gen_ai.choice", is_record=True),
    "Codex delta": Emitted({"event.kind": "response.created"}, name="codex.sse_event", is_record=True),
    "Claude Code metric-like event": Emitted(
        {"model": "m"}, scope="com.anthropic.claude_code.events", name="tool_result", is_record=True
    ),
    "Gemini CLI's other copy": Emitted(
        gen_ai(input_tokens=9), {"service.name": "gemini-cli"}, name="llm_call"
    ),
    "neither operation nor usage": Emitted({"gen_ai.request.model": "gpt-4o"}),
    "no model": Emitted({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 9}),
    "counted by ours": Emitted({**gen_ai(input_tokens=9), "llm_cost.counted_by": "1"}),
}


@pytest.mark.parametrize("name", NOT_BILLABLE)
def test_what_repeats_others_tokens_is_passed_over_with_a_reason(name: str) -> None:
    found = Normaliser().read(NOT_BILLABLE[name])
    assert isinstance(found, Passed)
    assert found.reason


def usage_of(attributes: dict[str, Any], scope: str = "x") -> tuple[Usage, tuple[str, ...], str]:
    found = Normaliser().read(Emitted(attributes, scope=scope))
    assert isinstance(found, Billable)
    return found.call.usage, found.call.usage_flags, found.rule


def test_more_cache_than_input_proves_that_the_cache_is_outside() -> None:
    usage, flags, rule = usage_of(gen_ai(input_tokens=10, output_tokens=1, cache_read__input_tokens=60))
    assert usage == Usage(input_uncached=10, cache_read=60, output=1)
    assert "outside" in rule
    assert "inclusion_assumed" in flags


def test_a_total_that_adds_the_cache_proves_it_too() -> None:
    usage, _, rule = usage_of(
        gen_ai(input_tokens=100, output_tokens=1, cache_read__input_tokens=60, total_tokens=161)
    )
    assert usage == Usage(input_uncached=100, cache_read=60, output=1)
    assert "total" in rule


def test_a_total_without_the_cache_proves_nothing() -> None:
    usage, _, rule = usage_of(
        gen_ai(input_tokens=100, output_tokens=1, cache_read__input_tokens=60, total_tokens=101)
    )
    assert usage == Usage(input_uncached=40, cache_read=60, output=1)
    assert rule == "semconv"


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -5, "many", True, [1], {"a": 1}, 10**30])
def test_nonsense_for_a_number_is_no_usage_and_is_flagged(nonsense: Any) -> None:
    usage, flags, _ = usage_of(gen_ai(input_tokens=nonsense, output_tokens=2))
    assert usage.output_tokens == 2
    assert usage.input_tokens == 0
    assert any("gen_ai.usage.input_tokens" in flag for flag in flags)


def test_the_host_corrects_a_client_that_says_openai_to_everyone() -> None:
    for host, provider in (
        ("api.groq.com", "groq"), ("x.openai.azure.com", "azure.ai.openai"), ("127.0.0.1", "openai"),
    ):  # fmt: skip
        found = Normaliser().read(Emitted({**gen_ai(input_tokens=1), "server.address": host}))
        assert isinstance(found, Billable)
        assert found.call.provider == provider


def test_a_self_hosted_host_is_booked_under_the_name_it_was_given() -> None:
    found = Normaliser(self_hosted={"vllm.internal": "in_house"}).read(
        Emitted({**gen_ai(input_tokens=1), "server.address": "vllm.internal"})
    )
    assert isinstance(found, Billable)
    assert found.call.provider == "in_house"


def test_the_packed_tables_are_those_of_the_yaml() -> None:
    assert (FOLDER / PACKED).read_text(encoding="utf-8") == packed(), "run: make golden"


@pytest.mark.parametrize("name", CASES)
def test_no_emitters_call_is_passed_over_before_it_is_read(name: str) -> None:
    case = CASES[name]
    markers = markers_of(case.scope, bool(case.event))
    written = " ".join((case.event, *case.attributes)).encode()
    assert not markers or any(marker in written for marker in markers)
