"""What a reader may do on the decision page: the three answers, a waiver, preparing again, withdrawing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import streamlit as st

from core.governance import service
from core.governance.queries import DecisionPage, GateRow
from core.governance.tables import DecisionKind
from dashboard import panels, session, theme

WIDTH = 820


@dataclass(frozen=True)
class Answer:
    """One of the three answers: its button, what the dialog is called, what is said once it is recorded."""

    word: str
    icon: str
    done: str


ANSWERS = {
    DecisionKind.APPROVE: Answer("Approve", ":material/check:", "Your approval is recorded"),
    DecisionKind.REQUEST_CHANGES: Answer("Request changes", ":material/edit_note:", "Changes requested"),
    DecisionKind.REJECT: Answer("Reject", ":material/close:", "Rejected"),
}


def consequence(page: DecisionPage, kind: DecisionKind) -> str:
    """What an answer does."""
    match kind:
        case DecisionKind.REQUEST_CHANGES:
            return f"{page.requester or 'Whoever asked'} is asked to change something; nothing goes live meanwhile."
        case DecisionKind.REJECT:
            return "The request is closed for good. Nothing goes live; a new request can be made."
    if page.approvals_given + 1 < page.approvals_needed:
        return f"This is approval {page.approvals_given + 1} of {page.approvals_needed}; nothing goes live yet."
    instead = f", in place of {page.replaces_label}" if page.replaces_label else ""
    return f"{page.version_label} goes live as {page.alias} in {page.environment} at once{instead}."


@st.dialog("Your decision")
def decide(page: DecisionPage, kind: DecisionKind) -> None:
    """The consequence, a comment whose draft is kept, and recording it; then the next request."""
    answer, draft = ANSWERS[kind], f"request_draft_{page.request_id}"
    st.text(consequence(page, kind))
    comment = st.text_area(
        "Comment" if kind == DecisionKind.APPROVE else "Comment (needed)",
        value=st.session_state.get(draft, ""),
        key=f"decision_comment_{kind}",
        placeholder="What convinced you, or what is missing",
    )
    st.session_state[draft] = comment
    if st.button(answer.word, type="primary", icon=answer.icon, key="decision_confirm"):
        with session.act(answer.done) as writing:
            service.decide(
                writing,
                session.workspace().artifacts,
                request_id=page.request_id,
                kind=kind,
                comment=comment,
                evidence_digest=page.evidence_digest or "",
                actor=session.actor(),
                now=session.now(),
            )
        del st.session_state[draft]
        if page.next_request_id is not None:
            session.open_page("request", request=page.next_request_id)
        st.rerun()


@st.dialog("Waive a gate")
def waive(page: DecisionPage, gate: GateRow) -> None:
    """Why an exception is made, and until when."""
    st.text(gate.explanation)
    panels.quiet("A waiver is on record with your name, for this evidence only, and ends on its date.")
    tomorrow = (session.now() + timedelta(days=1)).date()
    reason = st.text_area("Reason", key="waiver_reason")
    until = st.date_input(
        "Until",
        value=tomorrow + timedelta(days=29),
        min_value=tomorrow,
        format="YYYY-MM-DD",
        key="waiver_until",
    )
    if st.button("Waive", type="primary", key="waiver_confirm"):
        with session.act("Gate waived") as writing:
            service.grant_waiver(
                writing,
                request_id=page.request_id,
                gate=gate.code,
                reason=reason,
                until=datetime.combine(until, time.max, UTC),
                actor=session.actor(),
                now=session.now(),
            )
        st.rerun()


def renew(request_id: int) -> None:
    """Have the evidence prepared again; a callback."""
    with session.act("Preparing the evidence again", in_callback=True) as writing:
        service.renew(writing, request_id=request_id, actor=session.actor(), now=session.now())


def withdraw(request_id: int) -> None:
    """Take the request back; a callback."""
    with session.act("Request withdrawn", in_callback=True) as writing:
        service.withdraw(writing, request_id=request_id, actor=session.actor(), now=session.now())


def bar(page: DecisionPage) -> None:
    """The three answers, fixed at the bottom; whatever cannot be pressed has its reason beside it."""
    with st.bottom, st.container(horizontal_alignment="center"), st.container(width=WIDTH, gap="xsmall"):
        with st.container(horizontal=True, gap="small"):
            for kind, answer in ANSWERS.items():
                approves = kind == DecisionKind.APPROVE
                shut = not page.may_decide or (approves and bool(page.n_blocking or page.stale))
                if st.button(
                    answer.word,
                    icon=answer.icon,
                    type="primary" if approves else "secondary",
                    disabled=shut,
                    key=f"answer_{kind}",
                ):
                    decide(page, kind)
        if why := obstacle(page):
            panels.quiet(why)


def obstacle(page: DecisionPage) -> str:
    """Why this reader cannot approve now, "" when they can."""
    if not page.may_decide:
        return page.reason or ""
    if page.stale:
        return "It cannot be approved while it is stale: the evidence has to be prepared again."
    if page.n_blocking:
        return f"It cannot be approved: {theme.count(page.n_blocking, 'gate')} {_blocks(page.n_blocking)}."
    return ""


def _blocks(n: int) -> str:
    return "blocks" if n == 1 else "block"
