"""How a ledger of any age becomes one of today: numbered steps, each applied once, never edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otel_llm_cost.ledger import ddl

APPLIED = "ledger_migrations"
"""The table of the names of the steps that were applied."""

CREATE_APPLIED = (
    f"CREATE TABLE IF NOT EXISTS {APPLIED} (`name` String, `applied_at` DateTime('UTC') DEFAULT now())\n"
    "ENGINE = MergeTree ORDER BY name"
)

SELECT_APPLIED = f"SELECT name FROM {APPLIED}"  # noqa: S608 - our own name


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `statements` must be safe to run twice: two collectors may start at the same time."""

    name: str
    statements: Callable[[], list[str]]


MIGRATIONS: list[Migration] = []


def _migration(step: Callable[[], list[str]]) -> Callable[[], list[str]]:
    MIGRATIONS.append(Migration(step.__name__, step))
    return step


@_migration
def m001_ledger() -> list[str]:
    """The table, with the columns and the rollup of the first version."""
    return [ddl.create_table(since=1)]


# A new column: give it `since=2` in COLUMNS and add
#
#     @_migration
#     def m002_what_it_brings() -> list[str]:
#         return ddl.add_columns(2)
#
# A summed column belongs into the rollup too: add `*ddl.rebuild_rollup()` to the statements.
#
# tests/ledger/test_migrations.py holds that all steps on an empty database give `ddl.create_table()`.


def record(name: str) -> str:
    """The statement that notes a step as applied."""
    return f"INSERT INTO {APPLIED} (name) VALUES ({ddl.literal(name)})"  # noqa: S608 - our own names
