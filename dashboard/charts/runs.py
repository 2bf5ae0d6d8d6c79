"""One run's evaluation: metrics with intervals, curves, errors."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.canvas import PERCENT, blank, halfway, literal, name_rows, percents
from dashboard.theme import Colours, percent


@dataclass(frozen=True)
class Dot:
    """One value with its interval, as a row of a dot chart.

    Parameters
    ----------
    label : str
        What the value belongs to; shown literally.
    value, low, high : float
        The interval's ends are None where none could be computed.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None


def metric_dots(
    dots: Sequence[Dot],
    *,
    colours: Colours,
    title: str = "",
    rule: Dot | None = None,
    sort: bool = True,
) -> go.Figure:
    """Values with intervals as horizontal dots, the largest on top; never bars from zero.

    Parameters
    ----------
    dots : sequence of Dot
    title : str
        Of the value axis.
    rule : Dot, optional
        What the others are held against, drawn as a vertical rule.
    sort : bool
        False keeps the order given.
    """
    shown = sorted(dots, key=lambda dot: dot.value) if sort else list(reversed(dots))
    drawn = blank(height=max(160, 80 + 30 * len(shown)), colours=colours)
    drawn.add_scatter(
        x=[dot.value for dot in shown],
        y=list(range(len(shown))),
        mode="markers",
        marker={"color": colours.candidate, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(dot.high - dot.value) if dot.high is not None else 0 for dot in shown],
            "arrayminus": [(dot.value - dot.low) if dot.low is not None else 0 for dot in shown],
            "color": colours.candidate,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[literal(in_words(dot)) for dot in shown],
        hovertemplate="%{customdata}<extra></extra>",
    )
    if rule is not None:
        drawn.add_vline(x=rule.value, line={"color": colours.champion, "width": 1.5, "dash": "dot"})
        drawn.add_annotation(
            x=rule.value,
            y=1,
            yref="paper",
            yanchor="bottom",
            text=literal(rule.label),
            showarrow=False,
            font={"color": colours.champion},
        )
        drawn.update_layout(margin={"t": 24})
    drawn.update_layout(showlegend=False)
    drawn.update_xaxes(title=title)
    name_rows(drawn, [dot.label for dot in shown])
    return drawn


def in_words(dot: Dot, *, as_share: bool = False) -> str:
    """Say a value and its interval: "roc_auc 0.927 [0.921, 0.933]", "women 30.0 % [25.0 %, 35.0 %]"."""
    write = percent if as_share else "{:.3f}".format
    said = f"{dot.label} {write(dot.value)}"
    return said if dot.low is None or dot.high is None else f"{said} [{write(dot.low)}, {write(dot.high)}]"


def roc(curves: Mapping[str, Mapping[str, Any]], *, colours: Colours) -> go.Figure:
    """Receiver operating characteristics, one line and its band per label, with the diagonal of a coin."""
    drawn = blank(height=320, colours=colours)
    drawn.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": colours.reference, "dash": "dot", "width": 1},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    for number, (label, curve) in enumerate(curves.items()):
        colour = colours.categorical[number % len(colours.categorical)]
        _band(drawn, curve, curve["fpr"], colour)
        drawn.add_scatter(
            x=percents(curve["fpr"]),
            y=percents(curve["tpr"]),
            mode="lines",
            name=literal(label),
            line={"width": 2, "color": colour},
            hovertemplate="false positives %{x:.1f} %, found %{y:.1f} %<extra></extra>",
        )
    drawn.update_layout(showlegend=len(curves) > 1, margin={"r": 24})
    drawn.update_xaxes(title="negatives flagged by mistake", range=[0, 100], **PERCENT)
    drawn.update_yaxes(title="positives found", range=[0, 101], **PERCENT)
    return drawn


def precision_recall(curves: Mapping[str, Mapping[str, Any]], *, colours: Colours) -> go.Figure:
    """Precision against recall, one line and its band per label."""
    drawn = blank(height=320, colours=colours)
    for number, (label, curve) in enumerate(curves.items()):
        colour = colours.categorical[number % len(colours.categorical)]
        _band(drawn, curve, curve["recall"], colour)
        drawn.add_scatter(
            x=percents(curve["recall"]),
            y=percents(curve["precision"]),
            mode="lines",
            name=literal(label),
            line={"width": 2, "color": colour, "shape": "hv"},
            hovertemplate="found %{x:.1f} %, of those flagged %{y:.1f} % right<extra></extra>",
        )
    drawn.update_layout(showlegend=len(curves) > 1, margin={"r": 24})
    drawn.update_xaxes(title="positives found", range=[0, 100], **PERCENT)
    drawn.update_yaxes(title="flagged that are right", range=[0, 101], **PERCENT)
    return drawn


def _band(drawn: go.Figure, curve: Mapping[str, Any], across: Sequence[float], colour: str) -> None:
    """The interval of each point of a curve; documents stored before it was kept have none."""
    if "low" not in curve:
        return
    drawn.add_scatter(
        x=percents([*across, *reversed(across)]),
        y=percents([*curve["high"], *reversed(curve["low"])]),
        mode="lines",
        fill="toself",
        fillcolor=colour,
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        name="band",
    )


def calibration(curves: Mapping[str, Mapping[str, Any]], *, colours: Colours) -> go.Figure:
    """Predicted against observed shares in equal-count bins, with the diagonal; below, how many rows each bin holds."""
    drawn = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.8, 0.2], vertical_spacing=0.06)
    drawn.update_layout(blank(height=320, colours=colours).layout)
    drawn.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": colours.reference, "dash": "dot", "width": 1},
        hoverinfo="skip", showlegend=False, row=1, col=1,
    )  # fmt: skip
    for number, (label, curve) in enumerate(curves.items()):
        colour = colours.categorical[number % len(colours.categorical)]
        share = curve["share_positive"]
        drawn.add_scatter(
            x=percents(curve["mean_score"]),
            y=percents(share),
            mode="lines+markers",
            name=literal(label),
            line={"width": 1.5, "color": colour},
            marker={"size": 7, "color": colour},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": percents(high - value for high, value in zip(curve["high"], share, strict=True)),
                "arrayminus": percents(value - low for low, value in zip(curve["low"], share, strict=True)),
                "thickness": 1,
                "width": 3,
                "color": colour,
            },
            hovertemplate="predicted %{x:.1f} %, observed %{y:.1f} %<extra></extra>",
            row=1,
            col=1,
        )
        drawn.add_bar(
            x=percents(curve["mean_score"]),
            y=curve["count"],
            marker={"color": colour, "opacity": 0.5},
            width=2,
            showlegend=False,
            hovertemplate="%{y:,} rows<extra></extra>",
            row=2,
            col=1,
        )
    drawn.update_layout(showlegend=len(curves) > 1, barmode="overlay", margin={"r": 24})
    drawn.update_xaxes(range=[0, 100], **PERCENT)
    drawn.update_xaxes(title="predicted probability", row=2, col=1)
    drawn.update_yaxes(title="observed share", range=[0, 101], **PERCENT, row=1, col=1)
    drawn.update_yaxes(title="rows", nticks=2, row=2, col=1)
    return drawn


def confusion(matrix: Mapping[str, Any], *, colours: Colours) -> go.Figure:
    """Truth by prediction; the shade is the share of each true class, so that a rare class is seen too."""
    labels = [str(label) for label in matrix["labels"]]
    counts = [[int(count) for count in row] for row in matrix["matrix"]]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    positions = list(range(len(labels)))
    drawn = blank(height=max(240, min(480, 110 + 44 * len(labels))), colours=colours)
    many = len(labels) > 12
    drawn.add_heatmap(
        x=positions,
        y=positions,
        z=shares,
        zmin=0,
        zmax=1,
        # Only halfway to the full colour, so that the same text reads on the faintest and the strongest cell.
        colorscale=[[0, colours.background], [1, halfway(colours.background, colours.candidate)]],
        showscale=False,
        text=None if many else [[f"{count:,}" for count in row] for row in counts],
        texttemplate=None if many else "%{text}",
        textfont={"color": colours.text},
        customdata=[
            [
                literal(f"{labels[i]} predicted as {labels[j]}: {counts[i][j]:,} ({percent(shares[i][j])})")
                for j in positions
            ]
            for i in positions
        ],
        hovertemplate="%{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    ticks = {"tickmode": "array", "tickvals": positions, "ticktext": [literal(label) for label in labels]}
    drawn.update_xaxes(title="predicted", showgrid=False, zeroline=False, **ticks)
    drawn.update_yaxes(title="true", showgrid=False, zeroline=False, autorange="reversed", **ticks)
    return drawn


def predicted_true(sample: Mapping[str, Any], *, colours: Colours, target: str) -> go.Figure:
    """Predictions against the truth, with the line of a perfect model."""
    truth, predicted = list(sample["y_true"]), list(sample["y_pred"])
    ends = [min([*truth, *predicted], default=0), max([*truth, *predicted], default=1)]
    drawn = blank(height=320, colours=colours)
    drawn.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": colours.reference, "dash": "dot", "width": 1}, hoverinfo="skip"
    )
    drawn.add_scatter(
        x=truth,
        y=predicted,
        mode="markers",
        marker={"size": 5, "color": colours.candidate, "opacity": 0.45},
        hovertemplate="true %{x:.4g}, predicted %{y:.4g}<extra></extra>",
    )
    drawn.update_layout(showlegend=False)
    drawn.update_xaxes(title=f"true {literal(target)}")
    drawn.update_yaxes(title=f"predicted {literal(target)}")
    return drawn


def residuals(histogram: Mapping[str, Any], *, colours: Colours, target: str) -> go.Figure:
    """How far the predictions are off, in the target's own unit."""
    edges, counts = list(histogram["edges"]), list(histogram["counts"])
    drawn = blank(height=320, colours=colours)
    drawn.add_bar(
        x=[(low + high) / 2 for low, high in itertools.pairwise(edges)],
        y=counts,
        width=[high - low for low, high in itertools.pairwise(edges)],
        marker={"color": colours.candidate, "line": {"width": 1, "color": colours.background}},
        hovertemplate="off by %{x:.4g}: %{y:,} rows<extra></extra>",
    )
    drawn.add_vline(x=0, line={"color": colours.champion, "width": 1})
    drawn.update_layout(showlegend=False, bargap=0)
    drawn.update_xaxes(title=f"predicted minus true {literal(target)}")
    drawn.update_yaxes(title="rows")
    return drawn
