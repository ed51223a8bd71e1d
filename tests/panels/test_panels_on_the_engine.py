"""Every panel and every variable, as Grafana would run it, on the real engine."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from otel_llm_cost.panels.dashboards import DASHBOARDS
from otel_llm_cost.panels.filters import FILTERS, UNTAGGED
from otel_llm_cost.panels.grafana import render
from otel_llm_cost.panels.grafana_sql import encoded
from otel_llm_cost.panels.panel import Panel

from .conftest import NASTY, NOW, Book, Engine
from .grafana import expand

PANELS = [
    pytest.param(dashboard.name, panel, id=f"{dashboard.name}: {panel.title}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
]
SINCE = NOW - timedelta(days=30)


def target(dashboard: str, panel: Panel) -> dict[str, Any]:
    (found,) = (each for each in DASHBOARDS if each.name == dashboard)
    (drawn,) = (
        each for each in render(found)["panels"] if each["title"] == panel.title and each["type"] != "row"
    )
    return drawn


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_runs_on_a_full_ledger_and_gives_its_columns(
    dashboard: str, panel: Panel, full: Engine
) -> None:
    sql = target(dashboard, panel)["targets"][0]["rawSql"]
    rows = full.run(expand(sql, SINCE, NOW))
    wanted = {panel.value.name} if panel.picture == "series" else {column.name for column in panel.columns}
    assert rows
    assert wanted <= rows[0].keys()
    if panel.picture == "series":
        assert "time" in rows[0]
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_runs_on_an_empty_ledger_without_a_misleading_number(
    dashboard: str, panel: Panel, empty: Engine
) -> None:
    sql = target(dashboard, panel)["targets"][0]["rawSql"]
    rows = empty.run(expand(sql, SINCE, NOW))
    if panel.picture != "stat":
        assert rows == []
    amounts = [column.name for column in panel.columns if column.unit in ("usd", "share", "seconds")]
    assert all(row[name] is None for row in rows for name in amounts)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_runs_with_every_filter_set_to_a_value_full_of_syntax(
    dashboard: str, panel: Panel, full: Engine
) -> None:
    value = full.run(f"SELECT {encoded('x')} AS v FROM (SELECT unhex('{NASTY.encode().hex()}') AS x)")[0]["v"]
    variables = {name: [value, UNTAGGED] for name in FILTERS} | {"tag": value}
    sql = target(dashboard, panel)["targets"][0]["rawSql"]
    full.run(expand(sql, SINCE, NOW, variables=variables))


@pytest.mark.parametrize("name", [*FILTERS, "tag"])
def test_a_variable_lists_values_that_find_their_own_calls(name: str, full: Engine, book: Book) -> None:
    (variable,) = (each for each in render(DASHBOARDS[0])["templating"]["list"] if each["name"] == name)
    options = full.run(expand(variable["query"], SINCE, NOW, variables={"tag": "tier"}))
    assert options
    assert list(options[0]) == ["value", "text"]
    assert all(each["value"] and each["text"] for each in options)


def test_price_changes_are_marked_with_a_time_and_a_text(full: Engine) -> None:
    (marks,) = render(DASHBOARDS[0])["annotations"]["list"]
    rows = full.run(expand(marks["target"]["rawSql"], SINCE, NOW))
    assert rows
    assert list(rows[0]) == ["time", "text"]


def test_choosing_teams_gives_the_plain_sum_of_their_calls(full: Engine, book: Book) -> None:
    spend = (
        DASHBOARDS[0] if DASHBOARDS[0].name == "spend" else next(d for d in DASHBOARDS if d.name == "spend")
    )
    stat = next(panel for panel in spend.panels if panel.title == "Effective cost")
    sql = target("spend", stat)["targets"][0]["rawSql"]
    (team,) = (each for each in render(spend)["templating"]["list"] if each["name"] == "team")
    since = NOW - timedelta(days=400)
    options = {each["text"]: each["value"] for each in full.run(expand(team["query"], since, NOW))}

    def shown(*names: str) -> Decimal:
        variables = {"team": [options[name] for name in names]}
        return full.run(expand(sql, since, NOW, variables=variables))[0]["effective_cost"]

    assert shown("search") == book.cost(team="search")
    assert shown(UNTAGGED) == book.cost(team="")
    assert shown(NASTY) == book.cost(team=NASTY)
    assert shown(NASTY, "support") == book.cost(team=NASTY) + book.cost(team="support")
    assert full.run(expand(sql, since, NOW))[0]["effective_cost"] == book.cost()


def test_a_series_keeps_the_whole_cost_when_it_sums_small_ones_together(full: Engine, book: Book) -> None:
    spend = next(d for d in DASHBOARDS if d.name == "spend")
    panel = next(panel for panel in spend.panels if panel.title == "Effective cost by model")
    sql = target("spend", panel)["targets"][0]["rawSql"]
    rows = full.run(expand(sql, NOW - timedelta(days=400), NOW, interval_s=86_400))
    assert sum(row["effective_cost"] for row in rows if row["effective_cost"] is not None) == book.cost()
    assert len({row["series"] for row in rows}) == 9
    assert {row["time"].hour for row in rows} == {0}
