"""Whether several columns together moved, where each alone may look as before. PURE.

Two ways of looking. A *domain classifier* is trained to tell a row's sample from the row alone; how far its out-of-fold
ROC AUC lies above one half is how far the samples differ, in any way at all, and the features it needs are those that
tell. The *reconstruction error* of principal components fitted on the reference grows where the correlations between
columns are no longer those of the reference.

Both split the reference or the folds so that what is measured was not fitted on: their p-values hold under no drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.drift.drift_tests import Sample

MIN_ROWS = 100
MAX_ROWS = 2_000
FOLDS = 3
MAX_CATEGORIES = 20
KEPT_VARIANCE = 0.65
TELLING = 5
TOLD_BELOW = 0.01
NAMED_FROM = 0.1
FARTHEST = 8.0


@dataclass(frozen=True)
class MultivariateMeasure:
    """How far two samples of rows differ, all columns together.

    Parameters
    ----------
    effect : float
        In [0, 1]. Domain classifier: twice the ROC AUC less one, 0 where rows cannot be told apart. Reconstruction: the
        share of standard deviations the mean log error moved, at most 1.
    value, low, high : float
        The figure itself with its 95 % interval: the ROC AUC, or the ratio of the typical (geometric mean) errors.
    pvalue : float
        Of no difference; one-sided for the classifier, two-sided for the reconstruction. Asymptotic.
    n_reference, n_current : int
        Rows used, at most `MAX_ROWS` each.
    telling : tuple of (feature, float)
        Domain classifier: how much of the ROC AUC is lost when the feature is shuffled, the largest first. Empty where
        the p-value is 0.01 or more, and for the reconstruction.
    """

    effect: float
    value: float
    low: float
    high: float
    pvalue: float
    n_reference: int
    n_current: int
    telling: tuple[tuple[str, float], ...] = ()


def domain_classifier(
    reference: Mapping[str, Sample], current: Mapping[str, Sample], *, rng: np.random.Generator
) -> MultivariateMeasure | None:
    """How well one row tells which sample it came from.

    Gradient-boosted trees, `FOLDS`-fold: each row is judged by a model that did not see it. Within a fold the ROC AUC
    of unseen rows has, under no difference, the mean one half and the variance of the Mann-Whitney statistic whatever
    the model; the folds' mean is held against that.

    Parameters
    ----------
    reference, current : mapping of feature to ndarray of shape (n,), (m,)
        The same features, each sample's columns aligned by row: float64 with NaN, or str with None.
    rng : numpy Generator
        Chooses rows, folds and shuffles.

    Returns
    -------
    MultivariateMeasure or None
        None below `MIN_ROWS` rows in either sample or without a feature.

    References
    ----------
    Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, arXiv:1610.06545.
    """
    from scipy import stats
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    sizes = _sizes(reference, current)
    if sizes is None:
        return None
    rows = [np.sort(rng.choice(size, min(size, MAX_ROWS), replace=False)) for size in sizes]
    names, matrix, categorical = _coded(
        {name: values[rows[0]] for name, values in reference.items()},
        {name: current[name][rows[1]] for name in reference},
    )
    if not names:
        return None
    domain = np.repeat([0, 1], [len(rows[0]), len(rows[1])])
    seed = int(rng.integers(2**31))
    areas, variances, judged = [], [], []
    # So few rows gain nothing from more threads, and on a busy machine these wait for each other.
    with threadpool_limits(1):
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(matrix, domain):
            model = HistGradientBoostingClassifier(
                max_iter=30, max_leaf_nodes=8, categorical_features=categorical, random_state=seed
            ).fit(matrix[train], domain[train])
            held, truth = matrix[test], domain[test]
            scored = model.predict_proba(held)[:, 1]
            area = float(roc_auc_score(truth, scored))
            areas.append(area)
            variances.append(_null_variance(scored, truth))
            judged.append((model, held, truth, area))
    value = float(np.mean(areas))
    error = float(np.sqrt(np.sum(variances))) / FOLDS
    pvalue = float(stats.norm.sf((value - 0.5) / error)) if error > 0 else 1.0
    reach = 1.96 * _standard_error(value, len(rows[0]), len(rows[1]))
    # Where rows cannot be told apart no feature tells them apart, and asking costs more than all the rest.
    told = _telling(judged[0], names, rng) if pvalue < TOLD_BELOW else ()
    return MultivariateMeasure(
        effect=max(0.0, 2 * value - 1),
        value=value,
        low=max(0.0, value - reach),
        high=min(1.0, value + reach),
        pvalue=pvalue,
        n_reference=len(rows[0]),
        n_current=len(rows[1]),
        telling=told,
    )


def reconstruction(
    reference: Mapping[str, Sample], current: Mapping[str, Sample], *, rng: np.random.Generator
) -> MultivariateMeasure | None:
    """Whether rows are reconstructed as well as those of the reference by the reference's own principal components.

    Numbers are standardised and categories replaced by how frequent they are in the reference; missing values take the
    reference's mean. Components that hold 65 % of the variance are fitted on one half of the reference; the errors of
    the other half are held against the current rows' by Welch's test on their logarithms.

    Parameters, returns
        As `domain_classifier`; None too where fewer than two columns vary, or no error does.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35, doi:10.1093/biomet/34.1-2.28.
    """
    from scipy import stats

    sizes = _sizes(reference, current)
    if sizes is None or sizes[0] < 2 * MIN_ROWS:
        return None
    names = list(reference)
    rows = [rng.permutation(size)[: (2 if place == 0 else 1) * MAX_ROWS] for place, size in enumerate(sizes)]
    half = len(rows[0]) // 2
    fitted = {name: reference[name][rows[0][:half]] for name in names}
    held = {name: reference[name][rows[0][half:]] for name in names}
    now = {name: current[name][rows[1]] for name in names}
    columns = [_standardised(fitted[name], held[name], now[name]) for name in names]
    columns = [column for column in columns if column is not None]
    if len(columns) < 2:
        return None
    base, then, after = (np.column_stack(parts) for parts in zip(*columns, strict=True))
    _, spread, axes = np.linalg.svd(base, full_matrices=False)
    shares = np.cumsum(spread**2) / max(float(np.sum(spread**2)), np.finfo(float).tiny)
    kept = axes[: min(int(np.searchsorted(shares, KEPT_VARIANCE)) + 1, len(columns) - 1)]
    first, second = (np.log(_errors(part, kept)) for part in (then, after))
    scale = float(first.std(ddof=1))
    moved = float(second.mean() - first.mean())
    parts = [(float(part.var(ddof=1)) / len(part), len(part) - 1) for part in (first, second)]
    error = float(np.sqrt(sum(share for share, _ in parts)))
    if error == 0.0:
        return None
    df = error**4 / sum(share**2 / freedom for share, freedom in parts)
    reach = float(stats.t.ppf(0.975, df)) * error
    return MultivariateMeasure(
        effect=min(1.0, abs(moved) / scale) if scale > 0 else 1.0,
        value=float(np.exp(moved)),
        low=float(np.exp(moved - reach)),
        high=float(np.exp(moved + reach)),
        pvalue=float(2 * stats.t.sf(abs(moved) / error, df)),
        n_reference=len(then),
        n_current=len(after),
    )


def _telling(
    judged: tuple[Any, NDArray[np.float64], NDArray[Any], float], names: Sequence[str], rng: np.random.Generator
) -> tuple[tuple[str, float], ...]:
    """Which features a fold's model needs: by how much the ROC AUC of its unseen rows falls when each is shuffled.

    Shuffling any feature costs a little by chance, so one is named only from a tenth of the largest loss on.
    """
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    model, held, truth, area = judged
    found = []
    with threadpool_limits(1):
        for place, name in enumerate(names):
            shuffled = held.copy()
            shuffled[:, place] = rng.permutation(shuffled[:, place])
            found.append((name, area - float(roc_auc_score(truth, model.predict_proba(shuffled)[:, 1]))))
    largest = sorted(found, key=lambda one: -one[1])[:TELLING]
    return tuple(one for one in largest if one[1] > 0 and one[1] >= NAMED_FROM * largest[0][1])


def _sizes(reference: Mapping[str, Sample], current: Mapping[str, Sample]) -> tuple[int, int] | None:
    if not reference:
        return None
    first, second = (len(next(iter(sample.values()))) for sample in (reference, current))
    return (first, second) if min(first, second) >= MIN_ROWS else None


def _coded(
    reference: Mapping[str, Sample], current: Mapping[str, Sample]
) -> tuple[list[str], NDArray[np.float64], Sequence[bool]]:
    """Both samples as numbers, one above the other; rare categories share a code, so that trees need few bins.

    A column that holds one value throughout, or none, tells nothing and is left out.
    """
    names, columns, categorical = [], [], []
    for name, first in reference.items():
        both = np.concatenate([first, current[name]])
        if both.dtype != object:
            numbers = np.where(np.isfinite(both), both, np.nan)
            if len(np.unique(numbers[~np.isnan(numbers)])) > 1:
                names.append(name)
                columns.append(numbers)
                categorical.append(False)
            continue
        present, codes = np.unique([value if value is not None else "" for value in both.tolist()], return_inverse=True)
        counts = np.bincount(codes, minlength=len(present))
        ranks = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        coded = np.minimum(ranks[codes], MAX_CATEGORIES).astype(np.float64)
        coded[[value is None for value in both.tolist()]] = np.nan
        if len(present) > 1:
            names.append(name)
            columns.append(coded)
            categorical.append(True)
    return names, np.column_stack(columns) if columns else np.empty((0, 0)), categorical


def _null_variance(scores: NDArray[np.float64], truth: NDArray[Any]) -> float:
    """Variance of the ROC AUC of rows whose score tells nothing, ties counted (Lehmann 1975, appendix, section 1)."""
    n, m = int((truth == 0).sum()), int((truth == 1).sum())
    _, ties = np.unique(scores, return_counts=True)
    total = n + m
    correction = float(np.sum(ties.astype(float) ** 3 - ties)) / (total * (total - 1))
    return max(0.0, (total + 1 - correction) / (12 * n * m))


def _standard_error(area: float, n: int, m: int) -> float:
    """Of a ROC AUC that may tell something (Hanley and McNeil 1982, Radiology 143, 29-36)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (m - 1) * (first - area**2) + (n - 1) * (second - area**2)
    return float(np.sqrt(max(0.0, spread) / (n * m)))


def _standardised(*samples: Sample) -> tuple[NDArray[np.float64], ...] | None:
    """Columns scaled by the first sample; None where it does not vary."""
    if samples[0].dtype == object:
        present, counts = np.unique([value for value in samples[0].tolist() if value is not None], return_counts=True)
        shares = dict(zip(present.tolist(), (counts / max(1, counts.sum())).tolist(), strict=True))
        numbers = [
            np.array([np.nan if value is None else shares.get(value, 0.0) for value in sample.tolist()], dtype=float)
            for sample in samples
        ]
    else:
        numbers = [np.where(np.isfinite(sample), sample, np.nan) for sample in samples]
    known = numbers[0][~np.isnan(numbers[0])]
    if len(known) < 2 or not np.isfinite(spread := float(np.std(known / (scale := _scale(known))))) or spread == 0:
        return None
    middle = float(np.mean(known / scale))
    # One absurd value must not stand for all columns of its row.
    return tuple(
        np.clip(np.nan_to_num((sample / scale - middle) / spread, nan=0.0), -FARTHEST, FARTHEST) for sample in numbers
    )


def _scale(values: NDArray[np.float64]) -> float:
    """Divided by it first, squares of huge and tiny values neither overflow nor vanish."""
    largest = float(np.abs(values).max())
    return largest if largest > 0 else 1.0


def _errors(rows: NDArray[np.float64], kept: NDArray[np.float64]) -> NDArray[np.float64]:
    left = rows - rows @ kept.T @ kept
    errors: NDArray[np.float64] = np.maximum(np.einsum("ij,ij->i", left, left), 1e-12)
    return errors
