"""Pack the overlay's YAML into the JSON that an app reads: `python -m otel_llm_cost.pricing.pack`."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from otel_llm_cost.marked_yaml import read_mapping
from otel_llm_cost.pricing.facts_file import parse
from otel_llm_cost.pricing.fields import Place
from otel_llm_cost.pricing.overlay import PACKED

FOLDER = Path(__file__).parent / "overlay"
UNDATED = ("source", "checked")


def packed() -> str:
    """The JSON that belongs to the YAML. Raises ConfigError for a wrong entry or one without a source."""
    files: dict[str, Any] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        values, lines = read_mapping(file)
        place = Place(file.name, lines)
        parse(values, place, "overlay")
        for section in ("prices", "rules", "aliases"):
            for index, entry in enumerate(values.get(section, ())):
                for key in UNDATED:
                    if not entry.get(key):
                        raise place.at(section, index).wrong(
                            f"expected `{key}:`: every fact says where it is from"
                        )
        files[file.name] = values
    return json.dumps(files, default=_plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{value!r} cannot be packed")


if __name__ == "__main__":
    (FOLDER / PACKED).write_text(packed(), encoding="utf-8")
