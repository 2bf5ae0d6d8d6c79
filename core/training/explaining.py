"""What each feature of one row adds to its prediction: Shapley values by walking in random orders. Pure.

A row's prediction is led from that of a training row to its own by switching one feature after the other, in a drawn
order; what a switch changes is credited to its feature, and the mean over orders and training rows is the feature's
contribution. Each walk begins at a training row's prediction and ends at the row's own, so that base value and
contributions sum to the prediction whatever was drawn.

Features are the columns as a caller sends them, before any encoding. They are switched without regard to each other
(the interventional reading): for dependent features the model is asked about rows that never occur, and what several
of them say together is shared among them. The contributions tell of the model, not of causes.

References
----------
Shapley (1953), A value for n-person games; Castro, Gómez and Tejada (2009), Computers & Operations Research 36, for
the sampling of orders; Štrumbelj and Kononenko (2014), Knowledge and Information Systems 41, for drawing the rest of
the row from the data; Mitchell, Cooper, Frank and Holmes (2022), JMLR 23(43), section 4.1, for walking each order in
both directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput
from core.evaluation.tables import Task
from core.training.models import FittedModel

N_BACKGROUND = 500
N_PERMUTATIONS = 500
EXACT_UP_TO = 5
# Two walks over 14 features take 27 predictions. With hundreds of features fewer training rows are walked from, so
# that explaining one row stays a matter of seconds.
MOST_PREDICTIONS = 60_000
FEWEST_BACKGROUND = 20
PIECE_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each feature adds, for n rows and d features.

    Parameters
    ----------
    features : tuple of str
    of : tuple of str or None, of length n
        The class whose score is explained: the positive class of a binary task, the predicted one of a multiclass
        task. None for regression, where it is the predicted value.
    base : ndarray of shape (n,)
        The mean prediction of the training rows walked from: a share, or in the target's unit.
    predicted : ndarray of shape (n,)
        What the model gives for each row, of the same thing.
    values : ndarray of shape (n, d)
        ``base + values.sum(axis=1)`` equals ``predicted`` up to rounding.
    standard_error : ndarray of shape (n, d)
        How far each value would typically move with other orders and other training rows of the same kind: the
        spread over the training rows walked from, by the root of their number. NaN with one such row.
    exact : bool
        Whether all subsets of features were gone through instead of drawn orders; the standard error is then that of
        the drawn training rows alone.
    n_background : int
        Training rows walked from.
    n_permutations : int
        Orders drawn, each walked in both directions; 0 where exact.
    """

    features: tuple[str, ...]
    of: tuple[str | None, ...]
    base: NDArray[np.float64]
    predicted: NDArray[np.float64]
    values: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    exact: bool
    n_background: int
    n_permutations: int


def contributions(
    model: FittedModel,
    frame: pd.DataFrame,
    background: pd.DataFrame,
    *,
    rng: np.random.Generator,
    n_permutations: int = N_PERMUTATIONS,
    n_background: int = N_BACKGROUND,
) -> Contributions:
    """Shapley values of each row's prediction in terms of its columns.

    A feature that the model does not use, or that has the same value in every background row, gets exactly 0. Missing
    values are values like others. The same generator gives the same values, and all rows share the orders and the
    background rows drawn, so that rows can be held against each other.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n, d)
        The rows to explain, as `frames` makes them.
    background : pandas.DataFrame
        Training rows, of the same columns; what a row is compared with.
    rng : numpy.random.Generator
    n_permutations : int
        Orders to draw in all, each walked in both directions; raised so that each background row is walked from
        equally often. Not used with at most 5 features, where all subsets are gone through.
    n_background : int
        At most so many background rows are drawn, and with many features fewer: at most about 60,000 predictions are
        made for one row (but 20 background rows are kept).

    Returns
    -------
    Contributions
        Costs about ``2 d`` predictions of each background row for each row explained.

    Raises
    ------
    InsufficientData
        There are no background rows.
    InvalidInput
        The columns differ, or a number asked for is below 1.
    """
    if list(frame.columns) != list(background.columns):
        raise InvalidInput(
            f"The rows have the columns {', '.join(map(repr, frame.columns))}, the training rows "
            f"{', '.join(map(repr, background.columns))}; give both in the order of the model's signature."
        )
    if min(n_permutations, n_background) < 1:
        raise InvalidInput(
            f"{n_permutations} orders and {n_background} background rows were asked for; at least 1 of each is needed."
        )
    if len(background) == 0:
        raise InsufficientData("There are no training rows to compare a row with; give at least one.")
    d = frame.shape[1]
    exact = d <= EXACT_UP_TO
    each = 2**d if exact else 2 * d - 1
    most = min(n_background, max(FEWEST_BACKGROUND, MOST_PREDICTIONS // each))
    if len(background) > most:
        background = background.iloc[np.sort(rng.choice(len(background), size=most, replace=False))]
    m = len(background)
    per_row = math.ceil(n_permutations / m)
    orders = None if exact else rng.permuted(np.tile(np.arange(d), (m * per_row, 1)), axis=1)

    labels, of_rows = _outputs(model, frame)
    _, of_background = _outputs(model, background)
    chosen = _chosen(model, labels)
    pool = _Pool(model, background, frame)
    base, predicted = np.empty(len(frame)), np.empty(len(frame))
    values, errors = np.empty((len(frame), d)), np.full((len(frame), d), np.nan)
    for i, position in enumerate(chosen):
        ends = of_background[:, position], float(of_rows[i, position])
        ask = partial(pool.output, i, position)
        parts = _by_subsets(ask, *ends, d=d) if orders is None else _by_orders(ask, *ends, orders=orders)
        base[i], predicted[i] = ends[0].mean(), ends[1]
        values[i] = parts.mean(axis=0)
        if m > 1:
            errors[i] = parts.std(axis=0, ddof=1) / math.sqrt(m)
    return Contributions(
        features=tuple(map(str, frame.columns)),
        of=tuple(None if model.task == Task.REGRESSION else model.classes[position] for position in chosen),
        base=base,
        predicted=predicted,
        values=values,
        standard_error=errors,
        exact=exact,
        n_background=m,
        n_permutations=0 if exact else m * per_row,
    )


def explained_in_words(task: Task, of: str | None, *, n_background: int) -> str:
    """What contributions are of and what they assume, as a sentence or two for whoever reads them."""
    if of is None:
        what = "the predicted value"
    elif task == Task.BINARY:
        what = f"the score of {of}"
    else:
        what = f"the score of {of}, the class predicted"
    return (
        f"From the mean prediction of {n_background:,} training rows to {what} of this row: what changes when the "
        "row's values are put in one after the other, averaged over the order. Features are varied independently of "
        "each other; those that depend on each other share what they say together."
    )


Ask = Callable[[NDArray[np.bool_], NDArray[np.intp]], NDArray[np.float64]]


def _by_orders(ask: Ask, start: NDArray[np.float64], end: float, *, orders: NDArray[np.intp]) -> NDArray[np.float64]:
    """Contributions by background row, shape (m, d): the mean over its orders, each walked in both directions."""
    n_orders, d = orders.shape
    m = len(start)
    rows = np.repeat(np.arange(m), n_orders // m)
    place = np.argsort(orders, axis=1)
    total = np.zeros((n_orders, d))
    for places in (place, d - 1 - place):
        steps = np.arange(1, d)
        mask = places[:, None, :] < steps[None, :, None]
        inner = ask(mask.reshape(-1, d), np.repeat(rows, d - 1)).reshape(n_orders, d - 1)
        walk = np.column_stack([start[rows], inner, np.full(n_orders, end)])
        total += np.take_along_axis(np.diff(walk, axis=1), places, axis=1)
    result: NDArray[np.float64] = (total / 2).reshape(m, -1, d).mean(axis=1)
    return result


def _by_subsets(ask: Ask, start: NDArray[np.float64], end: float, *, d: int) -> NDArray[np.float64]:
    """Contributions by background row, shape (m, d), by Shapley's sum over all subsets of the features."""
    m = len(start)
    subsets = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1
    worth = np.empty((m, 2**d))
    worth[:, 0], worth[:, -1] = start, end
    inner = subsets[1:-1]
    if len(inner):
        asked = ask(np.tile(inner, (m, 1)), np.repeat(np.arange(m), len(inner)))
        worth[:, 1:-1] = asked.reshape(m, len(inner))
    sizes = subsets.sum(axis=1)
    result = np.empty((m, d))
    for j in range(d):
        without = np.flatnonzero(~subsets[:, j])
        # Of all orders, the share in which exactly these features come before this one.
        share = [math.factorial(k) * math.factorial(d - k - 1) / math.factorial(d) for k in sizes[without]]
        result[:, j] = (worth[:, without + 2**j] - worth[:, without]) @ np.array(share)
    return result


class _Pool:
    """Background rows and rows to explain side by side, from which mixed rows are made and predicted."""

    def __init__(self, model: FittedModel, background: pd.DataFrame, frame: pd.DataFrame) -> None:
        self._model, self._m = model, len(background)
        self._columns = {
            name: np.concatenate([background[name].to_numpy(), frame[name].to_numpy()]) for name in frame.columns
        }

    def output(self, i: int, position: int, mask: NDArray[np.bool_], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """One output for background rows into which row i's values are put where the mask holds, in pieces."""
        pieces = []
        at_once = max(1, PIECE_CELLS // len(self._columns))
        for start in range(0, len(rows), at_once):
            piece = slice(start, start + at_once)
            taken = {
                name: column[np.where(mask[piece, j], self._m + i, rows[piece])]
                for j, (name, column) in enumerate(self._columns.items())
            }
            # As in `frames`: pandas would otherwise choose a string type of its own.
            mixed = pd.DataFrame(
                {
                    name: pd.Series(column, dtype=object) if column.dtype == object else column
                    for name, column in taken.items()
                },
                copy=False,
            )
            pieces.append(_outputs(self._model, mixed)[1][:, position])
        return np.concatenate(pieces)


def _outputs(model: FittedModel, frame: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Labels, and what can be explained: one column per class, or the one predicted value."""
    if len(frame) == 0:
        return np.empty(0, dtype=object), np.empty((0, max(1, len(model.classes))))
    labels, scores = model.predict(frame)
    return labels, labels.astype(np.float64)[:, None] if scores is None else scores


def _chosen(model: FittedModel, labels: NDArray[np.object_]) -> list[int]:
    """Which output of each row is explained."""
    if model.task == Task.REGRESSION:
        return [0] * len(labels)
    if model.task == Task.BINARY:
        return [1] * len(labels)
    return [model.classes.index(label) for label in labels]
