"""The parts of a monitor's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import streamlit as st

from core.datasets import queries as datasets
from core.drift.drift_tests import DRIFT_TESTS
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.monitoring import queries as monitoring
from core.monitoring.queries import AlertRow, DriftCell, MonitorRow
from core.monitoring.tables import AlertState, BatchState, DriftResult, Window, WindowState
from core.permissions import Permission
from core.registry import queries as registry
from dashboard import monitor_actions, panels, reads, selection, session, theme
from dashboard.charts import monitoring as charts
from dashboard.panels import Row

PREDICTION = "the prediction"
STATES = {
    WindowState.DRIFTED: theme.mark("Drifted", "attention"),
    WindowState.QUIET: theme.mark("No drift", "healthy"),
    WindowState.NOT_ENOUGH_DATA: theme.mark("Not enough data", "neutral"),
    WindowState.PENDING: theme.mark("Computing", "running"),
    "no_data": theme.mark("No data yet", "neutral"),
}


def shown_name(one: DriftCell | DriftResult) -> str:
    """What a row is called; the prediction is kept apart from a feature of that name."""
    return PREDICTION if one.is_prediction else one.feature


def alerts(opened: Sequence[AlertRow]) -> None:
    """One alert asks for attention; the rest of the same story is a click away."""
    ordered = sorted(opened, key=lambda alert: (alert.state != AlertState.OPEN, alert.kind != "drift"))
    for alert in ordered[:1]:
        show_alert(alert, first=True)
    if ordered[1:]:
        with st.expander(theme.count(len(ordered) - 1, "more alert")):
            for alert in ordered[1:]:
                show_alert(alert, first=False)


def show_alert(alert: AlertRow, *, first: bool) -> None:
    """An alert's sentence, how long it stands, and what can be done with it."""
    since = f"{theme.words(alert.state)}, raised {theme.ago(alert.opened_at, session.now())}"
    panels.notice(
        alert.sentence,
        "attention" if first and alert.state == AlertState.OPEN else "neutral",
        detail=since + (f". Note: {alert.note}" if alert.note else ""),
    )
    if not session.may(Permission.ALERT_ACKNOWLEDGE):
        if first:
            panels.quiet("Acknowledging and resolving take the role operator.")
        return
    with st.container(horizontal=True, gap="small"):
        if alert.state == AlertState.OPEN and st.button("Acknowledge", key=f"acknowledge_{alert.id}"):
            monitor_actions.acknowledge(alert)
        if st.button("Resolve", key=f"resolve_{alert.id}"):
            monitor_actions.resolve(alert)


@dataclass(frozen=True)
class Overview:
    """The drift of every window, arranged: window labels from the left, features by their largest effect."""

    cells: Sequence[DriftCell]
    labels: Sequence[str]
    window_of: dict[str, int]
    ranked: Sequence[str]
    fired: Sequence[str]

    @property
    def finding(self) -> str:
        """The heading: what drifted, and when first."""
        if not self.fired:
            return "No feature drifted in the windows shown"
        names = [name for name in self.fired if name != PREDICTION][:3]
        rest = len(self.fired) - len(names) - (PREDICTION in self.fired)
        if rest:
            names.append(f"{rest} more")
        if PREDICTION in self.fired:
            names.append(PREDICTION)
        said = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        first = next(cell.window for cell in self.cells if cell.state == WindowState.DRIFTED)
        return f"{said[:1].upper() + said[1:] if said == PREDICTION else said} drifted, first in {first}"


def arrange(cells: Sequence[DriftCell]) -> Overview:
    """Order windows and features for the heat map."""
    strength: dict[str, float] = {}
    for cell in cells:
        name = shown_name(cell)
        strength[name] = max(strength.get(name, 0.0), (cell.effect or 0.0) / (cell.threshold or 1.0))
    ranked = sorted(strength, key=lambda name: (-strength[name], name))
    drifted = {shown_name(cell) for cell in cells if cell.state == WindowState.DRIFTED}
    return Overview(
        cells=cells,
        labels=list(dict.fromkeys(cell.window for cell in cells)),
        window_of={cell.window: cell.window_id for cell in cells},
        ranked=ranked,
        fired=[name for name in ranked if name in drifted],
    )


def heat_map(row: MonitorRow, overview: Overview, windows: Sequence[Window]) -> None:
    """Drift over time; choosing a square writes its window and feature into the address."""
    panels.section(
        overview.finding,
        "Colour is the effect against the smallest effect that counts: grey is below it, full orange three times it. "
        "Outlined squares drifted; a stroke means not enough data. Choose a square to see the feature then and now.",
    )
    labels, window_of = overview.labels, overview.window_of
    version_of = {window.id: window.version_id for window in windows}
    swaps = {
        index: reads.audited(registry.version_label, version_of[window_of[after]])
        for index, (before, after) in enumerate(pairwise(labels), start=1)
        if version_of[window_of[before]] != version_of[window_of[after]]
    }
    positions = {label: index for index, label in enumerate(labels)}
    squares = [
        charts.Square(
            column=positions[cell.window],
            feature=shown_name(cell),
            ratio=None if cell.effect is None else cell.effect / (cell.threshold or 1.0),
            drifted=cell.state == WindowState.DRIFTED,
            words=f"{shown_name(cell)} in {cell.window}: effect {theme.number(cell.effect)}, "
            f"{theme.pvalue(cell.pvalue_corrected)}, {theme.words(cell.state).lower()}",
        )
        for cell in overview.cells
    ]
    shown = overview.ranked[: charts.FEATURES_SHOWN]
    event = st.plotly_chart(
        charts.heat_map(squares, windows=labels, features=shown, swaps=swaps, colours=theme.colours()),
        theme=None,
        key=f"monitor_map_{row.id}",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
        alt=f"Drift of {len(shown)} features over {theme.count(len(labels), 'window')}. {overview.finding}.",
    )
    if folded := len(overview.ranked) - len(shown):
        panels.quiet(f"{theme.count(folded, 'quieter feature')} {'is' if folded == 1 else 'are'} in the table below.")
    follow(row, [point["customdata"] for point in event["selection"]["points"]], overview)


def follow(row: MonitorRow, chosen: Sequence[Sequence[object]], overview: Overview) -> None:
    """Turn a newly chosen square into the page's selection; the same choice again changes nothing."""
    last = f"monitor_square_{row.id}"
    for column, feature in chosen:
        if st.session_state.get(last) != (column, feature):
            st.session_state[last] = (column, feature)
            st.query_params["window"] = str(overview.window_of[overview.labels[int(str(column))]])
            st.query_params["feature"] = str(feature)
            st.rerun()


def one_window(row: MonitorRow, overview: Overview) -> None:
    """One window: a feature then and now, and every feature in a table."""
    told = {cell.window for cell in overview.cells if cell.state != WindowState.NOT_ENOUGH_DATA}
    # The page opens on the newest window that tells something.
    newest = overview.labels[::-1]
    ordered = [label for label in newest if label in told] + [label for label in newest if label not in told]
    newest_first = {str(overview.window_of[label]): label for label in ordered}
    picked = selection.pick("Window", newest_first, name="window")
    window = reads.fresh(monitoring.window, int(picked))
    label = newest_first[picked]
    results = reads.fresh(monitoring.drift_results, int(picked))
    if not results:
        panels.quiet(f"Nothing was measured in {label} yet.")
        return
    then_and_now(chosen_result(results), window, label)
    panels.table(
        [
            Row(
                {
                    "Feature": shown_name(one),
                    "State": STATES.get(one.state, one.state),
                    "Effect": theme.number(one.effect),
                    "Corrected p": theme.pvalue(one.pvalue_corrected).removeprefix("p ").removeprefix("= "),
                    "Test": DRIFT_TESTS[one.test].title,
                    "Rows": theme.number(one.n_current),
                },
                page="monitor",
                query={"monitor": row.id, "window": picked, "feature": shown_name(one)},
            )
            for one in results
        ],
        key="monitor_features",
        right=("Effect", "Corrected p", "Rows"),
    )


def chosen_result(results: Sequence[DriftResult]) -> DriftResult:
    """The feature in the address, else the one that drifted most, else the first."""
    asked = session.chosen_text("feature")
    named = [one for one in results if shown_name(one) == asked]
    drifted = [one for one in results if one.state == WindowState.DRIFTED and not one.is_prediction]
    return (named or drifted or list(results))[0]


def then_and_now(result: DriftResult, window: Window, label: str) -> None:
    """One feature in the reference and in the window."""
    name, test = shown_name(result), DRIFT_TESTS[result.test]
    rows = f"{theme.count(result.n_reference, 'reference row')}, {theme.count(result.n_current, 'current row')}"
    if result.state == WindowState.NOT_ENOUGH_DATA:
        panels.section(f"{label} does not hold enough data to say how {name} moved", f"{rows}.")
    else:
        panels.section(
            f"{name} {'moved' if result.state == WindowState.DRIFTED else 'looks as before'} in {label}",
            f"{test.title}: effect {theme.number(result.effect)}, where {theme.number(result.threshold)} or more "
            f"counts; {theme.pvalue(result.pvalue_corrected)} after correction for {window.n_features} features and "
            f"the prediction; {rows}. {test.sentence}",
        )
    if result.bins:
        panels.figure(
            charts.then_and_now(result.bins, feature=name, colours=theme.colours()),
            key="monitor_then_and_now",
            alt=f"Distribution of {name} in the reference and in {label}.",
        )


def performance(row: MonitorRow, labels: Sequence[str]) -> None:
    """One metric over the windows that have labels."""
    measured = reads.fresh(monitoring.performance, row.id)
    if not measured:
        panels.section(
            "Performance is not known yet", "It takes labels: add a file of labels, or a batch that holds the target."
        )
        return
    model = reads.audited(registry.model, row.model_id)
    primary = primary_metric(Task(model.task))
    keys = sorted({point.key for point in measured}, key=lambda key: (key != primary, METRICS[key].title))
    key = selection.pick("Metric", {one: METRICS[one].title for one in keys}, name="metric")
    points = [point for point in measured if point.key == key]
    newest, title = points[-1], METRICS[key].title
    panels.section(
        f"{title} was {theme.interval(newest.value, newest.low, newest.high)} in {newest.window}",
        f"From {theme.count(newest.n_labelled, 'label')} that arrived for "
        f"{theme.count(newest.n_rows, 'prediction')}; {METRICS[key].sentence[:1].lower()}{METRICS[key].sentence[1:]} "
        f"{'Higher' if METRICS[key].greater_is_better else 'Lower'} is better. The bars are 95 % intervals.",
    )
    panels.figure(
        charts.performance(
            [charts.Measured(one.window, one.value, one.low, one.high, one.n_labelled) for one in points],
            windows=labels,
            metric=title,
            colours=theme.colours(),
        ),
        key="monitor_performance",
        alt=f"{title}: " + "; ".join(f"{one.window} {theme.interval(one.value, one.low, one.high)}" for one in points),
    )


def what_to_do(row: MonitorRow) -> None:
    """The remedies, each with what it does and does not help against."""
    panels.section("What you can do")
    with st.container(horizontal=True, gap="small"):
        if (
            session.may(Permission.RUN_RETRAIN)
            and row.version_id is not None
            and st.button("Retrain on newer data", icon=":material/model_training:")
        ):
            lineage = reads.audited(registry.lineage, row.version_id)
            data = reads.audited(datasets.version, lineage.dataset_version_id)
            session.open_page("dataset", dataset=data.dataset_id)
        if st.button("Go to rollback", icon=":material/undo:"):
            session.open_page("deployments", model=row.model_id)
    panels.quiet(
        "Retraining helps when the world has changed and newer labelled rows exist. A rollback does not help against "
        "drift of the input: the earlier version receives the same rows."
    )


def batches(row: MonitorRow) -> None:
    """Every file of production rows that was added, folded."""
    added = reads.fresh(monitoring.batches, row.id)
    if not added:
        return
    names = reads.audited(registry.version_labels, sorted({one.version_id for one in added if one.version_id}))
    failed = sum(one.state == BatchState.FAILED for one in added)
    with st.expander(theme.count(len(added), "batch", "batches") + (f", {failed} failed" if failed else "")):
        panels.table(
            [
                Row(
                    {
                        "Added": theme.stamp(one.added_at),
                        "State": theme.words(one.state),
                        "Rows": theme.number(one.n_rows),
                        "Time column": one.time_column or theme.MISSING,
                        "Held against": names.get(one.version_id or 0, theme.MISSING),
                        **({"Problem": one.error or ""} if failed else {}),
                    }
                )
                for one in added
            ],
            key="monitor_batches",
            right=("Rows",),
        )
