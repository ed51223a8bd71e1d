"""The ledger's table as ClickHouse statements, derived from COLUMNS."""

from __future__ import annotations

from itertools import pairwise

from otel_llm_cost.ledger.columns import COLUMNS, UNITS, Column

TABLE = "ledger"

# Chosen once: a sorting key cannot be migrated, and tables that people have filled stay as they are.
#
# Every query we ship names a time range, most group by team, feature and model, many name one team. With
# the hour first, a range of time is a range of the key, however many teams there are; within an hour the
# words come in runs, which compress to almost nothing, and one team's rows lie together; `started_at` last
# puts a list of calls in order. The hour is stored, because a projection serves a query only when the query
# filters on a column that the projection holds.
#
# The row's number is not in the key: nothing is ever replaced or deduplicated by it (measured on chDB: the
# engine's own deduplication is not crash-consistent), a retried insert asks for its batch instead.
HOUR = "`hour` DateTime('UTC') MATERIALIZED toStartOfHour(started_at)"
ROW_ID = "`row_id` String ALIAS concat(batch_id, '-', toString(row_no))"
PRIMARY_KEY = ("hour", "team", "feature", "model")
SORTING_KEY = (*PRIMARY_KEY, "started_at")

# By month of the call, not of the booking: a correction lies beside what it corrects, and retention drops
# whole parts. The hour instead of `started_at`, so that a filter on either prunes.
PARTITION = "toYYYYMM(hour)"

# Look-ups by these meet a few rows anywhere in time. `batch_id` is what a retried insert asks for.
LOOKUPS = ("call_id", "trace_id", "customer_id", "batch_id")

ROLLUP = "by_hour"
ROLLUP_KEYS = ("hour", "team", "feature", "environment", "service", "provider", "model", "operation")
"""What the rollup can group by. customer_id is not here: ten thousand of them would make it as long as the
table; neither are free tags."""


def summed_columns(since: int | None = None) -> list[Column]:
    """The columns a rollup sums; a map's sum is not kept."""
    return [
        column
        for column in COLUMNS
        if column.summed and column.type != UNITS and (since is None or column.since <= since)
    ]


def column_definition(column: Column) -> str:
    """One line of CREATE TABLE, or what follows ADD COLUMN."""
    return f"`{column.name}` {column.type} COMMENT {literal(column.doc)}"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def rollup(since: int | None = None) -> str:
    """The aggregate projection: sums per hour, in the same part as the rows, so it cannot drift from them."""
    keys = ", ".join(ROLLUP_KEYS)
    selected = ", ".join(f"sum({column.name})" for column in summed_columns(since))
    return f"SELECT {keys}, {selected} GROUP BY {keys}"


def rebuild_rollup(since: int | None = None) -> list[str]:
    """The statements that bring the rollup to the columns of a step; old parts follow in the background."""
    return [
        f"ALTER TABLE {TABLE} DROP PROJECTION IF EXISTS {ROLLUP}",
        f"ALTER TABLE {TABLE} ADD PROJECTION IF NOT EXISTS {ROLLUP} ({rollup(since)})",
        f"ALTER TABLE {TABLE} MATERIALIZE PROJECTION {ROLLUP}",
    ]


def create_table(since: int | None = None) -> str:
    """CREATE TABLE as of one migration, or as it is now."""
    columns = [column for column in COLUMNS if since is None or column.since <= since]
    lines = [
        *(column_definition(column) for column in columns),
        HOUR,
        ROW_ID,
        *(f"INDEX {name}_lookup {name} TYPE bloom_filter(0.01) GRANULARITY 1" for name in LOOKUPS),
        f"PROJECTION {ROLLUP} ({rollup(since)})",
    ]
    body = ",\n    ".join(lines)
    return (
        f"CREATE TABLE IF NOT EXISTS {TABLE}\n(\n    {body}\n)\n"
        f"ENGINE = MergeTree\n"
        f"PARTITION BY {PARTITION}\n"
        f"PRIMARY KEY ({', '.join(PRIMARY_KEY)})\n"
        f"ORDER BY ({', '.join(SORTING_KEY)})\n"
        f"COMMENT {literal('One row per attempt at one model; append-only, so sum() is always right.')}"
    )


def add_columns(since: int) -> list[str]:
    """The statements that bring a table from the step before `since` to it, each column in its place."""
    return [
        f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS {column_definition(column)} AFTER `{before.name}`"
        for before, column in pairwise(COLUMNS)
        if column.since == since
    ]
