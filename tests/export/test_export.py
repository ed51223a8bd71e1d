"""The exporters without a collector, with real SDKs, against a ClickHouse stand-in over HTTP."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from clickhouse_server import ClickHouseStandIn, running
from ledger_store import NOW, SECOND, a_call, ns
from otel_llm_cost.core import semconv
from otel_llm_cost.core.call import Call
from otel_llm_cost.demo.provider import Provider
from otel_llm_cost.export import ClickHouseLogExporter, ClickHouseSpanExporter, writer
from otel_llm_cost.ledger import COLUMNS
from otel_llm_cost.sinks.clickhouse import ClickHouseSink

EVERYTHING = {"since": "2020-01-01", "until": "2100-01-01", "limit": 1000}
RESOURCE = Resource({"service.name": "api", "deployment.environment.name": "prod"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStandIn]:
    with running(Path(tmp_path_factory.mktemp("server"))) as stand_in:
        yield stand_in


@pytest.fixture
def dsn(server: ClickHouseStandIn, request: pytest.FixtureRequest) -> str:
    """A database of its own, which nobody has made yet."""
    return server.dsn(f"d{abs(hash(request.node.name))}")


def rows(dsn: str) -> list[dict[str, Any]]:
    """Every row, with every column."""
    with ClickHouseSink(dsn) as sink:
        listed = sink.query("calls", EVERYTHING).records()
        found = [sink.query("call_by_id", {"call_id": call_id}).records() for call_id in _ids(listed)]
    return [row for several in found for row in several]


def _ids(listed: list[dict[str, Any]]) -> list[str]:
    return sorted({row["call_id"] for row in listed})


class App:
    """OpenTelemetry set up in code, as an app would."""

    def __init__(self, dsn: str) -> None:
        self.spans = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
        self.spans.add_span_processor(BatchSpanProcessor(ClickHouseSpanExporter(dsn)))
        self.logs = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
        self.logs.add_log_record_processor(BatchLogRecordProcessor(ClickHouseLogExporter(dsn)))
        self.writer = writer._writers[dsn]

    def span(self, call: Call) -> None:
        """Our own span of a call."""
        span = self.spans.get_tracer(semconv.SCOPE, "1.0").start_span(
            "chat", kind=SpanKind.CLIENT, attributes=semconv.to_attributes(call), start_time=call.started_at
        )
        if call.error_type:
            span.set_status(Status(StatusCode.ERROR))
        span.end(call.ended_at)

    def record(self, call: Call) -> None:
        """Our own record of a call."""
        self.logs.get_logger(semconv.SCOPE).emit(
            timestamp=call.started_at,
            observed_timestamp=call.ended_at,
            severity_number=SeverityNumber.INFO,
            event_name=semconv.RECORD_EVENT,
            attributes=semconv.to_attributes(call),
        )

    def foreign_span(self, **attributes: Any) -> None:
        """What another instrumentation says of a call."""
        span = self.spans.get_tracer("opentelemetry.instrumentation.openai_v2").start_span(
            "chat gpt-4o", kind=SpanKind.CLIENT, attributes={"gen_ai.operation.name": "chat", **attributes}
        )
        span.end()

    def close(self) -> None:
        self.spans.shutdown()
        self.logs.shutdown()


@pytest.fixture
def app(dsn: str) -> Iterator[Callable[[], App]]:
    apps: list[App] = []

    def start() -> App:
        apps.append(App(dsn))
        return apps[-1]

    yield start
    for one in apps:
        one.close()
    assert writer._writers == {}


def priced(**about: Any) -> Call:
    """A call whose price everyone knows: 176 × 2.5 + 1024 × 1.25 + 180 × 10 per million."""
    return a_call(**{"response_id": "chatcmpl-" + os.urandom(12).hex(), **about})


def test_spans_and_records_become_priced_rows_and_a_call_in_both_counts_once(dsn: str, app: Any) -> None:
    one, two = priced(tags={"team": "search", "tier": "gold"}), priced(attempt=1)
    failed = priced(error_type="rate_limit", usage=type(one.usage)(), cost=None, status_code=429)
    running_app = app()
    running_app.span(one)
    running_app.record(one)
    running_app.record(failed)
    running_app.span(two)
    running_app.close()
    told = {(row["call_id"], row["kind"]): row for row in rows(dsn)}
    assert sorted(kind for _, kind in told) == ["duplicate", "failed_attempt", "usage", "usage"]
    row = told[one.call_id, "usage"]
    assert (row["effective_cost"], row["cost_status"]) == (Decimal("0.00352"), "priced")
    assert (row["team"], row["tags"], row["service"], row["environment"]) == (
        "search", {"tier": "gold"}, "api", "prod",
    )  # fmt: skip
    assert row["app_cost"] == one.cost.effective  # type: ignore[union-attr]
    assert (row["emitter"], row["emitter_version"]) == (semconv.SCOPE, "1.0")
    assert told[one.call_id, "duplicate"]["duplicate_of"] == one.call_id
    assert told[failed.call_id, "failed_attempt"]["effective_cost"] is None
    assert len(told[one.call_id, "usage"]) == len(COLUMNS)


def test_a_foreign_span_is_priced_and_a_copy_of_our_own_call_is_none(dsn: str, app: Any) -> None:
    ours = priced()
    running_app = app()
    usage = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    running_app.foreign_span(
        **{"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini", **usage},
        **{"gen_ai.response.id": "chatcmpl-abcdefghijklmnopqrstuvwxyz"},
    )
    running_app.foreign_span(
        **{"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", **usage},
        **{"gen_ai.response.id": ours.response_id},
    )
    running_app.span(ours)
    with running_app.spans.get_tracer("app").start_as_current_span("GET /"):
        pass
    running_app.close()
    kinds = {(row["model"], row["kind"]): row for row in rows(dsn)}
    assert kinds.keys() == {
        ("gpt-4o-mini", "usage"), ("gpt-4o", "duplicate"), ("gpt-4o-2024-08-06", "usage"),
    }  # fmt: skip
    assert kinds["gpt-4o-mini", "usage"]["effective_cost"] == Decimal("0.00021")
    assert running_app.writer.delivery.passed == 1


def test_an_insert_whose_answer_was_lost_is_not_doubled(
    dsn: str, app: Any, server: ClickHouseStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    running_app = app()
    running_app.span(priced())
    assert running_app.spans.force_flush()
    server.fault(lose=1)
    for _ in range(3):
        running_app.span(priced())
    assert running_app.spans.force_flush()
    assert running_app.writer.flush(30)
    assert len(rows(dsn)) == 4
    assert running_app.writer.delivery.written == 4


def test_a_server_that_comes_back_gets_what_waited_and_the_app_one_warning(
    dsn: str, app: Any, server: ClickHouseStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault(refuse=4)
    running_app = app()
    for _ in range(5):
        running_app.span(priced())
        running_app.spans.force_flush()
    assert running_app.writer.flush(30)
    assert len(rows(dsn)) == 5
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.message.partition(":")[0] for record in warnings] == [
        "LLM calls wait in memory (at most 20000)"
    ]
    assert "told to refuse" in warnings[0].message


def test_a_server_that_stays_away_costs_the_app_seconds_and_what_is_lost_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EXIT_S", 1.0)
    running_app = App("clickhouse://u:hunter2@127.0.0.1:1/db")
    for _ in range(3):
        running_app.span(priced())
    started = time.monotonic()
    running_app.close()
    assert time.monotonic() - started < 8
    delivery = running_app.writer.delivery
    assert (delivery.taken, delivery.written, delivery.dropped, delivery.waiting) == (3, 0, 3, 0)
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "127.0.0.1:1/db cannot be reached" in said[0]
    assert said[1] == "3 LLM calls could not be written before the app ended, and are lost"
    assert "hunter2" not in caplog.text


def test_a_store_that_is_no_server_is_said_once_and_nothing_else_happens(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    running_app = App(f"chdb://{tmp_path}/ledger")
    for _ in range(3):
        running_app.span(priced())
        running_app.spans.force_flush()
    running_app.close()
    (said,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "needs a ClickHouse server; set OTEL_LLM_COST_STORE" in said
    assert running_app.writer.delivery.rejected == 3
    assert not (tmp_path / "ledger").exists()


def test_a_span_that_nobody_understands_does_not_take_the_others_with_it(dsn: str, app: Any) -> None:
    running_app = app()
    call = priced()
    broken = {**semconv.to_attributes(priced()), "llm_cost.usage.parts": "{not json"}
    running_app.spans.get_tracer(semconv.SCOPE).start_span("chat", attributes=broken).end()
    running_app.span(call)
    running_app.close()
    assert [row["call_id"] for row in rows(dsn)] == [call.call_id]
    assert running_app.writer.delivery.rejected == 1


def test_more_than_there_is_room_for_is_dropped_counted_and_said(
    dsn: str, app: Any, server: ClickHouseStandIn, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 2)
    server.fault(refuse=3)
    running_app = app()
    for _ in range(5):
        running_app.span(priced())
    running_app.spans.force_flush()
    assert running_app.writer.flush(30)
    delivery = running_app.writer.delivery
    assert (delivery.written, delivery.dropped) == (2, 3)
    assert "LLM calls come faster than they can be written; some are lost" in caplog.messages


def test_a_forked_child_writes_its_own_calls_and_not_its_parents(dsn: str, app: Any) -> None:
    running_app = app()
    running_app.span(priced(tags={"team": "parent"}))
    running_app.spans.force_flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            running_app.span(priced(tags={"team": "child"}))
            status = 0 if running_app.spans.force_flush(20_000) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(row["team"] for row in rows(dsn)) == ["child", "parent"]


SCRIPT = """
import otel_llm_cost
from openai import OpenAI
from anthropic import Anthropic
with otel_llm_cost.tags(team="search", feature="rank"):
    ask = [{"role": "user", "content": "a secret prompt"}]
    OpenAI(api_key="k").chat.completions.create(model="gpt-4o-mini", messages=ask)
    Anthropic(api_key="k").messages.create(model="claude-haiku-4-5", max_tokens=99, messages=ask)
print("done")
"""


def test_an_app_with_no_line_of_ours_beyond_tags_writes_what_the_provider_bills(
    dsn: str, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(SCRIPT)
    done = subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "app.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "OTEL_TRACES_EXPORTER": "llm_cost_clickhouse",
            "OTEL_LOGS_EXPORTER": "llm_cost_clickhouse",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_SERVICE_NAME": "demo",
            "OTEL_LLM_COST_STORE": dsn,
            "OPENAI_BASE_URL": provider.openai_url,
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
        },
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    booked = [row for row in rows(dsn) if row["kind"] == "usage"]
    assert {(row["provider"], row["team"], row["feature"], row["service"]) for row in booked} == {
        ("openai", "search", "rank", "demo"), ("anthropic", "search", "rank", "demo"),
    }  # fmt: skip
    assert len(booked) == 2
    assert sum(row["effective_cost"] for row in booked) == Decimal(provider.bill.usd)


def test_an_app_whose_server_is_away_runs_as_ever(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SCRIPT)
    done = subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "app.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "OTEL_TRACES_EXPORTER": "llm_cost_clickhouse",
            "OTEL_LOGS_EXPORTER": "llm_cost_clickhouse",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LLM_COST_STORE": "clickhouse://u:hunter2@127.0.0.1:1/db",
            "OPENAI_BASE_URL": provider.openai_url,
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
        },
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("done\n", 0)
    assert "2 LLM calls could not be written before the app ended" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_times_of_a_span_are_those_of_the_row(dsn: str, app: Any) -> None:
    call = priced(started_at=ns(NOW) - 5 * SECOND, ended_at=ns(NOW) - 3 * SECOND)
    running_app = app()
    running_app.span(call)
    running_app.close()
    (row,) = rows(dsn)
    assert (ns(row["started_at"]), row["duration_s"]) == (call.started_at, 2.0)
