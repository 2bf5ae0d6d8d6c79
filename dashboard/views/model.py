"""One registered model: its versions, a version's card and lineage, its deployments, asking for a promotion."""

import streamlit as st

from core.permissions import Permission
from core.registry import queries as registry
from dashboard import behaviour_panels, model_panels, panels, reads, selection, session, theme

VIEWS = {
    "versions": "Versions",
    "behaviour": "Behaviour",
    "card": "Card",
    "lineage": "Lineage",
    "deployments": "Deployments",
}

model_id = session.chosen_id("model")
model = next((row for row in reads.audited(registry.list_models) if row.id == model_id), None)
rows = reads.audited(registry.version_rows, model.id) if model else []
if model is None or not rows:
    panels.empty_state(
        "There is no such model",
        "It may have been named wrongly in the address.",
        button="See all models",
        page="models",
    )
    st.stop()

number = session.chosen_id("version") or model.latest_number
version = next((row for row in rows if row.number == number), rows[0])
label = f"{model.name} v{version.number}"
live = f"v{model.live_number} is live since {theme.day(model.live_since)}." if model.live_number else "Nothing is live."

with panels.header(model.name, f"Predicts {model.target} ({model.task}). {live}"):
    if (
        session.may(Permission.REQUEST_CREATE)
        and version.number != model.live_number
        and st.button(f"Request promotion of v{version.number}", type="primary", icon=":material/approval:")
    ):
        model_panels.ask_for_promotion(model, version)
if model.description:
    st.text(model.description)

view = selection.view("Part of the model", VIEWS)
if view in {"behaviour", "card", "lineage"} and len(rows) > 1:
    picked = selection.pick("Version", {str(row.number): f"v{row.number}" for row in rows}, name="version", width=120)
    version = next(row for row in rows if row.number == int(picked))
    label = f"{model.name} v{version.number}"

match view:
    case "behaviour":
        behaviour_panels.show(model, version)
    case "card":
        model_panels.card(label, version.id)
    case "lineage":
        model_panels.lineage(label, version.id)
    case "deployments":
        history = reads.audited(registry.deployments, model.id)
        if not history:
            panels.empty_state(
                "This model was never live", "It goes live when a promotion request for a version is approved."
            )
        model_panels.deployment_history(history)
    case _:
        model_panels.versions(model, rows)
