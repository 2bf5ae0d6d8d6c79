"""A training with weights, folds and a calibrator, from the wish to the record."""

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.automation.attempts import run_attempt
from core.datasets import queries as datasets
from core.datasets.splitting import SplitOptions
from core.datasets.tables import Dataset, DatasetVersion
from core.evaluation import queries as evaluations
from core.evaluation.measures import accuracy
from core.evaluation.outcomes import Outcome
from core.jobs import queries as jobs
from core.jobs import service as jobs_service
from core.jobs.context import JobContext
from core.jobs.processes import this_process
from core.permissions import Actor
from core.training import queries, service
from core.training.specification import RunSpec
from core.training.tables import Run, RunState
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


@pytest.fixture
def version(add_version: AddVersion, tmp_path: Path) -> DatasetVersion:
    """People with how many they stand for and the day they were asked; the target is noisy."""
    rng = np.random.default_rng(5)
    n_rows = 900
    age, pay = rng.integers(18, 80, n_rows), rng.normal(size=n_rows).round(4)
    chance = 1 / (1 + np.exp(4 - age / 20 - 1.5 * pay))
    member = np.where(rng.random(n_rows) < chance, "yes", "no")
    stands_for = rng.integers(0, 2000, n_rows)
    days = [date(2025, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 400, n_rows)]
    lines = [f"{a},{p},{s},{d},{m}" for a, p, s, d, m in zip(age, pay, stands_for, days, member, strict=True)]
    path = tmp_path / "asked.csv"
    path.write_text("\n".join(["age,pay,stands_for,asked_on,member", *lines]) + "\n", "utf-8")
    return add_version(path, name="asked")


def log_of(workspace: Workspace, run: Run) -> list[str]:
    with workspace.read() as session:
        return [line.text for line in jobs.job_lines(session, run.job_id or 0)]


def metrics_of(workspace: Workspace, run: Run) -> dict[str, float]:
    with workspace.read() as session:
        (scored,) = queries.run_record(session, run.id or 0).evaluations
    return {key: value.value for key, value in scored.metrics.items()}


def test_the_record_keeps_the_folds_and_how_long_an_answer_takes(
    workspace: Workspace, version: DatasetVersion, train: Train
) -> None:
    run = train(version.id, folds=4, features=("age", "pay"))
    assert run.error is None
    found = run.cross_validation
    assert found is not None
    assert found["folds"] == 4
    assert sum(found["n_test"]) == 720
    assert found["n_train"] == [540] * 4
    assert all(len(values) == 4 for values in found["metrics"].values())
    assert np.mean(found["metrics"]["roc_auc"]) == pytest.approx(metrics_of(workspace, run)["roc_auc"], abs=0.08)
    assert run.latency is not None
    assert run.latency["n_calls"] >= 50
    for document in (run.cross_validation, run.latency):
        assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert any(line.startswith("Cross-validated in 4 folds") for line in log_of(workspace, run))


def test_runs_of_one_split_share_their_folds_whatever_they_fit(
    workspace: Workspace, version: DatasetVersion, train: Train
) -> None:
    first = train(version.id, folds=3, features=("age", "pay"))
    second = train(version.id, "hist_gradient_boosting", parameters={"max_iter": 5}, folds=3, features=("age",), seed=9)
    other = train(version.id, folds=4, features=("age", "pay"))
    folds = [run.cross_validation["assignment"] for run in (first, second, other) if run.cross_validation]
    assert folds[0] == folds[1] != folds[2]


def test_folds_do_not_change_the_model_that_is_kept(
    workspace: Workspace, version: DatasetVersion, train: Train
) -> None:
    with_folds, without = (train(version.id, folds=folds, features=("age", "pay")) for folds in (3, 0))
    with workspace.read() as session:
        kept = [evaluations.evaluations_of_run(session, run.id or 0)[0] for run in (with_folds, without)]
    assert kept[0].predictions_sha256 == kept[1].predictions_sha256
    assert without.cross_validation is None


def test_in_a_split_by_time_the_folds_go_forward(workspace: Workspace, version: DatasetVersion, train: Train) -> None:
    by_time = SplitOptions(method="time", column="asked_on")
    run = train(version.id, folds=4, split=by_time, features=("age", "pay"))
    assert run.cross_validation is not None, log_of(workspace, run)
    assert run.cross_validation["forward"]
    assert run.cross_validation["n_train"] == sorted(run.cross_validation["n_train"])


def test_folds_that_cannot_be_made_cost_the_evidence_and_not_the_model(
    workspace: Workspace, add_version: AddVersion, train: Train, tmp_path: Path
) -> None:
    """All rows are of three days, which cannot be cut into twenty stretches."""
    path = tmp_path / "three.csv"
    rows = [f"{i % 50},2026-01-0{1 + i % 3},{'yes' if i % 50 > 25 else 'no'}" for i in range(200)]
    path.write_text("\n".join(["age,day,member", *rows]) + "\n", "utf-8")
    by_time = SplitOptions(method="time", column="day")
    run = train(add_version(path, name="three").id, folds=20, split=by_time, features=("age",))
    assert run.state == RunState.FINISHED
    assert run.cross_validation is None
    assert any(line.startswith("Not cross-validated: The rows hold") for line in log_of(workspace, run))


def test_between_folds_a_run_can_be_cancelled(
    workspace: Workspace, version: DatasetVersion, scientist: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec(dataset_version_id=version.id or 0, target="member", folds=20)
    with workspace.write() as session:
        run = service.request_run(session, spec=spec, actor=scientist, now=now)
        run_id, job_id = run.id or 0, run.job_id or 0
    with workspace.write() as session:
        job = jobs_service.claim(session, owner=this_process(), now=now, lease_until=now, job_id=job_id)
        assert job is not None
        jobs_service.begin(session, job_id=job_id, fence=job.fence, now=now)
    report, notes = JobContext.report, []

    def listen(context: JobContext, progress: float, note: str = "") -> None:
        notes.append(note)
        if note == "cross-validating: fold 3 of 20":
            with workspace.write() as session:
                service.cancel_run(session, run_id=run_id, actor=scientist, now=now)
        report(context, progress, note)

    monkeypatch.setattr(JobContext, "report", listen)
    run_attempt(workspace, job_id=job_id, fence=job.fence)
    with workspace.read() as session:
        assert queries.run(session, run_id).state == RunState.CANCELLED
    assert notes[-1] == "cross-validating: fold 3 of 20"


def test_weights_reach_every_figure(workspace: Workspace, version: DatasetVersion, train: Train) -> None:
    run = train(version.id, weight_column="stands_for", folds=3)
    assert run.error is None
    assert run.features == ["age", "pay", "asked_on"]
    with workspace.read() as session:
        kept = evaluations.load_predictions(
            workspace.artifacts, evaluations.evaluations_of_run(session, run.id or 0)[0]
        )
        validation = evaluations.predictions_file(workspace.artifacts, run.validation_sha256 or "")
    weights = datasets.read_table(workspace.artifacts, version, columns=["stands_for"])["stands_for"].to_numpy()
    for predictions in (kept, validation):
        assert predictions.sample_weight is not None
        assert np.array_equal(predictions.sample_weight, weights[predictions.ordinals])
    by_weight = np.average(kept.y_true == kept.y_pred, weights=kept.sample_weight)
    assert metrics_of(workspace, run)["accuracy"] == pytest.approx(by_weight)
    assert accuracy(Outcome(kept)).value == pytest.approx(by_weight)
    assert run.dummy is not None
    assert sum(run.dummy["shares"]) == pytest.approx(1)
    assert "weighted by 'stands_for'" in " ".join(log_of(workspace, run))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_recalibrated_run_is_better_calibrated_and_repeatable(
    workspace: Workspace, version: DatasetVersion, train: Train, scientist: Actor, now: datetime, method: str
) -> None:
    from core.automation.inline import run_all

    raw = train(version.id, parameters={"class_weight": "balanced"}, features=("age", "pay"), seed=2)
    again = []
    for _ in range(2):
        with workspace.write() as session:
            wanted = service.request_recalibration(session, run_id=raw.id or 0, method=method, actor=scientist, now=now)
        run_all(workspace)
        with workspace.read() as session:
            again.append(queries.run(session, wanted.id or 0))
    assert [run.error for run in again] == [None, None]
    assert [run.recalibrated_from_id for run in again] == [raw.id, raw.id]
    with workspace.read() as session:
        first, second = (evaluations.evaluations_of_run(session, run.id or 0)[0] for run in again)
    assert first.predictions_sha256 == second.predictions_sha256
    assert again[0].validation_sha256 == again[1].validation_sha256
    before, after = metrics_of(workspace, raw), metrics_of(workspace, again[0])
    assert after["expected_calibration_error"] < before["expected_calibration_error"]
    assert after["log_loss"] < before["log_loss"]


def test_the_costs_of_the_dataset_are_counted(workspace: Workspace, version: DatasetVersion, train: Train) -> None:
    assert not [key for key in metrics_of(workspace, train(version.id)) if "cost" in key]
    with workspace.write() as session:
        dataset = session.get_one(Dataset, version.dataset_id)
        dataset.costs = {"labels": ["no", "yes"], "matrix": [[0.0, 1.0], [5.0, 0.0]]}
        session.add(dataset)
    run = train(version.id, folds=2)
    (key,) = [key for key in metrics_of(workspace, run) if "cost" in key]
    assert run.cross_validation is not None
    assert len(run.cross_validation["metrics"][key]) == 2


def test_a_set_without_the_weights_is_not_scored_and_says_so(
    workspace: Workspace, version: DatasetVersion, add_version: AddVersion, train: Train, tmp_path: Path
) -> None:
    from core.datasets.tables import Relation

    first = tmp_path / "plain.csv"
    lines = [f"{i % 60},{'yes' if i % 60 > 30 else 'no'}" for i in range(300)]
    first.write_text("\n".join(["age,member", *lines]) + "\n", "utf-8")
    plain = add_version(first, name="plain")
    train(plain.id)
    second = tmp_path / "weighed.csv"
    lines = [f"{i % 60},{1 + i % 7},{'yes' if i % 60 > 29 else 'no'}" for i in range(400)]
    second.write_text("\n".join(["age,w,member", *lines]) + "\n", "utf-8")
    later = add_version(second, relation=Relation.REPLACES, parent_id=plain.id, name="plain")
    run: Any = train(later.id, weight_column="w")
    assert run.state == RunState.FINISHED
    assert any(
        "Not scored on the fixed evaluation set" in line and "no column 'w'" in line for line in log_of(workspace, run)
    )
