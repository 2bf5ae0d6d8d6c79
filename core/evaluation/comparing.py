"""The paired comparison of a candidate with a baseline, on the rows both were scored on and neither trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation import verdicts
from core.evaluation.changes import Changed, changed_decisions
from core.evaluation.metrics import measure
from core.evaluation.metrics import metric as metric_entry
from core.evaluation.outcomes import Outcome
from core.evaluation.paired_metrics import paired_effect
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict
from core.statistics.intervals import Interval
from core.statistics.paired import smallest_detectable


@dataclass(frozen=True)
class PairedResult:
    """What a paired comparison says of the candidate, with how sure it is.

    Parameters
    ----------
    verdict : Verdict
        By the table of `verdicts.decide`.
    effect, low, high : float
        Difference of the metric and its 95 % interval, turned so that above 0 the candidate is better.
    pvalue : float or None
        Two-sided, of no difference; None where the method has none.
    n_rows, n_left_out : int
        Rows compared, and rows left out because either model trained on them or only one was scored on them.
    smallest_effect : float
        The smallest difference these rows would have shown with 80 % probability; 0 where all predictions agree.
    method : str
        How interval and p-value were computed, in words.
    changed : Changed or None
        Changed decisions; None for a regression.
    sentence : str
        All of it in plain words.
    margin : float
        In the effect's unit; what ``verdict`` was decided with.
    baseline_value, candidate_value : float
        The metric of each on the rows compared.
    rows_needed : int or None
        How many rows such a set would need for a true difference as large as the margin to be seen with 80 %
        probability; None where the margin is 0 or nothing varies.
    n_candidates : int
        How many candidates were tried; ``low``, ``high``, ``verdict``, ``smallest_effect`` and ``rows_needed`` are at
        the level 1 - 0.05 / n_candidates (Bonferroni), the p-values are as they are.
    tests : list of dict
        Every method that is defined for the metric, the one that decided first, each ``{"key", "title", "effect",
        "low", "high", "pvalue"}``: strings and finite numbers, ``low`` and ``high`` or ``pvalue`` None where the method
        gives none, all turned so that above 0 the candidate is better. Keys are those of
        `paired_tests.PAIRED_TESTS`.
    """

    verdict: Verdict
    effect: float
    low: float
    high: float
    pvalue: float | None
    n_rows: int
    n_left_out: int
    smallest_effect: float
    method: str
    changed: Changed | None
    sentence: str
    margin: float
    baseline_value: float
    candidate_value: float
    rows_needed: int | None = None
    n_candidates: int = 1
    tests: list[dict[str, Any]] = field(default_factory=list)


def default_margin(metric: str) -> float:
    """By how much a candidate may be worse and still count as not worse, unless a policy says otherwise.

    Absolute for most metrics; for those in the target's own unit (`Metric.margin_is_share`: RMSE and the absolute
    errors) a share of the baseline's value, since no absolute number fits every target. `compare` takes it as it is.
    """
    return metric_entry(metric).margin


def align(
    baseline: Predictions, candidate: Predictions, *, leave_out: NDArray[np.int64] | None = None
) -> tuple[Predictions, Predictions, int]:
    """Keep the rows that both were scored on and that are not to be left out, in the order of ordinals.

    Returns
    -------
    baseline, candidate : Predictions
        Over the same rows.
    n_left_out : int
        Rows of either that were dropped, each counted once.

    Raises
    ------
    InvalidInput
        The tasks differ, or the two disagree about what is true: they were scored on different data.
    """
    if baseline.task is not candidate.task:
        raise InvalidInput(
            f"A {baseline.task.value} run cannot be compared with a {candidate.task.value} run; choose two of one task."
        )
    every = np.union1d(baseline.ordinals, candidate.ordinals)
    common = np.intersect1d(baseline.ordinals, candidate.ordinals, assume_unique=True)
    if leave_out is not None and len(leave_out):
        common = common[~np.isin(common, np.asarray(leave_out, dtype=np.int64))]
    first, second = _at(baseline, common), _at(candidate, common)
    if not np.array_equal(first.y_true, second.y_true):
        raise InvalidInput(
            "The two runs disagree about what is true on the same rows, so they were scored on different data. "
            "Score both on one evaluation set."
        )
    return first, second, len(every) - len(common)


def compare(
    baseline: Predictions,
    candidate: Predictions,
    *,
    metric: str,
    margin: float | None = None,
    leave_out: NDArray[np.int64] | None = None,
    rng: np.random.Generator,
) -> PairedResult:
    """Say whether a candidate is better than a baseline, judged on the same rows.

    Parameters
    ----------
    baseline, candidate : Predictions
        Of one evaluation set; rows are matched by ordinal.
    metric : str
        A key of `METRICS` for the task.
    margin : float, optional
        Finite, >= 0; a share of the baseline's value where `Metric.margin_is_share`. The default margin unless given.
    leave_out : ndarray of int64, optional
        Ordinals of rows that either model trained on.
    rng : Generator
        Drawn from only where the method resamples.

    Raises
    ------
    InvalidInput
        Unknown metric, bad margin, different tasks or different truth.
    InsufficientData
        Fewer than two rows are left to compare.
    NotApplicable
        The metric is not for this task, or not defined on these rows for one of the two.
    """
    entry = metric_entry(metric)
    given = entry.margin if margin is None else margin
    if not (math.isfinite(given) and given >= 0):
        raise InvalidInput(f"The margin is {given}; give a number of 0 or more.")
    before, after, n_left_out = align(baseline, candidate, leave_out=leave_out)
    if before.n_rows < 2:
        raise InsufficientData(
            f"{before.n_rows} rows are left to compare after {n_left_out:,} were left out; at least 2 are needed. "
            "Choose an evaluation set with rows that neither model trained on."
        )
    first, second = _share_labels(before, after)
    measured = (measure(entry, first), measure(entry, second))
    found = paired_effect(entry, first, second, measured, rng=rng)
    ends = (found.low, found.high) if entry.greater_is_better else (-found.high, -found.low)
    effect = (found.effect if entry.greater_is_better else -found.effect) + 0.0
    if not all(map(math.isfinite, (effect, *ends))):
        raise NotApplicable(f"{entry.title} gives no finite difference on these rows; choose another metric.")
    interval = Interval(min(ends[0], effect) + 0.0, max(ends[1], effect) + 0.0)
    absolute = given * abs(measured[0].value) if entry.margin_is_share else given
    verdict = verdicts.decide(interval.low, interval.high, absolute)
    smallest = smallest_detectable(interval)
    return PairedResult(
        verdict=verdict,
        effect=effect,
        low=interval.low,
        high=interval.high,
        pvalue=found.pvalue,
        n_rows=before.n_rows,
        n_left_out=n_left_out,
        smallest_effect=smallest,
        method=found.method,
        changed=changed_decisions(before, after),
        sentence=verdicts.sentence(
            verdict,
            title=entry.title,
            baseline_value=measured[0].value,
            candidate_value=measured[1].value,
            effect=effect,
            low=interval.low,
            high=interval.high,
            margin=absolute,
            n_rows=before.n_rows,
            smallest_effect=smallest,
        ),
        margin=absolute,
        baseline_value=measured[0].value,
        candidate_value=measured[1].value,
    )


def _at(predictions: Predictions, ordinals: NDArray[np.int64]) -> Predictions:
    if np.array_equal(predictions.ordinals, ordinals):
        return predictions
    order = np.argsort(predictions.ordinals)
    return predictions.take(order[np.searchsorted(predictions.ordinals, ordinals, sorter=order)])


def _share_labels(before: Predictions, after: Predictions) -> tuple[Outcome, Outcome]:
    """Number the labels of both alike, so that a cell of one confusion matrix is the same cell of the other."""
    if before.task is Task.BINARY and before.classes != after.classes:
        raise InvalidInput(
            f"The baseline knows the classes {', '.join(before.classes)}, the candidate {', '.join(after.classes)}: "
            "their positive classes differ. Train one again on the same labels."
        )
    if before.task is Task.REGRESSION:
        return Outcome(before), Outcome(after)
    seen = {*before.y_true, *before.y_pred, *after.y_pred, *after.classes} - set(before.classes)
    labels = before.classes + tuple(sorted(seen))
    return Outcome(before, labels), Outcome(after, labels)
