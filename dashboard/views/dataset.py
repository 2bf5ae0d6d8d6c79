"""One dataset version: its state in a sentence, columns, rows, checks, what changed, where it came from and led."""

import streamlit as st

from core.datasets import queries, service
from core.datasets.tables import DatasetVersion, Outcome, Severity
from core.errors import NotFound
from core.permissions import Permission
from core.registry import retraining
from dashboard import cost_panels, dataset_panels, panels, reads, selection, session, theme


@st.dialog("Put this version in quarantine")
def quarantine(version: DatasetVersion, label: str) -> None:
    """Say why; nothing can be trained on it, and its models' owners are told."""
    assert version.id is not None
    st.text(
        f"Nothing can be trained on {label} until it is lifted. Models trained on it fail a gate of every promotion."
    )
    reason = st.text_area("Reason", key="dataset_quarantine_reason")
    if st.button("Put in quarantine", type="primary", disabled=not reason.strip(), key="dataset_quarantine_confirm"):
        with session.act(f"{label} is in quarantine") as act:
            service.quarantine(act, version_id=version.id, reason=reason, actor=session.actor(), now=session.now())
        st.rerun()


def lift(version_id: int) -> None:
    """Take a version out of quarantine."""
    with session.act("Quarantine lifted", in_callback=True) as act:
        service.lift_quarantine(act, version_id=version_id, actor=session.actor(), now=session.now())


def retrain(model_id: int, version_id: int) -> None:
    """Start the champion's set-up on this version and watch it."""
    with session.act("Retraining queued") as act:
        run = retraining.request_retraining(
            act, model_id=model_id, dataset_version_id=version_id, actor=session.actor(), now=session.now()
        )
    session.open_page("run", run=run.id)


dataset_id = session.chosen_id("dataset") or 0
try:
    dataset = reads.audited(queries.dataset, dataset_id)
except NotFound:
    panels.empty_state(
        "There is no such dataset",
        "It may have been named wrongly in the address.",
        button="See all datasets",
        page="datasets",
    )
    st.stop()
versions = reads.audited(queries.versions, dataset_id)
if not versions:
    panels.header(dataset.name)
    panels.empty_state(
        "No version yet", "Its first file is being read or was refused.", button="Datasets", page="datasets"
    )
    st.stop()
asked = session.chosen_id("version")
version = versions[0] if asked is None else next((one for one in versions if one.number == asked), None)
if version is None:
    raise NotFound("version", f"{asked} of {dataset.name}", f"It has versions 1 to {versions[0].number}.")
assert version.id is not None
label = f"{dataset.name} v{version.number}"
checks = reads.audited(queries.checks, version.id)
blocked = version.quarantined_at is not None or any(
    check.outcome == Outcome.FAILED and check.severity == Severity.BLOCK for check in checks
)
may_start = session.may(Permission.RUN_START)

with panels.header(label, version.summary):
    if session.may(Permission.DATASET_ADD) and st.button("New version", icon=":material/upload:", key="dataset_upload"):
        session.open_page("intake", dataset=dataset_id)
    if may_start and st.button(
        "Train on this version",
        icon=":material/play_arrow:",
        type="primary",
        disabled=blocked,
        help="A check that blocks failed, or it is in quarantine." if blocked else None,
        key="dataset_train",
    ):
        session.open_page("new_run", version=version.id)

if version.quarantined_at is not None:
    panels.notice(f"In quarantine since {theme.stamp(version.quarantined_at)}: {version.quarantine_reason}", "harm")

with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    if session.may(Permission.RUN_RETRAIN) and not blocked:
        for champion in reads.audited(retraining.models_for_dataset, dataset_id):
            if champion.dataset_version_id != version.id and st.button(
                f"Retrain {theme.plain(champion.model_name)} v{champion.version_number}'s set-up on this version",
                icon=":material/model_training:",
                key=f"dataset_retrain_{champion.model_id}",
            ):
                retrain(champion.model_id, version.id)
    dataset_panels.download(version, label)
    if session.may(Permission.DATASET_QUARANTINE):
        if version.quarantined_at is None:
            if st.button("Quarantine", icon=":material/block:", key="dataset_quarantine"):
                quarantine(version, label)
        else:
            st.button("Lift quarantine", key="dataset_lift", on_click=lift, args=(version.id,))
    if len(versions) > 1:
        st.session_state["dataset_version"] = version.number

        def turn_to() -> None:
            """Open the chosen version."""
            st.query_params["version"] = str(st.session_state["dataset_version"])
            st.query_params.pop("page", None)

        st.selectbox(
            "Version",
            [one.number for one in versions],
            format_func=lambda number: f"Version {number}",
            key="dataset_version",
            label_visibility="collapsed",
            width=150,
            on_change=turn_to,
        )

match selection.view(
    "Part of the version",
    {
        "overview": "Overview",
        "columns": "Columns",
        "rows": "Rows",
        "checks": "Checks",
        "changes": "Changes",
        "lineage": "Lineage",
    },
):
    case "columns":
        dataset_panels.profile_of(version, dataset.target, dataset.sensitive)
    case "rows":
        dataset_panels.rows_of(version)
    case "checks":
        dataset_panels.checks_of(checks)
    case "changes":
        dataset_panels.changes_of(version)
    case "lineage":
        dataset_panels.lineage_of(version, versions, dataset_id)
    case _:
        dataset_panels.overview(version, checks, dataset.target)
        cost_panels.show(dataset)
