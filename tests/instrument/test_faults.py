"""When something is wrong, with us, the SDK or the answer: the user's call is as without us."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from otel_llm_cost import wiring
from otel_llm_cost.core import faults, semconv
from otel_llm_cost.core.errors import CallDenied
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.instrument import engine
from otel_llm_cost.instrument.engine import Instrumented
from otel_llm_cost.instrument.sdk import Sdk
from otel_llm_cost.pipeline import Pipeline, Policy, Run

from .conftest import Telemetry
from .test_facts import ANSWER, in_memory
from .ways import CHAT, MESSAGE, async_client, client


class Broken(Policy):
    name = "broken"

    def enter(self, run: Run) -> Any:
        raise ZeroDivisionError

    def leave(self, run: Run) -> None:
        raise AssertionError


class BrokenOut(Policy):
    name = "broken-out"

    def leave(self, run: Run) -> None:
        raise ZeroDivisionError


class Refuse(Policy):
    """Refuses from the given attempt on."""

    name = "budget"

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.left: list[int] = []

    def enter(self, run: Run) -> Any:
        if run.call.attempt >= self.attempt:
            raise CallDenied("the budget of team search is used up")
        return self.leave

    def leave(self, run: Run) -> None:
        self.left.append(run.call.attempt)


class Seen(Policy):
    """Keeps the calls that leave."""

    name = "seen"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, bool]] = []

    def leave(self, run: Run) -> None:
        self.calls.append((run.call, run.is_last))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Instrument openai with the given policies."""

    def start(*policies: Policy) -> None:
        wiring.instrument_sdk("openai", pipeline=Pipeline(policies))

    yield start
    wiring.uninstrument_sdk("openai")


def test_a_broken_policy_is_logged_once_and_the_others_still_run(
    use: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(faults.RAISE)
    monkeypatch.setattr(faults, "_seen", set())
    seen = Seen()
    use(seen, Broken(), BrokenOut())
    for _ in range(3):
        assert client("openai", provider).chat.completions.create(**CHAT).usage
    assert len(seen.calls) == 3
    assert len([record for record in caplog.records if record.name == "otel_llm_cost"]) == 2


def test_under_our_own_suite_a_fault_of_ours_is_raised(use: Any, provider: Provider) -> None:
    use(Broken())
    with pytest.raises(ZeroDivisionError):
        client("openai", provider).chat.completions.create(**CHAT)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_denied_call_is_never_sent(use: Any, mode: str, provider: Provider) -> None:
    seen, refuse = Seen(), Refuse(attempt=1)
    use(seen, refuse)
    with pytest.raises(CallDenied, match="used up"):  # noqa: PT012
        if mode == "sync":
            client("openai", provider).chat.completions.create(**CHAT)
        else:
            await async_client("openai", provider).chat.completions.create(**CHAT)
    assert provider.requests == []
    ((call, is_last),) = seen.calls
    assert is_last
    assert (call.denied_by, call.error_type) == ("budget", "CallDenied")
    assert refuse.left == []


def test_a_retry_can_be_denied_too(use: Any, provider: Provider) -> None:
    seen, refuse = Seen(), Refuse(attempt=2)
    use(seen, refuse)
    with pytest.raises(CallDenied):
        client("openai", provider).chat.completions.create(
            **CHAT, extra_headers={"x-demo-script": "status=429"}
        )
    assert len(provider.requests) == 1
    assert [(call.attempt, call.status_code, call.denied_by, last) for call, last in seen.calls] == [
        (1, 429, "", False),
        (2, None, "budget", True),
    ]
    assert refuse.left == [1]


def test_a_denied_call_is_a_short_error_span(
    provider: Provider, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring.uninstrument_sdk("openai")
    usual = wiring.build_pipeline(telemetry.tracer_provider).policies
    wiring.instrument_sdk("openai", pipeline=Pipeline((*usual, Refuse(1))))
    with pytest.raises(CallDenied):
        client("openai", provider).chat.completions.create(**CHAT)
    span = telemetry.only
    assert span.attributes is not None
    assert span.attributes["llm_cost.denied_by"] == "budget"
    assert span.attributes["error.type"] == "CallDenied"
    assert span.status.status_code.name == "ERROR"
    assert semconv.COST_STATUS not in span.attributes


ODD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("no usage", {"usage": None}),
    ("usage of the wrong type", {"usage": "many"}),
    ("counts of the wrong type", {"usage": {"prompt_tokens": "1200", "completion_tokens": [1]}}),
    ("negative counts", {"usage": {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2}}),
    ("contradiction", {"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}}),
    ("unknown fields", {"usage": {**ANSWER["usage"], "new_tokens": 7}, "new": {"a": [1]}}),  # type: ignore[dict-item]
    ("no model", {"model": None}),
    ("choices of the wrong type", {"choices": "none"}),
)


@pytest.mark.parametrize(("case", "changes"), ODD, ids=[case for case, _ in ODD])
def test_an_odd_answer_is_returned_as_it_is_and_recorded_with_a_reason(
    case: str, changes: dict[str, Any], telemetry: Telemetry
) -> None:
    body = {**ANSWER, **changes}
    without = in_memory(answer=httpx2.Response(200, json=body))
    wiring.uninstrument_sdk("openai")
    plain = without.chat.completions.create(**CHAT).model_dump(warnings=False)
    wiring.instrument_sdk("openai", tracer_provider=telemetry.tracer_provider)
    answer = in_memory(answer=httpx2.Response(200, json=body)).chat.completions.create(**CHAT)
    assert answer.model_dump(warnings=False) == plain
    call = telemetry.calls[0]
    assert all(quantity >= 0 for _, quantity in call.usage.items())
    assert call.cost is not None
    assert call.cost.status in ("priced", "partial", "estimated", "unpriced")
    if "counts" in case or ("wrong type" in case and "usage" in case):
        assert call.cost.status != "priced"


@pytest.mark.parametrize("content", [b"", b"not json", b"[1, 2]", b'{"a":', b"\xff\xfe"])
def test_a_body_that_is_no_answer_changes_nothing(content: bytes, telemetry: Telemetry) -> None:
    for kind in ("application/json", "text/plain"):
        answer = httpx2.Response(200, headers={"content-type": kind}, content=content)
        with contextlib.suppress(ValueError, openai.OpenAIError):
            in_memory(answer=answer, max_retries=0).chat.completions.create(**CHAT)
    assert len(telemetry.spans) == 2


def test_ten_megabytes_are_fine(telemetry: Telemetry) -> None:
    text = "x" * 10_000_000
    body = {**ANSWER, "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    in_memory(answer=httpx2.Response(200, json=body)).chat.completions.create(**CHAT)
    assert telemetry.calls[0].cost.exact == "0.00021"  # type: ignore[union-attr]


def test_a_long_stream_is_condensed_and_still_exact(telemetry: Telemetry) -> None:
    def events() -> Any:
        for number in range(3000):
            delta = {"content": f"word{number} " + "x" * 200}
            choices = [{"index": 0, "delta": delta, "finish_reason": None}]
            yield f"data: {json.dumps({'id': 'c', 'model': 'gpt-4o-mini', 'choices': choices})}\n\n".encode()
        total = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        last = {"id": "c", "model": "gpt-4o-mini", "choices": [], "usage": total}
        yield f"data: {json.dumps(last)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events())
    chunks = list(in_memory(answer=answer).chat.completions.create(**CHAT, stream=True))
    assert len(chunks) == 3000
    assert telemetry.calls[0].cost.exact == "0.00021"  # type: ignore[union-attr]


def test_an_estimate_of_a_long_stream_covers_what_was_not_kept(telemetry: Telemetry) -> None:
    def events() -> Any:
        for _ in range(3000):
            choices = [{"index": 0, "delta": {"content": " parcel parcel"}, "finish_reason": None}]
            line = {"id": "c", "model": "gpt-4o-mini", "choices": choices, "pad": "x" * 300}
            yield f"data: {json.dumps(line)}\n\n".encode()

    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events())
    for _ in in_memory(answer=answer).chat.completions.create(**CHAT, stream=True):
        pass
    call = telemetry.calls[0]
    assert call.usage_source == "estimated"
    assert 5500 < call.usage.output_tokens < 6500


def test_a_parser_that_fails_over_a_billed_answer_does_not_hide_its_cost(telemetry: Telemetry) -> None:
    cut = {**ANSWER, "choices": [{**ANSWER["choices"][0], "finish_reason": "length"}]}  # type: ignore[index,dict-item]
    from .ways import Label

    with pytest.raises(openai.LengthFinishReasonError):
        in_memory(answer=httpx2.Response(200, json=cut)).chat.completions.parse(**CHAT, response_format=Label)
    call = telemetry.calls[0]
    assert call.error_type == "LengthFinishReasonError"
    assert call.cost is not None
    assert call.cost.exact == "0.00021"


def test_a_subclass_of_the_client_is_counted_and_a_mock_is_left_alone(telemetry: Telemetry) -> None:
    class Mine(openai.OpenAI):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return super().request(*args, **kwargs)

    in_memory(Mine).chat.completions.create(**CHAT)
    assert len(telemetry.spans) == 1

    class Mocked(openai.OpenAI):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return "mocked"

    assert in_memory(Mocked).chat.completions.create(**CHAT) == "mocked"
    assert len(telemetry.spans) == 1


def test_a_call_inside_a_parser_is_a_call_of_its_own(telemetry: Telemetry) -> None:
    sdk = in_memory()

    def parser(answer: Any) -> Any:
        sdk.embeddings.with_raw_response.create(model="text-embedding-3-small", input="x")
        sdk.models.list()
        return answer

    options = openai._models.FinalRequestOptions.construct(
        method="post", url="/chat/completions", json_data=CHAT
    )
    options.post_parser = parser
    sdk.request(openai.types.chat.ChatCompletion, options)
    assert sorted(span.name for span in telemetry.spans) == [
        "chat gpt-4o-mini",
        "embeddings text-embedding-3-small",
    ]


def fake_sdk(monkeypatch: pytest.MonkeyPatch, version: str, **classes: Any) -> Sdk:
    """An SDK of our own making, installed as `madeup`."""
    module = types.ModuleType("madeup._base_client")
    for name, kind in classes.items():
        setattr(module, name, kind)
    monkeypatch.setitem(sys.modules, "madeup", types.ModuleType("madeup"))
    monkeypatch.setitem(sys.modules, "madeup._base_client", module)
    monkeypatch.setattr(engine, "installed_version", lambda _: version)
    return Sdk(
        name="madeup",
        package="madeup",
        oldest="2.1",
        provider="madeup",
        routes={},
        modules=("madeup._base_client",),
        family="otel_llm_cost.instrument.stainless",
    )


def test_a_version_that_is_too_old_is_skipped_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = Instrumented(fake_sdk(monkeypatch, "2.0.9"), lambda: Pipeline(()))
    one.apply()
    assert one.status.state == "skipped"
    assert one.status.reason == "2.0.9 is older than 2.1, the oldest supported version"
    assert len(caplog.records) == 1


def test_wrap_points_that_are_gone_are_skipped_with_one_line_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class SyncAPIClient:
        def request(self) -> str:
            return "as before"

    original = SyncAPIClient.request
    one = Instrumented(fake_sdk(monkeypatch, "9.0", SyncAPIClient=SyncAPIClient), lambda: Pipeline(()))
    one.apply()
    assert one.status.state == "on"
    assert one.status.wrapped == ["madeup._base_client.SyncAPIClient.request"]
    assert len(one.status.skipped) == len(caplog.records) == 5
    one.undo()
    assert SyncAPIClient.request is original


def python(code: str, **environ: str) -> str:
    """The output of a program of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environ},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_sdk_and_no_price_data_is_imported_before_the_app_imports_it() -> None:
    out = python(
        """
        import sys
        import otel_llm_cost
        otel_llm_cost.instrument()
        heavy = ("openai", "anthropic", "httpx2", "httpx", "genai_prices", "pydantic", "tiktoken")
        print([name for name in heavy if name in sys.modules])
        import openai
        print("genai_prices" in sys.modules, openai._base_client.SyncAPIClient.request.active)
        """
    )
    assert out.split("\n")[:2] == ["[]", "True True"]


APP = """
    import gc, os, sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(
        formatter=lambda span: f"{os.getpid()} {span.name} {span.attributes['llm_cost.usage.source']}\\n")))
    trace.set_tracer_provider(provider)
    import otel_llm_cost
    otel_llm_cost.instrument()
    import openai
    client = openai.OpenAI(base_url=os.environ["URL"], api_key="k")
    chat = dict(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], stream=True)
"""


def test_streams_that_are_open_when_the_process_ends_are_recorded(provider: Provider) -> None:
    out = python(
        APP
        + """
    kept = [client.chat.completions.create(**chat) for _ in range(3)]
    next(kept[0])
    """,
        URL=provider.openai_url,
    )
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == ["chat gpt-4o-mini estimated"] * 3


def test_a_forked_child_leaves_its_parents_streams_alone(provider: Provider) -> None:
    out = python(
        APP
        + """
    stream = client.chat.completions.create(**chat)
    next(stream)
    pid = os.fork()
    if not pid:
        del stream
        gc.collect()
        list(openai.OpenAI(base_url=os.environ["URL"], api_key="k").chat.completions.create(**chat))
        provider.force_flush()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    list(stream)
    print("parent", os.getpid())
    """,
        URL=provider.openai_url,
    )
    lines = out.splitlines()
    parent = next(line for line in lines if line.startswith("parent")).split()[1]
    assert sorted(line.split()[0] == parent for line in lines if "chat" in line) == [False, True]
    assert all(line.endswith("stream") for line in lines if "chat" in line)


def test_force_flush_of_the_provider_brings_dropped_streams(provider: Provider) -> None:
    out = python(
        APP
        + """
    stream = client.chat.completions.create(**chat)
    next(stream)
    stream.close()
    provider.force_flush()
    print("flushed", flush=True)
    """,
        URL=provider.openai_url,
    )
    assert out.splitlines()[0].endswith("chat gpt-4o-mini estimated")
    assert out.splitlines()[1] == "flushed"


def test_a_connection_that_never_came_about_cost_nothing_and_one_that_broke_may_have(
    provider: Provider, telemetry: Telemetry
) -> None:
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0).embeddings.create(
            model="text-embedding-3-small", input="x"
        )
    with pytest.raises(openai.APIConnectionError):
        client("openai", provider, max_retries=0).chat.completions.create(
            **CHAT, extra_headers={"x-demo-script": "dies=yes"}
        )
    assert [call.usage_flags for call in telemetry.calls] == [("not_sent",), ("maybe_billed",)]
    assert [call.cost for call in telemetry.calls] == [None, None]


def test_calls_and_streams_leave_nothing_to_the_garbage_collector(
    provider: Provider, telemetry: Telemetry
) -> None:
    sdk = client("anthropic", provider)  # whose own streams are free of cycles

    def make() -> None:
        for stream in (False, True):
            answer = sdk.messages.create(**MESSAGE, stream=stream)
            if stream:
                list(answer)

    make()
    telemetry.settle()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        make()
        telemetry.settle()
        gc.collect()
        ours = [kept for kept in gc.garbage if type(kept).__module__.startswith("otel_llm_cost")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert ours == []
