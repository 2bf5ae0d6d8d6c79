"""Several runs side by side: differences against a baseline, and any two metrics of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.canvas import blank, literal, name_rows
from dashboard.theme import Colours


@dataclass(frozen=True)
class Difference:
    """A candidate held against the baseline on the same rows.

    Parameters
    ----------
    label : str
        The candidate; shown literally.
    effect, low, high : float
        The paired difference and its interval; positive means that the candidate is better.
    word : str
        The verdict in words.
    harm : bool
        Whether the verdict is that it is worse.
    """

    label: str
    effect: float
    low: float
    high: float
    word: str
    harm: bool = False


@dataclass(frozen=True)
class Point:
    """One run in a plane of two metrics."""

    label: str
    x: float
    y: float
    is_baseline: bool = False


def differences(rows: Sequence[Difference], *, margin: float, metric: str, colours: Colours) -> go.Figure:
    """Each candidate's difference with its interval, the zero line, the margin shaded, the verdict at the right.

    Parameters
    ----------
    margin : float
        How much worse still counts as not worse, >= 0; shaded from ``-margin`` to 0.
    metric : str
        What the difference is of; shown literally.
    """
    shown = sorted(rows, key=lambda row: row.effect)
    positions = list(range(len(shown)))
    drawn = blank(height=max(180, 90 + 34 * len(shown)), colours=colours)
    drawn.add_vrect(x0=-margin, x1=0, fillcolor=colours.reference, opacity=0.18, line={"width": 0}, layer="below")
    drawn.add_vline(x=0, line={"color": colours.champion, "width": 1.5})
    tints = [colours.harm if row.harm else colours.candidate for row in shown]
    for position, row, tint in zip(positions, shown, tints, strict=True):
        drawn.add_scatter(
            x=[row.low, row.high], y=[position, position], mode="lines", line={"color": tint, "width": 1.5},
            hoverinfo="skip",
        )  # fmt: skip
    drawn.add_scatter(
        x=[row.effect for row in shown],
        y=positions,
        mode="markers",
        marker={"color": tints, "size": 10},
        customdata=[literal(in_words(row)) for row in shown],
        hovertemplate="%{customdata}<extra></extra>",
    )
    for position, row, tint in zip(positions, shown, tints, strict=True):
        drawn.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=position, text=literal(row.word), showarrow=False,
            font={"color": tint},
        )  # fmt: skip
    drawn.update_layout(showlegend=False, margin={"r": 110})
    drawn.update_xaxes(
        title=f"difference in {literal(metric)}; right of zero is better", zeroline=False, nticks=3, tickangle=0
    )
    name_rows(drawn, [row.label for row in shown])
    return drawn


def in_words(row: Difference) -> str:
    """Say a difference: "run 4: +0.011 [+0.006, +0.016], better"."""
    return f"{row.label}: {row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}], {row.word}"


def plane(points: Sequence[Point], *, x_title: str, y_title: str, colours: Colours) -> go.Figure:
    """Runs by any two metrics, each labelled where it lies, the baseline in its own colour and shape."""
    drawn = blank(height=320, colours=colours)
    for chosen in (False, True):
        part = [point for point in points if point.is_baseline is chosen]
        drawn.add_scatter(
            x=[point.x for point in part],
            y=[point.y for point in part],
            mode="markers+text",
            text=[literal(point.label) for point in part],
            textposition="top center",
            marker={
                "size": 10,
                "color": colours.champion if chosen else colours.candidate,
                "symbol": "diamond" if chosen else "circle",
            },
            cliponaxis=False,
            hovertemplate="%{text}: %{x:.4f}, %{y:.4f}<extra></extra>",
        )
    drawn.update_layout(showlegend=False)
    drawn.update_xaxes(title=literal(x_title))
    drawn.update_yaxes(title=literal(y_title))
    return drawn
