"""OpenTelemetry's entry points, one instrumentor per SDK; and `instrument()` for apps that call it.

Both ways meet in the same instrumentors, so doing both is doing one. Nothing here imports an SDK, and nothing
raises into the app: an exception would keep OpenTelemetry from loading the instrumentors after us.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, cast

import wrapt
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor as _BaseInstrumentor,
)

from otel_llm_cost.core import faults
from otel_llm_cost.core.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


class Instrumentor(_BaseInstrumentor):  # type: ignore[misc]
    """Counts the calls of one SDK. OpenTelemetry keeps one object per subclass.

    `instrument` takes tracer_provider, meter_provider and logger_provider; the global ones are the default.
    """

    sdk = ""
    """A key of `instrument.SDKS`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The SDK versions that can be counted, as a requirement."""
        from otel_llm_cost.instrument import SDKS

        return (f"{SDKS[self.sdk].installs} >= {SDKS[self.sdk].oldest}",)

    def _instrument(self, **options: Any) -> None:
        try:
            from otel_llm_cost import propagation, records, wiring
            from otel_llm_cost.instrument import SDKS

            if options.get("logger_provider") is not None:
                records.use(options["logger_provider"])
            propagation.install(options.get("tracer_provider"))
            wrapt.register_post_import_hook(records.prepare, SDKS[self.sdk].package)
            wiring.instrument_sdk(
                self.sdk,
                tracer_provider=options.get("tracer_provider"),
                meter_provider=options.get("meter_provider"),
            )
        except Exception as error:  # noqa: BLE001 - see the file's first lines
            faults.report(f"instrumenting {self.sdk}", error)

    def _uninstrument(self, **_options: Any) -> None:
        try:
            from otel_llm_cost import propagation, wiring

            wiring.uninstrument_sdk(self.sdk)
            if not any(other is not self and other.is_instrumented_by_opentelemetry for other in _all()):
                propagation.uninstall()
        except Exception as error:  # noqa: BLE001 - same
            faults.report(f"uninstrumenting {self.sdk}", error)


# A new SDK is one more of these, and its line in pyproject.toml's entry points.
class OpenAIInstrumentor(Instrumentor):
    """openai, and whatever speaks its API."""

    sdk = "openai"


class AnthropicInstrumentor(Instrumentor):
    """anthropic."""

    sdk = "anthropic"


class GoogleGenAIInstrumentor(Instrumentor):
    """google-genai, Gemini API and Vertex AI."""

    sdk = "google_genai"


class GroqInstrumentor(Instrumentor):
    """groq."""

    sdk = "groq"


class TogetherInstrumentor(Instrumentor):
    """together."""

    sdk = "together"


class FireworksInstrumentor(Instrumentor):
    """fireworks-ai."""

    sdk = "fireworks"


class CerebrasInstrumentor(Instrumentor):
    """cerebras-cloud-sdk."""

    sdk = "cerebras"


class WriterInstrumentor(Instrumentor):
    """writer-sdk."""

    sdk = "writer"


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    sdks: Iterable[str] | None = None,
) -> None:
    """Count LLM calls from here on, as `opentelemetry-instrument` does; SDKs that are not there are fine.

    Providers default to OpenTelemetry's global ones. `sdks` names those to count (all that we know).
    Doing it twice changes nothing. Raises ConfigError for an SDK that we do not know.
    """
    for one in _chosen(sdks):
        if not one.is_instrumented_by_opentelemetry:
            one.instrument(
                skip_dep_check=True,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
                logger_provider=logger_provider,
            )


def uninstrument(sdks: Iterable[str] | None = None) -> None:
    """Give back everything that was wrapped; open streams are still counted. Raises ConfigError as above."""
    for one in _chosen(sdks):
        if one.is_instrumented_by_opentelemetry:
            one.uninstrument()


def _all() -> list[Instrumentor]:
    return [cast("Instrumentor", kind()) for kind in Instrumentor.__subclasses__()]


def _chosen(sdks: Iterable[str] | None) -> list[Instrumentor]:
    known = {one.sdk: one for one in _all()}
    names = list(known) if sdks is None else [sdks] if isinstance(sdks, str) else list(sdks)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"instrument: no SDK is known as {name!r}; known are {', '.join(sorted(known))}"
            )
    return [known[name] for name in names]
