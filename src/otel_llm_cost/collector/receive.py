"""What happens to an OTLP request whatever it came over: unpack, sift, keep, and the answer as a verdict."""

from __future__ import annotations

import asyncio
import logging
import zlib
from enum import Enum
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.intake import Intake
from otel_llm_cost.collector.otlp_json import Malformed, to_protobuf
from otel_llm_cost.collector.sift import Sifted, Signal, sift
from otel_llm_cost.collector.spool import SpoolFull
from otel_llm_cost.core.errors import StoreError

log = logging.getLogger("otel_llm_cost.collector")

BIG = 1 << 20
"""Bodies above this are worked on in a thread, so that other clients' requests go on meanwhile."""
RETRY_SECONDS = 5

METRICS = "metrics"
SIGNALS: dict[str, Signal | str] = {"traces": Signal.TRACES, "logs": Signal.LOGS, "metrics": METRICS}
"""Metrics are taken, since an app whose metrics are refused logs errors; they are not booked: what they count
is counted from spans and records already."""
_MESSAGES: dict[Signal | str, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    METRICS: ExportMetricsServiceRequest,
}


class Outcome(Enum):
    """How a request ended, as (HTTP status, gRPC status name)."""

    KEPT = (200, "OK")
    MALFORMED = (400, "INVALID_ARGUMENT")
    TOO_LARGE = (413, "INVALID_ARGUMENT")
    FULL = (429, "RESOURCE_EXHAUSTED")
    FAULT = (503, "UNAVAILABLE")


class Verdict(NamedTuple):
    """The outcome, and a sentence for the client where it is not good."""

    outcome: Outcome
    message: str = ""


class TooLarge(Exception):  # noqa: N818 - said of a request
    """The request is larger than it may be, before or after decompression."""


class Receiver:
    """Takes OTLP requests in; shared by the servers."""

    def __init__(self, intake: Intake, counters: Counters, max_bytes: int) -> None:
        self.intake = intake
        self.counters = counters
        self.max_bytes = max_bytes

    async def receive(
        self, signal: Signal | str, body: bytes, *, encoding: str = "", is_json: bool = False
    ) -> Verdict:
        """Take one request. Answers KEPT only when it is durable or holds nothing to keep."""
        try:
            if len(body) > BIG or encoding:
                sifted = await asyncio.to_thread(self._sift, signal, body, encoding, is_json)
            else:
                sifted = self._sift(signal, body, encoding, is_json)
            self.counters.requests += 1
            if sifted is None:
                return _KEPT
            self.counters.received += sifted.seen
            if not sifted.items:
                return _KEPT
            self.counters.kept += sifted.items
            if not await self.intake.keep(sifted):
                self.counters.resent += sifted.items
            return _KEPT
        except Malformed as error:
            return self._refuse(Outcome.MALFORMED, str(error))
        except TooLarge as error:
            return self._refuse(Outcome.TOO_LARGE, str(error))
        except SpoolFull as error:
            return self._refuse(Outcome.FULL, str(error))
        except StoreError as error:
            return self._refuse(Outcome.FAULT, str(error))
        except Exception:
            # Exporters drop a batch on 500 and keep it on 503: a fault of ours must not lose their data.
            log.exception("a request could not be taken")
            return self._refuse(Outcome.FAULT, "the collector has a fault; see its log")

    def _sift(self, signal: Signal | str, body: bytes, encoding: str, is_json: bool) -> Sifted | None:
        if encoding:
            body = inflate(body, encoding, self.max_bytes)
        if signal == METRICS:
            return None
        if is_json:
            body = to_protobuf(body, _MESSAGES[signal])
        assert isinstance(signal, Signal)
        return sift(signal, body)

    def _refuse(self, outcome: Outcome, message: str) -> Verdict:
        self.counters.refused[outcome.name.lower()] = self.counters.refused.get(outcome.name.lower(), 0) + 1
        return Verdict(outcome, message)


_KEPT = Verdict(Outcome.KEPT)
_WINDOW = {"gzip": 31, "deflate": 15}


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The decompressed body. Raises Malformed for what is not in that encoding, TooLarge for a bomb."""
    window = _WINDOW.get(encoding)
    if window is None:
        raise Malformed(f"content encoding {encoding} is not known; send gzip, deflate or none")
    pieces: list[bytes] = []
    room = max_bytes
    rest = body
    try:
        while rest:  # gzip may hold several members
            inflater = zlib.decompressobj(window)
            piece = inflater.decompress(rest, room + 1)
            room -= len(piece)
            if room < 0:
                raise TooLarge(f"larger than {max_bytes} bytes after decompression")
            if not inflater.eof:
                raise Malformed(f"the {encoding} stream is cut short")
            pieces.append(piece)
            rest = inflater.unused_data
    except zlib.error:
        raise Malformed(f"not valid {encoding}") from None
    return b"".join(pieces)
