"""The report's page: true, safe, whole in one file."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import zlib
from datetime import datetime, timezone
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.panels.html import MOST_ROWS, page
from otel_llm_cost.panels.html_text import safe

from .conftest import LONG, NASTY

SINCE, UNTIL = datetime(2026, 10, 1, tzinfo=timezone.utc), datetime(2026, 11, 1, tzinfo=timezone.utc)
COUNTS = (
    "calls",
    "failed_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "estimated_calls",
    "unpriced_calls",
)


def row(cost: str | None, **about: Any) -> dict[str, Any]:
    usual = {"calls": 10, "input_tokens": 1000, "output_tokens": 50, "effective_cost": cost}
    return {**dict.fromkeys(COUNTS, 0), **usual, **about}


def result(*rows: dict[str, Any]) -> dict[str, Any]:
    known = [Decimal(each["effective_cost"]) for each in rows if each["effective_cost"] is not None]
    total: dict[str, Any] = {name: sum(each[name] for each in rows) for name in COUNTS}
    total["effective_cost"] = f"{sum(known, Decimal(0)):f}" if known else None
    total["is_lower_bound"] = total["unpriced_calls"] > 0
    return {"rows": list(rows), "total": total}


def drawn(*rows: dict[str, Any], keys: tuple[str, ...] = ("team",)) -> str:
    return page("LLM spend", result(*rows), keys=keys, since=SINCE, until=UNTIL)


class Reader(HTMLParser):
    """Tags, attributes and text as a browser would see them."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})
    SELF_CLOSING = frozenset({"rect", "line"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.SELF_CLOSING
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


SHAPES = {
    "by team": (("team",), (row("12.5", team="search"), row("0.25", team=None))),
    "by team and feature": (
        ("team", "feature"),
        (row("12.5", team="search", feature="rank"), row(None, team="lab", feature=None, unpriced_calls=3)),
    ),
    "by day": (("day",), (row("1", day="2026-10-02"), row("3", day="2026-10-01"))),
    "by hour and model": (("hour", "model"), (row("-1", hour="2026-10-01T00:00:00Z", model="m"),)),
    "total": ((), (row("12"),)),
    "nothing": (("team",), ()),
    "one row that is worth nothing": (("team",), (row("0", team="free"),)),
    "nothing known": (("team",), (row(None, team="lab", unpriced_calls=10),)),
    "hostile": (("team", NASTY), (row("1", **{"team": NASTY, NASTY: LONG}),)),
    "very many": (("customer_id",), tuple(row("1", customer_id=f"c{n}") for n in range(MOST_ROWS + 5))),
}
every_shape = pytest.mark.parametrize(("keys", "rows"), SHAPES.values(), ids=SHAPES)


@every_shape
def test_a_page_is_well_formed_and_asks_for_nothing_outside(
    keys: tuple[str, ...], rows: tuple[Any, ...]
) -> None:
    html = drawn(*rows, keys=keys)
    seen = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(seen.tags)
    assert not [
        pair for pair in seen.attributes if pair[0] in ("src", "href", "style") or pair[0].startswith("on")
    ]
    assert "url(" not in html
    assert "@import" not in html


def test_its_own_policy_allows_its_style_and_nothing_else() -> None:
    html = drawn(row("1", team="a"))
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'" in html


@given(st.text(max_size=200))
def test_no_text_becomes_markup(text: str) -> None:
    written = safe(text)
    assert not set("<>\"'") & set(written)
    written.encode("utf-8")
    assert set(Reader(drawn(row("1", team=text))).tags) <= set(Reader(drawn(row("1", team="plain"))).tags) | {
        "li"
    }


def test_amounts_are_rounded_to_read_and_exact_to_point_at() -> None:
    html = drawn(row("1204.123456789012345678", team="search"), row("0.000042", team="lab"))
    assert "$1,204.12" in html
    assert 'title="1204.123456789012345678 USD"' in html
    assert "$0.000042" in html
    assert 'title="1204.123498789012345678 USD"' in html, "the total is exact too"


def test_an_unknown_cost_is_never_drawn_as_zero() -> None:
    text = Reader(drawn(row(None, team="lab", unpriced_calls=10))).text
    assert "unknown" in text
    assert "$0" not in text
    assert "no call has a known price" in text
    untagged = Reader(drawn(row(None, team=None, unpriced_calls=10))).text
    assert "$0" not in untagged


def test_a_total_that_leaves_something_out_says_so_and_what_to_do() -> None:
    text = Reader(drawn(row("5", team="a"), row("2", team="b", unpriced_calls=1))).text
    assert "≥ $7.00" in text
    assert "at least: 1 call has no price" in text
    assert "price_overrides" in text
    assert "≥ $2.00" in text, "and so does the line it comes from"
    assert "≥ $5.00" not in text


def test_untagged_spend_is_a_line_of_its_own_with_its_share() -> None:
    text = Reader(drawn(row("3", team="a"), row("1", team=None))).text
    assert "(untagged)" in text
    assert "Without team$1.0025 % of the cost" in text
    assert "OTEL_LLM_COST_TAGS=team=…" in text


def test_a_key_that_every_call_has_is_not_called_untagged() -> None:
    text = Reader(drawn(row("3", model=None), keys=("model",))).text
    assert "(unknown)" in text
    assert "untagged" not in text
    assert "OTEL_LLM_COST_TAGS" not in text


def test_days_stand_in_the_order_of_time() -> None:
    html = drawn(row("9", day="2026-10-02"), row("1", day="2026-10-01"), keys=("day",))
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', html) == ["2026-10-01", "2026-10-02"]


def test_rows_beyond_the_limit_are_summed_in_one_line() -> None:
    rows = [row("1.5", customer_id=f"c{n}") for n in range(MOST_ROWS + 5)]
    text = Reader(drawn(*rows, keys=("customer_id",))).text
    assert "5 more rows" in text
    assert "$7.50" in text
    assert "$1,507.50" in text


def test_nothing_there_says_what_to_do() -> None:
    assert "otel-llm-cost doctor" in Reader(drawn()).text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
@pytest.mark.parametrize(("scheme", "ground"), [("light", (0xF6, 0xF7, 0xF9)), ("dark", (0x0D, 0x11, 0x17))])
def test_a_browser_shows_it_without_complaint_in_light_and_dark(
    scheme: str, ground: tuple[int, int, int], tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(
        drawn(*SHAPES["by team and feature"][1], keys=("team", "feature")), "utf-8"
    )
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--no-first-run", f"--user-data-dir={tmp_path}/profile", "--enable-logging=stderr"),
            *("--window-size=1200,1000", "--hide-scrollbars", f"--screenshot={tmp_path}/page.png"),
            f"--blink-settings=preferredColorScheme={'0' if scheme == 'dark' else '1'}",
            (tmp_path / "page.html").as_uri(),
        ],  # type: ignore[list-item]
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    assert first_pixel((tmp_path / "page.png").read_bytes()) == ground


def first_pixel(png: bytes) -> tuple[int, int, int]:
    """The colour at the top left; in the first pixel of the first row no filter of PNG changes anything."""
    data = b"".join(
        png[place + 8 : place + 8 + int.from_bytes(png[place : place + 4], "big")]
        for place in chunks(png, b"IDAT")
    )
    red, green, blue = zlib.decompress(data)[1:4]
    return red, green, blue


def chunks(png: bytes, kind: bytes) -> list[int]:
    places, place = [], 8
    while place < len(png):
        if png[place + 4 : place + 8] == kind:
            places.append(place)
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return places
