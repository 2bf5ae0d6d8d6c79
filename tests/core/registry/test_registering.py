"""Registering versions, finding them, and following them back to their people."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from core.audit.tables import AuditEvent
from core.errors import AlreadyExists, InvalidInput, InvalidTransition, NotApplicable, NotFound, PermissionDenied
from core.evaluation import queries as evaluations
from core.evaluation.threshold_choices import ThresholdChoice, threshold_sentence
from core.jobs.tables import Job
from core.permissions import Actor
from core.registry import queries, service
from core.registry.tables import Alias, Cause, Deployment, Environment
from core.training.tables import Run
from core.workspace import Workspace
from tests.factories import (
    fresh_sha256,
    key,
    make_dataset_version,
    make_evaluation,
    make_model_version,
    make_run,
    make_upload,
)


def test_a_finished_run_becomes_version_1_of_a_new_model(scientist: Actor, now: datetime, session: Session) -> None:
    run = make_run(session)
    version = service.register_version(session, run_id=key(run), model_name=" income ", actor=scientist, now=now)
    model = queries.model(session, version.model_id)
    assert (model.name, model.task, model.target, model.owner_id) == ("income", "binary", "income", scientist.user_id)
    assert version.number == 1
    assert version.model_sha256 == run.model_sha256
    assert queries.version_label(session, key(version)) == "income v1"
    actions = session.exec(select(AuditEvent.action).order_by(col(AuditEvent.number))).all()
    assert actions == [
        "registered_model.added",
        "model_version.registered",
        "behaviour_suite.saved",
        "model_version.behaviour_requested",
    ]
    job = session.exec(select(Job)).one()
    assert (job.kind, job.payload) == ("run_behaviour", {"version_id": version.id})


def test_the_next_run_becomes_version_2(scientist: Actor, now: datetime, session: Session) -> None:
    for number in (1, 2):
        run = make_run(session)
        version = service.register_version(session, run_id=key(run), model_name="income", actor=scientist, now=now)
        assert version.number == number
    row = queries.list_models(session)[0]
    assert (row.n_versions, row.latest_number, row.live_number) == (2, 2, None)


def test_a_viewer_may_not_register(viewer: Actor, now: datetime, session: Session) -> None:
    run = make_run(session)
    with pytest.raises(PermissionDenied, match="register a model"):
        service.register_version(session, run_id=key(run), model_name="income", actor=viewer, now=now)
    assert queries.list_models(session) == []


@pytest.mark.parametrize("state", ["queued", "running", "failed", "cancelled"])
def test_only_a_finished_run_is_registered(scientist: Actor, now: datetime, state: str, session: Session) -> None:
    run = make_run(session, state=state)
    with pytest.raises(InvalidTransition, match=state):
        service.register_version(session, run_id=key(run), model_name="income", actor=scientist, now=now)


def test_the_same_run_twice_is_refused(scientist: Actor, now: datetime, session: Session) -> None:
    run = make_run(session)
    service.register_version(session, run_id=key(run), model_name="income", actor=scientist, now=now)
    with pytest.raises(AlreadyExists, match="income v1 already"):
        service.register_version(session, run_id=key(run), model_name="income", actor=scientist, now=now)
    service.register_version(session, run_id=key(run), model_name="another", actor=scientist, now=now)


def make_scored_run(session: Session, **over: Any) -> Run:
    """A run that kept predictions of its validation rows and was scored once."""
    run = make_run(session, validation_sha256=fresh_sha256(), **over)
    make_evaluation(session, run_id=key(run))
    return run


def chosen(session: Session, run: Run, value: float) -> ThresholdChoice:
    """A threshold with figures from the run's own predictions."""
    figures = {"n_rows": 200, "n_positive": 50, "recall": {"value": 0.9, "low": 0.85, "high": 0.94}}
    [evaluation] = evaluations.evaluations_of_run(session, key(run))
    return ThresholdChoice(
        value,
        "a recall of at least 0.9",
        chosen_on=figures,
        tested=figures,
        validation_sha256=run.validation_sha256 or "",
        predictions_sha256=evaluation.predictions_sha256,
    )


def test_a_version_keeps_its_threshold_with_what_it_was_chosen_for(
    scientist: Actor, now: datetime, session: Session
) -> None:
    run = make_scored_run(session)
    version = service.register_version(
        session, run_id=key(run), model_name="income", threshold=chosen(session, run, 0.31), actor=scientist, now=now
    )
    assert run.signature is not None
    assert version.signature == {**run.signature, "threshold": 0.31}
    assert version.threshold_key == "0.31"
    assert threshold_sentence(version.threshold) == (
        "Positive from a score of 0.31 on, chosen for a recall of at least 0.9 on 200 validation rows; on 200 test "
        "rows: recall 0.900 [0.850, 0.940]."
    )
    event = session.exec(select(AuditEvent).where(AuditEvent.action == "model_version.registered")).one()
    assert event.details["threshold"] == 0.31
    assert event.details["rule"] == "a recall of at least 0.9"


def test_the_same_run_with_another_threshold_is_the_next_version(
    scientist: Actor, now: datetime, session: Session
) -> None:
    run = make_scored_run(session)
    for number, threshold in enumerate((None, chosen(session, run, 0.31), chosen(session, run, 0.5)), start=1):
        version = service.register_version(
            session, run_id=key(run), model_name="income", threshold=threshold, actor=scientist, now=now
        )
        assert version.number == number
    assert "threshold" not in (run.signature or {})
    with pytest.raises(AlreadyExists, match=r"with the threshold 0\.31 is income v2 already"):
        service.register_version(
            session,
            run_id=key(run),
            model_name="income",
            threshold=chosen(session, run, 0.31),
            actor=scientist,
            now=now,
        )


def test_a_threshold_chosen_on_another_run_is_refused(scientist: Actor, now: datetime, session: Session) -> None:
    run, other = make_scored_run(session), make_scored_run(session)
    own = chosen(session, run, 0.3)
    for part in ("validation_sha256", "predictions_sha256"):
        mixed = replace(own, **{part: getattr(chosen(session, other, 0.3), part)})
        with pytest.raises(InvalidInput, match=f"not counted on the predictions of run {run.id}"):
            service.register_version(
                session, run_id=key(run), model_name="income", threshold=mixed, actor=scientist, now=now
            )
    assert queries.list_models(session) == []


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_only_a_binary_run_has_a_threshold(scientist: Actor, now: datetime, task: str, session: Session) -> None:
    run = make_scored_run(session, task=task)
    with pytest.raises(NotApplicable, match="only a binary one"):
        service.register_version(
            session, run_id=key(run), model_name="income", threshold=chosen(session, run, 0.3), actor=scientist, now=now
        )


@pytest.mark.parametrize("over", [{"target": "age"}, {"task": "multiclass"}])
def test_a_model_keeps_its_question(scientist: Actor, now: datetime, over: dict[str, str], session: Session) -> None:
    service.register_version(session, run_id=key(make_run(session)), model_name="income", actor=scientist, now=now)
    with pytest.raises(InvalidInput, match="another name"):
        service.register_version(
            session, run_id=key(make_run(session, **over)), model_name="income", actor=scientist, now=now
        )


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_blank_or_endless_name_is_refused(scientist: Actor, now: datetime, name: str, session: Session) -> None:
    with pytest.raises(InvalidInput, match="1 to 200"):
        service.register_version(session, run_id=key(make_run(session)), model_name=name, actor=scientist, now=now)


def test_a_version_is_found_as_people_type_it(scientist: Actor, now: datetime, session: Session) -> None:
    for name in ("income", "income", "a@b"):
        service.register_version(session, run_id=key(make_run(session)), model_name=name, actor=scientist, now=now)
    assert queries.resolve_version(session, "income@1").number == 1
    assert queries.resolve_version(session, "income").number == 2
    assert queries.version_label(session, key(queries.resolve_version(session, "a@b"))) == "a@b v1"
    with pytest.raises(NotFound, match="versions 2, 1"):
        queries.resolve_version(session, "income@7")
    with pytest.raises(NotFound, match="Known: a@b, income"):
        queries.resolve_version(session, "nothing")


def assign(
    session: Session, version_id: int, actor: Actor, now: datetime, cause: Cause = Cause.PROMOTION
) -> Deployment:
    return service.assign(
        session,
        version_id=version_id,
        environment=Environment.PRODUCTION,
        alias=Alias.CHAMPION,
        cause=Cause.PROMOTION,
        actor=actor,
        now=now,
    )


def test_assigning_closes_one_span_and_opens_the_next(reviewer: Actor, now: datetime, session: Session) -> None:
    first = make_model_version(session)
    second = make_model_version(session, model_id=first.model_id)
    later = now + timedelta(hours=1)
    assign(session, key(first), reviewer, now)
    assign(session, key(second), reviewer, later)
    live = queries.live(session, model_id=first.model_id)
    assert live is not None
    assert live.version_id == second.id
    assert [(row.version_number, row.to_at) for row in queries.deployments(session, first.model_id)] == [
        (2, None),
        (1, later),
    ]
    with pytest.raises(AlreadyExists, match="already"):
        assign(session, key(second), reviewer, later)


def test_live_at_includes_the_first_moment_of_a_span_and_not_its_last(
    reviewer: Actor, now: datetime, session: Session
) -> None:
    first = make_model_version(session)
    second = make_model_version(session, model_id=first.model_id)
    later, tick = now + timedelta(hours=1), timedelta(microseconds=1)
    assign(session, key(first), reviewer, now)
    assign(session, key(second), reviewer, later)
    moments = [now - tick, now, later - tick, later, later + timedelta(days=999)]
    assert [[row.version_number for row in queries.live_at(session, at)] for at in moments] == [
        [],
        [1],
        [1],
        [2],
        [2],
    ]


def test_the_database_itself_refuses_a_second_champion(workspace: Workspace, now: datetime) -> None:
    with workspace.write() as session:
        version = make_model_version(session)
    rows = [
        Deployment(
            model_id=version.model_id,
            environment="production",
            alias="champion",
            version_id=key(version),
            from_at=now,
            cause="promotion",
        )
        for _ in range(2)
    ]
    with pytest.raises(IntegrityError, match="deployment"), workspace.write() as session:
        session.add_all(rows)


def test_lineage_names_whoever_uploaded_any_part_of_the_data(
    scientist: Actor, operator: Actor, viewer: Actor, session: Session
) -> None:
    first = make_dataset_version(session, uploaded_by=scientist.user_id)
    second = make_dataset_version(
        session,
        dataset_id=first.dataset_id,
        relation="adds_to",
        parent_id=first.id,
        upload_id=key(make_upload(session, uploaded_by=operator.user_id)),
        created_by=viewer.user_id,
    )
    version = make_model_version(
        session, run_id=key(make_run(session, dataset_version_id=second.id, requested_by=scientist.user_id))
    )
    lineage = queries.lineage(session, key(version))
    assert lineage.dataset_version_ids == (second.id, first.id)
    assert lineage.uploaded_by == {scientist.user_id, operator.user_id, viewer.user_id}
    assert lineage.launched_by == scientist.user_id
    assert lineage.upload_id == second.upload_id


def test_data_that_was_replaced_is_not_in_the_lineage(scientist: Actor, operator: Actor, session: Session) -> None:
    first = make_dataset_version(session, uploaded_by=scientist.user_id)
    second = make_dataset_version(
        session,
        dataset_id=first.dataset_id,
        relation="replaces",
        parent_id=first.id,
        uploaded_by=operator.user_id,
    )
    version = make_model_version(session, run_id=key(make_run(session, dataset_version_id=second.id)))
    lineage = queries.lineage(session, key(version))
    assert lineage.dataset_version_ids == (second.id,)
    assert lineage.uploaded_by == {operator.user_id}
