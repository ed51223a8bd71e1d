"""Where a ledger is, as a DSN says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from otel_llm_cost.core.errors import ConfigError

FORMS = "chdb:///folder, or clickhouse://user:password@host:8123/database (clickhouses:// for TLS)"
MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A chDB ledger in this process: a folder, or None for one in memory that is gone with the process."""

    folder: Path | None
    database: str = "default"

    def __str__(self) -> str:
        return f"chdb://{self.folder}" if self.folder else "chdb://memory"


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server over HTTP."""

    host: str
    port: int
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False

    def __str__(self) -> str:
        """Without user and password: this goes into messages."""
        return f"clickhouse{'s' if self.secure else ''}://{self.host}:{self.port}/{self.database}"


Location = Embedded | Server


def parse(dsn: str) -> Location:
    """The location that a DSN names. Raises ConfigError, never with the DSN's password in it."""
    if "?" in dsn or "#" in dsn:
        raise ConfigError(
            "the store's DSN has a '?' or '#', which it has no use for; in a user name or password write "
            "them as %3F and %23"
        )
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        raise ConfigError(f"the store's DSN cannot be read; expected {FORMS}") from None
    if parts.scheme == "chdb":
        return _embedded(parts.netloc, unquote(parts.path))
    if parts.scheme in ("clickhouse", "clickhouses"):
        if not parts.hostname:
            raise ConfigError(f"the store's DSN names no host; expected {FORMS}")
        secure = parts.scheme == "clickhouses"
        return Server(
            host=parts.hostname,
            port=port or (8443 if secure else 8123),
            database=unquote(parts.path).strip("/") or "default",
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=secure,
        )
    start = f"starts with {parts.scheme}://" if parts.scheme else "names no kind of store"
    raise ConfigError(f"the store's DSN {start}; expected {FORMS}")


def _embedded(host: str, path: str) -> Embedded:
    if host == "memory":
        return Embedded(None, path.strip("/") or "default")
    if host:
        raise ConfigError(f"chdb://{host}… needs three slashes before the folder; expected {FORMS}")
    if not path.strip("/"):
        raise ConfigError(f"the store's DSN names no folder; expected {FORMS}")
    return Embedded(Path(path))
