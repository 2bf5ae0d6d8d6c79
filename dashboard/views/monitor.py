"""One monitor: its state in a sentence, drift over time, one feature then and now, performance, what to do."""

import streamlit as st

from core.monitoring import queries as monitoring
from core.monitoring.tables import AlertState, BatchState
from core.permissions import Permission
from dashboard import monitor_actions, monitor_panels, panels, reads, session, theme

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
    if session.may(Permission.MONITOR_EDIT) and st.button("Settings", icon=":material/tune:"):
        monitor_actions.change(row.id)
    if session.may(Permission.BATCH_ADD):
        st.button("Read the log now", icon=":material/refresh:", on_click=monitor_actions.read_log, args=(row.id,))
        if st.button("Add data", type="primary", icon=":material/add:"):
            session.open_page("intake", use="monitor", monitor=row.id)

if job_id := st.session_state.get(monitor_actions.job_key(row.id)):
    panels.job_progress(job_id)
for batch in reads.fresh(monitoring.batches, row.id):
    if batch.job_id and batch.state in {BatchState.PENDING, BatchState.READING, BatchState.MEASURING}:
        panels.job_progress(batch.job_id)

monitor_panels.alerts(
    [one for one in reads.fresh(monitoring.alerts, monitor_id=row.id) if one.state != AlertState.RESOLVED]
)

windows = reads.fresh(monitoring.windows, row.id)
overview = monitor_panels.arrange(reads.fresh(monitoring.drift_matrix, row.id))
if not windows:
    panels.empty_state(
        "No data yet",
        "Send rows to the scoring address, or add a file of production rows with a time column.",
        button="See how to send rows",
        page="deployments",
        query={"model": row.model_id},
    )
elif not overview.labels:
    panels.section("Nothing is measured yet", "The windows hold no rows that can be held against the reference.")
else:
    monitor_panels.heat_map(row, overview, windows)
    monitor_panels.one_window(row, overview)
    monitor_panels.performance(row, overview.labels)
    monitor_panels.what_to_do(row)
monitor_panels.batches(row)
