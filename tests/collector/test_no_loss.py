"""Nothing lost, nothing doubled: killed under load, the ledger away, resends, poison."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from running import Collector, post, running
from sending import call, request

import clickhouse_server
from otel_llm_cost.collector.refused import find_refused
from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.core.semconv import to_attributes
from otel_llm_cost.sinks.clickhouse import ClickHouseSink

HEADERS = {"content-type": "application/x-protobuf"}


class Load:
    """A client that sends without pause, resends what was not acknowledged, and counts what was."""

    def __init__(self, spans_per_request: int) -> None:
        self.address = ""
        self.acknowledged = 0
        self.resends = 0
        self._spans = spans_per_request
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        self._lock = threading.Lock()
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        template = request([to_attributes(call("load")) for _ in range(self._spans)])
        spans = template.resource_spans[0].scope_spans[0].spans
        # What is under way is sent until it is acknowledged, as the real exporters do.
        while not self._stop.is_set():
            for span in spans:
                span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
                for attribute in span.attributes:
                    if attribute.key == "llm_cost.call_id":
                        attribute.value.string_value = os.urandom(16).hex()
                    elif attribute.key == "gen_ai.response.id":
                        attribute.value.string_value = f"chatcmpl-{os.urandom(14).hex()}"
            body = template.SerializeToString()
            for attempt in itertools.count():
                if self._send(body):
                    break
                with self._lock:
                    self.resends += attempt == 0
                time.sleep(0.05)
            with self._lock:
                self.acknowledged += self._spans
            time.sleep(0.02)  # the test is about the moment of death, not about the backlog

    def _send(self, body: bytes) -> bool:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("POST", "/v1/traces", body, HEADERS)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Send no more; what is under way is still sent until it is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()


LEDGER = """
import json, sys
import clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
print(json.dumps(client.query(
    "SELECT count(), uniqExact(call_id), uniqExact(batch_id, row_no), sum(calls), sum(duplicates),"
    " toString(sum(effective_cost)) FROM ledger"
).result_rows[0]))
"""


def in_ledger(folder: Path) -> tuple[int, int, int, int, int, str]:
    """Rows, call ids, row ids, calls, duplicates, cost."""
    done = subprocess.run(
        [sys.executable, "-c", LEDGER, str(folder / "ledger")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    rows, ids, row_ids, calls, duplicates, cost = json.loads(done.stdout)
    return rows, ids, row_ids, calls, duplicates, cost


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_killed_under_load_every_acknowledged_span_is_there_exactly_once(tmp_path: Path, kills: int) -> None:
    moments = random.Random(kills)
    load = Load(spans_per_request=100)
    environ = {"OTEL_LLM_COST_BATCH_SECONDS": "0.05", "OTEL_LLM_COST_BATCH_ROWS": "2000"}
    try:
        for _ in range(kills):
            collector = Collector(tmp_path, environ=environ)
            load.address = collector.http
            time.sleep(moments.uniform(0.2, 1.5))
            collector.stop(signal.SIGKILL)
        collector = Collector(tmp_path, environ=environ)
        load.address = collector.http
    finally:
        load.stop()
    try:
        collector.settle(300)
        assert collector.stop() == 0
    finally:
        collector.stop(signal.SIGKILL)
    sent = load.acknowledged
    assert sent > 500
    assert load.resends > 0
    rows, ids, row_ids, calls, duplicates, cost = in_ledger(tmp_path)
    assert (rows, ids, row_ids, calls, duplicates) == (sent, sent, sent, sent, 0)
    assert round(float(cost) / 0.00351) == sent


@pytest.fixture
def environ() -> dict[str, str]:
    return {"OTEL_LLM_COST_BATCH_SECONDS": "0.05"}


def send_calls(collector: Collector, count: int, team: str = "t") -> None:
    body = request([to_attributes(call(team)) for _ in range(count)]).SerializeToString()
    assert post(f"http://{collector.http}/v1/traces", body, HEADERS)[0] == 200


def test_a_ledger_that_is_away_refuses_and_loses_answers_gets_every_row_once(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    ever = {"since": "2020-01-01", "until": "2100-01-01"}
    with clickhouse_server.running(tmp_path / "server") as server:
        spool = str(tmp_path / "spool")
        arguments = ("--store", server.dsn("costs"))
        with running(tmp_path, *arguments, environ={**environ, "OTEL_LLM_COST_SPOOL": spool}) as collector:
            send_calls(collector, 3)
            collector.settle()
            server.fault(refuse=3)
            send_calls(collector, 4)
            collector.settle()
            server.fault(lose=2)  # carried out, but nobody hears of it
            send_calls(collector, 5)
            collector.settle()
            assert collector.health()["insert_failures_total"] >= 3
            assert collector.stop() == 0
        with ClickHouseSink(server.dsn("costs")) as sink:
            (total,) = sink.query("spend_by", ever).records()
            assert sink.query("extent").rows[0][0] == 12
        assert (total["calls"], total["duplicates"]) == (12, 0)
        assert any("the ledger cannot be written" in line for line in collector.errors)
        assert not any(server.password in line for line in collector.errors)


def test_a_row_that_the_ledger_refuses_is_buried_and_the_rest_goes_on() -> None:
    """No input of today makes such a row, so the ledger's side is played here."""

    class Ledger:
        def __init__(self) -> None:
            self.rows: list[int] = []
            self.is_away = False

        def write(self, rows: Any, *, query_id: str = "") -> int:
            raise NotImplementedError

        def write_again(self, batch_id: str, rows: Any, *, query_id: str = "") -> int:
            if any(row[0] % 10 == 7 for row in rows) or self.is_away:
                raise StoreError("type mismatch")
            self.rows += [row[0] for row in rows]
            return len(rows)

        def query(self, name: str, params: Any = None) -> Any:
            if self.is_away:
                raise StoreError("cannot be reached")

    ledger = Ledger()
    refused = find_refused(ledger, "b", [(number,) for number in range(30)], False)
    assert [row for row, _ in refused] == [(7,), (17,), (27,)]
    assert sorted(ledger.rows) == [number for number in range(30) if number % 10 != 7]
    with pytest.raises(StoreError, match="type mismatch"):
        find_refused(ledger, "b", [(7,)], False)
    assert find_refused(ledger, "b", [(7,)], True) == [((7,), "type mismatch")]
    ledger.is_away = True
    with pytest.raises(StoreError, match="cannot be reached"):
        find_refused(ledger, "b", [(1,), (2,)], True)
