"""Our own faults inside a user's program: logged once per place, never raised (design D3)."""

from __future__ import annotations

import logging
import os

_log = logging.getLogger("otel_llm_cost")
_seen: set[tuple[str, type[BaseException] | None]] = set()

RAISE = "OTEL_LLM_COST_RAISE"
"""Set to 1 in our own test suite: there a fault of ours is a failing test, not a log line."""


def report(where: str, error: BaseException) -> None:
    """Log `error`, once per place and type; the user's call goes on.

    where: what of ours failed, as a noun ("the price policy"). Raises `error` again when
    OTEL_LLM_COST_RAISE=1.
    """
    if os.environ.get(RAISE) == "1":
        raise error
    key = (where, type(error))
    if key not in _seen:
        _seen.add(key)
        _log.warning(
            "%s failed (%s); LLM calls go on without it", where, type(error).__name__, exc_info=error
        )
