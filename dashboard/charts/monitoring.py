"""Drift over time, one feature then and now, performance over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.canvas import blank, literal, name_rows, short
from dashboard.theme import Colours

HIGHEST_RATIO = 3.0
FEATURES_SHOWN = 20


@dataclass(frozen=True)
class Square:
    """One square of the heat map.

    Parameters
    ----------
    column : int
        Which window, from the left.
    feature : str
        Shown literally.
    ratio : float or None
        Effect divided by the smallest effect that counts; None where there was not enough data.
    drifted : bool
        Whether it fired.
    words : str
        What to say when pointed at.
    """

    column: int
    feature: str
    ratio: float | None
    drifted: bool
    words: str


def heat_map(
    squares: Sequence[Square],
    *,
    windows: Sequence[str],
    features: Sequence[str],
    swaps: Mapping[int, str],
    colours: Colours,
) -> go.Figure:
    """Effects as colour: neutral below the threshold, strongest at three times it; what fired is outlined.

    Parameters
    ----------
    windows : sequence of str
        Column labels, oldest first.
    features : sequence of str
        Row labels, the most important first (drawn at the top).
    swaps : mapping
        Column before which another version went live, and its label.

    Notes
    -----
    Heat maps send no selection, so invisible square markers lie over it; each carries ``[column, feature]``.
    """
    rows = {feature: len(features) - 1 - index for index, feature in enumerate(features)}
    shown = [square for square in squares if square.feature in rows]
    values: list[list[float | None]] = [[None] * len(windows) for _ in features]
    for square in shown:
        if square.ratio is not None:
            # Below the threshold every square looks alike: what is quiet must not draw the eye.
            values[rows[square.feature]][square.column] = max(1.0, min(square.ratio, HIGHEST_RATIO))
    drawn = blank(height=max(200, 84 + 26 * len(features)), colours=colours)
    drawn.add_heatmap(
        z=values,
        x=list(range(len(windows))),
        y=list(range(len(features))),
        zmin=1.0,
        zmax=HIGHEST_RATIO,
        colorscale=[[i / (len(colours.sequential) - 1), tint] for i, tint in enumerate(colours.sequential)],
        xgap=2,
        ygap=2,
        showscale=False,
        hoverinfo="skip",
    )
    for square in (one for one in shown if one.ratio is None):
        drawn.add_scatter(
            x=[square.column], y=[rows[square.feature]], mode="markers", hoverinfo="skip",
            marker={"symbol": "line-ne", "size": 10, "line": {"color": colours.muted, "width": 1}},
        )  # fmt: skip
    for square in (one for one in shown if one.drifted):
        x, y = square.column, rows[square.feature]
        drawn.add_shape(
            type="rect", x0=x - 0.48, x1=x + 0.48, y0=y - 0.46, y1=y + 0.46,
            line={"color": colours.attention, "width": 2},
        )  # fmt: skip
    for column, label in swaps.items():
        drawn.add_vline(x=column - 0.5, line={"color": colours.champion, "width": 1.5, "dash": "dot"})
        drawn.add_annotation(
            x=column - 0.5, y=1, yref="paper", yanchor="bottom", xanchor="left", text=literal(f"{label} live"),
            showarrow=False, font={"color": colours.muted, "size": 12},
        )  # fmt: skip
    drawn.add_scatter(
        x=[square.column for square in shown],
        y=[rows[square.feature] for square in shown],
        mode="markers",
        marker={"symbol": "square", "size": 24, "opacity": 0},
        customdata=[[square.column, square.feature] for square in shown],
        text=[literal(square.words) for square in shown],
        hovertemplate="%{text}<extra></extra>",
        hoverlabel={"bgcolor": colours.fill, "bordercolor": colours.grid, "font": {"color": colours.text}},
        name="squares",
    )
    name_rows(drawn, list(reversed(features)))
    drawn.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(windows))),
        ticktext=[short(label, 14) for label in windows],
        range=[-0.5, len(windows) - 0.5],
        autotickangles=[0, -90],
        showgrid=False,
        zeroline=False,
    )
    drawn.update_layout(margin={"t": 26 if swaps else 8})
    return drawn


def then_and_now(bins: Mapping[str, Any], *, feature: str, colours: Colours) -> go.Figure:
    """One feature in the same bins: the reference filled grey, the current window a teal line; categories as dumbbells.

    Parameters
    ----------
    bins : mapping
        ``edges`` or ``values``, with the shares of ``reference`` and ``current``.
    feature : str
        The axis title; shown literally.
    """
    return _numbers(bins, feature, colours) if bins.get("edges") else _categories(bins, feature, colours)


def _numbers(bins: Mapping[str, Any], feature: str, colours: Colours) -> go.Figure:
    edges = [float(edge) for edge in bins["edges"]]
    drawn = blank(height=280, colours=colours)
    drawn.add_bar(
        x=[(low + high) / 2 for low, high in pairwise(edges)],
        width=[high - low for low, high in pairwise(edges)],
        y=bins["reference"],
        marker={"color": colours.reference, "opacity": 0.55, "line": {"width": 0}},
        name="reference",
        hovertemplate="reference %{y:.1%}<extra></extra>",
    )
    drawn.add_scatter(
        x=edges,
        y=[*bins["current"], bins["current"][-1]],
        mode="lines",
        line={"color": colours.candidate, "width": 2.5, "shape": "hv"},
        name="current",
        hovertemplate="current %{y:.1%}<extra></extra>",
    )
    return _labelled(drawn, feature)


def _categories(bins: Mapping[str, Any], feature: str, colours: Colours) -> go.Figure:
    values = [str(value) for value in bins["values"]]
    positions = list(range(len(values)))[::-1]
    drawn = blank(height=max(180, 100 + 28 * len(values)), colours=colours)
    for position, before, after in zip(positions, bins["reference"], bins["current"], strict=True):
        drawn.add_scatter(
            x=[before, after], y=[position, position], mode="lines", hoverinfo="skip",
            line={"color": colours.grid, "width": 3},
        )  # fmt: skip
    for name, tint in (("reference", colours.reference), ("current", colours.candidate)):
        drawn.add_scatter(
            x=bins[name],
            y=positions,
            mode="markers",
            marker={"color": tint, "size": 11},
            name=name,
            hovertemplate=f"{name} %{{x:.1%}}<extra></extra>",
        )
    name_rows(drawn, values[::-1])
    drawn.update_xaxes(title=f"share of rows by {literal(feature)}", tickformat=".0%", rangemode="tozero")
    return _with_key(drawn)


def _labelled(drawn: go.Figure, feature: str) -> go.Figure:
    drawn.update_xaxes(title=literal(feature))
    drawn.update_yaxes(title="share of rows", tickformat=".0%", rangemode="tozero")
    return _with_key(drawn)


def _with_key(drawn: go.Figure) -> go.Figure:
    drawn.for_each_trace(lambda trace: trace.update(showlegend=trace.name in {"reference", "current"}))
    return drawn.update_layout(showlegend=True, margin={"t": 34})


@dataclass(frozen=True)
class Measured:
    """A metric in one window: its value, its interval where there is one, and how many labels it rests on."""

    window: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int


def performance(points: Sequence[Measured], *, windows: Sequence[str], metric: str, colours: Colours) -> go.Figure:
    """One metric over the windows, each with its interval; a window without labels stays empty.

    Parameters
    ----------
    windows : sequence of str
        Every window, oldest first.
    """
    drawn = blank(height=260, colours=colours)
    found = {point.window: point for point in points}
    # A line over a window without labels would claim what nobody measured.
    shown = [found.get(label) for label in windows]
    drawn.add_scatter(
        x=list(range(len(windows))),
        y=[point.value if point else None for point in shown],
        mode="lines+markers",
        connectgaps=False,
        line={"color": colours.candidate, "width": 2},
        marker={"size": 9},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.value if point and point.high is not None else 0.0 for point in shown],
            "arrayminus": [point.value - point.low if point and point.low is not None else 0.0 for point in shown],
            "color": colours.candidate,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[[literal(point.window), point.n_labelled] if point else ["", 0] for point in shown],
        hovertemplate="%{customdata[0]}: %{y:.3f}, %{customdata[1]:,} labels<extra></extra>",
    )
    drawn.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(windows))),
        ticktext=[short(label, 14) for label in windows],
        range=[-0.5, len(windows) - 0.5],
        autotickangles=[0, -90],
        showgrid=False,
        zeroline=False,
    )
    drawn.update_yaxes(title=literal(metric), zeroline=False)
    return drawn
