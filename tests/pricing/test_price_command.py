"""`otel-llm-cost price`, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.pricing.cases import EVERY, FIXTURES, PUBLIC


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_llm_cost.cli", "price", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


CASE = {
    "id": "a",
    "provider": "openai",
    "model": "gpt-5",
    "api": "chat.completions",
    "timestamp": "2026-11-20T12:00:00Z",
    "payload": {"usage": {"prompt_tokens": 10, "completion_tokens": 5}},
}


def test_every_public_case_from_a_file() -> None:
    done = run("--cases", str(FIXTURES / "cases.json"))
    assert (done.returncode, done.stderr) == (0, "")
    for case, outcome in zip(PUBLIC, lines(done), strict=True):
        assert list(outcome) == ["id", "status", "cost_usd", "components", "price_id", "reason"]
        assert outcome["id"] == case["id"]
        expected = case["expected_usd"]
        if expected is None:
            assert outcome["cost_usd"] is None
            assert outcome["status"] == case["expected_status"]
            assert outcome["reason"]
            continue
        assert Decimal(outcome["cost_usd"]) == Decimal(expected)
        assert sum(Decimal(line["cost_usd"]) for line in outcome["components"]) == Decimal(expected)
        assert "E" not in outcome["cost_usd"]
        for line in outcome["components"]:
            assert list(line) == ["component", "quantity", "unit_price_usd", "per", "cost_usd"]
            exact = Decimal(line["quantity"]) * Decimal(line["unit_price_usd"]) / Decimal(line["per"])
            assert abs(exact - Decimal(line["cost_usd"])) < Decimal("1e-18")


@pytest.mark.parametrize("form", ["lines", "array", "object", "single", "pretty"])
def test_cases_come_in_three_forms_and_from_standard_input(form: str) -> None:
    cases = [CASE, {**CASE, "id": "b"}]
    text = {
        "lines": "\n\n".join(json.dumps(case) for case in cases) + "\n",
        "array": json.dumps(cases),
        "object": json.dumps({"version": 1, "cases": cases}, indent=2),
        "single": json.dumps(CASE),
        "pretty": json.dumps(CASE, indent=2),
    }[form]
    done = run("--cases", "-", text=text)
    assert done.returncode == 0
    assert [outcome["id"] for outcome in lines(done)] == (
        ["a"] if form in ("single", "pretty") else ["a", "b"]
    )
    assert {outcome["cost_usd"] for outcome in lines(done)} == {"0.0000625"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "expected an object"),
        ('"text"', "expected an object"),
        ('{"id": "x", "model": "m", "payload": {}}', "'provider'"),
        ('{"provider": "openai", "model": "m"}', "'payload'"),
        ('{"provider": "openai", "payload": "text"}', "'payload' to be an object"),
        ('{"provider": "openai", "payload": {}, "timestamp": "yesterday"}', "'timestamp'"),
        ('{"provider": "openai", "payload": {"usage": {"prompt_tokens": NaN}}}', "NaN"),
        ('{"provider": "openai", "payload": {}, "request_context": 3}', "'request_context'"),
        (
            '{"provider": "openai", "payload": {}, "request_context": {"contract": {"discount": "lots"}}}',
            "discount",
        ),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_an_unreadable_case_is_reported_and_the_others_are_still_priced(bad: str, says: str) -> None:
    done = run("--cases", "-", text=f"{json.dumps(CASE)}\n{bad}\n{json.dumps({**CASE, 'id': 'z'})}\n")
    first, wrong, last = lines(done)
    assert done.returncode == 1
    assert done.stderr == ""
    assert (first["id"], last["id"]) == ("a", "z")
    assert list(wrong) == ["id", "line", "status", "reason"]
    assert (wrong["id"], wrong["line"], wrong["status"]) == (None, 2, "error")
    assert says in wrong["reason"]


def test_nothing_in_nothing_out() -> None:
    done = run("--cases", "-", text="\n")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --cases FILE"),
        (["--cases", "/nowhere/cases.json"], "No such file"),
        (["--provider", "openai", "--model", "gpt-5", "--usage", "output"], "expected key=value"),
        (["--provider", "openai", "--model", "gpt-5", "--usage", "outputs=3"], "did you mean 'output'"),
        (["--provider", "openai", "--model", "gpt-5", "--usage", "output=-3"], "not negative"),
        (["--provider", "openai", "--model", "gpt-5", "--usage", "output=1", "--at", "soon"], "soon"),
        (["--cases", "-", "--model", "gpt-5"], "leave those options out"),
        (["--cases", "-", "--overrides", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_one_call_from_options() -> None:
    arguments = (
        "--provider",
        "openai",
        "--model",
        "gpt-5",
        "--usage",
        "input_uncached=1200",
        "--usage",
        "output=300",
        "--at",
        "2026-11-20",
    )
    assert "openai gpt-5: 0.0045 USD (priced)" in run(*arguments).stdout
    outcome = json.loads(run(*arguments, "--json", "--term", "service_tier=flex").stdout)
    assert (outcome["cost_usd"], outcome["status"]) == ("0.00225", "priced")


def test_overrides_give_a_new_model_its_price(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("prices:\n  - {provider: openai, model: gpt-99-foo, input_mtok: 1, output_mtok: 2}\n")
    one = ("--provider", "openai", "--model", "gpt-99-foo", "--usage", "input=1000000", "--json")
    assert json.loads(run(*one).stdout)["cost_usd"] is None
    assert json.loads(run(*one, "--overrides", str(file)).stdout)["cost_usd"] == "1"
    file.write_text("prices:\n  - {provider: openai, model: gpt-99-foo, input_mtk: 1}\n")
    done = run(*one, "--overrides", str(file))
    assert done.returncode == 2
    assert f"{file}:2: prices.0.input_mtk" in done.stderr


def test_missing_prints_what_to_add_and_what_it_prints_is_a_price_file_once_filled_in(tmp_path: Path) -> None:
    text = "\n".join(json.dumps({**CASE, "model": f"new-{n % 2}"}) for n in range(4))
    done = run("--cases", "-", "--missing", text=text)
    assert done.returncode == 0
    assert "2 calls" in done.stdout
    file = tmp_path / "prices.yaml"
    file.write_text(
        done.stdout.replace("input_mtok: ", "input_mtok: 1")
        .replace("output_mtok: ", "output_mtok: 2")
        .replace("source: ", "source: me")
    )
    outcome = run("--cases", "-", "--overrides", str(file), text=text)
    assert {line["cost_usd"] for line in lines(outcome)} == {"0.00002"}


def test_nothing_missing_is_said_on_standard_error() -> None:
    done = run("--cases", "-", "--missing", text=json.dumps(CASE))
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is missing" in done.stderr


def test_the_fixtures_cover_every_provider_that_has_a_reader() -> None:
    assert {
        "openai",
        "azure",
        "anthropic",
        "google",
        "aws",
        "mistral",
        "cohere",
        "deepseek",
        "x-ai",
        "groq",
        "together",
        "fireworks",
        "openrouter",
        "perplexity",
    } <= {case["provider"] for case in EVERY}
