"""What a reader may do with a monitor: its settings, its alerts, reading the log now."""

from __future__ import annotations

import streamlit as st

from core.monitoring import queries as monitoring
from core.monitoring import service
from core.monitoring.queries import AlertRow
from dashboard import panels, reads, session

SPANS = {"day": "Day", "week": "Week", "month": "Month"}


@st.dialog("Settings of this monitor")
def change(monitor_id: int) -> None:
    """How data is cut, and when a difference counts."""
    found = reads.fresh(monitoring.monitor, monitor_id)
    with st.form("change_monitor", border=False):
        window = st.selectbox(
            "Cut data into windows by",
            list(SPANS),
            index=list(SPANS).index(found.window),
            format_func=SPANS.__getitem__,
        )
        false_alerts = st.number_input(
            "False alerts a month that are acceptable",
            min_value=0.001,
            max_value=30.0,
            value=found.false_alerts,
            step=0.1,
            format="%.3f",
            help="Over all features and the prediction together, so that many features do not mean many false alarms.",
        )
        min_effect = st.number_input(
            "Smallest effect that counts",
            min_value=0.0,
            max_value=1.0,
            value=found.min_effect,
            step=0.01,
            help="A share of rows: 0.1 means that a tenth of the rows lies elsewhere than in the reference.",
        )
        min_rows = st.number_input("Rows a window needs", min_value=20, max_value=1_000_000, value=found.min_rows)
        panels.quiet("All windows are computed anew in the background; alerts that were raised stay.")
        if st.form_submit_button("Save", type="primary"):
            with session.act("Monitor changed") as writing:
                service.edit_monitor(
                    writing,
                    monitor_id=monitor_id,
                    window=window,
                    false_alerts=false_alerts,
                    min_rows=int(min_rows),
                    min_effect=min_effect,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


@st.dialog("Acknowledge this alert")
def acknowledge(alert: AlertRow) -> None:
    """Tell the others that somebody is on it."""
    st.text(alert.sentence)
    panels.quiet("It tells the others that you are on it; the alert stays in the list.")
    note = st.text_area("Note", placeholder="What you are looking at", key="alert_acknowledge_note")
    if st.button("Acknowledge", type="primary", key="alert_acknowledge"):
        with session.act("Alert acknowledged") as writing:
            service.acknowledge_alert(writing, alert_id=alert.id, note=note, actor=session.actor(), now=session.now())
        st.rerun()


@st.dialog("Resolve this alert")
def resolve(alert: AlertRow) -> None:
    """Say that the cause is dealt with."""
    st.text(alert.sentence)
    panels.quiet("It says that the cause is dealt with; a later window can raise a new alert.")
    note = st.text_area("Note", value=alert.note, placeholder="What it was, what you did", key="alert_resolve_note")
    if st.button("Resolve", type="primary", key="alert_resolve"):
        with session.act("Alert resolved") as writing:
            service.resolve_alert(writing, alert_id=alert.id, note=note, actor=session.actor(), now=session.now())
        st.rerun()


def read_log(monitor_id: int) -> None:
    """Have the newest logged predictions measured now; a callback."""
    with session.act("Reading the prediction log", in_callback=True) as writing:
        job = service.refresh(writing, monitor_id=monitor_id, actor=session.actor(), now=session.now())
        st.session_state[job_key(monitor_id)] = job.id


def job_key(monitor_id: int) -> str:
    """Where the session remembers the job that reads a monitor's log."""
    return f"monitor_job_{monitor_id}"
