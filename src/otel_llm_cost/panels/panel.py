"""What a panel and a dashboard are: one definition, from which Grafana, the page and the report are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_llm_cost.ledger.queries import QUERIES
from otel_llm_cost.panels.filters import FILTERS
from otel_llm_cost.panels.units import UNITS

Picture = Literal["stat", "series", "table"]
"""stat: one row, its numbers in large, side by side. series: a time, at most one label, and a value over it.
table: the rows as they are, numbers with bars where that helps."""

Level = Literal["good", "notice", "warning", "bad"]
"""What a value means, in order of concern. Colour follows from it and never carries the meaning alone."""

NOTHING_HERE = "Nothing in this time range. Choose a longer one, or clear the filters."


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a panel's query.

    name: as in the query. title: its heading. unit: a name of `panels.units`. drill: the filter (a name of
    `panels.filters`) that a click on a value sets; an empty value is then shown as untagged. bar: drawn as a
    bar beside its number. trace: the value is a trace id.
    """

    name: str
    title: str
    unit: str = "text"
    drill: str = ""
    bar: bool = False
    trace: bool = False

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; the units are listed in panels/units.py")
        if self.drill and self.drill not in FILTERS:
            raise ValueError(f"unknown filter {self.drill!r}; the filters are listed in panels/filters.py")


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `value` on, in the panel's unit, the panel's value means `level`."""

    value: float
    level: Level


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture that answers one question.

    query: a name in `ledger.queries`, asked with `params` beside the reader's time range and filters.
    columns: what is shown of its result, in order; a series shows the last one over time. empty: what to do
    when there is nothing to show. width, height: in Grafana's grid of 24 columns. stacked: the series add up
    to a total that has a meaning.
    """

    title: str
    question: str
    query: str
    picture: Picture
    columns: tuple[Column, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    empty: str = NOTHING_HERE
    thresholds: tuple[Threshold, ...] = ()
    width: int = 12
    height: int = 9
    stacked: bool = False

    def __post_init__(self) -> None:
        if self.query not in QUERIES:
            raise ValueError(f"panel {self.title!r} names no query: {self.query!r}")
        if not self.columns:
            raise ValueError(f"panel {self.title!r} shows no column")
        if not self.question.endswith("?"):
            raise ValueError(f"panel {self.title!r} answers no question: {self.question!r}")

    @property
    def value(self) -> Column:
        """The column whose number the picture is about."""
        return self.columns[-1]


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it, laid out left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels. name: of its file. question: what a reader comes with. since: where its time range
    starts, in Grafana's words."""

    name: str
    title: str
    question: str
    rows: tuple[Row, ...]
    since: str = "now-30d"

    @property
    def uid(self) -> str:
        """Its stable address."""
        return f"llm-cost-{self.name}"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in reading order."""
        return tuple(panel for row in self.rows for panel in row.panels)
