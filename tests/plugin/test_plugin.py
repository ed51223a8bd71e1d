"""Instrumentors: one per SDK, found by OpenTelemetry, quiet in every way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

import otel_llm_cost
from otel_llm_cost import plugin, propagation, wiring
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.instrument import SDKS


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    yield
    otel_llm_cost.uninstrument()


def test_every_sdk_has_one_instrumentor_and_one_entry_point_of_our_name() -> None:
    points = {
        point.name: point.load()
        for point in entry_points(group="opentelemetry_instrumentor")
        if point.value.startswith("otel_llm_cost.")
    }
    assert {name: kind.sdk for name, kind in points.items()} == {f"llm_cost_{name}": name for name in SDKS}
    assert set(points.values()) == set(plugin.Instrumentor.__subclasses__())


def test_each_says_which_versions_it_counts() -> None:
    assert plugin.OpenAIInstrumentor().instrumentation_dependencies() == ("openai >= 1.50",)


def states() -> dict[str, str]:
    return {status.sdk: status.state for status in wiring.status()}


def test_instrument_and_uninstrument_are_each_others_inverse_and_can_be_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start = threading.Thread.start
    for _ in range(2):
        otel_llm_cost.instrument()
        otel_llm_cost.instrument()
        assert "off" not in states().values()
        assert propagation.is_installed()
        otel_llm_cost.uninstrument()
        otel_llm_cost.uninstrument()
        assert set(states().values()) == {"off"}
        assert threading.Thread.start is start
    assert caplog.messages == []


def test_one_sdk_can_be_chosen_and_the_last_one_takes_propagation_with_it() -> None:
    otel_llm_cost.instrument(sdks=["openai"])
    otel_llm_cost.instrument(sdks=["anthropic"])
    otel_llm_cost.uninstrument(["openai"])
    assert (states()["openai"], propagation.is_installed()) == ("off", True)
    otel_llm_cost.uninstrument(sdks=["anthropic"])
    assert not propagation.is_installed()


def test_the_instrumentors_own_switch_is_the_same_switch() -> None:
    plugin.OpenAIInstrumentor().instrument()
    otel_llm_cost.instrument()
    plugin.OpenAIInstrumentor().uninstrument()
    assert (states()["openai"], states()["anthropic"] != "off") == ("off", True)


def test_an_unknown_sdk_is_named_with_those_we_know() -> None:
    with pytest.raises(ConfigError, match=r"'opnai'.*anthropic.*openai"):
        otel_llm_cost.instrument(sdks=["opnai"])


def test_a_fault_of_ours_while_instrumenting_is_logged_and_the_app_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OTEL_LLM_COST_RAISE")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(wiring, "instrument_sdk", broken)
    with caplog.at_level(logging.WARNING):
        otel_llm_cost.instrument(sdks=["openai"])
    assert ["instrumenting openai" in message for message in caplog.messages] == [True]
