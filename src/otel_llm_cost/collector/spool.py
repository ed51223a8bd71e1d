"""The durable spool: what was acknowledged lives here until it is in the ledger (design D8).

One SQLite file in WAL mode. `spool_sync: full` syncs every commit, so what was acknowledged survives a power
failure; `normal` survives the death of the process but may lose the last moments with the power.

A batch is a range of request ids. It is written down as a *claim* before its rows are inserted, so that after
a crash the same range is rebuilt with the same row ids, and a row that already arrived is not inserted twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from otel_llm_cost.collector.sift import Sifted, Signal
from otel_llm_cost.core.errors import StoreError

RESEND_SECONDS = 24 * 3600
"""How long a client's resend of a request is recognised; exporters give up after minutes."""
VACUUM_PAGES = 2_000
"""Pages given back to the disk at a time, so that no commit waits for long."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, signal INTEGER NOT NULL, received_at INTEGER NOT NULL,
    items INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS claims (
    number INTEGER PRIMARY KEY AUTOINCREMENT, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS resends (hash BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""

_SUMS = "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(length(body)), 0) FROM requests"


class SpoolFull(Exception):  # noqa: N818 - a state of the disk, not a fault
    """No room: the client must keep its data and come back."""


class Request(NamedTuple):
    """One spooled request."""

    id: int
    signal: Signal
    received_at: int
    body: bytes


class Claim(NamedTuple):
    """A batch: the requests from `first_id` to `last_id`.

    retried: rows of it may be in the ledger already.
    """

    batch_id: str
    first_id: int
    last_id: int
    retried: bool


class Spool:
    """The spool of one collector. Methods may be called from any thread."""

    def __init__(
        self, folder: Path, *, sync: str = "full", max_bytes: int = 8 << 30, schema: str = ""
    ) -> None:
        """Open or create; `schema` makes further tables, for `finish` to write. Raises StoreError when the
        folder cannot be used or another process has it.
        """
        self.folder = folder
        self.max_bytes = max_bytes
        self.file = folder / "spool.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = _lock(folder)
            self.db = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=30)
            self.db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before the first table, or never
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute(f"PRAGMA synchronous={sync}")
            self.db.executescript(_SCHEMA + schema)
            self.reader = sqlite3.connect(
                self.file, isolation_level=None, check_same_thread=False, timeout=30
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"the spool {folder} cannot be used ({error}); set `spool` to a writable folder"
            ) from None
        self.lock = threading.Lock()
        self.db.execute("INSERT OR IGNORE INTO facts VALUES ('spool_id', ?)", (secrets.token_hex(8),))
        (self.spool_id,) = self.db.execute("SELECT text FROM facts WHERE name = 'spool_id'").fetchone()
        self.requests, self.items, self.bytes = self.db.execute(_SUMS).fetchone()
        self.oldest = self._oldest()

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self.reader.close()
        self.db.close()
        self._lock_file.close()

    def append(self, requests: Sequence[Sifted]) -> list[bool]:
        """Keep requests durably; for each, False when it is a resend of one already kept.

        Raises SpoolFull when there is no room, StoreError when the disk fails; then nothing was kept.
        """
        if self.bytes >= self.max_bytes:
            raise SpoolFull(f"the spool holds {self.bytes} bytes and may hold {self.max_bytes}")
        now = time.time_ns()
        fresh: list[bool] = []
        with self.lock:
            try:
                self.db.execute("BEGIN IMMEDIATE")
                for request in requests:
                    digest = hashlib.sha256(request.body).digest()[:16]
                    is_new = (
                        self.db.execute("INSERT OR IGNORE INTO resends VALUES (?, ?)", (digest, now)).rowcount
                        == 1
                    )
                    fresh.append(is_new)
                    if is_new:
                        self.db.execute(
                            "INSERT INTO requests (signal, received_at, items, body) VALUES (?, ?, ?, ?)",
                            (request.signal, now, request.items, request.body),
                        )
                self.db.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                if "full" in str(error) or "disk I/O" in str(error):
                    raise SpoolFull(f"the disk of the spool is full ({error})") from None
                raise StoreError(f"the spool cannot be written ({error})") from None
            for request, is_new in zip(requests, fresh, strict=True):
                if is_new:
                    self.requests += 1
                    self.items += request.items
                    self.bytes += len(request.body)
            if self.requests and self.oldest is None:
                self.oldest = now
        return fresh

    def claim(self, max_items: int) -> Claim | None:
        """The next batch: the unfinished one of a former run, else the oldest requests. None when empty.

        A request is never split; a batch holds one request at least.
        """
        with self.lock:
            open_claim = self.db.execute("SELECT number, first_id, last_id FROM claims").fetchone()
            if open_claim is not None:
                number, first, last = open_claim
                return Claim(self._batch_id(number), first, last, True)
            first = last = None
            total = 0
            for id_, items in self.db.execute("SELECT id, items FROM requests ORDER BY id"):
                if first is None:
                    first = id_
                elif total + items > max_items:
                    break
                last, total = id_, total + items
            if first is None or last is None:
                return None
            number = self.db.execute(
                "INSERT INTO claims (first_id, last_id) VALUES (?, ?)", (first, last)
            ).lastrowid
            assert number is not None
        return Claim(self._batch_id(number), first, last, False)

    def _batch_id(self, number: int) -> str:
        return f"{self.spool_id}-{number}"

    def read(self, claim: Claim) -> list[Request]:
        """The requests of a batch, in order."""
        found = self.reader.execute(
            "SELECT id, signal, received_at, body FROM requests WHERE id BETWEEN ? AND ? ORDER BY id",
            (claim.first_id, claim.last_id),
        )
        return [Request(id_, Signal(signal), at, body) for id_, signal, at, body in found]

    def finish(self, claim: Claim, statements: Iterable[tuple[str, Sequence[Sequence[object]]]] = ()) -> None:
        """The batch is in the ledger: forget it, and run `statements` (new keys) in the same transaction."""
        with self.lock:
            try:
                self.db.execute("BEGIN IMMEDIATE")
                for sql, rows in statements:
                    self.db.executemany(sql, rows)
                within = (claim.first_id, claim.last_id)
                gone = self.db.execute(f"{_SUMS} WHERE id BETWEEN ? AND ?", within).fetchone()
                self.db.execute("DELETE FROM requests WHERE id BETWEEN ? AND ?", within)
                self.db.execute("DELETE FROM claims")
                self.db.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise StoreError(f"the spool cannot be written ({error})") from None
            self.requests -= gone[0]
            self.items -= gone[1]
            self.bytes -= gone[2]
            self.oldest = self._oldest()

    def tidy(self, statements: Iterable[tuple[str, Sequence[Sequence[object]]]] = ()) -> None:
        """Run `statements`, forget old resends, and give free pages back, little by little."""
        with self.lock:
            for sql, rows in statements:
                self.db.executemany(sql, rows)
            self.db.execute("DELETE FROM resends WHERE at < ?", (time.time_ns() - RESEND_SECONDS * 10**9,))
            self.db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def _oldest(self) -> int | None:
        row = self.db.execute("SELECT received_at FROM requests ORDER BY id LIMIT 1").fetchone()
        return row[0] if row else None

    def _rollback(self) -> None:
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")


def _lock(folder: Path) -> IO[str]:
    """Hold the folder for this process; the system lets go of it however the process ends."""
    file = (folder / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError("another collector is using it") from None
    return file
