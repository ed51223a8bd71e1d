"""`otel-llm-cost doctor` tells an app's environment as it is, and a script by its exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Received

COMMAND = str(Path(sys.executable).with_name("otel-llm-cost"))
HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
FAST = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}
"""Without the import of every SDK, where a test is not about them."""


@dataclass
class Told:
    code: int
    output: str
    findings: dict[tuple[str, str], dict[str, Any]]

    def __getitem__(self, key: tuple[str, str]) -> dict[str, Any]:
        return self.findings[key]

    @property
    def problems(self) -> list[tuple[str, str]]:
        return [key for key, finding in self.findings.items() if finding["state"] == "problem"]


@pytest.fixture
def doctor(tmp_path: Path) -> Any:
    def ask(*arguments: str, **variables: str) -> Told:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
        environment |= {"HOME": str(tmp_path), **variables}
        done = subprocess.run(
            [COMMAND, "doctor", *(arguments or ("--json",))],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        if arguments:
            return Told(done.returncode, done.stdout, {})
        answer = json.loads(done.stdout)
        assert answer["ok"] == (done.returncode == 0)
        found = {(one["area"], one["name"]): one for one in answer["findings"]}
        return Told(done.returncode, done.stdout, found)

    return ask


def test_all_is_well_where_a_receiver_answers(doctor: Any, received: Received) -> None:
    told = doctor(**HTTP, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert (told.code, told.problems) == (0, [])
    assert told["installed", "otel-llm-cost"]["details"]["python"]
    openai = told["sdks", "openai"]["details"]
    assert "openai._base_client.SyncAPIClient.request" in openai["wrapped"]
    assert told["export", "traces"]["details"] == {
        "protocol": "http/protobuf",
        "endpoint": f"{received.endpoint}/v1/traces",
    }
    assert "takes OTLP" in told["collector", received.endpoint.removeprefix("http://")]["text"]
    assert set(received.bodies) == {b""}, "a doctor must not send telemetry"


def test_a_collector_that_is_not_there_is_told_with_what_to_do(doctor: Any) -> None:
    told = doctor(**HTTP, **FAST, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    finding = told["collector", "127.0.0.1:9"]
    assert (told.code, told.problems) == (1, [("collector", "127.0.0.1:9")])
    assert "Connection refused" in finding["text"]
    assert "otel-llm-cost collector" in finding["advice"]


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """Something that is no HTTP server."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_grpcs_port_asked_in_http_is_told_apart_from_nobody_there(doctor: Any) -> None:
    with listening(b"\x00\x00\x04\x04\x00\x00\x00\x00\x00") as port:
        told = doctor(**HTTP, **FAST, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    assert "does not speak HTTP" in told["collector", f"127.0.0.1:{port}"]["text"]
    assert told.code == 1


def test_grpc_is_reached_by_its_port(doctor: Any) -> None:
    with listening(b"") as port:
        told = doctor(
            **FAST, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}"
        )
    assert (told.code, told["collector", f"127.0.0.1:{port}"]["state"]) == (0, "ok")


WRONG: dict[str, tuple[dict[str, str], dict[tuple[str, str], str]]] = {
    "settings": (
        {
            "OTEL_LLM_COST_STROE": "x",
            "OTEL_LLM_COST_TAGS": "team=search,prod",
            "OTEL_LLM_COST_RECORD": "sometimes",
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_LOGS_EXPORTER": "none",
        },
        {
            ("settings", "OTEL_LLM_COST_STROE"): "OTEL_LLM_COST_STORE",
            ("settings", "OTEL_LLM_COST_TAGS"): "1 of 2",
            ("settings", "configuration"): "OTEL_LLM_COST_",
            ("export", "sampling"): "lost",
        },
    ),
    "config": (
        {"OTEL_LLM_COST_CONFIG": "/nowhere.yaml"},
        {("settings", "configuration"): "/nowhere.yaml"},
    ),
    "dsn and protocol": (
        {"OTEL_LLM_COST_STORE": "mysql://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        {("ledger", "store"): "mysql://", ("export", "traces"): "http/json"},
    ),
    "server": (
        {"OTEL_LLM_COST_STORE": "clickhouse://user:secret@127.0.0.1:9/db"},
        {("ledger", "clickhouse://user:***@127.0.0.1:9/db"): "127.0.0.1:9"},
    ),
}
"""Variables, and what must be told of each problem."""


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_and_exits_1(doctor: Any, received: Received, case: str) -> None:
    variables, problems = WRONG[case]
    told = doctor(**{**HTTP, **FAST, "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, **variables})
    assert told.code == 1
    assert set(problems) <= set(told.problems)
    for key, words in problems.items():
        assert words in told[key]["text"] + told[key]["advice"]
    assert "secret" not in told.output


def test_what_is_off_is_told_with_the_reason_and_is_no_failure(doctor: Any, received: Received) -> None:
    told = doctor(
        **HTTP,
        OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        OTEL_TRACES_EXPORTER="none",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="llm_cost_openai, llm_cost_anthropic",
    )
    off = {key: finding["text"] for key, finding in told.findings.items() if finding["state"] == "off"}
    assert told.code == 0
    assert "OTEL_TRACES_EXPORTER is none" in off["export", "traces"]
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names llm_cost_openai" in off["sdks", "openai"]
    assert any("nothing was written" in text for (area, _), text in off.items() if area == "ledger")


def test_an_sdk_that_is_disabled_as_a_whole_is_told_alone(doctor: Any) -> None:
    told = doctor(**FAST, OTEL_SDK_DISABLED="true")
    assert [name for area, name in told.findings if area in ("export", "collector")] == ["everything"]
    assert told.code == 0


def test_a_person_reads_it_as_text(doctor: Any, received: Received) -> None:
    told = doctor("--format", "text", **HTTP, **FAST, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert told.code == 0
    assert told.output.endswith("\nAll is well.\n")
    assert "export\n  ok       traces: spans by OTLP http/protobuf" in told.output


def test_a_live_collector_and_its_ledger_are_found(doctor: Any, tmp_path: Path) -> None:
    pytest.importorskip("chdb")
    pytest.importorskip("grpc")
    store = f"chdb://{tmp_path}/store/ledger"
    command = [
        COMMAND,
        "collector",
        "--store",
        store,
        "--grpc-port",
        "0",
        "--http-port",
        "0",
        "--ui-port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as collector:
        try:
            assert collector.stdout is not None
            ready = dict(part.split("=") for part in collector.stdout.readline().split()[1:])
            told = doctor(
                **HTTP,
                **FAST,
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{ready['http']}",
                OTEL_LLM_COST_STORE=store,
            )
        finally:
            collector.terminate()
    assert "an otel-llm-cost collector, ok" in told["collector", ready["http"]]["text"]
    assert f"its collector (process {collector.pid})" in told["ledger", store]["text"]
    assert told.code == 0
