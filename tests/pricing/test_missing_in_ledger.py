"""`price --missing`: what a ledger's calls lack, counted, as a file to fill in."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import yaml
from tests.pricing.calls import call, cost

from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import Booking, row
from otel_llm_cost.sinks.clickhouse import ClickHouseSink


def test_calls_without_a_price_are_listed_with_their_numbers_and_what_to_add(tmp_path: Path) -> None:
    now = time.time_ns()
    calls = [
        call(model="gpt-99-foo"),
        call(model="gpt-99-foo"),
        call(),
        call(model="gpt-5", usage=Usage(output_audio=7, output=1)),
    ]
    for one in calls:
        one.started_at = now
        one.cost = cost(one)
    dsn = f"chdb://{tmp_path}/ledger"
    with ClickHouseSink(dsn) as sink:
        sink.migrate()
        sink.write([row(one, Booking("b", number, now)) for number, one in enumerate(calls)])
    done = subprocess.run(
        [sys.executable, "-m", "otel_llm_cost.cli", "price", "--missing", "--store", dsn],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 calls, 2,200 tokens: no price for model gpt-99-foo of openai" in done.stdout
    entries = yaml.safe_load(done.stdout)["prices"]
    assert entries == [
        {
            "provider": "openai",
            "model": "gpt-99-foo",
            "input_mtok": None,
            "output_mtok": None,
            "source": None,
        },
        {"provider": "openai", "model": "gpt-5", "output_audio_mtok": None, "source": None},
    ]
