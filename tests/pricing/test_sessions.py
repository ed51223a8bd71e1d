"""A container is charged once per window, however many calls use it."""

from __future__ import annotations

from typing import Any

from otel_llm_cost.pricing.normalise import Reading, read
from otel_llm_cost.pricing.sessions import WINDOW, OpenSessions

AT = 10**18


def using(*containers: str) -> Reading:
    payload: dict[str, Any] = {
        "object": "response",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "output": [{"type": "code_interpreter_call", "container_id": name} for name in containers],
    }
    return read("openai", "responses", payload)


def test_a_container_is_counted_when_it_opens_and_again_after_its_window() -> None:
    sessions = OpenSessions()
    assert sessions.charge(using("a", "a"), AT).usage["code_sessions"] == 1
    assert sessions.charge(using("a", "b"), AT + 1).usage["code_sessions"] == 1
    assert sessions.charge(using("a"), AT + WINDOW - 1).usage["code_sessions"] == 0
    assert sessions.charge(using("a"), AT + WINDOW).usage["code_sessions"] == 1


def test_a_call_that_started_before_the_known_window_opens_its_own() -> None:
    sessions = OpenSessions()
    sessions.charge(using("a"), AT)
    assert sessions.charge(using("a"), AT - 1).usage["code_sessions"] == 1


def test_calls_without_containers_pass_unchanged() -> None:
    reading = using()
    assert OpenSessions().charge(reading, AT) is reading


def test_the_memory_of_a_container_sets_its_fee() -> None:
    tools = [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]
    payload = {
        "object": "response",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "output": [{"type": "code_interpreter_call", "container_id": "a"}],
        "tools": tools,
    }
    assert read("openai", "responses", payload).terms == {"container_memory": "4g"}
