"""Evaluations and comparisons in the database: written once, replaced only where nothing rests on them, ranked."""

from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import text
from sqlmodel import Session

from core.datasets.tables import Dataset, DatasetVersion, EvaluationSet, Split
from core.errors import InvalidInput, NotFound
from core.evaluation import queries, service
from core.evaluation.comparing import compare
from core.evaluation.curves import curves
from core.evaluation.metrics import MetricEstimate, compute_metrics
from core.evaluation.predictions import Predictions, to_parquet
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.training.tables import Run
from core.workspace import Workspace


def make_set(session: Session, now: datetime) -> tuple[int, int]:
    """A dataset version and an evaluation set on it: their ids."""
    dataset = Dataset(name="income", created_at=now)
    session.add(dataset)
    session.flush()
    version = DatasetVersion(
        dataset_id=dataset.id or 0,
        number=1,
        relation="new",
        content_hash="c" * 64,
        data_sha256="d" * 64,
        n_rows=100,
        n_columns=2,
        created_at=now,
    )
    session.add(version)
    session.flush()
    split = Split(
        version_id=version.id or 0,
        key="k",
        method="random",
        validation_share=0.2,
        test_share=0.2,
        assignment_sha256="a" * 64,
        n_train=60,
        n_validation=20,
        n_test=20,
        n_excluded=0,
        created_at=now,
    )
    session.add(split)
    session.flush()
    evaluation_set = EvaluationSet(
        dataset_id=dataset.id or 0,
        version_id=version.id or 0,
        split_id=split.id or 0,
        kind="fixed",
        rows_sha256="e" * 64,
        n_rows=20,
        created_at=now,
    )
    session.add(evaluation_set)
    session.flush()
    return version.id or 0, evaluation_set.id or 0


def make_run(session: Session, version_id: int, now: datetime) -> int:
    run = Run(dataset_version_id=version_id, target="y", task="regression", algorithm="ridge", requested_at=now)
    session.add(run)
    session.flush()
    return run.id or 0


def predictions(seed: int, noise: float = 1.0) -> Predictions:
    truth = np.random.default_rng(0).normal(10, 2, size=200)
    predicted = truth + noise * np.random.default_rng(seed).normal(size=200)
    return Predictions(Task.REGRESSION, np.arange(200), truth, predicted, None, ())


def record(
    workspace: Workspace, session: Session, run_id: int, set_id: int, made: Predictions, now: datetime
) -> Evaluation:
    return service.record_evaluation(
        session,
        run_id=run_id,
        evaluation_set_id=set_id,
        task=made.task,
        predictions_sha256=workspace.artifacts.put_bytes(to_parquet(made)).sha256,
        n_rows=made.n_rows,
        n_left_out=3,
        metrics=compute_metrics(made),
        curves=curves(made),
        now=now,
    )


def test_what_was_recorded_is_read_back(workspace: Workspace, session: Session, now: datetime) -> None:
    version_id, set_id = make_set(session, now)
    run_id = make_run(session, version_id, now)
    made = predictions(1)

    evaluation_id = record(workspace, session, run_id, set_id, made, now).id or 0

    found = queries.evaluation(session, evaluation_id)
    assert (found.n_rows, found.n_left_out, found.task) == (200, 3, "regression")
    assert found.curves["residuals"]["counts"] == curves(made)["residuals"]["counts"]
    assert [one.id for one in queries.evaluations_of_run(session, run_id)] == [evaluation_id]
    values = queries.metric_values(session, [evaluation_id, 999])
    assert {key: (row.value, row.low, row.high) for key, row in values[evaluation_id].items()} == {
        one.key: (one.value, one.low, one.high) for one in compute_metrics(made)
    }
    assert values[999] == {}
    assert queries.load_predictions(workspace.artifacts, found).y_pred.tolist() == made.y_pred.tolist()
    with pytest.raises(NotFound, match="no evaluation 77"):
        queries.evaluation(session, 77)


def test_scoring_again_alike_adds_nothing(workspace: Workspace, session: Session, now: datetime) -> None:
    version_id, set_id = make_set(session, now)
    run_id = make_run(session, version_id, now)

    first = record(workspace, session, run_id, set_id, predictions(1), now)
    again = record(workspace, session, run_id, set_id, predictions(1), now)

    assert again.id == first.id
    assert len(queries.evaluations_of_run(session, run_id)) == 1


def test_other_predictions_replace_an_evaluation_until_a_comparison_rests_on_it(
    workspace: Workspace, session: Session, now: datetime, rng: np.random.Generator
) -> None:
    version_id, set_id = make_set(session, now)
    runs = [make_run(session, version_id, now) for _ in range(2)]
    made = [predictions(1), predictions(2, noise=0.3)]
    record(workspace, session, runs[0], set_id, predictions(9), now)
    before, after = (
        record(workspace, session, run_id, set_id, one, now).id or 0 for run_id, one in zip(runs, made, strict=True)
    )
    rmse = {one.key: one.value for one in compute_metrics(made[0])}["rmse"]
    assert queries.metric_values(session, [before])[before]["rmse"].value == rmse

    result = compare(*made, metric="rmse", margin=0.02, rng=rng)
    rows = [
        service.record_comparison(
            session,
            baseline_evaluation_id=before,
            candidate_evaluation_id=after,
            metric="rmse",
            margin=0.02,
            result=result,
            now=now,
        )
        for _ in range(2)
    ]

    assert rows[0].id == rows[1].id
    assert queries.comparison(session, rows[0].id or 0).verdict == "better"
    assert rows[0].margin == pytest.approx(0.02 * rmse)
    assert [row.id for row in queries.comparisons(session, baseline_evaluation_ids=[before], metric="rmse")] == [
        rows[0].id
    ]
    assert queries.comparisons(session, candidate_evaluation_ids=[before]) == []
    with pytest.raises(InvalidInput, match="comparisons rest on those"):
        record(workspace, session, runs[0], set_id, predictions(5), now)


def test_the_best_runs_come_first_and_from_one_set(workspace: Workspace, session: Session, now: datetime) -> None:
    version_id, set_id = make_set(session, now)
    runs = [make_run(session, version_id, now) for _ in range(4)]
    for run_id, value in zip(runs, (0.7, 0.9, 0.8, 0.6), strict=True):
        service.record_evaluation(
            session,
            run_id=run_id,
            evaluation_set_id=set_id,
            task=Task.BINARY,
            predictions_sha256="f" * 64,
            n_rows=10,
            n_left_out=0,
            metrics=[MetricEstimate("roc_auc", value, None, None)],
            curves={},
            now=now,
        )

    best = queries.top_runs(session, key="roc_auc", greater_is_better=True, limit=3, evaluation_set_id=set_id)
    least = queries.top_runs(session, key="roc_auc", greater_is_better=False, limit=1)

    assert [(row.run_id, row.value) for row in best] == [(runs[1], 0.9), (runs[2], 0.8), (runs[0], 0.7)]
    assert [row.run_id for row in least] == [runs[3]]
    assert queries.top_runs(session, key="roc_auc", greater_is_better=True, limit=3, evaluation_set_id=set_id + 1) == []


@pytest.mark.parametrize("direction", ["DESC", "ASC"])
def test_ranking_reads_the_index_in_order_without_sorting(session: Session, direction: str) -> None:
    plan = session.execute(
        text(
            "EXPLAIN QUERY PLAN SELECT e.run_id, m.value "
            "FROM metric_value m JOIN evaluation e ON e.id = m.evaluation_id "
            f"WHERE m.key = 'roc_auc' ORDER BY m.value {direction}, m.evaluation_id {direction} LIMIT 50"
        )
    ).all()

    steps = " ".join(str(row[3]) for row in plan)
    assert "ix_metric_value_rank" in steps
    assert "TEMP B-TREE" not in steps


def test_a_value_that_is_not_a_number_is_never_stored(workspace: Workspace, session: Session, now: datetime) -> None:
    version_id, set_id = make_set(session, now)
    run_id = make_run(session, version_id, now)
    constant = Predictions(Task.REGRESSION, np.arange(3), np.zeros(3), np.zeros(3), None, ())

    evaluation_id = record(workspace, session, run_id, set_id, constant, now).id or 0

    stored: dict[str, MetricValue] = queries.metric_values(session, [evaluation_id])[evaluation_id]
    assert set(stored) == {"rmse", "mae", "median_absolute_error", "quantile_loss_10", "quantile_loss_90"}
