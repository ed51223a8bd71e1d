"""YAML whose every value still knows its line, so that a wrong setting can be pointed at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from otel_llm_cost.core.errors import ConfigError, require

Lines = Mapping[tuple[str | int, ...], int]
"""Path into the document → line, counted from 1."""


def read_mapping(file: Path) -> tuple[dict[str, Any], Lines]:
    """The top-level mapping of a YAML file, and the line of every path in it.

    Raises ConfigError with file and line for what is no YAML, no mapping, or sets a key twice, and
    MissingExtra when no YAML reader is installed.
    """
    yaml = require("yaml", "collector")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{file}: cannot be read ({reason}); give --config a YAML file") from None
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{file}:1: expected settings as `key: value`, got something else")
        lines = dict(_lines(yaml, node, (), file))
        values: dict[str, Any] = {str(key): value for key, value in loader.construct_document(node).items()}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{file}{line}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()
    return values, lines


def _lines(
    yaml: Any, node: Any, path: tuple[str | int, ...], file: Path
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Every path in the document with its line. A key written twice is refused: YAML would drop one."""
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise ConfigError(f"{file}:{line}: {name} is already set on line {seen[name]}")
            seen[name] = line
            yield from _lines(yaml, value, (*path, name), file)
            yield (*path, name), line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(yaml, value, (*path, index), file)
