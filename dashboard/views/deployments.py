"""What is live, how to ask it, the way back, and every deployment there was."""

import streamlit as st

from core.registry import queries as registry
from core.serving import queries as serving
from core.wording import enumerated
from dashboard import deployment_panels, model_panels, panels, reads, session, theme
from dashboard.panels import Row

history = reads.audited(registry.deployments)
live = [row for row in history if row.to_at is None]
answered = reads.fresh(serving.last_predictions_at)

names = [deployment_panels.name_of(row) for row in live]
panels.header("Deployments", f"{theme.count(len(live), 'version')} live: {enumerated(names, 4)}." if live else "")
if not history:
    panels.empty_state(
        "Nothing was ever live",
        "A version goes live when its promotion request is approved; this page then shows how to ask it.",
        button="See models",
        page="models",
    )
    st.stop()

panels.table(
    [
        Row(
            {
                "Live": deployment_panels.name_of(row),
                "As": f"{row.alias} in {row.environment}",
                "Since": theme.stamp(row.from_at),
                "Through": theme.words(row.cause),
                "By": row.deployed_by or "the shell",
                "Last prediction": theme.ago(answered.get(row.model_id), session.now()),
            },
            page="deployments",
            query={"deployment": row.deployment_id},
        )
        for row in live
    ],
    key="live",
)

by_id = {row.deployment_id: row for row in live}
of_model = {row.model_id: row for row in reversed(live)}
chosen = by_id.get(session.chosen_id("deployment") or 0) or of_model.get(session.chosen_id("model") or 0)
chosen = chosen or next(iter(live), None)
if chosen is None:
    panels.section("Nothing is live now")
    model_panels.deployment_history(history)
    st.stop()

deployment_panels.way_back(chosen)
deployment_panels.how_to_ask(chosen)
panels.section(f"Every deployment of {chosen.model_name}")
model_panels.deployment_history([row for row in history if row.model_id == chosen.model_id])
