"""Trade-off curves over thresholds, with the chosen one marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from core.datasets.costs import BinaryCosts
from core.evaluation.threshold_figures import Tally
from core.evaluation.threshold_grids import Grid
from dashboard.charts.canvas import PERCENT, blank, percents
from dashboard.theme import Colours

Kind = Literal["roc", "precision_recall", "gain", "cost"]


@dataclass(frozen=True)
class Line:
    """One curve of one set of rows.

    Parameters
    ----------
    label : str
        "Test" or "Validation".
    x, y, thresholds : sequence of float
        A point for each threshold at which both are defined.
    chosen : pair of float, or None
        Where the chosen threshold lies; None where one of the two is not defined there.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    thresholds: Sequence[float]
    chosen: tuple[float, float] | None


@dataclass(frozen=True)
class Axes:
    """What a kind of curve shows across and upwards, whether a diagonal means chance, where a dot's label is free."""

    x: str
    y: str
    diagonal: bool
    label: Literal["bottom right", "bottom left", "top center"]


AXES: dict[Kind, Axes] = {
    "roc": Axes("negatives called by mistake", "positives found", diagonal=True, label="bottom right"),
    "precision_recall": Axes("positives found", "called that are right", diagonal=False, label="bottom left"),
    "gain": Axes("share of rows called positive", "positives found", diagonal=True, label="bottom right"),
    "cost": Axes("threshold", "expected cost a row", diagonal=False, label="top center"),
}


def lines(grid: Grid, place: int, kind: Kind, *, costs: BinaryCosts | None = None) -> list[Line]:
    """The curve of the validation and of the test rows, and where the threshold at ``place`` lies on each."""
    return [
        _line(label, rows, grid, place, kind, costs)
        for label, rows in (("Validation", grid.validation), ("Test", grid.test))
    ]


def _line(label: str, rows: Tally, grid: Grid, place: int, kind: Kind, costs: BinaryCosts | None) -> Line:
    match kind:
        case "roc":
            x, y = rows.values("fpr"), rows.values("recall")
        case "precision_recall":
            x, y = rows.values("recall"), rows.values("precision")
        case "gain":
            x, y = rows.values("share"), rows.values("recall")
        case _:
            x, y = grid.thresholds, rows.values("cost", costs)
    known = ~(np.isnan(x) | np.isnan(y))
    chosen = (float(x[place]), float(y[place])) if known[place] else None
    return Line(label, x[known].tolist(), y[known].tolist(), grid.thresholds[known].tolist(), chosen)


def curve(drawn_lines: Sequence[Line], kind: Kind, *, threshold: float, colours: Colours) -> go.Figure:
    """Validation in grey, test in the candidate's colour, the chosen threshold as a dot on each."""
    axes = AXES[kind]
    drawn = blank(height=320, colours=colours)
    if axes.diagonal:
        drawn.add_scatter(
            x=[0, 100], y=[0, 100], mode="lines", line={"color": colours.reference, "dash": "dot", "width": 1},
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    percent = kind != "cost"
    across = "%{x:.1f} %" if percent else "%{x:.3g}"
    upwards = "%{y:.1f} %" if percent else "%{y:.3g}"
    drawn_as = percents if percent else list
    for line in drawn_lines:
        colour = colours.candidate if line.label == "Test" else colours.reference
        drawn.add_scatter(
            x=drawn_as(line.x),
            y=drawn_as(line.y),
            mode="lines",
            name=line.label,
            line={"width": 2 if line.label == "Test" else 1.5, "color": colour},
            customdata=line.thresholds,
            hovertemplate=f"{axes.x} {across}, {axes.y} {upwards}"
            + (", from %{customdata:.4g} on" if percent else "")
            + f"<extra>{line.label}</extra>",
        )
    for line in drawn_lines:
        if line.chosen is None:
            continue
        test = line.label == "Test"
        drawn.add_scatter(
            x=drawn_as([line.chosen[0]]),
            y=drawn_as([line.chosen[1]]),
            mode="markers+text" if test else "markers",
            text=[f"{threshold:.4g}"] if test else None,
            textposition=axes.label,
            textfont={"color": colours.text},
            marker={
                "size": 11 if test else 8,
                "color": colours.candidate if test else colours.reference,
                "line": {"width": 2, "color": colours.background},
            },
            name=f"{line.label} at {threshold:.4g}",
            showlegend=False,
            hoverinfo="skip",
        )
    drawn.update_layout(showlegend=True, margin={"r": 24, "t": 24})
    drawn.update_xaxes(title=axes.x)
    drawn.update_yaxes(title=axes.y)
    if percent:
        drawn.update_xaxes(range=[0, 100], **PERCENT)
        drawn.update_yaxes(range=[0, 103], **PERCENT)
    else:
        drawn.update_xaxes(range=[0, 1])
        drawn.update_yaxes(rangemode="tozero")
        drawn.add_vline(x=threshold, line={"color": colours.champion, "width": 1, "dash": "dot"})
    return drawn


def in_words(drawn_lines: Sequence[Line], kind: Kind, *, threshold: float) -> str:
    """Say the chosen point of each line: "at 0.31: test 4.1 % …, validation …"."""
    axes = AXES[kind]

    def shown(value: float) -> str:
        return f"{value:.3g}" if kind == "cost" else f"{value * 100:.1f} %"

    said = [
        f"{line.label.lower()} {axes.y} {shown(line.chosen[1])}"
        + ("" if kind == "cost" else f" at {axes.x} {shown(line.chosen[0])}")
        for line in drawn_lines
        if line.chosen is not None
    ]
    return f"{axes.y} by {axes.x}; at the threshold {threshold:.4g}: " + (", ".join(said) or "not defined")
