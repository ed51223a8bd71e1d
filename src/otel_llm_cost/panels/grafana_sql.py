"""A named query as the text that Grafana's ClickHouse data source runs: macros and variables for parameters.

Macros and their meaning: https://github.com/grafana/clickhouse-datasource (pkg/macros, read 2026-11-24).
Only macros of its backend are used, so that alert rules can run the same text.

A tag value is anybody's text. In a variable it is percent-encoded (and a double hyphen too, since the data
source strips SQL comments), so it can neither end the literal it stands in nor be taken for a macro.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from otel_llm_cost.ledger.ddl import literal
from otel_llm_cost.ledger.queries import QUERIES, Bound, bind
from otel_llm_cost.panels.filters import CHOSEN_TAG, FILTERS, UNTAGGED, Filter
from otel_llm_cost.panels.panel import Column, Panel

MOST_SERIES: Final = 8
"""Series drawn on their own in one picture; the rest is summed, since more cannot be told apart."""
OTHERS: Final = "all others"
MOST_VALUES: Final = 1_000
"""Values offered in a variable's list, by spend; any other can be typed."""

_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w+):((?:[^{}'\\]|'[^']*')+)\}")
_CONDITION = re.compile(r"AND (.+) IN \{(\w+):Array\(String\)\}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parameter's value that only Grafana knows, as SQL with macros or variables."""

    sql: str

    def __str__(self) -> str:
        return self.sql


_ANY_INSTANT: Final = "2026-01-01T00:00:00Z"
KNOWN_TO_GRAFANA: Final[dict[str, Expression]] = {
    "since": Expression("$__fromTime_ms"),
    "until": Expression("$__toTime_ms"),
    "step": Expression("greatest($__interval_s, 60)"),
}
"""Parameters that every panel has from its surroundings."""
_TAG: Final = Expression("decodeURLComponent(${tag:singlequote})")


def panel_sql(panel: Panel, filters: Sequence[Filter] = tuple(FILTERS.values())) -> str:
    """The statement of a panel, narrowed by the dashboard's variables and shaped for its picture."""
    bound = bind(panel.query, _params(panel, filters))
    shape = _SHAPES[panel.picture]
    return shape(panel, sql_text(bound, filters), _names_in(bound, panel))


def plain_sql(query: str, params: Mapping[str, Any] | None = None) -> str:
    """The statement of a query over Grafana's time range, without variables, as alert rules need it."""
    range_ = {"since": _ANY_INSTANT, "until": _ANY_INSTANT, "step": 60}
    accepted = QUERIES[query].params
    around = {name: value for name, value in range_.items() if name in accepted}
    return sql_text(bind(query, {**around, **(params or {})}), ())


def values_sql(chosen: Filter) -> str:
    """The values of a variable and how each is shown, the largest spend first."""
    range_ = {"since": _ANY_INSTANT, "until": _ANY_INSTANT}
    bound = bind("spend_by", {**range_, "by": [chosen.key], "limit": MOST_VALUES})
    return _options(sql_text(bound, ()), "k0")


def tags_sql() -> str:
    """The keys of free tags, the one that most calls carry first."""
    return _options(plain_sql("tag_keys"), "tag")


def _options(sql: str, name: str) -> str:
    """Value and text of a variable's list, in this order, as the data source wants them."""
    return f"SELECT {encoded(name)} AS value, substringUTF8({_shown(name)}, 1, 80) AS text\nFROM\n(\n{sql}\n)"


def encoded(name: str) -> str:
    """A column as the value of a variable: no character of it means anything to SQL or to a macro."""
    text = f"replaceAll(encodeURLComponent({name}), repeat('-', 2), '%2D%2D')"
    return f"if({name} = '', '{UNTAGGED}', {text})"


def _chosen(variable: Filter) -> str:
    """The values of a variable as an array; none when it stands on All."""
    return (
        f"arrayMap(x -> if(x = '{UNTAGGED}', '', decodeURLComponent(x)), "
        f"arrayFilter(x -> x != '', [${{{variable.name}:singlequote}}]))"
    )


def _params(panel: Panel, filters: Sequence[Filter]) -> dict[str, Any]:
    around: dict[str, Any] = {
        "since": _ANY_INSTANT,
        "until": _ANY_INSTANT,
        "step": 60,
        "filters": {each.key: [_chosen(each)] for each in filters},
    }
    accepted = QUERIES[panel.query].params
    return {**{name: value for name, value in around.items() if name in accepted}, **panel.params}


def sql_text(bound: Bound, filters: Sequence[Filter]) -> str:
    """A bound statement without parameters: each is a literal, or what Grafana puts in its place."""
    variables = {_chosen(each) for each in filters}

    def condition(match: re.Match[str]) -> str:
        expression, name = match.groups()
        value = bound.params[name]
        if len(value) == 1 and value[0] in variables:
            return f"AND (empty({value[0]}) OR has({value[0]}, {expression}))"
        return match.group()

    def placeholder(match: re.Match[str]) -> str:
        name, type_ = match.groups()
        value = KNOWN_TO_GRAFANA.get(name) or bound.params[name]
        if isinstance(value, int):
            return str(value)
        return f"CAST({_literal(value)}, {literal(type_)})"

    return _PLACEHOLDER.sub(placeholder, _CONDITION.sub(condition, bound.sql))


def _literal(value: Any) -> str:
    if value == CHOSEN_TAG:
        return str(_TAG)
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, bool | int | float | Decimal | Expression):
        return str(value)
    return f"[{', '.join(_literal(each) for each in value)}]"


def _names_in(bound: Bound, panel: Panel) -> dict[str, str]:
    """Result column → its name inside the statement, where keys are numbered."""
    keys = list(panel.params.get("by", ()))
    return {name: f"k{keys.index(name)}" if name in keys else name for name in bound.columns}


def _shown(name: str) -> str:
    return f"if({name} = '', '{UNTAGGED}', {name})"


def _table(panel: Panel, sql: str, names: Mapping[str, str]) -> str:
    selected = []
    for column in panel.columns:
        inner = names[column.name]
        if column.drill:
            selected.append(f"{_shown(inner)} AS `{column.name}`")
            selected.append(f"{encoded(inner)} AS `{link_column(column)}`")
        else:
            selected.append(inner if inner == column.name else f"{inner} AS `{column.name}`")
    return f"SELECT {', '.join(selected)}\nFROM\n(\n{sql}\n)"


def link_column(column: Column) -> str:
    """The hidden column that holds a value as its variable wants it."""
    return f"{column.name}_link"


def _stat(panel: Panel, sql: str, names: Mapping[str, str]) -> str:
    chosen = ", ".join(f"{names[column.name]} AS `{column.name}`" for column in panel.columns)
    return f"SELECT {chosen}\nFROM\n(\n{sql}\n)"


def _series(panel: Panel, sql: str, names: Mapping[str, str]) -> str:
    """Time, rank and label as texts (they become the series' labels), and the value.

    A query by hour is summed over the picture's step, and over the labels beyond the largest few. A query
    that takes the step itself has its value per step already, and no sum of it would mean anything.
    """
    time, *labels = panel.columns[:-1]
    value = panel.value.name
    if "step" in _query_params(panel):
        chosen = [f"{names[time.name]} AS time"]
        for label in (names[column.name] for column in labels):
            chosen += [
                f"toString(dense_rank() OVER (ORDER BY {label})) AS rank",
                f"{_shown(label)} AS series",
            ]
        chosen.append(f"{names[value]} AS `{value}`")
        return f"SELECT {', '.join(chosen)}\nFROM\n(\n{sql}\n)\nORDER BY time"
    start = f"toStartOfInterval({names[time.name]}, toIntervalSecond(greatest($__interval_s, 3600)), 'UTC')"
    if not labels:
        summed = f"{start} AS time, sum({names[value]}) AS `{value}`"
        return f"SELECT {summed}\nFROM\n(\n{sql}\n)\nGROUP BY time\nORDER BY time"
    label = labels[0].name
    totals = f"SELECT *, sum({names[value]}) OVER (PARTITION BY {names[label]}) AS total FROM\n(\n{sql}\n)"
    ranked = f"SELECT *, dense_rank() OVER (ORDER BY total DESC, {names[label]}) AS place FROM\n({totals})"
    return (
        f"SELECT {start} AS time, toString(least(place, {MOST_SERIES + 1})) AS rank, "
        f"if(place > {MOST_SERIES}, '{OTHERS}', {_shown(names[label])}) AS series, "
        f"sum({names[value]}) AS `{value}`\n"
        f"FROM\n({ranked})\nGROUP BY time, rank, series\nORDER BY time, rank"
    )


def _query_params(panel: Panel) -> Mapping[str, str]:
    return QUERIES[panel.query].params


_SHAPES: Final[dict[str, Callable[[Panel, str, Mapping[str, str]], str]]] = {
    "table": _table,
    "stat": _stat,
    "series": _series,
}
