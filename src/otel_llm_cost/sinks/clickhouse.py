"""The ledger in ClickHouse: a server over HTTP, or the same engine embedded in this process (chDB)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from otel_llm_cost.core.errors import StoreError, require
from otel_llm_cost.ledger import COLUMNS, Row, ddl, migrations, queries
from otel_llm_cost.sinks import complaints, living, lock
from otel_llm_cost.sinks.dsn import Embedded, Location, Server, parse
from otel_llm_cost.sinks.native import encode
from otel_llm_cost.sinks.quiet import quiet
from otel_llm_cost.sinks.wire import Result

# Months in one insert may be many (a backfill); the engine's limit guards against bad partition keys.
_INSERT_SETTINGS = {"throw_on_max_partitions_per_insert_block": "0", "async_insert": "0"}
_LONGEST_QUERY_S = 120
_Explain = Callable[[BaseException, Location], StoreError]
_RETRY_OPEN_S = 0.25


class ClickHouseSink:
    """Rows in, named queries out. Safe to use from several threads; not across a fork.

    Reads and writes go over clients of their own, so that a slow report does not hold up an insert. Every
    failure is a StoreError of one sentence; a wrong DSN is a ConfigError.
    """

    def __init__(self, dsn: str | Location, *, wait_s: float = 0.0) -> None:
        """Connects. wait_s: how long to wait for another process to let go of an embedded ledger."""
        self.location = parse(dsn) if isinstance(dsn, str) else dsn
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        if isinstance(self.location, Embedded):
            require("chdb", "embedded")
            if self.location.folder:
                _make_folder(self.location.folder)
        self._module = require("clickhouse_connect", "collector")
        self._open_first(time.monotonic() + wait_s)

    def _open_first(self, until: float) -> None:
        while True:
            try:
                if isinstance(self.location, Embedded) and self.location.folder:
                    _refuse_if_open_elsewhere(self.location.folder)
                self._client("read")
            except StoreError:
                if not isinstance(self.location, Embedded) or time.monotonic() >= until:
                    raise
                time.sleep(_RETRY_OPEN_S)
            else:
                return

    def _client(self, use: str) -> Any:
        if os.getpid() != self._pid:
            raise StoreError("the store was opened before this process forked; open it again after the fork")
        with self._lock:
            if use not in self._clients:
                self._clients[use] = self._connect()
            return self._clients[use]

    def _connect(self, database: str | None = None) -> Any:
        location = self.location
        try:
            with quiet():
                return self._open(database or location.database)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            if database is None and complaints.code_of(error) == complaints.UNKNOWN_DATABASE:
                self._create_database()
                return self._connect(database=location.database)
            raise complaints.explain(error, location) from None

    def _open(self, database: str) -> Any:
        location = self.location
        if isinstance(location, Embedded):
            path = str(location.folder) if location.folder else ":memory:"
            return self._module.get_client(interface="chdb", path=path, database=database, tz_mode="aware")
        return self._module.get_client(
            host=location.host,
            port=location.port,
            username=location.user,
            password=location.password,
            database=database,
            secure=location.secure,
            interface="https" if location.secure else "http",
            autogenerate_session_id=False,  # a session allows one query at a time
            tz_mode="aware",
        )

    @contextmanager
    def _explained(self, explain: _Explain = complaints.explain) -> Iterator[None]:
        """Whatever the driver raises becomes one sentence, and it says nothing beside."""
        try:
            with quiet():
                yield
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            raise explain(error, self.location) from None

    def _create_database(self) -> None:
        client = self._connect(database="default" if self.location.database != "default" else "system")
        with self._explained(), closing(client):
            client.command(f"CREATE DATABASE IF NOT EXISTS {_quoted(self.location.database)}")

    def migrate(self) -> list[str]:
        """Bring the schema to this version; the names of the steps that were applied now.

        Raises StoreError when a newer version than this one has been here.
        """
        client = self._client("write")
        known = [migration.name for migration in migrations.MIGRATIONS]
        done = []
        with self._explained():
            client.command(migrations.CREATE_APPLIED)
            applied = {name for (name,) in client.query(migrations.SELECT_APPLIED).result_rows}
            if newer := sorted(applied - set(known)):
                raise StoreError(
                    f"the ledger at {self.location} was migrated by a newer version ({newer[-1]}); "
                    "upgrade otel-llm-cost here too"
                )
            for migration in migrations.MIGRATIONS:
                if migration.name not in applied:
                    for statement in migration.statements():
                        client.command(statement)
                    client.command(migrations.record(migration.name))
                    done.append(migration.name)
        return done

    def write(self, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Insert rows in one statement; how many they were. Raises RowsRefused when the rows are the reason.

        query_id: the name under which a server knows the statement; the batch's id, so that a retry can make
        sure that the first try is over.
        """
        if not rows:
            return 0
        with self._explained(complaints.explain_insert):
            names, block = encode(rows)
            settings: dict[str, Any] = dict(_INSERT_SETTINGS)
            if query_id and isinstance(self.location, Server):
                settings["query_id"] = query_id
            # An iterator, since the driver sends plain bytes again by itself when a connection breaks.
            body = iter((block,))
            self._client("write").raw_insert(ddl.TABLE, names, body, settings=settings, fmt="Native")
        return len(rows)

    def write_again(self, batch_id: str, rows: Sequence[Row], *, query_id: str = "") -> int:
        """Insert what an earlier try of the same batch did not; how many rows that was (design D8).

        The earlier try must be over first: a statement that timed out here may still be landing blocks.
        """
        if query_id and isinstance(self.location, Server):
            with self._explained():
                self._client("read").command(f"KILL QUERY WHERE query_id = {ddl.literal(query_id)} SYNC")
        present = {row_no for (row_no,) in self.query("batch_rows", {"batch_id": batch_id}).rows}
        return self.write([row for row in rows if row[_ROW_NO] not in present], query_id=query_id)

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Result:
        """The answer of a named query (`ledger.queries`). Raises BadQuery and StoreError.

        A ledger that was never migrated is an empty one.
        """
        bound = queries.bind(name, params or {})
        client = self._client("read")
        limits = {"max_execution_time": _LONGEST_QUERY_S}
        try:
            with self._explained():
                answer = client.query(bound.sql, parameters=bound.params, settings=limits)
        except complaints.NoTable:
            return Result(bound.columns, [])
        columns = list(answer.result_columns)
        for number, kind in enumerate(answer.column_types):
            if "DateTime" in kind.name and columns:
                columns[number] = [_in_utc(value) for value in columns[number]]
        return Result(bound.columns, list(zip(*columns, strict=True)))

    def close(self) -> None:
        """Let go of the store; another process may open it now."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        if os.getpid() != self._pid:
            return  # the parent's connections are the parent's to close
        for client in clients:
            client.close()

    def __enter__(self) -> ClickHouseSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_ROW_NO = next(number for number, column in enumerate(COLUMNS) if column.name == "row_no")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the ledger's folder {folder} cannot be made ({error.strerror}); "
            "name another with --store chdb:///folder"
        ) from None


def _refuse_if_open_elsewhere(folder: Path) -> None:
    """One process at a time can open a folder. Raises StoreError naming the one that has it."""
    holder = lock.holder(folder)
    if holder is None or holder == os.getpid():
        return
    collector = living.find(folder)
    who = "another process" if not holder else f"process {holder}"
    if collector is not None and collector.pid == holder:
        who = f"the collector (process {holder})"
    raise StoreError(
        f"the ledger {folder} is open in {who}, and one process at a time can open it; stop that process, "
        "or name another folder with --store"
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _in_utc(value: Any) -> Any:
    """Times as aware, in UTC, however the driver gave them."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    return value
