"""Performance of a regression without labels: direct loss estimation (DLE). PURE.

A second model learns from the reference how far off the first one is, by its inputs and its prediction: boosted trees
of the absolute and of the squared error. What it says of a window's rows, averaged, estimates the window's metrics.
Rows whose label has come may be given it: they then count with the error they have.

What is assumed: that rows of like inputs are predicted as well as they were in the reference. Inputs may shift within
what the reference holds; when the target grows or the concept changes the estimate knows nothing of it. `believing`
says when not to trust it.

The band says where the window's final figure will lie in 95 of 100 windows, once every label has come, if that holds:
it contains the chance in the missing errors, and the reference being finite (parts of it left out in turn). It does not
contain the assumption failing.

References
----------
NannyML's documentation of direct loss estimation, version 0.13; delete-a-group jackknife: Kott (2001), Journal of
Official Statistics 17, 521-526.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.estimation.estimating import MIN_REFERENCE, EstimatedMetric
from core.statistics.intervals import around

Floats = NDArray[np.float64]

N_GROUPS = 4
MAX_ROWS = 10_000
BAND_ROWS = 2_000
LOSSES = {"rmse": "squared", "mae": "absolute"}
"""What is estimated, by key of `core.evaluation.metrics.METRICS`, and from which error."""


@dataclass(frozen=True, eq=False)
class LossModel:
    """How one kind of error depends on the row.

    Parameters
    ----------
    whole : HistGradientBoostingRegressor
        Fitted on the whole reference.
    parts : tuple of HistGradientBoostingRegressor
        Each fitted without one group of it.
    scatter : float
        Standard deviation of a row's error around what held-out rows were said to have, as a multiple of that.
    """

    whole: Any
    parts: tuple[Any, ...]
    scatter: float


@dataclass(frozen=True, eq=False)
class LossEstimator:
    """What the reference says of a regression's errors; made by `fit_losses`."""

    absolute: LossModel
    squared: LossModel
    n_reference: int


def fit_losses(
    features: Floats, categorical: NDArray[np.bool_], predicted: Floats, truth: Floats, *, rng: np.random.Generator
) -> LossEstimator:
    """Learn from labelled rows the model was not trained on how far off it is where.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        NaN where missing; categories as codes below 255.
    categorical : ndarray of shape (d,)
        Which columns are codes.
    predicted, truth : ndarray of shape (n,)
        Finite.
    rng : Generator
        For the sample of at most 10,000 rows, and the groups.

    Raises
    ------
    InvalidInput
        Shapes do not fit, or there are fewer than 100 rows.
    """
    n = len(truth)
    if predicted.shape != (n,) or features.shape[:1] != (n,) or categorical.shape != features.shape[1:]:
        raise InvalidInput(
            f"Features have shape {features.shape}, predictions {predicted.shape} and labels {truth.shape}; "
            "give one of each per row."
        )
    if n < MIN_REFERENCE:
        raise InvalidInput(f"The reference has {n} labelled rows; {MIN_REFERENCE} are needed.")
    rows = rng.permutation(n)[:MAX_ROWS]
    inputs, known = _inputs(features, predicted)[rows], np.append(categorical, False)
    errors = (truth - predicted)[rows]
    with _one_thread():
        return LossEstimator(_model(inputs, known, np.abs(errors)), _model(inputs, known, np.square(errors)), len(rows))


def estimate_losses(
    estimator: LossEstimator,
    features: Floats,
    predicted: Floats,
    *,
    rng: np.random.Generator,
    truth: Floats | None = None,
) -> tuple[EstimatedMetric, ...]:
    """Estimate a window's RMSE and mean absolute error, with the labels that have come where they are given.

    Parameters
    ----------
    features : ndarray of shape (n, d)
    predicted : ndarray of shape (n,)
        Finite.
    rng : Generator
        For the rows the band is found by.
    truth : ndarray of shape (n,), optional
        NaN where no label has come.

    Returns
    -------
    tuple of EstimatedMetric
        In the target's own unit, >= 0. Empty for no rows.
    """
    n = len(predicted)
    if n == 0:
        return ()
    inputs = _inputs(features, predicted)
    errors = np.full(n, np.nan) if truth is None else truth - predicted
    waiting = np.flatnonzero(np.isnan(errors))
    some = waiting if len(waiting) <= BAND_ROWS else rng.choice(waiting, BAND_ROWS, replace=False)
    found = []
    with _one_thread():
        for key, kind in LOSSES.items():
            model: LossModel = getattr(estimator, kind)
            losses = np.abs(errors) if kind == "absolute" else np.square(errors)
            losses[waiting] = _said(model.whole, inputs[waiting])
            value, (error, df) = float(losses.mean()), _error(model, inputs, losses, waiting, some)
            band = around(value, error, df=df, scale="log")
            ends = (min(band.low, value), value, max(band.high, value))
            low, at, high = (math.sqrt(end) for end in ends) if kind == "squared" else ends
            found.append(EstimatedMetric(key, at, low, high))
    return tuple(found)


def _inputs(features: Floats, predicted: Floats) -> Floats:
    return np.column_stack([features, predicted]) if features.size else predicted[:, None]


def _model(inputs: Floats, categorical: NDArray[np.bool_], losses: Floats) -> LossModel:
    group = np.arange(len(losses)) % N_GROUPS
    held_out, parts = np.empty(len(losses)), []
    for number in range(N_GROUPS):
        part = _fitted(inputs[group != number], categorical, losses[group != number])
        held_out[group == number] = _said(part, inputs[group == number])
        parts.append(part)
    size = float(np.square(held_out).sum())
    scatter = math.sqrt(float(np.square(losses - held_out).sum()) / size) if size > 0 else 0.0
    return LossModel(_fitted(inputs, categorical, losses), tuple(parts), scatter)


def _fitted(inputs: Floats, categorical: NDArray[np.bool_], losses: Floats) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        categorical_features=categorical, early_stopping=False, min_samples_leaf=20, random_state=0
    ).fit(inputs, losses)


def _said(model: Any, inputs: Floats) -> Floats:
    """The error a model says rows have; never below 0."""
    return np.maximum(0.0, model.predict(inputs)) if len(inputs) else np.empty(0)


def _error(
    model: LossModel, inputs: Floats, losses: Floats, waiting: NDArray[np.intp], some: NDArray[np.intp]
) -> tuple[float, float]:
    """Standard error of the mean loss, of the missing errors' chance and of the reference; its degrees of freedom."""
    if len(waiting) == 0:
        return 0.0, 1.0
    share = len(waiting) / len(losses)
    chance = model.scatter * math.sqrt(float(np.square(losses[waiting]).sum())) / len(losses)
    means = np.array([_said(part, inputs[some]).mean() for part in model.parts])
    learnt = math.sqrt((N_GROUPS - 1) / N_GROUPS * float(np.square(means - means.mean()).sum())) * share
    error = math.hypot(chance, learnt)
    # Satterthwaite: what comes of few groups is known badly, but may be little of the whole.
    df = error**4 / (learnt**4 / (N_GROUPS - 1) + chance**4 / len(waiting)) if error > 0 else 1.0
    return error, df


@contextmanager
def _one_thread() -> Iterator[None]:
    # Two threads that wait for each other on a busy machine took twenty times as long as one. The limit holds only for
    # libraries that are loaded.
    import sklearn.ensemble
    from threadpoolctl import threadpool_limits

    del sklearn

    with threadpool_limits(1):
        yield
