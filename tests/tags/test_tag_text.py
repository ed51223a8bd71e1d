"""Tags as text: what is written is read back, and nothing that is read can raise or grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.core import tag_text
from otel_llm_cost.core.tag_text import clean, parse, parse_header, to_text
from otel_llm_cost.core.tags import of_call

KEYS = st.from_regex(r"\A\w[\w./-]{0,30}\Z")
VALUES = st.text(min_size=1, max_size=40).map(str.strip).filter(lambda text: text and text.isprintable())
TAGS = st.dictionaries(KEYS, VALUES, max_size=8)


@given(TAGS)
def test_what_is_written_for_a_child_is_read_back(tags: dict[str, str]) -> None:
    text = to_text(tags)
    assert text.isascii()
    assert parse(text, "test") == tags


@given(st.text(max_size=300))
def test_any_text_gives_tags_within_bounds_and_cleaning_twice_changes_nothing(text: str) -> None:
    for tags in (parse(text, "test"), parse_header(text)):
        assert len(tags) <= tag_text.MAX_TAGS
        assert clean(tags.items(), "test") == tags


def test_a_list_reads_as_it_looks() -> None:
    assert parse(" team = search , feature=rank,", "test") == {"team": "search", "feature": "rank"}
    assert parse_header("team:search,feature: rank") == {"team": "search", "feature": "rank"}


def test_a_value_may_hold_the_separator_and_escapes() -> None:
    assert parse("url=http://x?a=b,list=a%2Cb,share=100%", "test") == {
        "url": "http://x?a=b",
        "list": "a,b",
        "share": "100%",
    }
    assert parse_header("when:12:30") == {"when": "12:30"}


def test_of_two_values_for_one_key_the_later_holds() -> None:
    assert parse("team=search,team=ads", "test") == {"team": "ads"}


def test_what_is_no_pair_is_dropped_and_the_rest_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    assert parse("team=search,production,=x,feature=", "a test's own source") == {"team": "search"}
    assert [message for message in caplog.messages if "a test's own source" in message] != []


def test_a_huge_text_is_refused_whole() -> None:
    assert parse("team=search," + "x=y," * 5000, "test") == {}


def test_what_does_not_fit_a_child_is_left_out_whole() -> None:
    many = {f"key{n}": "ü" * 200 for n in range(30)}
    read = parse(to_text(many), "test")
    assert read
    assert read.items() <= many.items()


class TestOfCall:
    def test_the_header_wins_over_metadata_and_metadata_over_user(self) -> None:
        headers = {"X-LiteLLM-Tags": "team:search"}
        body = {"metadata": {"team": "ads", "customer_id": "acme", "note": "private"}, "user": "u-1"}
        assert of_call(body, headers) == {"team": "search", "customer_id": "acme"}

    def test_the_end_user_is_the_customer_where_nothing_says_better(self) -> None:
        assert of_call({"user": "u-1"}) == {"customer_id": "u-1"}
        assert of_call({"metadata": {"user_id": "u-2"}}, None) == {"customer_id": "u-2"}

    def test_the_calls_header_wins_over_the_clients_and_what_is_no_mapping_is_passed_over(self) -> None:
        client, call = {"x-litellm-tags": "team:search,feature:rank"}, {"x-litellm-tags": "team:ads,prod"}
        assert of_call({}, client, object(), call) == {"team": "ads", "feature": "rank"}

    def test_free_keys_come_under_our_own_name_only(self) -> None:
        body = {"metadata": {"llm_cost.tag.sprint": "7", "llm_cost.team": "search", "sprint": "8"}}
        assert of_call(body, {}) == {"sprint": "7", "team": "search"}

    @given(
        st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())),
        st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.text())),
    )
    def test_no_request_makes_it_raise(self, headers: dict[str, object], metadata: object) -> None:
        assert all(of_call({"metadata": metadata, "user": metadata}, headers).values())
