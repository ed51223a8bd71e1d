"""DSNs: what each form means, and one sentence for each wrong one, never with the password in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.sinks.dsn import Embedded, Server, parse


@pytest.mark.parametrize(
    ("dsn", "location"),
    [
        ("chdb:///var/lib/ledger", Embedded(Path("/var/lib/ledger"))),
        ("chdb:///with%20space", Embedded(Path("/with space"))),
        ("chdb://memory", Embedded(None)),
        ("chdb://memory/costs", Embedded(None, "costs")),
        ("clickhouse://h", Server("h", 8123)),
        ("clickhouses://h/db", Server("h", 8443, "db", secure=True)),
        ("clickhouse://u:p%40%2F%23@h:9999/db", Server("h", 9999, "db", "u", "p@/#")),
        ("clickhouse://[::1]:8123/db", Server("::1", 8123, "db")),
    ],
)
def test_a_dsn_names_a_place(dsn: str, location: Embedded | Server) -> None:
    assert parse(dsn) == location


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("", "names no kind of store"),
        ("/var/lib/ledger", "names no kind of store"),
        ("postgres://u:hunter2@h/db", "starts with postgres://"),
        ("chdb://var/lib", "needs three slashes"),
        ("chdb:///", "names no folder"),
        ("clickhouse://", "names no host"),
        ("clickhouse://u:hunter2@h:port/db", "cannot be read"),
        ("clickhouse://u:hunter2@h:99999/db", "cannot be read"),
        ("clickhouse://u:hun#ter2@h/db", "%23"),
        ("clickhouse://u:hunter2@h/db?secure=1", "%3F"),
    ],
)
def test_a_wrong_dsn_is_told_in_one_sentence_without_its_password(dsn: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(dsn)
    assert told in str(error.value)
    assert "hun" not in str(error.value)


def test_a_place_never_shows_its_password() -> None:
    place = parse("clickhouse://u:hunter2@h/db")
    assert "hunter2" not in f"{place} {place!r}"
    assert str(place) == "clickhouse://h:8123/db"
