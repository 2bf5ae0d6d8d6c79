"""Figures as inline SVG, for a page that needs no server: colours by class, every text escaped. Pure.

Colours come from the page's style sheet (``.s0`` to ``.s7``, ``.axis``, ``.muted``), so that one drawing reads in light
and in dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH = 720
ROW = 34
LEFT, RIGHT, TOP, BOTTOM = 64, 120, 16, 46
LONGEST = 34


@dataclass(frozen=True)
class Effect:
    """A difference with its interval and a word: one row of `effects`. ``harm`` draws it in the colour of harm."""

    label: str
    value: float
    low: float
    high: float
    word: str
    harm: bool = False


@dataclass(frozen=True)
class Series:
    """One line of `lines`.

    Parameters
    ----------
    label : str
    x, y : sequence of float
        Of one length, finite.
    low, high : sequence of float or None
        A band around ``y``.
    style : int
        Which of the page's colours, from 0; 0 is the baseline's and dashed.
    kind : {"line", "step", "dots"}
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: int = 0
    kind: Literal["line", "step", "dots"] = "line"


def effects(rows: Sequence[Effect], *, margin: float, x_title: str, alt: str) -> str:
    """Differences as dots with intervals, the zero line, the margin shaded, each with its word at the right.

    Parameters
    ----------
    margin : float
        Shaded from ``-margin`` to 0; >= 0.
    """
    left, height = 250, TOP + ROW * len(rows) + BOTTOM
    values = [0.0, -margin, *(end for row in rows for end in (row.low, row.high))]
    low, high = _room(min(values), max(values))

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - left - RIGHT)

    foot = height - BOTTOM
    parts = [
        f'<rect class="margin" x="{across(-margin):.1f}" y="{TOP}" '
        f'width="{across(0) - across(-margin):.1f}" height="{foot - TOP}"/>',
        *_ticks_across(low, high, across, TOP, foot),
        f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{TOP}" y2="{foot}"/>',
    ]
    for place, row in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        tint = "harm" if row.harm else "gain"
        parts += [
            f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{_text(row.label)}</text>',
            f'<line class="{tint} thin" x1="{across(row.low):.1f}" x2="{across(row.high):.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<circle class="{tint}" cx="{across(row.value):.1f}" cy="{y:.1f}" r="5"/>',
            f'<text class="{tint}" x="{WIDTH - RIGHT + 12}" y="{y + 4:.1f}">{_text(row.word)}</text>',
        ]
    parts.append(_title_across(x_title, (left + WIDTH - RIGHT) / 2, height - 8))
    return _svg(parts, height, alt)


def lines(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    alt: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    height: int = 340,
) -> str:
    """Curves over common axes, each with its band, named at the right in its colour from top to bottom.

    Parameters
    ----------
    x_range, y_range : pair of float, optional
        The data's own unless given.
    diagonal : bool
        Whether the line of equal values is drawn.
    """
    xs = [value for one in series for value in one.x] or [0.0, 1.0]
    ys = [value for one in series for value in (*one.y, *(one.low or ()), *(one.high or ()))] or [0.0, 1.0]
    x_low, x_high = x_range or _room(min(xs), max(xs))
    y_low, y_high = y_range or _room(min(ys), max(ys))
    foot = height - BOTTOM

    def across(value: float) -> float:
        return LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def upward(value: float) -> float:
        return foot - (value - y_low) / (y_high - y_low) * (foot - TOP)

    parts = [*_ticks_across(x_low, x_high, across, TOP, foot)]
    for tick in ticks(y_low, y_high):
        y = upward(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="muted" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_said(tick)}</text>')
    if diagonal:
        ends = max(x_low, y_low), min(x_high, y_high)
        parts.append(
            f'<line class="guide" x1="{across(ends[0]):.1f}" y1="{upward(ends[0]):.1f}" '
            f'x2="{across(ends[1]):.1f}" y2="{upward(ends[1]):.1f}"/>'
        )
    for one in series:
        if one.low and one.high:
            band = [*zip(one.x, one.high, strict=True), *reversed(list(zip(one.x, one.low, strict=True)))]
            corners = " ".join(f"{across(x):.1f},{upward(y):.1f}" for x, y in band)
            parts.append(f'<polygon class="band s{one.style}" points="{corners}"/>')
        if one.kind == "dots":
            parts += [
                f'<circle class="dot s{one.style}" cx="{across(x):.1f}" cy="{upward(y):.1f}" r="2"/>'
                for x, y in zip(one.x, one.y, strict=True)
            ]
            continue
        path = _stepped(one.x, one.y) if one.kind == "step" else list(zip(one.x, one.y, strict=True))
        points = " ".join(f"{across(x):.1f},{upward(y):.1f}" for x, y in path)
        parts.append(f'<polyline class="curve s{one.style}" points="{points}"/>')
    named = sorted(series, key=lambda one: -(sum(one.y) / max(1, len(one.y))))
    for place, one in enumerate(named):
        parts.append(
            f'<text class="name s{one.style}" x="{WIDTH - RIGHT + 12}" y="{TOP + 12 + 20 * place}">'
            f"— {_text(one.label)}</text>"
        )
    middle = (TOP + foot) / 2
    parts.append(_title_across(x_title, (LEFT + WIDTH - RIGHT) / 2, height - 8))
    parts.append(
        f'<text class="muted" text-anchor="middle" transform="translate(14 {middle:.0f}) rotate(-90)">'
        f"{html.escape(y_title)}</text>"
    )
    return _svg(parts, height, alt)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within a range, at most ``most``: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + place) * step, digits) + 0.0 for place in range(max(0, count))][:most]


def _said(tick: float) -> str:
    return f"{tick:g}".replace("-", "−")


def _ticks_across(low: float, high: float, across: Callable[[float], float], top: float, foot: float) -> list[str]:
    parts = []
    for tick in ticks(low, high):
        x = across(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{foot}"/>')
        parts.append(f'<text class="muted" x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{_said(tick)}</text>')
    return parts


def _title_across(title: str, x: float, y: float) -> str:
    return f'<text class="muted" x="{x:.0f}" y="{y}" text-anchor="middle">{html.escape(title)}</text>'


def _stepped(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of a line that keeps its height until the next point."""
    path: list[tuple[float, float]] = []
    for across, upward in zip(x, y, strict=True):
        if path:
            path.append((across, path[-1][1]))
        path.append((across, upward))
    return path


def _room(low: float, high: float) -> tuple[float, float]:
    spare = 0.06 * ((high - low) or abs(low) or 1.0)
    return low - spare, high + spare


def _text(text: str) -> str:
    joined = " ".join(text.split())
    return html.escape(joined if len(joined) <= LONGEST else joined[: LONGEST - 1] + "…")


def _svg(parts: Sequence[str], height: float, alt: str) -> str:
    return (
        f'<div class="wide"><svg role="img" viewBox="0 0 {WIDTH} {height:.0f}"><title>{html.escape(alt)}</title>'
        + "".join(parts)
        + "</svg></div>"
    )
