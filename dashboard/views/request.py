"""The decision page: one question, the evidence with its uncertainty, and three answers."""

from datetime import UTC, datetime, time, timedelta

import streamlit as st

from core.access import queries as access
from core.collaboration import queries as collaboration
from core.collaboration import service as remarks
from core.datasets import queries as datasets
from core.datasets.tables import Outcome
from core.errors import NotFound
from core.evaluation.metrics import METRICS
from core.governance import queries as governance
from core.governance import service
from core.governance.cards import CARD_SECTIONS, blanks
from core.governance.gates import GATES
from core.governance.queries import GateRow
from core.governance.tables import DecisionKind, RequestState
from core.permissions import Permission
from dashboard import panels, reads, session, theme
from dashboard.charts import comparing as charts
from dashboard.panels import Moment, Row
from dashboard.theme import Role

VERDICTS = {"better": "better", "not_worse": "not worse", "worse": "worse", "inconclusive": "inconclusive"}
SETS = {"fixed": "fixed evaluation set", "latest": "latest evaluation set"}
ANSWERS = {
    DecisionKind.APPROVE: ("Approve", ":material/check:"),
    DecisionKind.REQUEST_CHANGES: ("Request changes", ":material/edit_note:"),
    DecisionKind.REJECT: ("Reject", ":material/close:"),
}

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


def draft_key() -> str:
    return f"request_draft_{page.request_id}"


@st.dialog("Your decision")
def decide(kind: DecisionKind) -> None:
    said = {
        DecisionKind.APPROVE: f"{page.version_label} goes live as {page.alias} in {page.environment} at once"
        + (f", in place of {page.replaces_label}." if page.replaces_label else ".")
        if page.approvals_given + 1 >= page.approvals_needed
        else f"This is approval {page.approvals_given + 1} of {page.approvals_needed}; nothing goes live yet.",
        DecisionKind.REQUEST_CHANGES: f"{page.requester} is asked to change something and ask again.",
        DecisionKind.REJECT: "The request is closed for good. Nothing goes live; a new request can be made.",
    }[kind]
    st.text(said)
    comment = st.text_area(
        "Comment" if kind == DecisionKind.APPROVE else "Comment (needed)",
        value=st.session_state.get(draft_key(), ""),
        key="decision_comment",
        placeholder="What convinced you, or what is missing",
    )
    st.session_state[draft_key()] = comment
    word, icon = ANSWERS[kind]
    if st.button(word, type="primary", icon=icon, key="decision_confirm"):
        with session.act(f"{word}: recorded") as writing:
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
        st.session_state.pop(draft_key(), None)
        if page.next_request_id is not None:
            session.open_page("request", request=page.next_request_id)
        st.rerun()


@st.dialog("Waive a gate")
def waive(gate: GateRow) -> None:
    st.text(gate.explanation)
    panels.quiet("A waiver is on record with your name, for this evidence only, and ends on its date.")
    reason = st.text_area("Reason", key="waiver_reason")
    until = st.date_input("Until", value=(session.now() + timedelta(days=30)).date(), key="waiver_until")
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


def renew() -> None:
    with session.act("Preparing the evidence again", in_callback=True) as writing:
        service.renew(writing, request_id=page.request_id, actor=session.actor(), now=session.now())


def withdraw() -> None:
    with session.act("Request withdrawn", in_callback=True) as writing:
        service.withdraw(writing, request_id=page.request_id, actor=session.actor(), now=session.now())


def show_verdict() -> None:
    if not page.comparisons and page.dummy is None:
        return
    if page.comparisons:
        first = page.comparisons[0]
        title = METRICS[first["metric"]].title
        verdicts = [f"{VERDICTS[one['verdict']]} on the {SETS[one['set']]}" for one in page.comparisons]
        panels.section(
            f"{page.version_label} is {' and '.join(verdicts)}",
            f"The difference in {title} to {page.replaces_label} on the same rows, with its 95 % interval. The shaded "
            f"part is the margin of {first['margin']:g} within which the policy counts it as not worse.",
        )
        rows = [
            charts.Difference(
                SETS[one["set"]],
                one["effect"],
                one["low"],
                one["high"],
                VERDICTS[one["verdict"]],
                harm=one["verdict"] == "worse",
            )
            for one in page.comparisons
        ]
        panels.figure(
            charts.differences(rows, margin=first["margin"], metric=title, colours=theme.colours()),
            key="request_verdict",
            alt="; ".join(one["sentence"] for one in page.comparisons),
        )
        for one in page.comparisons:
            left_out = (
                f", {one['n_left_out']:,} left out because a model had trained on them" if one["n_left_out"] else ""
            )
            panels.quiet(
                f"{theme.words(SETS[one['set']])}: {theme.difference(one['effect'])} [{theme.difference(one['low'])}, "
                f"{theme.difference(one['high'])}] on {one['n_rows']:,} rows{left_out}; "
                f"the smallest difference these rows could have shown is {theme.number(one['smallest_effect'])}."
            )
    else:
        panels.section(
            f"{page.version_label} would be the first champion",
            "Nothing is live to compare with, so it is held against the dummy that ignores every feature.",
        )
    if page.dummy:
        panels.quiet(f"Against the dummy: {page.dummy['sentence']}")
    if own := page.metrics.get("candidate"):
        champion = page.metrics.get("champion") or {}
        with st.expander("All metrics"):
            panels.table(
                [
                    Row(
                        {
                            "Metric": METRICS[key].title,
                            page.version_label: theme.interval(value["value"], value["low"], value["high"]),
                            page.replaces_label or "live": theme.interval(
                                champion[key]["value"], champion[key]["low"], champion[key]["high"]
                            )
                            if key in champion
                            else theme.MISSING,
                            "Better when": "higher" if METRICS[key].greater_is_better else "lower",
                        }
                    )
                    for key, value in own.items()
                    if key in METRICS
                ],
                key="request_metrics",
            )


def show_gates() -> None:
    if not page.gates:
        return
    blocking = [gate for gate in page.gates if gate.blocks]
    attention = [gate for gate in page.gates if gate.blocks or gate.waived_by or gate.outcome == Outcome.FAILED]
    rest = [gate for gate in page.gates if gate not in attention]
    panels.section(
        f"Blocking: {len(blocking) or 'none'}. Warnings: {page.n_warnings or 'none'}.",
        f"By promotion policy {page.policy_number}.",
    )
    for gate in attention:
        role: Role = "attention" if gate.waived_by is None else "neutral"
        waived = (
            f"Waived by {gate.waived_by} until {theme.day(gate.waived_until)}: {gate.waiver_reason}"
            if gate.waived_by
            else ("It blocks." if gate.blocks else "It warns.")
        )
        panels.notice(f"{gate.title}: {gate.explanation}", role, detail=waived)
        if gate.blocks and page.may_waive and st.button("Waive this gate", key=f"waive_{gate.code}"):
            waive(gate)
    passed = sum(gate.outcome == Outcome.PASSED for gate in rest)
    with st.expander(f"{passed} of {len(page.gates)} gates passed"):
        for gate in rest:
            panels.status(
                f"{GATES[gate.code].title}: {theme.words(gate.outcome).lower()}",
                "healthy" if gate.outcome == Outcome.PASSED else "neutral",
            )
            panels.quiet(gate.explanation)


def show_changed() -> None:
    if page.changed:
        n, rows = page.changed["n_changed"], page.changed["n_rows"]
        panels.section(
            f"{n:,} of {rows:,} decisions change ({theme.percent(n / rows if rows else 0)}): "
            f"{page.changed['n_corrected']:,} corrected, {page.changed['n_broken']:,} broken",
            "Rows of the evaluation set that the candidate answers differently from what is live.",
        )
        if page.changed_by_slice:
            worst = page.changed_by_slice[0]
            panels.quiet(
                f"Worst slice: {worst['slice']}, {worst['corrected']:,} corrected and {worst['broken']:,} broken of "
                f"{worst['n']:,} rows."
            )
            with st.expander(f"By slice: {theme.count(len(page.changed_by_slice), 'slice')}"):
                show_slices()
    for gap in page.fairness:
        panels.section(f"Fairness by {gap['column']}", gap["sentence"])


def show_slices() -> None:
    panels.table(
        [
            Row(
                {
                    "Slice": one["slice"],
                    "Rows": theme.number(one["n"]),
                    "Corrected": theme.number(one["corrected"]),
                    "Broken": theme.number(one["broken"]),
                    "Net": theme.difference(float(one["corrected"] - one["broken"]), 0),
                }
            )
            for one in page.changed_by_slice
        ],
        key="request_slices",
        right=("Rows", "Corrected", "Broken", "Net"),
    )


def show_surroundings() -> None:
    if not page.replaces_label:
        panels.section("No live version to hold the data against")
    elif page.data_changes:
        panels.section("What changed in the data")
    else:
        panels.section("The data is the same as the live version's")
    for sentence in page.data_changes[:5]:
        st.text(sentence)
    frozen = page.drift["sentence"] if page.drift else "no window had been computed when this was requested"
    panels.quiet(f"Drift when requested: {frozen}")
    if page.drift_now and page.drift_now != page.drift:
        panels.quiet(f"Drift now (binds nothing): {page.drift_now['sentence']}")
    if page.way_back:
        tested = f"last tested {theme.day(page.way_back.tested_at)}" if page.way_back.tested_at else "never tested"
        panels.section(
            f"The way back is {page.way_back.label}", f"One click on Deployments; rolling back was {tested}."
        )
        if page.way_back.warning:
            panels.notice(page.way_back.warning, "attention")
    elif not page.replaces_label:
        panels.section("There is no way back yet", "Nothing was live before; a rollback has nowhere to go.")


def show_folded() -> None:
    missing = blanks(page.card.sections)
    with st.expander(f"Model card: {theme.count(len(missing), 'blank section')}"):
        for key, section in CARD_SECTIONS.items():
            panels.quiet(section.title)
            st.text(page.card.sections.get(key, "") or theme.MISSING)
    with st.expander("Lineage"):
        people = reads.audited(access.user_names)
        for source in page.lineage.sources:
            name = reads.audited(datasets.version_label, source.dataset_version_id)
            st.text(f"{name}, uploaded by {people.get(source.uploaded_by or 0, 'shell')}")
        st.text(f"Run {page.run_id}, launched by {people.get(page.lineage.launched_by or 0, 'shell')}")
        if st.button("Open the run"):
            session.open_page("run", run=page.run_id)
    said = reads.audited(collaboration.comments, "promotion_request", page.request_id)
    with st.expander(f"Discussion: {theme.count(len(said), 'comment')}"):
        people = reads.audited(access.user_names)
        panels.timeline(
            [Moment(":material/chat:", one.body, people.get(one.author_id, ""), one.written_at) for one in said]
        )
        if session.may(Permission.COMMENT_ADD):
            with st.form("comment", border=False, clear_on_submit=True):
                body = st.text_area("Comment", key="comment_body")
                if st.form_submit_button("Add"):
                    with session.act("Comment added") as writing:
                        remarks.add_comment(
                            writing,
                            subject_kind="promotion_request",
                            subject_id=page.request_id,
                            body=body,
                            actor=session.actor(),
                            now=session.now(),
                        )
                    st.rerun()
    if page.decisions:
        panels.section("Decisions")
        panels.timeline(
            [
                Moment(
                    ANSWERS[DecisionKind(one.kind)][1],
                    theme.words(one.kind)
                    + (f": {one.comment}" if one.comment else "")
                    + ("" if one.counts else " (on earlier evidence)"),
                    one.user,
                    one.decided_at,
                )
                for one in page.decisions
            ]
        )
    panels.technical(
        {
            "Request": str(page.request_id),
            "Evidence": theme.short_hash(page.evidence_digest),
            "Prepared": page.prepared_at or theme.MISSING,
            "Policy": str(page.policy_number),
        }
    )


def show_answers() -> None:
    with st.bottom, st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for kind, (word, icon) in ANSWERS.items():
            shut = not page.may_decide or (kind == DecisionKind.APPROVE and bool(page.n_blocking or page.stale))
            primary = kind == DecisionKind.APPROVE
            if st.button(
                word, icon=icon, type="primary" if primary else "secondary", disabled=shut, key=f"answer_{kind}"
            ):
                decide(kind)
        if not page.may_decide:
            panels.quiet(page.reason or "")
        elif page.stale:
            panels.quiet("Stale: it has to be prepared again before it can be approved.")
        elif page.n_blocking:
            panels.quiet(f"Approving is blocked by {theme.count(page.n_blocking, 'gate')}.")


with panels.header(page.question):
    if page.may_withdraw:
        st.button("Withdraw", on_click=withdraw)
    if page.may_renew and (page.stale or page.error or page.state == RequestState.CHANGES_REQUESTED):
        st.button("Prepare the evidence again", on_click=renew, icon=":material/refresh:")
panels.status(theme.words(page.state), "done" if page.state == RequestState.APPROVED else "neutral")
panels.quiet(
    f"Asked by {page.requester or 'shell'} {theme.ago(page.requested_at, session.now())}, "
    f"due {theme.day(page.due_at)}. {page.approvals_given} of {theme.count(page.approvals_needed, 'approval')} given."
)
st.text(page.comment)
if page.state == RequestState.OPEN and not page.may_decide:
    panels.quiet(page.reason or "")
if page.state == RequestState.OPEN:
    if page.reviewers:
        panels.quiet(f"Can decide: {', '.join(page.reviewers)}.")
    else:
        panels.notice(
            "Nobody can decide on this: every reviewer took part in it, or there is none.",
            "attention",
            detail="Ask an administrator to add a reviewer under Settings.",
        )
for reason in page.stale:
    panels.notice(f"Stale: {reason}", "attention", detail="The evidence has to be prepared again.")
if page.error:
    panels.refusal(page.error)
if page.state == RequestState.PREPARING and page.job_id is not None and not page.error:
    panels.notice("The evidence is being prepared: candidate and champion are scored on the same rows.", "running")
    panels.job_progress(page.job_id)

show_verdict()
show_gates()
show_changed()
if page.evidence_digest:
    show_surroundings()
show_folded()
if page.state == RequestState.OPEN:
    show_answers()
