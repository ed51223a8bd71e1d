"""Where telemetry goes: exporter, protocol and endpoint of each signal, and whether somebody is there."""

from __future__ import annotations

import http.client
import importlib.util
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from otel_llm_cost import records
from otel_llm_cost.cli.doctor.finding import Environ, Finding, State

AREA = "export"
SIGNALS: Final = {"traces": "spans", "logs": "records of calls that no span tells", "metrics": "metrics"}
"""Signal → what of ours it carries."""
MODULES: Final = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
}
PORTS: Final = {"grpc": 4317, "http/protobuf": 4318}
TIMEOUT_S = 3.0
ALL_SAMPLED = ("", "always_on", "parentbased_always_on")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one signal goes."""

    protocol: str
    url: str

    @property
    def place(self) -> str:
        """Host and port."""
        parts = urlsplit(self.url if "://" in self.url else f"//{self.url}")
        return f"{parts.hostname}:{parts.port or PORTS.get(self.protocol, 443)}"


def look(environ: Environ) -> Iterator[Finding]:
    """One finding per signal, then one per place that they go to."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Finding(AREA, "everything", "off", "OTEL_SDK_DISABLED is true, so nothing is measured or sent")
        return
    destinations: dict[str, Destination] = {}
    for signal in SIGNALS:
        finding, destination = _route(signal, environ)
        yield finding
        if destination is not None:
            destinations.setdefault(destination.place, destination)
    yield from _records(environ)
    for destination in destinations.values():
        yield _reach(destination, environ)


def _setting(environ: Environ, signal: str, name: str) -> str:
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _route(signal: str, environ: Environ) -> tuple[Finding, Destination | None]:
    name = f"OTEL_{signal.upper()}_EXPORTER"
    exporter = environ.get(name, "").strip() or "otlp"
    told = partial(Finding, AREA, signal)
    if exporter == "none":
        return told("off", f"{name} is none, so {SIGNALS[signal]} go nowhere"), None
    if not exporter.startswith("otlp"):
        return told("note", f"by {exporter} ({name})"), None
    protocol = {"otlp_proto_grpc": "grpc", "otlp_proto_http": "http/protobuf"}.get(exporter)
    protocol = protocol or _setting(environ, signal, "PROTOCOL") or "grpc"
    if protocol not in MODULES:
        return told("problem", f"OTLP has no protocol {protocol!r} here", "use http/protobuf or grpc"), None
    if not _is_there(MODULES[protocol]):
        return told(
            "problem",
            f"the OTLP exporter for {protocol} is not installed, so OpenTelemetry does not start at all",
            "unset OTEL_EXPORTER_OTLP_PROTOCOL, or set it to http/protobuf",
        ), None
    destination = Destination(protocol, _url(signal, protocol, environ))
    return told(
        "ok",
        f"{SIGNALS[signal]} by OTLP {protocol} to {destination.url}",
        details={"protocol": protocol, "endpoint": destination.url},
    ), destination


def _url(signal: str, protocol: str, environ: Environ) -> str:
    if own := environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip():
        return own
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or f"http://localhost:{PORTS[protocol]}"
    return base if protocol == "grpc" else f"{base.rstrip('/')}/v1/{signal}"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _records(environ: Environ) -> Iterator[Finding]:
    yield Finding(
        AREA,
        "records",
        "ok",
        f"an app that sets up no LoggerProvider sends them by our own exporter, OTLP {records.protocol()}",
    )
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if sampler in ALL_SAMPLED:
        return
    if environ.get("OTEL_LOGS_EXPORTER", "").strip() == "none":
        yield Finding(
            AREA,
            "sampling",
            "problem",
            f"the sampler is {sampler} and logs are not exported, so calls that are not sampled are lost",
            "let OTEL_LOGS_EXPORTER be otlp: they leave as log records",
        )
    else:
        yield Finding(
            AREA, "sampling", "ok", f"the sampler is {sampler}; what it drops leaves as log records"
        )


def _reach(destination: Destination, environ: Environ) -> Finding:
    ask = {"grpc": _reach_port, "http/protobuf": _reach_http}[destination.protocol]
    state, text = ask(destination, environ)
    advice = "start `otel-llm-cost collector`, or set OTEL_EXPORTER_OTLP_ENDPOINT to where one runs"
    return Finding("collector", destination.place, state, text, advice if state == "problem" else "")


def _reach_port(destination: Destination, _environ: Environ) -> tuple[State, str]:
    host, _, port = destination.place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), TIMEOUT_S).close()
    except OSError as error:
        return "problem", f"nobody takes gRPC there: {_why(error)}"
    return "ok", "something listens there (gRPC is not spoken to further)"


def _reach_http(destination: Destination, environ: Environ) -> tuple[State, str]:
    """An empty request: a receiver takes it and has nothing to do."""
    headers: Mapping[str, str] = {**_headers(environ), "Content-Type": "application/x-protobuf"}
    try:
        status = _post(destination.url, headers)
    except urllib.error.HTTPError as error:
        return "problem", f"answers an OTLP request with HTTP status {error.code}"
    except (http.client.HTTPException, ConnectionResetError):
        return (
            "problem",
            "something listens there that does not speak HTTP (4317 is gRPC's port, 4318 HTTP's)",
        )
    except (OSError, ValueError) as error:
        return "problem", f"nobody takes OTLP there: {_why(error)}"
    return "ok", f"takes OTLP (HTTP status {status}); it is {_who(destination.url)}"


def _post(url: str, headers: Mapping[str, str]) -> int:
    request = urllib.request.Request(url, b"", dict(headers), method="POST")  # noqa: S310 - the user's own endpoint
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
        return int(response.status)


def _headers(environ: Environ) -> Mapping[str, str]:
    return parse_env_headers(environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True)


def _who(url: str) -> str:
    parts = urlsplit(url)
    try:
        health = f"{parts.scheme}://{parts.netloc}/healthz"
        with urllib.request.urlopen(health, timeout=TIMEOUT_S) as response:  # noqa: S310
            answer = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return "another OTLP receiver; send it on to `otel-llm-cost collector` to have a ledger"
    status = answer.get("status") if isinstance(answer, dict) else None
    return f"an otel-llm-cost collector, {status}" if status else "another OTLP receiver"


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason) or type(error).__name__
