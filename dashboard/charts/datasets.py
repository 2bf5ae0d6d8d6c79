"""What a dataset version holds, drawn from its stored profile."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.canvas import blank, literal, name_rows
from dashboard.theme import Colours

MAX_VALUES = 10


def distribution(column: Mapping[str, Any], *, colours: Colours) -> go.Figure | None:
    """How one column's values are spread.

    Parameters
    ----------
    column : mapping
        One entry of a profile's ``columns``: a ``histogram`` of counts for numbers and times, else ``top`` values.

    Returns
    -------
    Figure or None
        None where the profile holds neither: a column of free text, or one without a single value.
    """
    histogram = column.get("histogram")
    if histogram and sum(histogram["counts"]):
        return _histogram(str(column["name"]), histogram, colours)
    top = column.get("top")
    if top:
        return _top_values(top[:MAX_VALUES], colours)
    return None


def _histogram(name: str, histogram: Mapping[str, Any], colours: Colours) -> go.Figure:
    edges: list[Any] = list(histogram["edges"])
    counts = list(histogram["counts"])
    numeric = all(isinstance(edge, int | float) for edge in edges)
    drawn = blank(height=240, colours=colours)
    labels = [f"{_edge(low)} to {_edge(high)}" for low, high in itertools.pairwise(edges)]
    drawn.add_bar(
        x=[(low + high) / 2 for low, high in itertools.pairwise(edges)] if numeric else labels,
        y=counts,
        width=[high - low for low, high in itertools.pairwise(edges)] if numeric else None,
        marker={"color": colours.candidate, "line": {"width": 1, "color": colours.background}},
        customdata=labels,
        hovertemplate="%{customdata}: %{y:,} rows<extra></extra>",
    )
    drawn.update_layout(bargap=0, showlegend=False)
    drawn.update_xaxes(title=literal(name))
    drawn.update_yaxes(title="rows", rangemode="tozero")
    return drawn


def _top_values(top: Sequence[Mapping[str, Any]], colours: Colours) -> go.Figure:
    shown = list(reversed(top))
    drawn = blank(height=max(160, 60 + 26 * len(shown)), colours=colours)
    drawn.add_bar(
        x=[entry["count"] for entry in shown],
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": colours.candidate},
        text=[f"{entry['count']:,}" for entry in shown],
        textposition="auto",
        customdata=[literal(str(entry["value"])) for entry in shown],
        hovertemplate="%{customdata}: %{x:,} rows<extra></extra>",
    )
    drawn.update_layout(showlegend=False, bargap=0.35)
    drawn.update_xaxes(title="rows", rangemode="tozero", nticks=4)
    name_rows(drawn, [str(entry["value"]) for entry in shown])
    return drawn


def shifts(entries: Sequence[Mapping[str, Any]], *, colours: Colours, most: int = 8) -> go.Figure:
    """How far each column moved against the version before, largest on top.

    Parameters
    ----------
    entries : sequence of mapping
        ``shifts`` of a stored diff: ``column``, ``effect`` (>= 0) and ``measure``.
    most : int
        How many to draw.
    """
    shown = sorted(entries, key=lambda entry: abs(float(entry["effect"])))[-most:]
    drawn = blank(height=max(160, 70 + 28 * len(shown)), colours=colours)
    positions = list(range(len(shown)))
    for position, entry in zip(positions, shown, strict=True):
        drawn.add_shape(
            type="line",
            x0=0,
            x1=abs(float(entry["effect"])),
            y0=position,
            y1=position,
            line={"color": colours.grid},
            layer="below",
        )
    drawn.add_scatter(
        x=[abs(float(entry["effect"])) for entry in shown],
        y=positions,
        mode="markers",
        marker={"color": colours.candidate, "size": 10},
        customdata=[literal(str(entry.get("measure", ""))) for entry in shown],
        text=[literal(str(entry["column"])) for entry in shown],
        hovertemplate="%{text}: %{x:.3f} (%{customdata})<extra></extra>",
    )
    drawn.update_layout(showlegend=False)
    drawn.update_xaxes(title="how far it moved, 0 = not at all", rangemode="tozero")
    name_rows(drawn, [str(entry["column"]) for entry in shown])
    return drawn


def distribution_in_words(column: Mapping[str, Any]) -> str:
    """Say what `distribution` shows, for those who cannot see it."""
    if column.get("histogram"):
        counts = list(column["histogram"]["counts"])
        edges = list(column["histogram"]["edges"])
        peak = counts.index(max(counts)) if counts else 0
        return (
            f"Histogram of {column['name']} over {len(counts)} bins from {_edge(edges[0])} to {_edge(edges[-1])}; "
            f"the fullest bin, {_edge(edges[peak])} to {_edge(edges[peak + 1])}, holds {max(counts):,} rows."
        )
    top = list(column.get("top") or [])
    if not top:
        return f"No distribution is kept for {column['name']}."
    said = ", ".join(f"{entry['value']} {entry['count']:,}" for entry in top[:3])
    return f"Most frequent values of {column['name']}: {said}."


def _edge(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
