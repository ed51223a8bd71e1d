"""One connection to the provider: reads a request, does what the script says, writes the answer."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import time
import zlib
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from . import anthropic_messages, compatible, openai_chat, openai_responses, openai_wire
from .anthropic_wire import AnthropicWire
from .bill import Line
from .openai_wire import OpenAIWire
from .reply import Endpoint, Event, Refusal, Wire
from .script import Step
from .seen import Seen

if TYPE_CHECKING:
    from .server import Server

_OPENAI: Wire = OpenAIWire()
_ANTHROPIC: Wire = AnthropicWire()
ENDPOINTS: dict[tuple[str, str], tuple[Wire, Endpoint]] = {
    ("POST", "/v1/chat/completions"): (_OPENAI, openai_chat.chat),
    ("POST", "/v1/completions"): (_OPENAI, openai_chat.completions),
    ("POST", "/v1/responses"): (_OPENAI, openai_responses.responses),
    ("POST", "/v1/responses/input_tokens"): (_OPENAI, openai_responses.input_tokens),
    ("POST", "/v1/embeddings"): (_OPENAI, openai_wire.embeddings),
    ("POST", "/v1/moderations"): (_OPENAI, openai_wire.moderations),
    ("GET", "/v1/models"): (_OPENAI, openai_wire.models),
    ("POST", "/v1/messages"): (_ANTHROPIC, anthropic_messages.messages),
    ("POST", "/v1/messages/count_tokens"): (_ANTHROPIC, anthropic_messages.count_tokens),
    **compatible.ENDPOINTS,
}
WRONG_KEY = "wrong-key"
"""The one API key that is refused."""
_RETRYABLE = frozenset({408, 409, 429, 500, 503, 529})
_SAYS = {
    400: "Invalid request.",
    401: "Incorrect API key provided.",
    403: "Not allowed.",
    404: "Not found.",
    429: "Rate limit reached; please try again later.",
    529: "Overloaded",
}
_REASONS = {529: "Overloaded"}


class _Gone(ConnectionError):  # noqa: N818 - the client
    """The client closed its side."""


class Connection(BaseHTTPRequestHandler):
    """http.server calls `do_POST` and `do_GET` for each request of a kept-alive connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Server

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet: what came in is in `Provider.requests`."""

    def _serve(self) -> None:
        provider = self.server.provider
        path = self.path.partition("?")[0]
        wire, endpoint = ENDPOINTS.get((self.command, path), (_wire_of(path), None))
        headers = {name.lower(): value for name, value in self.headers.items()}
        raw = self.rfile.read(int(headers.get("content-length", 0)))
        seen = Seen(self.command, self.path, headers, _parsed(raw), wire.new_request_id())
        provider.requests.append(seen)
        step = provider.steps.next(seen.model, headers)
        try:
            self._silence(step.hang)
            if step.dies:
                raise _Gone
            if wire.key(headers) in ("", WRONG_KEY):
                raise Refusal(401, "Incorrect API key provided.")
            if step.status != 200:
                raise Refusal(step.status, _SAYS.get(step.status, "The server had an error."))
            if endpoint is None:
                raise Refusal(404, f"Unknown request URL: {self.command} {self.path}.", "unknown_url")
            if self.command == "POST" and not seen.body:
                raise Refusal(400, "We could not parse the JSON body of your request.")
            reply = endpoint(seen.body, step, provider.cache)
        except Refusal as refusal:
            self._refuse(refusal, step, wire, seen)
            return
        except _Gone:
            self._drop()
            return
        seen.response_id = reply.response_id
        seen.line = reply.charge(wire.provider, seen.request_id)
        if seen.line is not None:
            provider.bill.add(seen.line)
        try:
            if reply.events is None:
                self._whole(json.dumps(reply.body).encode(), step, wire, seen)
            else:
                self._stream(reply.events, step, wire, seen)
        except OSError:
            self._drop()

    def _refuse(self, refusal: Refusal, step: Step, wire: Wire, seen: Seen) -> None:
        retry = {}
        if refusal.status in _RETRYABLE:
            retry["retry-after-ms"] = str(round(step.retry_after * 1000, 3))
            retry["retry-after"] = str(max(1, round(step.retry_after)))
        if step.should_retry:
            retry["x-should-retry"] = step.should_retry
        body = json.dumps(wire.error(refusal, seen.request_id)).encode()
        with contextlib.suppress(OSError):
            self._head(refusal.status, wire, seen, step, retry | {"content-length": str(len(body))})
            self.wfile.write(body)
            self.wfile.flush()
            seen.finished = True

    def _whole(self, body: bytes, step: Step, wire: Wire, seen: Seen) -> None:
        # On the bill before the last byte is out: a client that has its answer can ask for the bill.
        extra = {"content-type": "application/json"}
        if step.gzip:
            body = gzip.compress(body)
            extra["content-encoding"] = "gzip"
        if seen.line is not None:
            seen.line.complete = True
        seen.finished = True
        self._head(200, wire, seen, step, extra | {"content-length": str(len(body))})
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, events: Sequence[Event], step: Step, wire: Wire, seen: Seen) -> None:
        extra = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        packer = zlib.compressobj(wbits=31) if step.gzip else None
        if packer is not None:
            extra["content-encoding"] = "gzip"
        self._head(200, wire, seen, step, extra)
        for number, event in enumerate(events):
            if number == step.die_after:
                raise _Gone
            if number == step.fail_after:
                self._chunk(wire.error_event(seen.request_id), packer)
                break
            if number:
                self._silence(step.delay)
            if seen.line is not None:
                _charge(seen.line, event)
            self._chunk(event.data, packer)
        else:
            seen.finished = True
        if packer is not None:
            rest = packer.flush()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(rest), rest))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, data: bytes, packer: Any) -> None:
        if packer is not None:
            data = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _head(self, status: int, wire: Wire, seen: Seen, step: Step, extra: dict[str, str]) -> None:
        seen.status = status
        self.send_response(status, _REASONS.get(status))
        headers = {"content-type": "application/json"} | wire.headers(seen.request_id) | extra
        for name, value in (headers | dict(step.headers)).items():
            self.send_header(name, value)
        self.end_headers()

    def _silence(self, seconds: float) -> None:
        """Wait, but not for a client that has gone. Raises _Gone."""
        until = time.monotonic() + seconds
        while True:
            readable, _, _ = select.select([self.connection], [], [], max(0.0, until - time.monotonic()))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise _Gone
            if readable or time.monotonic() >= until:
                return

    def _drop(self) -> None:
        """End the connection without an end of the answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _charge(line: Line, event: Event) -> None:
    line.quantities = line.quantities.with_({"output": event.generated})
    line.complete = line.complete or event.final


def _wire_of(path: str) -> Wire:
    return _ANTHROPIC if path.startswith("/v1/messages") else _OPENAI


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
