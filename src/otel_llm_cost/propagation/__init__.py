"""Tags, and only tags, go along: to threads, pools, child processes, and in baggage to other services.

`PLACES` is all that is wrapped, each when its module is imported. What a place does is in `threads`,
`processes` and `baggage`; `uninstall` gives every original back.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple

import wrapt
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from otel_llm_cost.core import faults, tag_text, tags
from otel_llm_cost.core.semconv import read_tags
from otel_llm_cost.propagation import baggage, processes, threads


class Place(NamedTuple):
    """A method to take the place of; one that a Python version does not have is not missed."""

    module: str
    owner: str
    name: str
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]]


PLACES = (
    Place("threading", "Thread", "start", threads.thread_start),
    Place("concurrent.futures.thread", "ThreadPoolExecutor", "submit", threads.submit),
    Place("concurrent.futures.process", "ProcessPoolExecutor", "submit", processes.submit_to_process),
    Place("multiprocessing.pool", "Pool", "__init__", processes.make_pool),
    Place("multiprocessing.pool", "Pool", "apply_async", threads.pool_task),
    Place("multiprocessing.pool", "Pool", "_map_async", threads.pool_task),
    Place("multiprocessing.pool", "Pool", "imap", threads.pool_task),
    Place("multiprocessing.pool", "Pool", "imap_unordered", threads.pool_task),
    Place("multiprocessing.process", "BaseProcess", "start", processes.process_start),
    Place("subprocess", "Popen", "__init__", processes.popen),
    Place("opentelemetry.baggage.propagation", "W3CBaggagePropagator", "inject", baggage.inject_tags),
)
CHILD_HOOKS = "multiprocessing.util"
"""The module whose after-fork callbacks run in every child of `multiprocessing`, spawned ones too."""

_lock = threading.Lock()
_installed = False
_watched: set[str] = set()
_hooked: set[str] = set()
_taken: dict[Place, tuple[type, Any, Any]] = {}
_tracer_provider: TracerProvider | None = None


def install(tracer_provider: TracerProvider | None = None) -> None:
    """Let tags go along from here on. A second time only renews settings and provider. Raises nothing.

    tracer_provider: whose resource gives tags to the process; the global one by default.
    """
    global _installed, _tracer_provider
    _tracer_provider = tracer_provider or _tracer_provider
    _installed = True
    baggage.read_settings()
    tags.connect(baggage.read, _read_resource)
    for module in dict.fromkeys((*(place.module for place in PLACES), CHILD_HOOKS)):
        if module not in _watched:
            _watched.add(module)
            wrapt.register_post_import_hook(_imported, module)  # at once for what is imported already
        elif module in sys.modules:
            _imported(sys.modules[module])
    processes.adopt()


def uninstall() -> None:
    """Give every original back: tags then go where contextvars go, and no further."""
    global _installed, _tracer_provider
    _installed, _tracer_provider = False, None
    tags.connect(None, None)
    with _lock:
        while _taken:
            place, (owner, original, replacement) = _taken.popitem()
            if owner.__dict__.get(place.name) is replacement:
                setattr(owner, place.name, original)


def is_installed() -> bool:
    """Whether tags go along."""
    return _installed


def _imported(module: Any) -> None:
    if not _installed:
        return
    try:
        with _lock:
            for place in PLACES:
                if place.module == module.__name__ and place not in _taken:
                    _take(place, getattr(module, place.owner, None))
            if module.__name__ == CHILD_HOOKS and CHILD_HOOKS not in _hooked:
                _hooked.add(CHILD_HOOKS)
                module.register_after_fork(processes, _in_child)
    except Exception as error:  # noqa: BLE001 - an import must not fail because of us
        faults.report(f"carrying tags over {module.__name__}", error)


def _take(place: Place, owner: type | None) -> None:
    original = owner.__dict__.get(place.name) if owner is not None else None
    if owner is None or original is None:
        return
    ours = place.wrap(original)

    @wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        # Someone may have wrapped over us, and then still calls us after `uninstall`.
        return (ours if _installed else original)(*args, **kwargs)

    setattr(owner, place.name, replacement)
    _taken[place] = (owner, original, replacement)


def _in_child(_: object) -> None:
    if _installed:
        processes.adopt()


def _read_resource() -> Mapping[str, str] | None:
    """`llm_cost.*` attributes and the deployment environment; None while no SDK is set up.

    `service.name` is no tag: reports know it as the service.
    """
    provider = _tracer_provider or trace.get_tracer_provider()
    resource = getattr(provider, "resource", None)
    if resource is None:
        return None
    attributes = resource.attributes
    found = read_tags(attributes)
    for name in ("deployment.environment.name", "deployment.environment"):  # the second until semconv 1.27
        if name in attributes:
            found.setdefault("environment", str(attributes[name]))
    return tag_text.clean(found.items(), "resource attributes")
