"""A metric in slices: each with its interval, against the value on all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from dashboard.charts.canvas import blank, literal, name_rows, short
from dashboard.theme import Colours

LONGEST = 28
SHORTEST_COLUMN = 6


@dataclass(frozen=True)
class SliceDot:
    """One slice's value with its interval.

    Parameters
    ----------
    label : str
        The slice in words; shown literally.
    value, low, high : float
    n_rows : int
    reading : {"worse", "better", "alike", "too_small"}
        What the comparison with the other rows says.
    """

    label: str
    value: float
    low: float
    high: float
    n_rows: int
    reading: Literal["worse", "better", "alike", "too_small"]


def slice_dots(dots: Sequence[SliceDot], *, overall: float, metric: str, colours: Colours) -> go.Figure:
    """Slices as horizontal dots with intervals, the first on top; all rows as a vertical rule.

    A slice shown to be worse is in the colour of attention and a square, so that colour never speaks alone; one that
    was not compared is hollow.

    Parameters
    ----------
    overall : float
        The metric on all rows.
    metric : str
        The axis title; shown literally.
    """
    shown = list(reversed(dots))
    drawn = blank(height=max(180, 90 + 28 * len(shown)), colours=colours)
    tints = [colours.attention if dot.reading == "worse" else colours.candidate for dot in shown]
    for place, (dot, tint) in enumerate(zip(shown, tints, strict=True)):
        drawn.add_scatter(
            x=[dot.low, dot.high], y=[place, place], mode="lines", line={"color": tint, "width": 1.5}, hoverinfo="skip"
        )
    drawn.add_scatter(
        x=[dot.value for dot in shown],
        y=list(range(len(shown))),
        mode="markers",
        marker={
            "color": tints,
            "size": 9,
            "symbol": [
                "square" if dot.reading == "worse" else "circle-open" if dot.reading == "too_small" else "circle"
                for dot in shown
            ],
        },
        customdata=[literal(in_words(dot)) for dot in shown],
        hovertemplate="%{customdata}<extra></extra>",
    )
    drawn.add_vline(x=overall, line={"color": colours.champion, "width": 1.5, "dash": "dot"})
    drawn.add_annotation(
        x=overall, y=1, yref="paper", yanchor="bottom", text="all rows", showarrow=False,
        font={"color": colours.champion},
    )  # fmt: skip
    drawn.update_layout(margin={"t": 24})
    drawn.update_xaxes(title=literal(metric), zeroline=False, nticks=5)
    name_rows(drawn, [dot.label for dot in shown])
    drawn.update_yaxes(ticktext=[fitting(dot.label) for dot in shown])
    return drawn


def fitting(label: str) -> str:
    """A slice's name cut to fit beside the axis: first the column, as it is the value that tells slices apart."""
    column, equals, value = label.partition(" = ")
    if len(label) <= LONGEST or " = " in value or not equals:
        return short(label, LONGEST)
    room = max(SHORTEST_COLUMN, LONGEST - len(equals) - len(value))
    return f"{short(column, room)} = {short(value, LONGEST - len(equals) - min(room, len(column)))}"


def in_words(dot: SliceDot) -> str:
    """Say a slice's value: "sex = Female 0.952 [0.939, 0.962] on 2,129 rows, better"."""
    said = {"worse": ", worse", "better": ", better", "alike": "", "too_small": ", too few rows to compare"}
    return f"{dot.label} {dot.value:.3f} [{dot.low:.3f}, {dot.high:.3f}] on {dot.n_rows:,} rows{said[dot.reading]}"
