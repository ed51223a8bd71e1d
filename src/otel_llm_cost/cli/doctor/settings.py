"""Settings: those that are wrong, those that mean nothing, and what this process would be tagged with."""

from __future__ import annotations

from collections.abc import Iterator

from otel_llm_cost import config
from otel_llm_cost.cli.doctor.finding import Environ, Finding
from otel_llm_cost.core import tag_text
from otel_llm_cost.core.errors import LLMCostError

AREA = "settings"


def look(environ: Environ) -> Iterator[Finding]:
    """The configuration as a whole, misspelt variables, and the tags."""
    try:
        config.load(environ=environ)
    except LLMCostError as error:
        yield Finding(AREA, "configuration", "problem", str(error))
    else:
        file = environ.get(config.CONFIG_VARIABLE)
        yield Finding(
            AREA, "configuration", "ok", f"read from {file}" if file else "defaults and environment"
        )
    for name, nearest in config.unknown_variables(environ):
        advice = f"did you mean {nearest}?" if nearest else "see docs/settings.md"
        yield Finding(AREA, name, "problem", "no setting has this name, so it does nothing", advice)
    if text := environ.get(tag_text.VARIABLE, ""):
        yield _tags(text)


def _tags(text: str) -> Finding:
    kept = tag_text.parse(text, tag_text.VARIABLE)
    written = [entry for entry in text.split(",") if entry.strip()]
    if len(kept) < len(written):
        return Finding(
            AREA,
            tag_text.VARIABLE,
            "problem",
            f"{len(written) - len(kept)} of {len(written)} entries are no tags of their own, and are ignored",
            "write key=value with commas between, each key once",
            details=kept,
        )
    return Finding(AREA, tag_text.VARIABLE, "ok", tag_text.to_text(kept), details=kept)
