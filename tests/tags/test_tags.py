"""`tags(…)` holds where it was said, on every kind of function, and nowhere else."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import json
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost import tags
from otel_llm_cost.core.tags import Carried, carried, current


def test_tags_hold_inside_the_block_and_not_after() -> None:
    with tags(team="search", feature="rank"):
        assert current() == {"team": "search", "feature": "rank"}
    assert current() == {}


def test_inner_tags_win_and_outer_ones_stay_visible() -> None:
    with tags(team="search", feature="rank"), tags(feature="suggest", customer_id="acme"):
        assert current() == {"team": "search", "feature": "suggest", "customer_id": "acme"}


def test_none_and_empty_text_leave_the_outer_tag_as_it_is() -> None:
    with tags(team="search"), tags(team=None, feature=""):
        assert current() == {"team": "search"}


def test_numbers_booleans_and_enum_members_become_text() -> None:
    class Team(str, Enum):
        SEARCH = "search"

    with tags(customer_id=42, beta=True, share=0.5, team=Team.SEARCH):
        assert current() == {"customer_id": "42", "beta": "true", "share": "0.5", "team": "search"}


def test_keys_that_are_no_python_names_go_into_a_mapping() -> None:
    with tags({"cost-centre": "4711"}, team="search"):
        assert current() == {"cost-centre": "4711", "team": "search"}


def test_the_tags_of_a_call_win_over_those_around_it() -> None:
    with tags(team="search", feature="rank"):
        assert current({"feature": "own"}) == {"team": "search", "feature": "own"}


def test_current_tags_cannot_be_changed() -> None:
    with tags(team="search"), pytest.raises(TypeError):
        current()["team"] = "ads"  # type: ignore


def test_an_exception_passes_and_leaves_no_tags_behind() -> None:
    with pytest.raises(KeyError), tags(team="search"):
        raise KeyError
    assert current() == {}


async def test_async_with_holds_across_awaits_and_not_in_other_tasks() -> None:
    async def tagged(team: str) -> str:
        async with tags(team=team):
            await asyncio.sleep(0.001)
            return current()["team"]

    teams = ["search", "ads", "mail"]
    assert list(await asyncio.gather(*map(tagged, teams))) == teams
    assert current() == {}


async def test_a_task_has_the_tags_of_where_it_was_made() -> None:
    async def read() -> dict[str, str]:
        return dict(current())

    with tags(team="search"):
        task = asyncio.create_task(read())
    assert await task == {"team": "search"}


async def test_one_object_serves_many_tasks_and_threads_at_once() -> None:
    search = tags(team="search")
    inside = threading.Barrier(3)

    def in_thread(found: list[object]) -> None:
        with search, search:
            inside.wait(5)
            found.append(dict(current()))
        found.append(dict(current()))

    found: list[object] = []
    threads = [threading.Thread(target=in_thread, args=(found,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(map(str, found)) == sorted(map(str, [{"team": "search"}, {}] * 3))


def test_a_task_that_is_carried_has_exactly_its_own_tags() -> None:
    with tags(feature="rank"):
        task = Carried(lambda: dict(current()), carried())
    with tags(team="whoever runs it"):
        assert task() == {"feature": "rank"}
        assert current() == {"team": "whoever runs it"}


class TestDecorator:
    def test_a_function_stays_a_function_with_its_name_and_answer(self) -> None:
        @tags(team="search")
        def answer(question: str) -> tuple[str, dict[str, str]]:
            """Doc."""
            return question, dict(current())

        assert answer("why") == ("why", {"team": "search"})
        assert (answer.__name__, answer.__doc__) == ("answer", "Doc.")
        assert current() == {}

    async def test_a_coroutine_function_stays_one(self) -> None:
        @tags(team="search")
        async def answer() -> dict[str, str]:
            await asyncio.sleep(0)
            return dict(current())

        assert inspect.iscoroutinefunction(answer)
        assert await answer() == {"team": "search"}
        assert current() == {}

    def test_a_generator_has_its_tags_and_its_consumer_does_not(self) -> None:
        @tags(team="search")
        def chunks() -> Iterator[dict[str, str]]:
            yield dict(current())
            yield dict(current())

        assert inspect.isgeneratorfunction(chunks)
        seen = [(chunk, dict(current())) for chunk in chunks()]
        assert seen == [({"team": "search"}, {})] * 2

    def test_a_generator_keeps_its_protocol(self) -> None:
        log: list[object] = []

        @tags(team="search")
        def talk() -> Generator[str, str, str]:
            try:
                log.append((yield "ready"))
            except KeyError:
                log.append(("caught", dict(current())))
            try:
                yield "again"
            finally:
                log.append(("closed", dict(current())))
            return "end"

        talking = talk()
        assert next(talking) == "ready"
        assert talking.throw(KeyError()) == "again"
        talking.close()
        assert log == [("caught", {"team": "search"}), ("closed", {"team": "search"})]

        finished = talk()
        next(finished)
        finished.send("hello")
        with pytest.raises(StopIteration) as stop:
            next(finished)
        assert stop.value.value == "end"
        assert log[2] == "hello"

    def test_two_generators_in_turn_do_not_mix_their_tags(self) -> None:
        def numbers() -> Iterator[str]:
            with tags(step="inner"):  # open over a yield, which would leak without a scope of its own
                while True:
                    yield ",".join(current().values())

        search, ads = tags(team="search")(numbers)(), tags(team="ads")(numbers)()
        seen = [next(search), next(ads), ",".join(current()), next(search), next(ads), ",".join(current())]
        assert seen == ["search,inner", "ads,inner", "", "search,inner", "ads,inner", ""]

    async def test_an_async_generator_has_its_tags_and_its_consumer_does_not(self) -> None:
        closed: list[dict[str, str]] = []

        @tags(team="search")
        async def chunks() -> AsyncIterator[dict[str, str]]:
            try:
                while True:
                    await asyncio.sleep(0)
                    yield dict(current())
            finally:
                closed.append(dict(current()))

        assert inspect.isasyncgenfunction(chunks)
        stream = chunks()
        assert [await anext(stream), dict(current()), await anext(stream)] == [
            {"team": "search"},
            {},
            {"team": "search"},
        ]
        await stream.aclose()
        assert closed == [{"team": "search"}]

    async def test_an_error_thrown_into_an_async_generator_reaches_its_body(self) -> None:
        @tags(team="search")
        async def chunks() -> AsyncIterator[str]:
            try:
                yield "first"
            except KeyError:
                yield f"caught as {current()['team']}"

        stream = chunks()
        await anext(stream)
        assert await stream.athrow(KeyError()) == "caught as search"  # type: ignore[attr-defined]

    def test_methods_of_every_kind_can_be_decorated(self) -> None:
        class App:
            @tags(team="search")
            def plain(self) -> str:
                return current()["team"]

            @tags(team="ads")
            @staticmethod
            def static() -> str:
                return current()["team"]

            @tags(team="mail")
            @classmethod
            def klass(cls) -> str:
                return current()["team"]

        assert (App().plain(), App.static(), App.klass()) == ("search", "ads", "mail")

    @pytest.mark.parametrize("wrong", [object, 5])
    def test_what_is_no_function_is_refused_when_it_is_decorated(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="decorate"):
            tags(team="search")(wrong)


class TestLeavingOutOfOrder:
    def test_the_outer_one_first(self) -> None:
        outer, inner = tags(team="search"), tags(feature="rank")
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        assert current() == {"feature": "rank"}
        inner.__exit__(None, None, None)
        assert current() == {}

    def test_in_another_context_changes_nothing_there(self) -> None:
        block = tags(team="search")
        contextvars.Context().run(block.__enter__)
        with tags(feature="rank"):
            block.__exit__(None, None, None)
            assert current() == {"feature": "rank"}

    def test_a_generator_that_is_collected_in_another_thread_raises_nothing(self) -> None:
        def chunks() -> Iterator[int]:
            with tags(team="search"):
                yield 1

        held = [contextvars.Context().run(lambda: (stream := chunks(), next(stream))[0])]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        gc.collect()
        assert current() == {}

    @given(st.lists(st.integers(0, 3), max_size=40))
    def test_any_order_of_entering_and_leaving_ends_without_tags(self, steps: list[int]) -> None:
        def play() -> None:
            blocks = [tags(**{f"key{n}": "x"}) for n in range(4)]
            opened: list[int] = []
            for n in steps:
                if n in opened:
                    opened.remove(n)
                    blocks[n].__exit__(None, None, None)
                else:
                    opened.append(n)
                    blocks[n].__enter__()
                assert current() == {f"key{n}": "x" for n in opened}
            for n in opened:
                blocks[n].__exit__(None, None, None)
            assert current() == {}

        contextvars.Context().run(play)


class TestBadInput:
    def test_what_cannot_be_a_tag_is_dropped_with_one_warning_that_holds_no_value(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            with tags(team="search", feature=["secret"], customer_id="x" * 257, note="a\nb"):
                assert current() == {"team": "search"}
        assert len(caplog.messages) <= 2
        assert not any("secret" in message or "xxx" in message for message in caplog.messages)

    def test_keys_have_a_form(self) -> None:
        pairs: Any = {"": "a", "x" * 65: "b", "a b": "c", "a,b": "d", 5: "e", "ok.key-1": "f"}
        with tags(pairs):
            assert current() == {"ok.key-1": "f"}

    def test_nested_blocks_stay_within_the_bound_and_the_nearest_are_kept(self) -> None:
        with tags({f"outer{n}": "x" for n in range(32)}), tags({f"inner{n}": "x" for n in range(10)}):
            held = current()
            assert len(held) == 32
            assert {f"inner{n}" for n in range(10)} <= set(held)

    @given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.binary(), st.none())))
    def test_nothing_that_an_app_passes_makes_it_raise(self, pairs: dict[str, object]) -> None:
        with tags(pairs):
            json.dumps(dict(current()))
            assert all(text and text.isprintable() for text in current().values())
