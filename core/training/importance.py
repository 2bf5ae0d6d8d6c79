"""Permutation importance: how much worse a model scores when one feature's values are shuffled. Pure.

References
----------
Breiman (2001), Random Forests, Machine Learning 45, section 10; as the mean drop over repeats it is the model
reliance of Fisher, Rudin and Dominici (2019), JMLR 20(177), estimated on rows the model was not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.tables import Task
from core.training.models import FittedModel

ROWS = 2000
REPEATS = 4


def permutation_importance(
    model: FittedModel,
    frame: pd.DataFrame,
    y_true: NDArray[Any],
    *,
    rng: np.random.Generator,
    on_feature: Callable[[int], None] = lambda _: None,
) -> dict[str, Any] | None:
    """Mean drop of a score when each feature is shuffled, largest first.

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
        ``{"metric", "rows", "repeats", "features": [{"name", "mean", "std"}]}``; the metric is "roc_auc", "accuracy"
        or "rmse" and a mean above 0 always says that the model relies on the feature. `std` is the spread over the
        repeats. None where the rows cannot be scored: fewer than 10, or one class only in a binary task.
    """
    if len(frame) > ROWS:
        chosen = np.sort(rng.choice(len(frame), size=ROWS, replace=False))
        frame, y_true = frame.iloc[chosen], y_true[chosen]
    if len(frame) < 10 or (model.task == Task.BINARY and len(set(y_true)) < 2):
        return None
    frame = frame.reset_index(drop=True)
    metric = {Task.BINARY: "roc_auc", Task.MULTICLASS: "accuracy", Task.REGRESSION: "rmse"}[model.task]
    intact = _score(model, frame, y_true)
    entries: list[dict[str, Any]] = []
    for position, name in enumerate(frame.columns):
        on_feature(position)
        drops = []
        for _ in range(REPEATS):
            order = rng.permutation(len(frame))
            shuffled = frame.copy()
            shuffled[name] = frame[name].iloc[order].array
            drops.append(intact - _score(model, shuffled, y_true))
        entries.append({"name": name, "mean": float(np.mean(drops)), "std": float(np.std(drops, ddof=1))})
    entries.sort(key=lambda entry: -entry["mean"])
    return {"metric": metric, "rows": len(frame), "repeats": REPEATS, "features": entries}


def _score(model: FittedModel, frame: pd.DataFrame, y_true: NDArray[Any]) -> float:
    """Greater is better: ROC AUC, accuracy, or the root mean squared error with its sign turned."""
    from sklearn.metrics import roc_auc_score

    labels, scores = model.predict(frame)
    if model.task == Task.REGRESSION:
        return -float(np.sqrt(np.mean((labels - y_true) ** 2)))
    if model.task == Task.MULTICLASS or scores is None:
        return float(np.mean(labels == y_true))
    return float(roc_auc_score((y_true == model.classes[1]).astype(int), scores[:, 1]))
