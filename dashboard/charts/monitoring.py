"""Drift over time: the heat map, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

from dashboard.charts.canvas import literal, named_rows, short, whole
from dashboard.theme import Colours

HIGHEST_RATIO = 3.0
FEATURES_SHOWN = 20
LABELS_SHOWN = 14
MANY = 60
CLOSE = 1 / 3
LETTER = 1 / 36
"""Of the axis, what a letter takes on a phone, and a little more."""


class Square(NamedTuple):
    """One square of the heat map; a tuple, for a year of days is thousands.

    Parameters
    ----------
    column : int
        Which window, from the left.
    rank : int
        Which feature, from the top.
    ratio : float or None
        Effect divided by the threshold it is held against; None where there was not enough data.
    drifted : bool
        Whether it fired.
    words : str
        What to say of it when pointed at, after its feature and window.
    """

    column: int
    rank: int
    ratio: float | None
    drifted: bool
    words: str


@dataclass(frozen=True)
class Event:
    """Something that happened before a window began: another version went live, an incident was opened.

    Parameters
    ----------
    column : float
        Where on the axis of windows: 2.0 is the middle of the third window, 1.5 the border before it.
    words : str
        Shown literally above the line.
    kind : {"deployment", "incident"}
    """

    column: float
    words: str
    kind: Literal["deployment", "incident"]


def heat_map(
    squares: Sequence[Square],
    *,
    windows: Sequence[str],
    features: Sequence[str],
    events: Sequence[Event],
    colours: Colours,
) -> go.Figure:
    """Effects as colour: neutral below the threshold, strongest at three times it; what fired is outlined.

    Parameters
    ----------
    windows : sequence of str
        Column labels, oldest first.
    features : sequence of str
        Row labels, the most important first (drawn at the top).

    Notes
    -----
    Heat maps send no selection, so a point lies in the middle of each square; its x is the column and its y the row
    from the bottom. One of the points is drawn, unseen: a year of days is thousands, and to point at one or to choose
    it takes none of them drawn. However far away, the nearest is meant: that is the one in whose square the pointer is.
    Outlines and strokes are one shape each.
    """
    top = len(features) - 1
    shown = [square for square in squares if square.rank <= top]
    values: list[list[float | None]] = [[None] * len(windows) for _ in features]
    for square in shown:
        if square.ratio is not None:
            # Below the threshold every square looks alike: what is quiet must not draw the eye.
            values[top - square.rank][square.column] = round(max(1.0, min(square.ratio, HIGHEST_RATIO)), 3)
    gap = 2 if len(windows) <= MANY else 0
    harmless = {words: escape(words, quote=False) for words in {one.words for one in shown}}
    named, when = [literal(one) for one in features], [literal(one) for one in windows]
    tints = colours.sequential
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": values,
            "x": list(range(len(windows))),
            "y": list(range(len(features))),
            "zmin": 1.0,
            "zmax": HIGHEST_RATIO,
            "colorscale": [[i / (len(tints) - 1), tint] for i, tint in enumerate(tints)],
            "xgap": gap,
            "ygap": gap,
            "showscale": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "name": "squares",
            "x": [square.column for square in shown],
            "y": [top - square.rank for square in shown],
            "mode": "markers",
            "marker": {"opacity": 0, "maxdisplayed": 1},
            "text": [f"{named[one.rank]} in {when[one.column]}: {harmless[one.words]}" for one in shown],
            "hovertemplate": "%{text}<extra></extra>",
            "hoverlabel": {"bgcolor": colours.fill, "bordercolor": colours.grid, "font": {"color": colours.text}},
        },
    ]
    marks = [
        strokes("not enough data", _struck(shown, top, len(windows)), colour=colours.muted, width=1),
        strokes("drifted", _framed(shown, top, len(windows)), colour=colours.attention, width=2 if gap else 1),
    ]
    lines = event_lines(events, colours, n_windows=len(windows))
    return whole(
        traces,
        height=max(200, 84 + 26 * len(features)),
        colours=colours,
        x=over_windows(windows),
        y=named_rows(list(reversed(features))),
        margin={"t": 26 if events else 8},
        hoverdistance=-1,
        shapes=[*marks, *lines["shapes"]],
        annotations=lines["annotations"],
    )


def over_windows(windows: Sequence[str]) -> dict[str, Any]:
    """The axis of windows by position; as categories "2012-06" would be read as a date.

    At most 14 are named: a phone has room for no more.
    """
    step = -(-len(windows) // LABELS_SHOWN) if windows else 1
    return {
        "tickmode": "array",
        "tickvals": list(range(0, len(windows), step)),
        "ticktext": [short(label, 14) for label in windows[::step]],
        "range": [-0.5, len(windows) - 0.5],
        "autotickangles": [0, -90],
        "showgrid": False,
        "zeroline": False,
    }


def event_lines(events: Sequence[Event], colours: Colours, *, n_windows: int, named: bool = True) -> dict[str, Any]:
    """Events as upright lines with their words above, for the layout of any figure over windows.

    Words that would print over each other are said together, at the first of them.
    """
    tints = {"deployment": colours.champion, "incident": colours.harm}
    return {
        "shapes": [
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": event.column,
                "x1": event.column,
                "y0": 0,
                "y1": 1,
                "line": {
                    "color": tints[event.kind],
                    "width": 1.5,
                    "dash": "dot" if event.kind == "deployment" else "solid",
                },
            }
            for event in events
        ],
        "annotations": [
            {
                "x": column,
                "y": 1,
                "xref": "x",
                "yref": "paper",
                "xanchor": "right" if _at_end(column, n_windows) else "left",
                "yanchor": "bottom",
                "text": short(words, 40),
                "showarrow": False,
                "font": {"color": colours.muted, "size": 12},
            }
            for column, words in (_said_together(events, n_windows) if named else ())
        ],
    }


def _said_together(events: Sequence[Event], n_windows: int) -> list[tuple[float, str]]:
    """Where to write which words, each as wide as on a phone; what would print over the words before joins them.

    Those at the end are written to the left, towards the words before them.
    """
    found: list[list[Event]] = []
    for event in sorted(events, key=lambda one: one.column):
        if found and _from_to([event], n_windows)[0] < _from_to(found[-1], n_windows)[1]:
            found[-1].append(event)
        else:
            found.append([event])
    return [(together[0].column, ", ".join(_counted(together))) for together in found]


def _from_to(together: Sequence[Event], n_windows: int) -> tuple[float, float]:
    """Between which windows the words of events reach that are said together."""
    column = together[0].column
    room = min(1.0, LETTER * len(", ".join(_counted(together)))) * n_windows
    return (column - room, column) if _at_end(column, n_windows) else (column, column + room)


def _at_end(column: float, n_windows: int) -> bool:
    """Whether there may be no room for words to its right."""
    return column + 0.5 > n_windows * (1 - CLOSE)


def _counted(events: Sequence[Event]) -> list[str]:
    """Deployments in their order, for a version can come back; incidents of the same words once: "3 incidents"."""
    incidents = [one.words for one in events if one.kind == "incident"]
    told: list[str] = []
    for one in events:
        n = incidents.count(one.words) if one.kind == "incident" else 1
        words = f"{n} {one.words}s" if n > 1 else one.words
        if one.kind == "deployment" or words not in told:
            told.append(words)
    return told


def strokes(name: str, lines: Sequence[Sequence[tuple[float, float]]], *, colour: str, width: float) -> dict[str, Any]:
    """Many lines between points of the axes as one shape: of a trace that is broken the browser draws every piece."""
    return {
        "type": "path",
        "name": name,
        "xref": "x",
        "yref": "y",
        "path": "".join("M" + "L".join(f"{x:.6g},{y:.6g}" for x, y in line) for line in lines) or "M0,0",
        "line": {"color": colour, "width": width},
    }


def _struck(squares: Sequence[Square], top: int, n_windows: int) -> list[list[tuple[float, float]]]:
    """Not enough data, a stroke a square; a dozen pixels wide where there is room."""
    across = 0.35 * min(1.0, n_windows / MANY)
    places = [(one.column, top - one.rank) for one in squares if one.ratio is None]
    return [[(x - across, y - 0.2), (x + across, y + 0.2)] for x, y in places]


def _framed(squares: Sequence[Square], top: int, n_windows: int) -> list[list[tuple[float, float]]]:
    """What drifted, a frame a square; over many windows one a stretch, or frames would hide the colour.

    Within the square, so that two that drifted do not run into one; a pixel or two at its sides, however wide it is.
    """
    side = 0.5 - 0.02 * min(1.0, n_windows / LABELS_SHOWN)
    places = sorted((top - one.rank, one.column) for one in squares if one.drifted)
    stretches: list[tuple[int, int, int]] = []
    for y, column in places:
        if n_windows > MANY and stretches and stretches[-1][0] == y and stretches[-1][2] == column - 1:
            stretches[-1] = (y, stretches[-1][1], column)
        else:
            stretches.append((y, column, column))
    return [
        [(x + right, y + up) for x, right, up in (
            (first, -side, -0.42), (last, side, -0.42), (last, side, 0.42), (first, -side, 0.42), (first, -side, -0.42),
        )]
        for y, first, last in stretches
    ]  # fmt: skip
