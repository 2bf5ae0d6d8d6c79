from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from core.automation.inline import run_all
from core.datasets import service as datasets_service
from core.datasets.splitting import SplitOptions
from core.datasets.tables import DatasetVersion
from core.errors import (
    InsufficientData,
    InvalidInput,
    InvalidTransition,
    LifecycleError,
    NotApplicable,
    NotFound,
    PermissionDenied,
    SchemaMismatch,
)
from core.evaluation.tables import Task
from core.jobs import queries as jobs
from core.permissions import Actor
from core.training import queries, service
from core.training.specification import RunSpec
from core.training.tables import Run, RunState
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


@pytest.fixture
def version(add_version: AddVersion) -> DatasetVersion:
    return add_version()


def spec(version: DatasetVersion, **over: Any) -> RunSpec:
    return RunSpec(**{"dataset_version_id": version.id, "target": "member", **over})


def test_a_run_waits_with_its_job(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        run = service.request_run(session, spec=spec(version), actor=scientist, now=now)
    assert run.state == RunState.QUEUED
    assert run.task == Task.BINARY
    with workspace.read() as session:
        job = jobs.job(session, run.job_id)
    assert (job.kind, job.subject_kind, job.subject_id) == ("train_run", "run", run.id)


@pytest.mark.parametrize("who", ["viewer", "reviewer", "auditor", "administrator"])
def test_starting_and_cancelling_take_a_role(
    workspace: Workspace,
    version: DatasetVersion,
    scientist: Actor,
    now: datetime,
    who: str,
    request: pytest.FixtureRequest,
) -> None:
    other: Actor = request.getfixturevalue(who)
    with workspace.write() as session:
        run = service.request_run(session, spec=spec(version), actor=scientist, now=now)
        assert run.id is not None
        with pytest.raises(PermissionDenied):
            service.request_run(session, spec=spec(version), actor=other, now=now)
        with pytest.raises(PermissionDenied):
            service.cancel_run(session, run_id=run.id, actor=other, now=now)
        with pytest.raises(PermissionDenied):
            service.request_scoring(session, run_id=run.id, evaluation_set_id=1, actor=other, now=now)


def test_an_operator_may_repeat_a_set_up_and_no_more(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        first = service.request_run(session, spec=spec(version), actor=scientist, now=now)
        again = service.request_run(session, spec=spec(version), actor=operator, now=now, retrained_from_id=first.id)
        assert again.retrained_from_id == first.id
        with pytest.raises(PermissionDenied):
            service.request_run(session, spec=spec(version), actor=operator, now=now)
        with pytest.raises(InvalidInput, match="seed differ"):
            service.request_run(
                session, spec=spec(version, seed=5), actor=operator, now=now, retrained_from_id=first.id
            )


@pytest.mark.parametrize("over", [{"folds": 5}, {"calibration": "sigmoid"}, {"weight_column": "age"}])
def test_a_retraining_repeats_folds_calibration_and_weights(
    workspace: Workspace,
    version: DatasetVersion,
    scientist: Actor,
    operator: Actor,
    now: datetime,
    over: dict[str, Any],
) -> None:
    wanted = spec(version, features=("pay", "job"))
    with workspace.write() as session:
        first = service.request_run(session, spec=replace(wanted, **over), actor=scientist, now=now)
        assert service.spec_of(first) == replace(
            wanted, **over, task=Task.BINARY, parameters={"C": 1.0, "class_weight": "none", "max_iter": 1000}
        )
        service.request_run(session, spec=service.spec_of(first), actor=operator, now=now, retrained_from_id=first.id)
        with pytest.raises(InvalidInput, match=f"{next(iter(over))} differ"):
            service.request_run(session, spec=wanted, actor=operator, now=now, retrained_from_id=first.id)


def test_the_column_that_weighs_rows_is_no_feature_by_default(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        run = service.request_run(session, spec=spec(version, weight_column="age"), actor=scientist, now=now)
    assert run.features == ["pay", "job"]
    assert run.weight_column == "age"


def test_a_recalibration_repeats_everything_else_and_says_what_it_came_from(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, operator: Actor, train: Train, now: datetime
) -> None:
    first = train(version.id, "random_forest", parameters={"n_estimators": 5}, seed=9, folds=2)
    with workspace.write() as session:
        again = service.request_recalibration(session, run_id=first.id, method="sigmoid", actor=scientist, now=now)
        assert again.recalibrated_from_id == first.id
        assert again.retrained_from_id is None
        assert replace(service.spec_of(again), calibration=None) == service.spec_of(first)
        with pytest.raises(PermissionDenied):
            service.request_recalibration(session, run_id=first.id, method="sigmoid", actor=operator, now=now)
        with pytest.raises(NotApplicable, match="queued, not finished"):
            service.request_recalibration(session, run_id=again.id, method="isotonic", actor=scientist, now=now)
    run_all(workspace)
    with workspace.write() as session:
        with pytest.raises(NotApplicable, match="calibrated by sigmoid already"):
            service.request_recalibration(session, run_id=again.id, method="sigmoid", actor=scientist, now=now)
        other = service.request_recalibration(session, run_id=again.id, method="isotonic", actor=scientist, now=now)
        assert other.calibration == "isotonic"


def test_a_number_cannot_be_recalibrated(
    workspace: Workspace, add_version: AddVersion, train: Train, scientist: Actor, now: datetime
) -> None:
    run = train(add_version().id, "ridge", target="pay")
    with workspace.write() as session, pytest.raises(NotApplicable, match="nothing to calibrate"):
        service.request_recalibration(session, run_id=run.id or 0, method="sigmoid", actor=scientist, now=now)


def test_comparing_takes_the_right_to_read(
    workspace: Workspace, make_actor: Callable[..., Actor], now: datetime
) -> None:
    nobody = make_actor("nemo")
    with workspace.write() as session, pytest.raises(PermissionDenied):
        service.request_comparison(session, baseline_run_id=1, candidate_run_ids=[2], actor=nobody, now=now)


@pytest.mark.parametrize(
    ("over", "error", "message"),
    [
        ({"target": "gone"}, NotFound, "'gone'"),
        ({"algorithm": "gone"}, NotFound, "'gone'"),
        ({"algorithm": "ridge"}, NotApplicable, "logistic_regression"),
        ({"task": Task.REGRESSION}, NotApplicable, "regression needs numbers"),
        ({"parameters": {"C": -1}}, InvalidInput, "C was -1"),
        ({"features": ("age", "member")}, InvalidInput, "is the target"),
        ({"seed": -1}, InvalidInput, "seed"),
        ({"dataset_version_id": 999}, NotFound, "999"),
        ({"folds": 1}, InvalidInput, "1 folds were asked for; expected 2 to 20, or 0"),
        ({"folds": 21}, InvalidInput, "21 folds"),
        ({"calibration": "beta"}, InvalidInput, "'beta'. Choose one of: sigmoid, isotonic"),
        ({"target": "pay", "algorithm": "ridge", "calibration": "sigmoid"}, NotApplicable, "nothing to calibrate"),
        ({"calibration": "sigmoid", "split": SplitOptions(validation_share=0.1)}, InsufficientData, "40 validation"),
        ({"weight_column": "gone"}, SchemaMismatch, "no column 'gone' to weigh rows by"),
        ({"weight_column": "member"}, InvalidInput, "'member' is the target"),
        ({"weight_column": "age", "features": ("age", "pay")}, InvalidInput, "cannot be a feature too"),
        ({"weight_column": "job"}, InvalidInput, "it holds category values"),
        ({"weight_column": "pay"}, InvalidInput, "'pay' cannot weigh the rows: its smallest value is -"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_at_once(
    workspace: Workspace,
    version: DatasetVersion,
    scientist: Actor,
    now: datetime,
    over: dict[str, Any],
    error: type[LifecycleError],
    message: str,
) -> None:
    with workspace.write() as session, pytest.raises(error, match=message):
        service.request_run(session, spec=spec(version, **over), actor=scientist, now=now)


def test_nothing_is_trained_on_quarantined_data(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, reviewer: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        datasets_service.quarantine(session, version_id=version.id, reason="Wrong labels.", actor=reviewer, now=now)
    with workspace.write() as session, pytest.raises(NotApplicable, match="quarantine"):
        service.request_run(session, spec=spec(version), actor=scientist, now=now)


def test_a_cancelled_run_stays_cancelled(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        run = service.request_run(session, spec=spec(version), actor=scientist, now=now)
    assert run.id is not None
    with workspace.write() as session:
        assert service.cancel_run(session, run_id=run.id, actor=scientist, now=now).state == RunState.CANCELLED
    run_all(workspace)
    with workspace.write() as session:
        assert queries.run(session, run.id).state == RunState.CANCELLED
        with pytest.raises(InvalidTransition):
            service.cancel_run(session, run_id=run.id, actor=scientist, now=now)


def test_runs_that_cannot_be_compared_are_refused(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, train: Train, now: datetime
) -> None:
    done = train(version.id)
    with workspace.write() as session:
        waiting = service.request_run(session, spec=spec(version), actor=scientist, now=now)
        ids = {"baseline_run_id": done.id, "actor": scientist, "now": now}
        with pytest.raises(NotApplicable, match="not finished"):
            service.request_comparison(session, candidate_run_ids=[waiting.id], **ids)
        with pytest.raises(InvalidInput, match="at least one other"):
            service.request_comparison(session, candidate_run_ids=[done.id], **ids)
        with pytest.raises(InvalidInput, match="at least one other"):
            service.request_comparison(session, candidate_run_ids=[], **ids)
