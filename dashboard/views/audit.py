"""What was live on a day, who allowed it and on what evidence; then the log itself."""

import json
from datetime import UTC, datetime, time

import streamlit as st

from core.audit import queries as audit
from core.audit.sentences import sentence
from core.governance.as_of import AsOfRow, live_as_of
from core.governance.integrity import verify_everything
from core.permissions import Permission
from dashboard import panels, reads, session, theme
from dashboard.panels import Row

EXPORTED = 10_000
ANY = "Anyone", "Any action"

now = session.now()


def _asked() -> datetime:
    """Give the moment the address asks for: a day means its end, the present day means now."""
    try:
        at = datetime.fromisoformat(session.chosen_text("at") or "")
    except ValueError:
        return now
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at if at <= now else now


def _choose_day() -> None:
    day = st.session_state["audit_day"]
    if day is None or day >= now.date():
        st.query_params.pop("at", None)
    else:
        st.query_params["at"] = datetime.combine(day, time(23, 59, 59), UTC).isoformat()


def _allowed(row: AsOfRow) -> str:
    if row.approvers:
        return ", ".join(row.approvers)
    if row.cause == "rollback":
        return f"rolled back by {row.deployed_by or 'the system'}"
    return theme.MISSING


def _evidence(row: AsOfRow) -> str:
    if row.request_id is None:
        return row.reason or theme.MISSING
    return f"request {row.request_id}: {row.gates}" if row.gates else f"request {row.request_id}"


at = _asked()
live = reads.fresh(live_as_of, at)
panels.header("Audit")
st.date_input(
    "What was live on",
    value=at.date(),
    max_value=now.date(),
    format="YYYY-MM-DD",
    key="audit_day",
    on_change=_choose_day,
    width=180,
)
is_now = at == now
versions = theme.count(len(live), "version")
panels.section(
    f"{versions} live now" if is_now else f"{versions} live on {theme.stamp(at)}",
    "Each with who allowed it and on what evidence." if live else "Nothing held an alias then.",
)
panels.table(
    [
        Row(
            {
                "Model version": row.version_label,
                "Role": f"{row.alias} in {row.environment}",
                "Since": theme.stamp(row.since),
                "Asked for by": row.requested_by or theme.MISSING,
                "Allowed by": _allowed(row),
                "Evidence": _evidence(row),
            },
            page="request" if row.request_id else "model",
            query={"request": row.request_id} if row.request_id else {"model": row.model_id},
        )
        for row in live
    ],
    key="audit_live",
)

st.space("small")
if session.may(Permission.AUDIT_VERIFY):
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Verify", icon=":material/verified_user:", type="primary", key="audit_verify"):
            with st.spinner("Walking the log and hashing every stored file"):
                report = verify_everything(session.workspace())
            st.session_state["audit_report"] = (report, session.now())
    if found := st.session_state.get("audit_report"):
        report, verified_at = found
        events = theme.count(report.chain.events, "event")
        if report.intact:
            panels.notice(
                f"{events} and {theme.count(report.n_files, 'file')} intact, verified {theme.stamp(verified_at)}",
                "done",
                detail=f"Keep elsewhere: event {report.chain.head_number}, {theme.short_hash(report.chain.head_hash)}. "
                "Events cut off the end show only against a number kept outside this database.",
            )
        for broken in report.chain.breaks:
            panels.notice(f"Event {broken.number}: {broken.reason}.", "harm")
        for damaged in report.damaged:
            panels.notice(
                f"The {damaged.what} is damaged: {damaged.reason}.", "harm", detail=f"Hash {damaged.sha256[:8]}"
            )

panels.section("Everything that was done")
with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
    names = reads.audited(audit.actor_names)
    who = st.selectbox("Who", [ANY[0], *names], key="audit_who", width=220, bind="query-params")
    kinds = reads.audited(audit.actions)
    what = st.selectbox(
        "What",
        [ANY[1], *kinds],
        format_func=lambda code: code if code == ANY[1] else theme.words(code.replace(".", " ")),
        key="audit_what",
        width=260,
        bind="query-params",
    )
    actor_name = None if who == ANY[0] else who
    action = None if what == ANY[1] else what

    def _exported() -> bytes:
        import pyarrow as pa

        from core.datasets.exporting import to_csv

        rows = reads.fresh(audit.events, limit=EXPORTED, actor_name=actor_name, action=action)
        return to_csv(
            pa.table(
                {
                    "number": [row.number for row in rows],
                    "at": [row.at.isoformat() for row in rows],
                    "who": [row.actor_name for row in rows],
                    "via": [row.via for row in rows],
                    "action": [row.action for row in rows],
                    "subject": [row.subject_label for row in rows],
                    "details": [json.dumps(row.details, ensure_ascii=False) for row in rows],
                    "hash": [row.hash for row in rows],
                }
            )
        )

    st.download_button("Export CSV", _exported, "audit.csv", "text/csv", icon=":material/download:", on_click="ignore")

shown = reads.audited(
    audit.events, limit=panels.ROWS_PER_PAGE + 1, before=panels.cursor(), actor_name=actor_name, action=action
)
more = len(shown) > panels.ROWS_PER_PAGE
shown = shown[: panels.ROWS_PER_PAGE]
panels.table(
    [
        Row(
            {
                "When": theme.stamp(row.at),
                "Who": row.actor_name,
                "What": sentence(row.action, row.subject_label),
                "Through": row.via if row.os_user is None else f"{row.via} ({row.os_user})",
                "Event": theme.number(row.number),
                "Hash": theme.short_hash(row.hash),
            }
        )
        for row in shown
    ],
    key="audit_log",
    right=("Event",),
    columns={"When": st.column_config.TextColumn(width=160), "What": st.column_config.TextColumn(width=420)},
)
if not shown:
    panels.quiet("No event matches.")
panels.pager(shown[-1].number if shown and more else None)
