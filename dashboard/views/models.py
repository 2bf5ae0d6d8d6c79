"""The inventory of registered models: what is live and how it is, who answers for it."""

import streamlit as st

from core.monitoring import queries as monitoring
from core.permissions import Permission
from core.registry import queries as registry
from dashboard import drift_panels, panels, reads, session, theme
from dashboard.panels import Row

models = reads.audited(registry.list_models)
live = [row for row in models if row.live_number is not None]

with panels.header("Models", f"{theme.count(len(models), 'model')}, {len(live)} live in production." if models else ""):
    if (
        models
        and session.may(Permission.RUN_START)
        and st.button("New run", type="primary", icon=":material/play_arrow:")
    ):
        session.open_page("new_run")

if not models:
    panels.empty_state(
        "No model is registered yet",
        "Finish a run, look at its evaluation, then register it: the version keeps its whole lineage.",
        button="See runs",
        page="runs",
    )
    st.stop()

health = {
    row.model_id: drift_panels.STATES[row.state]
    for row in reads.fresh(monitoring.list_monitors)
    if (row.environment, row.alias) == ("production", "champion")
}
panels.table(
    [
        Row(
            {
                "Model": row.name,
                "Live": theme.mark(f"v{row.live_number}", "champion") if row.live_number else "nothing live",
                "Since": theme.day(row.live_since),
                "Drift": health.get(row.id, theme.MISSING) if row.live_number else theme.MISSING,
                "Newest": f"v{row.latest_number}" if row.latest_number else theme.MISSING,
                "Predicts": f"{row.target} ({row.task})",
                "Owner": row.owner or theme.MISSING,
            },
            page="model",
            query={"model": row.id},
        )
        for row in models
    ],
    key="models",
)
