"""The provider can be told to misbehave, and keeps true books when it does."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from otel_llm_cost.demo import provider as package
from otel_llm_cost.demo.provider import Provider, Step

ASK = [{"role": "user", "content": "Hello"}]


def _openai(provider: Provider, **options: object) -> OpenAI:
    return OpenAI(base_url=provider.openai_url, api_key="any", **options)


def _anthropic(provider: Provider, **options: object) -> Anthropic:
    return Anthropic(base_url=provider.anthropic_url, api_key="any", **options)


def test_a_refusal_and_then_an_answer_is_two_attempts_and_one_line(provider: Provider) -> None:
    provider.script("status=429 | ok")
    with _openai(provider) as client:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert [(seen.status, seen.attempt) for seen in provider.requests] == [(429, 1), (200, 2)]
    assert len(provider.bill) == 1


def test_a_header_scripts_its_own_request_by_attempt(provider: Provider) -> None:
    with _anthropic(provider) as client:
        asked = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": ASK}
        client.messages.create(**asked, extra_headers={"x-demo-script": "status=529 | status=500 | ok"})
        client.messages.create(**asked)
    assert [seen.status for seen in provider.requests] == [529, 500, 200, 200]


def test_a_models_own_queue_comes_before_the_common_one(provider: Provider) -> None:
    provider.script("text=for anyone")
    provider.script("text=for mini", model="gpt-4o-mini")
    with _openai(provider) as client:
        said = [
            client.chat.completions.create(model=model, messages=ASK).choices[0].message.content
            for model in ("gpt-4o-mini", "gpt-4o", "gpt-4o")
        ]
    assert said[:2] == ["for mini", "for anyone"]
    assert said[2] not in said[:2]


def test_a_provider_that_says_do_not_retry_is_obeyed(provider: Provider) -> None:
    provider.script(Step(status=500, should_retry="false"))
    with _openai(provider) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert len(provider.requests) == 1


def test_silence_ends_in_the_clients_timeout(provider: Provider) -> None:
    provider.script("hang=30", "dies=yes")
    with _openai(provider, timeout=0.2, max_retries=0) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="gpt-4o", messages=ASK)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert len(provider.bill) == 0


def test_a_stream_that_dies_is_billed_for_what_was_made(provider: Provider) -> None:
    provider.script("die_after=6,chunks=50")
    with _openai(provider, max_retries=0) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        with pytest.raises(openai.APIConnectionError):
            list(stream)
    (line,) = provider.bill
    assert (line.complete, line.quantities.output) == (False, 5), "an opening event, then five tokens"
    assert provider.requests[0].finished is False


def test_a_stream_can_end_in_an_error_event_of_either_provider(provider: Provider) -> None:
    provider.script("fail_after=4", "fail_after=4")
    with _openai(provider) as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
    asked = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": ASK}
    with _anthropic(provider) as client, pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(**asked, stream=True))
    assert [line.complete for line in provider.bill] == [False, False]


def test_a_client_that_leaves_a_stream_stops_the_meter(provider: Provider) -> None:
    provider.script("chunks=500,delay=0.01")
    with _openai(provider) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        for number, _ in enumerate(stream):
            if number == 5:
                break
        stream.close()
    time.sleep(0.1)
    (line,) = provider.bill
    made = line.quantities.output
    assert not line.complete
    assert 5 <= made < 30
    time.sleep(0.1)
    assert line.quantities.output == made


@pytest.mark.parametrize("stream", [False, True])
def test_a_compressed_body_reads_the_same(provider: Provider, stream: bool) -> None:
    provider.script(Step(gzip=True))
    with _anthropic(provider) as client:
        asked = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": ASK}
        if stream:
            with client.messages.stream(**asked) as events:
                packed = events.get_final_message()
        else:
            packed = client.messages.create(**asked)
        assert packed.content[0].text == client.messages.create(**asked).content[0].text
    assert provider.bill.lines[0].quantities == provider.bill.lines[1].quantities


def test_keys_of_the_body_and_headers_can_be_replaced(provider: Provider) -> None:
    provider.script(Step(body={"service_tier": "flex"}, headers={"x-more": "yes"}))
    with _openai(provider) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ASK)
    assert raw.headers["x-more"] == "yes"
    assert raw.parse().service_tier == "flex"


def test_a_wrong_script_says_what_a_step_has(provider: Provider) -> None:
    with pytest.raises(ValueError, match="a step has no 'statsu'; it has status"):
        provider.script("statsu=429")


def test_the_provider_runs_alone_on_the_standard_library(tmp_path: Path) -> None:
    shutil.copytree(Path(package.__file__).parent, tmp_path / "copied")
    program = (
        "import sys, urllib.request, json; sys.path.insert(0, sys.argv[1]); from copied import Provider\n"
        "with Provider() as provider:\n"
        "    body = json.dumps({'model': 'gpt-4o', 'input': 'hi'}).encode()\n"
        "    request = urllib.request.Request(provider.openai_url + '/responses', body,\n"
        "                                     {'Authorization': 'Bearer any'})\n"
        "    answer = json.load(urllib.request.urlopen(request))\n"
        "    assert answer['id'] == provider.bill.lines[0].response_id\n"
        "    assert not any(name.startswith('otel_llm_cost') for name in sys.modules)\n"
        "    print(provider.bill.usd)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert float(done.stdout) > 0


def test_the_provider_can_be_tried_by_hand_and_shows_its_bill() -> None:
    command = [sys.executable, "-m", package.__name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1].removeprefix("OPENAI_BASE_URL=")
        assert process.stdout.readline() == "export OPENAI_API_KEY=any ANTHROPIC_API_KEY=any\n"
        with OpenAI(base_url=url, api_key="any") as client:
            client.embeddings.create(model="text-embedding-3-small", input="one two")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().splitlines()[-1] == "total 0.00000004 USD"
    assert process.returncode == 0
