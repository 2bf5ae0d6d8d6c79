"""Evaluations, metric values, comparisons."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.database import document, moment


class Task(StrEnum):
    """What a model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Verdict(StrEnum):
    """What a paired comparison says of the candidate."""

    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


class Evaluation(SQLModel, table=True):
    """A run scored on one evaluation set; the file holds ordinals, truth and predictions."""

    __tablename__ = "evaluation"
    __table_args__ = (UniqueConstraint("run_id", "evaluation_set_id"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    evaluation_set_id: int = Field(foreign_key="evaluation_set.id", index=True)
    task: str = Field(max_length=16)
    predictions_sha256: str = Field(max_length=64)
    n_rows: int
    n_left_out: int = 0
    curves: dict[str, Any] = document()
    created_at: datetime = moment()


class MetricValue(SQLModel, table=True):
    """One metric of one evaluation with its interval."""

    __tablename__ = "metric_value"
    __table_args__ = (Index("ix_metric_value_rank", "key", "value", "evaluation_id"),)

    evaluation_id: int = Field(foreign_key="evaluation.id", primary_key=True)
    key: str = Field(primary_key=True, max_length=64)
    value: float
    low: float | None = None
    high: float | None = None


class Comparison(SQLModel, table=True):
    """A paired comparison of two evaluations on one evaluation set.

    ``n_candidates`` is how many were tried against the baseline at once; the interval and the verdict allow for it.
    ``rows_needed`` and ``tests`` are as `core.evaluation.comparing.PairedResult` says; ``tests`` may hold one more
    entry, ``cross_validation``, where both runs were cross-validated on the same folds.
    """

    __tablename__ = "comparison"
    __table_args__ = (
        UniqueConstraint("baseline_evaluation_id", "candidate_evaluation_id", "metric", "margin", "n_candidates"),
    )

    id: int | None = Field(default=None, primary_key=True)
    baseline_evaluation_id: int = Field(foreign_key="evaluation.id", index=True)
    candidate_evaluation_id: int = Field(foreign_key="evaluation.id", index=True)
    metric: str = Field(max_length=64)
    margin: float
    verdict: str = Field(max_length=16)
    effect: float
    low: float
    high: float
    pvalue: float | None = None
    n_rows: int
    n_left_out: int = 0
    smallest_effect: float
    rows_needed: int | None = None
    n_candidates: int = 1
    method: str
    tests: list[dict[str, Any]] = document(list)
    changed: dict[str, Any] | None = document(nullable=True)
    created_at: datetime = moment()


class Analysis(SQLModel, table=True):
    """One deeper look at an evaluation, computed once by a job and kept: slices, fairness, thresholds, ….

    ``options`` are what was asked for; ``options_digest`` tells two askings apart.
    """

    __tablename__ = "analysis"
    __table_args__ = (UniqueConstraint("evaluation_id", "kind", "options_digest"),)

    id: int | None = Field(default=None, primary_key=True)
    evaluation_id: int = Field(foreign_key="evaluation.id", index=True)
    kind: str = Field(max_length=32)
    options: dict[str, Any] = document()
    options_digest: str = Field(max_length=64)
    result: dict[str, Any] = document()
    created_at: datetime = moment()
