"""`report`: the exact shape of its answers, and what people see."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import pytest

from ledger_store import SECOND, a_call, a_row, ns
from otel_llm_cost.cli import main
from otel_llm_cost.cli.options import read_moment
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Row
from otel_llm_cost.pricing import PriceList
from otel_llm_cost.sinks.clickhouse import ClickHouseSink

Run = Callable[..., tuple[int, str, str]]

SINCE = datetime.now(timezone.utc) - timedelta(days=2)
NUMBERS = [
    *("calls", "failed_attempts", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("effective_cost", "estimated_calls", "unpriced_calls"),
]


def rows() -> list[Row]:
    """Two days ago, one of everything that a report tells apart."""
    started = ns(SINCE) + 3600 * SECOND
    about: dict[str, Any] = {"started_at": started, "ended_at": started + SECOND}
    booked: dict[str, Any] = {"booked_at": started + 9 * SECOND, "service": "api"}

    def one(kind: dict[str, Any] | None = None, **more: Any) -> Row:
        return a_row(a_call(**{**about, **more}), **booked, **(kind or {}))

    return [
        one(tags={"team": "search", "tier": "gold"}, call_id="first"),
        one(tags={"team": "search"}, cost=Cost("estimated", 5 * 10**15)),
        one(tags={"team": "search"}, cost=Cost.unknown("no price for gpt-99"), request_model="gpt-99"),
        one(tags={"team": "search"}, usage=Usage(), error_type="rate_limit", cost=None),
        one(tags={"team": "search"}, usage=Usage(), denied_by="budget", cost=None),
        one({"kind": "duplicate", "duplicate_of": "first"}, tags={"team": "search"}),
        one(tags={}, usage=Usage(input_uncached=10, output=1)),
        one(tags={"team": "=cmd|'/c calc'!A1"}, cost=Cost.unknown("no price")),
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger in a folder of its own, filled by a process of its own."""
    dsn = f"chdb://{tmp_path_factory.mktemp('report')}/ledger"
    script = (
        "import sys; from ledger.test_report import rows\n"
        "from otel_llm_cost.sinks.clickhouse import ClickHouseSink\n"
        "with ClickHouseSink(sys.argv[1]) as sink:\n    sink.migrate(); sink.write(rows())"
    )
    subprocess.run(
        [sys.executable, "-c", script, dsn],
        check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )  # fmt: skip
    return dsn


@pytest.fixture
def run(store: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_(*arguments: str, at: str = store) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([*arguments, "--store", at])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run_


def test_the_json_has_exactly_the_promised_shape(run: Run) -> None:
    code, out, err = run("report", "--by", "team", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert list(answer) == ["rows", "total"]
    assert {row["team"]: row for row in answer["rows"]}.keys() == {"search", None, "=cmd|'/c calc'!A1"}
    assert all(list(row) == ["team", *NUMBERS] for row in answer["rows"])
    search = next(row for row in answer["rows"] if row["team"] == "search")
    assert search == {
        "team": "search",
        "calls": 3,
        "failed_attempts": 1,
        "input_tokens": 3600,
        "output_tokens": 540,
        "cache_read_tokens": 3072,
        "effective_cost": "0.00852",
        "estimated_calls": 1,
        "unpriced_calls": 1,
    }
    assert next(row for row in answer["rows"] if row["team"] == "=cmd|'/c calc'!A1")["effective_cost"] is None
    assert answer["total"] == {
        "calls": 5,
        "failed_attempts": 1,
        "input_tokens": 4810,
        "output_tokens": 721,
        "cache_read_tokens": 4096,
        "effective_cost": "0.008555",
        "estimated_calls": 1,
        "unpriced_calls": 2,
        "is_lower_bound": True,
    }


def test_format_json_is_the_same_as_json(run: Run) -> None:
    assert run("report", "--format", "json") == run("report", "--json")


def test_the_table_names_the_untagged_and_says_that_the_total_is_a_lower_bound(run: Run) -> None:
    code, out, err = run("report", "--by", "team")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == [
        *("team", "calls", "failed", "input", "output", "cache", "read"),
        *("effective", "cost", "estimated", "unpriced"),
    ]
    assert [line.split()[0] for line in lines[2:5]] == ["search", "(untagged)", "=cmd|'/c"]
    assert lines[6].split()[0] == "total"
    assert "≥ $0.0086" in lines[6]
    assert lines[7] == "The total is a lower bound: 2 calls have no known price."
    assert len({len(line) for line in lines[:3]}) <= 2


def test_csv_is_exact_and_runs_no_formula(run: Run) -> None:
    _, out, _ = run("report", "--by", "team,model", "--format", "csv")
    records = list(csv.DictReader(io.StringIO(out)))
    assert list(records[0]) == ["team", "model", *NUMBERS]
    assert {record["team"] for record in records} == {"search", "", "'=cmd|'/c calc'!A1"}
    assert [record["effective_cost"] for record in records if record["team"] == ""] == ["0.000035"]


def test_markdown_is_a_table_whatever_a_tag_holds(run: Run) -> None:
    _, out, _ = run("report", "--by", "team", "--format", "md")
    lines = out.splitlines()
    assert all(line.replace("\\|", "").count("|") == 10 for line in lines[:6])
    assert "| **total** | **5** |" in lines[5]


def test_html_is_one_page(run: Run) -> None:
    code, out, _ = run("report", "--by", "team", "--format", "html")
    assert code == 0
    assert out.startswith("<!doctype html>")
    assert "<script" not in out


def test_without_keys_there_is_the_total_only(run: Run) -> None:
    answer = json.loads(run("report", "--by", "", "--json")[1])
    assert [list(row) for row in answer["rows"]] == [NUMBERS]
    assert answer["rows"][0]["calls"] == answer["total"]["calls"] == 5


@pytest.mark.parametrize("by", ["day", "hour", "provider,model,service,operation", "customer_id,environment"])
def test_every_key_works_and_adds_up(run: Run, by: str) -> None:
    answer = json.loads(run("report", "--by", by, "--json")[1])
    assert sum(row["calls"] for row in answer["rows"]) == 5
    assert all(list(row) == [*by.split(","), *NUMBERS] for row in answer["rows"])


def test_times_are_text_in_utc(run: Run) -> None:
    (row,) = json.loads(run("report", "--by", "hour,day", "--json")[1])["rows"]
    moment = SINCE + timedelta(hours=1)
    assert row["day"] == f"{moment:%Y-%m-%d}"
    assert row["hour"] == f"{moment:%Y-%m-%dT%H:00:00Z}"


def test_any_tag_key_is_a_key(run: Run) -> None:
    answer = json.loads(run("report", "--by", "tier", "--json")[1])
    assert {row["tier"]: row["calls"] for row in answer["rows"]} == {"gold": 1, None: 4}


def test_a_key_that_no_call_carries_is_said_and_a_likely_typo_refused(run: Run) -> None:
    code, out, err = run("report", "--by", "project", "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["project"] is None
    assert err == "otel-llm-cost: no call in this period has a tag 'project'; it has tier\n"
    code, out, err = run("report", "--by", "taem")
    assert (code, out) == (2, "")
    assert "no call in this period has a tag 'taem'; did you mean team?" in err


@pytest.mark.parametrize("by", ["team,", "calls", "team,team", "effective_cost"])
def test_what_cannot_be_a_key_is_refused(run: Run, by: str) -> None:
    code, out, err = run("report", "--by", by)
    assert (code, out) == (2, "")
    assert err.count("Error:") == 1


def test_nothing_there_is_no_error(run: Run, tmp_path: Path) -> None:
    code, out, err = run("report", "--json", at=f"chdb://{tmp_path}/nothing/ledger")
    answer = json.loads(out)
    assert (code, err, answer["rows"]) == (0, "", [])
    assert answer["total"]["calls"] == 0
    assert answer["total"]["effective_cost"] is None
    assert run("report", at=f"chdb://{tmp_path}/nothing/ledger")[1].startswith("No calls from ")
    assert json.loads(run("report", "--json", "--until", "2020-01-01")[1])["rows"] == []


def test_a_period_that_ends_before_it_starts_is_refused(run: Run) -> None:
    code, _, err = run("report", "--since", "2026-11-02", "--until", "2026-11-01")
    assert code == 2
    assert "--since 2026-11-02T00:00:00Z is not before --until 2026-11-01T00:00:00Z" in err


@pytest.mark.parametrize("store", ["postgres://u:hunter2@h/db", "chdb://"])
def test_a_wrong_store_is_wrong_use(run: Run, store: str) -> None:
    code, out, err = run("report", at=store)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "hunter2" not in err


def test_a_store_that_is_away_is_a_failure_of_one_line(run: Run) -> None:
    code, out, err = run("report", at="clickhouse://u:hunter2@127.0.0.1:1/db")
    assert (code, out) == (1, "")
    assert err.startswith("otel-llm-cost: clickhouse://127.0.0.1:1/db cannot be reached")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "ago"), [("30d", timedelta(days=30)), ("2w", timedelta(weeks=2)), ("90m", timedelta(minutes=90))]
)
def test_a_time_may_be_so_long_ago(text: str, ago: timedelta) -> None:
    moment = read_moment(None, None, text)  # type: ignore[arg-type]
    assert moment is not None
    assert abs(datetime.now(timezone.utc) - ago - moment) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("2026-11-01T12:30:00Z", datetime(2026, 11, 1, 12, 30, tzinfo=timezone.utc)),
        ("2026-11-01T12:30:00+05:45", datetime(2026, 11, 1, 6, 45, tzinfo=timezone.utc)),
    ],
)
def test_a_time_may_be_a_day_or_an_instant(text: str, moment: datetime) -> None:
    assert read_moment(None, None, text) == moment  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "yesterday", "30 days", "2026-13-01", "999999d", "-3d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time; write 30d"):
        read_moment(None, None, text)  # type: ignore[arg-type]


def test_explain_shows_the_entry_its_source_and_the_arithmetic(run: Run) -> None:
    code, out, err = run("explain", "first")
    assert (code, err) == (0, "")
    assert out.splitlines()[2:] == [
        "team search, service api, tier gold",
        "",
        "Price openai/gpt-4o from genai-prices, version 2026-11-20",
        "",
        "  input_uncached   176 × 2.5  / 1,000,000 = 0.00044",
        "  cache_read      1024 × 1.25 / 1,000,000 = 0.00128",
        "  output           180 × 10   / 1,000,000 = 0.0018",
        "",
        "Cost: 0.00352 USD (priced)",
        "Usage from: provider",
    ]


def test_explain_says_when_the_entry_held_if_the_price_list_is_still_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PriceList, "version", "2026-11-20")
    lines = run("explain", "first")[1].splitlines()
    assert lines[4].startswith("Price openai/gpt-4o from genai-prices")
    assert re.fullmatch(r"in force from (the first|20\S+) until (further notice|20\S+)", lines[5])


def test_explain_in_json_adds_up(run: Run) -> None:
    told = json.loads(run("explain", "first", "--json")[1])
    assert told["price"] == {"id": "openai/gpt-4o", "version": "2026-11-20", "source": "genai-prices"}
    assert told["cost_usd"] == "0.00352"
    assert [line["cost_usd"] for line in told["components"]] == ["0.00044", "0.00128", "0.0018"]
    assert told["usage"] == {"input_uncached": "176", "cache_read": "1024", "output": "180"}


def test_explain_of_a_call_that_is_not_there_is_a_no(run: Run) -> None:
    code, out, err = run("explain", "nobody")
    assert (code, out) == (1, "")
    assert err.startswith("otel-llm-cost: no call nobody in the ledger")


def test_schema_print_is_what_migrate_makes(run: Run, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["schema", "print", "--json"])
    statements = json.loads(capsys.readouterr().out)["statements"]
    with pytest.raises(SystemExit):
        main(["schema", "print"])
    assert capsys.readouterr().out == "\n\n".join(f"{statement};" for statement in statements) + "\n"
    with ClickHouseSink(f"chdb://{tmp_path}/ledger") as sink:
        for statement in statements:
            sink._client("write").command(statement)
        sink.write([a_row()])


def test_schema_migrate_says_what_it_did(run: Run, tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/ledger"
    assert run("schema", "migrate", at=dsn) == (0, "m001_ledger\n", f"{dsn}: migrated\n")
    assert run("schema", "migrate", at=dsn) == (0, "", f"{dsn}: up to date\n")
    assert json.loads(run("schema", "migrate", "--json", at=dsn)[1]) == {"store": dsn, "applied": []}
