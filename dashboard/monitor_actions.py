"""What a reader may do with a monitor: its alerts, reading the log now, taking a batch back."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.monitoring import batch_withdrawal, service
from core.monitoring.alert_queries import AlertRow
from dashboard import panels, session


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


@st.dialog("Withdraw a batch")
def withdraw(measured: Mapping[int, str]) -> None:
    """Choose one that should not have been added, say why, and have it counted no more."""
    batch_id = st.selectbox("Batch", list(measured), format_func=measured.__getitem__, key="withdraw_batch")
    panels.quiet(
        "Its rows leave every window, with the target they held; the windows are computed anew, and alerts they alone "
        "had raised end. The file stays stored and can be added again; that it was withdrawn stays in the audit log."
    )
    reason = st.text_area("Reason", placeholder="What was wrong with it?", key="withdraw_reason")
    if st.button("Withdraw", type="primary", key="withdraw_confirm"):
        with session.act("Batch withdrawn; its windows are being computed anew") as writing:
            batch_withdrawal.withdraw_batch(
                writing, batch_id=batch_id, reason=reason, actor=session.actor(), now=session.now()
            )
        st.rerun()


def read_log(monitor_id: int) -> None:
    """Have the newest logged predictions measured now; a callback."""
    with session.act("Reading the prediction log", in_callback=True) as writing:
        job = service.refresh(writing, monitor_id=monitor_id, actor=session.actor(), now=session.now())
        st.session_state[job_key(monitor_id)] = job.id


def job_key(monitor_id: int) -> str:
    """Where the session remembers the job that reads a monitor's log."""
    return f"monitor_job_{monitor_id}"
