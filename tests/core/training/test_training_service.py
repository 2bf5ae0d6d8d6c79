from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from core.automation.inline import run_all
from core.datasets import service as datasets_service
from core.datasets.tables import DatasetVersion
from core.errors import InvalidInput, InvalidTransition, LifecycleError, NotApplicable, NotFound, PermissionDenied
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
