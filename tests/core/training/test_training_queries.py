import time
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlmodel import Session, insert

from core.datasets.tables import Dataset, DatasetVersion, EvaluationSet, Split
from core.errors import NotFound
from core.evaluation.metrics import primary_metric
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.permissions import Actor
from core.training import queries
from core.training.tables import Run
from core.workspace import Workspace

N_RUNS = 10_000


def fill(session: Session, actor: Actor, now: datetime, n_runs: int) -> None:
    """Runs on two datasets; every third is scored, with values that repeat."""
    for dataset_id, name in ((1, "income"), (2, "churn")):
        session.add(Dataset(id=dataset_id, name=name, created_at=now))
        session.flush()
        session.add(
            DatasetVersion(
                id=dataset_id,
                dataset_id=dataset_id,
                number=1,
                relation="new",
                content_hash=name,
                data_sha256="0" * 64,
                n_rows=10,
                n_columns=2,
                created_at=now,
            )
        )
        session.flush()
        session.add(
            Split(
                id=dataset_id,
                version_id=dataset_id,
                key="k",
                method="random",
                validation_share=0.2,
                test_share=0.2,
                assignment_sha256="0" * 64,
                n_train=6,
                n_validation=2,
                n_test=2,
                n_excluded=0,
                created_at=now,
            )
        )
        session.flush()
        session.add(
            EvaluationSet(
                id=dataset_id,
                dataset_id=dataset_id,
                version_id=dataset_id,
                split_id=dataset_id,
                kind="fixed",
                rows_sha256="0" * 64,
                n_rows=2,
                created_at=now,
            )
        )
        session.flush()
    ids = range(1, n_runs + 1)
    algorithms = ["dummy", "random_forest"]
    session.execute(
        insert(Run),
        [
            {
                "id": i,
                "dataset_version_id": 1 + i % 2,
                "target": "y",
                "task": "binary",
                "algorithm": algorithms[i % 5 == 0],
                "state": "finished" if i % 3 == 0 else "failed",
                "requested_by": actor.user_id,
                "requested_at": now + timedelta(seconds=i),
                "started_at": now,
                "finished_at": now + timedelta(seconds=90),
                "split_options": {},
                "features": [],
                "parameters": {},
                "package_versions": {},
            }
            for i in ids
        ],
    )
    scored = [i for i in ids if i % 3 == 0]
    session.execute(
        insert(Evaluation),
        [
            {
                "id": i,
                "run_id": i,
                "evaluation_set_id": 1 + i % 2,
                "task": "binary",
                "predictions_sha256": "0" * 64,
                "n_rows": 2,
                "curves": {},
                "created_at": now,
            }
            for i in scored
        ],
    )
    values = np.random.default_rng(0).random(len(scored)).round(2)
    session.execute(
        insert(MetricValue),
        [
            {"evaluation_id": i, "key": key, "value": float(v), "low": float(v) - 0.1, "high": float(v) + 0.1}
            for i, v in zip(scored, values, strict=True)
            for key in ("roc_auc", "brier")
        ],
    )


@pytest.fixture
def filled(workspace: Workspace, scientist: Actor, now: datetime) -> Workspace:
    with workspace.write() as session:
        fill(session, scientist, now, 300)
    return workspace


@pytest.mark.parametrize("sort_metric", [None, "roc_auc"])
def test_pages_together_hold_each_run_once(filled: Workspace, sort_metric: str | None) -> None:
    with filled.read() as session:
        whole = queries.list_runs(session, limit=1000, sort_metric=sort_metric)
        pages: list[queries.RunRow] = []
        while page := queries.list_runs(
            session, limit=7, before_id=pages[-1].id if pages else None, sort_metric=sort_metric
        ):
            pages += page
    assert [row.id for row in pages] == [row.id for row in whole]
    assert len({row.id for row in whole}) == len(whole) == (300 if sort_metric is None else 100)


def test_the_best_come_first_within_their_dataset(filled: Workspace) -> None:
    with filled.read() as session:
        rows = queries.list_runs(session, limit=1000, sort_metric="roc_auc")
    assert [row.dataset_id for row in rows] == sorted((row.dataset_id for row in rows), reverse=True)
    for dataset_id in (1, 2):
        values = [row.primary_value or 0 for row in rows if row.dataset_id == dataset_id]
        assert values == sorted(values, reverse=True)


def test_filters_agree_with_the_count(filled: Workspace) -> None:
    with filled.read() as session:
        for chosen in ({"state": "failed"}, {"dataset_id": 2}, {"algorithm": "random_forest", "dataset_id": 1}, {}):
            rows = queries.list_runs(session, limit=1000, **chosen)  # type: ignore[arg-type]
            assert queries.count_runs(session, **chosen) == len(rows) > 0  # type: ignore[arg-type]


def test_a_row_shows_what_a_person_looks_for(filled: Workspace) -> None:
    with filled.read() as session:
        row = next(row for row in queries.list_runs(session, limit=10) if row.id == 300)
    assert (row.dataset_label, row.requested_by, row.duration_s) == ("income v1", "sam", 90)
    assert row.primary_key == "roc_auc"
    assert row.primary_low is not None
    assert row.primary_value is not None
    assert row.primary_low < row.primary_value


def test_a_run_there_is_not(filled: Workspace) -> None:
    with filled.read() as session, pytest.raises(NotFound, match="run 12345"):
        queries.run(session, 12345)
    with filled.read() as session, pytest.raises(NotFound, match="metric"):
        queries.list_runs(session, limit=5, sort_metric="nonsense")


@pytest.mark.parametrize("task", list(Task))
def test_lists_show_the_metric_that_verdicts_use(task: Task) -> None:
    assert queries.PRIMARY[task] == primary_metric(task)


def test_ten_thousand_runs_list_quickly(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    with workspace.write() as session:
        fill(session, scientist, now, N_RUNS)
    for sort_metric in (None, "roc_auc"):
        spent = []
        for _ in range(3):
            started = time.perf_counter()
            with workspace.read() as session:
                assert len(queries.list_runs(session, limit=50, sort_metric=sort_metric)) == 50
            spent.append(time.perf_counter() - started)
        assert min(spent) < 0.25
