"""Every monitor by health, and the alerts that are open."""

import streamlit as st

from core.monitoring import alert_queries
from core.monitoring import queries as monitoring
from core.monitoring.alert_queries import AlertRow
from core.monitoring.alert_rules import SEVERITIES
from core.monitoring.tables import AlertState, WindowState
from core.permissions import Permission
from dashboard import (
    drift_panels,
    health_panels,
    incident_panels,
    panels,
    reads,
    rule_panels,
    selection,
    session,
    theme,
)
from dashboard.panels import Row

monitors = reads.fresh(monitoring.list_monitors)
opened = sorted(
    reads.fresh(alert_queries.standing_alerts),
    key=lambda alert: (alert.state != AlertState.OPEN, alert.severity != SEVERITIES[-1]),
)


def alert_state(alert: AlertRow) -> str:
    """Whether somebody has taken it up, and that it is critical where nobody has."""
    if alert.state != AlertState.OPEN:
        return theme.mark("Acknowledged", "neutral")
    return theme.mark("Critical", "harm") if alert.severity == SEVERITIES[-1] else theme.mark("Open", "attention")


def sentence() -> str:
    """What drifts; else what is silent, which is not the same as healthy."""
    drifting = [row for row in monitors if row.state == WindowState.DRIFTED]
    silent = sum(row.state in {"no_data", WindowState.NOT_ENOUGH_DATA} for row in monitors)
    if not monitors:
        return ""
    counted = theme.count(len(monitors), "monitor")
    if drifting:
        names = ", ".join(row.model_name for row in drifting[:3])
        return f"{len(drifting)} of {counted} {'drifts' if len(drifting) == 1 else 'drift'}: {names}."
    alerting = [row.model_name for row in monitors if row.open_alerts]
    if alerting:
        verb = "has" if len(alerting) == 1 else "have"
        return f"{len(alerting)} of {counted} {verb} an open alert: {', '.join(alerting[:3])}."
    if silent:
        return f"{counted}; none drifts, but {silent} {'has' if silent == 1 else 'have'} too little data to tell."
    return f"{counted}, no drift in the newest windows."


with panels.header("Monitoring", sentence()):
    if monitors and session.may(Permission.BATCH_ADD) and st.button("Add data", type="primary", icon=":material/add:"):
        session.open_page("intake")

view = selection.view("Part", {"models": "Models", "infrastructure": "Infrastructure", "rules": "Alert rules"})
if view == "infrastructure":
    health_panels.infrastructure(opened)
    st.stop()
if view == "rules":
    rule_panels.rules(monitors)
    st.stop()

incident_panels.open_incidents()
if not monitors:
    panels.empty_state(
        "Nothing is watched yet",
        "A monitor starts by itself when a model goes live: it holds new data against what the version was trained on.",
        button="See models",
        page="models",
    )
    st.stop()

panels.table(
    [
        Row(
            {
                "Model": row.model_name,
                "State": theme.mark("Alert open", "attention")
                if row.open_alerts and row.state != WindowState.DRIFTED
                else drift_panels.STATES[row.state],
                "Drifting": f"{row.n_drifted} of {row.n_features}" if row.n_features else theme.MISSING,
                "Newest window": row.last_window or theme.MISSING,
                "Live": f"{row.version_label or 'nothing live'} ({row.alias}, {row.environment})",
                "Last prediction": theme.ago(row.last_prediction_at, session.now()),
            },
            page="monitor",
            query={"monitor": row.id},
        )
        for row in monitors
    ],
    key="monitors",
    right=("Drifting",),
)

panels.section(
    f"{theme.count(len(opened), 'alert')} to look at" if opened else "No alert is open",
    "Critical first, then the newest. Drift alone waits for the morning: an alert names what moved, the monitor shows "
    "how far."
    if opened
    else "An alert is raised when a window with enough data has drifted.",
)
panels.table(
    [
        Row(
            {
                "Model": alert.model_name,
                "State": alert_state(alert),
                "What happened": alert.sentence,
                "Window": (alert.window or theme.MISSING)
                + (f", of the earlier cut {alert.earlier_cut}" if alert.earlier_cut else ""),
                "Raised": theme.ago(alert.opened_at, session.now()),
            },
            page="monitor" if alert.monitor_id else "monitoring",
            query={"monitor": alert.monitor_id} | ({"window": alert.window_id} if alert.window_id else {})
            if alert.monitor_id
            else {"view": "infrastructure"},
        )
        for alert in opened
    ],
    key="alerts",
    columns={"What happened": st.column_config.TextColumn(width=480)},
    two_lines=True,
)
