"""Promotion requests, open and decided; waivers; the promotion policy."""

from core.governance import queries as governance
from core.governance.gates import GATES
from core.governance.queries import RequestRow
from core.governance.tables import RequestState
from dashboard import panels, policy_panels, reads, selection, session, theme
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


def gates_of(row: RequestRow) -> str:
    """How a request's gates stand, before waivers."""
    if row.state == RequestState.PREPARING:
        return theme.mark("failed to prepare", "attention") if row.error else theme.mark("preparing", "running")
    warnings = f", {theme.count(row.n_warnings, 'warning')}" if row.n_warnings else ""
    if row.n_blocking and row.state == RequestState.APPROVED:
        return theme.mark(f"{row.n_blocking} waived{warnings}", "neutral")
    if row.n_blocking:
        return theme.mark(f"{row.n_blocking} blocking{warnings}", "attention")
    return theme.mark(f"none blocking{warnings}", "healthy")


def show_requests(rows: list[RequestRow], *, key: str, decided: bool) -> None:
    """Requests, one a row, each opening its decision page."""
    panels.table(
        [
            Row(
                {
                    "Request": f"{row.version_label} as {row.alias} in {row.environment}",
                    "State": theme.mark(theme.words(row.state), STATES[row.state]),
                    "Gates": gates_of(row),
                    "Replaces": row.replaces_label or "nothing live",
                    "By": row.requester or "the shell",
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


waiting = reads.audited(governance.open_requests)
undecided = [row for row in waiting if row.state == RequestState.OPEN]
panels.header(
    "Approvals",
    f"{theme.count(len(undecided), 'request')} open for decision." if undecided else "No request is open for decision.",
)

match selection.view("Part of the approvals", VIEWS):
    case "decided":
        decided = reads.audited(governance.decided_requests)
        if not decided:
            panels.empty_state(
                "Nothing was decided yet", "Approved, rejected and withdrawn requests are kept here for good."
            )
        show_requests(decided, key="decided", decided=True)
    case "waivers":
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
                        "Request": row.request_label,
                        "Gate": GATES[row.gate].title if row.gate in GATES else row.gate,
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
    case "policy":
        written = reads.audited(governance.policies)
        if written:
            policy_panels.in_force(written[0])
        else:
            panels.empty_state("No policy yet", "The first promotion request writes the policy Gatehouse starts with.")
        if written[1:]:
            policy_panels.earlier(written[1:])
    case _:
        if not waiting:
            panels.empty_state(
                "Nothing waits for a decision",
                "A request is made on a model's page: pick a version and ask for its promotion.",
                button="See models",
                page="models",
            )
        show_requests(waiting, key="open", decided=False)
