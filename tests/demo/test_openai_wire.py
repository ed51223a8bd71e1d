"""The local provider speaks OpenAI's wire format: the real SDK, not instrumented, is the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from otel_llm_cost.demo.provider import Provider, Step

ASK = [{"role": "user", "content": "Where is my order?"}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


class Label(BaseModel):
    """A structured answer."""

    queue: str
    urgent: bool


@pytest.fixture
def client(provider: Provider) -> Iterator[OpenAI]:
    with OpenAI(base_url=provider.openai_url, api_key="any", max_retries=0) as client:
        yield client


def test_a_chat_completion_has_text_usage_and_the_dated_model(client: OpenAI, provider: Provider) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=ASK)
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.id.startswith("chatcmpl-")
    assert raw.headers["x-request-id"] == provider.requests[0].request_id
    assert raw.request_id == provider.bill.lines[0].request_id


async def test_an_async_client_gets_the_same(provider: Provider) -> None:
    async with AsyncOpenAI(base_url=provider.openai_url, api_key="any") as client:
        answer = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="gpt-4o-mini", messages=ASK, stream=True
            )
        ]
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert told == answer.choices[0].message.content


def test_a_stream_without_include_usage_says_nothing_about_usage(client: OpenAI) -> None:
    lines = _lines(client, stream=True)
    assert lines[-1] == "[DONE]"
    assert all("usage" not in json.loads(line) for line in lines[:-1])


def test_a_stream_with_include_usage_ends_with_a_chunk_that_has_no_choices(client: OpenAI) -> None:
    chunks = [
        json.loads(line) for line in _lines(client, stream=True, stream_options={"include_usage": True})[:-1]
    ]
    assert {chunk["usage"] is None for chunk in chunks[:-1]} == {True}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == sum(
        1 for chunk in chunks[:-1] if chunk["choices"][0]["delta"].get("content")
    )


def _lines(client: OpenAI, **options: object) -> list[str]:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o-mini", messages=ASK, **options
    ) as response:
        return [line.removeprefix("data: ") for line in response.iter_lines() if line]


def test_the_stream_helper_puts_the_answer_together(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o-mini", messages=ASK) as stream:
        assert stream.get_final_completion().choices[0].message.content


def test_a_structured_answer_fits_its_schema(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="gpt-4o-mini", messages=ASK, response_format=Label)
    assert answer.choices[0].message.parsed == Label(queue="text", urgent=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_once_and_its_result_is_answered(client: OpenAI, stream: bool) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    if stream:
        with client.chat.completions.stream(model="gpt-4o", messages=ASK, tools=tools) as events:
            first = events.get_final_completion()
    else:
        first = client.chat.completions.create(model="gpt-4o", messages=ASK, tools=tools)
    (call,) = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"city": "text", "days": 1}
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    asked = first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})
    second = client.chat.completions.create(model="gpt-4o", messages=[*ASK, asked, result], tools=tools)
    assert second.choices[0].finish_reason == "stop"


def test_several_choices_are_all_counted(client: OpenAI) -> None:
    one = client.chat.completions.create(model="gpt-4o", messages=ASK)
    three = client.chat.completions.create(model="gpt-4o", messages=ASK, n=3)
    assert len(three.choices) == 3
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens


def test_an_answer_ends_at_its_limit(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=ASK, max_completion_tokens=3)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)


def test_legacy_completions_answer_and_stream(client: OpenAI) -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time"}
    whole = client.completions.create(**asked)
    streamed = client.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == whole.choices[0].text
    assert whole.usage.completion_tokens == 16


def test_a_response_has_output_text_reasoning_and_usage(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5", input="Hello", reasoning={"effort": "low"})
    assert answer.output_text
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.usage.output_tokens_details.reasoning_tokens == 32
    assert answer.status == "completed"


def test_a_response_streams_named_events_and_ends_with_its_usage(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5-mini", input="Hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].response.output_text == told
    assert events[0].response.usage is None
    assert events[-1].response.usage.output_tokens > 0


def test_a_response_that_hits_its_limit_is_incomplete_and_still_has_usage(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5", input="Hello", max_output_tokens=4, stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.usage.output_tokens == 4


def test_responses_parse_call_tools_and_count_searches(client: OpenAI, provider: Provider) -> None:
    parsed = client.responses.parse(model="gpt-5", input="Hello", text_format=Label)
    assert parsed.output_parsed == Label(queue="text", urgent=True)
    tools = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
    with client.responses.stream(model="gpt-5", input="Hello", tools=tools) as stream:
        (call,) = stream.get_final_response().output
    assert json.loads(call.arguments) == {"city": "text", "days": 1}
    provider.script("web_searches=2")
    searched = client.responses.create(model="gpt-5", input="Hello", tools=[{"type": "web_search"}])
    assert [item.type for item in searched.output] == ["web_search_call", "web_search_call", "message"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_come_in_both_encodings(client: OpenAI, encoding: str) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["red apples", "green"]}
    plain = client.embeddings.create(**asked)  # the SDK asks for base64 by itself
    told = client.embeddings.create(**asked, encoding_format=encoding, dimensions=4)
    assert [len(item.embedding) for item in plain.data] == [8, 8]
    assert len(told.data) == 2
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == 3


def test_long_prompts_are_cached_by_themselves_in_steps(client: OpenAI) -> None:
    asked = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "word " * 1_500}]}
    first = client.chat.completions.create(**asked).usage
    second = client.chat.completions.create(**asked).usage
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == 1_408 + 0  # the last whole step of 128 below 1,501
    assert second.prompt_tokens == first.prompt_tokens


def test_newer_models_charge_for_what_they_store_in_the_cache(client: OpenAI) -> None:
    asked = {"model": "gpt-6-luna", "input": "word " * 1_500}
    first = client.responses.create(**asked).usage.input_tokens_details
    second = client.responses.create(**asked).usage.input_tokens_details
    assert (first.cached_tokens, first.cache_write_tokens) == (0, 1_408)
    assert (second.cached_tokens, second.cache_write_tokens) == (1_408, 0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_errors_are_openais(
    client: OpenAI, provider: Provider, status: int, error: type[openai.APIStatusError]
) -> None:
    provider.script(Step(status=status))
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert caught.value.request_id == provider.requests[0].request_id
    assert len(provider.bill) == 0


def test_what_openai_would_refuse_is_refused(client: OpenAI, provider: Provider) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="claude-haiku-4-5", messages=ASK)
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="gpt-4o", messages=[])
    with pytest.raises(openai.BadRequestError, match="context length"):
        client.responses.create(model="gpt-4o", input="word " * 130_000)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong-key").embeddings.create(model="text-embedding-3-small", input="a")
    with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
        client.post("/nonsense", body={}, cast_to=object)
    assert len(provider.bill) == 0


def test_free_endpoints_are_free(client: OpenAI, provider: Provider) -> None:
    assert client.moderations.create(input="hello").results[0].flagged is False
    assert "gpt-4o" in [model.id for model in client.models.list()]
    assert client.responses.input_tokens.count(model="gpt-5", input="one two").input_tokens == 5
    assert len(provider.bill) == 0
