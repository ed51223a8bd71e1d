"""Dashboards as the JSON that Grafana provisions. Deterministic: the same panels give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from otel_llm_cost.panels.filters import FILTERS, Filter
from otel_llm_cost.panels.grafana_sql import (
    MOST_SERIES,
    link_column,
    panel_sql,
    plain_sql,
    tags_sql,
    values_sql,
)
from otel_llm_cost.panels.panel import Column, Dashboard, Level, Panel
from otel_llm_cost.panels.units import UNITS

SCHEMA_VERSION: Final = 41
"""Of Grafana 12; a newer Grafana migrates it when it loads it, an older one could not read a newer one."""
PLUGIN: Final = "grafana-clickhouse-datasource"
DATASOURCE: Final = {"type": PLUGIN, "uid": "${datasource}"}
TAG: Final = "llm-cost"
GRID_WIDTH: Final = 24

COLOURS: Final[dict[Level, str]] = {
    "good": "#009E73",
    "notice": "#56B4E9",
    "warning": "#E69F00",
    "bad": "#D55E00",
}
SERIES_COLOURS: Final = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"),
    "#5F6B7A",
)
"""Okabe and Ito's colours by rank, which people with any colour vision can tell apart, and grey for the rest
(https://jfly.uni-koeln.de/color/, read 2026-11-24)."""

TRACE_LINK: Final = (
    "/explore?schemaVersion=1&orgId=1&panes="
    '{"trace":{"datasource":"${traces}","queries":[{"refId":"A","query":"${__value.raw}"}],'
    '"range":{"from":"${__from}","to":"${__to}"}}}'
)


def render(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    return {
        "uid": dashboard.uid,
        "title": f"LLM cost: {dashboard.title}",
        "description": dashboard.question,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": dashboard.since, "to": "now"},
        "refresh": "5m",
        "annotations": {"list": [_price_changes()]},
        "links": [_link_between_dashboards()],
        "templating": {"list": list(_variables())},
        "panels": list(_panels(dashboard)),
    }


def text(dashboard: Dashboard) -> str:
    """The dashboard as the file that is provisioned."""
    return json.dumps(render(dashboard), indent=2, ensure_ascii=False) + "\n"


def _price_changes() -> dict[str, Any]:
    """A mark where another price began to apply, so that a step in cost can be told from a step in use."""
    sql = plain_sql("price_changes")
    return {
        "name": "Price changes",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": COLOURS["notice"],
        "target": {"refId": "Anno", "editorType": "sql", "format": 1, "queryType": "table", "rawSql": sql},
    }


def _link_between_dashboards() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "LLM cost",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "icon": "external link",
        "targetBlank": False,
    }


def _variables() -> Iterable[dict[str, Any]]:
    yield _datasource_variable("datasource", "Ledger", PLUGIN, hide=0)
    for each in FILTERS.values():
        if each.name == "tag_value":
            yield _tag_variable()
        yield _filter_variable(each)
    yield _datasource_variable("traces", "Traces", "tempo", hide=0)


def _datasource_variable(name: str, label: str, plugin: str, hide: int) -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": name,
        "label": label,
        "query": plugin,
        "hide": hide,
        "multi": False,
        "includeAll": False,
        "refresh": 1,
    }


def _filter_variable(each: Filter) -> dict[str, Any]:
    return {
        **_query_variable(each.name, each.title, values_sql(each)),
        "multi": True,
        "includeAll": True,
        # An empty text: no value is chosen, so every value is wanted, those beyond the list's end too.
        "allValue": "''",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _tag_variable() -> dict[str, Any]:
    return {
        **_query_variable("tag", "Tag", tags_sql()),
        "multi": False,
        "includeAll": False,
        "current": {"text": "", "value": ""},
    }


def _query_variable(name: str, label: str, sql: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": sql,
        "definition": f"values of {label.lower()} in the time range, largest spend first",
        "refresh": 2,  # when the time range changes
        "regex": "",
        "sort": 0,  # as the query says
        "hide": 0,
        "allowCustomValue": True,
    }


def _panels(dashboard: Dashboard) -> Iterable[dict[str, Any]]:
    number, top = 1, 0
    for row in dashboard.rows:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": GRID_WIDTH, "h": 1},
            "panels": [],
        }
        number, top = number + 1, top + 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > GRID_WIDTH:
                left, top, tallest = 0, top + tallest, 0
            position = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield _panel(panel, number, position)
            number, left, tallest = number + 1, left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    kind, options, custom = _PICTURES[panel.picture](panel)
    unit = UNITS[panel.value.unit]
    defaults: dict[str, Any] = {
        "unit": unit.grafana,
        "noValue": panel.empty,
        "custom": custom,
        "color": {"mode": "thresholds" if panel.thresholds else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
    }
    if unit.decimals is not None:
        defaults["decimals"] = unit.decimals
    if panel.picture == "series" and len(panel.columns) > 2:
        defaults["displayName"] = "${__field.labels.series}"
    return {
        "id": number,
        "type": kind,
        "title": panel.title,
        "description": panel.question,
        "datasource": DATASOURCE,
        "gridPos": position,
        "targets": [_target(panel)],
        "interval": "1h" if panel.picture == "series" and "by" in panel.params else "1m",
        "maxDataPoints": 60 if panel.stacked else 300,
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": list(_overrides(panel))},
    }


def _target(panel: Panel) -> dict[str, Any]:
    return {
        "refId": "A",
        "datasource": DATASOURCE,
        "editorType": "sql",
        "format": 0 if panel.picture == "series" else 1,
        "queryType": "timeseries" if panel.picture == "series" else "table",
        "rawSql": panel_sql(panel),
    }


def _steps(panel: Panel) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [
        {"color": "text" if panel.picture == "stat" else "transparent", "value": None}
    ]
    steps += [{"color": COLOURS[each.level], "value": each.value} for each in panel.thresholds]
    return steps


def _overrides(panel: Panel) -> Iterable[dict[str, Any]]:
    if panel.picture == "table" or (panel.picture == "stat" and len(panel.columns) > 1):
        for column in panel.columns:
            yield from _column_overrides(column)
    elif panel.picture == "series" and len(panel.columns) > 2:
        for rank, colour in enumerate(SERIES_COLOURS[: MOST_SERIES + 1], start=1):
            yield {
                "matcher": {"id": "byRegexp", "options": f'/rank="{rank}"/'},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }


def _column_overrides(column: Column) -> Iterable[dict[str, Any]]:
    unit = UNITS[column.unit]
    properties: list[dict[str, Any]] = [{"id": "displayName", "value": column.title}]
    if unit.grafana != "string":
        properties.append({"id": "unit", "value": unit.grafana})
    if unit.decimals is not None:
        properties.append({"id": "decimals", "value": unit.decimals})
    if column.bar:
        gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        properties.append({"id": "custom.cellOptions", "value": gauge})
        properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": SERIES_COLOURS[0]}})
        properties.append({"id": "min", "value": 0})
    if column.drill:
        properties.append({"id": "links", "value": [_drill(column)]})
    if column.trace:
        properties.append({"id": "links", "value": [{"title": "Show the trace", "url": TRACE_LINK}]})
    yield {"matcher": {"id": "byName", "options": column.name}, "properties": properties}
    if column.drill:
        yield {
            "matcher": {"id": "byName", "options": link_column(column)},
            "properties": [{"id": "custom.hidden", "value": True}],
        }


def _drill(column: Column) -> dict[str, Any]:
    """Narrow this dashboard to the value that was clicked; the other filters and the time range stay."""
    others = "".join(f"&${{{name}:queryparam}}" for name in FILTERS if name != column.drill)
    value = f'${{__data.fields["{link_column(column)}"]:percentencode}}'
    here = "/d/${__dashboard.uid}?${__url_time_range}"
    return {
        "title": f"Only this {FILTERS[column.drill].title.lower()}",
        "url": f"{here}{others}&${{tag:queryparam}}&var-{column.drill}={value}",
    }


def _stat(panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False},
        "textMode": "value" if len(panel.columns) == 1 else "value_and_name",
        "colorMode": "value" if panel.thresholds else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
    }
    return "stat", options, {}


def _series(panel: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    options = {
        "legend": {
            "displayMode": "table" if len(panel.columns) > 2 else "hidden",
            "placement": "right",
            "showLegend": len(panel.columns) > 2,
            "calcs": ["sum"] if panel.stacked else ["mean"],
            "sortBy": "Total" if panel.stacked else "Mean",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
    }
    custom = {
        "drawStyle": "bars" if panel.stacked else "line",
        "fillOpacity": 85 if panel.stacked else 8,
        "lineWidth": 1 if panel.stacked else 2,
        "barAlignment": 1,
        "barWidthFactor": 0.8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "axisSoftMin": 0,
    }
    return "timeseries", options, custom


def _table(_: Panel) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return (
        "table",
        {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        {"align": "auto", "filterable": True, "inspect": True},
    )


_PICTURES: Final = {"stat": _stat, "series": _series, "table": _table}
