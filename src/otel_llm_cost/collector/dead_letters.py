"""What could not be booked: one JSON line each, with the reason, so that it is neither lost nor in the way.

Only names and numbers are kept, never texts that may hold a prompt (design D14).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_llm_cost.normalise import Emitted

FILE = "dead-letters.jsonl"
SAFE_PREFIXES = (
    "gen_ai.usage.",
    "gen_ai.request.model",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm_cost.",
    "llm.token_count.",
)
MAX_TEXT = 200


class DeadLetters:
    """The dead-letter file of one collector."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE

    def bury(self, emitted: Emitted, reason: str) -> None:
        """Append one."""
        self._write(
            {
                "reason": reason[:1_000],
                "signal": "record" if emitted.is_record else "span",
                "name": emitted.name[:MAX_TEXT],
                "scope": emitted.scope[:MAX_TEXT],
                "trace_id": emitted.trace_id,
                "span_id": emitted.span_id,
                "attributes": safe(emitted.attributes),
            }
        )

    def bury_row(self, row: Mapping[str, Any], reason: str) -> None:
        """Append a row that the ledger refuses."""
        self._write({"reason": reason[:1_000], "signal": "row", "row": safe_row(row)})

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry}, default=str)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def safe(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that are names, ids and counts."""
    return {name: _short(value) for name, value in attributes.items() if name.startswith(SAFE_PREFIXES)}


def safe_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values, shortened. A row holds no prompt to begin with."""
    return {name: _short(value) for name, value in row.items()}


def _short(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else str(value)[:MAX_TEXT]
