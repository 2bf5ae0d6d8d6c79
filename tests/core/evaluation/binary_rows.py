"""Rows of a binary task with scores, for what counts decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task


def predictions(positive: Any, score: Any, weights: NDArray[np.float64] | None = None) -> Predictions:
    """Binary predictions of rows with these truths and scores of "yes"."""
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    more: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
    return Predictions(
        task=Task.BINARY,
        ordinals=np.arange(len(score)),
        y_true=np.where(positive, "yes", "no"),
        y_pred=np.where(score > 0.5, "yes", "no"),
        scores=np.column_stack([1 - score, score]),
        classes=("no", "yes"),
        **more,
    )


def drawn(n: int, rng: np.random.Generator, *, share: float = 0.25, decimals: int = 17) -> Predictions:
    """Rows of which about this share is positive, with scores that tell the two apart rather well."""
    positive = rng.random(n) < share
    return predictions(positive, (1 / (1 + np.exp(-(rng.normal(size=n) + 2 * positive - 1.5)))).round(decimals))


def truth_of(rows: Predictions) -> NDArray[np.bool_]:
    """Which rows are positive."""
    return rows.y_true == "yes"


def score_of(rows: Predictions) -> NDArray[np.float64]:
    """Their scores of "yes"."""
    assert rows.scores is not None
    return rows.scores[:, 1]
