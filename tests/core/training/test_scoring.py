from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from core.automation.inline import run_job
from core.datasets.splitting import SplitOptions
from core.datasets.tables import DatasetVersion
from core.errors import ArtifactCorrupted, NotApplicable, NotFound, SchemaMismatch
from core.evaluation.tables import Task
from core.permissions import Actor
from core.training import queries, service
from core.training.scoring import evaluate
from core.training.tables import Run, RunState
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


@pytest.mark.parametrize(
    ("target", "task", "algorithm", "metric"),
    [
        ("pay", Task.REGRESSION, "ridge", "rmse"),
        ("pay", Task.REGRESSION, "dummy", "rmse"),
        ("job", Task.MULTICLASS, "hist_gradient_boosting", "accuracy"),
        ("member", Task.BINARY, "random_forest", "roc_auc"),
    ],
)
def test_each_task_is_scored_by_its_own_metrics(
    workspace: Workspace,
    add_version: AddVersion,
    train: Train,
    target: str,
    task: Task,
    algorithm: str,
    metric: str,
) -> None:
    run = train(add_version().id, algorithm, target=target)
    assert run.error is None
    assert run.task == task
    with workspace.read() as session:
        (row,) = queries.list_runs(session, limit=5)
    assert row.primary_key == metric
    assert row.primary_value is not None


def test_a_run_is_scored_on_another_set_when_asked(
    workspace: Workspace, add_version: AddVersion, train: Train, scientist: Actor, tmp_path: Path, now: datetime
) -> None:
    judge = train(add_version(seed=1).id)
    # The same rows under another name, split otherwise: part of its fixed set was trained on.
    other = train(add_version(tmp_path / "people-1-400.csv", name="copy").id, split=SplitOptions(seed=9))
    with workspace.read() as session:
        wanted = queries.run_record(session, judge.id or 0).evaluations[0].evaluation_set
    with workspace.write() as session:
        job = service.request_scoring(
            session, run_id=other.id or 0, evaluation_set_id=wanted.id or 0, actor=scientist, now=now
        )
    done = run_job(workspace, job.id or 0)
    assert done.error is None
    with workspace.read() as session:
        scored = queries.run_record(session, other.id or 0).evaluations
    made = next(entry.evaluation for entry in scored if entry.evaluation_set.id == wanted.id)
    assert done.result == {"evaluation_id": made.id}
    assert made.n_left_out > 0
    assert made.n_rows + made.n_left_out == wanted.n_rows


def test_scoring_is_refused_where_it_has_no_meaning(
    workspace: Workspace, add_version: AddVersion, train: Train, scientist: Actor, tmp_path: Path, now: datetime
) -> None:
    version = add_version()
    run = train(version.id)
    with workspace.write() as session, pytest.raises(NotFound, match="evaluation set 999"):
        service.request_scoring(session, run_id=run.id or 0, evaluation_set_id=999, actor=scientist, now=now)
    failed = train(version.id, features=("age",), seed=5)
    with workspace.write() as session:
        stored = queries.run(session, failed.id or 0)
        stored.state = RunState.FAILED
        session.add(stored)
    with workspace.write() as session, pytest.raises(NotApplicable, match="not finished"):
        service.request_scoring(session, run_id=failed.id or 0, evaluation_set_id=1, actor=scientist, now=now)
    narrow = tmp_path / "narrow.csv"
    narrow.write_text("pay,member\n" + "\n".join(f"{i / 7},{'yes' if i % 3 else 'no'}" for i in range(100)), "utf-8")
    other = train(add_version(narrow, name="narrow").id)
    with workspace.read() as session:
        fixed = queries.run_record(session, other.id or 0).evaluations[0].evaluation_set
    with pytest.raises(SchemaMismatch, match="no column 'age', 'job'"):
        evaluate(workspace, run_id=run.id or 0, evaluation_set_id=fixed.id or 0, now=now)


def test_a_model_file_changed_on_disk_is_not_used(
    workspace: Workspace, add_version: AddVersion, train: Train, tmp_path: Path, now: datetime
) -> None:
    run = train(add_version(seed=1).id)
    other = train(add_version(seed=2, name="other").id)
    assert run.model_sha256 is not None
    path = workspace.artifacts.path(run.model_sha256)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with workspace.read() as session:
        fixed = queries.run_record(session, other.id or 0).evaluations[0].evaluation_set
    with pytest.raises(ArtifactCorrupted):
        evaluate(workspace, run_id=run.id or 0, evaluation_set_id=fixed.id or 0, now=now)
