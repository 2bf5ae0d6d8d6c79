"""The parts of a monitor's page beside drift and performance: alerts, batches, export."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.datasets.exporting import to_csv
from core.monitoring import queries as monitoring
from core.monitoring import result_tables
from core.monitoring.alert_queries import AlertRow
from core.monitoring.alert_rules import ALERT_RULES, SEVERITIES
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import AlertState, BatchState
from core.permissions import Permission
from core.registry import queries as registry
from dashboard import monitor_actions, panels, reads, session, theme
from dashboard.panels import Row

FAILURES_TOLD = 5


def alerts(opened: Sequence[AlertRow]) -> None:
    """One alert asks for attention, the worst; the rest of the same story is a click away."""
    ordered = sorted(
        opened,
        key=lambda alert: (
            alert.earlier_cut != "",
            alert.state != AlertState.OPEN,
            alert.severity != SEVERITIES[-1],
            alert.kind in ALERT_RULES and not ALERT_RULES[alert.kind].wakes,
        ),
    )
    for alert in ordered[:1]:
        show_alert(alert, first=True)
    if ordered[1:]:
        with st.expander(theme.count(len(ordered) - 1, "more alert")):
            for alert in ordered[1:]:
                show_alert(alert, first=False)


def show_alert(alert: AlertRow, *, first: bool) -> None:
    """An alert's sentence, how long it stands, and what can be done with it."""
    since = f"{theme.words(alert.severity)}, {alert.state}, raised {theme.ago(alert.opened_at, session.now())}"
    urgent: theme.Role = "harm" if alert.severity == SEVERITIES[-1] else "attention"
    # Its window is not among those shown, so no later one will end it by itself.
    earlier = f". Of the earlier cut {alert.earlier_cut}: resolve it when it is dealt with" if alert.earlier_cut else ""
    panels.notice(
        alert.sentence,
        urgent if first and alert.state == AlertState.OPEN else "neutral",
        detail=since + earlier + (f". Note: {alert.note}" if alert.note else ""),
    )
    if not session.may(Permission.ALERT_ACKNOWLEDGE):
        if first:
            panels.quiet("Acknowledging and resolving take the role operator.")
        return
    with st.container(horizontal=True, gap="small"):
        if alert.state == AlertState.OPEN and st.button("Acknowledge", key=f"acknowledge_{alert.id}"):
            monitor_actions.acknowledge(alert)
        if st.button("Resolve", key=f"resolve_{alert.id}"):
            monitor_actions.resolve(alert)


def batches(row: MonitorRow) -> None:
    """Everything that was added: what became of it, why the newest failed, and taking one back."""
    added = reads.fresh(monitoring.batches, row.id)
    failed = [one for one in added if one.state == BatchState.FAILED]
    panels.section(
        (theme.count(len(added), "batch was added", "batches were added") if added else "No batch was added")
        + (f", {len(failed)} failed" if failed else ""),
        "A batch is a file or a dataset version of rows that were scored elsewhere. What is scored here is logged, and "
        "read by itself.",
    )
    if not added:
        return
    names = reads.audited(registry.version_labels, sorted({one.version_id for one in added if one.version_id}))
    read_from = reads.fresh(monitoring.batch_names, added)
    panels.table(
        [
            Row(
                {
                    "From": read_from[one.id or 0],
                    "Added": theme.stamp(one.added_at),
                    "State": theme.words(one.state),
                    "Rows": theme.number(one.n_rows),
                    "Time column": one.time_column or theme.MISSING,
                    "Held against": names.get(one.version_id or 0, theme.MISSING),
                }
            )
            for one in added
        ],
        key="monitor_batches",
        right=("Rows",),
    )
    for batch_id, notes in reads.fresh(monitoring.batch_notes, added).items():
        panels.notice(f"{read_from[batch_id]}: {' '.join(notes)}", "attention")
    # In full, for what to do about it comes last; a cell of the table would cut it off.
    for one in failed[:FAILURES_TOLD]:
        panels.quiet(f"{read_from[one.id or 0]} failed: {one.error}")
    measured = {
        one.id: f"{read_from[one.id]}, {theme.count(one.n_rows or 0, 'row')}, added {theme.stamp(one.added_at)}"
        for one in added
        if one.id and one.state == BatchState.READY
    }
    if measured and session.may(Permission.BATCH_ADD) and st.button("Withdraw a batch", icon=":material/undo:"):
        monitor_actions.withdraw(measured)


def export(row: MonitorRow) -> None:
    """Every stored result of the monitor as two CSVs, read only once somebody asks."""
    tables = {"drift": result_tables.drift_table, "performance": result_tables.performance_table}
    with st.container(horizontal=True, gap="small"):
        for name, table in tables.items():
            st.download_button(
                f"Download {name}",
                data=lambda table=table: to_csv(reads.fresh(table, row.id)),  # type: ignore[misc]
                file_name=f"monitor-{row.id}-{name}.csv",
                mime="text/csv",
                icon=":material/download:",
                key=f"monitor_csv_{name}",
                on_click="ignore",
            )
