"""Rows that pages show, put straight into a home: a live model with its evaluation, monitor and windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from core.datasets.tables import Dataset, DatasetVersion, EvaluationSet, Split
from core.evaluation.tables import Evaluation, MetricValue
from core.monitoring.tables import Alert, Monitor, Window, WindowState
from core.permissions import Actor
from core.registry.service import assign, register_version
from core.registry.tables import Alias, Cause, Environment
from core.training.tables import Run

HASH = "ab" * 32


@dataclass(frozen=True)
class Made:
    model_id: int
    version_id: int
    monitor_id: int


def make_live_model(
    session: Session, *, name: str, actor: Actor, now: datetime, drifted: int = 0, n_windows: int = 6
) -> Made:
    """A dataset, a run scored on its fixed set, a version of it live since 30 days, and its watched windows."""
    then = now - timedelta(days=30)
    dataset = _kept(session, Dataset(name=f"{name} data", target="label", created_by=actor.user_id, created_at=then))
    version = _kept(
        session,
        DatasetVersion(
            dataset_id=dataset.id, number=1, relation="new", content_hash=HASH, data_sha256=HASH,
            n_rows=1000, n_columns=3, created_by=actor.user_id, created_at=then,
        ),
    )  # fmt: skip
    split = _kept(
        session,
        Split(
            version_id=version.id, key="k", method="random", validation_share=0.2, test_share=0.2,
            assignment_sha256=HASH, n_train=600, n_validation=200, n_test=200, n_excluded=0, created_at=then,
        ),
    )  # fmt: skip
    fixed = _kept(
        session,
        EvaluationSet(
            dataset_id=dataset.id, version_id=version.id, split_id=split.id, kind="fixed", rows_sha256=HASH,
            n_rows=200, created_at=then,
        ),
    )  # fmt: skip
    run = _kept(
        session,
        Run(
            dataset_version_id=version.id, split_id=split.id, target="label", task="binary", features=["a", "b"],
            algorithm="logistic_regression", state="finished", requested_by=actor.user_id, requested_at=then,
            started_at=then, finished_at=then + timedelta(seconds=42), model_sha256=HASH,
            signature={"task": "binary", "target": "label", "classes": ["no", "yes"], "features": []},
        ),
    )  # fmt: skip
    evaluation = _kept(
        session,
        Evaluation(
            run_id=run.id, evaluation_set_id=fixed.id, task="binary", predictions_sha256=HASH, n_rows=200,
            created_at=then,
        ),
    )  # fmt: skip
    session.add(MetricValue(evaluation_id=evaluation.id, key="roc_auc", value=0.927, low=0.921, high=0.933))
    session.flush()
    registered = register_version(session, run_id=run.id, model_name=name, actor=actor, now=then)
    assign(
        session, version_id=registered.id, environment=Environment.PRODUCTION, alias=Alias.CHAMPION,
        cause=Cause.PROMOTION, actor=actor, now=then,
    )  # fmt: skip
    monitor = _kept(
        session,
        Monitor(model_id=registered.model_id, environment="production", alias="champion", created_at=then),
    )
    for place in range(n_windows):
        last = place == n_windows - 1
        start = then + timedelta(days=5 * place)
        window = _kept(
            session,
            Window(
                monitor_id=monitor.id, version_id=registered.id, label=f"2026-{place + 1:02}", from_at=start,
                to_at=start + timedelta(days=5), n_rows=500, n_features=14, n_drifted=drifted if last else place % 2,
                state=WindowState.DRIFTED if last and drifted else WindowState.QUIET, computed_at=start, read_at=start,
            ),
        )  # fmt: skip
        if last and drifted:
            session.add(
                Alert(
                    monitor_id=monitor.id, window_id=window.id, kind="drift", severity="warning",
                    sentence=f"{drifted} features of {name} drifted.", opened_at=now - timedelta(hours=3),
                    since=window.label, since_at=window.from_at,
                )
            )  # fmt: skip
    session.flush()
    return Made(registered.model_id, registered.id, monitor.id)


def _kept(session, row):
    session.add(row)
    session.flush()
    return row
