"""A ClickHouse server over HTTP, spoken to by the unmodified driver; the server is a stand-in over chDB."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_server import ClickHouseStandIn, running
from ledger_store import NOW, a_row
from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.sinks.clickhouse import ClickHouseSink

SPAN = {"since": "2026-11-24", "until": "2026-11-25T00:00:00+00:00"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStandIn]:
    with running(Path(tmp_path_factory.mktemp("server"))) as stand_in:
        yield stand_in


@pytest.fixture
def sink(server: ClickHouseStandIn) -> Iterator[ClickHouseSink]:
    with ClickHouseSink(server.dsn("costs")) as sink:
        sink.migrate()
        yield sink


def test_a_database_that_is_not_there_is_made_and_migrated(server: ClickHouseStandIn) -> None:
    with ClickHouseSink(server.dsn("brand%20new-db")) as sink:
        assert sink.migrate() == ["m001_ledger"]
        assert sink.write([a_row()], query_id="q0") == 1
        assert sink.query("extent").rows[0][0] == 1


def test_an_insert_whose_answer_is_lost_is_not_sent_again_behind_our_back(
    server: ClickHouseStandIn, sink: ClickHouseSink, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [a_row(batch_id="lost", row_no=number) for number in range(5)]
    server.fault(lose=1)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(StoreError, match=r"cannot be reached \(Connection aborted"),
    ):
        sink.write(rows, query_id="lost")
    assert len(sink.query("batch_rows", {"batch_id": "lost"}).rows) == 5
    assert sink.write_again("lost", rows, query_id="lost") == 0
    assert len(sink.query("batch_rows", {"batch_id": "lost"}).rows) == 5
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_report_over_http_is_the_same(sink: ClickHouseSink) -> None:
    sink.write([a_row(batch_id="r", row_no=number) for number in range(3)])
    (row,) = sink.query("spend_by", {**SPAN, "by": ["hour", "team"]}).records()
    assert row["hour"] == NOW.replace(minute=0, second=0)


def test_a_wrong_password_is_told_and_never_shown(server: ClickHouseStandIn) -> None:
    with pytest.raises(StoreError) as error:
        ClickHouseSink(server.dsn("costs", password="hunter2"))
    where = f"clickhouse://127.0.0.1:{server.port}/costs"
    assert str(error.value) == (
        f"{where} refused user writer: the user name or password is wrong; correct them in the store's DSN"
    )


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreError) as error:
        ClickHouseSink("clickhouse://u:hunter2@127.0.0.1:1/db")
    assert str(error.value) == (
        "clickhouse://127.0.0.1:1/db cannot be reached (Failed to establish a new connection); check that "
        "ClickHouse runs there, and that the port is its HTTP port (8123, or 8443 for TLS)"
    )


def test_a_server_that_refuses_is_told_and_works_again_later(
    server: ClickHouseStandIn, sink: ClickHouseSink
) -> None:
    server.fault(refuse=1)
    with pytest.raises(StoreError, match="told to refuse"):
        sink.write([a_row(batch_id="later", row_no=0)], query_id="later")
    assert sink.write_again("later", [a_row(batch_id="later", row_no=0)], query_id="later") == 1
