"""Fees per session: a container that several calls use within its window is charged once."""

from __future__ import annotations

import threading
from collections import OrderedDict

from otel_llm_cost.core.usage import Usage
from otel_llm_cost.pricing.calendar import SECOND
from otel_llm_cost.pricing.normalise.reading import Reading

WINDOW = 20 * 60 * SECOND
"""How long one container fee lasts (https://developers.openai.com/api/docs/pricing, checked 2026-11-24)."""
MOST = 10_000


class OpenSessions:
    """The sessions that this process has already counted. Safe to share between threads.

    It sees one process: a container that two processes use is counted in both.
    """

    def __init__(self) -> None:
        self._ends: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def charge(self, reading: Reading, started_at: int) -> Reading:
        """The reading with only those sessions counted that open with this call (Unix nanoseconds)."""
        if not reading.sessions:
            return reading
        with self._lock:
            opened = [session for session in reading.sessions if self._opens(session, started_at)]
        quantities = dict(reading.usage.items())
        quantities["code_sessions"] = len(opened)
        return reading._replace(usage=Usage(quantities), sessions=tuple(opened))

    def _opens(self, session: str, moment: int) -> bool:
        end = self._ends.get(session)
        if end is not None and end - WINDOW <= moment < end:
            return False
        self._ends[session] = moment + WINDOW
        self._ends.move_to_end(session)
        if len(self._ends) > MOST:
            self._ends.popitem(last=False)
        return True
