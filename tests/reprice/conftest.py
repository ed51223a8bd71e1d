"""The engine, shared by this folder's tests."""

from __future__ import annotations

from ledger_store import ledger, ledger_folder, new_ledger

__all__ = ["ledger", "ledger_folder", "new_ledger"]
