"""The command line of budgets, on a real file and a real ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ledger_store import a_call
from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.share import Lack
from otel_llm_cost.budgets.stores.sqlite import SQLiteStore
from otel_llm_cost.core.cost import ATTO
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Booking, kind_of, row
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.dsn import Embedded

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FILE = """
budgets:
  - name: search
    match: {team: search}
    limit: 2 USD
    window: month
    contact: finops@example.com
  - name: customers
    per: customer_id
    limit: 3 calls
    window: day
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "otel-llm-cost.yaml").write_text(FILE)

    def command(*arguments: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
            "OTEL_LLM_COST_BUDGET_STORE": f"sqlite://{tmp_path / 'budgets.db'}",
            "OTEL_LLM_COST_STORE": f"chdb://{tmp_path / 'ledger'}",
            **({"OTEL_LLM_COST_CONFIG": str(tmp_path / "otel-llm-cost.yaml")} if config else {}),
        }
        return subprocess.run(
            [sys.executable, "-m", "otel_llm_cost.cli", "budget", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return command


def spend(path: Path, team: str, usd: str) -> None:
    """A process that spends and ends."""
    book = Book(SQLiteStore(path / "budgets.db"), read_budgets([{"name": "search", "limit": "2 USD"}]))
    amount = int(float(usd) * 1000) * ATTO // 1000
    now = int(datetime.now(timezone.utc).timestamp())
    hold = book.reserve(book.rules.facets("openai", "m", "", "chat", {"team": team}), Amounts(amount), now)
    assert isinstance(hold, Hold)
    book.settle(hold, Amounts(amount))
    book.close()


def test_the_list_shows_what_is_left(run: Run, tmp_path: Path) -> None:
    spend(tmp_path, "search", "1.25")
    outcome = run("list", "--json")
    assert outcome.returncode == 0, outcome.stderr
    rows = json.loads(outcome.stdout)["budgets"]
    assert [(row["budget"], row["limit"], row["spent"], row["left"]) for row in rows] == [
        ("search", "2", "1.25", "0.75"),
        ("customers", 3, 0, 3),
    ]
    table = run("list").stdout
    assert "search" in table
    assert "1.25" in table


def test_check_says_no_with_its_exit_code(run: Run, tmp_path: Path) -> None:
    assert run("check").returncode == 0
    spend(tmp_path, "search", "1.25")
    assert run("check", "search", "--need", "0.75 USD").returncode == 0
    no = run("check", "search", "--need", "0.76 USD", "--json")
    assert no.returncode == 1
    assert json.loads(no.stdout)["allowed"] is False
    assert run("check", "--tags", "team=ads", "--need", "100 USD").returncode == 0
    assert run("check", "--tags", "team=search", "--need", "100 USD").returncode == 1
    unknown = run("check", "serch")
    assert unknown.returncode == 2
    assert unknown.stderr.strip() == "otel-llm-cost: there is no budget serch; did you mean search?"


def test_a_running_process_sees_what_is_set_and_raised(run: Run, tmp_path: Path) -> None:
    book = Book(SQLiteStore(tmp_path / "budgets.db"), read_budgets([{"name": "search", "limit": "2 calls"}]))
    facets = book.rules.facets("openai", "m", "", "chat", {"team": "search"})
    now = int(datetime.now(timezone.utc).timestamp())
    assert isinstance(book.reserve(facets, Amounts(), now), Hold)
    outcome = run("set", "search", "--limit", "1 calls", "--reason", "too much", config=False)
    assert outcome.returncode == 0, outcome.stderr
    book.tick()
    facets = book.rules.facets("openai", "m", "", "chat", {"team": "search"})
    assert isinstance(book.reserve(facets, Amounts(), now), Lack)
    outcome = run("raise", "search", "--by", "1", "--until", "2999-01-01", "--reason", "launch", config=False)
    assert outcome.returncode == 0, outcome.stderr
    book.tick()
    assert isinstance(book.reserve(facets, Amounts(), now + 1), Hold)
    told = json.loads(run("history", "--json").stdout)["changes"]
    assert [change["budget"] for change in told] == ["search", "search"]
    assert "too much" in told[0]["change"]
    assert "launch" in told[1]["change"]
    book.close()


def test_set_keeps_what_it_does_not_change_and_can_remove(run: Run) -> None:
    assert run("set", "search", "--limit", "7 USD").returncode == 0
    (search, _) = json.loads(run("list", "--json").stdout)["budgets"]
    assert search["limit"] == "7"
    no = run("check", "--tags", "team=ads,customer_id=x", "--json")
    assert [row["budget"] for row in json.loads(no.stdout)["budgets"]] == ["customers"]
    assert run("set", "search", "--remove").returncode == 0
    assert [row["budget"] for row in json.loads(run("list", "--json").stdout)["budgets"]] == ["customers"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("set", "x", "--limit", "-1 USD"), "limit: expected a limit above zero"),
        (("set", "x"), "limit"),
        (("set",), "give either the NAME of one budget or --file"),
        (("raise", "search", "--by", "1 USD", "--until", "2001-01-01", "--reason", "r"), "lies in the past"),
        (("raise", "search", "--by", "1 calls", "--until", "2999-01-01", "--reason", "r"), "is in usd"),
        (("raise", "nope", "--by", "1", "--until", "2999-01-01", "--reason", "r"), "there is no budget nope"),
        (("import", "/nowhere.yaml"), "cannot be read"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(run: Run, arguments: tuple[str, ...], says: str) -> None:
    outcome = run(*arguments)
    assert outcome.returncode == 2
    assert says in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_litellm_file_is_imported_with_a_report(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "litellm.yaml"
    file.write_text(
        "team_budgets:\n  search: {max_budget: 100, budget_duration: 30d}\n"
        "litellm_settings: {default_max_internal_user_budget: 5}\n"
    )
    outcome = run("import", str(file), "--write", "--json", config=False)
    assert outcome.returncode == 1  # not everything was understood
    told = json.loads(outcome.stdout)
    assert told["budgets"][0]["match"] == {"team": "search"}
    assert "litellm_settings.default_max_internal_user_budget" in told["not_understood"]
    (row,) = json.loads(run("list", "--json", config=False).stdout)["budgets"]
    assert (row["budget"], row["limit"]) == ("team-search", "100")


def fill(path: Path, calls: int) -> None:
    """A ledger with calls of 1 dollar, a second apart; by a process of its own, since one owns a folder."""
    here = Path(__file__).parent
    code = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
        f"from test_budget_command import Path, write; write(Path({str(path)!r}), {calls})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def write(path: Path, calls: int) -> None:
    """What that process does."""
    now = int(datetime.now(timezone.utc).timestamp())
    usage = Usage(input_uncached=400_000)  # at 2.50 USD per million
    with ClickHouseSink(Embedded(path / "ledger")) as sink:
        sink.migrate()
        rows = []
        for number in range(calls):
            at = (now - calls + number) * 10**9
            call = a_call(usage=usage, started_at=at, ended_at=at + 10**8, tags={"team": "search"})
            rows.append(
                row(call, Booking(batch_id="b", row_no=number, booked_at=at + 10**9, kind=kind_of(call)))
            )
        sink.write(rows)


def test_reconcile_repairs_the_store_from_the_ledger(run: Run, tmp_path: Path) -> None:
    fill(tmp_path, 3)
    spend(tmp_path, "search", "1.25")
    differs = run("reconcile", "--dry-run", "--json")
    assert differs.returncode == 1, differs.stderr
    (search, *_) = json.loads(differs.stdout)["accounts"]
    assert (search["ledger"], search["reported"], search["added"]) == ("3", "1.25", "1.75")
    assert run("reconcile").returncode == 0
    assert run("reconcile", "--dry-run").returncode == 0
    (left, *_) = json.loads(run("list", "--json").stdout)["budgets"]
    assert (left["spent"], left["left"]) == ("3", "-1")


def test_replay_says_what_would_have_been_stopped(run: Run, tmp_path: Path) -> None:
    fill(tmp_path, 5)
    outcome = run("replay", "--since", "1d", "--json")
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    search = next(row for row in told["accounts"] if row["budget"] == "search")
    assert (search["calls"], search["stopped"], search["saved"]) == (5, 3, "3")
    assert told["saved"] == "3"
