"""Tags as an app has them: propagation in place, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_llm_cost import propagation


@pytest.fixture
def installed() -> Iterator[None]:
    """Tags go along, as after `otel_llm_cost.instrument()`."""
    propagation.install()
    yield
    propagation.uninstall()
