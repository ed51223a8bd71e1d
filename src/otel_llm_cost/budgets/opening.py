"""The book of a process, from what its configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import Budget
from otel_llm_cost.budgets.lease import Store
from otel_llm_cost.budgets.stores import open_store

DEFAULT_FILE = ".local/share/otel-llm-cost/budgets.db"
"""Below the home folder: where budgets are kept when nothing else is said."""


def store_dsn(configured: str) -> str:
    """Where budgets are kept: as configured, else a file that all processes of this machine find."""
    return configured or f"sqlite://{Path.home() / DEFAULT_FILE}"


def shared_store(configured: str) -> Store:
    """The store of `configured`, for commands. Raises ConfigError, MissingExtra."""
    return open_store(store_dsn(configured))


def open_book(configured: str, budgets: Iterable[Budget]) -> Book | None:
    """The book of this process; None when neither budgets nor a store are configured."""
    budgets = tuple(budgets)
    if not configured and not budgets:
        return None
    return Book(shared_store(configured), budgets)


def service_name(environ: Mapping[str, str] | None = None) -> str:
    """The `service.name` that the process goes by, as OpenTelemetry reads it."""
    environ = os.environ if environ is None else environ
    if name := environ.get("OTEL_SERVICE_NAME"):
        return name
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value.strip() for key, _, value in pairs if key.strip() == "service.name"), "")
