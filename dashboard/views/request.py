"""The decision page: one question, the evidence with its uncertainty, and three answers."""

import streamlit as st

from core.errors import NotFound
from core.governance import queries as governance
from core.governance.queries import DecisionPage
from core.governance.tables import RequestState
from dashboard import panels, reads, request_answers, request_panels, session, theme
from dashboard.theme import Role

STATES: dict[str, Role] = {
    RequestState.PREPARING: "running",
    RequestState.CHANGES_REQUESTED: "attention",
    RequestState.APPROVED: "healthy",
}


def head(page: DecisionPage) -> None:
    """The question, who asks since when and why, and whether the reader may decide."""
    with panels.header(page.question):
        if page.may_withdraw:
            st.button("Withdraw", on_click=request_answers.withdraw, args=(page.request_id,))
        if page.may_renew and (page.stale or page.error or page.state == RequestState.CHANGES_REQUESTED):
            st.button(
                "Prepare the evidence again",
                on_click=request_answers.renew,
                args=(page.request_id,),
                icon=":material/refresh:",
            )
    panels.status(theme.words(page.state), STATES.get(page.state, "neutral"))
    asked = f"Asked by {page.requester or 'the shell'} {theme.ago(page.requested_at, session.now())}"
    if page.decided_at:
        panels.quiet(f"{asked}, settled {theme.stamp(page.decided_at)}.")
    else:
        overdue = ", overdue" if page.due_at < session.now() else ""
        panels.quiet(
            f"{asked}, due {theme.day(page.due_at)}{overdue}. It needs "
            f"{theme.count(page.approvals_needed, 'approval')}; {page.approvals_given or 'none'} given yet."
        )
    st.text(page.comment)
    if page.state == RequestState.OPEN:
        who_decides(page)


def who_decides(page: DecisionPage) -> None:
    """Whether the reader may decide, and who else."""
    me = session.actor().name
    others = ", ".join(name for name in page.reviewers if name != me)
    if page.may_decide:
        panels.quiet(f"You may decide. So may {others}." if others else "You may decide, and nobody else.")
    elif others:
        panels.quiet(f"Can decide: {others}.")
    elif not page.reviewers:
        panels.notice(
            "Nobody can decide on this: every reviewer took part in it, or there is none.",
            "attention",
            detail="Ask an administrator to add a reviewer under Settings.",
        )


def standing(page: DecisionPage) -> None:
    """What keeps the evidence from being final: stale, failed, still being prepared."""
    again = "The evidence has to be prepared again" + (
        "." if page.may_renew else f": {page.requester or 'whoever asked'}, or whoever may ask, does that on this page."
    )
    for reason in page.stale:
        panels.notice(f"Stale: {reason}.", "attention", detail=again)
    if page.error:
        panels.refusal(page.error)
    elif page.state == RequestState.PREPARING and page.job_id is not None:
        panels.notice("The evidence is being prepared: candidate and champion are scored on the same rows.", "running")
        panels.job_progress(page.job_id)


try:
    page = reads.fresh(governance.decision_page, session.chosen_id("request") or 0, session.actor(), session.now())
except NotFound:
    panels.empty_state(
        "There is no such request",
        "It may have been named wrongly in the address.",
        button="See all requests",
        page="approvals",
    )
    st.stop()

with st.container(horizontal_alignment="center"), st.container(width=request_answers.WIDTH):
    head(page)
    standing(page)
    request_panels.verdict(page)
    request_panels.gates(page)
    request_panels.behaviour(page)
    request_panels.changed_decisions(page)
    request_panels.fairness(page)
    if page.evidence_digest:
        request_panels.surroundings(page)
    request_panels.folded(page)
    request_panels.decisions(page)
if page.state == RequestState.OPEN:
    request_answers.bar(page)
