"""Accounts in one SQLite file: every process of a machine shares it; the embedded default.

Write-ahead log, `BEGIN IMMEDIATE` around every exchange, `synchronous=NORMAL`: a killed process loses
nothing, a power cut may lose the last moments, which the ledger then tells (`budget reconcile`). Network file
systems are out, since SQLite's locks do not hold there. A file that is no database any more is set aside and
a new one begun; live processes report their totals again, and the ledger tells the rest.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from otel_llm_cost.budgets.lease import (
    LEASE_SECONDS,
    Ask,
    Definitions,
    Grant,
    Identity,
    Raise,
    State,
    StoreAway,
    granted,
    is_old,
)
from otel_llm_cost.core.errors import StoreError

_log = logging.getLogger("otel_llm_cost")

VERSION = 1

SCHEMA = """
CREATE TABLE account (key TEXT PRIMARY KEY, identity TEXT NOT NULL, max INTEGER NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0, leased INTEGER NOT NULL DEFAULT 0,
    leases INTEGER NOT NULL DEFAULT 0, adjusted INTEGER NOT NULL DEFAULT 0, updated REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE lease (id TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL,
    spent INTEGER NOT NULL, unknown INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX lease_account ON lease (account);
CREATE TABLE slot (account TEXT, start INTEGER, spent INTEGER NOT NULL, PRIMARY KEY (account, start))
    WITHOUT ROWID;
CREATE TABLE definition (name TEXT PRIMARY KEY, budget TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE raise (budget TEXT, by TEXT, until INTEGER, reason TEXT, who TEXT, at INTEGER);
CREATE TABLE history (at INTEGER, who TEXT, budget TEXT, what TEXT);
CREATE TABLE revision (number INTEGER NOT NULL);
INSERT INTO revision VALUES (0);
"""

STATES = """
SELECT identity, max, spent, unknown, leased,
    (SELECT coalesce(sum(amount), 0) FROM lease WHERE lease.account = account.key AND expires < ?),
    adjusted, updated FROM account ORDER BY key
"""

_ABANDONED: list[sqlite3.Connection] = []
"""Connections of a parent process: closing them in the child would meddle with the parent's locks."""


class SQLiteStore:
    """See `Store`. timeout_s: how long to wait for other processes before the store counts as away."""

    is_instant = False

    def __init__(
        self, path: str | Path, timeout_s: float = 0.5, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = Path(path)
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def exchange(self, asks: Sequence[Ask]) -> tuple[list[Grant], int]:
        """See `Store`."""
        now = self._clock()
        with self._transaction() as db:
            grants = [_exchange(db, ask, now) for ask in asks]
            return grants, _revision(db)

    def revision(self) -> int:
        """See `Store`."""
        with self._transaction("DEFERRED") as db:
            return _revision(db)

    def definitions(self) -> Definitions:
        """See `Store`."""
        with self._transaction("DEFERRED") as db:
            budgets = tuple(db.execute("SELECT name, budget FROM definition ORDER BY name"))
            rows = db.execute("SELECT budget, by, until, reason, who, at FROM raise ORDER BY at")
            raises = tuple(Raise(budget, int(by), *rest) for budget, by, *rest in rows)
            return Definitions(_revision(db), budgets, raises)

    def define(self, name: str, budget: str, who: str, reason: str) -> None:
        """See `Store`."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO definition VALUES (?, ?)", (name, budget))
            self._note(db, int(self._clock()), who, name, f"{budget or 'removed'} {reason}".strip())

    def add_raise(self, change: Raise) -> None:
        """See `Store`."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO raise VALUES (?, ?, ?, ?, ?, ?)",
                (change.budget, str(change.by), change.until, change.reason, change.who, change.at),
            )
            text = f"raised by {change.by} until {change.until}: {change.reason}"
            self._note(db, change.at, change.who, change.budget, text)

    @staticmethod
    def _note(db: sqlite3.Connection, at: int, who: str, budget: str, what: str) -> None:
        db.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (at, who, budget, what))
        db.execute("UPDATE revision SET number = number + 1")

    def history(self) -> list[tuple[int, str, str, str]]:
        """See `Store`."""
        with self._transaction("DEFERRED") as db:
            return list(db.execute("SELECT at, who, budget, what FROM history ORDER BY at, rowid"))

    def states(self) -> list[State]:
        """See `Store`."""
        now = self._clock()
        with self._transaction() as db:
            rows = db.execute("SELECT key, identity FROM account").fetchall()
            for key, identity in rows:
                _forget(db, key, _identity(identity), now)
            rows = db.execute(STATES, (now,)).fetchall()
        return [State(_identity(row[0]), *map(int, row[1:])) for row in rows]

    def charge(self, account: Identity, limit: int, amount: int) -> None:
        """See `Store`."""
        now = self._clock()
        with self._transaction() as db:
            _open_account(db, account, limit, now)
            _add_spent(db, account, amount, now)

    def adjust(self, account: Identity, limit: int, adjusted: int, keep_unknown: int) -> None:
        """See `Store`."""
        now = self._clock()
        with self._transaction() as db:
            _open_account(db, account, limit, now)
            key = account.key
            db.execute("UPDATE lease SET amount = 0 WHERE account = ? AND expires < ?", (key, now))
            db.execute(
                "UPDATE account SET adjusted = ?, unknown = ?, updated = ?,"
                " leased = (SELECT coalesce(sum(amount), 0) FROM lease WHERE account = ?) WHERE key = ?",
                (adjusted, keep_unknown, now, key, key),
            )

    def prune(self, now: int) -> None:
        """See `Store`."""
        with self._transaction() as db:
            rows = db.execute("SELECT key, identity, updated FROM account").fetchall()
            old = [(key,) for key, identity, updated in rows if is_old(_identity(identity), updated, now)]
            for table, column in (("account", "key"), ("lease", "account"), ("slot", "account")):
                db.executemany(f"DELETE FROM {table} WHERE {column} = ?", old)  # noqa: S608 - names from here

    def reset_after_fork(self) -> None:
        """See `Store`."""
        if self._connection is not None:
            _ABANDONED.append(self._connection)
        self._connection = None
        self._lock = threading.RLock()

    def close(self) -> None:
        """See `Store`."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                db = self._connection or self._open()
                db.execute(f"BEGIN {kind}")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:  # locked, full, not to be opened
                raise StoreAway(f"{self.path}: {error}") from error
            except sqlite3.DatabaseError as error:  # malformed, not a database
                self._set_aside(error)
                raise StoreAway(f"{self.path}: {error}; a new file is begun") from error

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreAway(f"{self.path}: {error.strerror}") from error
        self._inode = self.path.stat().st_ino
        db = sqlite3.connect(
            self.path,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        if version > VERSION:
            db.close()
            raise StoreError(
                f"{self.path} was made by a newer version; upgrade otel-llm-cost, or use another file"
            )
        self._connection = db
        return db

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Rename a broken file, once: another process may have done so already and begun a new one."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        with _file_lock(self.path.with_name(self.path.name + ".repair")), suppress(FileNotFoundError):
            if self.path.stat().st_ino != self._inode:
                return
            name = f"{self.path.name}.broken-{int(self._clock())}"
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).unlink()
            self.path.rename(self.path.with_name(name))
            _log.warning(
                "budget store %s is broken (%s): set aside as %s, a new one is begun", self.path, error, name
            )


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows: no lock; an open file cannot be renamed there anyway
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _identity(text: str) -> Identity:
    return Identity(*json.loads(text))


def _revision(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT number FROM revision").fetchone()[0])


def _open_account(db: sqlite3.Connection, identity: Identity, limit: int, now: float) -> bool:
    """Make sure the account exists and is up to date; whether it is new."""
    is_new = not db.execute(
        "UPDATE account SET max = ?, updated = ? WHERE key = ?", (limit, now, identity.key)
    ).rowcount
    if is_new:
        db.execute(
            "INSERT INTO account (key, identity, max, updated) VALUES (?, ?, ?, ?)",
            (identity.key, json.dumps(identity), limit, now),
        )
    _forget(db, identity.key, identity, now)
    return is_new


def _forget(db: sqlite3.Connection, key: str, identity: Identity, now: float) -> None:
    if not identity.window:
        return
    oldest = now - identity.window - identity.slot
    (gone,) = db.execute(
        "SELECT coalesce(sum(spent), 0) FROM slot WHERE account = ? AND start <= ?", (key, oldest)
    ).fetchone()
    if gone:
        db.execute("DELETE FROM slot WHERE account = ? AND start <= ?", (key, oldest))
        db.execute("UPDATE account SET spent = spent - ? WHERE key = ?", (gone, key))


def _add_spent(db: sqlite3.Connection, identity: Identity, amount: int, now: float) -> None:
    if not amount:
        return
    db.execute("UPDATE account SET spent = spent + ? WHERE key = ?", (amount, identity.key))
    if identity.window:
        db.execute(
            "INSERT INTO slot VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spent = spent + excluded.spent",
            (identity.key, int(now) - int(now) % identity.slot, amount),
        )


def _exchange(db: sqlite3.Connection, ask: Ask, now: float) -> Grant:
    key = ask.account.key
    is_new = _open_account(db, ask.account, ask.limit, now)
    before = db.execute("SELECT amount, spent, unknown FROM lease WHERE id = ?", (ask.lease,)).fetchone()
    had, had_spent, had_unknown = before or (0, 0, 0)
    _add_spent(db, ask.account, ask.spent - had_spent, now)
    spent, unknown, leased, leases, adjusted = db.execute(
        "SELECT spent, unknown, leased, leases, adjusted FROM account WHERE key = ?", (key,)
    ).fetchone()
    unknown = max(0, unknown + ask.unknown - had_unknown)
    leases += before is None
    amount = granted(ask, spent + unknown + adjusted + leased - had, leases)
    leased += amount - had
    if ask.close and not amount:
        leases -= 1
        db.execute("DELETE FROM lease WHERE id = ?", (ask.lease,))
    else:
        db.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)",
            (ask.lease, key, amount, ask.spent, ask.unknown, now + LEASE_SECONDS),
        )
    db.execute(
        "UPDATE account SET unknown = ?, leased = ?, leases = ? WHERE key = ?", (unknown, leased, leases, key)
    )
    return Grant(amount, spent + adjusted, leased + unknown, is_new)
