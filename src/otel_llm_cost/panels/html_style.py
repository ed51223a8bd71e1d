"""The style sheet of our HTML, and what the charts must know of it."""

from __future__ import annotations

from importlib import resources
from typing import Final

SERIES_COLOURS: Final = 6
"""How many series have a colour of their own (`s0` to `s5`); the rest is drawn together, in grey."""

STYLE: Final = resources.files(__package__).joinpath("report.css").read_text("utf-8")
