"""docs/ledger.md: the columns as a table. `python -m otel_llm_cost.ledger.document > docs/ledger.md`."""

from __future__ import annotations

from otel_llm_cost.ledger import ddl
from otel_llm_cost.ledger.columns import COLUMNS

_HEAD = f"""# The ledger

Generated from `ledger/columns.py` by `make golden`.

One table, `{ddl.TABLE}`, one row per attempt at one model. Rows are only added (ADR 0001): a correction holds
the difference, so `sum()` over a summed column is always right. NULL in a cost means that it is not known; an
empty text means not known, and in a tag untagged.

Sorted by {", ".join(f"`{key}`" for key in ddl.SORTING_KEY)}; a part per month. Beside the rows, sums per
{", ".join(f"`{key}`" for key in ddl.ROLLUP_KEYS)} are kept.

| column | type | summed | FOCUS | meaning |
|---|---|---|---|---|
"""


def document() -> str:
    """The text of docs/ledger.md."""
    columns = "".join(
        f"| `{column.name}` | `{column.stored_type}` | {'yes' if column.summed else ''} | {column.focus} "
        f"| {column.doc} |\n"
        for column in COLUMNS
    )
    computed = (
        "| `hour` | `DateTime('UTC')` |  |  | Hour of `started_at`, by the table itself. |\n"
        "| `row_id` | `String` |  |  | `batch_id` and `row_no`: the row's name, by the table itself. |\n"
    )
    return f"{_HEAD}{columns}{computed}"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - its output is the file
