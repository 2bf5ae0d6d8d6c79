"""Where the reference has rows: what an estimate has learnt from, and what it has never seen. PURE.

Whatever is learnt from the reference holds only where the reference has rows. A value is *hardly seen* when it lies
beyond the reference's half percent at either end, or is a category that the reference lacks; a row when any of its
values is. Some rows of the reference are so themselves, more of them the more columns there are; what counts is by how
much the current share is above that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sample = NDArray[Any]
"""float64 with NaN where missing, or object holding str or None."""

TAIL = 0.005
MAX_CATEGORIES = 254
NAMED = 3


@dataclass(frozen=True, eq=False)
class Seen:
    """What the reference holds of one column: a range of numbers, or categories, the most frequent first."""

    low: float
    high: float
    categories: tuple[str, ...] | None

    @property
    def is_category(self) -> bool:
        """Whether it is a column of categories."""
        return self.categories is not None

    def hardly(self, values: Sample) -> NDArray[np.bool_]:
        """Which values the reference hardly holds; a missing one is never among them."""
        if self.categories is None:
            with np.errstate(invalid="ignore"):
                return np.asarray((values < self.low) | (values > self.high))
        known = {None, *self.categories}
        return np.fromiter((value not in known for value in values), bool, len(values))


@dataclass(frozen=True, eq=False)
class Support:
    """What the reference holds of every column; made by `fit_support`.

    Parameters
    ----------
    columns : dict of name to Seen
    usual : float
        The share of the reference's own rows that are hardly seen.
    n_rows : int
    """

    columns: dict[str, Seen]
    usual: float
    n_rows: int


@dataclass(frozen=True)
class Outside:
    """How many rows the reference hardly holds.

    Parameters
    ----------
    share : float
        In [0, 1]; 0 for no rows.
    usual : float
        That of the reference itself.
    names : tuple of str
        The columns that make most rows so, at most three, the foremost first.
    """

    share: float
    usual: float
    names: tuple[str, ...]


def fit_support(columns: Mapping[str, Sample]) -> Support:
    """Learn where the reference has rows.

    Parameters
    ----------
    columns : mapping of name to ndarray of shape (n,)
        A column of numbers without a finite value has no range: nothing is outside it.
    """
    seen = {name: _seen(values) for name, values in columns.items()}
    n = len(next(iter(columns.values()), ()))
    return Support(seen, _any(seen, columns).mean().item() if n else 0.0, n)


def outside(support: Support, columns: Mapping[str, Sample]) -> Outside:
    """Say how many of a window's rows the reference hardly holds, and by which of the columns that are given."""
    parts = {name: seen.hardly(columns[name]) for name, seen in support.columns.items() if name in columns}
    n = len(next(iter(parts.values()), ()))
    if n == 0:
        return Outside(0.0, support.usual, ())
    share = float(np.logical_or.reduce(list(parts.values())).mean())
    blamed = sorted(((-float(part.mean()), name) for name, part in parts.items() if part.mean() > 4 * TAIL))
    return Outside(share, support.usual, tuple(name for _, name in blamed[:NAMED]))


def encoded(support: Support, columns: Mapping[str, Sample], names: Sequence[str]) -> NDArray[np.float64]:
    """Some columns as numbers of shape (n, d), categories as codes; NaN for what is missing, infinite or not known."""
    parts = []
    for name in names:
        seen = support.columns[name]
        if seen.categories is None:
            numbers = np.asarray(columns[name], dtype=np.float64)
            parts.append(np.where(np.isfinite(numbers), numbers, np.nan))
        else:
            place = {label: float(code) for code, label in enumerate(seen.categories[:MAX_CATEGORIES])}
            parts.append(np.array([place.get(value, np.nan) for value in columns[name]], dtype=np.float64))
    return np.column_stack(parts) if parts else np.empty((0, 0))


def _seen(values: Sample) -> Seen:
    if values.dtype == object:
        labels, counts = np.unique([value for value in values if value is not None], return_counts=True)
        return Seen(0.0, 0.0, tuple(str(label) for label in labels[np.argsort(-counts, kind="stable")]))
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Seen(-np.inf, np.inf, None)
    # Of order statistics, so that a value which fills the tail is inside.
    low, high = np.quantile(finite, [TAIL, 1 - TAIL], method="inverted_cdf")
    return Seen(float(low), float(high), None)


def _any(seen: Mapping[str, Seen], columns: Mapping[str, Sample]) -> NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce([one.hardly(columns[name]) for name, one in seen.items()]))
