"""Who has an embedded ledger open: the engine holds a lock on a file in the folder, and writes who it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

FILE = "status"
"""Made by the engine (ClickHouse's StatusFile) while the folder is open, with `PID: n` in it."""


def holder(folder: Path) -> int | None:
    """Process id of another process that has the folder open; 0 when it cannot be told; None for nobody.

    Asking first saves starting an engine that will fail, and that writes to standard error by itself.
    """
    if sys.platform == "win32":  # the engine does not exist there
        return None
    import fcntl

    try:
        with (folder / FILE).open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found = re.search(rb"PID: (\d+)", file.read())
                return int(found[1]) if found else 0
    except OSError:
        pass
    return None
