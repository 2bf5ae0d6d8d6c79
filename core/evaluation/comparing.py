"""The paired comparison of a candidate with a baseline, on the rows both were scored on and neither trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from core.evaluation.paired_tests import paired_tests
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict
from core.statistics.intervals import CONFIDENCE, Interval
from core.statistics.multiple_testing import holm
from core.statistics.paired import rows_needed, smallest_detectable
from core.statistics.permutation import N_PERMUTATIONS
from core.statistics.resampling import N_RESAMPLES


@dataclass(frozen=True)
class PairedResult:
    """What a paired comparison says of the candidate, with how sure it is.

    Parameters
    ----------
    verdict : Verdict
        By the table of `verdicts.decide`.
    effect, low, high : float
        Difference of the metric and its interval (95 % for one candidate), turned so that above 0 the candidate is
        better.
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

    How much a row counts is a fact about the row, so where only one of the two knows the weights, both get them.

    Returns
    -------
    baseline, candidate : Predictions
        Over the same rows.
    n_left_out : int
        Rows of either that were dropped, each counted once.

    Raises
    ------
    InvalidInput
        The tasks differ, or the two disagree about what is true or how much a row counts: they were scored on
        different data.
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
    weights = second.sample_weight if first.sample_weight is None else first.sample_weight
    first, second = (
        one if one.sample_weight is not None else replace(one, sample_weight=weights) for one in (first, second)
    )
    if not _same_weights(first, second):
        raise InvalidInput(
            "The two runs give the same rows different weights, so their figures mean different things. "
            "Train both with the same weight column, or one of them without."
        )
    return first, second, len(every) - len(common)


def compare(
    baseline: Predictions,
    candidate: Predictions,
    *,
    metric: str,
    margin: float | None = None,
    leave_out: NDArray[np.int64] | None = None,
    costs: Mapping[str, Any] | None = None,
    n_candidates: int = 1,
    n_resamples: int = N_RESAMPLES,
    n_permutations: int = N_PERMUTATIONS,
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
    costs : mapping, optional
        What each mistake costs, as `Outcome` takes it; for metrics that need one.
    n_candidates : int
        How many candidates are tried against this baseline, this one among them. With n, interval and verdict are at
        the level 1 - 0.05 / n, so that of all n the chance of any false "better" or "worse" stays at 5 % (Bonferroni:
        Holm's steps correct p-values, and give no interval that a verdict could be read from).
    n_resamples, n_permutations : int
        Of the bootstrap and the permutation in ``tests``; 0 leaves them out.
    rng : Generator
        Drawn from only where a method resamples. The verdict does not depend on it, but for the calibration error's.

    Notes
    -----
    Rows of weight 0 are as absent: left out, and counted so.

    Raises
    ------
    InvalidInput
        Unknown metric, bad margin, a number of candidates below 1, different tasks, truth or weights.
    InsufficientData
        Fewer than two rows are left to compare.
    NotApplicable
        The metric is not for this task, or not defined on these rows for one of the two.
    """
    entry = metric_entry(metric)
    given = entry.margin if margin is None else margin
    if not (math.isfinite(given) and given >= 0):
        raise InvalidInput(f"The margin is {given}; give a number of 0 or more.")
    if n_candidates < 1:
        raise InvalidInput(f"The number of candidates is {n_candidates}; give how many are tried, at least 1.")
    level = 1 - (1 - CONFIDENCE) / n_candidates
    before, after, n_left_out = _compared(baseline, candidate, leave_out)
    first, second = _share_labels(before, after, costs)
    measured = (measure(entry, first), measure(entry, second))
    found = paired_effect(entry, first, second, measured, confidence_level=level, rng=rng)
    ends = (found.low, found.high) if entry.greater_is_better else (-found.high, -found.low)
    effect = (found.effect if entry.greater_is_better else -found.effect) + 0.0
    if not all(map(math.isfinite, (effect, *ends))):
        raise NotApplicable(f"{entry.title} gives no finite difference on these rows; choose another metric.")
    interval = Interval(min(ends[0], effect) + 0.0, max(ends[1], effect) + 0.0)
    absolute = given * abs(measured[0].value) if entry.margin_is_share else given
    verdict = verdicts.decide(interval.low, interval.high, absolute)
    smallest = smallest_detectable(interval, confidence_level=level)
    wanted = rows_needed(smallest, before.n_rows, absolute)
    changed = changed_decisions(before, after)
    tests = paired_tests(
        entry,
        first,
        second,
        measured,
        found,
        confidence_level=level,
        n_resamples=n_resamples,
        n_permutations=n_permutations,
        rng=rng,
    )
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
        changed=changed,
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
            rows_needed=wanted,
            n_candidates=n_candidates,
            n_changed=0 if changed is None else changed["n_changed"],
        ),
        margin=absolute,
        baseline_value=measured[0].value,
        candidate_value=measured[1].value,
        rows_needed=wanted,
        n_candidates=n_candidates,
        tests=[turned(one, greater_is_better=entry.greater_is_better) for one in tests],
    )


def absolute_margin(
    baseline: Predictions,
    candidate: Predictions,
    *,
    metric: str,
    margin: float | None = None,
    costs: Mapping[str, Any] | None = None,
) -> float:
    """The margin `compare` would decide with, in the metric's unit; the comparison itself is not made.

    Raises
    ------
    As `compare`.
    """
    entry = metric_entry(metric)
    given = entry.margin if margin is None else margin
    if not entry.margin_is_share:
        return given
    before, after, _ = _compared(baseline, candidate, None)
    return given * abs(measure(entry, _share_labels(before, after, costs)[0]).value)


def turned(test: Mapping[str, Any], *, greater_is_better: bool) -> dict[str, Any]:
    """One method's figures so that above 0 the candidate is better; plain numbers, not -0."""
    sign = 1 if greater_is_better else -1
    effect, low, high = (
        None if test[name] is None else float(sign * test[name]) + 0.0 for name in ("effect", "low", "high")
    )
    if not greater_is_better:
        low, high = high, low
    return {**test, "effect": effect, "low": low, "high": high}


def corrected_pvalues(pvalues: Mapping[int, float | None]) -> dict[int, float | None]:
    """P-values of several candidates against one baseline, corrected by Holm; None stays None and counts as tried.

    A candidate without a p-value was tried all the same, so the others are corrected as if its p-value were 1.

    Parameters
    ----------
    pvalues : mapping of candidate to p-value
    """
    corrected = holm([1.0 if pvalue is None else pvalue for pvalue in pvalues.values()])
    return {
        candidate: None if pvalue is None else float(one)
        for (candidate, pvalue), one in zip(pvalues.items(), corrected, strict=True)
    }


def _compared(
    baseline: Predictions, candidate: Predictions, leave_out: NDArray[np.int64] | None
) -> tuple[Predictions, Predictions, int]:
    before, after, n_left_out = align(baseline, candidate, leave_out=leave_out)
    if before.sample_weight is not None and not before.sample_weight.all():
        counted = before.sample_weight > 0
        before, after = before.take(counted), after.take(counted)
        n_left_out += int((~counted).sum())
    if before.n_rows < 2:
        raise InsufficientData(
            f"{before.n_rows} rows are left to compare after {n_left_out:,} were left out; at least 2 are needed. "
            "Choose an evaluation set with rows that neither model trained on."
        )
    return before, after, n_left_out


def _same_weights(first: Predictions, second: Predictions) -> bool:
    if first.sample_weight is None or second.sample_weight is None:
        return first.sample_weight is second.sample_weight
    return np.array_equal(first.sample_weight, second.sample_weight)


def _at(predictions: Predictions, ordinals: NDArray[np.int64]) -> Predictions:
    if np.array_equal(predictions.ordinals, ordinals):
        return predictions
    order = np.argsort(predictions.ordinals)
    return predictions.take(order[np.searchsorted(predictions.ordinals, ordinals, sorter=order)])


def _share_labels(before: Predictions, after: Predictions, costs: Mapping[str, Any] | None) -> tuple[Outcome, Outcome]:
    """Number the labels of both alike, so that a cell of one confusion matrix is the same cell of the other."""
    if before.task is Task.BINARY and before.classes != after.classes:
        raise InvalidInput(
            f"The baseline knows the classes {', '.join(before.classes)}, the candidate {', '.join(after.classes)}: "
            "their positive classes differ. Train one again on the same labels."
        )
    if before.task is Task.REGRESSION:
        return Outcome(before, costs=costs), Outcome(after, costs=costs)
    seen = {*before.y_true, *before.y_pred, *after.y_pred, *after.classes} - set(before.classes)
    labels = before.classes + tuple(sorted(seen))
    return Outcome(before, labels, costs), Outcome(after, labels, costs)
