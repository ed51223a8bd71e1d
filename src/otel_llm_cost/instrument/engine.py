"""Applies an SDK's wrap points when the SDK is imported, remembers what it did, and undoes it."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import wrapt

from otel_llm_cost.core import faults
from otel_llm_cost.core.background import background
from otel_llm_cost.instrument.sdk import Sdk, WrapPoint

if TYPE_CHECKING:
    from otel_llm_cost.pipeline import Pipeline

_log = logging.getLogger("otel_llm_cost")


@dataclass(frozen=True, slots=True)
class Patch:
    """One function of an SDK that ours took the place of."""

    owner: type
    name: str
    original: Callable[..., Any]
    replacement: Callable[..., Any]

    def undo(self) -> None:
        """Put the original back; where someone wrapped over ours since, ours only passes through."""
        self.replacement.active = False  # type: ignore[attr-defined]
        if self.owner.__dict__.get(self.name) is self.replacement:
            setattr(self.owner, self.name, self.original)


@dataclass(slots=True)
class Status:
    """What became of an SDK, as `doctor` shows it.

    state: off, waiting (the SDK is not imported yet), on, or skipped. wrapped: points in place.
    skipped: point → why not. reason: why the whole SDK is skipped.
    """

    sdk: str
    version: str = ""
    state: str = "off"
    wrapped: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    reason: str = ""


class Instrumented:
    """One SDK under one pipeline, from `apply` to `undo`.

    pipeline: makes it; asked when the SDK is imported, so that a process without one loads next to nothing.
    """

    def __init__(self, sdk: Sdk, pipeline: Callable[[], Pipeline]) -> None:
        self.sdk = sdk
        self._make_pipeline = pipeline
        self._pipeline: Pipeline | None = None
        self.status = Status(sdk.name, installed_version(sdk.installs), "waiting")
        self._patches: list[Patch] = []
        self._active = True

    def apply(self) -> None:
        """Wrap now what is imported, and the rest when it is. Imports nothing, raises nothing."""
        for module in dict.fromkeys((self.sdk.package, *self.sdk.modules)):
            wrapt.register_post_import_hook(self._imported, module)

    def undo(self) -> None:
        """Give back every original."""
        self._active = False
        while self._patches:
            self._patches.pop().undo()
        self.status = Status(self.sdk.name, self.status.version)

    def _imported(self, module: Any) -> None:
        if not self._active or self.status.state == "skipped":
            return
        try:
            if self._is_supported() and module.__name__ in self.sdk.modules:
                if self._pipeline is None:
                    self._pipeline = self._make_pipeline()
                family = importlib.import_module(self.sdk.family)
                for point in family.points(self.sdk.package):
                    if point.module == module.__name__:
                        self._wrap(module, point, self._pipeline)
                if self.status.wrapped:
                    self.status.state = "on"
                    prepare(self._pipeline)
        except Exception as error:  # noqa: BLE001 - an import must not fail because of us
            faults.report(f"instrumenting {self.sdk.name}", error)

    def _is_supported(self) -> bool:
        status = self.status
        if not status.version or _numbers(status.version) >= _numbers(self.sdk.oldest):
            return True
        status.state = "skipped"
        status.reason = f"{status.version} is older than {self.sdk.oldest}, the oldest supported version"
        _log.warning("%s calls are not counted: %s", self.sdk.name, status.reason)
        return False

    def _wrap(self, module: Any, point: WrapPoint, pipeline: Pipeline) -> None:
        class_name, _, name = point.attribute.partition(".")
        owner: Any = getattr(module, class_name, None)
        original = owner.__dict__.get(name) if owner is not None else None
        if original is None:
            if not point.optional:
                self.status.skipped[point.path] = "not in this version"
                _log.warning(
                    "%s %s has no %s; some calls are not counted",
                    self.sdk.name,
                    self.status.version,
                    point.path,
                )
            return
        replacement = point.wrap(original, self.sdk, pipeline)
        replacement.active = True  # type: ignore[attr-defined]
        setattr(owner, name, replacement)
        self._patches.append(Patch(owner, name, original, replacement))
        self.status.wrapped.append(point.path)


def prepare(pipeline: Pipeline) -> None:
    """Load what the policies need: here and now, or in our thread where this one runs an event loop."""
    if pipeline.is_ready:
        return
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            background.start()
            background.submit(pipeline.prepare)
            return
    pipeline.prepare()


def installed_version(distribution: str) -> str:
    """The installed version, or an empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
