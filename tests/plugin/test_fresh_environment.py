"""A fresh environment with our wheel, an SDK and an app; one command, no variable set, the default port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from .conftest import APP, COST, App, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PORT = 4318


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with nothing in it but our wheel and openai."""
    folder = tmp_path_factory.mktemp("fresh")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
    )
    (wheel,) = folder.glob("otel_llm_cost-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    installed = subprocess.run(
        [str(python), *pip[1:], "install", str(wheel), "openai"], capture_output=True, text=True
    )
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.strip().splitlines()[-1]}")
    return str(python)


def test_one_command_and_one_span_with_its_cost_arrives(app: App, python: str) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"port {PORT}, where a collector listens by default, is taken")
    with receiving(PORT) as received:
        done = app.run(python=python)
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)
    (span,) = received.spans
    assert (span["name"], span["llm_cost.cost.exact"]) == ("chat gpt-4o-mini", COST)
    assert not any(b"secret prompt" in body for body in received.bodies)


def test_without_a_collector_the_app_does_the_same(app: App, python: str) -> None:
    started = time.monotonic()
    done = app.run(python=python, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", timeout=120)
    assert (done.stdout, done.returncode) == ("hello\n", 0)
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 60


def test_an_endpoint_on_grpcs_port_is_reached_over_http(app: App, python: str) -> None:
    code = "import os; print(os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'])"
    done = app.run(
        code, python=python, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317", OTEL_METRICS_EXPORTER="none"
    )
    assert done.stdout == "http://127.0.0.1:4318\n"
    assert "names gRPC's port 4317" in done.stderr


def test_an_app_without_any_sdk_starts_as_before(app: App, python: str) -> None:
    done = app.run("print('hello')", python=python, OTEL_METRICS_EXPORTER="none")
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)


def test_the_environment_holds_what_it_should_and_no_more(python: str) -> None:
    code = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    installed = set(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "otel-llm-cost" in installed
    assert not {name for name in installed if name.startswith(("grpc", "chdb", "clickhouse", "starlette"))}
    assert APP.count("otel") == 0
