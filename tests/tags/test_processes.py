"""Tags go along to child processes of every kind, and the parent's environment stays as it is."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import Pool
from typing import Any

import pytest
from opentelemetry import baggage as otel_baggage
from opentelemetry.context import attach, detach

from otel_llm_cost import propagation, tags
from otel_llm_cost.core.tags import current
from otel_llm_cost.core.tags import reread as reread_tags

pytestmark = [
    pytest.mark.usefixtures("installed"),
    # Python 3.12 and later warn of a fork beside other threads, which is what these tests are about.
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

READ = "from otel_llm_cost.core.tags import current; print(dict(current()))"
NAME = "OTEL_LLM_COST_TAGS"
METHODS = [
    name for name in ("fork", "spawn", "forkserver") if name in multiprocessing.get_all_start_methods()
]


def child(env: Mapping[str, str] | None = None) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", READ], env=env, capture_output=True, text=True, check=True)
    return dict(eval(done.stdout))


def test_a_subprocess_has_the_tags_of_where_it_was_started() -> None:
    with tags(team="search", note="50% off, früh=spät"):
        assert child() == {"team": "search", "note": "50% off, früh=spät"}
    assert child() == {}
    assert NAME not in os.environ


def test_an_environment_of_its_own_gets_them_too_and_is_not_changed() -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    with tags(team="search"):
        assert child(env) == {"team": "search"}
    assert env == {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


def test_tags_that_the_app_writes_into_the_environment_itself_win() -> None:
    with tags(team="search", feature="rank"):
        assert child({**os.environ, NAME: "team=ads"}) == {"team": "ads", "feature": "rank"}


def test_the_process_environment_is_inherited_and_the_context_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "team=search,sprint=7")
    reread_tags()
    with tags(team="ads"):
        assert dict(current()) == {"team": "ads", "sprint": "7"}
        assert child() == {"team": "ads", "sprint": "7"}
        assert child({**os.environ}) == {"team": "ads", "sprint": "7"}
    assert child() == {"team": "search", "sprint": "7"}


def test_positional_arguments_of_popen_keep_their_places() -> None:
    arguments = ([sys.executable, "-c", READ], -1, None, None, subprocess.PIPE, None, None, True, False, None)
    with tags(team="search"), subprocess.Popen(*arguments, {**os.environ, "X": "1"}, text=True) as process:
        assert process.communicate(timeout=20)[0].strip() == "{'team': 'search'}"


async def test_an_asyncio_subprocess_has_them() -> None:
    with tags(team="search"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READ, stdout=asyncio.subprocess.PIPE
        )
    output, _ = await process.communicate()
    assert output.decode().strip() == "{'team': 'search'}"


def report(answer: Any, grandchild: bool) -> None:
    """In a child that instruments itself, as one under `opentelemetry-instrument` is."""
    propagation.install()
    found = [dict(current()), child()]
    if grandchild:
        context = multiprocessing.get_context("spawn")
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=report, args=(send, False))
        process.start()
        found += receive.recv()
        process.join(20)
    answer.send(found)


@pytest.mark.parametrize("method", METHODS)
def test_a_multiprocessing_process_has_them_and_so_have_its_own_children(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    receive, send = context.Pipe(duplex=False)
    with tags(team="search"):
        process = context.Process(target=report, args=(send, method == "forkserver"))
        process.start()
    assert receive.poll(30)
    found = receive.recv()
    process.join(20)
    assert found == [{"team": "search"}] * len(found)
    assert NAME not in os.environ


def read(_: object = None) -> tuple[dict[str, str], dict[str, str]]:
    """The tags of here, and the baggage that is left in this process."""
    return dict(current()), {name: str(text) for name, text in otel_baggage.get_all().items()}


@pytest.mark.parametrize("method", METHODS[:1])
def test_workers_of_a_process_pool_keep_neither_tags_nor_baggage(method: str) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        token = attach(otel_baggage.set_baggage("team", "baggage"))
        try:
            with tags(feature="rank"):
                first = pool.submit(read).result(30)
        finally:
            detach(token)
        with tags(team="search"):
            second = next(iter(pool.map(read, [0])))
        assert [first, second, pool.submit(read).result(30)] == [
            ({"team": "baggage", "feature": "rank"}, {}),
            ({"team": "search"}, {}),
            ({}, {}),
        ]


def test_a_multiprocessing_pool_does_the_same() -> None:
    with tags(team="maker"):
        pool = multiprocessing.get_context(METHODS[0]).Pool(1)
    assert isinstance(pool, Pool)
    with pool:
        with tags(feature="rank"):
            assert [pool.apply(read)[0], pool.map(read, [0])[0][0]] == [{"feature": "rank"}] * 2
        assert pool.apply(read)[0] == {}
