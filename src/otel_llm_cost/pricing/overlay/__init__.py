"""Our own price facts: what genai-prices lacks or has wrong, each with its source and the day it was checked.

`source` is who publishes a fact. `checked` is the day when someone looked, at `read_from` where that is not
the source itself (a file may give it once for all entries). `confidence: low` is said where a price is shown.

The YAML files beside this one are written by hand; `overlay.json` is packed from them
(`python -m otel_llm_cost.pricing.pack`), so that an app needs no YAML reader.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import resources

from otel_llm_cost.pricing.facts import Facts
from otel_llm_cost.pricing.facts_file import parse
from otel_llm_cost.pricing.fields import Place

PACKED = "overlay.json"


@lru_cache(maxsize=1)
def overlay() -> tuple[Facts, str]:
    """The packed facts and a short digest of them."""
    text = (resources.files(__package__) / PACKED).read_text(encoding="utf-8")
    facts = Facts()
    for file, values in json.loads(text).items():
        facts += parse(values, Place(file, {}), "overlay")
    return facts, hashlib.sha256(text.encode()).hexdigest()[:8]
