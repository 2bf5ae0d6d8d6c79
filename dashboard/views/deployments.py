"""What is live, how to ask it, the way back, and every deployment there was."""

import json

import streamlit as st

from core.governance import service
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.queries import LiveRow
from core.registry.tables import Alias, Cause, Environment
from core.serving import queries as serving
from dashboard import panels, reads, session, theme
from dashboard.panels import Moment, Row

EXAMPLE = {"integer": 1, "number": 1.0, "boolean": True, "date": "2026-01-31", "timestamp": "2026-01-31T12:00:00"}

history = reads.audited(registry.deployments)
live = [row for row in history if row.to_at is None]
answered = reads.fresh(serving.last_predictions_at)


def label(row: LiveRow) -> str:
    return f"{row.model_name} v{row.version_number}"


@st.dialog("Roll back")
def roll_back(row: LiveRow, target: int) -> None:
    back_to = reads.audited(registry.version_label, target)
    st.text(f"{back_to} goes live again as {row.alias} in {row.environment}, in place of {label(row)}.")
    panels.quiet(
        "It answers from the next request on. Nothing is deleted: the version rolled back from stays registered, and "
        "making it live again takes a new promotion request."
    )
    reason = st.text_area("Reason", placeholder="What went wrong?", key="rollback_reason")
    if st.button("Roll back", type="primary", key="rollback_confirm"):
        with session.act(f"{back_to} is live again") as writing:
            service.roll_back(
                writing,
                model_id=row.model_id,
                environment=Environment(row.environment),
                alias=Alias(row.alias),
                reason=reason,
                actor=session.actor(),
                now=session.now(),
            )
        st.rerun()


panels.header(
    "Deployments",
    f"{theme.count(len(live), 'version')} live: " + ", ".join(label(row) for row in live[:4]) + "." if live else "",
)

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
                "Live": label(row),
                "As": f"{row.alias} in {row.environment}",
                "Since": theme.stamp(row.from_at),
                "Through": theme.words(row.cause),
                "By": row.deployed_by or theme.MISSING,
                "Last prediction": theme.ago(answered.get(row.model_id), session.now()),
            },
            page="deployments",
            query={"model": row.model_id},
        )
        for row in live
    ],
    key="live",
)

chosen = next((row for row in live if row.model_id == session.chosen_id("model")), live[0] if live else None)
if chosen is None:
    st.stop()

target = reads.audited(
    registry.rollback_target, model_id=chosen.model_id, environment=chosen.environment, alias=chosen.alias
)
panels.section(
    f"{label(chosen)} answers as {chosen.alias} in {chosen.environment}",
    f"The way back is {reads.audited(registry.version_label, target)}."
    if target
    else "There is no way back yet: no other version was live before it.",
)
with st.container(horizontal=True, gap="small"):
    if session.may(Permission.DEPLOYMENT_ROLL_BACK):
        if st.button("Roll back", icon=":material/undo:", disabled=target is None) and target is not None:
            roll_back(chosen, target)
    else:
        panels.quiet("Rolling back takes the role operator.")
    st.page_link(
        session.page_file("model"),
        label="Open the model",
        icon=":material/deployed_code:",
        query_params={"model": str(chosen.model_id)},
    )

version = reads.audited(registry.version, chosen.version_id)
row_example = {
    feature["name"]: (feature.get("categories") or [EXAMPLE.get(feature["kind"], "text")])[0]
    for feature in version.signature.get("features", [])
}
settings = session.workspace().settings
with st.expander("Ask it for predictions", icon=":material/terminal:"):
    panels.quiet(
        "The scoring process answers over HTTP. Make a token under your name at the bottom left, put it in "
        "GATEHOUSE_TOKEN, and send one row or many; each answer carries a prediction id to join a label to later."
    )
    body = json.dumps({"rows": [row_example]}, ensure_ascii=False)
    st.code(
        f"curl http://{settings.host}:{settings.scoring_port}/v1/models/{chosen.model_name}/{chosen.alias}/predict \\\n"
        '  -H "Authorization: Bearer $GATEHOUSE_TOKEN" -H "Content-Type: application/json" \\\n'
        "  -d '" + body.replace("'", "'\\''") + "'",
        language=None,
        wrap_lines=True,
    )

panels.section("Every deployment of this model")
panels.timeline(
    [
        Moment(
            ":material/undo:" if row.cause == Cause.ROLLBACK else ":material/rocket_launch:",
            f"{label(row)} became {row.alias} in {row.environment}"
            + (f": {row.reason}" if row.reason else "")
            + (f" (until {theme.stamp(row.to_at)})" if row.to_at else " (live)"),
            row.deployed_by or "",
            row.from_at,
        )
        for row in history
        if row.model_id == chosen.model_id
    ]
)
