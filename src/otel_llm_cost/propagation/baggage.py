"""Tags and W3C baggage: read from an incoming hop, added to an outgoing one, kept from LLM providers.

Tags never enter OpenTelemetry's context; they are added at the moment a propagator writes the header. So
`with tags(…)` costs nothing more, works in every thread, and there is one place to keep them from leaving.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context, create_key, get_current
from opentelemetry.propagators.textmap import default_setter

from otel_llm_cost.core import faults, tag_text, tags
from otel_llm_cost.core.semconv import WELL_KNOWN_TAGS, tag_attribute

KEYS: Final = "OTEL_LLM_COST_BAGGAGE_KEYS"
"""Setting: the tags that may cross services in baggage; `none` for none. Default: the well-known ones."""

_HIDDEN = create_key("llm_cost-hidden-baggage")
"""Holds the baggage that a context around a provider's request must not send."""

_keys: tuple[tuple[str, str], ...] = ()
"""(tag, its name in baggage). The name is the tag's attribute, so that copying baggage to spans tags them."""
_last: tuple[object, Mapping[str, str]] = (None, tags.NONE)


def read_settings() -> None:
    """Take the allow-list from the environment."""
    global _keys, _last
    text = os.environ.get(KEYS, "").strip()
    wanted = [key.strip() for key in text.split(",") if key.strip()] if text else WELL_KNOWN_TAGS
    _keys = () if text.lower() == "none" else tuple((key, tag_attribute(key)) for key in wanted)
    _last = (None, tags.NONE)


def read() -> Mapping[str, str]:
    """The allow-listed tags in the baggage of the current context, named `llm_cost.team` or just `team`."""
    global _last
    context = get_current()
    found = context.get(_BAGGAGE_KEY) or context.get(_HIDDEN)
    if not found or not isinstance(found, Mapping):
        return tags.NONE
    entries, known = _last
    if entries is found:  # one request makes many calls
        return known
    pairs = [
        (key, found[name] if name in found else found[key])
        for key, name in _keys
        if name in found or key in found
    ]
    known = tag_text.clean(pairs, "W3C baggage")
    _last = (found, known)
    return known


def without_baggage(context: Context) -> Context:
    """The same context for a request to an LLM provider: whatever injects into it sends no baggage.

    Tags are still read from it, for calls that are made inside.
    """
    kept = context.get(_BAGGAGE_KEY) or context.get(_HIDDEN) or True
    return Context({**context, _BAGGAGE_KEY: {}, _HIDDEN: kept})


def inject_tags(original: Callable[..., Any]) -> Callable[..., Any]:
    """In place of `W3CBaggagePropagator.inject`: the allow-listed tags go too, to a provider nothing does."""

    def inject(self: Any, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        try:
            around = get_current() if context is None else context
            if around.get(_HIDDEN):
                return
            held = tags.carried()
            if held:
                context = _with_tags(around, held)
        except Exception as error:  # noqa: BLE001 - the request that is sent is the user's
            faults.report("adding tags to baggage", error)
        original(self, carrier, context, setter)

    return inject


def _with_tags(context: Context, held: Mapping[str, str]) -> Context:
    entries = dict(context.get(_BAGGAGE_KEY) or {})  # type: ignore[call-overload]
    for key, name in _keys:
        if key in held and entries.get(name, entries.get(key)) != held[key]:
            entries[name] = held[key]
    return Context({**context, _BAGGAGE_KEY: entries})
