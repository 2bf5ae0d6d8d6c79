"""Permutation importance: how much worse a model scores when one feature's values are shuffled. Pure.

Each drop comes with an interval for what it would be on other rows of the same kind, shuffled anew. The spread over
shuffles of the same rows alone would understate it: more shuffles make that one vanish, other rows remain.

A feature shares its importance with those that say the same: shuffling one of two copies costs nothing while the other
is there. Features that go together are therefore named as groups, and each group is shuffled as a whole too.

References
----------
Breiman (2001), Random Forests, Machine Learning 45, section 10; as the mean drop over repeats it is the model
reliance of Fisher, Rudin and Dominici (2019), JMLR 20(177), estimated on rows the model was not fitted on. A row's
part in it, once as the row that is scored and once as the one whose value is lent, is the projection of Hoeffding
(1948), Annals of Mathematical Statistics 19, that they use for the variance in their appendix; for the ROC AUC with
the placements of DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44. Correlations of categories: Bergsma (2013),
Journal of the Korean Statistical Society 42, for Cramér's V without its bias; Ezekiel's adjusted share of the
variance for a category and a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.tables import Task
from core.training.models import FittedModel

ROWS = 2000
# As many shuffles as about this many predictions allow: cheap where features are few, and never fewer than four.
PREDICTIONS = 120_000
FEWEST_REPEATS, MOST_REPEATS = 4, 20
Z_95 = 1.959963984540054
# Above this two features are said to say much the same; half of the variance of the ranks in common.
ALIKE = 0.7
MOST_HELD_TOGETHER = 100


def permutation_importance(
    model: FittedModel,
    frame: pd.DataFrame,
    y_true: NDArray[Any],
    *,
    rng: np.random.Generator,
    on_feature: Callable[[int], None] = lambda _: None,
) -> dict[str, Any] | None:
    """Mean drop of a score when each feature is shuffled, largest first.

    Every row counts alike, whatever its weight in the fit.

    Parameters
    ----------
    frame, y_true
        Rows the model was not fitted on; at most 2,000 of them, drawn at random, are used.
    rng : numpy.random.Generator
    on_feature : callable
        Told the position of each feature before it is shuffled; may raise to stop.

    Returns
    -------
    dict or None
        ``{"metric", "rows", "repeats", "features": [{"name", "mean", "std", "low", "high"}], "groups": [{"features":
        [...], "association", "mean", "low", "high"}]}``; the metric is "roc_auc", "accuracy" or "rmse" and a mean
        above 0 always says that the model relies on the feature. `low` and `high` are a 95 % interval over rows and
        shuffles; `std` is the spread over the shuffles alone. A group holds features of which any two are associated
        by 0.7 or more (see `associations`), `association` being the least of them, and says what shuffling them
        together costs. Runs from before intervals were kept have no `low`, `high` and `groups`.

        None where the rows cannot be scored: fewer than 10, or one class only in a binary task.
    """
    if len(frame) > ROWS:
        chosen = np.sort(rng.choice(len(frame), size=ROWS, replace=False))
        frame, y_true = frame.iloc[chosen], y_true[chosen]
    if len(frame) < 10 or (model.task == Task.BINARY and len(set(y_true)) < 2):
        return None
    frame = frame.reset_index(drop=True)
    metric = {Task.BINARY: "roc_auc", Task.MULTICLASS: "accuracy", Task.REGRESSION: "rmse"}[model.task]
    intact = _score(model, frame, y_true)
    n_repeats = min(MOST_REPEATS, max(FEWEST_REPEATS, PREDICTIONS // (len(frame) * frame.shape[1])))

    def drop(names: Sequence[str]) -> dict[str, float]:
        drops, parts = [], np.zeros(len(frame))
        for _ in range(n_repeats):
            order = rng.permutation(len(frame))
            shuffled = frame.copy()
            for name in names:
                shuffled[name] = frame[name].iloc[order].array
            score, influence = _score(model, shuffled, y_true)
            drops.append(intact[0] - score)
            # Row k was scored with the value of row order[k]: what that changed is told of both.
            change = (influence - intact[1]) / n_repeats
            parts += change
            parts[order] += change
        mean, half = float(np.mean(drops)), Z_95 * float(np.std(parts, ddof=1)) / math.sqrt(len(frame))
        return {"mean": mean, "std": float(np.std(drops, ddof=1)), "low": mean - half, "high": mean + half}

    entries: list[dict[str, Any]] = []
    for position, name in enumerate(frame.columns):
        on_feature(position)
        entries.append({"name": name, **drop([name])})
    entries.sort(key=lambda entry: -entry["mean"])
    groups = []
    for names, association in alike(frame[[entry["name"] for entry in entries[:MOST_HELD_TOGETHER]]]):
        on_feature(len(entries) - 1)
        together = drop(names)
        del together["std"]
        groups.append({"features": names, "association": association, **together})
    return {"metric": metric, "rows": len(frame), "repeats": n_repeats, "features": entries, "groups": groups}


def alike(frame: pd.DataFrame) -> list[tuple[list[str], float]]:
    """Groups of features that say much the same, with the least association within each.

    Any two of a group are associated by 0.7 or more (complete linkage); each feature is in one group at most. Columns
    keep their order in a group, and groups that of their first column.
    """
    names = list(frame.columns)
    if len(names) < 2:
        return []
    from scipy.cluster.hierarchy import fcluster, linkage

    found = associations(frame)
    cluster = fcluster(linkage(1 - found[np.triu_indices(len(names), 1)], "complete"), 1 - ALIKE, "distance")
    groups = []
    for label in dict.fromkeys(cluster.tolist()):
        members = np.flatnonzero(cluster == label)
        if len(members) > 1:
            groups.append(([str(names[j]) for j in members], float(found[np.ix_(members, members)].min())))
    return groups


def associations(frame: pd.DataFrame) -> NDArray[np.float64]:
    """How strongly every two columns go together, whatever their kinds; shape (d, d), from 0 to 1, symmetric.

    Two numbers (booleans, dates): Spearman's rank correlation without its sign. Two categories: Cramér's V without its
    bias. A category and a number: the root of the share of the number's variance in ranks that the category explains,
    adjusted for the number of categories. Only rows where both are known count; 0 where fewer than 10 are, or one of
    the two does not vary.
    """
    d = frame.shape[1]
    is_category = [frame.dtypes.iloc[j] == np.dtype(object) for j in range(d)]
    columns = [_codes(frame.iloc[:, j]) if is_category[j] else _ranked(frame.iloc[:, j]) for j in range(d)]
    result = np.eye(d)
    for j in range(d):
        for k in range(j):
            first, second = (j, k) if is_category[j] else (k, j)
            both = ~(np.isnan(columns[first]) | np.isnan(columns[second]))
            one, other = columns[first][both], columns[second][both]
            if len(one) < 10 or one.min() == one.max() or other.min() == other.max():
                found = 0.0
            elif not is_category[first]:
                found = abs(float(np.corrcoef(one, other)[0, 1]))
            elif is_category[second]:
                found = _cramers_v(one.astype(np.intp), other.astype(np.intp))
            else:
                found = _correlation_ratio(one.astype(np.intp), other)
            result[j, k] = result[k, j] = min(1.0, found)
    return result


def _codes(values: pd.Series[Any]) -> NDArray[np.float64]:
    codes = pd.factorize(values)[0].astype(np.float64)
    codes[codes < 0] = np.nan
    return codes


def _ranked(values: pd.Series[Any]) -> NDArray[np.float64]:
    # Ranked once over all known rows; where rows are missing these are no longer exactly their ranks among the rest.
    return np.asarray(values.rank(), dtype=np.float64)


def _cramers_v(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    n = len(one)
    counts = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(counts, (one, other), 1)
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / n
    phi2 = float(((counts - expected) ** 2 / expected).sum()) / n
    r, k = counts.shape
    corrected = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(corrected / least) if least > 0 else 0.0


def _correlation_ratio(category: NDArray[np.intp], number: NDArray[np.float64]) -> float:
    counts = np.bincount(category)
    k, n = int((counts > 0).sum()), len(number)
    if n <= k:
        return 0.0
    means = np.bincount(category, number) / np.maximum(counts, 1)
    within = float(((number - means[category]) ** 2).sum()) / (n - k)
    return math.sqrt(max(0.0, 1 - within / float(number.var(ddof=1))))


def _score(model: FittedModel, frame: pd.DataFrame, y_true: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
    """A score, greater is better, and each row's influence on it (mean 0; the score's variance is theirs by n).

    The ROC AUC, the accuracy, or the root mean squared error with its sign turned.
    """
    labels, scores = model.predict(frame)
    if model.task == Task.REGRESSION:
        squared = (labels.astype(np.float64) - y_true.astype(np.float64)) ** 2
        rmse = math.sqrt(squared.mean())
        return -rmse, (squared.mean() - squared) / (2 * rmse) if rmse > 0 else np.zeros(len(squared))
    if model.task == Task.MULTICLASS or scores is None:
        right = (labels == y_true).astype(np.float64)
        return float(right.mean()), right - right.mean()
    from scipy.stats import rankdata

    positive = y_true == model.classes[1]
    share = positive.mean()
    ranks = rankdata(scores[:, 1])
    # Of a positive row, the share of negatives it stands above; of a negative one, the share of positives above it.
    placement = np.empty(len(positive))
    above = ranks[positive] - rankdata(scores[positive, 1])
    below = ranks[~positive] - rankdata(scores[~positive, 1])
    placement[positive] = above / (~positive).sum()
    placement[~positive] = 1 - below / positive.sum()
    auc = float(placement[positive].mean())
    return auc, (placement - auc) / np.where(positive, share, 1 - share)
