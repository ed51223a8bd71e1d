"""Concurrency for real: processes full of threads against one store, some of them killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from otel_llm_cost.budgets.stores import open_store

CROWD = Path(__file__).with_name("crowd.py")


def run_crowd(
    dsn: str, folder: Path, *, processes: int, threads: int, limit: str, seconds: float, kills: int = 0
) -> Decimal:
    """What the provider billed in USD, counted outside of the store."""
    reports = [folder / f"report-{number}" for number in range(processes)]
    crowd = [
        subprocess.Popen([sys.executable, str(CROWD), dsn, str(threads), limit, str(seconds), str(report)])
        for report in reports
    ]
    try:
        for number, victim in enumerate(random.Random(7).sample(crowd, kills), 1):
            while billed_so_far(reports) < Decimal(limit) * number / (2 * kills + 2):
                time.sleep(0.01)
            os.kill(victim.pid, signal.SIGKILL)
        for each in crowd:
            each.wait(timeout=seconds + 60)
        expected = [0] * (processes - kills) + [-signal.SIGKILL] * kills
        assert sorted(each.returncode for each in crowd) == sorted(expected)
    finally:
        for each in crowd:
            if each.poll() is None:
                each.kill()
                each.wait()
    return billed_so_far(reports)


def billed_so_far(reports: list[Path]) -> Decimal:
    """In USD; a line that is being written counts as it stands."""
    lines = [line for report in reports if report.exists() for line in report.read_text().split()]
    return Decimal(sum(map(int, lines))).scaleb(-6)


def charged(dsn: str) -> list[Decimal]:
    """Per account, what the store holds as spent or unknown."""
    store = open_store(dsn)
    states = store.states()
    store.close()
    return [Decimal(state.spent + state.unknown + state.leased).scaleb(-9) for state in states]


def check(dsn: str, folder: Path, *, kills: int, **about: object) -> None:
    limit = Decimal(str(about["limit"]))
    billed = run_crowd(dsn, folder, kills=kills, **about)  # type: ignore[arg-type]
    held = charged(dsn)
    assert len(held) == 2
    assert billed <= limit
    for amount in held:
        assert billed <= amount <= limit  # the store never thinks less was spent
    if kills:
        assert min(held) >= limit * 95 // 100  # what the dead held counts as spent
    else:
        assert billed >= limit * 95 // 100


@pytest.mark.parametrize("kills", [0, 1])
def test_a_small_crowd_on_one_file_spends_what_there_is_and_no_more(tmp_path: Path, kills: int) -> None:
    dsn = f"sqlite://{tmp_path / 'budgets.db'}"
    check(dsn, tmp_path, kills=kills, processes=3, threads=12, limit="0.04", seconds=20)


def test_a_small_crowd_on_one_redis_spends_what_there_is_and_no_more(tmp_path: Path, redis_port: int) -> None:
    dsn = f"redis://127.0.0.1:{redis_port}/0?namespace=small&socket_timeout=5&socket_connect_timeout=5"
    check(dsn, tmp_path, kills=0, processes=3, threads=12, limit="0.04", seconds=20)


# 1,000 calls in flight of at most 59 millionths: 0.059 USD, just below 5 % of 1.2 USD.
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [0, 3])
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_eight_processes_of_125_threads_spend_what_there_is_and_no_more(
    tmp_path: Path, redis_port: int, store: str, kills: int
) -> None:
    dsn = {
        "sqlite": f"sqlite://{tmp_path / 'budgets.db'}",
        "redis": (
            f"redis://127.0.0.1:{redis_port}/0?namespace=big{kills}&socket_timeout=5&socket_connect_timeout=5"
        ),
    }[store]
    check(dsn, tmp_path, kills=kills, processes=8, threads=125, limit="1.2", seconds=90)
