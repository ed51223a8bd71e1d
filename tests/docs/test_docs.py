"""What the documents say exists, exists: links, commands, targets, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_llm_cost.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
    if ".venv" not in path.parts
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_command_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"^\s+(?:\$ )?otel-llm-cost ([a-z][a-z-]*)", document.read_text(), re.MULTILINE))
    named |= set(re.findall(r"`otel-llm-cost ([a-z][a-z-]*)", document.read_text()))
    assert named - set(COMMANDS) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text()
    named = set(re.findall(r"`make ([a-z][a-z -]*)`", text)) | set(
        re.findall(r"^    make ([a-z-]+)", text, re.MULTILINE)
    )
    assert {target for line in named for target in line.split()} - targets == set()


def test_continuous_integration_runs_only_what_the_readme_says() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    readme = (ROOT / "README.md").read_text()
    assert commands
    assert [command for command in commands if command not in readme] == []
