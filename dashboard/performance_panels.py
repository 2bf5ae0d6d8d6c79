"""Performance of one monitor: realised, estimated and corrected, and how many labels are in."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.monitoring import performance_queries
from core.monitoring.performance_queries import PerformanceRow
from core.monitoring.queries import MonitorRow
from core.monitoring.window_queries import WindowSpan
from core.registry import queries as registry
from dashboard import panels, reads, selection, theme
from dashboard.charts import performance as charts
from dashboard.charts.monitoring import Event
from dashboard.panels import Row

SOURCES = {
    "realised": "Realised: from labels that have arrived.",
    "estimated": "Estimated: from the model's own calibrated scores, without labels.",
    "corrected": "Corrected: labels where they are in, the estimate where they are not yet.",
}

ESTIMATED_ERRORS = "Estimated: from how large errors were on evaluated rows like these, without labels."
"""Of a regression, which has no scores."""
SAID = 36
FIGURES_SHOWN = 200
DOUBTS_SHOWN = 12
LARGE = 10
"""From here on a heading writes one decimal: RMSE was 90.9."""


def performance(row: MonitorRow, spans: Sequence[WindowSpan], happened: Sequence[Event], part: str = "") -> None:
    """One metric over the windows, a line for each source there is."""
    measured = reads.fresh(performance_queries.performance_keys, row.id, part=part)
    if not measured:
        panels.section(
            "Performance is not known yet", "It takes labels: add a file of labels, or a batch that holds the target."
        )
        return
    model = reads.audited(registry.model, row.model_id)
    primary = primary_metric(Task(model.task))
    keys = sorted(measured, key=lambda key: (key != primary, METRICS[key].title))
    key = selection.pick("Metric", {one: METRICS[one].title for one in keys}, name="metric")
    points = reads.fresh(performance_queries.performance, row.id, key=key, part=part, since=spans[0].from_at)
    if not points:
        panels.section("No window shown has performance yet", "Windows cut anew are being computed.")
        return
    title = METRICS[key].title
    told = best_known(points)
    said = f"{METRICS[key].sentence[:1].lower()}{METRICS[key].sentence[1:]}"
    verb = "was" if told.source == "realised" else f"is {told.source} at"
    digits = 1 if abs(told.value) >= LARGE else 3
    panels.section(
        f"{title} {verb} {theme.interval(told.value, told.low, told.high, digits)} in {told.window}",
        f"{_from(told)}; "
        f"{said} {'Higher' if METRICS[key].greater_is_better else 'Lower'} is better. The bars are 95 % intervals.",
    )
    evaluated = reads.fresh(performance_queries.evaluated, row.id, key=key)
    panels.figure(
        charts.strip(
            [
                charts.Measured(one.window, one.source, one.value, one.low, one.high, one.n_labelled, not one.note)
                for one in points
            ],
            windows=[one.label for one in spans],
            metric=title,
            evaluated=evaluated,
            events=happened,
            colours=theme.colours(),
        ),
        key="monitor_performance",
        alt=f"{title}, newest windows: "
        + "; ".join(
            f"{one.window} {one.source} {theme.interval(one.value, one.low, one.high)}" for one in points[-SAID:]
        ),
    )
    sources = [source for source in SOURCES if any(one.source == source for one in points)]
    told_of = SOURCES | ({"estimated": ESTIMATED_ERRORS} if model.task == Task.REGRESSION else {})
    words = " ".join(told_of[source] for source in sources) if len(sources) > 1 else ""
    band = " The shaded band is the metric on the evaluation set." if evaluated is not None else ""
    if words or band:
        panels.quiet(f"{words}{band}".strip())
    doubts(points)


def _from(told: PerformanceRow) -> str:
    """What a figure rests on."""
    predictions = theme.count(told.n_rows, "prediction")
    if told.source == "estimated":
        return f"From {predictions} without any label"
    return f"From {theme.count(told.n_labelled, 'label')} that arrived for {predictions}"


def best_known(points: Sequence[PerformanceRow]) -> PerformanceRow:
    """The newest window's figure that is known best: realised before corrected before estimated."""
    newest = [one for one in points if one.window_id == points[-1].window_id]
    order = ("realised", "corrected", "estimated")
    return min(newest, key=lambda one: order.index(one.source))


def doubts(points: Sequence[PerformanceRow]) -> None:
    """Why figures are not to be believed: of the newest window that is doubted, and folded of those before."""
    noted: dict[str, list[str]] = {}
    for one in points[::-1]:
        if one.note and one.note not in noted.get(one.window, []):
            noted.setdefault(one.window, []).append(one.note)
    if not noted:
        return
    newest, *before = noted
    panels.notice(" ".join(noted[newest]), "attention", detail=f"Said of {newest}.")
    other = [window for window in before if noted[window] != noted[newest]]
    same = len(before) - len(other)
    if same:
        panels.quiet(f"The same is said of {theme.count(same, 'window')} before.")
    if other:
        with st.expander(f"{theme.count(len(other), 'earlier window')} with doubts of {_their(len(other))} own"):
            for window in other[:DOUBTS_SHOWN]:
                panels.quiet(f"{window}: {' '.join(noted[window])}")


def _their(n: int) -> str:
    return "its" if n == 1 else "their"


def figures(row: MonitorRow) -> None:
    """Every metric of the newest windows, for reading and copying."""
    measured = reads.fresh(performance_queries.performance, row.id, limit=FIGURES_SHOWN)
    if not measured:
        return
    with st.expander("Every figure"):
        panels.table(
            [
                Row(
                    {
                        "Window": one.window,
                        "Metric": METRICS[one.key].title,
                        "Source": theme.words(one.source),
                        "Value": theme.interval(one.value, one.low, one.high),
                        "Labels": theme.number(one.n_labelled),
                        "Expected": theme.number(one.n_expected),
                        "Doubt": one.note,
                    }
                )
                for one in measured[::-1]
            ],
            key="monitor_figures",
            right=("Value", "Labels", "Expected"),
        )
