"""Where budgets' accounts are kept: memory, an SQLite file, Redis, or the collector."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from otel_llm_cost.budgets.lease import Store
from otel_llm_cost.core.errors import ConfigError


def _memory(_dsn: str) -> Store:
    from otel_llm_cost.budgets.stores.memory import MemoryStore

    return MemoryStore()


def _sqlite(dsn: str) -> Store:
    from otel_llm_cost.budgets.stores.sqlite import SQLiteStore

    return SQLiteStore(dsn.partition("://")[2])


def _redis(dsn: str) -> Store:
    from otel_llm_cost.budgets.stores.redis import RedisStore

    return RedisStore(dsn)


STORES: dict[str, Callable[[str], Store]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
}
"""Scheme of the DSN → how it is opened."""


def open_store(dsn: str) -> Store:
    """The store of a DSN: `memory://`, `sqlite:///path/to/file`, `redis://host:6379/0`.

    Raises ConfigError for another scheme, MissingExtra when the client library is not installed.
    """
    scheme = urlsplit(dsn).scheme
    if scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise ConfigError(f"budget store: unknown kind {scheme or dsn!r}; expected one of {known}")
    return STORES[scheme](dsn)
