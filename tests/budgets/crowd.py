"""One process of a crowd: threads spend from one budget, and tell what they were allowed, until all is gone.

    python crowd.py DSN THREADS LIMIT SECONDS REPORT

Writes a line per allowed call to REPORT before the call "is made": the provider bills from then on.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from otel_llm_cost.budgets.book import Book
from otel_llm_cost.budgets.definition import read_budgets
from otel_llm_cost.budgets.measure import Amounts
from otel_llm_cost.budgets.reserve import Hold
from otel_llm_cost.budgets.stores import open_store
from otel_llm_cost.core.cost import ATTO

MICRO = ATTO // 10**6


def main(dsn: str, threads: int, limit: str, seconds: float, report: str) -> None:
    """Spend until the budget is gone or the time is over."""
    book = Book(
        open_store(dsn),
        read_budgets(
            [
                {"name": "all", "limit": f"{limit} USD", "on_failure": "closed"},
                {"name": "team", "limit": f"{limit} USD", "match": {"team": "a"}, "on_failure": "closed"},
            ]
        ),
    )
    facets = book.rules.facets("openai", "m", "", "chat", {"team": "a"})
    now = int(time.time())
    file = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    end = time.monotonic() + seconds

    def work(seed: int) -> None:
        dice = random.Random(seed)
        refused = 0
        while time.monotonic() < end and refused < 8:
            bound = dice.randrange(20, 60)
            answer = book.reserve(facets, Amounts(bound * MICRO), now)
            if not isinstance(answer, Hold):
                refused += 1
                time.sleep(0.1)
                continue
            refused = 0
            true = dice.randrange(5, bound + 1)
            os.write(file, b"%d\n" % true)
            time.sleep(0.02)
            book.settle(answer, Amounts(true * MICRO))

    crowd = [threading.Thread(target=work, args=(os.getpid() * 1000 + number,)) for number in range(threads)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    book.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5])
