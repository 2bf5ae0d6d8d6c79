"""Suspected label errors: rows whose label a model contradicts more surely than chance allows. Pure.

A good model is wrong now and then where it was sure, so a list of sure mistakes proves nothing: what counts is how many
more there are than a model as good as this one would make on correct labels. Where there are no more, nothing stands
out and nothing is listed.

Rows count alike, whatever their weights. The scores must be out of sample, as those of an evaluation set are: a model
contradicts no label it was fitted on.

References
----------
Northcutt, Jiang and Chuang (2021), Confident learning: estimating uncertainty in dataset labels, JAIR 70:1373,
doi:10.1613/jair.1.12125, for the thresholds by class and the ranking; the noise floor is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NotApplicable
from core.evaluation.measures import SMALLEST_SHARE
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MIN_ROWS = 100
LEVEL = 0.001
NEIGHBOURS = 200
FEWEST = 5
SUREST, COARSE = 1e-5, 0.01
MOST_FITTED = 20_000


@dataclass(frozen=True, eq=False)
class Suspects:
    """Rows whose label may be wrong, and whether there are more of them than chance would give.

    Parameters
    ----------
    n_observed : int
        Rows that contradict their label.
    n_expected : float
        How many would on correct labels: what the model's scores, made as calibrated as these rows allow, add up to.
    pvalue : float
        One-sided, that the labels are correct.
    stands_out : bool
        Whether the p-value is at most 0.001 and more rows contradict than expected. So strict because what is held
        against the labels is a model, not the truth: one that is sure without reason where it is surest looks alike.
    share : float
        The share of all labels that is estimated to be wrong; 0 where nothing stands out.
    rows : ndarray of int
        Positions of those that contradict, most suspect first; empty unless it stands out.
    suggested : ndarray
        The class, or the value, that the model would have for each.
    likelihood : ndarray of float
        For classes the chance that the label is wrong, for numbers how many local spreads the value is off.
    method : str
        What was computed, in words.
    """

    n_observed: int
    n_expected: float
    pvalue: float
    stands_out: bool
    share: float
    rows: NDArray[np.intp]
    suggested: NDArray[np.object_]
    likelihood: Floats
    method: str


def suspect_labels(predictions: Predictions) -> Suspects:
    """Find the labels that out-of-sample predictions contradict.

    Raises
    ------
    NotApplicable
        The model gives no scores, there are fewer than 100 rows, or there is nothing to contradict: all labels are one
        class, or all predictions are alike.
    """
    if predictions.n_rows < MIN_ROWS:
        raise NotApplicable(
            f"{predictions.n_rows:,} rows are too few to tell wrong labels from hard rows; {MIN_ROWS} are needed."
        )
    if predictions.task is Task.REGRESSION:
        return _suspect_values(predictions)
    return _suspect_classes(predictions)


def contradicted(scores: Floats, labels: Codes) -> Codes:
    """For each row the class it would confidently have instead of its label, or -1.

    A class is confident where its score is at least the mean score that rows labelled so get (its threshold); of
    several the highest counts. A row contradicts its label where that class is another.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
    labels : ndarray of shape (n,)
        Positions of the classes; a class that labels no row is never confident.

    References
    ----------
    Northcutt et al. (2021), equations 1 and 2.
    """
    sure = _confident(scores, labels)
    return np.where(sure != labels, sure, -1)


def _confident(scores: Floats, labels: Codes) -> Codes:
    """The class each row is confidently of, whatever its label, or -1."""
    k, every = scores.shape[1], np.arange(len(labels))
    counts = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=scores[every, labels], minlength=k)
    threshold = np.divide(sums, counts, out=np.full(k, np.inf), where=counts > 0)
    kept = np.where(scores >= threshold, scores, -1.0)
    best = kept.argmax(axis=1)
    return np.where(kept[every, best] >= 0, best, -1).astype(np.int64)


def _suspect_classes(predictions: Predictions) -> Suspects:
    outcome = Outcome(predictions)
    scores, k = outcome.scores, len(predictions.classes)
    known = np.flatnonzero(outcome.y_true < k)
    labels, every = outcome.y_true[known], np.arange(len(known))
    if len(np.unique(labels)) < 2:
        raise NotApplicable("All rows carry one label: no other class is there to contradict it.")
    total = scores[known].sum(axis=1, keepdims=True)
    shares = np.divide(scores[known], total, out=np.full((len(known), k), 1 / k), where=total > 0)
    # A score of exactly 0 is a count of votes, none of a hundred or so: surer than that it is not.
    surest = COARSE if (shares == 0).any() else SUREST
    logits = np.log(np.clip(shares, surest, 1 - surest))
    logits -= logits.mean(axis=1, keepdims=True)
    if not np.ptp(logits, axis=0).any():
        raise NotApplicable("The model scores all rows alike: it contradicts no label more than another.")
    step = -(-len(known) // MOST_FITTED)
    fitted = _noise(logits[::step], labels[::step])
    calibrated = _softmax(fitted.slope * logits + fitted.intercepts)
    own = calibrated[every, labels]
    sure = _confident(shares, labels)
    places = np.flatnonzero((sure >= 0) & (sure != labels))
    expected = float((1 - calibrated[every, sure])[sure >= 0].sum())
    stands_out = fitted.pvalue <= LEVEL and len(places) > expected
    wrong = fitted.share * (1 - own) / (k - 1)
    likelihood = wrong / np.maximum(wrong + (1 - fitted.share) * own, SMALLEST_SHARE)
    shown = places[np.lexsort((places, own[places], -likelihood[places]))] if stands_out else places[:0]
    return Suspects(
        len(places), expected, fitted.pvalue, stands_out, fitted.share if stands_out else 0.0, known[shown],
        np.array(predictions.classes, dtype=object)[sure[shown]], likelihood[shown],
        "confident learning; likelihood ratio of wrong labels against none, scores recalibrated in both",
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Noise:
    """Scores recalibrated as softmax(slope * logits + intercepts), the share of wrong labels, and its p-value."""

    slope: float
    intercepts: Floats
    share: float
    pvalue: float


def _noise(logits: Floats, labels: Codes) -> _Noise:
    """Fit the labels by recalibrated scores, once as they are and once with a share of them replaced at random.

    A model that is too sure everywhere is brought down by the slope; labels that contradict scores however sure they
    are can only be told by the share. So a badly calibrated model does not make labels look wrong, unless it is sure
    without reason just where it is surest: that no count can tell from wrong labels.
    """
    from scipy.optimize import minimize
    from scipy.special import ndtr

    n, k = logits.shape
    every = np.arange(n)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, share = parameters[0], parameters[-1]
        q = _softmax(slope * logits + np.concatenate([[0.0], parameters[1:-1]]))
        own = q[every, labels]
        likelihood = np.maximum((1 - share) * own + share * (1 - own) / (k - 1), SMALLEST_SHARE)
        weight = (1 - share - share / (k - 1)) * own / likelihood
        by_logit = -q * weight[:, None]
        by_logit[every, labels] += weight
        by_share = ((1 - own) / (k - 1) - own) / likelihood
        gradient = np.concatenate([[(by_logit * logits).sum()], by_logit.sum(axis=0)[1:], [by_share.sum()]])
        return -float(np.log(likelihood).sum()) / n, -gradient / n

    def fit(start: Floats, most: float) -> tuple[float, Floats]:
        bounds = [(0.0, 50.0), *[(-50.0, 50.0)] * (k - 1), (0.0, most)]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return -float(found.fun) * n, np.asarray(found.x, dtype=np.float64)

    clean, at_clean = fit(np.concatenate([[1.0], np.zeros(k)]), 0.0)
    # From the scores as they are as well: the slope that makes up for wrong labels is a hollow of its own.
    as_they_are = np.concatenate([[1.0], np.zeros(k - 1)])
    starts = (np.append(at, share) for at, share in ((at_clean[:-1], 0.01), (as_they_are, 0.05)))
    noisy, at_noisy = max((fit(start, 0.4) for start in starts), key=lambda one: one[0])
    gain = max(0.0, 2 * (noisy - clean))
    # Without wrong labels the share is 0, the edge of its range: half a chi-square of one degree (Self and Liang 1987).
    pvalue = float(ndtr(-math.sqrt(gain))) if gain > 0 else 1.0
    chosen = at_noisy if pvalue <= LEVEL else at_clean
    return _Noise(float(chosen[0]), np.concatenate([[0.0], chosen[1:-1]]), float(chosen[-1]), pvalue)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _suspect_values(predictions: Predictions) -> Suspects:
    """Values far from their prediction, by the spread of the residuals of rows predicted alike.

    The tail of such ratios is taken to be Student's, of the degrees of freedom that their 90 % and 50 % points have; a
    value is suspect beyond the point where one row in all the rows is expected.
    """
    from scipy.special import stdtr, stdtrit
    from scipy.stats import poisson

    n = predictions.n_rows
    ratio = local_ratios(predictions.y_true - predictions.y_pred, predictions.y_pred)
    if not np.ptp(ratio):
        raise NotApplicable("The residuals are all alike: no value is further off than another.")
    df = _tail(np.abs(ratio))
    middle = float(np.median(np.abs(ratio))) or float(np.abs(ratio).mean())
    scale = middle / float(stdtrit(df, 0.75))
    cut = float(stdtrit(df, 1 - 0.5 / n))
    far = np.abs(ratio) / scale
    places = np.flatnonzero(far > cut)
    expected = float(2 * n * stdtr(df, -cut))
    pvalue = float(poisson.sf(len(places) - 1, expected))
    stands_out = pvalue <= LEVEL and len(places) >= FEWEST
    shown = places[np.argsort(-far[places], kind="stable")] if stands_out else places[:0]
    return Suspects(
        len(places), expected, pvalue, stands_out, (len(places) - expected) / n if stands_out else 0.0, shown,
        predictions.y_pred[shown].astype(object), far[shown],
        f"residual over the spread of the residuals of rows predicted alike, against Student's t of {df:.1f} degrees",
    )  # fmt: skip


def local_ratios(residuals: Floats, y_pred: Floats) -> Floats:
    """Residuals around their local median, over their local spread.

    Rows are ordered by prediction and taken in runs of about `NEIGHBOURS`; the spread is 1.4826 times the median
    absolute distance from the median, which half of the run would have to spoil. A run without spread takes that of all
    rows.

    Returns
    -------
    ndarray of shape (n,)
        About standard normal for normal residuals; 0 throughout where no residual differs from another.
    """
    n = len(residuals)
    order = np.argsort(y_pred, kind="stable")
    whole = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals)))) or float(residuals.std())
    ratio = np.zeros(n)
    if whole == 0:
        return ratio
    for rows in np.array_split(order, max(1, n // NEIGHBOURS)):
        around = residuals[rows] - np.median(residuals[rows])
        spread = 1.4826 * float(np.median(np.abs(around)))
        ratio[rows] = around / (spread or whole)
    return ratio


def _tail(sizes: Floats) -> float:
    """Degrees of freedom, 1 to 100, of the Student's t whose 90 % and 50 % points are as far apart as those given."""
    from scipy.special import stdtrit

    middle, outer = np.quantile(sizes, [0.5, 0.9])
    if middle <= 0:
        return 1.0
    low, high = 1.0, 100.0
    for _ in range(40):
        df = math.sqrt(low * high)
        if stdtrit(df, 0.95) / stdtrit(df, 0.75) > outer / middle:
            low = df
        else:
            high = df
    return math.sqrt(low * high)
