"""The square of true and predicted classes, of which one cell is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts.canvas import literal
from dashboard.charts.runs import confusion
from dashboard.theme import Colours

FEW = 4
ACROSS = (-0.36, -0.18, 0.0, 0.18, 0.36)


def choosable_confusion(
    labels: Sequence[str], counts: Sequence[Sequence[int]], *, chosen: tuple[str, str] | None, colours: Colours
) -> go.Figure:
    """The confusion square with a mark over each cell that holds rows, which a click selects; one cell is outlined.

    Heat maps send no selection, so transparent squares lie over the cells; their ``customdata`` is the true and the
    predicted class.

    Parameters
    ----------
    labels : sequence of str
    counts : sequence of sequences of int
        Rows by true, then predicted class.
    chosen : pair of str, optional
        True and predicted class of the outlined cell.
    """
    drawn = confusion({"labels": labels, "matrix": counts}, colours=colours)
    held = [(i, j) for i in range(len(labels)) for j in range(len(labels)) if counts[i][j]]
    # Cells are wider than high, so that a few marks side by side cover one.
    marks = [(i, j, j + step) for i, j in held for step in (ACROSS if len(labels) <= FEW else (0.0,))]
    drawn.add_scatter(
        x=[x for _, _, x in marks],
        y=[i for i, _, _ in marks],
        mode="markers",
        marker={"symbol": "square", "size": 44 if len(labels) <= FEW else 26, "opacity": 0},
        customdata=[[labels[i], labels[j]] for i, j, _ in marks],
        text=[literal(f"{labels[i]} predicted as {labels[j]}: {counts[i][j]:,} rows") for i, j, _ in marks],
        hovertemplate="%{text}<extra></extra>",
        hoverlabel={"bgcolor": colours.fill, "bordercolor": colours.grid, "font": {"color": colours.text}},
        name="cells",
    )
    for i, j in held:
        if (labels[i], labels[j]) == chosen:
            drawn.add_shape(
                type="rect", x0=j - 0.48, x1=j + 0.48, y0=i - 0.47, y1=i + 0.47,
                line={"color": colours.candidate, "width": 2},
            )  # fmt: skip
    return drawn
