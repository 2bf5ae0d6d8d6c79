"""Performance of a classifier without labels: confidence-based estimation (CBPE). PURE.

A calibrated score says how likely a row is of each class, and so how likely each prediction is right. Summed over a
window's rows these chances are an expected confusion matrix, and every metric of it, and the area under the ROC curve,
follow without a single label. Rows whose label has come may be given it: they then count as what they are, and the
figures are those of labels and estimates together.

What is assumed: that a score means what it meant in the reference, that is, P(class | score) is unchanged. Inputs may
shift (the scores shift with them); when the *concept* changes, the estimate knows nothing of it. `believing` says when
not to trust it.

The band says where the window's final figure will lie in 95 of 100 windows, once every label has come, if that
assumption holds. It contains the chance in how the missing labels will turn out, and the reference being finite (its
calibration, drawn anew). It does not contain the assumption failing. It narrows as labels come in, and is of no width
when all are there. Measured on windows of 600 rows with shifted inputs and 1,500 reference rows it holds 92 to 96 of
100 for two classes; for three 88 to 92, since calibrating the classes one by one leaves a bias under a shift.

References
----------
Kivimäki, Białek, Nurminen and Kuberski (2025), Confidence-based estimators for predictive performance in model
monitoring, JAIR 82, doi:10.1613/jair.1.16709. Isotonic calibration: Zadrozny and Elkan (2002), KDD,
doi:10.1145/775047.775151.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.statistics.intervals import around

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MIN_REFERENCE = 100
N_FOLDS = 10
N_BINS = 10
N_DRAWS = 100
CELLS = 500
BAND_ROWS = 2_000
BAND_CELLS = 2_000_000
SURE_AREA = 0.999
ROUNDING = 1e-12
UNKNOWN = -1
"""Code of a label that has not come; a code of ``len(classes)`` or more is a class the model does not know."""

SHARES = ("roc_auc", "accuracy", "balanced_accuracy", "precision", "recall", "f1")
"""What is estimated for two classes, by key of `core.evaluation.metrics.METRICS`."""
MACRO = ("accuracy", "roc_auc", "balanced_accuracy", "macro_f1", "macro_precision")
"""What is estimated for more classes."""


@dataclass(frozen=True)
class EstimatedMetric:
    """One metric's estimate with the 95 % band of the final figure, ``low <= value <= high``."""

    key: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Curve:
    """How a class's score is turned into a chance, and how unsure that is.

    Parameters
    ----------
    scores, chances : ndarray of shape (m,)
        Rising points, joined by straight lines and level outside; both empty where the score is taken as it is.
    cells : ndarray of shape (c,)
        The reference's scores in cells of like size: the lowest score of each, rising.
    spread : ndarray of shape (N_DRAWS, c)
        By how much the calibrated chance moves in each cell when the reference is drawn anew.
    error : float
        How far the chances are from how often they came true in the folds held out, as a mean over ten bins.
    """

    scores: Floats
    chances: Floats
    cells: Floats
    spread: Floats
    error: float

    def chance(self, scores: Floats) -> Floats:
        """The chance that a row of each score is of the class."""
        return scores if len(self.scores) == 0 else np.interp(scores, self.scores, self.chances)

    def moved(self, scores: Floats) -> Floats:
        """The draws' moves of those chances, of shape (N_DRAWS, n)."""
        at = np.searchsorted(self.cells, scores, side="right") - 1
        return self.spread[:, np.clip(at, 0, None)]


@dataclass(frozen=True, eq=False)
class ScoreEstimator:
    """What the reference says of a classifier's scores; made by `fit_scores`.

    Parameters
    ----------
    n_classes : int
    curves : tuple of Curve
        One per class; for two classes only that of the second, the first being what is left to 1.
    n_reference : int
    """

    n_classes: int
    curves: tuple[Curve, ...]
    n_reference: int

    @property
    def error(self) -> float:
        """The largest calibration error of any class."""
        return max(curve.error for curve in self.curves)

    def chances(self, scores: Floats) -> Floats:
        """The chance of each class for rows of shape (n, k); each row sums to 1."""
        return self._whole([curve.chance(scores[:, column]) for column, curve in self._columns()])

    def moved(self, scores: Floats) -> Floats:
        """The same with the reference drawn anew, of shape (N_DRAWS, n, k)."""
        return self._whole([_moved(curve, scores[:, column]) for column, curve in self._columns()])

    def moved_of_second(self, scores: Floats) -> Floats:
        """Of two classes the second's alone, of shape (N_DRAWS, n): half of the work, and of the memory."""
        return _moved(self.curves[0], scores[:, 1])

    def _columns(self) -> list[tuple[int, Curve]]:
        return [(1, self.curves[0])] if self.n_classes == 2 else list(enumerate(self.curves))

    def _whole(self, parts: list[Floats]) -> Floats:
        if self.n_classes == 2:
            return np.stack([1 - parts[0], parts[0]], axis=-1)
        stacked = np.stack(parts, axis=-1)
        total = stacked.sum(axis=-1, keepdims=True)
        uniform = np.full_like(stacked, 1 / self.n_classes)
        return np.asarray(np.divide(stacked, total, out=uniform, where=total > 0))


def _moved(curve: Curve, scores: Floats) -> Floats:
    moved = curve.moved(scores)
    moved += curve.chance(scores)
    return np.clip(moved, 0.0, 1.0, out=moved)


def fit_scores(scores: Floats, truth: Codes, *, rng: np.random.Generator) -> ScoreEstimator:
    """Learn from labelled rows the model was not trained on what its scores mean.

    A class's scores are calibrated (isotonic regression) only where that brings held-out rows of ten folds closer to
    the truth: scores that are right already would only gain noise. Cost O(n log n).

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        In [0, 1], classes in the signature's order, k >= 2.
    truth : ndarray of shape (n,)
        Codes of the classes; other codes are classes the model does not know.
    rng : Generator
        For the folds and the draws.

    Raises
    ------
    InvalidInput
        Shapes do not fit, fewer than two classes, or fewer than 100 rows.
    """
    if scores.ndim != 2 or scores.shape[1] < 2 or truth.shape != scores.shape[:1]:
        raise InvalidInput(
            f"Scores have shape {scores.shape} and labels {truth.shape}; give one score per row and class and one "
            "label per row."
        )
    if len(truth) < MIN_REFERENCE:
        raise InvalidInput(f"The reference has {len(truth)} labelled rows; {MIN_REFERENCE} are needed.")
    columns = [1] if scores.shape[1] == 2 else list(range(scores.shape[1]))
    curves = tuple(_curve(scores[:, column], (truth == column).astype(np.float64), rng) for column in columns)
    return ScoreEstimator(scores.shape[1], curves, len(truth))


def estimate_scores(
    estimator: ScoreEstimator,
    scores: Floats,
    predicted: Codes,
    *,
    rng: np.random.Generator,
    truth: Codes | None = None,
) -> tuple[EstimatedMetric, ...]:
    """Estimate a window's metrics from its scores, and from the labels that have come where they are given.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        In [0, 1] and finite.
    predicted : ndarray of shape (n,)
        Codes of the predicted classes, in [0, k).
    rng : Generator
        For the band.
    truth : ndarray of shape (n,), optional
        Codes of the labels that have come, `UNKNOWN` where none has.

    Returns
    -------
    tuple of EstimatedMetric
        `SHARES` for two classes, `MACRO` for more; without those that are not defined (nothing expected in a class).
        Empty for no rows.
    """
    n, k = scores.shape
    if n == 0:
        return ()
    if predicted.shape != (n,) or k != estimator.n_classes:
        raise InvalidInput(f"Scores have shape {scores.shape}, predictions {predicted.shape}; they do not fit.")
    chances = _with_labels(estimator.chances(scores), truth)
    values = _figures(chances, scores, predicted)
    rows = np.arange(n)
    most = max(100, min(BAND_ROWS, BAND_CELLS // (N_DRAWS * k)))
    if n > most:
        rows = rng.choice(n, most, replace=False)
    spreads = _spreads(
        estimator, scores[rows], predicted[rows], None if truth is None else truth[rows], rng, math.sqrt(len(rows) / n)
    )
    found = []
    for key, value in values.items():
        at = float(value)
        if not math.isfinite(at):
            continue
        band = around(at, spreads.get(key, 0.0), df=N_DRAWS - 1, scale="logit")
        found.append(EstimatedMetric(key, at, min(band.low, at), max(band.high, at)))
    return tuple(found)


def held_out_error(chances: Floats, hits: Floats) -> float:
    """How far chances are from how often they come true: the mean over ten bins of rows of like chance, by size."""
    order = np.argsort(chances, kind="stable")
    gaps = (chances - hits)[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, min(N_BINS, len(gaps)))) / len(gaps))


def _curve(scores: Floats, hits: Floats, rng: np.random.Generator) -> Curve:
    points, at = np.unique(scores, return_inverse=True)
    sizes = np.bincount(at).astype(np.float64)
    sums = np.bincount(at, weights=hits).astype(np.float64)
    cells, spread = _spread(points, sizes, sums, rng)
    raw_error = held_out_error(scores, hits)
    folded = _held_out(points, at, sizes, sums, hits, rng)
    folded_error = held_out_error(folded, hits)
    # Of a class that never or always occurs, or that is told apart without fail, no curve can be learnt.
    if sums.sum() in (0, len(hits)) or _area(hits[None, :], scores)[0] > SURE_AREA or raw_error <= folded_error:
        return Curve(np.empty(0), np.empty(0), cells, spread, raw_error)
    chances = _isotonic(sums / sizes, sizes)
    # Of points in a row at one level only the two ends matter.
    keep = np.ones(len(points), dtype=bool)
    keep[1:-1] = (chances[1:-1] != chances[:-2]) | (chances[1:-1] != chances[2:])
    return Curve(points[keep], chances[keep], cells, spread, folded_error)


def _held_out(
    points: Floats, at: NDArray[np.intp], sizes: Floats, sums: Floats, hits: Floats, rng: np.random.Generator
) -> Floats:
    """Each row's chance by a curve that was fitted without its fold."""
    fold = rng.permutation(len(hits)) % N_FOLDS
    chances = np.empty(len(hits))
    for number in range(N_FOLDS):
        rows = np.flatnonzero(fold == number)
        rest = sizes - np.bincount(at[rows], minlength=len(points))
        positive = sums - np.bincount(at[rows], weights=hits[rows], minlength=len(points))
        keep = rest > 0
        curve = _isotonic(positive[keep] / rest[keep], rest[keep])
        chances[rows] = np.interp(points[at[rows]], points[keep], curve)
    return chances


def _spread(points: Floats, sizes: Floats, sums: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The curve's moves when rows are drawn anew with Poisson counts, in at most `CELLS` cells of like scores."""
    place = (np.cumsum(sizes) - sizes) * CELLS // sizes.sum()
    starts = np.flatnonzero(np.diff(place, prepend=-1.0))
    positive = np.add.reduceat(sums, starts)
    negative = np.add.reduceat(sizes, starts) - positive
    level = _isotonic(positive / (positive + negative), positive + negative)
    draws = np.empty((N_DRAWS, len(starts)))
    hits, misses = rng.poisson(positive, draws.shape), rng.poisson(negative, draws.shape)
    for number in range(N_DRAWS):
        total = (hits[number] + misses[number]).astype(np.float64)
        seen = total > 0
        curve = _isotonic(hits[number][seen] / total[seen], total[seen])
        draws[number] = np.interp(np.arange(len(starts)), np.flatnonzero(seen), curve)
    return points[starts], draws - level


def _isotonic(values: Floats, weights: Floats) -> Floats:
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights).x, dtype=np.float64)


def _with_labels(chances: Floats, truth: Codes | None) -> Floats:
    """Chances of shape (..., n, k), those of labelled rows replaced by certainty; all 0 for a class not known."""
    if truth is None:
        return chances
    known = np.flatnonzero(truth != UNKNOWN)
    settled = chances.copy()
    settled[..., known, :] = np.eye(chances.shape[-1] + 1)[np.minimum(truth[known], chances.shape[-1]), :-1]
    return settled


def _spreads(
    estimator: ScoreEstimator,
    scores: Floats,
    predicted: Codes,
    truth: Codes | None,
    rng: np.random.Generator,
    shrink: float,
) -> dict[str, float]:
    """Standard deviation of each figure: of the labels' chance, shrunk to the window's size, and of the calibration."""
    chances = estimator.chances(scores)
    drawn = (rng.random((N_DRAWS, len(scores), 1)) > np.cumsum(chances, axis=-1)[None, :, :-1]).sum(axis=-1)
    labels = _figures(_with_labels(np.eye(chances.shape[-1])[drawn], truth), scores, predicted)
    curves = _figures(_with_labels(estimator.moved(scores), truth), scores, predicted)
    spreads = {}
    for key in labels:
        parts = [values[np.isfinite(values)] for values in (labels[key], curves[key])]
        chance, curve = (float(part.std(ddof=1)) if len(part) > 1 else 0.0 for part in parts)
        spread = math.hypot(chance * shrink, curve)
        spreads[key] = spread if spread > ROUNDING else 0.0
    return spreads


def _figures(chances: Floats, scores: Floats, predicted: Codes) -> dict[str, Floats]:
    """Every metric of rows whose classes are so likely, over leading axes of ``chances`` (..., n, k)."""
    n, k = chances.shape[-2:]
    called = np.zeros((k, n))
    called[predicted, np.arange(n)] = 1.0
    matrix = called @ chances
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    truly, n_called = chances.sum(axis=-2), np.bincount(predicted, minlength=k).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = right / truly
        precisions = np.where(n_called > 0, right / n_called, 0.0)
        f1 = np.where(truly + n_called > 0, 2 * right / (truly + n_called), np.nan)
    figures = {"accuracy": right.sum(axis=-1) / n, "balanced_accuracy": _mean(recalls)}
    if k == 2:
        figures |= {"precision": precisions[..., 1], "recall": recalls[..., 1], "f1": f1[..., 1]}
        if n_called[1] == 0:
            del figures["precision"]
        figures["roc_auc"] = _area(chances[..., 1], scores[:, 1])
        return {key: figures[key] for key in SHARES if key in figures}
    precisions = np.where(truly + n_called > 0, precisions, np.nan)
    areas = [_area(chances[..., column], scores[:, column]) for column in range(k)]
    figures |= {
        "macro_f1": _mean(f1),
        "macro_precision": _mean(precisions),
        "roc_auc": _mean(np.stack(areas, axis=-1)),
    }
    return {key: figures[key] for key in MACRO}


def _mean(values: Floats) -> Floats:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.asarray(
        np.divide(total, defined.sum(axis=-1), out=np.full_like(total, np.nan), where=defined.any(axis=-1))
    )


def _area(positive: Floats, scores: Floats) -> Floats:
    """Area under the ROC curve of chances (..., n) of being positive, ties counting half; NaN without both classes."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    above = np.add.reduceat(positive[..., order], starts, axis=-1)
    below = np.diff(starts, append=len(scores)) - above
    total = above.sum(axis=-1) * below.sum(axis=-1)
    won = (above * (np.cumsum(below, axis=-1) - below / 2)).sum(axis=-1)
    return np.asarray(np.divide(won, total, out=np.full(np.shape(won), np.nan), where=total > 1e-12))


def codes_of(labels: Sequence[str | None], classes: Sequence[str]) -> Codes:
    """Labels as codes: the position in ``classes``, ``len(classes)`` for another class, `UNKNOWN` for None."""
    import pyarrow as pa

    place = {label: code for code, label in enumerate(classes)}
    named = pa.array(labels, pa.string()).dictionary_encode()
    codes = [place.get(label, len(classes)) for label in named.dictionary.to_pylist()]
    at = named.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    found: Codes = np.array([*codes, UNKNOWN], dtype=np.int64)[at]
    return found
