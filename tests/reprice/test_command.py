"""`reprice` as people run it: with a living collector and without, and what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "collector"))

from running import post, running

from ledger_store import SECOND, a_call, a_row, ns
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.ledger import Row

Run = Callable[..., subprocess.CompletedProcess[str]]
STARTED = datetime.now(timezone.utc) - timedelta(days=2)
OWN = """\
prices:
  - {provider: openai, model: gpt-4o, input_mtok: 5, cache_read_mtok: 2.5, output_mtok: 20}
  - {provider: openai, model: gpt-99, input_mtok: 1, cache_read_mtok: 1, output_mtok: 2}
"""


def rows() -> list[Row]:
    """Two days ago: two calls at list price, one without."""
    about: dict[str, Any] = {"started_at": ns(STARTED), "ended_at": ns(STARTED) + SECOND}
    unpriced = {"request_model": "gpt-99", "response_model": "", "cost": Cost.unknown("no price")}
    calls = [a_call(call_id=f"c{n}", **about) for n in range(2)] + [a_call(call_id="c9", **about, **unpriced)]
    return [a_row(call, booked_at=ns(STARTED) + 9 * SECOND) for call in calls]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a filled ledger and a file of own prices."""
    (tmp_path / "own.yaml").write_text(OWN)
    script = (
        "import sys; from reprice.test_command import rows\n"
        "from otel_llm_cost.sinks.clickhouse import ClickHouseSink\n"
        "with ClickHouseSink(sys.argv[1]) as sink:\n    sink.migrate(); sink.write(rows())"
    )
    subprocess.run(
        [sys.executable, "-c", script, f"chdb://{tmp_path}/ledger"],
        check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def run_(*arguments: str, own: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "OTEL_LLM_COST_STORE": f"chdb://{folder}/ledger"}
        if own:
            environ["OTEL_LLM_COST_PRICE_OVERRIDES"] = str(folder / "own.yaml")
        return subprocess.run(
            [sys.executable, "-m", "otel_llm_cost.cli", *arguments],
            capture_output=True, text=True, timeout=60, env=environ, check=False,
        )  # fmt: skip

    return run_


def total(run: Run) -> dict[str, Any]:
    answer = run("report", "--since", "7d", "--json")
    found: dict[str, Any] = json.loads(answer.stdout)["total"]
    return found


def test_it_shows_the_difference_first_then_corrects_once(run: Run) -> None:
    looked = run("reprice", "--since", "7d", "--dry-run")
    assert (looked.returncode, looked.stderr) == (0, "")
    lines = looked.stdout.splitlines()
    assert lines[0].startswith("3 calls compared with genai-prices ")
    table = [line.split() for line in lines if "openai" in line]
    month = f"{STARTED:%Y-%m}"
    assert table == [
        [month, "openai", "gpt-4o-2024-08-06", "2", "0.007040", "0.014080", "+0.007040"],
        [month, "openai", "gpt-99", "1", "0.000000", "0.001560", "+0.001560", "(1", "had", "no", "price)"],
    ]
    assert lines[-2:] == ["3 calls differ, +0.008600 USD in all", "nothing was written (--dry-run)"]
    assert total(run)["effective_cost"] == "0.00704"

    done = run("reprice", "--since", "7d")
    assert done.stdout.splitlines()[-1] == "3 corrections written"
    assert (total(run)["effective_cost"], total(run)["unpriced_calls"]) == ("0.01564", 0)
    again = run("reprice", "--since", "7d")
    assert (
        again.stdout.splitlines()[-1] == "every cost is what it would be today; there is nothing to correct"
    )


def test_json_has_the_same_and_the_model_can_be_chosen(run: Run) -> None:
    answer = json.loads(run("reprice", "--since", "7d", "--model", "gpt-99", "--json").stdout)
    assert (answer["calls"], answer["changed"], answer["written"], answer["dry_run"]) == (1, 1, 1, False)
    (line,) = answer["differences"]
    assert (line["model"], line["newly_priced"], line["difference_usd"]) == ("gpt-99", 1, "0.00156")


def test_with_a_living_collector_it_is_a_job_of_the_collector_at_its_prices(run: Run, folder: Path) -> None:
    with running(folder, environ={"OTEL_LLM_COST_PRICE_OVERRIDES": str(folder / "own.yaml")}) as collector:
        done = run("reprice", "--since", "7d", own=False)
        assert done.stdout.splitlines()[-1] == "3 corrections written", done.stderr
        assert collector.spend()[0]["effective_cost"] == "0.01564"
        assert json.loads(run("reprice", "--since", "7d", "--json", own=False).stdout)["written"] == 0


def test_a_job_needs_the_token_and_sense(folder: Path) -> None:
    with running(folder) as collector:
        url = f"http://{collector.ui}/v1/jobs/reprice"
        assert post(url, b"{}", {})[0] == 401
        token = json.loads((folder / "collector.json").read_text())["token"]
        headers = {"authorization": f"Bearer {token}"}
        status, body = post(url, b'{"since": "yesterday"}', headers)
        assert (status, b"this is no reprice job" in body) == (400, True)
        status, body = post(url.replace("reprice", "drop"), b"{}", headers)
        assert (status, json.loads(body)) == (400, {"error": "there is no job drop; there is reprice"})


def test_a_wrong_period_and_an_empty_ledger_are_said_plainly(run: Run) -> None:
    wrong = run("reprice", "--since", "2026-11-02", "--until", "2026-11-01")
    assert wrong.returncode == 2
    assert "--since 2026-11-02T00:00:00Z is not before --until 2026-11-01T00:00:00Z" in wrong.stderr
    assert run("reprice").returncode == 2
    empty = run("reprice", "--since", "1m")
    assert (empty.returncode, empty.stdout) == (0, "there are no calls in this period\n")
