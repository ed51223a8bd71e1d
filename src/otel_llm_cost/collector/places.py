"""Where the collector keeps what is its own."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from otel_llm_cost.sinks.dsn import Embedded, Location

DATA_FOLDER = Path(".local/share/otel-llm-cost")
"""Below the user's home."""


def spool_folder(setting: str, store: Location) -> Path:
    """The spool: where the setting says, else beside an embedded ledger, else below the user's home.

    Two ledgers never share a spool, so a server's has its address and database in the name.
    """
    if setting:
        return Path(setting)
    if isinstance(store, Embedded):
        if store.folder is None:
            return Path(tempfile.mkdtemp(prefix="otel-llm-cost-spool-"))
        return store.folder.resolve().parent / "spool"
    name = f"{store.host}:{store.port}/{store.database}"
    return Path.home() / DATA_FOLDER / f"spool-{store.host}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
