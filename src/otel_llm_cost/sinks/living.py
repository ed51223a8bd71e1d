"""The collector that owns an embedded ledger, as the file beside the ledger's folder tells it.

Only one process can open a chDB folder (design D8). The collector writes `collector.json` there; others ask
it instead of opening the folder. A file whose process is gone, or that speaks of another folder, is stale.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "collector.json"


@dataclass(frozen=True, slots=True)
class Living:
    """A collector that lives: its process, the base URL of its queries, and the token that they need."""

    pid: int
    url: str
    token: str = field(repr=False)


def file_beside(folder: Path) -> Path:
    """Where the collector of a ledger's folder announces itself."""
    return folder.resolve().parent / FILE


def new_token() -> str:
    """A secret that only who can read the file knows."""
    return secrets.token_urlsafe(24)


def announce(folder: Path, url: str, token: str) -> Path:
    """Say that this process owns the ledger in `folder`. Written whole, readable by its owner only."""
    target = file_beside(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    what = {"pid": os.getpid(), "url": url, "token": token, "store": str(folder.resolve())}
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{FILE}")  # mode 0600 by itself
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(what, file)
    Path(name).replace(target)
    return target


def withdraw(folder: Path) -> None:
    """Take back our own announcement; another process's stays."""
    found = _read(folder)
    if found is not None and found["pid"] == os.getpid():
        file_beside(folder).unlink(missing_ok=True)


def find(folder: Path) -> Living | None:
    """The collector that owns this folder; None when there is none, or when the file is stale."""
    found = _read(folder)
    if found is None or found["pid"] == os.getpid() or not _is_alive(found["pid"]):
        return None
    return Living(found["pid"], str(found["url"]).rstrip("/"), str(found["token"]))


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file_beside(folder).read_text(encoding="utf-8"))
        if isinstance(found["pid"], int) and found["url"] and found["token"]:
            return found if found["store"] == str(folder.resolve()) else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, and someone else's
        return True
    return True
