"""A closer look at runs held against each other, one way at a time: curves, trade-offs, parameters, decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.evaluation.metrics import METRICS
from core.evaluation.tables import Comparison
from core.training import side_by_side as sides
from core.training.algorithms import ALGORITHMS
from core.training.queries import RunRecord
from core.training.side_by_side import Side, label_of
from core.wording import enumerated
from dashboard import change_panels, panels, selection, theme
from dashboard.charts import comparing as charts

MOST_CURVES = 8
LOOKS = {
    "curves": "Curves",
    "trade_offs": "Trade-offs",
    "parameters": "Parameters",
    "decisions": "Decisions",
}
# What the boxes of each look are called in the address.
ANSWERS: dict[str, tuple[str, ...]] = {"curves": ("curve",), "trade_offs": ("x", "y"), "decisions": ("changed",)}
CURVES = {
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "gain": "Gain",
    "calibration": "Calibration",
    "residuals": "Residuals",
    "predicted_true": "Predicted and true",
}
CURVE_SENTENCES = {
    "roc": "Further up and to the left finds more positives with fewer false alarms.",
    "precision_recall": "Further right finds more; higher up means fewer false alarms.",
    "gain": "How many of the positives are found when only the likeliest rows are looked at.",
    "calibration": "On the dotted line, of a hundred rows predicted at 30 % thirty are positive.",
    "residuals": "A narrow hill over zero means predictions close to the truth, without a lean.",
    "predicted_true": "On the dotted line a prediction is exact.",
}


def closer(
    scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison], *, metric: str
) -> dict[str, str | None]:
    """One further look at the runs, by the reader's choice; gives what the address needs to show it again.

    Only the chosen one is worked out and sent: together they are most of the page.
    """
    offered = {code: title for code, title in LOOKS.items() if _OFFERED[code](scored, baseline, metric)}
    if not offered:
        return {}
    st.space("small")
    look = selection.view("Look closer", offered, name="look")
    match look:
        case "curves":
            overlaid(scored, baseline)
        case "trade_offs":
            trade_offs(scored, baseline, metric=metric)
        case "parameters":
            over_parameters(scored, baseline, metric=metric)
        case _:
            change_panels.changed(scored, baseline, found)
    # What the boxes show, not what the address holds: a default may be another once more is worked out.
    boxes = {name: st.session_state.get(f"address_{name}") for name in ANSWERS.get(look, ())}
    others = {name: st.query_params.get(name) for names in ANSWERS.values() for name in names if name not in boxes}
    return {"look": look, **boxes, **others}


def curves_of(scored: Sequence[Side]) -> dict[str, str]:
    """The kinds of curve that are stored of every run."""
    return {
        code: words for code, words in CURVES.items() if all(side.scored.evaluation.curves.get(code) for side in scored)
    }


def overlaid(scored: Sequence[Side], baseline: RunRecord) -> None:
    """The runs' curves on one figure, each with its band."""
    offered = curves_of(scored)
    drawn = first_with_baseline(scored, baseline, MOST_CURVES)
    heading = st.container()
    code = selection.pick("Curve", offered, name="curve")
    with heading:
        panels.section(
            sides.curves_finding(code, [side.scored.evaluation.curves[code] for side in drawn]),
            f"The baseline and the first {MOST_CURVES - 1} others of {len(scored)} runs are drawn."
            if len(scored) > MOST_CURVES
            else "",
        )
    curves = [
        charts.Curve(
            f"Run {side.run_id}", side.scored.evaluation.curves[code], is_baseline=side.record.run.id == baseline.run.id
        )
        for side in drawn
    ]
    panels.figure(
        charts.overlaid(curves, code, colours=theme.colours(), target=baseline.run.target),
        key=f"compare_curve_{code}",
        alt=f"{offered[code]} curves of {', '.join(label_of(side.record) for side in drawn)}",
    )
    banded = any(curve.data.get("low") for curve in curves)
    panels.quiet(
        CURVE_SENTENCES[code]
        + " The dashed line is the baseline."
        + (" The shade is each curve's 95 % band, point by point." if banded else "")
    )


def first_with_baseline(scored: Sequence[Side], baseline: RunRecord, most: int) -> list[Side]:
    """At most so many runs, the baseline first among them wherever it stood."""
    base = [side for side in scored if side.record.run.id == baseline.run.id]
    others = [side for side in scored if side.record.run.id != baseline.run.id]
    return [*base, *others][:most]


def trade_offs(scored: Sequence[Side], baseline: RunRecord, *, metric: str) -> None:
    """Any two of metrics, latency, size and training time, with the runs that no other run beats on both."""
    offered = {axis.key: axis for axis in sides.axes(scored)}
    ordered = [metric, *(key for key in offered if key != metric)] if metric in offered else list(offered)
    upward_first = next((key for key in ("latency", "size") if key in offered), ordered[1])
    place_of_heading = st.container()
    with st.container(horizontal=True):
        across = selection.pick("Across", {key: offered[key].title for key in ordered}, name="x")
        others = [upward_first, *(key for key in ordered if key != upward_first)]
        upward = selection.pick("Upward", {key: offered[key].title for key in others}, name="y")
    both = [(side, x, y) for side in scored if (x := sides.place(side, across)) and (y := sides.place(side, upward))]
    x_axis, y_axis = offered[across], offered[upward]
    front = sides.pareto_front(
        [(x.value, y.value) for _, x, y in both],
        greater_x=x_axis.greater_is_better,
        greater_y=y_axis.greater_is_better,
    )
    points = [
        charts.Point(
            f"Run {side.run_id}",
            x.value,
            y.value,
            x_ends=ends(x),
            y_ends=ends(y),
            is_baseline=side.record.run.id == baseline.run.id,
            on_front=on_front,
        )
        for (side, x, y), on_front in zip(both, front, strict=True)
    ]
    if not points:
        return
    on = [point.label[4:] for point in points if point.on_front]
    with place_of_heading:
        panels.section(
            f"No other run is ahead of run {on[0]} on either"
            if len(on) == 1
            else f"Runs {enumerated(on)} trade one for the other",
            "Front: no other run is ahead on both. Lines are 95 % intervals; where they overlap, the order may be "
            "chance, and a run just behind the front may be level with it.",
        )
    panels.figure(
        charts.plane(
            points,
            x_title=f"{x_axis.title} ({x_axis.direction})",
            y_title=f"{y_axis.title} ({y_axis.direction})",
            colours=theme.colours(),
        ),
        key="compare_plane",
        alt="; ".join(charts.point_in_words(point) for point in points),
    )
    if len(points) > charts.MOST_NAMED:
        panels.quiet("Named are the baseline and the front; point at another to see which it is.")
    missing = [str(side.run_id) for side in scored if side not in [one for one, _, _ in both]]
    if missing:
        panels.quiet(f"Not known for run {', '.join(missing)}.")


def ends(place: sides.Place) -> tuple[float, float] | None:
    """A place's interval, where it has one."""
    return None if place.low is None or place.high is None else (place.low, place.high)


def over_parameters(scored: Sequence[Side], baseline: RunRecord, *, metric: str) -> None:
    """Runs of one algorithm as lines over the parameters that differ among them, ending at the metric."""
    algorithm, family, rulers = family_of(scored, baseline, metric)
    entry = METRICS[metric]
    rulers.append(charts.Ruler(entry.title, tuple(side.scored.metrics[metric].value for side in family)))
    panels.section(
        f"What {ALGORITHMS[algorithm].title} was tried with",
        f"Each line is one run, from its parameters to its {entry.title} at the right "
        f"({'higher' if entry.greater_is_better else 'lower'} is better).",
    )
    panels.figure(
        charts.parallel(
            rulers,
            [f"Run {side.run_id}" for side in family],
            [side.record.run.id == baseline.run.id for side in family],
            colours=theme.colours(),
        ),
        key="compare_parallel",
        alt="; ".join(
            f"run {side.run_id}: " + ", ".join(f"{ruler.title} {ruler.values[place]}" for ruler in rulers)
            for place, side in enumerate(family)
        ),
    )


def family_of(
    scored: Sequence[Side], baseline: RunRecord, metric: str
) -> tuple[str, Sequence[Side], list[charts.Ruler]]:
    """The algorithm most of the runs are of, those runs, and its parameters that differ among them."""
    families: dict[str, list[Side]] = {}
    for side in scored:
        if metric in side.scored.metrics:
            families.setdefault(side.record.run.algorithm, []).append(side)
    algorithm, family = max(families.items(), key=lambda one: len(one[1]), default=("", []))
    if len(family) < 2:
        return algorithm, family, []
    family = first_with_baseline(family, baseline, MOST_CURVES)
    rulers = [
        charts.Ruler(parameter.title, values)
        for parameter in ALGORITHMS[algorithm].parameters
        if len(set(values := tuple(level(side.record.run.parameters.get(parameter.key)) for side in family))) > 1
    ]
    return algorithm, family, rulers


def level(value: object) -> float | str | None:
    """A parameter's value as a place on its axis."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return float(value) if isinstance(value, int | float) else str(value)


_OFFERED: dict[str, Callable[[Sequence[Side], RunRecord, str], bool]] = {
    "curves": lambda scored, _baseline, _metric: bool(curves_of(scored)),
    "trade_offs": lambda scored, _baseline, _metric: len(scored) > 1 and len(sides.axes(scored)) > 1,
    "parameters": lambda scored, baseline, metric: bool(family_of(scored, baseline, metric)[2]),
    "decisions": lambda scored, baseline, _metric: change_panels.decides(scored, baseline),
}
