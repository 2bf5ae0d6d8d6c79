"""Promotion requests, open and decided; waivers; the promotion policy."""

import streamlit as st

from core.governance import queries as governance
from core.governance import service
from core.governance.gates import GATES
from core.governance.queries import PolicyRow, RequestRow
from core.governance.tables import GateSeverity, RequestState
from core.permissions import Permission
from dashboard import panels, reads, session, theme
from dashboard.panels import Row
from dashboard.theme import Role

VIEWS = {"open": "Open", "decided": "Decided", "waivers": "Waivers", "policy": "Policy"}
STATES: dict[str, Role] = {
    RequestState.PREPARING: "running",
    RequestState.OPEN: "neutral",
    RequestState.CHANGES_REQUESTED: "attention",
    RequestState.APPROVED: "healthy",
    RequestState.REJECTED: "neutral",
    RequestState.WITHDRAWN: "neutral",
}

waiting = reads.audited(governance.open_requests)
undecided = [row for row in waiting if row.state == RequestState.OPEN]

panels.header(
    "Approvals",
    f"{theme.count(len(undecided), 'request')} open for decision." if undecided else "No request is open for decision.",
)
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="open",
    format_func=VIEWS.__getitem__,
    key="view",
    bind="query-params",
    label_visibility="collapsed",
    required=True,
)


def gates_of(row: RequestRow) -> str:
    if row.state == RequestState.PREPARING:
        return theme.mark("failed to prepare", "attention") if row.error else theme.mark("preparing", "running")
    if row.n_blocking:
        return theme.mark(f"{row.n_blocking} blocking", "attention")
    return theme.mark(f"none blocking, {theme.count(row.n_warnings, 'warning')}", "healthy")


def show_requests(rows: list[RequestRow], *, key: str, decided: bool) -> None:
    panels.table(
        [
            Row(
                {
                    "Request": f"{row.version_label} as {row.alias} in {row.environment}",
                    "State": theme.mark(theme.words(row.state), STATES[row.state]),
                    "Gates": gates_of(row),
                    "Replaces": row.replaces_label or "nothing live",
                    "By": row.requester or "shell",
                    **(
                        {"Decided": theme.ago(row.decided_at, session.now())}
                        if decided
                        else {"Due": theme.day(row.due_at) + (", overdue" if row.due_at < session.now() else "")}
                    ),
                },
                page="request",
                query={"request": row.id},
            )
            for row in rows
        ],
        key=key,
    )


@st.dialog("Write the next policy version", width="large")
def edit(policy: PolicyRow) -> None:
    panels.quiet("Open requests go stale, and whoever writes a policy version does not decide under it.")
    with st.form("policy", border=False):
        gates: dict[str, str] = {}
        choices = [GateSeverity.BLOCKING.value, GateSeverity.WARNING.value, "not asked"]
        for code, gate in GATES.items():
            current = policy.gates.get(code, "not asked")
            chosen = st.selectbox(gate.title, choices, index=choices.index(current), key=f"gate_{code}")
            if chosen != "not asked":
                gates[code] = chosen
        approvals = st.number_input("Approvals needed", min_value=1, max_value=5, value=policy.approvals)
        reason = st.text_area("Why does it change?", key="policy_reason")
        if st.form_submit_button("Save as the next version", type="primary"):
            with session.act("Policy saved") as writing:
                service.save_policy(
                    writing,
                    gates=gates,
                    margins=policy.margins,
                    approvals=int(approvals),
                    reason=reason,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


if view == "open":
    if not waiting:
        panels.empty_state(
            "Nothing waits for a decision",
            "A request is made on a model's page: pick a version and ask for its promotion.",
            button="See models",
            page="models",
        )
    show_requests(waiting, key="open", decided=False)

if view == "decided":
    decided = reads.audited(governance.decided_requests)
    if not decided:
        panels.empty_state(
            "Nothing was decided yet", "Approved, rejected and withdrawn requests are kept here for good."
        )
    show_requests(decided, key="decided", decided=True)

if view == "waivers":
    waived = reads.audited(governance.waivers)
    if not waived:
        panels.empty_state(
            "No gate was ever waived",
            "A reviewer can waive a blocking gate on a request's page, with a reason and an end date.",
        )
    panels.table(
        [
            Row(
                {
                    "Gate": GATES[row.gate].title if row.gate in GATES else row.gate,
                    "Request": row.request_label,
                    "Reason": row.reason,
                    "Until": theme.day(row.until) + (", ended" if row.until < session.now() else ""),
                    "By": row.granted_by,
                },
                page="request",
                query={"request": row.request_id},
            )
            for row in waived
        ],
        key="waivers",
    )

if view == "policy":
    written = reads.audited(governance.policies)
    if not written:
        panels.empty_state("No policy yet", "The first promotion request writes the policy Gatehouse starts with.")
        st.stop()
    newest = written[0]
    panels.section(
        f"Policy {newest.number} is in force",
        f"{theme.count(newest.approvals, 'approval')} needed. Written {theme.stamp(newest.created_at)} by "
        f"{newest.author or 'Gatehouse'}: {newest.reason}",
    )
    if session.may(Permission.POLICY_EDIT) and st.button("Write the next version", icon=":material/edit:"):
        edit(newest)
    panels.table(
        [
            Row(
                {
                    "Gate": gate.title,
                    "If it does not pass": theme.words(newest.gates[code]) if code in newest.gates else "not asked",
                    "What it asks": gate.sentence,
                }
            )
            for code, gate in GATES.items()
        ],
        key="policy_gates",
    )
    if len(written) > 1:
        panels.section("Earlier versions")
        panels.table(
            [
                Row(
                    {
                        "Version": f"policy {row.number}",
                        "Written": theme.stamp(row.created_at),
                        "By": row.author or "Gatehouse",
                        "Why": row.reason,
                    }
                )
                for row in written[1:]
            ],
            key="policies",
        )
