"""Ask a ledger: the collector that owns it if one lives, else the store itself."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.ledger import queries
from otel_llm_cost.sinks import living
from otel_llm_cost.sinks.dsn import Embedded, parse
from otel_llm_cost.sinks.wire import Result, decode

_TIMEOUT_S = 130.0
_UNREADABLE = "the collector's answer cannot be read; do both run the same version?"


class Ledger(Protocol):
    """Whoever answers named queries."""

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Result:
        """The answer. Raises BadQuery and StoreError."""


@contextmanager
def open_ledger(dsn: str) -> Iterator[Ledger]:
    """The ledger at `dsn`, for reading. Raises ConfigError for a wrong DSN, StoreError otherwise.

    A folder that does not exist is an empty ledger, and is not made.
    """
    location = parse(dsn)
    if isinstance(location, Embedded) and location.folder:
        collector = living.find(location.folder)
        if collector is not None and _answers(collector):
            yield AskedLedger(collector)
            return
        if not location.folder.is_dir():
            yield _Empty()
            return
    from otel_llm_cost.sinks.clickhouse import ClickHouseSink  # loads an engine: only when it is needed

    with ClickHouseSink(location) as sink:
        yield sink


class AskedLedger:
    """A ledger that its collector answers for."""

    def __init__(self, collector: living.Living) -> None:
        self._collector = collector
        self._who = f"the collector (process {collector.pid})"

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Result:
        """Ask over HTTP. An answer that says no is the answer: the store is not opened behind its back."""
        queries.bind(name, params or {})  # the same complaint here and there, without a round trip
        answer = self._ask(f"/v1/query/{quote(name)}", dict(params or {}))
        try:
            return decode(answer)
        except ValueError:
            raise StoreError(_UNREADABLE) from None

    def job(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Have the collector do one step of a job that changes its ledger; its answer. Raises StoreError."""
        answer = self._ask(f"/v1/jobs/{quote(name)}", dict(params))
        try:
            return dict(json.loads(answer))
        except (ValueError, TypeError):
            raise StoreError(_UNREADABLE) from None

    def _ask(self, path: str, params: dict[str, Any]) -> bytes:
        body = json.dumps(params, default=lambda value: value.isoformat())
        try:
            status, answer = _post(self._collector, path, body.encode())
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"{self._who} does not answer: {error or type(error).__name__}") from None
        if status != 200:
            raise StoreError(f"{self._who} refused: {_reason(status, answer)}")
        return answer


class _Empty:
    """A ledger that nobody has written to yet."""

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Result:
        return Result(queries.bind(name, params or {}).columns, [])


def _answers(collector: living.Living) -> bool:
    """Whether somebody listens where the file says; a process id alone may have been given out again."""
    address = urlsplit(collector.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=3.0)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _post(collector: living.Living, path: str, body: bytes) -> tuple[int, bytes]:
    address = urlsplit(collector.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {collector.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", address.path + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {status}"
