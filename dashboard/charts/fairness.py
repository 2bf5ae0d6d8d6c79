"""How groups fare: one measure in each group, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts.canvas import PERCENT, blank, literal, name_rows
from dashboard.charts.runs import Dot, in_words
from dashboard.theme import Colours


def group_dots(dots: Sequence[Dot], *, title: str, as_share: bool, colours: Colours) -> go.Figure:
    """Groups as horizontal dots with intervals, the first on top.

    The groups with the largest and the smallest value, between which the gap lies, are drawn full; the others hollow.

    Parameters
    ----------
    title : str
        Of the value axis; shown literally.
    as_share : bool
        Whether values are shares, drawn as percent.
    """
    shown = list(reversed(dots))
    values = [dot.value for dot in shown]
    unit = 100 if as_share else 1
    drawn = blank(height=max(180, 90 + 30 * len(shown)), colours=colours)
    drawn.add_scatter(
        x=[unit * value for value in values],
        y=list(range(len(shown))),
        mode="markers",
        marker={
            "color": colours.candidate,
            "size": 9,
            "symbol": ["circle" if value in (min(values), max(values)) else "circle-open" for value in values],
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [0 if dot.high is None else unit * (dot.high - dot.value) for dot in shown],
            "arrayminus": [0 if dot.low is None else unit * (dot.value - dot.low) for dot in shown],
            "color": colours.candidate,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[literal(in_words(dot, as_share=as_share)) for dot in shown],
        hovertemplate="%{customdata}<extra></extra>",
    )
    drawn.update_layout(margin={"r": 24})
    drawn.update_xaxes(title=literal(title), nticks=5, zeroline=False, **(PERCENT if as_share else {}))
    name_rows(drawn, [dot.label for dot in shown])
    return drawn
