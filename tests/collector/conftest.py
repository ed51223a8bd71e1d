"""One collector for all tests that only send and ask; each uses a team of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running import Collector, running


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector on a chDB ledger; batches are small, so that tests need not wait."""
    with running(
        tmp_path_factory.mktemp("collector"), environ={"OTEL_LLM_COST_BATCH_SECONDS": "0.05"}
    ) as started:
        yield started


@pytest.fixture
def team(request: pytest.FixtureRequest) -> str:
    """A team of this test's own."""
    return request.node.name
