"""How the installation is, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import plotly.graph_objects as go

from dashboard.charts.canvas import literal, whole
from dashboard.theme import Colours

HEIGHT = 240
MARKED_UP_TO = 40
DASHES = ("solid", "dash", "dot")
# A limit far above what is drawn would press the line into the axis.
LIMIT_DRAWN_WITHIN = 2.5


@dataclass(frozen=True)
class Line:
    """One figure of one process, in the chart's unit; None where nobody measured."""

    label: str
    at: tuple[datetime, ...]
    values: tuple[float | None, ...]


def over_time(
    lines: Sequence[Line],
    *,
    unit: str,
    from_at: datetime,
    to_at: datetime,
    say: Callable[[float], str],
    colours: Colours,
    limit: float | None = None,
    below: bool = False,
) -> go.Figure:
    """Figures over a span, each a line that breaks where nobody measured.

    Parameters
    ----------
    lines : sequence of Line
        At most four, the most telling first: it has the accent.
    unit : str
        The upright axis's title.
    say : callable
        Puts a value in words for who points at it.
    limit : float, optional
        From where an alert is raised; drawn where it is near what was measured.
    below : bool
        Whether the alert is raised below the limit.
    """
    tints = (colours.candidate, colours.champion, colours.reference, colours.categorical[2])
    traces = []
    for place, line in enumerate(lines):
        # More lines than tints go round again in another dash: several scoring processes have three of each.
        tint, dash = tints[place % len(tints)], DASHES[place // len(tints) % len(DASHES)]
        n_known = sum(value is not None for value in line.values)
        traces.append(
            {
                "type": "scatter",
                "x": [at.replace(tzinfo=None).isoformat() for at in line.at],
                "y": list(line.values),
                "mode": "lines+markers" if n_known <= MARKED_UP_TO else "lines",
                "connectgaps": False,
                "line": {"color": tint, "width": 2, "dash": dash},
                "marker": {"size": 5},
                "name": literal(line.label),
                "showlegend": len(lines) > 1,
                "customdata": [
                    "" if value is None else literal(f"{at:%-d %b, %H:%M}: {line.label} {say(value)}")
                    for at, value in zip(line.at, line.values, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    top = max((value for line in lines for value in line.values if value is not None), default=0.0)
    drawn_limit = limit is not None and limit <= LIMIT_DRAWN_WITHIN * top
    layout: dict[str, object] = {"showlegend": len(lines) > 1, "margin": {"l": 8, "r": 8, "t": 30, "b": 8}}
    if len(lines) > 1:
        layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}
    if drawn_limit:
        line_style = {"color": colours.attention, "width": 1, "dash": "dot"}
        layout["shapes"] = [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit, "line": line_style}
        ]
        layout["annotations"] = [
            {
                "xref": "paper", "x": 1, "xanchor": "right", "y": limit, "yanchor": "bottom",
                "text": "alert below" if below else "alert above", "showarrow": False,
                "font": {"color": colours.attention, "size": 12},
            }
        ]  # fmt: skip
    highest = 1.08 * max(top, limit if drawn_limit and limit is not None else 0.0)
    return whole(
        traces,
        height=HEIGHT,
        colours=colours,
        x={
            "type": "date",
            "range": [from_at.replace(tzinfo=None).isoformat(), to_at.replace(tzinfo=None).isoformat()],
            "tickformat": "%-d %b" if to_at - from_at > timedelta(days=2) else "%H:%M",
            "nticks": 6,
            "showgrid": False,
            "zeroline": False,
        },
        y={"title": {"text": literal(unit)}, "range": [0, highest or 1], "nticks": 5, "zeroline": False},
        **layout,
    )
