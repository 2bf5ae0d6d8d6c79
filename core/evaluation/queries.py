"""Reading evaluations, metric values and comparisons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select as core_select
from sqlmodel import Session, col, or_, select

from core.artifacts import ArtifactStore
from core.errors import NotFound
from core.evaluation.tables import Analysis, Comparison, Evaluation, MetricValue

if TYPE_CHECKING:
    from core.evaluation.predictions import Predictions


@dataclass(frozen=True)
class RankedRun:
    """A run's place by one metric: the evaluation it is ranked by, and the value with its interval."""

    run_id: int
    evaluation_id: int
    evaluation_set_id: int
    value: float
    low: float | None
    high: float | None


def evaluation(session: Session, evaluation_id: int) -> Evaluation:
    """One evaluation.

    Raises
    ------
    NotFound
    """
    found = session.get(Evaluation, evaluation_id)
    if found is None:
        raise NotFound("evaluation", evaluation_id)
    return found


def evaluations_of_run(session: Session, run_id: int) -> list[Evaluation]:
    """A run's evaluations, in the order they were made."""
    return list(session.exec(select(Evaluation).where(col(Evaluation.run_id) == run_id).order_by(col(Evaluation.id))))


def evaluation_of(session: Session, *, run_id: int, evaluation_set_id: int) -> Evaluation | None:
    """A run's evaluation on one set, where it was scored on it."""
    return session.exec(
        select(Evaluation).where(
            col(Evaluation.run_id) == run_id, col(Evaluation.evaluation_set_id) == evaluation_set_id
        )
    ).first()


def metric_values(session: Session, evaluation_ids: Iterable[int]) -> dict[int, dict[str, MetricValue]]:
    """Every metric of several evaluations: evaluation id -> key -> value; ids without metrics give an empty mapping."""
    wanted = list(evaluation_ids)
    found: dict[int, dict[str, MetricValue]] = {one: {} for one in wanted}
    for row in session.exec(select(MetricValue).where(col(MetricValue.evaluation_id).in_(wanted))):
        found[row.evaluation_id][row.key] = row
    return found


def top_runs(
    session: Session,
    *,
    key: str,
    greater_is_better: bool,
    limit: int,
    evaluation_set_id: int | None = None,
) -> list[RankedRun]:
    """The best evaluations by one metric, read off the index in order.

    Parameters
    ----------
    evaluation_set_id : int, optional
        Only evaluations on this set: values on different sets are no ranking. Without it every set is listed, and the
        caller says so; a run scored on two sets is then there twice.
    limit : int
        At most so many.
    """
    value = col(MetricValue.value)
    order = (
        (value.desc(), col(MetricValue.evaluation_id).desc())
        if greater_is_better
        else (value.asc(), col(MetricValue.evaluation_id).asc())
    )
    statement = (
        core_select(
            col(Evaluation.run_id),
            col(MetricValue.evaluation_id),
            col(Evaluation.evaluation_set_id),
            col(MetricValue.value),
            col(MetricValue.low),
            col(MetricValue.high),
        )
        .select_from(MetricValue)
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .where(col(MetricValue.key) == key)
        .order_by(*order)
        .limit(limit)
    )
    if evaluation_set_id is not None:
        statement = statement.where(col(Evaluation.evaluation_set_id) == evaluation_set_id)
    return [RankedRun(*row) for row in session.execute(statement)]


def candidates_judged(session: Session, evaluation_set_id: int) -> int:
    """How many different runs have been held against another on one evaluation set: how often it has been used up."""
    judged = (
        core_select(col(Evaluation.run_id))
        .join(
            Comparison,
            or_(
                col(Comparison.candidate_evaluation_id) == col(Evaluation.id),
                col(Comparison.baseline_evaluation_id) == col(Evaluation.id),
            ),
        )
        .where(col(Evaluation.evaluation_set_id) == evaluation_set_id)
        .distinct()
    )
    return len(session.execute(judged).all())


def comparison(session: Session, comparison_id: int) -> Comparison:
    """One comparison.

    Raises
    ------
    NotFound
    """
    found = session.get(Comparison, comparison_id)
    if found is None:
        raise NotFound("comparison", comparison_id)
    return found


def comparison_of(
    session: Session,
    *,
    baseline_evaluation_id: int,
    candidate_evaluation_id: int,
    metric: str,
    margin: float,
    n_candidates: int = 1,
) -> Comparison | None:
    """The comparison of two evaluations by one metric, where it was made.

    Parameters
    ----------
    margin : float
        In the metric's unit, as the row keeps it.
    n_candidates : int
        How many candidates it allows for.
    """
    return session.exec(
        select(Comparison).where(
            col(Comparison.baseline_evaluation_id) == baseline_evaluation_id,
            col(Comparison.candidate_evaluation_id) == candidate_evaluation_id,
            col(Comparison.metric) == metric,
            col(Comparison.margin) == margin,
            col(Comparison.n_candidates) == n_candidates,
        )
    ).first()


def comparisons(
    session: Session,
    *,
    baseline_evaluation_ids: Sequence[int] | None = None,
    candidate_evaluation_ids: Sequence[int] | None = None,
    metric: str | None = None,
) -> list[Comparison]:
    """Comparisons by baseline, candidate and metric, newest first; what is not given is not filtered by."""
    statement = select(Comparison).order_by(col(Comparison.id).desc())
    if baseline_evaluation_ids is not None:
        statement = statement.where(col(Comparison.baseline_evaluation_id).in_(baseline_evaluation_ids))
    if candidate_evaluation_ids is not None:
        statement = statement.where(col(Comparison.candidate_evaluation_id).in_(candidate_evaluation_ids))
    if metric is not None:
        statement = statement.where(col(Comparison.metric) == metric)
    return list(session.exec(statement))


def options_digest(options: Mapping[str, Any]) -> str:
    """What tells one asking for an analysis from another: the hash of its options, in whatever order they came."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, allow_nan=False).encode()).hexdigest()


def analysis(
    session: Session, *, evaluation_id: int, kind: str, options: Mapping[str, Any] | None = None
) -> Analysis | None:
    """One deeper look at an evaluation with exactly these options, where it was computed; empty options by default."""
    return session.exec(
        select(Analysis).where(
            col(Analysis.evaluation_id) == evaluation_id,
            col(Analysis.kind) == kind,
            col(Analysis.options_digest) == options_digest(options or {}),
        )
    ).first()


def analyses(session: Session, *, evaluation_id: int, kind: str | None = None) -> list[Analysis]:
    """What was computed of an evaluation, of one kind or all, newest first."""
    statement = select(Analysis).where(col(Analysis.evaluation_id) == evaluation_id)
    if kind is not None:
        statement = statement.where(col(Analysis.kind) == kind)
    return list(session.exec(statement.order_by(col(Analysis.id).desc())))


def load_predictions(store: ArtifactStore, evaluation: Evaluation) -> Predictions:
    """The stored per-row predictions of an evaluation, checked against their hash.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    return predictions_file(store, evaluation.predictions_sha256)


def predictions_file(store: ArtifactStore, sha256: str) -> Predictions:
    """Stored per-row predictions by the hash of their file, checked against it.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    from core.evaluation.predictions import from_parquet

    return from_parquet(store.get_bytes(sha256))
