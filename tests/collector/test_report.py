"""The report over a ledger, while a collector owns it and after it has gone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from running import COMMAND, Collector, running
from sending import call, exporter, send_spans


def report(collector: Collector) -> dict[str, Any]:
    """`otel-llm-cost report --by team --json`, as a user runs it."""
    arguments = ("report", "--store", collector.store, "--by", "team", "--json")
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_report_is_the_same_while_the_collector_lives_and_after(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        sent = [call("search"), call("search"), call("ads"), call("x", tags={})]
        send_spans(exporter(collector, "http"), sent)
        collector.settle()
        living = report(collector)
        assert collector.stop() == 0
    assert report(collector) == living
    costs = {row["team"]: (row["calls"], row["effective_cost"]) for row in living["rows"]}
    assert costs == {"search": (2, "0.00702"), "ads": (1, "0.00351"), None: (1, "0.00351")}
    assert living["total"]["effective_cost"] == "0.01404"
