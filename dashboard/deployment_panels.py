"""The parts of the deployments page: rolling back, and how to ask a live version for predictions."""

from __future__ import annotations

import json
from urllib.parse import quote

import streamlit as st

from core.governance import service
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.queries import LiveRow
from core.registry.tables import Alias, Environment
from dashboard import panels, reads, session

EXAMPLE = {"integer": 1, "number": 1.0, "boolean": True, "date": "2026-01-31", "timestamp": "2026-01-31T12:00:00"}


def name_of(row: LiveRow) -> str:
    """A live version as people call it."""
    return f"{row.model_name} v{row.version_number}"


@st.dialog("Roll back")
def roll_back(row: LiveRow, target: int) -> None:
    """The consequence and the reason."""
    back_to = reads.audited(registry.version_label, target)
    st.text(f"{back_to} goes live again as {row.alias} in {row.environment}, in place of {name_of(row)}.")
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


def way_back(row: LiveRow) -> None:
    """Where a rollback would lead, and doing it."""
    target = reads.audited(
        registry.rollback_target, model_id=row.model_id, environment=row.environment, alias=row.alias
    )
    panels.section(
        f"{name_of(row)} answers as {row.alias} in {row.environment}",
        f"The way back is {reads.audited(registry.version_label, target)}."
        if target
        else "There is nothing to roll back to: no earlier version is left.",
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not session.may(Permission.DEPLOYMENT_ROLL_BACK):
            panels.quiet("Rolling back takes the role operator.")
        elif st.button("Roll back", icon=":material/undo:", disabled=target is None) and target is not None:
            roll_back(row, target)
        if st.button("Open the model", icon=":material/deployed_code:"):
            session.open_page("model", model=row.model_id)


def how_to_ask(row: LiveRow) -> None:
    """The request that asks this version, ready to be pasted into a terminal."""
    version, settings = reads.audited(registry.version, row.version_id), session.workspace().settings
    example = {
        feature["name"]: (feature.get("categories") or [EXAMPLE.get(feature["kind"], "text")])[0]
        for feature in version.signature.get("features", [])
    }
    body = json.dumps({"rows": [example]}, ensure_ascii=False).replace("'", "'\\''")
    with st.expander("Ask it for predictions", icon=":material/terminal:"):
        panels.quiet(
            "The scoring process answers over HTTP. Make a token under Settings, put it in GATEHOUSE_TOKEN, and send "
            "one row or many; each answer carries a prediction id to join a label to later."
        )
        path = f"v1/models/{quote(row.model_name, safe='')}/{row.alias}/predict"
        st.code(
            f"curl http://{settings.host}:{settings.scoring_port}/{path} \\\n"
            '  -H "Authorization: Bearer $GATEHOUSE_TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d '{body}'",
            language=None,
            wrap_lines=True,
        )
