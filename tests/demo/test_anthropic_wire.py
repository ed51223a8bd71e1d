"""The local provider speaks Anthropic's wire format: the real SDK, not instrumented, is the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from otel_llm_cost.demo.provider import Provider, Step

ASK = [{"role": "user", "content": "Where is my order?"}]
ASKED = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": ASK}
WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Label(BaseModel):
    """A structured answer."""

    queue: str
    urgent: bool


@pytest.fixture
def client(provider: Provider) -> Iterator[Anthropic]:
    with Anthropic(base_url=provider.anthropic_url, api_key="any", max_retries=0) as client:
        yield client


def test_a_message_has_text_usage_and_the_dated_model(client: Anthropic, provider: Provider) -> None:
    answer = client.messages.create(**ASKED)
    assert answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.model == "claude-haiku-4-5-20251001"
    assert answer.usage.input_tokens > 0
    assert answer._request_id == provider.requests[0].request_id
    assert provider.bill.lines[0].response_id == answer.id


async def test_an_async_client_gets_the_same(provider: Provider) -> None:
    async with AsyncAnthropic(base_url=provider.anthropic_url, api_key="any") as client:
        answer = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            told = await stream.get_final_message()
    assert told.content[0].text == answer.content[0].text
    assert told.usage == answer.usage


def test_a_stream_has_the_events_of_a_message_in_order(client: Anthropic) -> None:
    events = [json.loads(line) for line in _data_lines(client)]
    kinds = [event["type"] for event in events]
    assert kinds[:4] == ["message_start", "content_block_start", "ping", "content_block_delta"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    start, end = events[0]["message"]["usage"], events[-2]["usage"]
    assert start["input_tokens"] == end["input_tokens"]
    assert start["output_tokens"] == 1, "a placeholder"
    assert end["output_tokens"] == kinds.count("content_block_delta")
    assert "cache_creation" in start
    assert "cache_creation" not in end


def _data_lines(client: Anthropic) -> list[str]:
    with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
        return [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]


def test_a_structured_answer_fits_its_schema(client: Anthropic) -> None:
    parsed = client.messages.parse(**ASKED, output_format=Label)
    assert parsed.parsed_output == Label(queue="text", urgent=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_once_and_its_result_is_answered(client: Anthropic, stream: bool) -> None:
    if stream:
        with client.messages.stream(**ASKED, tools=[WEATHER]) as events:
            first = events.get_final_message()
    else:
        first = client.messages.create(**ASKED, tools=[WEATHER])
    (call,) = first.content
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "weather", {"city": "text"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    messages = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(**ASKED | {"messages": messages}, tools=[WEATHER])
    assert second.stop_reason == "end_turn"


def test_thinking_is_a_block_and_a_part_of_the_output(client: Anthropic) -> None:
    asked = ASKED | {"max_tokens": 2_000, "thinking": {"type": "enabled", "budget_tokens": 1_024}}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert [block.type for block in streamed.content] == ["thinking", "text"]
    assert whole.usage.output_tokens_details.thinking_tokens == 48
    assert whole.usage.output_tokens > 48


def test_web_searches_are_told_as_server_tool_use(client: Anthropic, provider: Provider) -> None:
    provider.script("web_searches=2")
    answer = client.messages.create(**ASKED)
    assert answer.usage.server_tool_use.web_search_requests == 2
    assert [block.type for block in answer.content].count("web_search_tool_result") == 2


def _cached(ttl: str | None = None) -> list[dict[str, object]]:
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return [{"type": "text", "text": "rule " * 2_000, "cache_control": control}]


@pytest.mark.parametrize(
    ("ttl", "unit"),
    [
        (None, "ephemeral_5m_input_tokens"),
        ("5m", "ephemeral_5m_input_tokens"),
        ("1h", "ephemeral_1h_input_tokens"),
    ],
)
def test_a_marked_prompt_is_written_once_and_read_after(
    client: Anthropic, ttl: str | None, unit: str
) -> None:
    first = client.messages.create(**ASKED, system=_cached(ttl)).usage
    second = client.messages.create(**ASKED, system=_cached(ttl)).usage
    stored = getattr(first.cache_creation, unit)
    assert stored == first.cache_creation_input_tokens == second.cache_read_input_tokens == 2_001
    assert first.input_tokens == second.input_tokens
    assert second.cache_creation_input_tokens == first.cache_read_input_tokens == 0


def test_a_longer_prefix_reads_the_shorter_one_and_writes_the_rest(client: Anthropic) -> None:
    more = {"type": "text", "text": "more " * 300, "cache_control": {"type": "ephemeral"}}
    client.messages.create(**ASKED, system=_cached("1h"))
    usage = client.messages.create(**ASKED, system=[*_cached("1h"), more]).usage
    assert usage.cache_read_input_tokens == 2_001
    assert usage.cache_creation.ephemeral_5m_input_tokens == 301
    assert usage.cache_creation.ephemeral_1h_input_tokens == 0


def test_another_model_has_another_cache_and_short_prompts_have_none(client: Anthropic) -> None:
    client.messages.create(**ASKED, system=_cached())
    other = client.messages.create(**ASKED | {"model": "claude-sonnet-5-5"}, system=_cached()).usage
    short = [{"type": "text", "text": "rule", "cache_control": {"type": "ephemeral"}}]
    assert other.cache_read_input_tokens == 0
    assert client.messages.create(**ASKED, system=short).usage.cache_creation_input_tokens == 0


def test_the_beta_resource_and_its_header_arrive(client: Anthropic, provider: Provider) -> None:
    answer = client.beta.messages.create(**ASKED, betas=["extended-cache-ttl-2025-04-11"])
    assert answer.content[0].text
    assert provider.requests[0].path.startswith("/v1/messages")
    assert provider.requests[0].headers["anthropic-beta"] == "extended-cache-ttl-2025-04-11"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_errors_are_anthropics(
    client: Anthropic, provider: Provider, status: int, error: type[anthropic.APIStatusError]
) -> None:
    provider.script(Step(status=status))
    with pytest.raises(error) as caught:
        client.messages.create(**ASKED)
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error"
    assert caught.value.body["request_id"] == caught.value.request_id == provider.requests[0].request_id
    assert len(provider.bill) == 0


def test_what_anthropic_would_refuse_is_refused(client: Anthropic, provider: Provider) -> None:
    with pytest.raises(anthropic.NotFoundError, match="model: gpt-4o"):
        client.messages.create(**ASKED | {"model": "gpt-4o"})
    with pytest.raises(anthropic.BadRequestError, match="at least one message"):
        client.messages.create(**ASKED | {"messages": []})
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post("/v1/messages", body={"model": "claude-haiku-4-5", "messages": ASK}, cast_to=object)
    assert len(provider.bill) == 0


def test_counting_tokens_is_free(client: Anthropic, provider: Provider) -> None:
    counted = client.messages.count_tokens(model="claude-haiku-4-5", messages=ASK).input_tokens
    assert counted == client.messages.create(**ASKED).usage.input_tokens
    assert len(provider.bill) == 1
