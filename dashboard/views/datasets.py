"""Every dataset: its state, what failed, when it last changed."""

import streamlit as st

from core.datasets import queries
from core.permissions import Permission
from dashboard import panels, reads, session, theme

now = session.now()
rows = reads.audited(queries.list_datasets)
waiting = reads.audited(queries.pending_intakes)
may_add = session.may(Permission.DATASET_ADD)


def state_of(row: queries.DatasetRow) -> str:
    """The newest version's state, for a cell."""
    if row.latest_version_id is None:
        return theme.mark("No version yet", "neutral")
    if row.quarantined:
        return theme.mark("In quarantine", "harm")
    if row.failed_checks:
        return theme.mark(f"{theme.count(row.failed_checks, 'check')} failed", "attention")
    return theme.mark("All checks passed", "healthy")


troubled = sum(1 for row in rows if row.quarantined or row.failed_checks)
sentence = ""
if rows:
    sentence = theme.count(len(rows), "dataset") + (f", {troubled} with failed checks" if troubled else "")
with panels.header("Datasets", sentence):
    if rows and may_add and st.button("Upload a file", icon=":material/upload:", type="primary", key="datasets_upload"):
        session.open_page("intake")

for intake in waiting:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        panels.notice(f"{intake.dataset_name} is being read.", "running")
        if st.button("Show progress", key=f"datasets_intake_{intake.id}", type="tertiary"):
            session.open_page("intake", intake=intake.id)

if not rows:
    panels.empty_state(
        "No data yet",
        "A dataset is a named line of versions: upload a CSV or Parquet file and Gatehouse reads it exactly, profiles "
        "it and checks it." + ("" if may_add else " Adding one takes the role data-scientist."),
        button="Upload a file" if may_add else "",
        page="intake",
    )

panels.table(
    [
        panels.Row(
            {
                "Name": row.name,
                "State": state_of(row),
                "Version": f"v{row.latest_number}" if row.latest_number else theme.MISSING,
                "Rows": theme.number(row.n_rows),
                "Target": row.target or theme.MISSING,
                "Updated": theme.ago(row.updated_at, now),
            },
            page="dataset",
            query={"dataset": row.id},
        )
        for row in rows
    ],
    key="datasets",
    right=("Rows",),
)
