"""`prices`: rates as people read them, your own file against what holds, and a new file put in place."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from otel_llm_cost.cli import main

Run = Callable[..., tuple[int, str, str]]
GOOD = "prices:\n  - {provider: openai, model: gpt-5, input_mtok: 1, output_mtok: 10}\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["prices", *arguments])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run_


def test_the_rates_of_a_model_at_an_instant_with_their_tiers_and_dates(run: Run) -> None:
    code, out, _ = run("show", "deepseek-v4-pro", "--provider", "deepseek", "--at", "2026-11-20T12:00:00Z")
    assert code == 0
    assert (
        out.splitlines()[0]
        == "deepseek deepseek-v4-pro: deepseek/deepseek-v4-pro@2026-08-16T16:00Z, from overlay"
    )
    assert "  holds from 2026-11-20T10:00:00+00:00 until " in out
    rates = {line.split()[0]: line.split()[1] for line in out.splitlines() if " USD / " in line}
    assert (rates["input_uncached"], rates["output"]) == ("0.66", "1.98")
    code, out, _ = run("show", "gpt-5.4", "--provider", "openai", "--json", "--term", "service_tier=priority")
    assert code == 0
    (shown,) = json.loads(out)
    assert shown["price_id"].endswith("+priority")
    assert {"unit": "output", "per": 1_000_000}.items() <= next(
        line for line in shown["rates"] if line["unit"] == "output"
    ).items()


def test_without_a_provider_everyone_who_has_the_model_is_shown(run: Run) -> None:
    code, out, _ = run("show", "gpt-5.4", "--json")
    assert code == 0
    assert {"openai", "azure.ai.openai"} <= {shown["provider"] for shown in json.loads(out)}


def test_an_unknown_model_is_said_to_be_unknown(run: Run) -> None:
    code, out, err = run("show", "gpt-99", "--provider", "openai")
    assert (code, out) == (1, "")
    assert "no price for model gpt-99 of openai; add it under `prices:`" in err
    assert run("show", "gpt-99")[0] == 1
    assert run("show", "gpt-5", "--term", "flex")[0] == 2


def test_a_doubtful_price_says_so(run: Run) -> None:
    assert "not well confirmed" in run("show", "gpt-6.2-sol", "--provider", "openai")[1]


def test_a_file_of_own_prices_against_what_holds_now(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(GOOD + "  - {provider: openai, model: gpt-99, input_mtok: 3, output_mtok: 4}\n")
    code, out, _ = run("diff", str(file))
    assert code == 1
    assert {line for line in out.splitlines() if "_" not in line.split()[2] or "uncached:" in line} == {
        "openai gpt-5 input_uncached: 1.25 → 1 USD for 1,000,000",
        "openai gpt-99 input_uncached: no price → 3 USD for 1,000,000",
        "openai gpt-99 output: no price → 4 USD for 1,000,000",
    }
    file.write_text("prices:\n  - {provider: openai, model: gpt-5, input_mtok: 1.25}\n")
    assert run("diff", str(file)) == (0, "no difference\n", "")


def test_a_new_file_is_put_in_place_whole_and_the_old_one_is_kept(run: Run, tmp_path: Path) -> None:
    target, fresh = tmp_path / "there" / "prices.yaml", tmp_path / "fresh.yaml"
    fresh.write_text(GOOD)
    code, out, _ = run("update", str(fresh), "--to", str(target))
    assert code == 0
    assert " + overrides " in out
    fresh.write_text(GOOD.replace("input_mtok: 1,", "input_mtok: 2,"))
    assert run("update", str(fresh), "--to", str(target))[0] == 0
    assert target.read_text() == fresh.read_text()
    assert target.with_name("prices.yaml.previous").read_text() == GOOD
    assert sorted(path.name for path in target.parent.iterdir()) == ["prices.yaml", "prices.yaml.previous"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prices:\n  - {provider: openai, model: gpt-5, input_mtk: 1}\n", "fresh.yaml:2: prices.0.input_mtk"),
        (
            "prices:\n  - {provider: openai, model: gpt-5, input_mtok: 0.00000125}\n",
            "looks like a price per token",
        ),
        ("prices: [", "fresh.yaml"),
    ],
)
def test_a_wrong_file_is_not_taken_and_the_old_one_stays(
    run: Run, tmp_path: Path, text: str, says: str
) -> None:
    target, fresh = tmp_path / "prices.yaml", tmp_path / "fresh.yaml"
    target.write_text(GOOD)
    fresh.write_text(text)
    code, out, err = run("update", str(fresh), "--to", str(target))
    assert (code, out) == (2, "")
    assert "not taken: " in err
    assert says in err
    assert target.read_text() == GOOD
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["fresh.yaml", "prices.yaml"]


def test_a_file_comes_from_a_url_that_the_user_gives(run: Run, tmp_path: Path) -> None:
    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/prices.yaml" else 404)
            self.end_headers()
            self.wfile.write(GOOD.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            target = tmp_path / "prices.yaml"
            assert run("update", f"{address}/prices.yaml", "--to", str(target))[0] == 0
            assert target.read_text() == GOOD
            code, _, err = run("update", f"{address}/gone", "--to", str(target))
            assert code == 1
            assert "cannot be fetched" in err
        finally:
            server.shutdown()
            thread.join()
