"""`opentelemetry-instrument python app.py`, and not a line of ours in the app."""

from __future__ import annotations

import importlib.util
import os
import time
from collections import Counter

import pytest

from .conftest import APP, COST, App, Provider, Received


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


def test_one_call_is_one_span_with_its_exact_cost(app: App, received: Received) -> None:
    done = app.run(OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)
    (span,) = received.spans
    assert span["name"] == "chat gpt-4o-mini"
    assert (span["llm_cost.cost.exact"], span["gen_ai.provider.name"]) == (COST, "openai")
    assert "llm_cost.cost" in received.metrics
    assert not any(b"secret prompt" in body for body in received.bodies)


def test_tags_can_be_given_from_outside_by_flag_variable_and_resource(app: App, received: Received) -> None:
    app.run(
        APP,
        "--llm_cost_tags",
        "team=search",
        "--exporter_otlp_protocol",
        "http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod,llm_cost.feature=rank",
    )
    (span,) = received.spans
    assert (span["llm_cost.team"], span["llm_cost.feature"], span["llm_cost.environment"]) == (
        "search",
        "rank",
        "prod",
    )


def test_a_collector_that_is_not_there_changes_nothing_for_the_app(app: App) -> None:
    done = app.run(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert (done.stdout, done.returncode) == ("hello\n", 0)
    assert "Traceback" not in done.stderr


def test_instrumenting_twice_in_both_ways_counts_once(app: App, received: Received) -> None:
    code = f"import otel_llm_cost\notel_llm_cost.instrument()\notel_llm_cost.instrument()\n{APP}"
    done = app.run(
        code, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
    )
    assert (done.stdout, done.stderr) == ("hello\n", "")
    assert len(received.spans) == 1


def test_disabling_our_instrumentor_by_name_leaves_the_app_alone(app: App, received: Received) -> None:
    app.run(
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="llm_cost_openai",
        OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    assert received.spans == []


EVERYWHERE = """\
import asyncio, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
from openai import AsyncOpenAI, OpenAI
from otel_llm_cost import tags

ask = dict(model="gpt-4o-mini", messages=[])
client = OpenAI()

def call():
    client.chat.completions.create(**ask)

async def call_async():
    await AsyncOpenAI().chat.completions.create(**ask)
    await asyncio.gather(asyncio.to_thread(call), asyncio.get_running_loop().run_in_executor(None, call))

if "child" in sys.argv:
    call()
else:
    with tags(team="search"):
        thread = threading.Thread(target=call)
        thread.start()
        with ThreadPoolExecutor() as pool:
            pool.submit(call)
        asyncio.run(call_async())
        subprocess.run([sys.executable, __file__, "child"], check=True)
        thread.join()
    call()
"""


def test_tags_reach_the_calls_of_threads_pools_tasks_and_children(app: App, received: Received) -> None:
    done = app.run(
        EVERYWHERE,
        OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert Counter(span.get("llm_cost.team") for span in received.spans) == {"search": 6, None: 1}


class TestRecords:
    """Spend is complete where spans are not (design D13)."""

    def test_a_call_that_is_not_sampled_leaves_as_a_record(self, app: App, received: Received) -> None:
        app.run(
            OTEL_TRACES_SAMPLER="always_off",
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
        (record,) = received.records
        assert received.spans == []
        assert (record["event"], record["llm_cost.cost.exact"]) == ("llm_cost.call", COST)
        assert 0 < record["time"] < record["observed"]

    def test_an_attempt_that_failed_before_the_last_is_a_record_of_the_calls_span(
        self, app: App, provider: Provider, received: Received
    ) -> None:
        provider.failures.append(429)
        done = app.run(
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
        )
        assert done.stdout == "hello\n"
        (record,), (span,) = received.records, received.spans
        assert (record["llm_cost.attempt"], span["llm_cost.attempt"]) == (1, 2)
        assert "llm_cost.cost.exact" not in record
        assert int(record["span_id"], 16) != 0

    @pytest.mark.parametrize("prepare", ["", "from opentelemetry.sdk.trace import TracerProvider\n"])
    def test_an_app_without_opentelemetry_still_tells_its_spend(
        self, app: App, received: Received, prepare: str
    ) -> None:
        code = f"{prepare}import otel_llm_cost\notel_llm_cost.instrument()\n{APP}"
        started = time.monotonic()
        done = app.run(
            code,
            instrumented=False,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            OTEL_SERVICE_NAME="support",
            OTEL_LLM_COST_TAGS="team=search",
        )
        assert (done.stdout, done.stderr) == ("hello\n", "")
        (record,) = received.records
        assert (record["llm_cost.cost.exact"], record["llm_cost.team"], record["service"]) == (
            COST,
            "search",
            "support",
        )
        assert time.monotonic() - started < 30

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_sends_its_own_calls_and_its_parents_are_sent_once(
        self, app: App, received: Received
    ) -> None:
        code = f"import os, otel_llm_cost\notel_llm_cost.instrument()\n{APP}\n"
        code += f"pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nelse:\n{indented(APP)}"
        done = app.run(code, instrumented=False, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
        assert done.returncode == 0, done.stderr
        assert len({record["llm_cost.call_id"] for record in received.records}) == len(received.records) == 2

    def test_an_abandoned_stream_that_is_the_apps_only_call_is_told_at_exit(
        self, app: App, received: Received
    ) -> None:
        code = """\
import otel_llm_cost
otel_llm_cost.instrument()
from openai import OpenAI
stream = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[], stream=True)
"""
        done = app.run(code, instrumented=False, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
        assert (done.stderr, done.returncode) == ("", 0)
        assert len(received.records) == 1

    def test_always_sends_a_record_beside_the_span(self, app: App, received: Received) -> None:
        app.run(
            OTEL_LLM_COST_RECORD="always",
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
        assert len(received.spans) == len(received.records) == 1
        assert received.spans[0]["llm_cost.call_id"] == received.records[0]["llm_cost.call_id"]


INJECTING = """\
import httpx2
from opentelemetry import baggage, context, propagate
import otel_llm_cost

send = httpx2.Client.send

def instrumented_send(self, request, **kwargs):  # as opentelemetry-instrumentation-httpx does
    propagate.inject(request.headers)
    return send(self, request, **kwargs)

httpx2.Client.send = instrumented_send
context.attach(baggage.set_baggage("session", "private"))
"""


def test_a_provider_gets_no_baggage_even_where_http_is_instrumented(app: App, provider: Provider) -> None:
    code = f"{INJECTING}with otel_llm_cost.tags(team='search'):\n{indented(APP)}"
    app.run(code, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")
    (headers,) = provider.headers
    assert "traceparent" in headers, "the app's HTTP instrumentation did not run"
    assert "baggage" not in headers


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is None, reason="no gRPC exporter"
)
def test_where_the_grpc_exporter_is_installed_it_stays_the_default(app: App) -> None:
    code = "import os; print(os.environ['OTEL_EXPORTER_OTLP_PROTOCOL'])"
    done = app.run(code, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")
    assert done.stdout == "grpc\n"
