"""Weak slices: parts of the rows on which a model does worse, found by search and then confirmed. Pure.

A search among thousands of conditions always finds something. So the rows are split in two: conditions are searched on
one half, and the few best are tested on the other half, which had no part in choosing them, corrected for how many
were tried. What is not confirmed is shown as such. Rows count alike; who calls leaves out those of weight 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.measures import log_losses
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.slices import MIN_ROWS, Grouped, in_words, wrong
from core.evaluation.tables import Task
from core.statistics import intervals
from core.statistics.intervals import CONFIDENCE, Interval
from core.statistics.multiple_testing import holm

Loss = Literal["error", "log_loss", "absolute_error"]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LOSSES: dict[Loss, str] = {
    "error": "share of rows predicted wrong",
    "log_loss": "log loss",
    "absolute_error": "mean absolute error",
}
MOST_TRIED = 10
LOOKED_THROUGH = 400
CLEARLY = 2.0


@dataclass(frozen=True)
class WeakSlice:
    """A slice that did worse than the rest on the half that was searched, and what the other half says of it.

    Parameters
    ----------
    conditions : tuple of (column, value)
        One or two; all hold in the slice.
    n_search, n_confirm : int
        Its rows in the half searched and in the half it is confirmed on.
    search_in, search_out : float
        Mean loss in it and outside it on the half searched: chosen for being far apart, so flattering to the search.
    loss_in, loss_in_low, loss_in_high, loss_out, loss_out_low, loss_out_high : float
        The same on the other half, with 95 % intervals; these are honest. NaN where it holds too few rows there.
    difference, difference_low, difference_high : float
        ``loss_in - loss_out`` there, with its 95 % interval.
    pvalue, corrected : float
        One-sided, that it is no worse; as it is, and corrected for the number tried (Holm). 1 where too few rows.
    confirmed : bool
        Whether the corrected p-value is at most 0.05.
    """

    conditions: tuple[tuple[str, str], ...]
    n_search: int
    n_confirm: int
    search_in: float
    search_out: float
    loss_in: float
    loss_in_low: float
    loss_in_high: float
    loss_out: float
    loss_out_low: float
    loss_out_high: float
    difference: float
    difference_low: float
    difference_high: float
    pvalue: float
    corrected: float
    confirmed: bool

    @property
    def words(self) -> str:
        """The slice in words."""
        return in_words(self.conditions)


@dataclass(frozen=True)
class WeakSlices:
    """What a search found.

    Parameters
    ----------
    loss : Loss
    n_search, n_confirm : int
        Rows of each half.
    n_searched : int
        Conditions of one and two columns that held enough rows to be looked at.
    min_rows : int
        Rows of the half searched below which a condition was passed over.
    slices : tuple of WeakSlice
        Those tried on the other half, confirmed ones first, then by p-value.
    """

    loss: Loss
    n_search: int
    n_confirm: int
    n_searched: int
    min_rows: int
    slices: tuple[WeakSlice, ...]

    @property
    def n_confirmed(self) -> int:
        """How many of those tried were confirmed."""
        return sum(one.confirmed for one in self.slices)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Conditions and, of each, the rows and sums of the half searched: one entry per cell of a column or a pair."""

    columns: NDArray[np.int64]  # (n, 2) positions of the columns, the second -1 for a condition of one
    values: NDArray[np.int64]  # (n, 2) codes
    sizes: Floats
    sums: Floats
    squares: Floats


def row_loss(predictions: Predictions, loss: Loss) -> Floats:
    """The loss of each row.

    Raises
    ------
    NotApplicable
        The loss is not for the task, or needs scores that the model does not give.
    """
    regression = predictions.task is Task.REGRESSION
    if loss not in LOSSES:
        raise InvalidInput(f"There is no loss {loss!r}. Choose one of: {', '.join(LOSSES)}.")
    if regression != (loss == "absolute_error"):
        fitting = "absolute_error" if regression else "error or log_loss"
        raise NotApplicable(f"The loss {loss!r} is not for a {predictions.task.value} task; use {fitting}.")
    return log_losses(Outcome(predictions)) if loss == "log_loss" else wrong(predictions)


def find_weak_slices(
    losses: Floats,
    columns: Sequence[Grouped],
    *,
    loss: Loss,
    rng: np.random.Generator,
    min_rows: int = MIN_ROWS,
    most: int = MOST_TRIED,
) -> WeakSlices:
    """Search one half of the rows for conditions with a high mean loss, and test the worst on the other half.

    Every condition of one column and every pair of conditions of two is looked at, and ranked by Welch's t of its mean
    loss against the rest. From the top down one is tried if it is worse than the rest (t of at least 2), also without
    the rows of those tried already, and, for a pair, also within each of its two conditions: so the same weakness is
    not tried twice, and a condition that adds nothing is not added. The other half's test is Fisher's exact one for
    shares of wrong rows, else Welch's t; both one-sided, corrected by Holm for those tried.

    Parameters
    ----------
    losses : ndarray of shape (n,)
        Finite, >= 0; 0 or 1 for "error".
    columns : sequence of Grouped
        Aligned with the losses. The group of a column's rarer values is no condition.
    rng : Generator
        Halves the rows; the same state gives the same halves.
    min_rows : int
        A condition must hold in so many rows of the half searched, and leave so many out.
    most : int
        At most so many are tried.

    Returns
    -------
    WeakSlices
        Without slices where the losses are all equal or nothing is clearly worse. Cost: one count of the rows per pair
        of columns.

    Raises
    ------
    InsufficientData
        Fewer than ``4 * min_rows`` rows: no half could hold a slice and its rest.
    InvalidInput
        A column has another length.
    """
    n = len(losses)
    for column in columns:
        if len(column.codes) != n:
            raise InvalidInput(f"Column {column.name!r} has {len(column.codes):,} values for {n:,} rows.")
    if n < 4 * min_rows:
        raise InsufficientData(f"{n:,} rows cannot be searched and confirmed; at least {4 * min_rows:,} are needed.")
    order = rng.permutation(n)
    search, confirm = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
    found = _candidates(losses[search], [column.codes[search] for column in columns], columns)
    enough = (found.sizes >= min_rows) & (len(search) - found.sizes >= min_rows)
    picked = _pick(losses[search], [column.codes[search] for column in columns], found, enough, min_rows, most)
    tried = [
        _tested(
            losses, search, confirm,
            [columns[place] for place in found.columns[one] if place >= 0],
            [int(value) for value in found.values[one] if value >= 0],
            loss, min_rows,
        )
        for one in picked
    ]  # fmt: skip
    corrected = holm([one.pvalue for one in tried]).tolist()
    slices = [_corrected(one, level) for one, level in zip(tried, corrected, strict=True)]
    slices.sort(key=lambda one: (not one.confirmed, one.pvalue))
    return WeakSlices(loss, len(search), len(confirm), int(enough.sum()), min_rows, tuple(slices))


def _candidates(losses: Floats, codes: Sequence[Codes], columns: Sequence[Grouped]) -> _Candidates:
    parts = []
    for place, column in enumerate(columns):
        k = len(column.labels)
        where, what = np.array([place, -1]), np.column_stack([np.arange(k), np.full(k, -1)])
        parts.append(_counted(losses, codes[place], where, what[_named(column)], np.flatnonzero(_named(column))))
    for first, second in combinations(range(len(columns)), 2):
        k, m = len(columns[first].labels), len(columns[second].labels)
        what = np.column_stack([np.repeat(np.arange(k), m), np.tile(np.arange(m), k)])
        cells = np.flatnonzero(np.outer(_named(columns[first]), _named(columns[second])))
        where = np.array([first, second])
        parts.append(_counted(losses, codes[first] * m + codes[second], where, what[cells], cells))
    if not parts:
        none = np.empty((0, 2), dtype=np.int64)
        return _Candidates(none, none, np.empty(0), np.empty(0), np.empty(0))
    return _Candidates(
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.squares for part in parts]),
    )


def _named(column: Grouped) -> NDArray[np.bool_]:
    """Which groups of a column are conditions: all but that of its rarer values."""
    named = np.ones(len(column.labels), dtype=np.bool_)
    if column.other is not None:
        named[column.other] = False
    return named


def _counted(losses: Floats, cell: Codes, where: Codes, what: Codes, kept: NDArray[np.intp]) -> _Candidates:
    n_cells = int(max(cell.max(), kept.max(initial=0))) + 1
    return _Candidates(
        np.tile(where, (len(kept), 1)),
        what,
        np.bincount(cell, minlength=n_cells)[kept].astype(np.float64),
        np.asarray(np.bincount(cell, weights=losses, minlength=n_cells)[kept], dtype=np.float64),
        np.asarray(np.bincount(cell, weights=losses * losses, minlength=n_cells)[kept], dtype=np.float64),
    )


def _pick(
    losses: Floats,
    codes: Sequence[Codes],
    found: _Candidates,
    enough: NDArray[np.bool_],
    min_rows: int,
    most: int,
) -> list[int]:
    t = np.where(enough, _welch(found, len(losses), losses), -np.inf)
    picked: list[int] = []
    left = np.ones(len(losses), dtype=bool)
    for one in np.argsort(-t, kind="stable")[:LOOKED_THROUGH]:
        if t[one] < CLEARLY or len(picked) == most:
            break
        conditions = [
            codes[place] == value
            for place, value in zip(found.columns[one], found.values[one], strict=True)
            if place >= 0
        ]
        rows = np.logical_and.reduce(conditions)
        if picked and not _worse(losses, rows & left, left & ~rows, min_rows):
            continue
        if len(conditions) == 2 and not all(_worse(losses, rows, own & ~rows, 2) for own in conditions):
            continue
        picked.append(int(one))
        left &= ~rows
    return picked


def _welch(found: _Candidates, n: int, losses: Floats) -> Floats:
    """T of each candidate's mean loss against the rest's; an empty or whole one has none."""
    total, squares = float(losses.sum()), float((losses * losses).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = found.sums / found.sizes
        rest = n - found.sizes
        outside = (total - found.sums) / rest
        own = np.maximum(found.squares / found.sizes - inside**2, 0) / (found.sizes - 1)
        other = np.maximum((squares - found.squares) / rest - outside**2, 0) / (rest - 1)
        # A slice in which every row is wrong has no spread of its own; a pseudo-row keeps it from looking certain.
        floor = float(losses.var()) / (found.sizes + 1) ** 2
        t = (inside - outside) / np.sqrt(own + other + floor)
    return np.where(np.isfinite(t), t, -np.inf)


def _worse(losses: Floats, inside: NDArray[np.bool_], outside: NDArray[np.bool_], min_rows: int) -> bool:
    first, second = losses[inside], losses[outside]
    if len(first) < max(2, min_rows) or len(second) < 2:
        return False
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second) + losses.var() / (len(first) + 1) ** 2
    return bool(spread > 0 and (first.mean() - second.mean()) / math.sqrt(spread) >= CLEARLY)


def _tested(
    losses: Floats,
    search: NDArray[np.intp],
    confirm: NDArray[np.intp],
    columns: Sequence[Grouped],
    values: Sequence[int],
    loss: Loss,
    min_rows: int,
) -> WeakSlice:
    rows = np.logical_and.reduce([column.codes == value for column, value in zip(columns, values, strict=True)])
    conditions = tuple((column.name, column.labels[value]) for column, value in zip(columns, values, strict=True))
    seen, seen_rest = losses[search][rows[search]], losses[search][~rows[search]]
    inside, outside = losses[confirm][rows[confirm]], losses[confirm][~rows[confirm]]
    if len(inside) < min_rows or len(outside) < min_rows:
        nan = math.nan
        return WeakSlice(
            conditions, len(seen), len(inside), float(seen.mean()), float(seen_rest.mean()),
            nan, nan, nan, nan, nan, nan, nan, nan, nan, 1.0, 1.0, False,
        )  # fmt: skip
    own, rest = _mean_interval(inside, loss), _mean_interval(outside, loss)
    means = [float(inside.mean()), float(outside.mean())]
    span = intervals.combine([1, -1], means, [own, rest])
    return WeakSlice(
        conditions, len(seen), len(inside), float(seen.mean()), float(seen_rest.mean()),
        means[0], own.low, own.high, means[1], rest.low, rest.high,
        means[0] - means[1], span.low, span.high, _pvalue(inside, outside, loss), 1.0, False,
    )  # fmt: skip


def _corrected(one: WeakSlice, level: float) -> WeakSlice:
    return replace(one, corrected=level, confirmed=level <= 1 - CONFIDENCE + 1e-12)


def _mean_interval(losses: Floats, loss: Loss) -> Interval:
    """Wilson's of a share; of another loss Student's on the log scale."""
    if loss == "error":
        return intervals.proportion(float(losses.sum()), len(losses))
    error = float(losses.std(ddof=1)) / math.sqrt(len(losses))
    return intervals.around(float(losses.mean()), error, df=len(losses) - 1, scale="log")


def _pvalue(inside: Floats, outside: Floats, loss: Loss) -> float:
    """One-sided, that the mean loss inside is no higher: Fisher's exact test, or Welch's."""
    n, m = len(inside), len(outside)
    if loss == "error":
        from scipy.stats import hypergeom

        hits, others = int(inside.sum()), int(outside.sum())
        return float(min(1.0, hypergeom.sf(hits - 1, n + m, hits + others, n)))
    from scipy.special import stdtr

    own, rest = float(inside.var(ddof=1)) / n, float(outside.var(ddof=1)) / m
    if own + rest <= 0:
        return 1.0 if inside.mean() <= outside.mean() else 0.0
    df = (own + rest) ** 2 / (own**2 / (n - 1) + rest**2 / (m - 1))
    return float(stdtr(df, -(float(inside.mean()) - float(outside.mean())) / math.sqrt(own + rest)))
