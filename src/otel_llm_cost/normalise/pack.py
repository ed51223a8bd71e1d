"""Pack the tables' YAML into the JSON that an app reads: `python -m otel_llm_cost.normalise.pack`."""

from __future__ import annotations

import json
from pathlib import Path

from otel_llm_cost.marked_yaml import read_mapping
from otel_llm_cost.normalise.tables import PACKED

FOLDER = Path(__file__).parent
FILES = ("names", "emitters")


def packed() -> str:
    """The JSON that belongs to the YAML. Raises ConfigError for a key that is there twice."""
    tables = {name: read_mapping(FOLDER / f"{name}.yaml")[0] for name in FILES}
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (FOLDER / PACKED).write_text(packed(), encoding="utf-8")
