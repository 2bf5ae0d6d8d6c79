"""Making requests, rolling back, policies, cards, the inbox, what a quarantine reaches."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, select

from core.artifacts import ArtifactStore
from core.errors import AlreadyExists, InvalidInput, NotApplicable, PermissionDenied, StaleRevision
from core.governance import policies, preparation, queries, service
from core.governance.gates import GATES
from core.governance.tables import PromotionRequest, RequestState
from core.jobs import service as jobs
from core.jobs.tables import Job, JobState
from core.permissions import Actor
from core.registry import queries as registry
from core.registry import service as registry_service
from core.registry.tables import Alias, Cause, Deployment, Environment, ModelVersion
from tests.core.governance.conftest import Story
from tests.factories import (
    key,
    make_dataset_version,
    make_model_version,
    make_open_request,
    make_run,
    make_stored_version,
)


def ask(session: Session, version: ModelVersion, actor: Actor, now: datetime, comment: str = "New data.") -> int:
    return key(service.request_promotion(session, version_id=key(version), comment=comment, actor=actor, now=now))


def assign(session: Session, version: ModelVersion, actor: Actor, now: datetime) -> Deployment:
    return registry_service.assign(
        session,
        version_id=key(version),
        environment=Environment.PRODUCTION,
        alias=Alias.CHAMPION,
        cause=Cause.PROMOTION,
        actor=actor,
        now=now,
    )


def test_a_request_waits_for_its_evidence_under_the_seeded_policy(
    scientist: Actor, now: datetime, session: Session
) -> None:
    request = queries.request(session, ask(session, make_model_version(session), scientist, now))
    assert (request.state, request.replaces_id, request.evidence) == (RequestState.PREPARING, None, None)
    policy = queries.policies(session)[0]
    assert (policy.number, policy.approvals, policy.author) == (1, 1, None)
    warning = {"card_complete", "behaviour_suite"}
    assert policy.gates == {code: "warning" if code in warning else "blocking" for code in GATES}
    assert 0 < policy.margins["roc_auc"] < 0.1
    job = session.get_one(Job, request.job_id)
    assert (job.kind, job.subject_id, job.state) == ("prepare_request", request.id, JobState.QUEUED)
    page = queries.decision_page(session, key(request), scientist, now)
    assert page.question.endswith("champion in production?")
    assert not page.may_decide


@pytest.mark.parametrize("who", ["viewer", "reviewer", "auditor", "administrator"])
def test_who_may_not_ask(request: pytest.FixtureRequest, who: str, now: datetime) -> None:
    actor = request.getfixturevalue(who)
    session = request.getfixturevalue("session")
    with pytest.raises(PermissionDenied, match="create a request"):
        ask(session, make_model_version(session), actor, now)


def test_a_second_request_for_the_same_move_is_refused(scientist: Actor, now: datetime, session: Session) -> None:
    version = make_model_version(session)
    first = ask(session, version, scientist, now)
    with pytest.raises(AlreadyExists, match=f"Request {first} asks"):
        ask(session, version, scientist, now)
    service.request_promotion(
        session, version_id=key(version), alias=Alias.SHADOW, comment="Shadow first.", actor=scientist, now=now
    )
    service.withdraw(session, request_id=first, actor=scientist, now=now)
    assert ask(session, version, scientist, now) != first


def test_what_is_live_already_is_not_asked_for(scientist: Actor, now: datetime, session: Session) -> None:
    version = make_model_version(session)
    assign(session, version, scientist, now)
    with pytest.raises(AlreadyExists, match="champion in production already"):
        ask(session, version, scientist, now)


def test_a_request_says_why(scientist: Actor, now: datetime, session: Session) -> None:
    with pytest.raises(InvalidInput, match="comment is empty"):
        ask(session, make_model_version(session), scientist, now, comment="  ")


def test_withdrawing_stops_the_preparation(scientist: Actor, now: datetime, session: Session) -> None:
    request_id = ask(session, make_model_version(session), scientist, now)
    request = service.withdraw(session, request_id=request_id, actor=scientist, now=now)
    assert session.get_one(Job, request.job_id).state == JobState.CANCELLED
    assert (request.state, request.error) == (RequestState.WITHDRAWN, None)


def test_a_failed_preparation_keeps_its_reason_and_can_be_renewed(
    scientist: Actor, now: datetime, session: Session
) -> None:
    request_id = ask(session, make_model_version(session), scientist, now)
    request = queries.request(session, request_id)
    assert request.job_id is not None
    jobs.request_cancel(session, job_id=request.job_id, now=now)
    assert (request.state, request.error) == (RequestState.PREPARING, "Preparing the evidence was cancelled.")
    (item,) = queries.inbox(session, scientist, now)
    assert (item.kind, item.params) == ("preparation_failed", {"request": request_id})
    first_job = session.get_one(Job, request.job_id)
    request = service.renew(session, request_id=request_id, actor=scientist, now=now)
    assert (request.error, request.revision) == (None, 2)
    assert queries.inbox(session, scientist, now) == []
    first_job.error = "late news of the first job"
    preparation.settle(session, first_job, now)
    assert request.error is None


def test_rolling_back_returns_to_the_version_before(
    operator: Actor, reviewer: Actor, now: datetime, session: Session
) -> None:
    first = make_model_version(session)
    versions = [first, *(make_model_version(session, model_id=first.model_id) for _ in range(2))]
    for hours, version in enumerate(versions):
        assign(session, version, reviewer, now + timedelta(hours=hours))

    def roll_back(hours: int) -> int:
        return service.roll_back(
            session,
            model_id=first.model_id,
            reason="It answers nonsense.",
            actor=operator,
            now=now + timedelta(hours=hours),
        ).version_id

    preview = queries.way_back(session, model_id=first.model_id)
    assert preview is not None
    assert (preview.version_id, preview.tested_at, preview.warning) == (versions[1].id, None, None)
    assert roll_back(5) == versions[1].id
    assert roll_back(6) == versions[0].id
    with pytest.raises(NotApplicable, match="nothing to roll back to"):
        roll_back(7)
    newest = registry.deployments(session, first.model_id)[0]
    assert (newest.version_number, newest.cause, newest.deployed_by) == (1, "rollback", "olga")


def test_without_a_champion_there_is_nothing_to_roll_back(operator: Actor, now: datetime, session: Session) -> None:
    version = make_model_version(session)
    with pytest.raises(NotApplicable, match="has no champion"):
        service.roll_back(session, model_id=version.model_id, reason="x", actor=operator, now=now)


@pytest.mark.parametrize("who", ["viewer", "reviewer", "scientist", "auditor", "administrator"])
def test_who_may_not_roll_back(request: pytest.FixtureRequest, who: str, now: datetime) -> None:
    actor = request.getfixturevalue(who)
    session = request.getfixturevalue("session")
    version = make_model_version(session)
    with pytest.raises(PermissionDenied, match="roll back a deployment"):
        service.roll_back(session, model_id=version.model_id, reason="x", actor=actor, now=now)


def test_a_rollback_has_a_reason(operator: Actor, now: datetime, session: Session) -> None:
    version = make_model_version(session)
    with pytest.raises(InvalidInput, match="reason"):
        service.roll_back(session, model_id=version.model_id, reason="", actor=operator, now=now)


def test_rolling_back_to_quarantined_data_is_warned_of_and_allowed(
    operator: Actor, reviewer: Actor, now: datetime, session: Session
) -> None:
    data = make_dataset_version(session, quarantined_at=now, quarantine_reason="Labels were wrong.")
    first = make_model_version(session, run_id=key(make_run(session, dataset_version_id=data.id)))
    second = make_model_version(session, model_id=first.model_id)
    for version in (first, second):
        assign(session, version, reviewer, now)
    preview = queries.way_back(session, model_id=first.model_id)
    assert preview is not None
    assert "quarantined now" in (preview.warning or "")
    deployment = service.roll_back(session, model_id=first.model_id, reason="Worse.", actor=operator, now=now)
    assert deployment.version_id == first.id


def test_a_new_policy_is_a_new_version_and_keeps_what_it_does_not_say(
    reviewer: Actor, now: datetime, session: Session
) -> None:
    policies.ensure_seeded_policy(session, now)
    policy = policies.save_policy(
        session,
        gates={"smoke_test": "blocking"},
        margins={"roc_auc": 0.002},
        approvals=2,
        reason="Tighter.",
        actor=reviewer,
        now=now,
    )
    assert (policy.number, policy.author_id, policy.margins["roc_auc"]) == (2, reviewer.user_id, 0.002)
    assert set(policy.margins) == set(queries.policies(session)[1].margins)
    assert queries.current_policy(session) == policy


@pytest.mark.parametrize(
    "over",
    [
        {"gates": {"no_such": "blocking"}},
        {"gates": {"smoke_test": "perhaps"}},
        {"margins": {"no_such": 0.1}},
        {"margins": {"roc_auc": -0.1}},
        {"margins": {"roc_auc": float("nan")}},
        {"approvals": 0},
        {"approvals": 6},
        {"reason": " "},
    ],
)
def test_a_policy_that_cannot_hold_is_refused(
    reviewer: Actor, over: dict[str, object], now: datetime, session: Session
) -> None:
    whole = {"gates": {}, "margins": {}, "approvals": 1, "reason": "x", "actor": reviewer, "now": now, **over}
    with pytest.raises(InvalidInput):
        policies.save_policy(session, **whole)  # type: ignore[arg-type]


def test_a_scientist_may_not_write_the_policy(scientist: Actor, now: datetime, session: Session) -> None:
    with pytest.raises(PermissionDenied, match="edit a policy"):
        policies.save_policy(session, gates={}, margins={}, approvals=1, reason="x", actor=scientist, now=now)


def test_a_card_is_edited_by_revision(
    scientist: Actor, viewer: Actor, reviewer: Actor, now: datetime, session: Session
) -> None:
    version_id = key(make_model_version(session))
    draft = queries.card(session, version_id)
    assert draft.revision == 0
    edit = {"limitations": "Not for minors.", "owner": "Team A"}
    for actor in (viewer, reviewer):
        with pytest.raises(PermissionDenied, match="edit a card"):
            service.edit_card(session, version_id=version_id, sections=edit, revision=0, actor=actor, now=now)
    service.edit_card(session, version_id=version_id, sections=edit, revision=0, actor=scientist, now=now)
    card = queries.card(session, version_id)
    assert (card.revision, card.edited_by, card.sections["limitations"]) == (1, "sam", "Not for minors.")
    assert card.sections["training_data"] == draft.sections["training_data"]
    assert len(card.blanks) == len(draft.blanks) - 2
    with pytest.raises(StaleRevision, match="sam saved this card"):
        service.edit_card(session, version_id=version_id, sections=edit, revision=0, actor=scientist, now=now)
    with pytest.raises(InvalidInput, match="no section weather"):
        service.edit_card(
            session, version_id=version_id, sections={"weather": "x"}, revision=1, actor=scientist, now=now
        )


def test_the_inbox_tells_each_person_what_waits_for_them(
    story: Story, viewer: Actor, now: datetime, store: ArtifactStore, session: Session
) -> None:
    (item,) = queries.inbox(session, story.reviewer, now)
    assert (item.kind, item.page, item.params) == ("decide", "request", {"request": story.request_id})
    assert "overdue" not in item.reason
    assert "overdue" in queries.inbox(session, story.reviewer, now + timedelta(days=9))[0].reason
    for actor in (story.requester, story.uploader, story.launcher, viewer):
        assert queries.inbox(session, actor, now) == []
    make_run(session, requested_by=viewer.user_id, state="failed", error="Too few rows.")
    (failed,) = queries.inbox(session, viewer, now)
    assert (failed.kind, failed.reason) == ("run_failed", "Too few rows.")
    assert queries.inbox(session, viewer, now + timedelta(days=8)) == []
    service.decide(
        session,
        store,
        request_id=story.request_id,
        kind="approve",  # type: ignore[arg-type]
        comment="",
        evidence_digest=story.digest,
        actor=story.reviewer,
        now=now,
    )
    assert queries.inbox(session, story.reviewer, now) == []
    (told,) = queries.inbox(session, story.requester, now)
    assert (told.kind, told.reason) == ("decided", "rita approved it.")


def test_a_quarantine_reaches_what_was_trained_on_the_data_and_on_what_adds_to_it(
    scientist: Actor, now: datetime, session: Session
) -> None:
    first = make_dataset_version(session)
    adds = make_dataset_version(session, dataset_id=first.dataset_id, relation="adds_to", parent_id=first.id)
    replaces = make_dataset_version(session, dataset_id=first.dataset_id, relation="replaces", parent_id=first.id)
    live = make_model_version(session, run_id=key(make_run(session, dataset_version_id=adds.id)))
    asked = make_model_version(session, run_id=key(make_run(session, dataset_version_id=first.id)))
    apart = make_model_version(session, run_id=key(make_run(session, dataset_version_id=replaces.id)))
    for version in (live, apart):
        assign(session, version, scientist, now)
    ask(session, asked, scientist, now)
    impact = queries.quarantine_impact(session, key(first))
    assert impact.dataset_version_ids == (first.id, adds.id)
    assert [row.version_id for row in impact.live] == [live.id]
    assert [row.version_id for row in impact.requests] == [asked.id]


def test_lists_split_the_open_from_the_decided(
    story: Story, now: datetime, store: ArtifactStore, session: Session
) -> None:
    later = make_open_request(
        session,
        version=make_stored_version(session, store),
        due_at=now + timedelta(days=1),
        gates={"smoke_test": "failed", "card_complete": "failed"},
    )
    rows = queries.open_requests(session)
    assert [row.id for row in rows] == [later.id, story.request_id]
    assert [(row.n_blocking, row.n_warnings, row.requester) for row in rows] == [(1, 1, None), (0, 0, "rosa")]
    service.withdraw(session, request_id=story.request_id, actor=story.requester, now=now)
    assert [row.id for row in queries.decided_requests(session)] == [story.request_id]
    assert session.exec(select(PromotionRequest.state).where(PromotionRequest.id == later.id)).one() == "open"
