"""ClickHouse's HTTP protocol in front of chDB: a test stand-in, not a ClickHouse server.

It lets an unmodified clickhouse_connect client talk over a socket to the same engine. What it lacks: native
TCP, users beyond one name and password, quotas, replication, external data, progress, streamed responses;
KILL QUERY finds nothing, since one statement runs at a time. `POST /test/fault` makes it misbehave.

Run it as `python tests/clickhouse_server.py FOLDER USER PASSWORD`; it prints its port. `running()` does that.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

_TRANSPORT = {
    *("query", "database", "query_id", "session_id", "compress", "enable_http_compression", "buffer_size"),
    *("wait_end_of_query", "client_protocol_version", "send_progress_in_http_headers", "role"),
    *("http_headers_progress_interval_ms", "default_format", "user", "password"),
}
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL)


class _Engine:
    """The one chDB handle; one statement at a time."""

    def __init__(self, folder: str) -> None:
        import chdb

        self._handle = chdb.connect(folder)
        self._lock = threading.Lock()

    def run(self, body: bytes, fields: dict[str, str]) -> bytes:
        parameters = {key[6:]: text for key, text in fields.items() if key.startswith("param_")}
        settings = {k: v for k, v in fields.items() if k not in _TRANSPORT and not k.startswith("param_")}
        with self._lock:
            self._handle.query(f"USE `{fields.get('database') or 'default'}`", "TabSeparated")
            for name, text in settings.items():
                self._handle.query(f"SET {name} = '{text}'", "TabSeparated")
            try:
                return self._run(body, parameters)
            finally:
                for name in settings:
                    self._handle.query(f"SET {name} = DEFAULT", "TabSeparated")

    def _run(self, body: bytes, parameters: dict[str, str]) -> bytes:
        if not (match := _INSERT.match(body)):
            answer = self._handle.query(body.decode(), "TabSeparated", params=parameters)
            return bytes(answer.bytes() or b"")
        statement, form = match[1].decode(), match[2].decode()
        with tempfile.NamedTemporaryFile() as file:
            file.write(body[match.end() :])
            file.flush()
            self._handle.query(f"{statement} FROM INFILE '{file.name}' FORMAT {form}", "TabSeparated")
        return b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    engine: _Engine
    user = password = ""
    faults: ClassVar[dict[str, int]] = {}
    """refuse: answer the next n requests with 503. lose: carry out the next n inserts, then hang up."""

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self._statement(b"")

    def do_POST(self) -> None:
        body = self._body()
        if urlsplit(self.path).path == "/test/fault":
            self.faults.update(json.loads(body))
            self._answer(200, b"")
        else:
            self._statement(body)

    def _statement(self, body: bytes) -> None:
        fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self._takes("refuse"):
            return self._answer(503, b"Code: 210. DB::Exception: told to refuse. (NETWORK_ERROR)", code=210)
        if not self._is_user():
            return self._answer(
                403,
                b"Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)",
                code=516,
            )
        if query := fields.get("query"):
            body = query.encode() + (b"\n" + body if body else b"")
        try:
            answer = self.engine.run(body, fields)
        except Exception as error:  # noqa: BLE001 - a server answers with whatever went wrong
            text = str(error)
            found = re.search(r"Code: (\d+)", text)
            return self._answer(500, text.encode(), code=int(found[1]) if found else 1002)
        if _INSERT.match(body) and self._takes("lose"):
            self.close_connection = True
            self.connection.close()
            return None
        form = re.search(rb"\bFORMAT\s+(\w+)\s*;?\s*$", body, re.IGNORECASE)
        return self._answer(200, answer, form=form[1].decode() if form else "TabSeparated" if answer else "")

    def _takes(self, fault: str) -> bool:
        left = self.faults.get(fault, 0)
        self.faults[fault] = max(0, left - 1)
        return left > 0

    def _is_user(self) -> bool:
        told = self.headers.get("Authorization", "")
        wanted = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return told == f"Basic {wanted}" or self.headers.get("X-ClickHouse-Key") == self.password

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return _decompress(body, self.headers.get("Content-Encoding", ""))

    def _answer(self, status: int, body: bytes, *, code: int = 0, form: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if form:
            self.send_header("X-ClickHouse-Format", form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)


def _decompress(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        from backports import zstd

        return zstd.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        parts = []
        while body:  # the client sends one frame per block
            decompressor = lz4.frame.LZ4FrameDecompressor()
            parts.append(decompressor.decompress(body))
            body = decompressor.unused_data or b""
        return b"".join(parts)
    return body


def _main(folder: str, user: str, password: str) -> None:
    _Handler.engine = _Engine(folder)
    _Handler.user, _Handler.password = user, password
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)  # noqa: T201 - its output is the port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # ends with whoever started us
    os._exit(0)


@dataclass(frozen=True)
class ClickHouseStandIn:
    """A running stand-in."""

    port: int
    process: subprocess.Popen[str]
    user: str = "writer"
    password: str = "s3cret-pass"

    def dsn(self, database: str = "default", password: str | None = None) -> str:
        """Where it is, for the product."""
        return f"clickhouse://{self.user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def fault(self, **faults: int) -> None:
        """Make it misbehave: `refuse=n`, `lose=n`."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/test/fault", json.dumps(faults).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


@contextmanager
def running(folder: Path) -> Iterator[ClickHouseStandIn]:
    """A stand-in over a fresh folder, in a process of its own: a process can have only one chDB folder."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), ClickHouseStandIn.user, ClickHouseStandIn.password],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            yield ClickHouseStandIn(int(process.stdout.readline()), process)
        finally:
            process.stdin.close()
            process.wait(timeout=30)


if __name__ == "__main__":
    _main(*sys.argv[1:])
