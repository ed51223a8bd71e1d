"""Whom to ask: the collector that owns a ledger, or the ledger itself; and what a stale file must not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ledger_store import NOW, a_row
from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.ledger.queries import BadQuery
from otel_llm_cost.sinks import living, open_ledger
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.wire import Result, encode

SPAN = {"since": "2026-11-01T00:00:00Z", "until": NOW}
Answer = tuple[int, bytes]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[[Callable[[str, bytes, Any], Answer]], Path]]:
    """Announces a collector that lives and answers as told; gives the ledger's folder."""
    servers: list[ThreadingHTTPServer] = []
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def start(answer: Callable[[str, bytes, Any], Answer]) -> Path:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, told = answer(self.path, body, self.headers)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        file = living.announce(tmp_path / "ledger", f"http://127.0.0.1:{servers[-1].server_port}", "s3cret")
        told = json.loads(file.read_text())
        file.write_text(json.dumps({**told, "pid": alive.pid}))  # it is not this process that owns the ledger
        return tmp_path / "ledger"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
    alive.communicate(b"\n")


def test_the_collector_that_lives_is_asked_with_its_token(collector: Any) -> None:
    seen: list[Any] = []

    def answer(path: str, body: bytes, headers: Any) -> Answer:
        seen.append((path, json.loads(body), headers["Authorization"]))
        return 200, encode(Result(("team", "calls"), [("search", 3)]))

    with open_ledger(f"chdb://{collector(answer)}") as ledger:
        result = ledger.query("spend_by", {**SPAN, "by": ["team"]})
    assert result.rows == [("search", 3)]
    params = {"since": SPAN["since"], "until": NOW.isoformat(), "by": ["team"]}
    assert seen == [("/v1/query/spend_by", params, "Bearer s3cret")]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b'{"error": "the disk is full"}', "refused: the disk is full"),
        (401, b"", "refused: HTTP status 401"),
        (200, b"<html>", "cannot be read; do both run the same version"),
    ],
)
def test_a_collector_that_says_no_has_answered_and_the_folder_is_not_opened(
    collector: Any, status: int, body: bytes, told: str
) -> None:
    folder = collector(lambda *_: (status, body))
    with open_ledger(f"chdb://{folder}") as ledger, pytest.raises(StoreError, match=told):
        ledger.query("spend_by", SPAN)
    assert not folder.exists()


def test_wrong_parameters_are_refused_before_anyone_is_asked(collector: Any) -> None:
    folder = collector(lambda *_: pytest.fail("asked"))
    with open_ledger(f"chdb://{folder}") as ledger, pytest.raises(BadQuery):
        ledger.query("spend_by", {})


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("stale", ["dead", "reused", "elsewhere", "half", "ours"])
def test_a_stale_file_is_no_collector(tmp_path: Path, stale: str) -> None:
    folder = tmp_path / "ledger"
    told = {"pid": os.getppid(), "url": "http://127.0.0.1:1", "token": "t", "store": str(folder.resolve())}
    told |= {"dead": {"pid": dead_pid()}, "elsewhere": {"store": "/other"}, "ours": {"pid": os.getpid()}}.get(
        stale, {}
    )
    text = json.dumps(told)
    living.file_beside(folder).write_text(text[: len(text) // 2] if stale == "half" else text)
    with open_ledger(f"chdb://{folder}") as ledger:
        assert ledger.query("spend_by", {**SPAN, "by": ["team"]}).rows == []


def test_a_ledger_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    with open_ledger(f"chdb://{tmp_path}/nothing/ledger") as ledger:
        assert ledger.query("spend_by", SPAN).rows == []
        with pytest.raises(BadQuery):
            ledger.query("spend_by", {})
    assert not (tmp_path / "nothing").exists()


def test_without_a_collector_the_folder_is_opened(ledger: ClickHouseSink, ledger_folder: Path) -> None:
    ledger.write([a_row()])
    with open_ledger(f"chdb://{ledger_folder}") as opened:
        assert opened.query("extent").rows == []  # its default database was never migrated
        assert isinstance(opened, ClickHouseSink)


def test_an_announcement_is_for_its_owner_only_and_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ledger"
    file = living.announce(folder, "http://127.0.0.1:4319/", "t")
    assert file == tmp_path / "new" / "collector.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["pid"] == os.getpid()
    living.withdraw(folder)
    assert list(file.parent.iterdir()) == []


def test_another_collectors_announcement_is_not_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    file = living.announce(folder, "http://127.0.0.1:4319", "t")
    file.write_text(file.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {os.getppid()}'))
    living.withdraw(folder)
    assert file.exists()
