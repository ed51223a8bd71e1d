"""What Grafana's ClickHouse data source does to a statement before it runs it: variables, comments, macros.

After https://github.com/grafana/clickhouse-datasource (pkg/macros, src/data, read 2026-11-24). Macros that
only the browser knows are absent on purpose: a statement that uses one fails here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

ALL = "$__all"


def expand(
    sql: str,
    since: datetime,
    until: datetime,
    *,
    interval_s: int = 3600,
    variables: Mapping[str, str | Sequence[str]] | None = None,
) -> str:
    """The statement as it reaches ClickHouse. A variable that is not given stands on All."""
    sql = re.sub(r"\$\{(\w+):singlequote\}", lambda match: _quoted((variables or {}).get(match[1], ALL)), sql)
    macros = {
        "fromTime_ms": f"fromUnixTimestamp64Milli({round(since.timestamp() * 1000)})",
        "toTime_ms": f"fromUnixTimestamp64Milli({round(until.timestamp() * 1000)})",
        "interval_s": str(max(interval_s, 1)),
    }
    sql = _without_comments(sql)
    expanded = re.sub(r"\$__(\w+)", lambda match: macros[match[1]], sql)
    assert "$" not in re.sub(r"'(?:[^'\\]|\\.)*'", "", expanded), "a variable or macro is left"
    return expanded


def _quoted(value: str | Sequence[str]) -> str:
    """Grafana's `singlequote` format. `All` with a custom value of its own is put in as it is."""
    if value == ALL:
        return "''"
    values = [value] if isinstance(value, str) else value
    return ",".join("'" + each.replace("'", "\\'") + "'" for each in values)


def _without_comments(sql: str) -> str:
    """The data source blanks comments before it looks for macros. It is assumed to be naive about literals,
    so that no statement of ours depends on its being careful."""
    return re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL)
