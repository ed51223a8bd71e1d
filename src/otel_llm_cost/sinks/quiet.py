"""Keep the driver from logging beside us: the sink raises one StoreError, its caller decides what to say."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

LOGGERS: Final = (
    "clickhouse_connect.driver._backend.http_sync",
    "clickhouse_connect.driver._backend.httpcommon",
    "clickhouse_connect.driver.httputil",
)
NOISE: Final = "Unexpected Http Driver Exception"
"""What the driver says of every connection that fails, at every try, besides raising."""


@lru_cache(maxsize=1)
def driver_quiet() -> None:
    """Drop that one sentence from now on; every other word of the driver still comes through."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(lambda record: record.msg != NOISE)
