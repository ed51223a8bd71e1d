"""Budgets of a LiteLLM proxy configuration as ours, with what of them was understood and what was not.

Resets follow https://docs.litellm.ai/docs/proxy/users and `litellm.litellm_core_utils.duration_parser`
(from memory, unchecked): days, weeks and months reset on the calendar in UTC, all else runs from first use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

WINDOWS: dict[str, str] = {
    "1h": "hour",
    "60m": "hour",
    "24h": "day",
    "1d": "day",
    "7d": "week",
    "1w": "week",
    "30d": "month",
    "1mo": "month",
    "": "never",
}
"""`budget_duration` → our window. Others become a rolling window of that length."""


class Imported(NamedTuple):
    """budgets: as they are written in our file. The others: path → what became of it, or why nothing did."""

    budgets: list[dict[str, Any]]
    understood: dict[str, str]
    not_understood: dict[str, str]


Found = Iterator[tuple[str, dict[str, Any] | str]]
"""Path in the file, and the budget that it became or why none."""


def read(config: Mapping[str, Any]) -> Imported:
    """Every budget of a parsed LiteLLM configuration. Odd entries are reported, never raised."""
    imported = Imported([], {}, {})
    names: set[str] = set()
    for section in ("", "general_settings", "litellm_settings", "router_settings"):
        values = config if not section else config.get(section)
        if not isinstance(values, Mapping):
            continue
        for key, value in values.items():
            path = f"{section}.{key}" if section else key
            if key in SECTIONS:
                _note(imported, names, SECTIONS[key](path, value, values))
            elif re.search(r"budget|(tpm|rpm)_limit|max_parallel", key) and key not in HELPERS:
                imported.not_understood[path] = "this setting has no counterpart"
    models = config.get("model_list")
    _note(imported, names, _models("model_list", models))
    return imported


def _note(imported: Imported, names: set[str], found: Found) -> None:
    for path, outcome in found:
        if isinstance(outcome, str):
            imported.not_understood[path] = outcome
            continue
        name = outcome["name"]
        number = 2
        while outcome["name"] in names:
            outcome["name"] = f"{name}-{number}"
            number += 1
        names.add(outcome["name"])
        imported.budgets.append(outcome)
        imported.understood[path] = (
            f"budget {outcome['name']}: {outcome['limit']}, window {outcome['window']}"
        )


def _budget(
    path: str,
    name: str,
    values: Any,
    match: dict[str, str],
    per: str = "",
    known: frozenset[str] = frozenset(),
) -> Found:
    """One entry with `max_budget` and `budget_duration`, under whichever of their names."""
    if not isinstance(values, Mapping):
        yield path, "expected max_budget and budget_duration"
        return
    limit = next((values[key] for key in ("max_budget", "budget_limit") if values.get(key) is not None), None)
    duration = next((str(values[key]) for key in DURATIONS if values.get(key) is not None), "")
    window = WINDOWS.get(duration) or _rolling(duration)
    base: dict[str, Any] = {
        "name": _slug(name),
        "match": match,
        **({"per": per} if per else {}),
        "window": window,
    }
    if window is None:
        yield (
            f"{path}.budget_duration",
            f"the duration {duration!r} is not known; write 30s, 30m, 30h, 30d or 1mo",
        )
    elif not _is_positive(limit):
        yield path, "no max_budget above zero"
    else:
        yield path, {**base, "limit": f"{limit} USD"}
    if window is not None and _is_positive(values.get("soft_budget")):
        soft = {
            **base,
            "name": f"{base['name']}-soft",
            "limit": f"{values['soft_budget']} USD",
            "action": "warn",
        }
        yield f"{path}.soft_budget", soft
    used = {"max_budget", "budget_limit", "soft_budget", *DURATIONS, *known}
    for key in values:
        if key not in used:
            yield f"{path}.{key}", "this setting has no counterpart"


DURATIONS = ("budget_duration", "time_period")


def _rolling(duration: str) -> str | None:
    return f"rolling {duration}" if re.fullmatch(r"[1-9]\d*[smhdw]", duration) else None


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:90] or "imported"


def _teams(path: str, value: Any, _around: Any) -> Found:
    for team, values in value.items() if isinstance(value, Mapping) else ():
        yield from _budget(f"{path}.{team}", f"team-{team}", values, {"team": str(team)}, known=NAMES)


def _team_list(path: str, value: Any, _around: Any) -> Found:
    for index, values in enumerate(value if isinstance(value, list) else ()):
        team = values.get("team_alias") or values.get("team_id") if isinstance(values, Mapping) else None
        if team:
            yield from _budget(f"{path}[{index}]", f"team-{team}", values, {"team": str(team)}, known=NAMES)
        else:
            yield f"{path}[{index}]", "expected a team_alias or team_id"


NAMES = frozenset({"team_alias", "team_id", "models", "budget_id"})


def _providers(path: str, value: Any, _around: Any) -> Found:
    for provider, values in value.items() if isinstance(value, Mapping) else ():
        match = {"provider": PROVIDERS.get(provider, str(provider))}
        yield from _budget(f"{path}.{provider}", f"provider-{provider}", values, match)


PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""LiteLLM's name → `gen_ai.provider.name`; the others are the same."""


def _tags(path: str, value: Any, _around: Any) -> Found:
    for tag, values in value.items() if isinstance(value, Mapping) else ():
        key, colon, text = str(tag).partition(":")
        if not colon:
            yield f"{path}.{tag}", "a tag without a key; ours are key and value, as in team:search"
            continue
        yield from _budget(f"{path}.{tag}", f"{key}-{text}", values, {key: text})


def _whole(path: str, value: Any, around: Mapping[str, Any]) -> Found:
    yield from _budget(
        path, "proxy", {"max_budget": value, "budget_duration": around.get("budget_duration")}, {}
    )


def _each_customer(path: str, value: Any, _around: Any) -> Found:
    yield from _budget(path, "each-customer", {"max_budget": value}, {}, per="customer_id")


def _models(path: str, value: Any) -> Found:
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        values = entry.get("litellm_params") if isinstance(entry, Mapping) else None
        if isinstance(values, Mapping) and any(key in values for key in ("max_budget", "soft_budget")):
            model = str(values.get("model", "")).rpartition("/")[2] or str(entry.get("model_name", ""))
            picked = {key: values[key] for key in ("max_budget", "soft_budget", *DURATIONS) if key in values}
            yield from _budget(f"{path}[{index}]", f"model-{model}", picked, {"model": model})


SECTIONS: dict[str, Callable[[str, Any, Mapping[str, Any]], Found]] = {
    "team_budgets": _teams,
    "default_team_settings": _team_list,
    "provider_budget_config": _providers,
    "tag_budget_config": _tags,
    "max_budget": _whole,
    "max_end_user_budget": _each_customer,
}
"""Setting → its reader."""

HELPERS = frozenset({"budget_duration", "budget_duration_reset", "enable_budget_alerts"})
"""Read together with another setting, or about alerts."""
