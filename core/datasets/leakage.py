"""Whether one feature tells the target almost alone, or a few numbers make it up exactly.

Each feature is cut into bins (its values for categories, up to `BINS` quantile bins for numbers and moments); the
target is predicted by the bin's mean, learnt on the even rows and judged on the odd ones, so that a column of distinct
values does not look like an oracle. Classification: the area under the ROC curve, one class against the rest, the mean
over the classes. Regression: the share of variance explained. For a numeric target a least-squares fit on all numeric
features together looks for sums such as ``casual + registered = cnt``.

Limits: features of text are not looked at; a leak that takes two features without being a sum is not seen; a feature
may rightly be that good. That is why the check warns and does not block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets.content import Kinds
from core.datasets.rowhash import moments
from core.datasets.tables import ColumnKind

BINS = 64
AUC_LIMIT = 0.99
R2_LIMIT = 0.90
SUM_LIMIT = 1 - 1e-9
FEWEST_ROWS = 40
MOST_CLASSES = 50
SUM_ROWS = 5_000
SUM_FEATURES = 200


@dataclass(frozen=True)
class Leak:
    """Features that tell the target, and how well.

    Parameters
    ----------
    columns : tuple of str
        One, or those whose weighted sum is the target.
    measure : str
        "AUC", "R²" or "sum".
    value : float
        Up to 1, which is perfect.
    """

    columns: tuple[str, ...]
    measure: str
    value: float


def is_classification(kind: ColumnKind) -> bool:
    """Whether a target of this kind is a label; whole numbers and numbers are quantities."""
    return kind in (ColumnKind.BOOLEAN, ColumnKind.CATEGORY, ColumnKind.TEXT)


def find_leaks(table: pa.Table, kinds: Kinds, target: str) -> list[Leak] | None:
    """Find features that tell the target almost alone.

    Returns
    -------
    list of Leak or None
        The strongest first; None when there are too few rows or too many classes to say.
    """
    kind = dict(kinds)[target]
    table = table.filter(table[target].is_valid())
    if table.num_rows < FEWEST_ROWS:
        return None
    column = table[target].combine_chunks()
    labelled = is_classification(kind) or (kind is ColumnKind.INTEGER and pc.count_distinct(column).as_py() == 2)
    if labelled:
        codes = np.asarray(column.dictionary_encode().indices.to_numpy(zero_copy_only=False))
        n_classes = int(codes.max()) + 1
        if not 2 <= n_classes <= MOST_CLASSES:
            return None
        outcomes = np.eye(n_classes)[codes]
    elif kind in (ColumnKind.INTEGER, ColumnKind.NUMBER):
        outcomes = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)[:, None]
        if np.ptp(outcomes) == 0:
            return None
    else:
        return None
    leaks = []
    for name, feature_kind in kinds:
        if name == target or feature_kind is ColumnKind.TEXT:
            continue
        bins = _bins(table[name].combine_chunks(), feature_kind)
        value = _auc(bins, outcomes) if labelled else _r2(bins, outcomes[:, 0])
        if value >= (AUC_LIMIT if labelled else R2_LIMIT):
            leaks.append(Leak((name,), "AUC" if labelled else "R²", value))
    leaks.sort(key=lambda leak: -leak.value)
    if not labelled and (found := _sum_leak(table, kinds, target, outcomes[:, 0])) is not None:
        leaks.append(found)
    return leaks


def _bins(array: pa.Array, kind: ColumnKind) -> NDArray[np.int64]:
    if kind in (ColumnKind.BOOLEAN, ColumnKind.CATEGORY):
        codes = array.dictionary_encode(null_encoding="encode").indices
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        values = moments(array).astype(np.float64)
    else:
        values = np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False), dtype=np.float64)
    missing = np.asarray(array.is_null().to_numpy(zero_copy_only=False))
    if missing.all():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="right") + 1
    return np.where(missing, 0, bins)


def _halves(bins: NDArray[np.int64], outcome: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    size = int(bins.max()) + 1
    counts = np.bincount(bins[::2], minlength=size)
    sums = np.bincount(bins[::2], weights=outcome[::2], minlength=size)
    overall = float(outcome[::2].mean())
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall), bins[1::2]


def _auc(bins: NDArray[np.int64], outcomes: NDArray[np.float64]) -> float:
    areas = []
    for outcome in outcomes.T:
        means, judged = _halves(bins, outcome)
        positive = np.bincount(judged, weights=outcome[1::2], minlength=len(means))
        negative = np.bincount(judged, minlength=len(means)) - positive
        if positive.sum() == 0 or negative.sum() == 0:
            continue
        levels, level = np.unique(means, return_inverse=True)
        gained = np.bincount(level, weights=positive, minlength=len(levels))
        lost = np.bincount(level, weights=negative, minlength=len(levels))
        below = np.cumsum(lost) - lost
        areas.append(float((gained * (below + lost / 2)).sum() / (gained.sum() * lost.sum())))
    return float(np.mean(areas)) if areas else 0.5


def _r2(bins: NDArray[np.int64], outcome: NDArray[np.float64]) -> float:
    means, judged = _halves(bins, outcome)
    truth = outcome[1::2]
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - means[judged]) ** 2).sum()) / spread if spread > 0 else 0.0


def _sum_leak(table: pa.Table, kinds: Kinds, target: str, outcome: NDArray[np.float64]) -> Leak | None:
    names = [name for name, kind in kinds if name != target and kind in (ColumnKind.INTEGER, ColumnKind.NUMBER)][
        :SUM_FEATURES
    ]
    rows = np.linspace(0, table.num_rows - 1, min(SUM_ROWS, table.num_rows)).astype(np.int64)
    if len(names) < 2 or len(rows) < 3 * len(names):
        return None
    taken = table.select(names).take(pa.array(rows))
    matrix = np.column_stack(
        [np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=np.float64) for column in taken.columns]
    )
    complete = ~np.column_stack([column.is_null().to_numpy() for column in taken.columns]).any(axis=1)
    if complete.sum() < 3 * len(names):
        return None
    matrix, truth = matrix[complete], outcome[rows][complete]
    spread = matrix.std(axis=0)
    used = spread > 0
    if not used.any() or truth.std() == 0:
        return None
    scaled = (matrix[:, used] - matrix[:, used].mean(axis=0)) / spread[used]
    centred = truth - truth.mean()
    weights, *_ = np.linalg.lstsq(scaled, centred, rcond=None)
    value = 1 - float(((centred - scaled @ weights) ** 2).sum()) / float((centred**2).sum())
    parts = [
        name
        for name, weight in zip(np.array(names, dtype=object)[used], weights, strict=True)
        if abs(weight) > 1e-4 * truth.std()
    ]
    return Leak(tuple(parts), "sum", value) if value >= SUM_LIMIT and len(parts) >= 2 else None
