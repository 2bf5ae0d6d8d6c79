import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sqlmodel import col, select

from core.audit.tables import AuditEvent
from core.automation.attempts import run_attempt
from core.automation.inline import run_all
from core.datasets import queries as datasets
from core.datasets import service as datasets_service
from core.datasets import splits
from core.datasets.rowhash import row_hashes
from core.datasets.splitting import Part
from core.datasets.tables import DatasetVersion, Relation
from core.evaluation import queries as evaluations
from core.jobs import queries as jobs
from core.jobs import service as jobs_service
from core.jobs.lifecycle import Ending
from core.jobs.processes import this_process
from core.permissions import Actor, Role
from core.training import queries, service
from core.training.models import load_model
from core.training.specification import RunSpec
from core.training.tables import Run, RunState
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


def request(workspace: Workspace, version: DatasetVersion, actor: Actor, now: datetime, **over: object) -> Run:
    assert version.id is not None
    spec = RunSpec(**{"dataset_version_id": version.id, "target": "member", **over})  # type: ignore[arg-type]
    with workspace.write() as session:
        return service.request_run(session, spec=spec, actor=actor, now=now)


def reread(workspace: Workspace, run: Run) -> Run:
    assert run.id is not None
    with workspace.read() as session:
        return queries.run(session, run.id)


def test_a_run_ends_with_everything_needed_to_do_it_again(
    workspace: Workspace, add_version: AddVersion, train: Train
) -> None:
    version = add_version()
    run = train(version.id, "hist_gradient_boosting", parameters={"max_iter": "20"}, seed=11)
    assert run.error is None
    assert run.state == RunState.FINISHED
    assert run.task == "binary"
    assert run.features == ["age", "pay", "job"]
    assert run.parameters["max_iter"] == 20
    assert run.parameters["learning_rate"] == 0.1
    assert run.code_version.startswith("0.")
    assert {"python", "scikit-learn", "numpy"} <= set(run.package_versions)
    assert run.signature is not None
    assert run.signature["classes"] == ["no", "yes"]
    assert run.importance is not None
    assert run.importance["features"][-1]["name"] == "job"
    with workspace.read() as session:
        assert run.id is not None
        record = queries.run_record(session, run.id)
        assert record.job is not None
        lines = [line.text for line in jobs.job_lines(session, record.job.id)]
    assert record.split is not None
    assert (run.n_train, run.n_excluded) == (record.split.n_train, record.split.n_excluded)
    assert [scored.evaluation_set.kind for scored in record.evaluations] == ["fixed"]
    assert record.evaluations[0].metrics["roc_auc"].value > 0.7
    assert record.evaluations[0].evaluation.n_rows == record.split.n_test
    assert record.job.state == "succeeded"
    assert any(line.startswith("Fitted") for line in lines)


def test_the_same_record_gives_the_same_model(workspace: Workspace, add_version: AddVersion, train: Train) -> None:
    version = add_version()
    first, second = (train(version.id, "random_forest", parameters={"n_estimators": 20}, seed=4) for _ in range(2))
    with workspace.read() as session:
        before, after = (evaluations.evaluations_of_run(session, run.id or 0)[0] for run in (first, second))
    assert before.predictions_sha256 == after.predictions_sha256
    assert first.importance == second.importance


def test_the_stored_model_gives_the_stored_predictions(
    workspace: Workspace, add_version: AddVersion, train: Train
) -> None:
    version = add_version()
    run = train(version.id)
    assert run.model_sha256 is not None
    model = load_model(workspace.artifacts, model_sha256=run.model_sha256, signature=run.signature or {})
    with workspace.read() as session:
        kept = evaluations.load_predictions(
            workspace.artifacts, evaluations.evaluations_of_run(session, run.id or 0)[0]
        )
    table = datasets.read_table(workspace.artifacts, version).take(kept.ordinals)
    labels, scores = model.predict_table(table)
    assert np.array_equal(labels, kept.y_pred)
    assert scores is not None
    assert kept.scores is not None
    assert np.array_equal(scores, kept.scores)


def test_a_model_trained_on_more_data_never_saw_the_rows_it_is_judged_on(
    workspace: Workspace, add_version: AddVersion, train: Train, tmp_path: Path
) -> None:
    first = add_version(n_rows=300, seed=1)
    train(first.id)
    whole = (tmp_path / "people-1-300.csv").read_text("utf-8")
    more = tmp_path / "more.csv"
    add_version(n_rows=300, seed=2, name="other")
    other = (tmp_path / "people-2-300.csv").read_text("utf-8").split("\n", 1)[1]
    more.write_text(whole + other, "utf-8")
    second = add_version(more, relation=Relation.REPLACES, parent_id=first.id)
    run = train(second.id)
    assert run.state == RunState.FINISHED, run.error
    with workspace.read() as session:
        sets = datasets.evaluation_sets(session, second.dataset_id)
        record = queries.run_record(session, run.id or 0)
    assert {scored.evaluation_set.kind for scored in record.evaluations} == {"fixed", "latest"}
    assert record.split is not None
    training = splits.assignment(workspace.artifacts, record.split) == Part.TRAIN
    table = datasets.read_table(workspace.artifacts, second)
    for evaluation_set in sets:
        rows = splits.evaluation_rows(workspace.artifacts, evaluation_set)
        seen = row_hashes(table, list(rows.columns))[training]
        assert not np.isin(rows.hashes, seen).any()
    assert (run.n_excluded or 0) >= 60


def test_a_run_on_quarantined_data_fails_even_when_it_was_queued_before(
    workspace: Workspace, add_version: AddVersion, scientist: Actor, reviewer: Actor, now: datetime
) -> None:
    version = add_version()
    run = request(workspace, version, scientist, now)
    with workspace.write() as session:
        datasets_service.quarantine(session, version_id=version.id, reason="Wrong labels.", actor=reviewer, now=now)
    run_all(workspace)
    ended = reread(workspace, run)
    assert ended.state == RunState.FAILED
    assert "Wrong labels." in (ended.error or "")


def test_a_job_is_refused_when_the_person_lost_the_role(
    workspace: Workspace, add_version: AddVersion, make_actor: Callable[..., Actor], now: datetime
) -> None:
    from core.access.tables import UserRole

    version = add_version()
    leaver = make_actor("lee", Role.DATA_SCIENTIST)
    run = request(workspace, version, leaver, now)
    with workspace.write() as session:
        session.delete(session.exec(select(UserRole).where(col(UserRole.user_id) == leaver.user_id)).one())
    run_all(workspace)
    assert reread(workspace, run).state == RunState.FAILED


def test_a_run_whose_worker_died_is_queued_again_and_then_finishes(
    workspace: Workspace, add_version: AddVersion, scientist: Actor, now: datetime
) -> None:
    version = add_version()
    run = request(workspace, version, scientist, now)
    for expected in (RunState.QUEUED, RunState.FAILED):
        with workspace.write() as session:
            job = jobs_service.claim(session, owner=this_process(), now=now, lease_until=now, job_id=run.job_id)
            assert job is not None
            jobs_service.begin(session, job_id=job.id or 0, fence=job.fence, now=now)
        assert reread(workspace, run).state == RunState.RUNNING
        with workspace.write() as session:
            jobs_service.end(
                session,
                job_id=job.id or 0,
                fence=job.fence,
                ending=Ending.LOST,
                reason="Its worker died.",
                now=now,
            )
        ended = reread(workspace, run)
        assert ended.state == expected
    assert ended.error == "Its worker died."
    assert ended.finished_at == now
    with workspace.read() as session:
        events = session.exec(select(AuditEvent).where(col(AuditEvent.subject_kind) == "run")).all()
    assert [event.action for event in events] == ["run.requested", "run.failed"]


def test_a_running_run_stops_when_it_is_cancelled(
    workspace: Workspace, add_version: AddVersion, scientist: Actor, now: datetime
) -> None:
    version = add_version()
    run = request(workspace, version, scientist, now)
    with workspace.write() as session:
        job = jobs_service.claim(session, owner=this_process(), now=now, lease_until=now, job_id=run.job_id)
        assert job is not None
        jobs_service.begin(session, job_id=job.id or 0, fence=job.fence, now=now)
    with workspace.write() as session:
        assert service.cancel_run(session, run_id=run.id or 0, actor=scientist, now=now).state == RunState.RUNNING
    run_attempt(workspace, job_id=job.id or 0, fence=job.fence)
    ended = reread(workspace, run)
    assert ended.state == RunState.CANCELLED
    assert ended.model_sha256 is None
    with workspace.read() as session:
        assert evaluations.evaluations_of_run(session, run.id or 0) == []


def test_what_a_run_recorded_is_plain_json(workspace: Workspace, add_version: AddVersion, train: Train) -> None:
    run = train(add_version().id)
    for document in (run.signature, run.dummy, run.importance, run.package_versions):
        assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert run.dummy is not None
    assert sum(run.dummy["shares"]) == pytest.approx(1)
