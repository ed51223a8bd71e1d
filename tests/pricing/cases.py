"""The priced cases, public and our own, and how a test gets a call from one."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures" / "pricing"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
ATTO = 10**18


def load(name: str) -> list[dict[str, Any]]:
    """The cases of a fixture file."""
    text = (FIXTURES / name).read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = json.loads(text, parse_float=Decimal)["cases"]
    return cases


PUBLIC = load("cases.json")
OWN = load("own_cases.json")
EVERY = [*PUBLIC, *OWN]
IDS = [case["id"] for case in EVERY]


def by_hand(derivation: str) -> Fraction:
    """`10*2.5/1000000 + …` in exact fractions, each term rounded half-even at 1e-18: our rule anew."""
    total = 0
    for term in derivation.split(" + "):
        value = Fraction(1)
        for factor in term.split("*"):
            top, *bottoms = factor.split("/")
            value *= Fraction(top)
            for bottom in bottoms:
                value /= Fraction(bottom)
        total += round(value * ATTO)  # Python rounds a Fraction half to even
    return Fraction(total, ATTO)
