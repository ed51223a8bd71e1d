"""The protocol is one that is installed, and the user's choice always stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm_cost import environment_variables as ours


@pytest.fixture
def _no_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "has_grpc_exporter", lambda: False)


@pytest.mark.usefixtures("_no_grpc")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"PROTOCOL": "http/protobuf"}),
        ({"PROTOCOL": " "}, {"PROTOCOL": "http/protobuf"}),
        ({"PROTOCOL": "grpc"}, {"PROTOCOL": "grpc"}),
        ({"TRACES_PROTOCOL": "grpc"}, {"TRACES_PROTOCOL": "grpc", "PROTOCOL": "http/protobuf"}),
        (
            {"ENDPOINT": "http://collector:4318"},
            {"ENDPOINT": "http://collector:4318", "PROTOCOL": "http/protobuf"},
        ),
        (
            {"ENDPOINT": "http://collector:4317/"},
            {"ENDPOINT": "http://collector:4318/", "PROTOCOL": "http/protobuf"},
        ),
        (
            {"ENDPOINT": "http://collector:4317", "PROTOCOL": "http/protobuf"},
            {"ENDPOINT": "http://collector:4317", "PROTOCOL": "http/protobuf"},
        ),
        (
            {"ENDPOINT": "http://collector/4317"},
            {"ENDPOINT": "http://collector/4317", "PROTOCOL": "http/protobuf"},
        ),
    ],
)
def test_http_is_chosen_where_grpc_cannot_be(
    before: dict[str, str], after: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    environ = {f"OTEL_EXPORTER_OTLP_{name}": text for name, text in before.items()}
    ours.choose_protocol(environ)
    assert environ == {f"OTEL_EXPORTER_OTLP_{name}": text for name, text in after.items()}
    assert bool(caplog.messages) == (before.get("ENDPOINT") != after.get("ENDPOINT"))


def test_nothing_is_chosen_where_the_grpc_exporter_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "has_grpc_exporter", lambda: True)
    environ: dict[str, str] = {}
    ours.choose_protocol(environ)
    assert environ == {}


def test_our_settings_are_flags_and_no_flag_is_there_twice() -> None:
    command = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    done = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("tags", "mode", "record", "metric_tags", "baggage_keys", "self_hosted"):
        assert f"--llm_cost_{name} " in done.stdout


def test_every_flag_is_a_variable_of_its_own_name() -> None:
    flags = {name: getattr(ours, name) for name in dir(ours) if name.startswith("OTEL_")}
    assert flags
    assert all(name == text for name, text in flags.items())
