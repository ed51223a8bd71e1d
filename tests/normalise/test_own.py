"""Our own spans: the quick reader says the same as the general one, whatever the span holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otel_llm_cost.core.call import Call, Part
from otel_llm_cost.core.cost import Cost
from otel_llm_cost.core.semconv import SCOPE, from_attributes, to_attributes
from otel_llm_cost.core.units import UNITS
from otel_llm_cost.core.usage import Usage
from otel_llm_cost.normalise import Billable, Emitted, Normaliser
from otel_llm_cost.normalise.own import OwnReader

UNIT_NAMES = [unit.name for unit in UNITS if unit.name != "reasoning"]
PART = Part("m", Usage(output=1, audio_seconds=Decimal("0.5")))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A call with any of its fields set or not."""

    def one_of(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    return Call(
        provider=one_of("", "openai"),
        operation=one_of("", "chat"),
        request_model=one_of("", "m"),
        response_id=one_of("", "r"),
        attempt=one_of(1, 2),
        stream=one_of(True, False),
        server_port=one_of(None, 8080),
        usage=Usage(draw(st.dictionaries(st.sampled_from(UNIT_NAMES), st.integers(0, 9), max_size=4))),
        parts=one_of((), (PART,)),
        terms=one_of({}, {"region": "x", "speed": "fast"}),
        usage_flags=one_of((), ("a", "b")),
        finish_reasons=one_of((), ("stop",)),
        tags=one_of({}, {"team": "t", "shelf": "s", "x.y": ""}),
        cost=one_of(
            None,
            Cost("unpriced", reason="no such model"),
            Cost("priced", 5, 7, 5, None, (), "", "p", "v", "s"),
        ),
        error_type=one_of("", "429"),
    )


@given(several=st.lists(calls(), max_size=5))
def test_the_quick_reader_and_the_general_one_agree(several: list[Call]) -> None:
    reader = OwnReader()
    for call in several:
        attributes = to_attributes(call)
        assert reader.read(attributes, 5, 9) == from_attributes(attributes, started_at=5, ended_at=9)


def test_the_environment_is_the_tag_else_the_resources() -> None:
    resource = {"deployment.environment.name": "prod", "service.name": "shop"}
    for tags, environment in (({}, "prod"), ({"environment": "test"}, "test")):
        found = Normaliser().read(Emitted(to_attributes(Call(tags=tags)), resource, SCOPE))
        assert isinstance(found, Billable)
        assert (found.call.tags["environment"], found.service) == (environment, "shop")
