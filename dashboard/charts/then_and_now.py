"""One column in two samples: the reference and a window, or two windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.canvas import PERCENT, literal, named_rows, percents, whole
from dashboard.theme import Colours

MICROSECONDS = 1_000
MOST_WHOLES = 31
"""Days of a month: so many whole numbers are read value by value; more are a distribution."""
_SHARES: Mapping[str, Any] = {"title": {"text": "share of rows"}, **PERCENT, "rangemode": "tozero"}
_KEY: Mapping[str, Any] = {"showlegend": True, "margin": {"t": 34}}


def then_and_now(
    bins: Mapping[str, Any], *, feature: str, colours: Colours, names: tuple[str, str] = ("reference", "current")
) -> go.Figure:
    """One feature in the same bins: the reference filled grey, the current window a teal line.

    Categories are dumbbells; a few whole numbers, such as months, are a pair of bars each with its value's name.

    Parameters
    ----------
    bins : mapping
        ``edges`` or ``values``, with the shares of ``reference`` and ``current``; ``of_time`` where the edges are
        microseconds since 1970.
    feature : str
        The axis title; shown literally.
    names : (str, str)
        What the two are called; shown literally.
    """
    said = literal(names[0]), literal(names[1])
    if not bins.get("edges"):
        return _categories(bins, feature, colours, said)
    wholes = [] if bins.get("of_time") else whole_numbers(bins["edges"])
    return _wholes(wholes, bins, feature, colours, said) if wholes else _numbers(bins, feature, colours, said)


def whole_numbers(edges: Sequence[float]) -> list[int]:
    """The values that bins hold one of each, where they are few whole numbers in a row; else none."""
    apart = len(edges) <= MOST_WHOLES + 1 and all(high - low == 1 and low % 1 == 0.5 for low, high in pairwise(edges))
    return [round((low + high) / 2) for low, high in pairwise(edges)] if apart else []


def _wholes(
    values: Sequence[int], bins: Mapping[str, Any], feature: str, colours: Colours, names: tuple[str, str]
) -> go.Figure:
    looks = (("reference", names[0], colours.reference), ("current", names[1], colours.candidate))
    return whole(
        [
            {
                "type": "bar",
                "name": name,
                "x": list(values),
                "y": percents(bins[key]),
                "marker": {"color": tint, "line": {"width": 0}},
                "hovertemplate": f"{name} at %{{x}}: %{{y:.1f}} %<extra></extra>",
            }
            for key, name, tint in looks
        ],
        height=280,
        colours=colours,
        x={
            "title": {"text": literal(feature)},
            "tickmode": "array",
            "tickvals": list(values),
            "ticktext": [str(one) for one in values],
            "autotickangles": [0, -90],
            "showgrid": False,
        },
        y=_SHARES,
        barmode="group",
        bargap=0.3,
        bargroupgap=0.05,
        **_KEY,
    )


def _numbers(bins: Mapping[str, Any], feature: str, colours: Colours, names: tuple[str, str]) -> go.Figure:
    # Plotly takes milliseconds for a time; they are kept in microseconds.
    per_unit = MICROSECONDS if bins.get("of_time") else 1
    edges = [float(edge) / per_unit for edge in bins["edges"]]
    return whole(
        [
            {
                "type": "bar",
                "name": names[0],
                "x": [(low + high) / 2 for low, high in pairwise(edges)],
                "width": [high - low for low, high in pairwise(edges)],
                "y": percents(bins["reference"]),
                "marker": {"color": colours.reference, "opacity": 0.55, "line": {"width": 0}},
                "hovertemplate": f"{names[0]} %{{y:.1f}} %<extra></extra>",
            },
            {
                "type": "scatter",
                "name": names[1],
                "x": edges,
                "y": percents([*bins["current"], bins["current"][-1]]),
                "mode": "lines",
                "line": {"color": colours.candidate, "width": 2.5, "shape": "hv"},
                "hovertemplate": f"{names[1]} %{{y:.1f}} %<extra></extra>",
            },
        ],
        height=280,
        colours=colours,
        x={"title": {"text": literal(feature)}, **({"type": "date"} if bins.get("of_time") else {})},
        y=_SHARES,
        **_KEY,
    )


def _categories(bins: Mapping[str, Any], feature: str, colours: Colours, names: tuple[str, str]) -> go.Figure:
    values = [str(value) for value in bins["values"]]
    positions = list(range(len(values)))[::-1]
    between: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": percents([before, after]),
            "y": [position, position],
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
            "line": {"color": colours.grid, "width": 3},
        }
        for position, before, after in zip(positions, bins["reference"], bins["current"], strict=True)
    ]
    looks = (("reference", names[0], colours.reference), ("current", names[1], colours.candidate))
    ends: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": name,
            "x": percents(bins[key]),
            "y": positions,
            "mode": "markers",
            "showlegend": True,
            "marker": {"color": tint, "size": 11},
            "hovertemplate": f"{name} %{{x:.1f}} %<extra></extra>",
        }
        for key, name, tint in looks
    ]
    return whole(
        [*between, *ends],
        height=max(180, 100 + 28 * len(values)),
        colours=colours,
        x={"title": {"text": f"share of rows by {literal(feature)}"}, **PERCENT, "rangemode": "tozero"},
        y=named_rows(values[::-1]),
        **_KEY,
    )
