"""Performance over time: realised, estimated, corrected; and how many labels are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.canvas import PERCENT, literal, percents, whole
from dashboard.charts.monitoring import MANY, Event, event_lines, over_windows, strokes
from dashboard.theme import Colours

# How each source is drawn: realised is what is known, so it alone is drawn full and with its bars.
DASHES: Mapping[str, str] = {"realised": "solid", "corrected": "dash", "estimated": "dot"}
SYMBOLS: Mapping[str, str] = {"realised": "circle", "corrected": "diamond", "estimated": "circle-open"}
OFFSETS: Mapping[str, float] = {"realised": 0.0, "corrected": 0.14, "estimated": -0.14}


@dataclass(frozen=True)
class Measured:
    """A metric in one window from one source.

    Parameters
    ----------
    window : str
    source : {"realised", "estimated", "corrected"}
    value : float
    low, high : float or None
        The 95 % interval where there is one.
    n_labelled : int
        How many labels it rests on.
    believed : bool
        Whether nothing speaks against it; what is not to be believed is drawn faint.
    """

    window: str
    source: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int
    believed: bool = True


@dataclass(frozen=True)
class Maturity:
    """Labels of one window: predictions, labels that are in, how many will have come in the end (None: unknown)."""

    window: str
    n_predictions: int
    n_labelled: int
    n_expected: float | None


@dataclass(frozen=True)
class Gap:
    """How far apart groups fare in one window, with its 95 % interval, and the groups at the ends."""

    window: str
    value: float
    low: float
    high: float
    highest: str
    lowest: str


def strip(
    points: Sequence[Measured],
    *,
    windows: Sequence[str],
    metric: str,
    evaluated: tuple[float, float, float] | None,
    events: Sequence[Event],
    colours: Colours,
) -> go.Figure:
    """One metric over the windows, a line for each source; a window that nobody measured stays a gap.

    Parameters
    ----------
    windows : sequence of str
        Every window, oldest first.
    evaluated : (value, low, high) or None
        The metric on the evaluation set, drawn as a band.
    """
    tints = {"realised": colours.candidate, "corrected": colours.champion, "estimated": colours.reference}
    sources = [source for source in DASHES if any(point.source == source for point in points)]
    # The map above names them; here words would print over the key.
    lines = event_lines(events, colours, n_windows=len(windows), named=False)
    if evaluated is not None:
        lines["shapes"] = [*_band(evaluated, colours), *lines["shapes"]]
    drawn = {source: [one for one in points if one.source == source] for source in sources}
    if len(windows) > MANY:
        traces = [one for source in sources for one in _long_line(drawn[source], source, windows, tints[source])]
        lines["shapes"] += [_intervals(drawn[source], source, windows, tints[source]) for source in sources]
    else:
        traces = [_line(drawn[source], source, windows, tints[source]) for source in sources]
    return whole(
        traces,
        height=280,
        colours=colours,
        x=over_windows(windows),
        y={"title": {"text": literal(metric)}, "zeroline": False},
        showlegend=len(sources) > 1,
        margin={"t": 34 if len(sources) > 1 else 8},
        **lines,
    )


def _line(points: Sequence[Measured], source: str, windows: Sequence[str], tint: str) -> dict[str, Any]:
    found = {point.window: point for point in points}
    # A line over a window without a figure would claim what nobody measured.
    shown = [found.get(label) for label in windows]
    return {
        "type": "scatter",
        "name": source,
        "x": [column + OFFSETS[source] for column in range(len(windows))],
        "y": [point.value if point else None for point in shown],
        "mode": "lines+markers",
        "connectgaps": False,
        "line": {"color": tint, "width": 2, "dash": DASHES[source]},
        "marker": {
            "size": 9,
            "symbol": SYMBOLS[source],
            "opacity": [1.0 if point is None or point.believed else 0.35 for point in shown],
        },
        "error_y": _bars([(one.value, one.low, one.high) if one else None for one in shown], tint),
        **_said(shown, source),
    }


def _said(shown: Sequence[Measured | None], source: str) -> dict[str, Any]:
    """What a line says of each window it is pointed at in."""
    return {
        "customdata": [
            [literal(point.window), point.n_labelled, "" if point.believed else ", not to be believed"]
            if point
            else ["", 0, ""]
            for point in shown
        ],
        "hovertemplate": f"%{{customdata[0]}}, {source}: %{{y:.3f}}, %{{customdata[1]:,}} labels"
        "%{customdata[2]}<extra></extra>",
    }


def _long_line(points: Sequence[Measured], source: str, windows: Sequence[str], tint: str) -> list[dict[str, Any]]:
    """A line over so many windows that a mark for each would hide it, and take the browser long.

    What is not to be believed is drawn faint, with the way to it; a window with none beside it is a dot.
    """
    found = {point.window: point for point in points}
    shown = [found.get(label) for label in windows]
    doubted = [point is not None and not point.believed for point in shown]
    faint = [doubt or any(doubted[max(0, place - 1) : place + 2]) for place, doubt in enumerate(doubted)]
    alone = [
        point is not None and not any(shown[max(0, place - 1) : place] + shown[place + 1 : place + 2])
        for place, point in enumerate(shown)
    ]
    line = {"type": "scatter", "connectgaps": False, "line": {"color": tint, "width": 1.5, "dash": DASHES[source]}}
    columns = list(range(len(windows)))
    traces = [
        line
        | {
            "name": source,
            "x": columns,
            "y": [None if point is None or doubt else point.value for point, doubt in zip(shown, doubted, strict=True)],
            "mode": "lines",
            **_said(shown, source),
        }
    ]
    if any(doubted):
        traces.append(
            line
            | {
                "name": f"{source}, doubted",
                "x": columns,
                "y": [point.value if point and pale else None for point, pale in zip(shown, faint, strict=True)],
                "mode": "lines",
                "opacity": 0.35,
                "showlegend": False,
                **_said(shown, source),
            }
        )
    if any(alone):
        dots = [(column, point) for column, point, one in zip(columns, shown, alone, strict=True) if point and one]
        traces.append(
            {
                "type": "scatter",
                "name": f"{source}, alone",
                "x": [column for column, _ in dots],
                "y": [point.value for _, point in dots],
                "mode": "markers",
                "hoverinfo": "skip",
                "showlegend": False,
                "marker": {
                    "size": 4,
                    "color": tint,
                    "symbol": SYMBOLS[source],
                    "opacity": [1.0 if point.believed else 0.35 for _, point in dots],
                },
            }
        )
    return traces


def _intervals(points: Sequence[Measured], source: str, windows: Sequence[str], tint: str) -> dict[str, Any]:
    """95 % intervals over many windows: thin strokes that do not hide the line, one shape for all of them."""
    place_of = {label: place for place, label in enumerate(windows)}
    bars = [
        [(place_of[one.window] + OFFSETS[source], one.low), (place_of[one.window] + OFFSETS[source], one.high)]
        for one in points
        if one.window in place_of and one.low is not None and one.high is not None
    ]
    return strokes(f"{source} intervals", bars, colour=tint, width=0.5)


def _band(evaluated: tuple[float, float, float], colours: Colours) -> list[dict[str, Any]]:
    value, low, high = evaluated
    across = {"xref": "paper", "yref": "y", "x0": 0, "x1": 1, "layer": "below"}
    return [
        {
            "type": "rect",
            **across,
            "y0": low,
            "y1": high,
            "fillcolor": colours.fill,
            "opacity": 0.6,
            "line": {"width": 0},
        },
        {"type": "line", **across, "y0": value, "y1": value, "line": {"color": colours.reference, "width": 1}},
    ]


def maturity(windows_of: Sequence[Maturity], *, windows: Sequence[str], colours: Colours) -> go.Figure:
    """For each window the labels that are in against those expected in the end, as shares of its predictions."""
    found = {one.window: one for one in windows_of}
    shown = [found.get(label) for label in windows]
    share_in = [one.n_labelled / one.n_predictions if one and one.n_predictions else None for one in shown]
    expected = [
        min(1.0, one.n_expected / one.n_predictions)
        if one and one.n_predictions and one.n_expected is not None
        else None
        for one in shown
    ]
    columns = list(range(len(windows)))
    # Of a year of days every bar is one more thing to draw: its steps are one area.
    bar: dict[str, Any] = (
        {"type": "bar", "width": 0.6}
        if len(windows) <= MANY
        else {"type": "scatter", "mode": "lines", "fill": "tozeroy", "line": {"width": 0, "shape": "hvh"}}
    )
    return whole(
        [
            {
                **bar,
                "name": "expected in the end",
                "x": columns,
                "y": percents(expected),
                **_filled(bar, colours.fill),
                "hovertemplate": "expected in the end %{y:.0f} %<extra></extra>",
            },
            {
                **bar,
                "name": "in",
                "x": columns,
                "y": percents(share_in),
                **_filled(bar, colours.candidate),
                "customdata": [[one.n_labelled, one.n_predictions] if one else [0, 0] for one in shown],
                "hovertemplate": "in %{y:.0f} %: %{customdata[0]:,} of %{customdata[1]:,}<extra></extra>",
            },
        ],
        height=180 if len(windows) <= MANY else 210,
        colours=colours,
        x=over_windows(windows),
        y={"title": {"text": "labels"}, **PERCENT, "range": [0, 102], "zeroline": False},
        barmode="overlay",
        showlegend=any(share is not None for share in expected),
        margin={"t": 34},
    )


def _filled(bar: Mapping[str, Any], tint: str) -> dict[str, Any]:
    return {"marker": {"color": tint}} if bar["type"] == "bar" else {"fillcolor": tint}


def gaps(
    points: Sequence[Gap],
    *,
    windows: Sequence[str],
    evaluated: tuple[float, float, float] | None,
    events: Sequence[Event],
    colours: Colours,
) -> go.Figure:
    """One gap between groups over the windows; a window without it stays a gap in the line.

    Parameters
    ----------
    windows : sequence of str
        Every window, oldest first.
    evaluated : (value, low, high) or None
        The same on the evaluation set, drawn as a band.
    """
    found = {point.window: point for point in points}
    shown = [found.get(label) for label in windows]
    lines = event_lines(events, colours, n_windows=len(windows), named=False)
    if evaluated is not None:
        lines["shapes"] = [*_band(evaluated, colours), *lines["shapes"]]
    few = len(windows) <= MANY
    if not few:
        spans = [[(column, one.low), (column, one.high)] for column, one in enumerate(shown) if one is not None]
        lines["shapes"].append(strokes("gap intervals", spans, colour=colours.candidate, width=0.5))
    bars = [(one.value, one.low, one.high) if one else None for one in shown]
    return whole(
        [
            {
                "type": "scatter",
                "name": "gap",
                "x": list(range(len(windows))),
                "y": [point.value if point else None for point in shown],
                "mode": "lines+markers",
                "connectgaps": False,
                "line": {"color": colours.candidate, "width": 2},
                "marker": {"size": 9 if few else 4},
                **({"error_y": _bars(bars, colours.candidate)} if few else {}),
                "customdata": [
                    [literal(one.window), literal(one.highest), literal(one.lowest)] if one else ["", "", ""]
                    for one in shown
                ],
                "hovertemplate": "%{customdata[0]}: %{y:.3f} between %{customdata[1]} and %{customdata[2]}"
                "<extra></extra>",
            }
        ],
        height=220,
        colours=colours,
        x=over_windows(windows),
        y={"title": {"text": "gap"}, "rangemode": "tozero", "zeroline": False},
        margin={"t": 8},
        **lines,
    )


def _bars(values: Sequence[tuple[float, float | None, float | None] | None], tint: str) -> dict[str, Any]:
    """95 % intervals of not too many windows."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [one[2] - one[0] if one and one[2] is not None else 0.0 for one in values],
        "arrayminus": [one[0] - one[1] if one and one[1] is not None else 0.0 for one in values],
        "color": tint,
        "thickness": 1.5,
        "width": 4,
    }
