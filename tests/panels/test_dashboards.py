"""The generated dashboards: sound JSON that is the same every time, and the command that writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from otel_llm_cost.cli.dashboards import dashboards as command
from otel_llm_cost.panels.dashboards import DASHBOARDS
from otel_llm_cost.panels.generated import FILES, readme_tables
from otel_llm_cost.panels.grafana import PLUGIN, render
from otel_llm_cost.panels.panel import Column, Dashboard, Panel, Row

ROOT = Path(__file__).parents[2]
every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def test_the_files_in_the_repository_are_the_ones_the_panels_give() -> None:
    for name, make in FILES.items():
        assert (ROOT / "dashboards" / name).read_text("utf-8") == make(), "run `make golden`"
    folder = ROOT / "dashboards"
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    assert on_disk == set(FILES), "a file that no panel gives"


def test_the_readme_lists_every_dashboard_and_rule() -> None:
    lines = (ROOT / "dashboards/README.md").read_text("utf-8").splitlines()
    for name, expected in readme_tables().items():
        start, end = lines.index(f"<!-- {name}:start -->"), lines.index(f"<!-- {name}:end -->")
        assert lines[start + 1 : end] == expected


def test_uids_and_titles_are_unique() -> None:
    assert (
        len({each.uid for each in DASHBOARDS}) == len({each.title for each in DASHBOARDS}) == len(DASHBOARDS)
    )
    assert all(len(each.uid) <= 40 for each in DASHBOARDS), "Grafana's limit"


@every_dashboard
def test_panel_ids_are_unique_and_panels_do_not_overlap(dashboard: Dashboard) -> None:
    panels = render(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: dict[tuple[int, int], str] = {}
    for panel in panels:
        position = panel["gridPos"]
        assert position["x"] + position["w"] <= 24
        for x in range(position["x"], position["x"] + position["w"]):
            for y in range(position["y"], position["y"] + position["h"]):
                assert (x, y) not in cells, f"{panel['title']} lies on {cells.get((x, y))}"
                cells[x, y] = panel["title"]


@every_dashboard
def test_every_query_goes_to_the_chosen_datasource_and_time_range(dashboard: Dashboard) -> None:
    model = render(dashboard)
    for panel in model["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == panel["datasource"] == {"type": PLUGIN, "uid": "${datasource}"}
            assert "$__toTime_ms" in target["rawSql"]
            sql = target["rawSql"].replace("${", "$")
            assert not re.search(r"20\d\d-\d\d-\d\d|\bnow\(|\{\w+:\w", sql), "a fixed time or a parameter"
    assert model["time"]["to"] == "now"


@every_dashboard
def test_every_panel_says_what_it_answers_and_what_to_do_when_it_is_empty(dashboard: Dashboard) -> None:
    for panel in render(dashboard)["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith("?")
            assert panel["fieldConfig"]["defaults"]["noValue"].endswith(".")


@every_dashboard
def test_every_variable_in_use_is_defined(dashboard: Dashboard) -> None:
    model = render(dashboard)
    defined = {variable["name"] for variable in model["templating"]["list"]}
    used = {name for text in strings(model) for name in re.findall(r"\$\{(\w+)(?::\w+)?\}", text)}
    assert {name for name in used if not name.startswith("__")} <= defined


@every_dashboard
def test_a_dashboard_is_the_same_text_every_time(dashboard: Dashboard) -> None:
    text = FILES[f"generated/{dashboard.name}.json"]()
    assert text == FILES[f"generated/{dashboard.name}.json"]()
    assert json.loads(text) == render(dashboard)


def test_check_lists_what_differs_and_build_mends_it(tmp_path: Path) -> None:
    runner, folder = CliRunner(), ["--folder", str(tmp_path)]
    missing = runner.invoke(command, ["check", *folder])
    assert missing.exit_code == 1
    assert missing.stdout.splitlines() == [f"{tmp_path}/{name}: missing" for name in FILES]
    assert "dashboards build" in missing.stderr

    assert runner.invoke(command, ["build", *folder]).exit_code == 0
    assert runner.invoke(command, ["check", *folder]).exit_code == 0

    first = next(iter(FILES))
    (tmp_path / first).write_text("{}")
    changed = runner.invoke(command, ["check", *folder])
    assert (changed.exit_code, changed.stdout) == (
        1,
        f"{tmp_path}/{first}: differs from the panels\n",
    )
    assert runner.invoke(command, ["build", *folder]).stdout == f"{tmp_path}/{first}\n"


def test_a_panel_that_names_nothing_known_is_refused() -> None:
    good = {
        "title": "T",
        "question": "Q?",
        "query": "spend_by",
        "picture": "stat",
        "columns": (Column("calls", "C"),),
    }
    for wrong, said in (
        ({"query": "nonsense"}, "names no query"),
        ({"columns": ()}, "shows no column"),
        ({"question": "Q"}, "answers no question"),
    ):
        with pytest.raises(ValueError, match=said):
            Panel(**{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown unit"):
        Column("calls", "Calls", "furlongs")
    with pytest.raises(ValueError, match="unknown filter"):
        Column("calls", "Calls", drill="nothing")
    assert Row("R", (Panel(**good),)).panels  # type: ignore[arg-type]
