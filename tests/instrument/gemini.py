"""A local Gemini: generateContent, its SSE stream and embeddings, as the Gemini API and Vertex send them."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

MODEL = "gemini-2.5-flash"
USAGE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 200,
    "candidatesTokenCount": 90,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 1100,
}
USD = "0.000496"
"""By hand, at 0.30 in, 0.03 cached, 2.50 out per million: 800 x 0.30 + 200 x 0.03 + 100 x 2.50 = 496 µ$."""


def body(text: str = "hello", **more: Any) -> dict[str, Any]:
    """A whole answer."""
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": MODEL,
        "responseId": "g1",
    } | more


def call_of(name: str) -> dict[str, Any]:
    """An answer that wants a function called."""
    part = {"functionCall": {"name": name, "args": {"city": "Paris"}}}
    return body(candidates=[{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}])


class Gemini:
    """requests: path and body of every attempt. answers: what the next ones get (a body, or a status).

    delay: seconds between the chunks of a stream. cut: drop the connection after so many chunks.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: deque[Any] = deque()
        self.delay = 0.0
        self.cut = -1
        self.chunks = 4


@contextmanager
def serving() -> Iterator[Gemini]:
    """A Gemini on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            gemini.requests.append((self.path, asked))
            answer = gemini.answers.popleft() if gemini.answers else body()
            if isinstance(answer, int):
                status = {429: "RESOURCE_EXHAUSTED", 400: "INVALID_ARGUMENT"}.get(answer, "INTERNAL")
                self._send(answer, {"error": {"code": answer, "message": "no", "status": status}})
            elif ":streamGenerateContent" in self.path:
                self._stream(answer)
            else:
                self._send(200, answer)

        def _send(self, status: int, answer: Any) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, answer: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                for number in range(gemini.chunks):
                    if number == gemini.cut:
                        self.close_connection = True
                        return
                    self._event(part_of(answer, number, gemini.chunks))
                    time.sleep(gemini.delay)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        def _event(self, value: Any) -> None:
            data = f"data: {json.dumps(value)}\r\n\r\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gemini = Gemini(server.server_address[1])
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield gemini
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def part_of(answer: dict[str, Any], number: int, of: int) -> dict[str, Any]:
    """One chunk: running totals, and the reason to stop in the last one only."""
    last = number == of - 1
    if of == 1:
        return answer
    usage = dict(answer["usageMetadata"])
    if not last:
        usage["candidatesTokenCount"] = usage["candidatesTokenCount"] * (number + 1) // of
    if number == 0:
        del usage["candidatesTokenCount"]
    candidate = {"content": {"role": "model", "parts": [{"text": f"word {number} "}]}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return answer | {"candidates": [candidate], "usageMetadata": usage}
