"""Keep the driver from logging beside us: the sink raises one StoreError, its caller decides what to say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

LOGGERS: Final = ("clickhouse_connect.driver._backend.http_sync", "urllib3.connectionpool")
"""Both warn of a connection that failed at every try, besides raising."""

_ours = threading.local()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop their warnings while this thread is inside; those of the app's own requests come through."""
    _filter_once()
    before = getattr(_ours, "on", False)
    _ours.on = True
    try:
        yield
    finally:
        _ours.on = before


@lru_cache(maxsize=1)
def _filter_once() -> None:
    for name in LOGGERS:
        logging.getLogger(name).addFilter(lambda _: not getattr(_ours, "on", False))
