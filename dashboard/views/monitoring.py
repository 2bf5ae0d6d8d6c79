"""Every monitor by health, and the alerts that are open."""

import streamlit as st

from core.monitoring import queries as monitoring
from core.monitoring.tables import AlertState, WindowState
from core.permissions import Permission
from dashboard import panels, reads, session, theme
from dashboard.panels import Row

monitors = reads.fresh(monitoring.list_monitors)
opened = [alert for alert in reads.fresh(monitoring.alerts) if alert.state != AlertState.RESOLVED]
drifting = [row for row in monitors if row.state == WindowState.DRIFTED]

STATES = {
    WindowState.DRIFTED: theme.mark("Drifted", "attention"),
    WindowState.QUIET: theme.mark("No drift", "healthy"),
    WindowState.NOT_ENOUGH_DATA: theme.mark("Not enough data", "neutral"),
    "no_data": theme.mark("No data yet", "neutral"),
    WindowState.PENDING: theme.mark("Computing", "running"),
}


def sentence() -> str:
    if not monitors:
        return ""
    if not drifting:
        return f"{theme.count(len(monitors), 'monitor')}, none of them drifting in its newest window."
    names = ", ".join(row.model_name for row in drifting[:3])
    verb = "drifts" if len(drifting) == 1 else "drift"
    return f"{len(drifting)} of {theme.count(len(monitors), 'monitor')} {verb}: {names}."


with panels.header("Monitoring", sentence()):
    if monitors and session.may(Permission.BATCH_ADD) and st.button("Add data", type="primary", icon=":material/add:"):
        session.open_page("intake")

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
                "State": STATES.get(row.state, theme.words(row.state)),
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
    "Drift alone waits for the morning: an alert names what moved, the monitor shows how far."
    if opened
    else "An alert opens when a window with enough data has drifted.",
)
panels.table(
    [
        Row(
            {
                "Alert": alert.sentence,
                "State": theme.mark("Open", "attention")
                if alert.state == AlertState.OPEN
                else theme.mark("Acknowledged", "neutral"),
                "Model": alert.model_name,
                "Window": alert.window,
                "Since": theme.ago(alert.opened_at, session.now()),
            },
            page="monitor",
            query={"monitor": alert.monitor_id, "window": alert.window_id},
        )
        for alert in opened
    ],
    key="alerts",
)
