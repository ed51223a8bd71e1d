"""Charts as inline SVG: no script, no outside resource, a tooltip on every part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal

from otel_llm_cost.panels.html_style import SERIES_COLOURS
from otel_llm_cost.panels.html_text import label, plain
from otel_llm_cost.panels.units import Unit

WIDTH, HEIGHT = 960, 260
LEFT, TOP, BOTTOM = 72, 10, 26
LETTER_WIDTH = 8
"""Of a digit under a column, in the picture's units."""
OTHER = "all others"
THINNEST = Decimal("0.2")
"""Per cent of the width that the smallest part still has, so that it can be seen and pointed at."""

Points = Mapping[str, Mapping[str, Decimal]]
"""Time or label → series → amount."""


def bar(amount: Decimal, largest: Decimal) -> str:
    """A bar beside its number, as long as its share of the largest; hidden from screen readers, which have
    the number."""
    width = max(amount / largest * 100, THINNEST if amount else Decimal(0)) if largest > 0 else Decimal(0)
    return (
        '<svg aria-hidden="true" viewBox="0 0 100 8" preserveAspectRatio="none">'
        f'<rect class="s0" width="{width:.2f}" height="8"/></svg>'
    )


def columns(points: Points, unit: Unit, names: str) -> str:
    """Columns over time, one per point, its series stacked; `names` says what the series are.

    Amounts below zero (corrections) take from the column's height only in the tooltip.
    """
    series = _largest(points)
    tops = [
        sum((max(amount, Decimal(0)) for amount in parts.values()), Decimal(0)) for parts in points.values()
    ]
    ceiling, ticks = _scale(max(tops, default=Decimal(0)))
    plot_height = HEIGHT - TOP - BOTTOM
    step = Decimal(WIDTH - LEFT) / max(len(points), 1)
    out = [
        f'<svg role="img" aria-label="{plain(_summary(points, unit, names))}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    ]
    for tick in ticks:
        y = TOP + plot_height * (1 - tick / ceiling)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{plain(unit.show(tick))}</text>')
    width = min(step * 8 / 10, Decimal(64))
    every = max(1, -(-len(points) // 8))
    for index, (when, parts) in enumerate(points.items()):
        x = LEFT + step * index
        y = Decimal(TOP + plot_height)
        for name, amount in _stack(parts, series):
            height = plot_height * max(amount, Decimal(0)) / ceiling
            y -= height
            tooltip = " · ".join(filter(None, (when, name if len(series) > 1 else "", unit.show(amount))))
            out.append(
                f"<g><title>{plain(tooltip)}</title>"
                f'<rect class="{_colour(name, series)}" x="{x + step / 10:.1f}" y="{y:.1f}" '
                f'width="{width:.1f}" height="{max(height, Decimal("0.5")):.1f}"/></g>'
            )
        left = x + step / 10
        if index == 0 or (index % every == 0 and left + LETTER_WIDTH * len(when) <= WIDTH):
            out.append(f'<text x="{left:.1f}" y="{HEIGHT - 8}">{plain(when)}</text>')
    out.append("</svg>")
    return "".join(out) + (_legend(series) if len(series) > 1 else "")


def stacks(points: Points, unit: Unit, names: str) -> str:
    """One horizontal bar per label, largest first, its series in colours, with the total as text."""
    series = _largest(points)
    totals = {name: sum(parts.values(), Decimal(0)) for name, parts in points.items()}
    largest = max(totals.values(), default=Decimal(0))
    rows = []
    for name in sorted(totals, key=lambda each: -totals[each]):
        x = Decimal(0)
        rectangles = []
        for part, amount in _stack(points[name], series):
            width = max(amount / largest * 100, THINNEST) if largest > 0 else Decimal(0)
            rectangles.append(
                f"<g><title>{plain(part)} · {plain(unit.show(amount))}</title>"
                f'<rect class="{_colour(part, series)}" x="{x:.2f}" width="{width:.2f}" height="10"/></g>'
            )
            x += width
        rows.append(
            f'<tr><th scope="row">{label(name)}</th>'
            f'<td class="stack"><svg aria-hidden="true" viewBox="0 0 100 10" preserveAspectRatio="none">'
            f"{''.join(rectangles)}</svg></td>"
            f'<td class="number">{plain(unit.show(totals[name]))}</td></tr>'
        )
    head = f'<caption class="hidden">{plain(names)}</caption>'
    return f'<table class="stacks">{head}<tbody>{"".join(rows)}</tbody></table>' + (
        _legend(series) if len(series) > 1 else ""
    )


def _largest(points: Points) -> tuple[str, ...]:
    """The series with a colour of their own, largest first, and `OTHER` when there are more."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for parts in points.values():
        for name, amount in parts.items():
            totals[name] += amount
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    if len(ranked) <= SERIES_COLOURS:
        return tuple(ranked)
    return (*ranked[:SERIES_COLOURS], OTHER)


def _stack(parts: Mapping[str, Decimal], series: Sequence[str]) -> list[tuple[str, Decimal]]:
    kept = [(name, parts[name]) for name in series if name in parts]
    rest = [amount for name, amount in parts.items() if name not in series]
    return [*kept, (OTHER, sum(rest, Decimal(0)))] if rest else kept


def _colour(name: str, series: Sequence[str]) -> str:
    place = series.index(name) if name in series else SERIES_COLOURS
    return f"s{place}" if place < SERIES_COLOURS else "rest"


def _legend(series: Sequence[str]) -> str:
    entries = "".join(
        f'<li><svg aria-hidden="true" viewBox="0 0 10 10"><rect class="{_colour(name, series)}" '
        f'width="10" height="10" rx="2"/></svg>{label(name)}</li>'
        for name in series
    )
    return f'<ul class="legend">{entries}</ul>'


def _summary(points: Points, unit: Unit, names: str) -> str:
    totals = {when: sum(parts.values(), Decimal(0)) for when, parts in points.items()}
    if not totals:
        return f"{names}: nothing"
    peak = max(totals, key=lambda when: totals[when])
    first, last = next(iter(totals)), next(reversed(totals))
    return f"{names}: {first} to {last}, highest {unit.show(totals[peak])} at {peak}"


def _scale(highest: Decimal) -> tuple[Decimal, list[Decimal]]:
    """A round ceiling at or above the highest value, and the ticks up to it."""
    if highest <= 0:
        return Decimal(1), [Decimal(0)]
    magnitude = Decimal(1).scaleb((highest / 4).adjusted())
    step = next(magnitude * n for n in (1, 2, 5, 10) if magnitude * n * 4 >= highest)
    count = int((highest / step).to_integral_value(ROUND_CEILING))
    return step * count, [step * n for n in range(count + 1)]
