"""Writing down evaluations and comparisons that were computed before.

Neither is asked for by itself: they are the outcome of a job (training, scoring, comparing, preparing a request), whose
permission is checked when it is requested and again when it starts, and whose audit event names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, delete, select

from core.errors import InvalidInput
from core.evaluation.queries import analysis, comparison_of, options_digest
from core.evaluation.tables import Analysis, Comparison, Evaluation, MetricValue, Task

if TYPE_CHECKING:
    from core.evaluation.comparing import PairedResult
    from core.evaluation.metrics import MetricEstimate


def record_evaluation(
    session: Session,
    *,
    run_id: int,
    evaluation_set_id: int,
    task: Task | str,
    predictions_sha256: str,
    n_rows: int,
    n_left_out: int,
    metrics: Iterable[MetricEstimate],
    curves: Mapping[str, Any],
    now: datetime,
) -> Evaluation:
    """Write down a run's evaluation on a set; scoring it again with the same outcome changes nothing.

    Parameters
    ----------
    predictions_sha256 : str
        The stored predictions file.
    n_rows, n_left_out : int
        Rows scored, and rows of the set left out because the run trained on them.
    metrics, curves
        As `metrics.compute_metrics` and `curves.curves` gave them.

    Returns
    -------
    Evaluation
        The one row of this run and set. Where one existed with other predictions and no comparison rests on it, it is
        replaced.

    Raises
    ------
    InvalidInput
        The run was scored on this set before with other predictions, and a comparison rests on those.
    """
    found = session.exec(
        select(Evaluation).where(
            col(Evaluation.run_id) == run_id, col(Evaluation.evaluation_set_id) == evaluation_set_id
        )
    ).first()
    if found is not None and found.predictions_sha256 == predictions_sha256:
        return found
    if found is None:
        found = Evaluation(
            run_id=run_id,
            evaluation_set_id=evaluation_set_id,
            task=Task(task).value,
            predictions_sha256=predictions_sha256,
            n_rows=n_rows,
            n_left_out=n_left_out,
            curves=dict(curves),
            created_at=now,
        )
        session.add(found)
    else:
        _refuse_if_compared(session, found)
        for table in (MetricValue, Analysis):
            session.exec(delete(table).where(col(table.evaluation_id) == found.id))
        found.predictions_sha256, found.n_rows, found.n_left_out = predictions_sha256, n_rows, n_left_out
        found.curves, found.created_at = dict(curves), now
    session.flush()
    assert found.id is not None
    session.add_all(
        MetricValue(evaluation_id=found.id, key=one.key, value=one.value, low=one.low, high=one.high) for one in metrics
    )
    session.flush()
    return found


def record_comparison(
    session: Session,
    *,
    baseline_evaluation_id: int,
    candidate_evaluation_id: int,
    metric: str,
    margin: float,
    result: PairedResult,
    now: datetime,
) -> Comparison:
    """Write down a paired comparison; the same one again gives the row that is there.

    Parameters
    ----------
    margin : float
        As it was asked for. The row keeps ``result.margin``, which is in the effect's unit also where the margin asked
        for is a share of the baseline's value.
    result : PairedResult
        For as many candidates as its ``n_candidates``; the same comparison allowing for another number is another.
    """
    del margin
    found = comparison_of(
        session,
        baseline_evaluation_id=baseline_evaluation_id,
        candidate_evaluation_id=candidate_evaluation_id,
        metric=metric,
        margin=result.margin,
        n_candidates=result.n_candidates,
    )
    if found is not None:
        return found
    row = Comparison(
        baseline_evaluation_id=baseline_evaluation_id,
        candidate_evaluation_id=candidate_evaluation_id,
        metric=metric,
        margin=result.margin,
        verdict=result.verdict.value,
        effect=result.effect,
        low=result.low,
        high=result.high,
        pvalue=result.pvalue,
        n_rows=result.n_rows,
        n_left_out=result.n_left_out,
        smallest_effect=result.smallest_effect,
        rows_needed=result.rows_needed,
        n_candidates=result.n_candidates,
        method=result.method,
        tests=list(result.tests),
        changed=None if result.changed is None else dict(result.changed),
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def record_analysis(
    session: Session,
    *,
    evaluation_id: int,
    kind: str,
    options: Mapping[str, Any],
    result: Mapping[str, Any],
    now: datetime,
) -> Analysis:
    """Write down a deeper look at an evaluation; the same options again give the row that is there.

    Parameters
    ----------
    kind : str
        A key of `core.training.analyses.ANALYSES`.
    options, result
        JSON documents.
    """
    found = analysis(session, evaluation_id=evaluation_id, kind=kind, options=options)
    if found is None:
        found = Analysis(
            evaluation_id=evaluation_id,
            kind=kind,
            options=dict(options),
            options_digest=options_digest(options),
            result=dict(result),
            created_at=now,
        )
        session.add(found)
        session.flush()
    return found


def _refuse_if_compared(session: Session, evaluation: Evaluation) -> None:
    rests = session.exec(
        select(Comparison.id).where(
            (col(Comparison.baseline_evaluation_id) == evaluation.id)
            | (col(Comparison.candidate_evaluation_id) == evaluation.id)
        )
    ).first()
    if rests is not None:
        raise InvalidInput(
            f"Run {evaluation.run_id} was scored on this evaluation set before and gave other predictions then; "
            "comparisons rest on those. Train a new run instead of changing what was judged."
        )
