"""What every method says of a difference between two runs on the same rows, so that a reader sees whether they agree.

The primary method (`paired_metrics`) decides; these stand beside it. The bootstrap asks how far the difference would
move on other rows and gives an interval; the permutation asks how often swapping the two models' predictions row by row
gives as large a difference, which is a stricter question than equal figures, and gives a p-value alone.

The bootstrap's percentiles are as far out as Student's quantiles by what the rows' influences tell of their own spread.
Still it finds a difference that is not there up to 9 times in 100 with 50 rows or ten of the rarer class
(docs/verdict-honesty.md). It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation import measures
from core.evaluation.confusion_metrics import FROM_CONFUSION
from core.evaluation.measures import Measured
from core.evaluation.metrics import Metric
from core.evaluation.outcomes import Outcome
from core.evaluation.paired_metrics import influence_effect
from core.evaluation.tables import Task
from core.statistics import intervals, permutation, resampling, reweighting
from core.statistics.intervals import CONFIDENCE
from core.statistics.paired import PairedEffect
from core.statistics.permutation import Permuted
from core.statistics.reweighting import Floats, Reweighted

# Beyond so many cells of truth and two predictions, rows are swapped one by one instead.
MOST_CELLS = 30_000


@dataclass(frozen=True)
class PairedMethod:
    """One way of judging a paired difference.

    Parameters
    ----------
    key, title : str
        As stored, and as shown.
    sentence : str
        What its figures mean, plainly.
    reference : str
        Where it comes from.
    """

    key: str
    title: str
    sentence: str
    reference: str


PAIRED_TESTS: dict[str, PairedMethod] = {
    "same": PairedMethod(
        key="same",
        title="Same predictions",
        sentence="The two predict the same on every row, so nothing can differ.",
        reference="",
    ),
    "mcnemar": PairedMethod(
        key="mcnemar",
        title="Exact McNemar",
        sentence="Counts the rows that only one of the two got right and asks whether chance splits them like that.",
        reference="McNemar (1947), Psychometrika 12:153; interval by Tango (1998), Statistics in Medicine 17:891",
    ),
    "class_score_intervals": PairedMethod(
        key="class_score_intervals",
        title="Score intervals by class",
        sentence="Counts, in each class, the rows that only one of the two got right, and adds the classes up.",
        reference="Tango (1998), Statistics in Medicine 17:891; Zou and Donner (2008), Statistics in Medicine 27:1693",
    ),
    "delong": PairedMethod(
        key="delong",
        title="Paired DeLong",
        sentence="How far the difference of the two areas would move on other rows, worked out without drawing any.",
        reference="DeLong et al. (1988), Biometrics 44:837, Welch's degrees; variance at least that of rows near by",
    ),
    "paired_t": PairedMethod(
        key="paired_t",
        title="Paired t test",
        sentence="Whether the mean of the rows' differences in loss is further from 0 than their spread allows.",
        reference="Student (1908), Biometrika 6:1",
    ),
    "influence": PairedMethod(
        key="influence",
        title="Paired influences",
        sentence="How far the difference would move on other rows, from how far each row moves it.",
        reference="Efron (1982), The jackknife, the bootstrap and other resampling plans, chapter 6",
    ),
    "calibration_bins": PairedMethod(
        key="calibration_bins",
        title="Calibration bins",
        sentence="How far the difference of the two calibration errors would move on other rows, bin by bin, less what "
        "noise alone adds to each.",
        reference="Bootstrap of the bins' gaps; Zou and Donner (2008), Statistics in Medicine 27:1693",
    ),
    "apart": PairedMethod(
        key="apart",
        title="Two intervals combined",
        sentence="The rows show no spread to judge by, so the two are judged as if they were of different rows.",
        reference="Zou and Donner (2008), Statistics in Medicine 27:1693",
    ),
    "bootstrap": PairedMethod(
        key="bootstrap",
        title="Paired bootstrap",
        sentence="The difference on thousands of sets of rows drawn from these; a little too sure with few rows.",
        reference="Efron (1987), JASA 82:171, bias-corrected and accelerated; Hesterberg (2015), expanded for few rows",
    ),
    "permutation": PairedMethod(
        key="permutation",
        title="Permutation",
        sentence="How often swapping the two models' predictions row by row gives as large a difference.",
        reference="Fisher (1935), The design of experiments; Bandos et al. (2005), Statistics in Medicine 24:2873",
    ),
    "cross_validation": PairedMethod(
        key="cross_validation",
        title="Cross-validation: other trainings, not only these two models",
        sentence="Whether the one way of training beats the other fold by fold; rows the folds share are allowed for.",
        reference="Nadeau and Bengio (2003), Machine Learning 52:239",
    ),
}


def paired_tests(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    primary: PairedEffect,
    *,
    confidence_level: float = CONFIDENCE,
    n_resamples: int = resampling.N_RESAMPLES,
    n_permutations: int = permutation.N_PERMUTATIONS,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Every method that is defined for a metric on these rows, the primary one first.

    Parameters
    ----------
    entry, baseline, candidate, measured
        As `paired_metrics.paired_effect` takes them.
    primary : PairedEffect
        What it gave.
    n_resamples, n_permutations : int
        0 leaves the bootstrap, or the permutation, out.

    Returns
    -------
    list of dict
        ``{"key", "title", "effect", "low", "high", "pvalue"}``, candidate minus baseline in the metric's own direction.
        Two models that predict the same, and a metric that only its primary method is defined for, give one entry.
    """
    found = [entry_of(primary)]
    if primary.key == "same":
        return found
    effect = measured[1].value - measured[0].value
    if primary.key == "class_score_intervals":
        found.append(
            entry_of(influence_effect(entry, baseline, candidate, measured, confidence_level=confidence_level))
        )
    if n_resamples:
        resampled = bootstrap_differences(entry, baseline, candidate, n_resamples=n_resamples, rng=rng)
        influence = measured[1].influence - measured[0].influence
        df = intervals.effective_df(influence)
        judged = None if resampled is None else resampling.bca(effect, resampled, influence, confidence_level, df=df)
        if judged is not None:
            (low, high), pvalue = judged
            method = f"{n_resamples:,} resamples"
            found.append(entry_of(PairedEffect(effect, low, high, pvalue, method, "bootstrap"), note=method))
    if n_permutations:
        permuted = permute(entry, baseline, candidate, effect, n_permutations=n_permutations, rng=rng)
        if permuted is not None:
            note = f"all {permuted.n_arrangements:,} swaps" if permuted.exact else f"{n_permutations:,} random swaps"
            tested = PairedEffect(effect, effect, effect, permuted.pvalue, note, "permutation")
            found.append({**entry_of(tested, note=note), "low": None, "high": None})
    return found


def entry_of(effect: PairedEffect, *, note: str = "") -> dict[str, Any]:
    """One method's figures as stored; the title says ``note`` too."""
    title = PAIRED_TESTS[effect.key].title
    return {
        "key": effect.key,
        "title": f"{title}, {note}" if note else title,
        "effect": effect.effect,
        "low": effect.low,
        "high": effect.high,
        "pvalue": effect.pvalue,
    }


def bootstrap_differences(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    *,
    n_resamples: int = resampling.N_RESAMPLES,
    rng: np.random.Generator,
) -> NDArray[np.float64] | None:
    """The metric's difference on resamples of the rows, the same rows for both.

    Metrics of the confusion matrix are resampled by the counts of its cells, which is the same as by rows and does not
    cost more for more of them; the others by how often each row was drawn.

    Returns
    -------
    ndarray of shape (n_resamples,) or None
        NaN where the metric is not defined on a resample. None where the metric has no such form.
    """
    weight = baseline.predictions.sample_weight
    if weight is None and entry.key in FROM_CONFUSION:
        metric, k = FROM_CONFUSION[entry.key], len(baseline.labels)
        cells = (baseline.y_true * k + baseline.y_pred) * k + candidate.y_pred
        codes, counts = np.unique(cells, return_counts=True)
        drawn = rng.multinomial(baseline.n_rows, counts / baseline.n_rows, size=n_resamples).astype(np.float64)
        was, became = codes // k, codes // (k * k) * k + codes % k
        return _stacked(metric, _summed(drawn, became, k)) - _stacked(metric, _summed(drawn, was, k))
    before, after = _form(entry, baseline), _form(entry, candidate)
    if before is None or after is None:
        return None
    differences = []
    for counts_drawn in resampling.draw_counts(baseline.n_rows, n_resamples=n_resamples, rng=rng):
        weights = counts_drawn if weight is None else counts_drawn * weight
        differences.append(after(weights) - before(weights))
    return np.concatenate(differences)


def permute(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    effect: float,
    *,
    n_permutations: int = permutation.N_PERMUTATIONS,
    rng: np.random.Generator,
) -> Permuted | None:
    """Test whether the two models' predictions can be swapped row by row; None where the metric has no such form.

    Ranks take the place of scores for the ROC AUC and average precision, so that a model that gives larger scores
    throughout can change places with one that gives smaller ones.
    """
    weight = baseline.predictions.sample_weight
    losses = _LOSSES.get(entry.key)
    if losses is not None:
        difference = losses(candidate) - losses(baseline)
        difference = difference if weight is None else difference * weight
        return permutation.sign_flip(difference, n_permutations=n_permutations, rng=rng)
    k = len(baseline.labels) if entry.key in FROM_CONFUSION else 0
    if k and weight is None and k**3 <= MOST_CELLS:
        cells = (baseline.y_true * k + baseline.y_pred) * k + candidate.y_pred
        counts = np.bincount(cells, minlength=k**3).reshape(k, k, k)
        metric = FROM_CONFUSION[entry.key]
        return permutation.swap_cells(counts, metric, effect, n_permutations=n_permutations, rng=rng)
    of_both = _form(entry, baseline, candidate)
    if of_both is None:
        return None
    return permutation.swap_rows(
        of_both, baseline.n_rows, effect, row_weights=weight, n_permutations=n_permutations, rng=rng
    )


def _stacked(metric: Callable[[Floats], Floats], cells: Floats) -> Floats:
    k = round(cells.shape[1] ** 0.5)
    return metric(cells.reshape(-1, k, k))


def _summed(drawn: Floats, places: NDArray[np.int64], k: int) -> Floats:
    """Sum columns that belong to one place of a k by k matrix."""
    belongs = np.zeros((len(places), k * k))
    belongs[np.arange(len(places)), places] = 1
    return drawn @ belongs


def _errors_squared(outcome: Outcome) -> Floats:
    return np.asarray(outcome.errors**2)


def _pinball(quantile: float) -> Callable[[Outcome], Floats]:
    return lambda outcome: np.asarray(np.where(outcome.errors > 0, 1 - quantile, -quantile) * outcome.errors)


# The rows' losses whose (weighted) sum orders the metric; swapping rows then is changing the sign of a difference.
_LOSSES: dict[str, Callable[[Outcome], Floats]] = {
    "log_loss": measures.log_losses,
    "brier": measures.brier_losses,
    "top_3_accuracy": lambda outcome: measures.top_classes_hit(outcome).astype(np.float64),
    "average_cost": lambda outcome: np.asarray(outcome.cost_matrix[outcome.y_true, outcome.y_pred]),
    "mae": lambda outcome: np.abs(outcome.errors),
    "mape": lambda outcome: np.asarray(np.abs(outcome.errors) / np.abs(outcome.predictions.y_true)),
    "quantile_loss_10": _pinball(0.1),
    "quantile_loss_90": _pinball(0.9),
    "rmse": _errors_squared,
    "r2": _errors_squared,
}


def _first(means: Floats) -> Floats:
    return means[:, 0]


def _root(means: Floats) -> Floats:
    return np.asarray(np.sqrt(means[:, 0]))


def _explained(means: Floats) -> Floats:
    variance = means[:, 2] - means[:, 1] ** 2
    return np.asarray(1 - np.divide(means[:, 0], variance, out=np.full(len(means), np.nan), where=variance > 0))


def _form(entry: Metric, *outcomes: Outcome) -> Reweighted | None:
    """A metric as a function of the rows' weights; of the rows of several outcomes, one after the other."""
    first = outcomes[0]
    if entry.key == "roc_auc" and first.predictions.task is Task.MULTICLASS:
        return _mean_area(outcomes)
    if entry.key in _RANKED:
        positive = np.concatenate([outcome.positive for outcome in outcomes])
        return _RANKED[entry.key](positive, _one_scale([outcome.score for outcome in outcomes]))
    if entry.key == "median_absolute_error":
        return reweighting.median_of(np.abs(np.concatenate([outcome.errors for outcome in outcomes])))
    if entry.key == "r2":
        truth = np.concatenate([outcome.predictions.y_true for outcome in outcomes])
        squared = np.concatenate([_errors_squared(outcome) for outcome in outcomes])
        truth = truth - truth.mean()
        return reweighting.mean_of(np.column_stack([squared, truth, truth**2]), _explained)
    if entry.key in _LOSSES:
        losses = np.concatenate([_LOSSES[entry.key](outcome) for outcome in outcomes])
        return reweighting.mean_of(losses[:, None], _root if entry.key == "rmse" else _first)
    if entry.key in FROM_CONFUSION:
        k, metric = len(first.labels), FROM_CONFUSION[entry.key]
        codes = np.concatenate([outcome.y_true * k + outcome.y_pred for outcome in outcomes])
        return reweighting.cells_of(codes, k * k, lambda cells: _stacked(metric, cells))
    return None


_RANKED = {"roc_auc": reweighting.auc_of, "average_precision": reweighting.average_precision_of}


def _mean_area(outcomes: tuple[Outcome, ...]) -> Reweighted | None:
    """Mean over the classes that occur of each one's area against the rest; None where one of them is not known."""
    areas = []
    for code in np.unique(outcomes[0].y_true):
        if any(outcome.columns[code] < 0 for outcome in outcomes):
            return None
        scores = [outcome.scores[:, outcome.columns[code]] for outcome in outcomes]
        positive = np.concatenate([outcome.y_true == code for outcome in outcomes])
        areas.append(reweighting.auc_of(positive, _one_scale(scores)))
    return lambda weights: np.asarray(sum(area(weights) for area in areas) / len(areas))


def _one_scale(scores: list[Floats]) -> Floats:
    """Scores as they are; of several models as ranks, lest one that scores higher throughout seem another."""
    from scipy.stats import rankdata

    return scores[0] if len(scores) == 1 else np.concatenate([np.asarray(rankdata(one)) for one in scores])
