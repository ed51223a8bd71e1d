"""The smallest value that fits a JSON schema: arguments of tool calls and structured outputs."""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}


def instance(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """A value of a schema, every listed property present; `root` holds what `$ref` points to."""
    root = schema if root is None else root
    if isinstance(reference := schema.get("$ref"), str):
        found: Any = root
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        return instance(found, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return instance(schema[union][0], root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(each, root) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {"type": "string"}), root)]
    return _PLAIN[kind]
