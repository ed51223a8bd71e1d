"""Added CPU of an openai stream: what a stream costs, and what each chunk of it costs."""

from __future__ import annotations

from benchmarks.pair import added_us, median_of_rounds
from benchmarks.rig import MESSAGES, Rig
from otel_llm_cost import tags

SHORT, LONG = 101, 1001
FIXED_LIMIT_US, CHUNK_LIMIT_US = 170.0, 1.5


def run() -> list[tuple[str, str, str]]:
    """Rows of: what, measured, limit."""
    rig = Rig(metrics=False)
    rows = []
    try:
        for asked in (False, True):
            name = "usage asked for by the user" if asked else "usage asked for by us"
            short = _added(rig, SHORT, asked, blocks=30, calls=4)
            long = _added(rig, LONG, asked, blocks=30, calls=1)
            slope = (long - short) / (LONG - SHORT)
            fixed = short - slope * SHORT
            rows.append((f"stream, each chunk, {name}", f"{slope:.2f} µs", f"≤ {CHUNK_LIMIT_US} µs"))
            rows.append((f"stream, fixed, {name}", f"{fixed:.0f} µs", f"≤ {FIXED_LIMIT_US:.0f} µs"))
    finally:
        rig.close()
    return rows


def _added(rig: Rig, chunks: int, asked: bool, *, blocks: int, calls: int) -> float:
    options = {"stream_options": {"include_usage": True}} if asked else {}

    def read(client: object) -> None:
        for _ in client.chat.completions.create(  # type: ignore[attr-defined]
            model="gpt-4o", messages=MESSAGES, stream=True, max_tokens=chunks, **options
        ):
            pass

    with tags(team="search", feature="rank"):
        return median_of_rounds(
            lambda: added_us(
                lambda: read(rig.plain), lambda: read(rig.instrumented), blocks=blocks, calls=calls
            )
        )[0]
