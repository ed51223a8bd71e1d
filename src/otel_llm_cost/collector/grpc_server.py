"""OTLP over gRPC, without generated stubs: the handler gets the request's bytes and never builds a message.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from otel_llm_cost.collector.listen import listen, refusal
from otel_llm_cost.collector.receive import RETRY_SECONDS, SIGNALS, Outcome, Receiver, Verdict
from otel_llm_cost.core.errors import StoreError

_PACKAGE = "/opentelemetry.proto.collector"
_METHODS = {
    f"{_PACKAGE}.trace.v1.TraceService/Export": "traces",
    f"{_PACKAGE}.logs.v1.LogsService/Export": "logs",
    f"{_PACKAGE}.metrics.v1.MetricsService/Export": "metrics",
}


class OtlpHandler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The three Export methods, as bytes in and bytes out."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def service(self, handler_call_details: Any) -> Any:
        """The method that was called, None for any other."""
        signal = _METHODS.get(handler_call_details.method)
        if signal is None:
            return None

        async def export(body: bytes, context: Any) -> bytes:
            verdict = await self._receiver.receive(SIGNALS[signal], body)
            if verdict.outcome is not Outcome.KEPT:
                await _abort(context, verdict)
            return b""  # an empty Export…Response: full success

        return grpc.unary_unary_rpc_method_handler(export)


async def _abort(context: Any, verdict: Verdict) -> None:
    """End the call with the status. A client retries RESOURCE_EXHAUSTED only when told after how long."""
    code = getattr(grpc.StatusCode, verdict.outcome.value[1])
    if verdict.outcome is Outcome.FULL:
        status = status_pb2.Status(code=code.value[0], message=verdict.message)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, verdict.message)


async def start_grpc(receiver: Receiver, host: str, port: int, max_bytes: int) -> tuple[Any, int]:
    """A running server and its port. Raises StoreError when the port cannot be had."""
    if port:
        listen("grpc", host, port).close()  # gRPC says less, and on standard error
    server = grpc.aio.server(
        handlers=(OtlpHandler(receiver),),
        options=(
            ("grpc.max_receive_message_length", max_bytes),
            # Without this two collectors on one port would each get half of the data, and no error.
            ("grpc.so_reuseport", 0),
        ),
    )
    try:
        bound = server.add_insecure_port(f"{_bracketed(host)}:{port}")
    except RuntimeError as error:
        raise StoreError(refusal("grpc", host, port, error)) from None
    await server.start()
    return server, bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
