"""Several runs side by side: differences against a baseline, curves, trade-offs, and what they were asked for with."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from dashboard.charts.canvas import PERCENT, literal, named_rows, short, whole
from dashboard.theme import Colours

MOST_NAMED = 6
# Room for a line's name beside the figure, in pixels.
NAME_WIDTH = 96


@dataclass(frozen=True)
class Difference:
    """A candidate held against the baseline on the same rows.

    Parameters
    ----------
    label : str
        The candidate; shown literally.
    effect, low, high : float
        The paired difference and its interval; positive means that the candidate is better.
    word : str
        The verdict in words.
    harm : bool
        Whether the verdict is that it is worse.
    """

    label: str
    effect: float
    low: float
    high: float
    word: str
    harm: bool = False


@dataclass(frozen=True)
class Point:
    """One run laid out by two axes, with the 95 % intervals where they are known.

    Parameters
    ----------
    label : str
        Shown literally.
    x, y : float
    x_ends, y_ends : pair of float or None
        Low and high.
    is_baseline : bool
    on_front : bool
        Whether no other run is ahead on both axes.
    """

    label: str
    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    is_baseline: bool = False
    on_front: bool = False

    @property
    def words(self) -> str:
        """The label, and what the point is."""
        said = [*(["baseline"] if self.is_baseline else []), *(["front"] if self.on_front else [])]
        return f"{self.label} ({', '.join(said)})" if said else self.label


@dataclass(frozen=True)
class Curve:
    """One run's stored curve, ready to be drawn over others.

    Parameters
    ----------
    label : str
        Short, since it stands beside the line; shown literally.
    data : mapping
        As `core.evaluation.curves` keeps it.
    is_baseline : bool
    """

    label: str
    data: Mapping[str, Any]
    is_baseline: bool = False


@dataclass(frozen=True)
class Ruler:
    """One upright axis of parallel lines.

    Parameters
    ----------
    title : str
        Shown literally.
    values : tuple
        One for each run: all numbers, or texts, which then lie at even steps. None where a run has none.
    """

    title: str
    values: tuple[float | str | None, ...]


def differences(rows: Sequence[Difference], *, margin: float, metric: str, colours: Colours) -> go.Figure:
    """Each candidate's difference with its interval, the zero line, the margin shaded, the verdict at the right.

    Parameters
    ----------
    margin : float
        How much worse still counts as not worse, >= 0; shaded from ``-margin`` to 0.
    metric : str
        What the difference is of; shown literally.
    """
    shown = sorted(rows, key=lambda row: row.effect)
    tints = [colours.harm if row.harm else colours.candidate for row in shown]
    intervals = []
    for tint in dict.fromkeys(tints):
        part = [place for place in range(len(shown)) if tints[place] == tint]
        intervals.append(
            {
                "type": "scatter",
                "x": [end for place in part for end in (shown[place].low, shown[place].high, None)],
                "y": [end for place in part for end in (place, place, None)],
                "mode": "lines",
                "line": {"color": tint, "width": 1.5},
                "hoverinfo": "skip",
            }
        )
    dots = {
        "type": "scatter",
        "x": [row.effect for row in shown],
        "y": list(range(len(shown))),
        "mode": "markers",
        "marker": {"color": tints, "size": 10},
        "customdata": [literal(in_words(row)) for row in shown],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    upright = {"yref": "y domain", "y0": 0, "y1": 1}
    return whole(
        [*intervals, dots],
        height=max(180, 90 + 34 * len(shown)),
        colours=colours,
        x={
            "title": {"text": f"difference in {literal(metric)}; right of zero is better"},
            "zeroline": False,
            "nticks": 3,
            "tickangle": 0,
        },
        y=named_rows([row.label for row in shown]),
        shapes=[
            {
                "type": "rect", "x0": -margin, "x1": 0, **upright, "fillcolor": colours.reference, "opacity": 0.18,
                "line": {"width": 0}, "layer": "below",
            },
            {"type": "line", "x0": 0, "x1": 0, **upright, "line": {"color": colours.champion, "width": 1.5}},
        ],
        annotations=[
            {
                "x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": place, "text": literal(row.word),
                "showarrow": False, "font": {"color": tint},
            }
            for place, (row, tint) in enumerate(zip(shown, tints, strict=True))
        ],
        margin={"r": 110},
    )  # fmt: skip


def in_words(row: Difference) -> str:
    """Say a difference: "run 4: +0.011 [+0.006, +0.016], better"."""
    return f"{row.label}: {row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}], {row.word}"


def plane(points: Sequence[Point], *, x_title: str, y_title: str, colours: Colours) -> go.Figure:
    """Runs by any two axes with their intervals, the ones on the front joined and marked with the word.

    Of more than `MOST_NAMED` only the baseline and the front have their names written; the others say them when pointed
    at.
    """
    front = sorted((point for point in points if point.on_front), key=lambda point: (point.x, point.y))
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": [point.x for point in front],
            "y": [point.y for point in front],
            "mode": "lines",
            "line": {"color": colours.reference, "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
            "name": "front",
        }
    ]
    named = [point for point in points if len(points) <= MOST_NAMED or point.is_baseline or point.on_front]
    sides = _free_sides(points, named)
    for chosen in (False, True):
        part = [point for point in points if point.is_baseline is chosen]
        tint = colours.champion if chosen else colours.candidate
        traces.append(
            {
                "type": "scatter",
                "x": [point.x for point in part],
                "y": [point.y for point in part],
                "mode": "markers+text",
                "text": [literal(point.words) if point in named else "" for point in part],
                "textposition": [sides[place] for place, point in enumerate(points) if point.is_baseline is chosen],
                "error_x": _bars([(point.x, point.x_ends) for point in part], tint),
                "error_y": _bars([(point.y, point.y_ends) for point in part], tint),
                "marker": {
                    "size": 10,
                    "color": tint,
                    "symbol": "diamond" if chosen else "circle",
                    "opacity": [1.0 if point.on_front or chosen else 0.55 for point in part],
                },
                "cliponaxis": False,
                "customdata": [literal(point_in_words(point)) for point in part],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    return whole(
        traces,
        height=360,
        colours=colours,
        x={"title": {"text": literal(x_title)}, "range": _room([(one.x, one.x_ends) for one in points], 0.12)},
        y={"title": {"text": literal(y_title)}, "range": _room([(one.y, one.y_ends) for one in points], 0.12)},
        margin={"t": 24, "r": 24},
    )


def point_in_words(point: Point) -> str:
    """Say a point: "Run 4 (front): 0.9270 [0.9210, 0.9330] across, 12.1000 upward"."""

    def said(value: float, ends: tuple[float, float] | None) -> str:
        return f"{value:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")

    return f"{point.words}: {said(point.x, point.x_ends)} across, {said(point.y, point.y_ends)} upward"


def overlaid(curves: Sequence[Curve], code: str, *, colours: Colours, target: str = "") -> go.Figure:
    """The runs' curves of one kind on one figure, each with its band where one is stored, labelled at the right.

    Parameters
    ----------
    code : {"roc", "precision_recall", "gain", "calibration", "residuals", "predicted_true"}
    target : str
        What a regression predicts; shown literally.
    """
    tints = tints_of([curve.is_baseline for curve in curves], colours)
    shape = _SHAPES[code]
    traces: list[dict[str, Any]] = []
    heights: list[float] = []
    for curve, tint in zip(curves, tints, strict=True):
        x, y = xy_of(curve.data, code)
        if code not in ("residuals", "predicted_true") and curve.data.get("low"):
            traces.append(
                {
                    "type": "scatter",
                    "x": _packed([*x, *reversed(x)], shape.shares),
                    "y": _packed([*curve.data["high"], *reversed(curve.data["low"])], shape.shares),
                    "mode": "lines",
                    "fill": "toself",
                    "fillcolor": tint,
                    "opacity": 0.13,
                    "line": {"width": 0},
                    "hoverinfo": "skip",
                    "name": "band",
                }
            )
        traces.append(
            {
                "type": "scatter",
                "x": _packed(x, shape.shares),
                "y": _packed(y, shape.shares),
                "mode": {"calibration": "lines+markers", "predicted_true": "markers"}.get(code, "lines"),
                "name": literal(curve.label),
                "line": {
                    "width": 2.5 if curve.is_baseline else 1.75,
                    "color": tint,
                    "dash": "dash" if curve.is_baseline else "solid",
                    "shape": {"precision_recall": "hv", "residuals": "hvh"}.get(code, "linear"),
                },
                "marker": {"size": 5, "color": tint, "opacity": 0.4 if code == "predicted_true" else 1},
                "hovertemplate": f"{literal(curve.label)}: {shape.hover}<extra></extra>",
            }
        )
        heights.append(_height(x, y, shape.looked_at))
    ends = [0.0, 100.0]
    if code == "predicted_true":
        every = [value for curve in curves for values in xy_of(curve.data, code) for value in values] or ends
        ends = [min(every), max(every)]
    if shape.diagonal:
        traces.insert(
            0,
            {
                "type": "scatter",
                "x": ends,
                "y": ends,
                "mode": "lines",
                "line": {"color": colours.reference, "dash": "dot", "width": 1},
                "hoverinfo": "skip",
            },
        )
    across: dict[str, Any] = {"range": [0, 100], **PERCENT} if shape.shares else {}
    upward: dict[str, Any] = {"range": [0, 101], **PERCENT} if shape.shares else {}
    return whole(
        traces,
        height=360,
        colours=colours,
        x={"title": {"text": shape.x.format(literal(target))}, **across},
        y={"title": {"text": shape.y.format(literal(target))}, **upward},
        annotations=names_at_right([curve.label for curve in curves], heights, tints),
        margin={"r": NAME_WIDTH},
    )


def _packed(values: Sequence[float], as_percent: bool) -> np.ndarray:
    """Numbers as plotly sends them shortest; seven digits are more than a figure shows."""
    return np.asarray(values, dtype=np.float32) * (100 if as_percent else 1)


def xy_of(data: Mapping[str, Any], code: str) -> tuple[list[float], list[float]]:
    """What lies across and upwards in a stored curve; residuals as the share of rows in each bin."""
    if code == "residuals":
        total = sum(data["counts"]) or 1
        centres = [(low + high) / 2 for low, high in itertools.pairwise(data["edges"])]
        widths = [(high - low) or 1.0 for low, high in itertools.pairwise(data["edges"])]
        return centres, [count / total / width for count, width in zip(data["counts"], widths, strict=True)]
    shape = _SHAPES[code]
    return list(data[shape.x_key]), list(data[shape.y_key])


def tints_of(baselines: Sequence[bool], colours: Colours) -> list[str]:
    """A colour a run: slate for the baseline, and for the others the unordered colours that are no slate."""
    free = itertools.cycle([colours.categorical[place] for place in _APART])
    return [colours.champion if is_baseline else next(free) for is_baseline in baselines]


def names_at_right(labels: Sequence[str], heights: Sequence[float], tints: Sequence[str]) -> list[dict[str, Any]]:
    """Each line's name at the right, from top to bottom as the lines lie, in the line's colour; as annotations."""
    order = sorted(range(len(labels)), key=lambda place: -heights[place])
    step = min(0.12, 1 / max(1, len(order)))
    return [
        {
            "x": 1, "xref": "paper", "xanchor": "left", "xshift": 10, "y": 1 - step * position, "yref": "paper",
            "yanchor": "top", "text": f"— {short(labels[place], 14)}", "showarrow": False,
            "font": {"color": tints[place]},
        }
        for position, place in enumerate(order)
    ]  # fmt: skip


def parallel(
    rulers: Sequence[Ruler], labels: Sequence[str], baselines: Sequence[bool], *, colours: Colours
) -> go.Figure:
    """Runs as lines over upright axes, one a parameter and the metric last; the ends of each axis are written.

    A parameter tried at values of several orders of magnitude is laid out by its logarithm.
    """
    tints = tints_of(baselines, colours)
    laid = [_levels(ruler) for ruler in rulers]
    traces = [
        {
            "type": "scatter",
            "x": list(range(len(rulers))),
            "y": [levels[place] for levels, _, _ in laid],
            "mode": "lines+markers",
            "name": literal(label),
            "line": {
                "color": tints[place],
                "width": 2.5 if baselines[place] else 1.75,
                "dash": "dash" if baselines[place] else "solid",
            },
            "marker": {"size": 7, "color": tints[place]},
            "cliponaxis": False,
            "text": literal(f"{label}: " + ", ".join(f"{one.title} {_said(one.values[place])}" for one in rulers)),
            "hovertemplate": "%{text}<extra></extra>",
        }
        for place, label in enumerate(labels)
    ]
    upright = {"type": "line", "y0": 0, "y1": 1, "line": {"color": colours.reference, "width": 1}, "layer": "below"}
    # Each second title lower, where they would meet on a phone.
    staggered = 0.2 if len(rulers) > 2 else 0.0
    notes = [
        {"x": position, "y": height, "yanchor": anchor, "text": words, "showarrow": False, "font": {"color": tint}}
        for position, (ruler, (_, lowest, highest)) in enumerate(zip(rulers, laid, strict=True))
        for height, words, anchor, tint in (
            (1.03, short(highest, 14), "bottom", colours.muted),
            (-0.03, short(lowest, 14), "top", colours.muted),
            (-0.16 - staggered * (position % 2), _in_two_lines(ruler.title), "top", colours.text),
        )
    ]
    ends = [laid[-1][0][place] or 0.0 for place in range(len(labels))]
    return whole(
        traces,
        height=360,
        colours=colours,
        x={"visible": False, "range": [-0.35, len(rulers) - 0.75]},
        y={"visible": False, "range": [-0.36 - staggered, 1.14]},
        annotations=[*notes, *names_at_right(labels, ends, tints)],
        shapes=[{**upright, "x0": position, "x1": position} for position in range(len(rulers))],
        margin={"r": NAME_WIDTH},
    )


def _levels(ruler: Ruler) -> tuple[list[float | None], str, str]:
    """Each run's height from 0 to 1, and what stands at the foot and at the top."""
    known = [value for value in ruler.values if value is not None]
    numbers = [float(value) for value in known if not isinstance(value, str)]
    if len(numbers) < len(known):
        names = sorted({str(value) for value in known})
        step = max(1, len(names) - 1)
        heights = [None if value is None else names.index(str(value)) / step for value in ruler.values]
        return heights, names[0], names[-1]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    if low == high:
        return [None if value is None else 0.5 for value in ruler.values], "", _said(high)
    far = low > 0 and high / low >= _FAR

    def scaled(value: float) -> float:
        return math.log(value) if far else value

    span = scaled(high) - scaled(low)
    heights = [None if value is None else (scaled(float(value)) - scaled(low)) / span for value in ruler.values]
    return heights, _said(low), _said(high)


def _in_two_lines(title: str) -> str:
    """A title cut to two lines, literally."""
    first, *rest = textwrap.wrap(title, 14, break_long_words=False) or [""]
    return short(first, 20) + (f"<br>{short(' '.join(rest), 16)}" if rest else "")


def _said(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _height(x: Sequence[float], y: Sequence[float], looked_at: float | None) -> float:
    """How high a curve lies where the curves are told apart; its highest point where there is no such place."""
    if not y:
        return 0.0
    if looked_at is None:
        return max(y)
    return y[min(range(len(x)), key=lambda place: abs(x[place] - looked_at))]


def _bars(values: Sequence[tuple[float, tuple[float, float] | None]], tint: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [ends[1] - value if ends else 0 for value, ends in values],
        "arrayminus": [value - ends[0] if ends else 0 for value, ends in values],
        "color": tint,
        "thickness": 1,
        "width": 3,
    }


def _room(values: Sequence[tuple[float, tuple[float, float] | None]], share: float) -> list[float]:
    """The range that holds all points and their intervals, with room for labels at both ends."""
    every = [one for value, ends in values for one in (value, *(ends or ()))]
    low, high = min(every), max(every)
    spare = share * ((high - low) or abs(low) or 1.0)
    return [low - spare, high + spare]


def _free_sides(points: Sequence[Point], named: Sequence[Point]) -> dict[int, str]:
    """For each point the side on which its label meets the fewest points and labels placed before it.

    Sizes are those of 13 px text on a figure about 400 px wide, so that labels stay apart and whole on a phone too.
    """
    x_low, x_high = _room([(one.x, one.x_ends) for one in points], 0.12)
    y_low, y_high = _room([(one.y, one.y_ends) for one in points], 0.12)
    spots = [((one.x - x_low) / (x_high - x_low), (one.y - y_low) / (y_high - y_low)) for one in points]
    boxes = [(x - 0.01, y - 0.02, x + 0.01, y + 0.02) for x, y in spots]
    # The lines of the intervals are in the way too.
    for point, (_, y) in zip(points, spots, strict=True):
        if point.x_ends:
            low, high = ((end - x_low) / (x_high - x_low) for end in point.x_ends)
            boxes.append((low, y - 0.01, high, y + 0.01))
    chosen: dict[int, str] = {}
    for place, (point, (x, y)) in enumerate(zip(points, spots, strict=True)):
        wide, high = (0.02 * len(point.words), 0.06) if point in named else (0.0, 0.0)
        offered = {
            f"{upright} {across}": (left, foot, left + wide, foot + high)
            for upright, foot in (("top", y + 0.025), ("bottom", y - 0.025 - high))
            for across, left in (("right", x), ("left", x - wide), ("center", x - wide / 2))
        }
        chosen[place] = min(offered, key=lambda side: _in_the_way(offered[side], boxes))
        boxes.append(offered[chosen[place]])
    return chosen


def _in_the_way(box: tuple[float, ...], boxes: Sequence[tuple[float, ...]]) -> float:
    """The area that a box shares with others, and what of it lies off the figure counts double."""
    shared = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in boxes
    )
    off = max(0.0, -box[0]) + max(0.0, box[2] - 1) + max(0.0, -box[1]) + max(0.0, box[3] - 1)
    return shared + 2 * off


@dataclass(frozen=True)
class _Shape:
    """How one kind of curve is drawn: keys of its document, titles, what a point says, where curves are told apart."""

    x_key: str
    y_key: str
    x: str
    y: str
    hover: str
    diagonal: bool = False
    shares: bool = True
    looked_at: float | None = None


CurveCode = Literal["roc", "precision_recall", "gain", "calibration", "residuals", "predicted_true"]
# Without the slate that is the baseline's, and the two teals far apart.
_APART = (0, 1, 2, 6, 5, 7, 4)
_FAR = 50
_SHAPES: dict[str, _Shape] = {
    "roc": _Shape(
        "fpr", "tpr", "negatives flagged by mistake", "positives found",
        "false positives %{x:.1f} %, found %{y:.1f} %", diagonal=True, looked_at=0.2,
    ),
    "precision_recall": _Shape(
        "recall", "precision", "positives found", "flagged that are right",
        "found %{x:.1f} %, of those flagged %{y:.1f} % right", looked_at=0.5,
    ),
    "gain": _Shape(
        "share", "found", "share of rows flagged, the likeliest first", "positives found",
        "flagging %{x:.1f} % finds %{y:.1f} %", diagonal=True, looked_at=0.2,
    ),
    "calibration": _Shape(
        "mean_score", "share_positive", "predicted probability", "observed share",
        "predicted %{x:.1f} %, observed %{y:.1f} %", diagonal=True, looked_at=0.5,
    ),
    "residuals": _Shape(
        "edges", "counts", "predicted minus true {}", "share of rows a unit", "off by %{x:.4g}", shares=False,
    ),
    "predicted_true": _Shape(
        "y_true", "y_pred", "true {}", "predicted {}", "true %{x:.4g}, predicted %{y:.4g}", diagonal=True,
        shares=False,
    ),
}  # fmt: skip
