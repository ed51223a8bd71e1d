"""An OTLP receiver and a provider to run whole apps against, both on free ports of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}
COST = "0.00021"
"""1,000 × 0.15 $/M + 100 × 0.60 $/M (openai.com/api/pricing, 2026-11-24)."""

APP = """\
from openai import OpenAI
answer = OpenAI(max_retries=1).chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "a secret prompt"}]
)
print(answer.choices[0].message.content)
"""
"""An app with no line of ours in it."""


@dataclass
class Received:
    """What came: attributes by span and by record, names of metrics, and each body as it came."""

    endpoint: str = ""
    spans: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        _TAKE[path](self, body)


def _plain(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def _take_spans(received: Received, body: bytes) -> None:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            received.spans += [{"name": span.name, **_plain(span.attributes)} for span in scope.spans]


def _take_records(received: Received, body: bytes) -> None:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                ids = {"trace_id": record.trace_id.hex(), "span_id": record.span_id.hex()}
                times = {"time": record.time_unix_nano, "observed": record.observed_time_unix_nano}
                service = _plain(resource.resource.attributes).get("service.name")
                received.records.append(
                    {
                        "event": record.event_name,
                        "service": service,
                        **ids,
                        **times,
                        **_plain(record.attributes),
                    }
                )


def _take_metrics(received: Received, body: bytes) -> None:
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            received.metrics += [metric.name for metric in scope.metrics]


_TAKE: Mapping[str, Callable[[Received, bytes], None]] = {
    "/v1/traces": _take_spans,
    "/v1/logs": _take_records,
    "/v1/metrics": _take_metrics,
}


@contextmanager
def serving(
    post: Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]], port: int = 0
) -> Iterator[str]:
    """An HTTP server that answers a POST of (path, headers, body) with (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = post(
                self.path, {name.lower(): text for name, text in self.headers.items()}, body
            )
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def receiving(port: int = 0) -> Iterator[Received]:
    """An OTLP/HTTP receiver."""
    received = Received()

    def post(path: str, _: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        received.take(path, body)
        return 200, b""

    with serving(post, port) as url:
        received.endpoint = url
        yield received


@pytest.fixture
def received() -> Iterator[Received]:
    with receiving() as one:
        yield one


@dataclass
class Provider:
    """An OpenAI of one answer. failures: statuses to answer first. headers: of each request that came."""

    url: str = ""
    failures: list[int] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


@pytest.fixture
def provider() -> Iterator[Provider]:
    one = Provider()

    def post(_: str, headers: Mapping[str, str], __: bytes) -> tuple[int, bytes]:
        one.headers.append(headers)
        if one.failures:
            return one.failures.pop(0), b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
        return 200, json.dumps(ANSWER).encode()

    with serving(post) as url:
        one.url = f"{url}/v1"
        yield one


@dataclass(frozen=True)
class App:
    """Runs an app as its user would, from a folder of its own."""

    folder: Path
    provider: Provider

    def run(
        self,
        code: str = APP,
        *flags: str,
        python: str = sys.executable,
        instrumented: bool = True,
        timeout: float = 60,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        file = self.folder / "app.py"
        file.write_text(code, encoding="utf-8")
        beside = Path(python).parent
        command = [str(beside / "opentelemetry-instrument"), *flags] if instrumented else []
        environment = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("OTEL_", "OPENAI_", "PYTHONPATH"))
        }
        environment |= {
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "OPENAI_API_KEY": "a-key",
            "OPENAI_BASE_URL": self.provider.url,
            **variables,
        }
        return subprocess.run(
            [*command, python, str(file)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@pytest.fixture
def app(tmp_path: Path, provider: Provider) -> App:
    return App(tmp_path, provider)
