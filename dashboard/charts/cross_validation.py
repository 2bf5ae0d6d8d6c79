"""How far a figure moves from fold to fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.canvas import blank, literal, name_rows
from dashboard.theme import Colours


@dataclass(frozen=True)
class FoldValues:
    """One metric over the folds.

    Parameters
    ----------
    label : str
        Shown literally.
    values : tuple of float
        One per fold, at least one.
    """

    label: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The folds' mean, each counting alike."""
        return sum(self.values) / len(self.values)


def fold_dots(rows: Sequence[FoldValues], *, colours: Colours) -> go.Figure:
    """Each fold as a dot, as far from the mean of its metric as it is; one row per metric, in the order given.

    Metrics of different height share the axis that way, and how far each moves can be seen.

    Parameters
    ----------
    rows : sequence of FoldValues
        In units that can stand on one axis.
    """
    shown = list(reversed(rows))
    drawn = blank(height=max(160, 80 + 30 * len(shown)), colours=colours)
    drawn.add_vline(x=0, line={"color": colours.reference, "width": 1})
    drawn.add_scatter(
        x=[value - row.mean for row in shown for value in row.values],
        y=[place for place, row in enumerate(shown) for _ in row.values],
        mode="markers",
        marker={"color": colours.candidate, "size": 8, "opacity": 0.6},
        customdata=[
            literal(f"{row.label}, fold {fold}: {value:.4g}, mean of the folds {row.mean:.4g}")
            for row in shown
            for fold, value in enumerate(row.values, start=1)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    drawn.update_layout(showlegend=False)
    drawn.update_xaxes(title="difference from the mean of the folds", tickformat="~g")
    name_rows(drawn, [row.label for row in shown])
    return drawn


def in_words(row: FoldValues) -> str:
    """Say a metric's mean and ends: "ROC AUC 0.912 from 0.905 to 0.921"."""
    return f"{row.label} {row.mean:.3f} from {min(row.values):.3f} to {max(row.values):.3f}"
