"""A collector in a process of its own, for tests: started, asked, stopped by its own pid."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

READY = re.compile(r"ready grpc=(\S+) http=(\S+) ui=(\S+)\n")
COMMAND = (sys.executable, "-m", "otel_llm_cost.cli")


class Collector:
    """A running collector. Its store is `folder/ledger`."""

    def __init__(self, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.store = f"chdb://{folder}/ledger"
        store = () if "--store" in arguments else ("--store", self.store)
        ports = ("--grpc-port", "0", "--http-port", "0", "--ui-port", "0")
        self.process = start(*store, *ports, *arguments, environ=environ)
        assert self.process.stdout
        line = self.process.stdout.readline()
        match = READY.fullmatch(line)
        if match is None:
            raise RuntimeError(f"did not start: {line!r} {self.process.communicate(timeout=30)[1]}")
        self.grpc, self.http, self.ui = match.groups()
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line)

    def query(self, name: str, **params: Any) -> list[dict[str, Any]]:
        """Ask the named query as the command line does, money as text."""
        token = json.loads((self.folder / "collector.json").read_text())["token"]
        status, body = post(
            f"http://{self.ui}/v1/query/{name}",
            json.dumps(params).encode(),
            {"authorization": f"Bearer {token}"},
        )
        assert status == 200, body
        answer = json.loads(body)
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    def spend(self, *by: str, team: str | None = None) -> list[dict[str, Any]]:
        """Spend by keys over all time, of one team when asked for."""
        self.settle()
        filters = {} if team is None else {"team": [team]}
        return self.query("spend_by", since="2020-01-01", until="2100-01-01", by=list(by), filters=filters)

    def rows(self, team: str) -> list[dict[str, Any]]:
        """Every row of a team, oldest first, with all columns."""
        self.settle()
        listed = self.query(
            "calls", since="2020-01-01", until="2100-01-01", filters={"team": [team]}, limit=1000
        )
        found = {}
        for call_id in {row["call_id"] for row in listed}:
            for row in self.query("call_by_id", call_id=call_id):
                found[row["batch_id"], row["row_no"]] = row
        return [found[key] for key in sorted(found, key=lambda key: (int(key[0].rpartition("-")[2]), key[1]))]

    def settle(self, seconds: float = 20) -> None:
        """Wait until everything acknowledged is in the ledger."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.health()["spool_items"] == 0:
                return
            time.sleep(0.02)
        raise AssertionError(f"the spool does not drain: {self.health()}")

    def health(self) -> dict[str, Any]:
        """What /healthz says."""
        with urllib.request.urlopen(f"http://{self.ui}/healthz", timeout=10) as answer:
            return json.load(answer)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def start(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """`otel-llm-cost collector …`."""
    return subprocess.Popen(
        [*COMMAND, "collector", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    )


@contextlib.contextmanager
def running(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Collector]:
    """A collector that is gone afterwards, whatever happens."""
    collector = Collector(folder, *arguments, environ=environ)
    try:
        yield collector
    finally:
        collector.stop(signal.SIGKILL)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """POST; status and body, whatever the status."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
