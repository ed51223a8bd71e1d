"""The embedded ledger: what goes in comes out, one process at a time, and one sentence for each trouble."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_store import NOW, SECOND, a_call, a_row, ns
from otel_llm_cost.core.call import Part
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.ledger import COLUMNS, INDEX, Row
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.dsn import Embedded
from otel_llm_cost.sinks.poison import RowsRefused, write_apart

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def as_read(row: Row) -> dict[str, Any]:
    """What the ledger should answer for a row that was written."""
    told = {}
    for column, value in zip(COLUMNS, row, strict=True):
        if column.type.startswith("DateTime64"):
            value = int(value)
        elif column.name == "usage":
            value = {unit: Decimal(amount) for unit, amount in value.items()}
        elif column.type.startswith("Array"):
            value = list(value)
        told[column.name] = value
    return told


def read(sink: ClickHouseSink, call_id: str) -> list[dict[str, Any]]:
    records = sink.query("call_by_id", {"call_id": call_id}).records()
    for record in records:
        for name in ("started_at", "booked_at"):
            record[name] = ns(record[name]) // 1000
    return records


def test_a_row_with_everything_in_it_comes_back_exactly(ledger: ClickHouseSink) -> None:
    call = a_call(
        call_id="full",
        tags={"team": "é🦊\t\\'\"\n", "tier": "gold", "": "empty"},
        usage=Usage(input_uncached=2**40, output=3, audio_seconds=Decimal("0.123456789")),
        cost=Cost("reported", 10**37 - 1, 1, 2, 3, reason="r", price_id="p"),
        parts=(Part("advisor", Usage(output=1)),),
        terms={"service_tier": "flex", "zone": "eu"},
        reported_cost="12.5",
        usage_flags=("a", "b"),
        finish_reasons=("stop", "length"),
        max_tokens=-1,
        time_to_first_chunk_s=0.1,
        raw_usage='{"n":1}' * 1000,
        started_at=ns(NOW) + 1000,
    )
    row = a_row(call, service="s", trace_id="t", row_no=2**32 - 1, app_cost=Cost("priced", 7))
    plain = a_row(a_call(call_id="plain", usage=Usage(), tags={}, ended_at=None))
    ledger.write([row, plain])
    assert read(ledger, "full") == [as_read(row)]
    assert read(ledger, "plain") == [as_read(plain)]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
tags = st.dictionaries(texts, texts, max_size=3)
fields = st.fixed_dictionaries(
    {
        "tags": tags,
        "terms": tags,
        "request_id": texts,
        "error_type": texts,
        "finish_reasons": st.lists(texts, max_size=3).map(tuple),
        "time_to_first_chunk_s": st.none() | st.floats(allow_nan=False),
        "max_tokens": st.none() | st.integers(-(2**63), 2**63 - 1),
        "cost": st.none() | st.integers(-(10**37), 10**37).map(lambda atto: Cost("reported", atto)),
    }
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(fields, min_size=1, max_size=300))
def test_rows_come_back_as_they_were_written(ledger: ClickHouseSink, several: list[dict[str, Any]]) -> None:
    rows = [
        a_row(a_call(started_at=ns(NOW) + 1000 * number, **about)) for number, about in enumerate(several)
    ]
    ledger.write(rows)
    for row in rows[:: max(1, len(rows) // 20)]:
        assert read(ledger, row[INDEX["call_id"]]) == [as_read(row)]


def test_a_column_with_more_distinct_words_than_two_bytes_hold_comes_back(ledger: ClickHouseSink) -> None:
    rows = [a_row(a_call(call_id=f"w{n}", tags={"team": f"team{n}"}), batch_id="wide") for n in range(66_000)]
    assert ledger.write(rows) == 66_000
    for number in (0, 255, 256, 65_535, 65_536, 65_999):
        assert read(ledger, f"w{number}")[0]["team"] == f"team{number}"
    (total,) = ledger.query("spend_by", {"since": EPOCH, "until": NOW.replace(year=2027)}).records()
    assert (total["calls"], total["effective_cost"]) == (66_000, Decimal("0.00352") * 66_000)


def test_a_surrogate_that_is_no_character_does_not_lose_the_row(ledger: ClickHouseSink) -> None:
    ledger.write([a_row(a_call(call_id="s", tags={"team": "a\ud800b"}))])
    assert read(ledger, "s")[0]["team"] == "a?b"


def test_a_retried_batch_inserts_only_what_is_missing(ledger: ClickHouseSink) -> None:
    rows = [a_row(batch_id="again", row_no=number) for number in range(10)]
    ledger.write(rows[:4])
    assert ledger.write_again("again", rows) == 6
    assert ledger.write_again("again", rows) == 0
    assert [number for (number,) in ledger.query("batch_rows", {"batch_id": "again"}).rows] == list(range(10))


def test_one_row_that_fits_no_column_does_not_take_the_others_with_it(ledger: ClickHouseSink) -> None:
    rows = [a_row(batch_id="poison", row_no=number) for number in range(9)]
    bad = list(rows[5])
    bad[INDEX["effective_cost"]] = Decimal(10) ** 25
    rows[5] = tuple(bad)
    with pytest.raises(RowsRefused, match="too many digits"):
        ledger.write(rows)
    ((refused, why),) = write_apart(ledger.write, rows)
    assert refused is rows[5]
    assert "too many digits" in why
    assert len(ledger.query("batch_rows", {"batch_id": "poison"}).rows) == 8


def test_nothing_to_write_is_nothing_to_do(ledger: ClickHouseSink) -> None:
    assert ledger.write([]) == 0


def test_calls_of_many_months_go_into_one_insert(ledger: ClickHouseSink) -> None:
    month = 30 * 86_400 * SECOND
    rows = [a_row(a_call(started_at=ns(NOW) - number * month), batch_id="old") for number in range(80)]
    assert ledger.write(rows) == 80


OPEN = """
import sys
from otel_llm_cost.core.errors import LLMCostError
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
try:
    ClickHouseSink(sys.argv[1], wait_s=float(sys.argv[2])).close()
except LLMCostError as error:
    print(error)
else:
    print("open")
"""


HOLD = """
import sys
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
with ClickHouseSink(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def in_another_process(folder: Path, wait_s: float = 0.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, f"chdb://{folder}", str(wait_s)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_second_process_is_told_who_has_the_ledger_open(ledger: ClickHouseSink) -> None:
    assert isinstance(ledger.location, Embedded)
    assert ledger.location.folder
    out, err = in_another_process(ledger.location.folder).communicate(timeout=60)
    assert out.startswith(f"the ledger {ledger.location.folder} is open in process {os.getpid()}, and one")
    assert err == ""


def test_a_process_that_may_wait_gets_the_ledger_when_it_is_free(tmp_path: Path) -> None:
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"chdb://{tmp_path}/ledger"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holding.stdin
    assert holding.stdout
    assert holding.stdout.readline() == "open\n"
    waiting = in_another_process(tmp_path / "ledger", wait_s=30)
    time.sleep(0.5)
    holding.stdin.close()
    assert waiting.communicate(timeout=60) == ("open\n", "")
    holding.stdout.close()
    holding.wait(timeout=30)


def test_a_process_can_have_only_one_embedded_ledger(ledger: ClickHouseSink, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can have only one; close that first"):
        ClickHouseSink(f"chdb://{tmp_path}/other")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be made \(Not a directory\)"):
        ClickHouseSink(f"chdb://{tmp_path}/file/ledger")


def test_a_forked_child_is_told_to_open_its_own(ledger: ClickHouseSink) -> None:
    child = os.fork()
    if not child:
        try:
            ledger.query("extent")
        except StoreError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
