"""One monitor: its state in a sentence, drift over time, one feature then and now, performance, what to do."""

from itertools import pairwise

import streamlit as st

from core.monitoring import queries as monitoring
from core.monitoring import service
from core.monitoring.drift_tests import DRIFT_TESTS
from core.monitoring.queries import AlertRow
from core.monitoring.tables import AlertState, DriftResult, Window, WindowState
from core.permissions import Permission
from core.registry import queries as registry
from dashboard import panels, reads, session, theme
from dashboard.charts import monitoring as charts
from dashboard.panels import Row

monitor_id = session.chosen_id("monitor")
listed = next((one for one in reads.fresh(monitoring.list_monitors) if one.id == monitor_id), None)
if listed is None:
    panels.empty_state(
        "There is no such monitor",
        "It may have been named wrongly in the address.",
        button="See all monitors",
        page="monitoring",
    )
    st.stop()

row = listed
windows = reads.fresh(monitoring.windows, row.id)
cells = reads.fresh(monitoring.drift_matrix, row.id)
opened = [alert for alert in reads.fresh(monitoring.alerts, monitor_id=row.id) if alert.state != AlertState.RESOLVED]
palette = theme.colours()


def shown_name(result: DriftResult) -> str:
    return "The prediction" if result.is_prediction else result.feature


@st.dialog("Change this monitor")
def change() -> None:
    found = reads.fresh(monitoring.monitor, row.id)
    with st.form("change_monitor", border=False):
        spans = ["day", "week", "month", "batch"]
        window = st.selectbox("Cut data into windows by", spans, index=spans.index(found.window))
        alpha = st.number_input(
            "Chance of a false alarm per quiet window, over all features",
            min_value=0.001,
            max_value=0.5,
            value=found.alpha,
            step=0.01,
            format="%.3f",
        )
        min_rows = st.number_input("Rows a window needs", min_value=20, max_value=1_000_000, value=found.min_rows)
        min_effect = st.number_input(
            "Smallest effect that counts", min_value=0.0, max_value=5.0, value=found.min_effect, step=0.01
        )
        if st.form_submit_button("Save", type="primary"):
            with session.act("Monitor changed") as writing:
                service.edit_monitor(
                    writing,
                    monitor_id=row.id,
                    window=window,
                    alpha=alpha,
                    min_rows=int(min_rows),
                    min_effect=min_effect,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


@st.dialog("Close this alert")
def close(alert_id: int, sentence: str, *, resolve: bool) -> None:
    st.text(sentence)
    panels.quiet(
        "Resolving says that the cause is dealt with; a later window can open a new alert."
        if resolve
        else "Acknowledging tells the others that you are on it; the alert stays in the list."
    )
    note = st.text_area("Note", placeholder="What you found, what you did", key="alert_note")
    if st.button("Resolve" if resolve else "Acknowledge", type="primary", key="alert_close"):
        move = service.resolve_alert if resolve else service.acknowledge_alert
        with session.act("Alert resolved" if resolve else "Alert acknowledged") as writing:
            move(writing, alert_id=alert_id, note=note, actor=session.actor(), now=session.now())
        st.rerun()


def look_again() -> None:
    with session.act("Looking at the prediction log", in_callback=True) as writing:
        job = service.refresh(writing, monitor_id=row.id, actor=session.actor(), now=session.now())
        st.session_state["monitor_job"] = job.id


with panels.header(row.model_name, f"{row.alias} in {row.environment}. {row.sentence}"):
    if session.may(Permission.MONITOR_EDIT) and st.button("Settings", icon=":material/tune:"):
        change()
    if session.may(Permission.BATCH_ADD):
        st.button("Read the log now", icon=":material/refresh:", on_click=look_again)
        if st.button("Add data", type="primary", icon=":material/add:"):
            session.open_page("intake", use="monitor", monitor=row.id)

if job_id := st.session_state.get("monitor_job"):
    panels.job_progress(job_id)


def show_alert(alert: AlertRow, *, newest: bool) -> None:
    since = f"{theme.words(alert.state)} since {theme.ago(alert.opened_at, session.now())}"
    panels.notice(
        alert.sentence,
        "attention" if newest and alert.state == AlertState.OPEN else "neutral",
        detail=since + (f". Note: {alert.note}" if alert.note else ""),
    )
    if session.may(Permission.ALERT_ACKNOWLEDGE):
        with st.container(horizontal=True, gap="small"):
            if alert.state == AlertState.OPEN and st.button("Acknowledge", key=f"acknowledge_{alert.id}"):
                close(alert.id, alert.sentence, resolve=False)
            if st.button("Resolve", key=f"resolve_{alert.id}"):
                close(alert.id, alert.sentence, resolve=True)


# One sentence asks for attention; the rest of the same story is a click away.
opened.sort(key=lambda alert: (alert.state != AlertState.OPEN, alert.kind != "drift"))
for alert in opened[:1]:
    show_alert(alert, newest=True)
if opened[1:]:
    with st.expander(f"{theme.count(len(opened) - 1, 'more alert')}"):
        for alert in opened[1:]:
            show_alert(alert, newest=False)

pending = [batch for batch in reads.fresh(monitoring.batches, row.id) if batch.state == "pending"]
for batch in pending:
    if batch.job_id:
        panels.job_progress(batch.job_id)

if not windows:
    panels.empty_state(
        "No data yet",
        "Send rows to the scoring address, or add a file of production rows with a time column.",
        button="See how to send rows",
        page="deployments",
        query={"model": row.model_id},
    )
    st.stop()

labels = list(dict.fromkeys(cell.window for cell in cells))
by_id = {window.id: window for window in windows}
window_of = {cell.window: cell.window_id for cell in cells}
strength: dict[str, float] = {}
for cell in cells:
    strength[cell.feature] = max(strength.get(cell.feature, 0.0), (cell.effect or 0.0) / (cell.threshold or 1.0))
ranked = sorted(strength, key=lambda name: (-strength[name], name))
fired = sorted({cell.feature for cell in cells if cell.state == WindowState.DRIFTED}, key=ranked.index)


def chosen_window() -> Window:
    asked = session.chosen_id("window")
    if asked in by_id:
        return by_id[asked]
    drifted = [one for one in windows if one.state == WindowState.DRIFTED]
    return (drifted or windows)[-1]


def chosen_result(results: list[DriftResult]) -> DriftResult | None:
    asked = session.chosen_text("feature")
    named = [result for result in results if result.feature == asked]
    fired_here = [result for result in results if result.state == WindowState.DRIFTED and not result.is_prediction]
    return next(iter(named or fired_here or results), None)


def found() -> str:
    if not fired:
        return "No feature drifted in the windows shown"
    names = ", ".join(fired[:3]) + (f" and {len(fired) - 3} more" if len(fired) > 3 else "")
    first = next(cell.window for cell in cells if cell.state == WindowState.DRIFTED)
    return f"{names} drifted, first in {first}"


panels.section(
    found(),
    "Colour is the effect against the smallest effect that counts: grey is below it, full orange three times it. "
    "Outlined squares fired; a stroke means not enough data. Choose a square to see the feature then and now.",
)
swaps: dict[int, str] = {}
for index, (before, after) in enumerate(pairwise(labels), start=1):
    if by_id[window_of[before]].version_id != by_id[window_of[after]].version_id:
        swaps[index] = reads.audited(registry.version_label, by_id[window_of[after]].version_id)
positions = {label: index for index, label in enumerate(labels)}
squares = [
    charts.Square(
        column=positions[cell.window],
        feature=cell.feature,
        ratio=None if cell.effect is None else cell.effect / (cell.threshold or 1.0),
        drifted=cell.state == WindowState.DRIFTED,
        words=f"{cell.feature} in {cell.window}: effect {theme.number(cell.effect)}, "
        f"{theme.pvalue(cell.pvalue_corrected)}, {theme.words(cell.state).lower()}",
    )
    for cell in cells
]
shown = ranked[: charts.FEATURES_SHOWN]
event = st.plotly_chart(
    charts.heat_map(squares, windows=labels, features=shown, swaps=swaps, colours=palette),
    theme=None,
    key="monitor_map",
    config={"displayModeBar": False},
    on_select="rerun",
    selection_mode="points",
    alt=f"Drift of {len(shown)} features over {len(labels)} windows. {found()}.",
)
if len(ranked) > len(shown):
    panels.quiet(f"{len(ranked) - len(shown)} quieter features are in the table below.")
for point in event["selection"]["points"]:
    column, feature = point["customdata"]
    if st.session_state.get("monitor_point") != (column, feature):
        st.session_state["monitor_point"] = (column, feature)
        st.query_params.update(monitor=str(row.id), window=str(window_of[labels[column]]), feature=feature)
        st.rerun()

window = chosen_window()
results = reads.fresh(monitoring.drift_results, window.id or 0)
result = chosen_result(results)
label = next((name for name, key in window_of.items() if key == window.id), window.label)
if result is not None:
    moved = result.state == WindowState.DRIFTED
    panels.section(
        f"{shown_name(result)} {'moved' if moved else 'looks as before'} in {label}"
        if result.state != WindowState.NOT_ENOUGH_DATA
        else f"{label} has not enough data",
        f"{DRIFT_TESTS[result.test].title}: effect {theme.number(result.effect)}, counting from "
        f"{theme.number(result.threshold)}; "
        f"{theme.pvalue(result.pvalue_corrected)} after correction for {window.n_features} features; "
        f"{theme.number(result.n_reference)} reference rows, {theme.number(result.n_current)} current rows. "
        f"{DRIFT_TESTS[result.test].sentence}",
    )
    if result.bins:
        panels.figure(
            charts.then_and_now(result.bins, feature=result.feature, colours=palette),
            key="monitor_then_and_now",
            alt=f"Distribution of {result.feature} in the reference and in {label}.",
        )

panels.table(
    [
        Row(
            {
                "Feature": shown_name(one),
                "State": theme.mark(
                    theme.words(one.state), "attention" if one.state == WindowState.DRIFTED else "neutral"
                ),
                "Effect": theme.number(one.effect),
                "Corrected p": theme.pvalue(one.pvalue_corrected),
                "Test": DRIFT_TESTS[one.test].title,
                "Rows": theme.number(one.n_current),
            },
            page="monitor",
            query={"monitor": row.id, "window": window.id, "feature": one.feature},
        )
        for one in results
    ],
    key="monitor_features",
    right=("Effect", "Corrected p", "Rows"),
)

measured = reads.fresh(monitoring.performance, row.id)
keys = list(dict.fromkeys(point.key for point in measured))
if keys:
    from core.evaluation.metrics import METRICS

    key = (
        st.segmented_control(
            "Metric",
            keys,
            default=keys[0],
            format_func=lambda one: METRICS[one].title,
            key="metric",
            bind="query-params",
        )
        or keys[0]
    )
    points = [point for point in measured if point.key == key]
    newest = points[-1]
    panels.section(
        f"{METRICS[key].title} was {theme.interval(newest.value, newest.low, newest.high)} in {newest.window}",
        f"From {theme.count(newest.n_labelled, 'label')} that arrived for {theme.number(newest.n_rows)} predictions; "
        "the bars are 95 % intervals.",
    )
    panels.figure(
        charts.performance(
            [charts.Measured(one.window, one.value, one.low, one.high, one.n_labelled) for one in points],
            windows=labels,
            metric=METRICS[key].title,
            colours=palette,
        ),
        key="monitor_performance",
        alt=f"{METRICS[key].title} over {len(points)} windows.",
    )
else:
    panels.section(
        "Performance is not known yet", "It takes labels: add a file of labels, or a batch that holds the target."
    )

panels.section("What you can do")
with st.container(horizontal=True, gap="small"):
    if session.may(Permission.RUN_START) and st.button("Retrain on newer data", icon=":material/model_training:"):
        session.open_page("datasets")
    if session.may(Permission.DEPLOYMENT_READ) and st.button("Go to rollback", icon=":material/undo:"):
        session.open_page("deployments", model=row.model_id)
panels.quiet(
    "Retraining helps when the world has changed and newer labelled rows exist. A rollback does not help against "
    "drift of the input: the earlier version receives the same rows."
)

batches = reads.fresh(monitoring.batches, row.id)
if batches:
    with st.expander(theme.count(len(batches), "batch", "batches")):
        names = reads.audited(registry.version_labels, sorted({one.version_id for one in batches if one.version_id}))
        panels.table(
            [
                Row(
                    {
                        "Added": theme.stamp(one.added_at),
                        "State": theme.words(one.state),
                        "Rows": theme.number(one.n_rows),
                        "Time column": one.time_column or theme.MISSING,
                        "Held against": names.get(one.version_id or 0, theme.MISSING),
                        "Problem": one.error or "",
                    }
                )
                for one in batches
            ],
            key="monitor_batches",
            right=("Rows",),
        )
