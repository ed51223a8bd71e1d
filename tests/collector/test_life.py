"""How a collector starts, what stops it from starting, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import Collector, post, running, start
from sending import CALL_COST, call, exporter, request, send_spans

from otel_llm_cost.core.semconv import to_attributes
from otel_llm_cost.sinks import open_ledger

PORTS = ("--grpc-port", "0", "--http-port", "0", "--ui-port", "0")
TOTAL = {"since": "2020-01-01", "until": "2100-01-01"}


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a collector that does not start."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_end_is_good(tmp_path: Path, number: int) -> None:
    with running(tmp_path, environ={"OTEL_LLM_COST_BATCH_SECONDS": "30"}) as collector:
        send_spans(exporter(collector, "grpc"), [call("search") for _ in range(20)])
        assert collector.health()["spool_items"] == 20
        assert (tmp_path / "collector.json").exists()
        assert collector.stop(number) == 0
        assert collector.errors == []
    assert not (tmp_path / "collector.json").exists()
    (answer,) = ask(f"chdb://{tmp_path}/ledger")
    assert (answer["calls"], answer["effective_cost"]) == (20, "0.0702")


def ask(store: str) -> list[dict[str, object]]:
    """The total of a ledger that nobody has open, from a process of its own: chDB allows one path each."""
    code = (
        "import sys, json; from otel_llm_cost.sinks import open_ledger\n"
        f"with open_ledger(sys.argv[1]) as ledger: answer = ledger.query('spend_by', {TOTAL!r}).records()\n"
        "print(json.dumps(answer, default=str))"
    )
    done = subprocess.run([sys.executable, "-c", code, store], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for answer in answers:
        answer["effective_cost"] = answer["effective_cost"].rstrip("0")
    return answers


def test_a_living_collector_answers_for_its_ledger(collector: Collector, team: str) -> None:
    send_spans(exporter(collector, "http"), [call(team)])
    collector.settle()
    with open_ledger(collector.store) as ledger:
        (answer,) = ledger.query("spend_by", {**TOTAL, "filters": {"team": [team]}}).records()
    assert str(answer["effective_cost"]) == CALL_COST


def test_a_second_collector_on_one_ledger_waits_and_then_says_so(collector: Collector) -> None:
    began = time.monotonic()
    code, out, err = end(start("--store", collector.store, *PORTS))
    assert time.monotonic() - began > 9
    assert (code, out) == (1, "")
    assert f"process {collector.process.pid}" in err
    assert err.count("\n") == 1
    assert collector.health()["status"] == "ok"


def test_a_collector_waits_for_its_predecessor_to_drain(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        second = start("--store", first.store, *PORTS)
        time.sleep(2)
        assert first.stop() == 0
    assert second.stdout
    try:
        assert second.stdout.readline().startswith("ready ")
    finally:
        second.kill()
        second.communicate(timeout=30)


def test_a_stale_collector_json_is_no_obstacle(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        first.stop(signal.SIGKILL)
    assert (tmp_path / "collector.json").exists()
    with running(tmp_path) as second:
        assert second.query("extent")


@pytest.mark.parametrize("name", ["grpc", "http", "ui"])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports = [port if flag == f"--{name}-port" else flag for flag in PORTS]
        ports[ports.index(port)] = f"--{name}-port"
        ports[ports.index(f"--{name}-port") + 1] = port
        code, out, err = end(start("--store", f"chdb://{tmp_path}/ledger", *ports))
    assert (code, out) == (1, "")
    assert f"127.0.0.1:{port}: another program has that port" in err
    assert f"--{name}-port" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "collector.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--store", "clickhouse://u:hunter2@127.0.0.1:1/d"), 1, "cannot be reached"),
        (("--store", "postgres://x"), 2, "chdb:///folder"),
        (("--store", "chdb:///proc/nowhere/ledger"), 1, "/proc/nowhere"),
        (("--http-port", "99999"), 2, "--http-port: expected less than or equal to 65535"),
        (("--host", "no.such.host.invalid"), 1, "--host"),
        (("--config", "/nowhere.yaml"), 2, "/nowhere.yaml: cannot be read"),
    ],
    ids=lambda value: value[1][:12] if isinstance(value, tuple) else None,
)
def test_what_cannot_work_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    store = () if "--store" in arguments else ("--store", f"chdb://{tmp_path}/ledger")
    ports = [part for part in PORTS if "--http-port" not in arguments or part not in ("--http-port",)]
    if "--http-port" in arguments:
        ports = ["--grpc-port", "0", "--ui-port", "0"]
    exit_code, out, err = end(start(*store, *ports, *arguments, environ={"HOME": str(tmp_path)}))
    assert (exit_code, out) == (code, "")
    assert words in err
    assert "hunter2" not in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_a_wrong_key_in_the_config_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("host: 127.0.0.1\nbatch_row: 3\n")
    code, _, err = end(start("--config", str(file), *PORTS))
    assert (code, err) == (2, f"otel-llm-cost: {file}:2: unknown key batch_row; did you mean batch_rows?\n")


def test_the_default_store_is_in_the_users_home(tmp_path: Path) -> None:
    process = start(*PORTS, environ={"HOME": str(tmp_path)})
    try:
        assert process.stdout
        assert process.stdout.readline().startswith("ready ")
        assert (tmp_path / ".local/share/otel-llm-cost/ledger").is_dir()
        assert (tmp_path / ".local/share/otel-llm-cost/collector.json").is_file()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_full_spool_asks_clients_to_wait(tmp_path: Path) -> None:
    environ = {"OTEL_LLM_COST_SPOOL_MAX_BYTES": "2000", "OTEL_LLM_COST_BATCH_SECONDS": "3"}
    with running(tmp_path, environ=environ) as collector:
        url = f"http://{collector.http}/v1/traces"
        headers = {"content-type": "application/x-protobuf"}
        answers = [
            post(url, request([to_attributes(call("t")) for _ in range(5)]).SerializeToString(), headers)[0]
            for _ in range(3)
        ]
        assert answers == [200, 429, 429]
        # The real exporter waits as it is told, and nothing is lost.
        send_spans(exporter(collector, "grpc"), [call("t")])
        collector.settle()
        (total,) = collector.query("spend_by", **TOTAL)
        assert total["calls"] == 6
    assert os.environ.get("OTEL_LLM_COST_SPOOL_MAX_BYTES") is None
