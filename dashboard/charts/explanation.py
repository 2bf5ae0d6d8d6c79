"""What a model relies on, how its prediction moves with one feature, and what made one row's prediction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.canvas import PERCENT, blank, literal, name_rows, percents
from dashboard.charts.runs import Dot, metric_dots
from dashboard.theme import MISSING, Colours, difference, number, percent

# Below one row in two hundred a mean prediction says little of real rows.
SPARSE = 0.005
MOST_STEPS = 10


def importance(dots: Sequence[Dot], *, colours: Colours, metric: str, most: int = 15) -> go.Figure:
    """What shuffling each feature costs, with its interval; zero means the model does without it."""
    shown = sorted(dots, key=lambda dot: -dot.value)[:most]
    drawn = metric_dots(shown, colours=colours, title=f"worsening of {literal(metric)} when shuffled")
    drawn.add_vline(x=0, line={"color": colours.reference, "width": 1})
    return drawn


def dependence(feature: Mapping[str, Any], *, colours: Colours, title: str, centred: bool = False) -> go.Figure:
    """Partial dependence with individual lines: the mean strong, each row faint, dotted where hardly any rows are.

    Parameters
    ----------
    feature : mapping
        One feature of `core.training.explanation_analysis.dependence`.
    title : str
        Of the axis of predictions.
    centred : bool
        Draw each row's change from what it gets at the first value.
    """
    average = centre(feature["average"]) if centred else list(feature["average"])
    lines = [centre(line) if centred else list(line) for line in feature["lines"]]
    if feature["kind"] in ("category", "boolean"):
        return _by_value(feature, average, lines, colours=colours, title=title)
    return _by_number(feature, average, lines, colours=colours, title=title)


def centre(line: Sequence[float]) -> list[float]:
    """A line's change from its first value."""
    return [value - line[0] for value in line]


def _by_number(
    feature: Mapping[str, Any],
    average: Sequence[float],
    lines: Sequence[Sequence[float]],
    *,
    colours: Colours,
    title: str,
) -> go.Figure:
    values, shares = list(feature["values"]), list(feature["share"])
    drawn = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.84, 0.16], vertical_spacing=0.05)
    drawn.update_layout(blank(height=340, colours=colours).layout)
    # Faint by their colour: thirty traces with an opacity of their own are as many layers, whose rounding tints a dark
    # background.
    faint = f"rgba({', '.join(map(str, bytes.fromhex(colours.reference[1:])))}, 0.35)"
    for line in lines:
        drawn.add_scatter(
            x=values, y=line, mode="lines", line={"color": faint, "width": 1}, hoverinfo="skip", row=1, col=1
        )
    drawn.add_scatter(
        x=values, y=average, mode="lines", line={"color": colours.candidate, "width": 2, "dash": "dot"},
        hoverinfo="skip", row=1, col=1,
    )  # fmt: skip
    drawn.add_scatter(
        x=values,
        y=[value if share >= SPARSE else None for value, share in zip(average, shares, strict=True)],
        mode="lines+markers",
        connectgaps=False,
        line={"color": colours.candidate, "width": 3},
        marker={"color": colours.candidate, "size": 6},
        hoverinfo="skip",
        row=1,
        col=1,
    )
    drawn.add_scatter(
        x=values,
        y=average,
        mode="markers",
        marker={"color": colours.candidate, "opacity": 0, "size": 12},
        customdata=[
            literal(f"{number(x)}: {number(y)}, error {number(error)}; {percent(share)} of the rows are nearest")
            for x, y, error, share in zip(values, average, feature["standard_error"], shares, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
        row=1,
        col=1,
    )
    drawn.add_bar(
        x=values,
        y=percents(shares),
        width=_widths(values),
        marker={"color": colours.reference, "opacity": 0.6},
        hovertemplate="%{y:.1f} % of the rows<extra></extra>",
        row=2,
        col=1,
    )
    drawn.update_layout(showlegend=False, margin={"r": 24})
    room = 0.03 * (values[-1] - values[0]) or 0.5
    drawn.update_xaxes(range=[values[0] - room, values[-1] + room], zeroline=False)
    drawn.update_xaxes(title=literal(feature["name"]), row=2, col=1)
    drawn.update_yaxes(title=title, row=1, col=1)
    drawn.update_yaxes(title="rows", nticks=2, **PERCENT, rangemode="tozero", row=2, col=1)
    return drawn


def _widths(values: Sequence[float]) -> list[float]:
    """Bars that never touch their nearest neighbour, and stay wide enough to be seen."""
    if len(values) < 2:
        return [1.0 for _ in values]
    span = values[-1] - values[0]
    gaps = [second - first for first, second in itertools.pairwise(values)]
    return [
        max(0.004 * span, 0.8 * min(gaps[max(0, place - 1)], gaps[min(place, len(gaps) - 1)]))
        for place in range(len(values))
    ]


def _by_value(
    feature: Mapping[str, Any],
    average: Sequence[float],
    lines: Sequence[Sequence[float]],
    *,
    colours: Colours,
    title: str,
) -> go.Figure:
    order = sorted(range(len(average)), key=lambda place: average[place])
    drawn = blank(height=max(160, 80 + 30 * len(order)), colours=colours)
    drawn.add_scatter(
        x=[line[place] for place in order for line in lines],
        y=[row for row in range(len(order)) for _ in lines],
        mode="markers",
        marker={"color": colours.reference, "size": 12, "opacity": 0.35, "symbol": "line-ns-open"},
        hoverinfo="skip",
    )
    drawn.add_scatter(
        x=[average[place] for place in order],
        y=list(range(len(order))),
        mode="markers",
        marker={
            "color": colours.candidate,
            "size": 11,
            "symbol": ["circle" if feature["share"][place] >= SPARSE else "circle-open" for place in order],
        },
        customdata=[
            literal(
                f"{worded(feature['values'][place])}: {number(average[place])}, error "
                f"{number(feature['standard_error'][place])}; {percent(feature['share'][place])} of the rows"
            )
            for place in order
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    drawn.update_layout(showlegend=False, margin={"r": 24})
    drawn.update_xaxes(title=title)
    name_rows(drawn, [worded(feature["values"][place]) for place in order])
    return drawn


def worded(value: object) -> str:
    """A cell of a row as it is read: true, 1,200, 35.19, "Wife", and an en dash where it is missing."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return number(int(value))
    if isinstance(value, float):
        said = number(value)
        return said.rstrip("0").rstrip(".") if "." in said and "e" not in said else said
    return number(value) if isinstance(value, int) else str(value)


def way(document: Mapping[str, Any], *, colours: Colours, digits: int, most: int = MOST_STEPS) -> go.Figure:
    """One row's way from the mean prediction of training rows to its own, the largest contribution first.

    Parameters
    ----------
    document : mapping
        As `core.training.explanation_analysis.contributions` gives it.
    digits : int
        Of the numbers written beside the bars.
    """
    entries = document["entries"]
    steps = [(f"{one['feature']} = {worded(one['value'])}", one["contribution"]) for one in entries[:most]]
    if len(entries) > most:
        left = sum(one["contribution"] for one in entries[most:])
        steps.append((f"{len(entries) - most} others", left))
    labels = ["mean of training rows", *(label for label, _ in steps), "this row"]
    rows = list(reversed(range(len(labels))))
    starts, at = [], float(document["base"])
    for _, change in steps:
        starts.append(at)
        at += change
    drawn = blank(height=90 + 28 * len(labels), colours=colours)
    # Thin lines from each step's end to the next one's beginning.
    reached = [float(document["base"]), *(start + change for start, (_, change) in zip(starts, steps, strict=True))]
    drawn.add_scatter(
        x=[point for end in reached for point in (end, end, None)],
        y=[place for first, second in itertools.pairwise(rows) for place in (first, second, None)],
        mode="lines", line={"color": colours.reference, "width": 1}, hoverinfo="skip",
    )  # fmt: skip
    drawn.add_bar(
        x=[change for _, change in steps],
        base=starts,
        y=rows[1:-1],
        orientation="h",
        width=0.62,
        marker={"color": [colours.candidate if change >= 0 else colours.champion for _, change in steps]},
        customdata=[literal(f"{label}: {difference(change, digits + 1)}") for label, change in steps],
        hovertemplate="%{customdata}<extra></extra>",
    )
    ends = (float(document["base"]), float(document["prediction"]))
    drawn.add_scatter(
        x=ends,
        y=[rows[0], rows[-1]],
        mode="markers",
        marker={"color": [colours.reference, colours.candidate], "size": 11},
        hoverinfo="skip",
    )
    # In a column of their own: beside their bars the numbers would print over the names where the window is narrow.
    told = [number(ends[0], digits), *(difference(change, digits) for _, change in steps), number(ends[1], digits)]
    for place, text in zip(rows, told, strict=True):
        drawn.add_annotation(
            x=1, xref="paper", y=place, xanchor="left", xshift=6, text=text, showarrow=False,
            font={"color": colours.text},
        )  # fmt: skip
    longest = max(len(text) for text in told)
    drawn.update_layout(showlegend=False, margin={"r": 16 + 8 * longest})
    drawn.update_xaxes(title=output_title(document["of"]))
    name_rows(drawn, list(reversed(labels)))
    return drawn


def what_if(
    was: Mapping[str, Any], now: Mapping[str, Any], *, colours: Colours, digits: int, most: int = MOST_STEPS
) -> go.Figure:
    """Two rows' contributions side by side: what each feature added before and after, the most changed first."""
    before = {one["feature"]: one["contribution"] for one in was["entries"]}
    after = {one["feature"]: one["contribution"] for one in now["entries"]}
    shown = sorted(before, key=lambda name: -abs(after[name] - before[name]))[:most][::-1]
    places = list(range(len(shown)))
    drawn = blank(height=110 + 28 * len(shown), colours=colours)
    for place, name in zip(places, shown, strict=True):
        drawn.add_scatter(
            x=[before[name], after[name]], y=[place, place], mode="lines",
            line={"color": colours.reference, "width": 2}, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    for label, found, colour, symbol in (
        ("as it is", before, colours.champion, "circle-open"),
        ("what if", after, colours.candidate, "circle"),
    ):
        drawn.add_scatter(
            x=[found[name] for name in shown],
            y=places,
            mode="markers",
            name=label,
            marker={"color": colour, "size": 10, "symbol": symbol, "line": {"width": 2, "color": colour}},
            customdata=[literal(f"{name}, {label}: {difference(found[name], digits + 1)}") for name in shown],
            hovertemplate="%{customdata}<extra></extra>",
        )
    drawn.add_vline(x=0, line={"color": colours.reference, "width": 1})
    drawn.update_layout(showlegend=True, margin={"t": 32})
    drawn.update_xaxes(title=f"adds to {output_title(now['of'])}")
    name_rows(drawn, shown)
    return drawn


def output_title(of: str | None) -> str:
    """What a prediction is called on an axis."""
    return "prediction" if of is None else f"score of {literal(of)}"
