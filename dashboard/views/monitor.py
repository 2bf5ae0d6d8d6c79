"""One monitor: its state in a sentence, drift and performance over time, one feature then and now, what to do."""

import streamlit as st

from core.incidents import queries as incidents
from core.monitoring import alert_queries, drift_queries, window_queries
from core.monitoring import queries as monitoring
from core.monitoring.labels import unknown_labels
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import BatchState
from core.permissions import Permission
from dashboard import (
    drift_map_panels,
    drift_panels,
    gap_panels,
    incident_panels,
    label_panels,
    monitor_actions,
    monitor_panels,
    monitor_settings_panels,
    panels,
    performance_panels,
    reads,
    selection,
    session,
    theme,
    window_comparison_panels,
)
from dashboard.charts.monitoring import FEATURES_SHOWN

VIEWS = {
    "drift": "Drift and performance",
    "compare": "Compare windows",
    "settings": "Settings",
    "data": "Data",
}
IN_WORK = (BatchState.PENDING, BatchState.READING, BatchState.MEASURING)


def drift(row: MonitorRow) -> None:
    """The map, one feature then and now, performance on the same axis, what to do."""
    n_windows = reads.fresh(window_queries.n_windows, row.id)
    if not n_windows:
        panels.empty_state(
            "No data yet",
            "Send rows to the scoring address, or add a file of production rows with a time column.",
            button="See how to send rows",
            page="deployments",
            query={"model": row.model_id},
        )
        return
    chosen = drift_map_panels.choices(row, n_windows)
    found = reads.fresh(
        drift_queries.drift_map,
        row.id,
        limit=chosen.limit,
        part=chosen.part,
        before=chosen.against == "before",
        n_columns=FEATURES_SHOWN,
    )
    if not found.windows:
        panels.section("Nothing is measured yet", "The windows hold no rows that can be held against the reference.")
        return
    began = [(one.since_at, "incident") for one in reads.fresh(incidents.list_incidents, monitor_id=row.id)]
    happened = drift_map_panels.events(row, found.windows, began)
    drift_map_panels.heat_map(row, found, happened, chosen.against)
    shown = drift_panels.one_window(row, found, chosen.part)
    if shown is not None:
        drift_panels.together(shown)
        incident_panels.triage_of(row, shown)
        incident_panels.remedies(row, shown)
    performance_panels.performance(row, found.windows, happened, chosen.part)
    if not chosen.part:
        label_panels.labels(row, found.windows)
        gap_panels.gaps(row, found.windows, happened)


def data(row: MonitorRow) -> None:
    """The files that were added, every figure, and the results to take along."""
    label_panels.unknown(reads.fresh(unknown_labels, row.model_id))
    monitor_panels.batches(row)
    performance_panels.figures(row)
    monitor_panels.export(row)


monitor_id = session.chosen_id("monitor")
row = next((one for one in reads.fresh(monitoring.list_monitors) if one.id == monitor_id), None)
if row is None:
    panels.empty_state(
        "There is no such monitor",
        "It may have been named wrongly in the address.",
        button="See all monitors",
        page="monitoring",
    )
    st.stop()

with panels.header(row.model_name, f"{theme.words(row.alias)} in {row.environment}. {row.sentence}"):
    if session.may(Permission.BATCH_ADD):
        st.button("Read the log now", icon=":material/refresh:", on_click=monitor_actions.read_log, args=(row.id,))
        # One primary button a page: the settings have theirs, and so has a monitor without data.
        first = row.last_window is not None and session.chosen_text("view") != "settings"
        if st.button("Add data", type="primary" if first else "secondary", icon=":material/add:"):
            session.open_page("intake", use="monitor", monitor=row.id)

if job_id := st.session_state.get(monitor_actions.job_key(row.id)):
    panels.job_progress(job_id)
if (anew := reads.fresh(monitoring.computed_anew_by, row.id)) is not None:
    panels.quiet("Every window is being computed anew; until then the figures below are the earlier ones.")
    panels.job_progress(anew)
for batch in reads.fresh(monitoring.batches, row.id, states=IN_WORK):
    if batch.job_id:
        panels.job_progress(batch.job_id)

monitor_panels.alerts(reads.fresh(alert_queries.standing_alerts, monitor_id=row.id))

match selection.view("What of this monitor to look at", VIEWS):
    case "data":
        data(row)
    case "compare":
        window_comparison_panels.compare(row)
    case "settings":
        monitor_settings_panels.settings(row)
    case _:
        drift(row)
