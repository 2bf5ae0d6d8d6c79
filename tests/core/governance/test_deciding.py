"""Deciding on requests: who may, on what, and what an approval does."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from core.artifacts import ArtifactStore
from core.audit.service import verify
from core.audit.tables import AuditEvent
from core.datasets.tables import CheckResult, DatasetVersion
from core.errors import (
    AlreadyExists,
    ConflictOfInterest,
    GatesFailed,
    InvalidInput,
    InvalidTransition,
    NotFound,
    PermissionDenied,
    StaleRevision,
)
from core.evaluation.tables import Evaluation, MetricValue
from core.governance import policies, queries, service
from core.governance.gates import GATES
from core.governance.tables import Decision, DecisionKind, ModelCard, PromotionRequest, RequestState
from core.monitoring.tables import Monitor
from core.permissions import Actor, Role
from core.registry import queries as registry
from core.registry import service as registry_service
from core.registry.tables import Alias, Cause, Environment, ModelVersion
from core.training.tables import Run
from tests.core.governance.conftest import Story
from tests.factories import key, make_check, make_model_version, make_open_request, make_stored_version


def decide(
    session: Session,
    store: ArtifactStore,
    story: Story,
    actor: Actor,
    now: datetime,
    kind: DecisionKind = DecisionKind.APPROVE,
    comment: str = "Looks right.",
    digest: str | None = None,
) -> PromotionRequest:
    return service.decide(
        session,
        store,
        request_id=story.request_id,
        kind=kind,
        comment=comment,
        evidence_digest=story.digest if digest is None else digest,
        actor=actor,
        now=now,
    )


def test_the_last_approval_makes_the_version_live_with_a_monitor_in_one_action(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    request = decide(session, store, story, story.reviewer, now)
    assert (request.state, request.decided_at) == (RequestState.APPROVED, now)
    live = registry.live(session, model_id=story.version.model_id)
    assert live is not None
    assert (live.version_id, live.request_id, live.cause) == (story.version.id, story.request_id, "promotion")
    assert session.exec(select(Monitor.model_id)).all() == [story.version.model_id]
    events = session.exec(select(AuditEvent).order_by(col(AuditEvent.number).desc()).limit(2)).all()
    assert [event.action for event in events] == ["deployment.started", "promotion_request.approved"]
    assert len({event.action_id for event in events}) == 1
    assert verify(session).intact


@pytest.mark.parametrize("role", [role for role in Role if role != Role.REVIEWER])
def test_only_a_reviewer_decides(
    story: Story, role: Role, now: datetime, store: ArtifactStore, session: Session
) -> None:
    actor = Actor(user_id=story.reviewer.user_id, name="rita", roles=frozenset({role}), via="browser")
    with pytest.raises(PermissionDenied, match="decide a request"):
        decide(session, store, story, actor, now)
    assert not queries.decision_page(session, story.request_id, actor, now).may_decide


@pytest.mark.parametrize(
    ("who", "part"),
    [("uploader", "uploaded the data"), ("launcher", "launched the run"), ("requester", "made the request")],
)
@pytest.mark.parametrize("kind", list(DecisionKind))
def test_who_took_part_does_not_decide(
    story: Story, who: str, part: str, kind: DecisionKind, now: datetime, store: ArtifactStore, session: Session
) -> None:
    actor = getattr(story, who)
    with pytest.raises(ConflictOfInterest, match=part):
        decide(session, store, story, actor, now, kind)
    page = queries.decision_page(session, story.request_id, actor, now)
    assert not page.may_decide
    assert part in (page.reason or "")
    assert page.reviewers == ("rita",)


def test_who_wrote_the_policy_does_not_decide_under_it(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    policies.save_policy(
        session,
        gates=dict.fromkeys(GATES, "blocking"),
        margins={},
        approvals=1,
        reason="Stricter.",
        actor=story.reviewer,
        now=now,
    )
    request = make_open_request(
        session, version=make_stored_version(session, store), requested_by=story.requester.user_id
    )
    assert request.evidence_digest is not None
    with pytest.raises(ConflictOfInterest, match="wrote the promotion policy"):
        service.decide(
            session,
            store,
            request_id=key(request),
            kind=DecisionKind.APPROVE,
            comment="",
            evidence_digest=request.evidence_digest,
            actor=story.reviewer,
            now=now,
        )


def test_before_a_request_the_possible_reviewers_are_named(story: Story, now: datetime, session: Session) -> None:
    assert queries.who_can_approve(session, key(story.version), story.requester.user_id) == ["rita"]
    assert queries.who_can_approve(session, key(story.version), story.reviewer.user_id) == ["rosa"]
    assert queries.who_can_approve(session, key(story.version), None) == ["rita", "rosa"]


@pytest.mark.parametrize("kind", [DecisionKind.REJECT, DecisionKind.REQUEST_CHANGES])
def test_without_approving_a_comment_is_needed(
    story: Story, kind: DecisionKind, now: datetime, store: ArtifactStore, session: Session
) -> None:
    with pytest.raises(InvalidInput, match="comment"):
        decide(session, store, story, story.reviewer, now, kind, comment=" ")
    request = decide(session, store, story, story.reviewer, now, kind, comment="Explain the drop for women.")
    assert request.state == {"reject": "rejected", "request_changes": "changes_requested"}[kind]
    assert registry.live(session, model_id=story.version.model_id) is None


def test_a_rejected_request_is_never_approved(
    story: Story, second_reviewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    decide(session, store, story, story.reviewer, now, DecisionKind.REJECT)
    with pytest.raises(StaleRevision, match="rita decided first: this request is rejected"):
        decide(session, store, story, second_reviewer, now)


def change_artifact(session: Session, story: Story) -> None:
    session.get_one(ModelVersion, story.version.id).model_sha256 = "0" * 64


def change_predictions(session: Session, story: Story) -> None:
    session.exec(select(Evaluation)).one().predictions_sha256 = "0" * 64


def change_metric(session: Session, story: Story) -> None:
    session.exec(select(MetricValue)).one().value = 0.99


def change_checks(session: Session, story: Story) -> None:
    make_check(session, version_id=_data(session, story), code="late", outcome="failed")


def change_a_check(session: Session, story: Story) -> None:
    session.exec(select(CheckResult)).one().outcome = "failed"


def change_card(session: Session, story: Story) -> None:
    service.edit_card(
        session,
        version_id=key(story.version),
        sections={"limitations": "None known."},
        revision=1,
        actor=story.requester,
        now=story.request.requested_at,
    )


def change_policy(session: Session, story: Story) -> None:
    policies.save_policy(
        session,
        gates={"smoke_test": "warning"},
        margins={},
        approvals=1,
        reason="Looser.",
        actor=story.uploader,
        now=story.request.requested_at,
    )


def quarantine(session: Session, story: Story) -> None:
    version = session.get_one(DatasetVersion, _data(session, story))
    version.quarantined_at, version.quarantine_reason = story.request.requested_at, "Labels were wrong."


def another_champion(session: Session, story: Story) -> None:
    other = make_model_version(session, model_id=story.version.model_id)
    registry_service.assign(
        session,
        version_id=key(other),
        environment=Environment.PRODUCTION,
        alias=Alias.CHAMPION,
        cause=Cause.PROMOTION,
        actor=story.reviewer,
        now=story.request.requested_at,
    )


def edit_evidence(session: Session, story: Story) -> None:
    request = session.get_one(PromotionRequest, story.request_id)
    assert request.evidence is not None
    request.evidence = {**request.evidence, "gates": []}


def _data(session: Session, story: Story) -> int:
    return session.get_one(Run, story.version.run_id).dataset_version_id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_artifact, "model file changed"),
        (change_predictions, "predictions the verdicts were computed from changed"),
        (change_metric, "predictions the verdicts were computed from changed"),
        (change_checks, "checks of the training data changed"),
        (change_a_check, "checks of the training data changed"),
        (change_card, "model card was edited"),
        (change_policy, "promotion policy changed"),
        (quarantine, "quarantine state"),
        (another_champion, "another version became live"),
        (edit_evidence, "stored evidence was changed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_approval_is_refused_when_what_it_is_bound_to_changed(
    story: Story, change: object, words: str, now: datetime, store: ArtifactStore, session: Session
) -> None:
    assert queries.decision_page(session, story.request_id, story.reviewer, now).stale == ()
    change(session, story)  # type: ignore[operator]
    session.flush()
    with pytest.raises(StaleRevision, match=words):
        decide(session, store, story, story.reviewer, now)
    assert queries.request(session, story.request_id).state == RequestState.OPEN
    assert session.exec(select(Decision)).all() == []
    page = queries.decision_page(session, story.request_id, story.reviewer, now)
    assert any(words in reason for reason in page.stale)
    assert "stale" in [item.kind for item in queries.inbox(session, story.requester, now)]


def test_an_approval_is_refused_when_the_model_file_is_gone_or_shorter(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    path = store.path(story.version.model_sha256)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(StaleRevision, match="another size"):
        decide(session, store, story, story.reviewer, now)
    path.unlink()
    with pytest.raises(StaleRevision, match="gone from the artifact store"):
        decide(session, store, story, story.reviewer, now)


def test_a_decision_on_evidence_prepared_again_since_is_refused(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    with pytest.raises(StaleRevision, match="prepared again"):
        decide(session, store, story, story.reviewer, now, digest="0" * 64)


def test_a_blocking_gate_stands_in_the_way_until_it_is_waived(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    request = make_open_request(
        session,
        version=make_stored_version(session, store),
        requested_by=story.requester.user_id,
        gates={"not_worse_fixed": "failed", "card_complete": "failed"},
    )
    blocked = Story(story.uploader, story.launcher, story.requester, story.reviewer, story.version, request)
    with pytest.raises(GatesFailed, match="1 blocking gate did not pass"):
        decide(session, store, blocked, story.reviewer, now)
    page = queries.decision_page(session, key(request), story.reviewer, now)
    assert (page.n_blocking, page.n_warnings) == (1, 1)
    until = now + timedelta(days=30)
    waive(session, key(request), story.reviewer, now, until)
    page = queries.decision_page(session, key(request), story.reviewer, now)
    assert (page.n_blocking, page.n_warnings) == (0, 1)
    assert next(row for row in page.gates if row.code == "not_worse_fixed").waived_by == "rita"
    with pytest.raises(GatesFailed):
        decide(session, store, blocked, story.reviewer, until)
    assert decide(session, store, blocked, story.reviewer, now).state == RequestState.APPROVED


def waive(
    session: Session, request_id: int, actor: Actor, now: datetime, until: datetime, gate: str = "not_worse_fixed"
) -> None:
    service.grant_waiver(
        session, request_id=request_id, gate=gate, reason="The margin is wrong.", until=until, actor=actor, now=now
    )


def test_a_waiver_needs_a_reviewer_without_a_part_a_failed_gate_and_an_end(
    story: Story, viewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    request = make_open_request(
        session,
        version=make_stored_version(session, store),
        requested_by=story.requester.user_id,
        gates={"not_worse_fixed": "failed", "card_complete": "failed"},
    )
    until = now + timedelta(days=1)
    with pytest.raises(PermissionDenied):
        waive(session, key(request), viewer, now, until)
    with pytest.raises(ConflictOfInterest, match="made the request"):
        waive(session, key(request), story.requester, now, until)
    with pytest.raises(InvalidInput, match="ends in the future"):
        waive(session, key(request), story.reviewer, now, now)
    for harmless in ("smoke_test", "card_complete", "no such gate"):
        with pytest.raises(InvalidInput, match="blocking: not_worse_fixed"):
            waive(session, key(request), story.reviewer, now, until, harmless)
    waive(session, key(request), story.reviewer, now, until)
    with pytest.raises(AlreadyExists, match="rita waived"):
        waive(session, key(request), story.reviewer, now, until)
    waive(session, key(request), story.reviewer, until, until + timedelta(days=1))
    assert len(queries.waivers(session, key(request))) == 1


def test_two_approvals_take_two_people(
    reviewer: Actor, second_reviewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    author = Actor(user_id=None, name="author", roles=frozenset({Role.REVIEWER}), via="shell")
    policies.save_policy(session, gates={}, margins={}, approvals=2, reason="Four eyes.", actor=author, now=now)
    request = make_open_request(session, version=make_stored_version(session, store))
    assert request.evidence_digest is not None

    def approve(actor: Actor) -> PromotionRequest:
        assert request.evidence_digest is not None
        return service.decide(
            session,
            store,
            request_id=key(request),
            kind=DecisionKind.APPROVE,
            comment="",
            evidence_digest=request.evidence_digest,
            actor=actor,
            now=now,
        )

    assert approve(reviewer).state == RequestState.OPEN
    with pytest.raises(AlreadyExists, match="decided already"):
        approve(reviewer)
    page = queries.decision_page(session, key(request), reviewer, now)
    assert (page.approvals_given, page.approvals_needed, page.may_decide) == (1, 2, False)
    assert approve(second_reviewer).state == RequestState.APPROVED


def test_changes_asked_for_can_be_renewed_and_the_old_decision_no_longer_counts(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    decide(session, store, story, story.reviewer, now, DecisionKind.REQUEST_CHANGES)
    assert [item.kind for item in queries.inbox(session, story.requester, now)] == ["changes_requested"]
    request = service.renew(session, request_id=story.request_id, actor=story.requester, now=now)
    assert (request.state, request.revision, request.evidence) == (RequestState.PREPARING, 2, None)
    with pytest.raises(InvalidTransition, match="preparing"):
        decide(session, store, story, story.reviewer, now)
    with pytest.raises(InvalidTransition, match="until that has ended"):
        service.renew(session, request_id=story.request_id, actor=story.requester, now=now)
    page = queries.decision_page(session, story.request_id, story.reviewer, now)
    assert [row.counts for row in page.decisions] == [False]


def test_a_viewer_may_not_renew(story: Story, viewer: Actor, now: datetime, session: Session) -> None:
    with pytest.raises(PermissionDenied):
        service.renew(session, request_id=story.request_id, actor=viewer, now=now)


def test_only_who_made_a_request_withdraws_it(
    story: Story, viewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    with pytest.raises(PermissionDenied):
        service.withdraw(session, request_id=story.request_id, actor=viewer, now=now)
    with pytest.raises(PermissionDenied, match="Only who made"):
        service.withdraw(session, request_id=story.request_id, actor=story.launcher, now=now)
    assert service.withdraw(session, request_id=story.request_id, actor=story.requester, now=now).state == "withdrawn"
    with pytest.raises(InvalidTransition, match="withdrawn"):
        decide(session, store, story, story.reviewer, now)
    assert [row.id for row in queries.decided_requests(session)] == [story.request_id]


def test_there_is_no_request_of_that_number(
    reviewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    with pytest.raises(NotFound, match="promotion request 77"):
        service.decide(
            session,
            store,
            request_id=77,
            kind=DecisionKind.APPROVE,
            comment="",
            evidence_digest="",
            actor=reviewer,
            now=now,
        )


def test_the_card_is_read_as_the_request_kept_it(story: Story, session: Session) -> None:
    card = queries.card(session, key(story.version))
    assert card.revision == 1
    assert session.get_one(ModelCard, story.version.id).edited_by is None
    assert "Intended use" in card.blanks
