"""Added CPU of a non-streaming openai call: span, exact cost, tags; metrics off and on."""

from __future__ import annotations

from benchmarks.pair import added_us, median_of_rounds
from benchmarks.rig import MESSAGES, Rig
from otel_llm_cost import tags

LIMITS_US = {"call, metrics off": 110.0, "call, metrics on": 150.0}


def _floor() -> tuple[str, str, str]:
    """What a wrapper with nothing but a span of 15 attributes costs: the measure of this machine, today."""
    rig = Rig(metrics=False)
    try:
        bare = rig.bare_span_client()

        def spanned() -> None:
            bare.chat.completions.create(model="gpt-4o", messages=MESSAGES)

        def plain() -> None:
            rig.plain.chat.completions.create(model="gpt-4o", messages=MESSAGES)

        middle, least, most = median_of_rounds(lambda: added_us(plain, spanned))
    finally:
        rig.close()
    return "(a bare span with 15 attributes, for scale)", f"{middle:.0f} µs ({least:.0f}…{most:.0f})", ""


def run() -> list[tuple[str, str, str]]:
    """Rows of: what, measured, limit."""
    rows = [_floor()]
    for name, metrics in (("call, metrics off", False), ("call, metrics on", True)):
        rig = Rig(metrics=metrics)
        try:

            def call(client: object) -> None:
                client.chat.completions.create(model="gpt-4o", messages=MESSAGES)  # type: ignore[attr-defined]

            def instrumented(rig: Rig = rig) -> None:
                call(rig.instrumented)

            def plain(rig: Rig = rig) -> None:
                call(rig.plain)

            with tags(team="search", feature="rank"):
                middle, least, most = median_of_rounds(lambda: added_us(plain, instrumented))
                noise = added_us(plain, plain)
            rig.tracer_provider.force_flush()
            assert rig.exporter.spans > 0
        finally:
            rig.close()
        rows.append(
            (
                name,
                f"{middle:.0f} µs ({least:.0f}…{most:.0f}; noise {noise:+.0f})",
                f"≤ {LIMITS_US[name]:.0f} µs",
            )
        )
    return rows
