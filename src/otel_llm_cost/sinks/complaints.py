"""What went wrong with the store, in one sentence that says what to do."""

from __future__ import annotations

import re

from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.sinks.dsn import Embedded, Location, Server
from otel_llm_cost.sinks.poison import RowsRefused

_UNKNOWN_TABLE = 60
UNKNOWN_DATABASE = 81
_SENTENCES: dict[int, str] = {
    516: "{where} refused user {user}: the user name or password is wrong; correct them in the store's DSN",
    194: "{where} refused user {user}: a password is needed; add it to the store's DSN",
    497: "{where}: user {user} lacks a privilege ({detail}); grant it, or use another user",
    241: "{where} is out of memory ({detail}); give it more, or send smaller batches",
    243: "{where} has no space left on its disk; free some",
    164: "{where}: user {user} may only read; use a user that may write",
    216: "{where} still runs the same statement; try again when it is over",
    159: "{where} took too long and stopped the statement; ask for a shorter time range",
}
"""ClickHouse error code → what it means here."""

_BAD_DATA = frozenset({6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 131, 190, 349, 407, 441})
"""ClickHouse error codes that speak of the rows themselves: a value that does not parse, or does not fit."""

_UNWRITABLE = (TypeError, ValueError, AttributeError, OverflowError)
"""What our encoder raises for a value that its column cannot hold."""

_REASON = re.compile(
    r"(Connection refused|timed out|Name or service not known|Temporary failure in name resolution"
    r"|No route to host|Network is unreachable|Connection reset|Connection aborted"
    r"|Failed to establish a new connection|certificate verify failed|WRONG_VERSION_NUMBER)"
)
"""What matters in the long texts of the HTTP layers."""

_MOST_DETAIL = 240


class NoTable(StoreError):  # noqa: N818 - it is read as a fact
    """The store can be reached and holds no ledger yet."""


def code_of(error: BaseException) -> int:
    """ClickHouse's error code, 0 when there is none."""
    code = getattr(error, "code", None)
    if isinstance(code, int) and code:
        return code
    match = re.search(r"\bCode: (\d+)", str(error)) or re.search(r"error code (\d+)", str(error))
    return int(match[1]) if match else 0


def explain(error: BaseException, location: Location) -> StoreError:
    """The StoreError for whatever a driver raised."""
    if isinstance(error, StoreError):
        return error
    text = str(error)
    if isinstance(location, Embedded) and "EmbeddedServer" in text:
        if "already initialized" in text:
            return StoreError(
                "this process has another embedded ledger open, and can have only one; close that first"
            )
        found = re.search(r"filesystem error: ([^\[]*)", text)
        return StoreError(
            f"the ledger {location.folder} cannot be opened "
            f"({found[1].strip() if found else 'another process has it open, or it is not a ledger'}); "
            "name another folder with --store"
        )
    user = location.user if isinstance(location, Server) else ""
    detail = _detail(text, location)
    if sentence := _SENTENCES.get(code_of(error)):
        return StoreError(sentence.format(where=location, user=user, detail=detail))
    if code_of(error) == _UNKNOWN_TABLE:
        return NoTable(f"{location} holds no ledger yet; run: otel-llm-cost schema migrate")
    if code_of(error):
        return StoreError(f"{location} answered with an error: {detail}")
    if isinstance(location, Server):
        return StoreError(
            f"{location} cannot be reached ({detail}); check that ClickHouse runs there, "
            "and that the port is its HTTP port (8123, or 8443 for TLS)"
        )
    return StoreError(f"{location}: {detail}")


def explain_insert(error: BaseException, location: Location) -> StoreError:
    """The StoreError for a failed insert: RowsRefused when the rows are the reason.

    What is raised while the rows are made into bytes, before anything is sent, speaks of the rows too.
    """
    if isinstance(error, _UNWRITABLE) or code_of(error) in _BAD_DATA:
        return RowsRefused(f"{location} does not take these rows: {_detail(str(error), location)}")
    return explain(error, location)


def _detail(text: str, location: Location) -> str:
    """The reason in short, on one line, without the password."""
    match = re.search(r"DB::Exception: (.*)", text, re.DOTALL) or _REASON.search(text)
    line = " ".join((match[1] if match else text).split())
    line = re.sub(r"\(version [^)]*\)|\(for url [^)]*\)", "", line).strip()
    if isinstance(location, Server) and location.password:
        line = line.replace(location.password, "***")
    return line[:_MOST_DETAIL].rstrip(" .") or "no reason given"
