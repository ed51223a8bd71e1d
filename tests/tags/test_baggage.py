"""Tags cross to another service in W3C baggage, allow-listed keys only, and never to an LLM provider."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage as otel_baggage
from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_llm_cost import propagation, tags
from otel_llm_cost.core.tags import current
from otel_llm_cost.propagation.baggage import without_baggage

pytestmark = pytest.mark.usefixtures("installed")


@contextmanager
def incoming(**baggage: str) -> Iterator[None]:
    context = get_current()
    for name, value in baggage.items():
        context = otel_baggage.set_baggage(name, value, context)
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def outgoing() -> dict[str, str]:
    """The baggage that a request made here would carry."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    context = W3CBaggagePropagator().extract(headers, Context())
    return {name: str(value) for name, value in otel_baggage.get_all(context).items()}


@contextmanager
def service(answer: Callable[[], Any]) -> Iterator[str]:
    """A real HTTP service, instrumented as any framework is: each request runs in the context it brings."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = attach(propagate.extract({name.lower(): text for name, text in self.headers.items()}))
            try:
                body = json.dumps(answer()).encode()
            finally:
                detach(token)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def get(url: str) -> Any:
    """An instrumented HTTP client."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as response:
        return json.load(response)


def test_tags_cross_two_services_and_do_not_stay_there() -> None:
    with service(lambda: dict(current())) as last:

        def middle() -> list[Any]:
            with tags(feature="rank"):
                return [dict(current()), get(last)]

        with service(middle) as first:
            with tags(team="search", customer_id="acme ü,=", note="stays here"):
                here, there = get(first)
            untagged = get(first)
    assert here == there == {"team": "search", "customer_id": "acme ü,=", "feature": "rank"}
    assert untagged == [{"feature": "rank"}] * 2


def test_tags_travel_under_their_attribute_names_beside_the_apps_own_baggage() -> None:
    with incoming(request="r-1"), tags(team="search"):
        assert outgoing() == {"request": "r-1", "llm_cost.team": "search"}
    assert outgoing() == {}


def test_a_tag_may_come_by_its_bare_name_which_is_the_apps_and_goes_on_unchanged() -> None:
    with incoming(team="search"):
        assert current() == {"team": "search"}
        assert outgoing() == {"team": "search"}
        with tags(team="ads"):
            assert outgoing() == {"team": "search", "llm_cost.team": "ads"}
    with incoming(**{"team": "search", "llm_cost.team": "ads"}):
        assert current() == {"team": "ads"}


def test_baggage_is_below_the_context_and_above_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_TAGS", "team=env,feature=env,sprint=7")
    attributes = {"deployment.environment.name": "prod", "llm_cost.team": "res", "llm_cost.tag.cell": "c1"}
    propagation.install(TracerProvider(resource=Resource(attributes)))
    with incoming(team="bag", feature="bag"), tags(feature="block"):
        assert current({"customer_id": "call"}) == {
            "environment": "prod",
            "cell": "c1",
            "sprint": "7",
            "team": "bag",
            "feature": "block",
            "customer_id": "call",
        }
    assert current()["team"] == "env"


def test_only_allow_listed_keys_are_read_and_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_BAGGAGE_KEYS", "team, sprint")
    propagation.install()
    with incoming(**{"llm_cost.tag.sprint": "7", "feature": "rank"}):
        assert current() == {"sprint": "7"}
        with tags(team="search", customer_id="acme"):
            assert outgoing() == {"feature": "rank", "llm_cost.tag.sprint": "7", "llm_cost.team": "search"}


def test_none_keeps_every_tag_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_LLM_COST_BAGGAGE_KEYS", "none")
    propagation.install()
    with incoming(team="search"):
        assert current() == {}
    with tags(team="search"):
        assert outgoing() == {}


def test_a_request_to_a_provider_carries_no_baggage_at_all_and_calls_in_it_keep_their_tags() -> None:
    with incoming(team="search", request="r-1"), tags(feature="rank"):
        token = attach(without_baggage(get_current()))
        try:
            assert outgoing() == {}
            assert current() == {"team": "search", "feature": "rank"}
        finally:
            detach(token)
        assert outgoing() != {}


def test_other_propagators_send_none_to_a_provider_either() -> None:
    with incoming(team="search", request="r-1"):
        assert dict(otel_baggage.get_all(without_baggage(get_current()))) == {}


def test_after_uninstall_baggage_is_the_apps_alone() -> None:
    propagation.uninstall()
    with incoming(team="search"), tags(feature="rank"):
        assert current() == {"feature": "rank"}
        assert outgoing() == {"team": "search"}


@given(st.dictionaries(st.sampled_from(["llm_cost.team", "team", "feature"]), st.text()))
def test_no_baggage_makes_a_call_fail(entries: dict[str, str]) -> None:
    with incoming(**entries):
        current()
        outgoing()
