"""The public face is pinned, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

import otel_llm_cost


def test_the_public_names_are_these_and_each_one_is_there() -> None:
    assert otel_llm_cost.__all__ == [
        "BudgetExceeded",
        "CallDenied",
        "Usage",
        "__version__",
        "instrument",
        "price",
        "tags",
        "uninstrument",
    ]
    assert all(getattr(otel_llm_cost, name) is not None for name in otel_llm_cost.__all__)
    assert set(otel_llm_cost.__all__) <= set(dir(otel_llm_cost))
    assert issubclass(otel_llm_cost.BudgetExceeded, otel_llm_cost.CallDenied)


def test_usage_can_be_priced_without_a_call() -> None:
    usage = otel_llm_cost.Usage(input_uncached=1000, output=100)
    assert otel_llm_cost.price("openai", "gpt-4o-mini", usage).exact == "0.00021"
    then = datetime(2025, 6, 1, tzinfo=timezone(timedelta(hours=2)))
    assert otel_llm_cost.price("openai", "gpt-4o-mini", usage, at=then).exact == "0.00021"
    unknown = otel_llm_cost.price("openai", "no-such-model", usage)
    assert (unknown.status, unknown.exact) == ("unpriced", None)
    assert unknown.reason
    with pytest.raises(ValueError, match="time zone"):
        otel_llm_cost.price("openai", "gpt-4o-mini", usage, at=datetime(2025, 6, 1))  # noqa: DTZ001


def test_the_terms_of_a_call_decide_its_price_too() -> None:
    usage = otel_llm_cost.Usage(input_uncached=1000, output=100)
    plain = otel_llm_cost.price("openai", "gpt-4o-mini", usage)
    priority = otel_llm_cost.price("openai", "gpt-4o-mini", usage, service_tier="priority")
    assert plain.effective is not None
    assert priority.effective is not None
    assert priority.effective > plain.effective


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'budget'"):
        otel_llm_cost.budget  # noqa: B018


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert otel_llm_cost.__version__ == version("otel-llm-cost")


def loaded_after(code: str) -> set[str]:
    """Modules that are loaded in a fresh interpreter after `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"pydantic", "genai_prices", "openai", "anthropic", "click", "httpx", "opentelemetry.sdk", "decimal"}


def test_importing_the_package_imports_nothing_else_of_ours_or_others() -> None:
    loaded = loaded_after("import otel_llm_cost")
    assert {name for name in loaded if name.startswith("otel_llm_cost")} == {"otel_llm_cost"}
    assert not HEAVY & loaded


def test_instrumenting_imports_no_sdk_and_no_price_data() -> None:
    loaded = loaded_after("import otel_llm_cost; otel_llm_cost.instrument()")
    assert not {"pydantic", "genai_prices", "openai", "anthropic", "click", "yaml"} & loaded


@pytest.mark.parametrize(
    "first",
    [
        "import otel_llm_cost.instrument",
        "from otel_llm_cost.instrument import SDKS",
        "import otel_llm_cost.wiring",
    ],
)
def test_instrument_is_the_function_whatever_is_imported_first(first: str) -> None:
    code = f"{first}\nfrom otel_llm_cost import instrument\nimport otel_llm_cost\n"
    loaded_after(
        f"{code}assert instrument is otel_llm_cost.instrument; instrument(); otel_llm_cost.uninstrument()"
    )
