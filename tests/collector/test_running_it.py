"""The files that say how to run the collector: they name what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.metrics_text import PREFIX, gauges
from otel_llm_cost.collector.spool import Spool
from otel_llm_cost.config import Settings, variable

FOLDER = Path(__file__).parents[2] / "collector"
CONFIGS = sorted((FOLDER / "otelcol").glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_stock_collectors_pipelines_use_what_is_defined_and_all_of_it(file: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in config["service"]["pipelines"].values():
        for part, names in pipeline.items():
            used[part] |= set(names)
    for part, names in used.items():
        assert names == set(config[part]), f"{file.name}: {part}"
    assert set(config["service"].get("extensions", ())) == set(config.get("extensions", ()))


def test_the_image_sets_variables_that_exist() -> None:
    known = {variable(name) for name in Settings.model_fields}
    text = (FOLDER / "Dockerfile").read_text()
    assert set(re.findall(r"OTEL_LLM_COST_\w+", text)) <= known
    assert 'ENTRYPOINT ["otel-llm-cost"]' in text


def test_the_readme_names_metrics_and_files_that_exist(tmp_path: Path) -> None:
    text = (FOLDER / "README.md").read_text()
    spool = Spool(tmp_path)
    names = {PREFIX + gauge.name for gauge in gauges(Counters(), spool)}
    spool.close()
    assert set(re.findall(r"llm_cost_collector_\w+", text)) <= names
    for file in re.findall(r"`((?:otelcol/)?[\w-]+\.yaml|Dockerfile)`", text):
        assert (FOLDER / file).exists() or (FOLDER.parent / file).exists()
    assert {file.name for file in CONFIGS} == set(re.findall(r"otelcol/([\w-]+\.yaml)", text))
