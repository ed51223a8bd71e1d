"""The schema: steps on an empty database give what COLUMNS say, and a ledger of any age is served."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_store import a_row
from otel_llm_cost.core.errors import StoreError
from otel_llm_cost.ledger import COLUMNS, ddl, migrations
from otel_llm_cost.ledger.document import document
from otel_llm_cost.sinks.clickhouse import ClickHouseSink

NewLedger = Callable[[], ClickHouseSink]
ROOT = Path(__file__).parents[2]


def schema_of(sink: ClickHouseSink) -> str:
    """The table as the engine keeps it."""
    text = str(sink._client("read").command(f"SHOW CREATE TABLE {ddl.TABLE} FORMAT TSVRaw"))
    return re.sub(rf"CREATE TABLE \S+{ddl.TABLE}\b", "CREATE TABLE", text)


def test_all_steps_on_an_empty_database_give_the_table_that_columns_say(new_ledger: NewLedger) -> None:
    migrated, direct = new_ledger(), new_ledger()
    assert migrated.migrate() == [step.name for step in migrations.MIGRATIONS]
    direct._client("write").command(ddl.create_table())
    assert schema_of(migrated) == schema_of(direct)


def test_a_second_time_nothing_is_left_to_do(new_ledger: NewLedger) -> None:
    ledger = new_ledger()
    ledger.migrate()
    ledger.write([a_row()])
    assert ledger.migrate() == []
    assert ledger.query("extent").rows[0][0] == 1


def test_steps_may_be_run_by_two_collectors_at_once(new_ledger: NewLedger) -> None:
    ledger = new_ledger()
    ledger.migrate()
    for step in migrations.MIGRATIONS:
        for statement in step.statements():
            ledger._client("write").command(statement)


def test_a_ledger_that_a_newer_version_migrated_is_refused(new_ledger: NewLedger) -> None:
    ledger = new_ledger()
    ledger.migrate()
    ledger._client("write").command(migrations.record("m999_from_the_future"))
    with pytest.raises(StoreError, match=r"newer version \(m999_from_the_future\); upgrade"):
        ledger.migrate()


def test_a_column_of_a_later_step_is_added_by_it(
    new_ledger: NewLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (
        ddl.Column("later_fact", "LowCardinality(String)", "Only in this test.", since=2),
        ddl.Column("later_sum", "Int64", "Only in this test.", summed=True, since=2),
    )
    ledger = new_ledger()
    ledger.migrate()
    monkeypatch.setattr(ddl, "COLUMNS", (*COLUMNS[:5], *later, *COLUMNS[5:]))
    step = migrations.Migration("m002_later_fact", lambda: [*ddl.add_columns(2), *ddl.rebuild_rollup(2)])
    monkeypatch.setattr(migrations, "MIGRATIONS", [*migrations.MIGRATIONS, step])
    assert "later_fact" not in ddl.create_table(since=1)
    assert ledger.migrate() == ["m002_later_fact"]
    direct = new_ledger()
    direct._client("write").command(ddl.create_table())
    assert schema_of(ledger) == schema_of(direct)
    assert "sum(later_sum)" in schema_of(ledger)


def test_a_reader_of_a_ledger_that_was_never_migrated_finds_nothing(new_ledger: NewLedger) -> None:
    assert new_ledger().query("call_by_id", {"call_id": "x"}).rows == []


def test_names_of_steps_are_numbered_in_order() -> None:
    names = [step.name for step in migrations.MIGRATIONS]
    assert [int(name[1:4]) for name in names] == list(range(1, len(names) + 1))
    assert max(column.since for column in COLUMNS) <= len(names)


def test_the_document_of_columns_is_up_to_date() -> None:
    assert (ROOT / "docs/ledger.md").read_text() == document(), "run: make golden"
