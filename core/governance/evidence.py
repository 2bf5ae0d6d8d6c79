"""The evidence document of a request: its parts as JSON-ready values, and the facts the gates read from them.

Keys: ``comparisons``, ``dummy``, ``metrics``, ``thresholds`` (of candidate and champion, at which every
decision here was taken; None for none), ``changed``, ``changed_by_slice``, ``fairness``, ``data_changes``,
``drift``, ``missing`` (why a comparison is not there, by what it was to be), ``smoke``, ``behaviour`` (``suite``,
``n_rows`` and ``outcomes`` as `behaviour.run_suite` gives them; None where it was not run), ``gates``,
``bound``, ``policy``, ``prepared_at``. The digest of the whole is what a decision is given on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.comparing import PairedResult
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict
from core.governance.gates import ComparisonFact

MOST_SENTENCES = 5


def comparison_entry(
    result: PairedResult, *, kind: str, evaluation_set_id: int, baseline_label: str, metric: str
) -> dict[str, Any]:
    """Write a paired comparison as one entry."""
    return {
        "set": kind,
        "evaluation_set_id": evaluation_set_id,
        "baseline_label": baseline_label,
        "verdict": result.verdict.value,
        "effect": result.effect,
        "low": result.low,
        "high": result.high,
        "margin": result.margin,
        "metric": metric,
        "n_rows": result.n_rows,
        "n_left_out": result.n_left_out,
        "smallest_effect": result.smallest_effect,
        "rows_needed": result.rows_needed,
        "tests": [dict(one) for one in result.tests],
        "pvalue": result.pvalue,
        "method": result.method,
        "sentence": result.sentence,
    }


def fact(entry: dict[str, Any] | None) -> ComparisonFact | None:
    """Read back what the gates need of an entry."""
    if entry is None:
        return None
    return ComparisonFact(
        Verdict(entry["verdict"]),
        entry["metric"],
        entry["effect"],
        entry["low"],
        entry["high"],
        entry["margin"],
        entry["n_rows"],
    )


def dummy_predictions(candidate: Predictions, dummy: dict[str, Any]) -> Predictions:
    """Predict the candidate's rows by the constants of the trivial model: the training mean, or the class shares.

    Rows count as much as they do for the candidate.

    Parameters
    ----------
    candidate : Predictions
    dummy : dict
        ``{"mean"}`` for a regression, ``{"classes", "shares"}`` otherwise, as `Run.dummy` holds it.
    """
    n = candidate.n_rows
    if candidate.task is Task.REGRESSION:
        guess: NDArray[Any] = np.full(n, float(dummy["mean"]))
        return Predictions(
            candidate.task, candidate.ordinals, candidate.y_true, guess, None, (), candidate.sample_weight
        )
    shares = dict(zip(dummy["classes"], dummy["shares"], strict=True))
    row = np.array([float(shares.get(name, 0.0)) for name in candidate.classes])
    guess = np.full(n, candidate.classes[int(row.argmax())], dtype=object)
    return Predictions(
        candidate.task,
        candidate.ordinals,
        candidate.y_true,
        guess,
        np.tile(row, (n, 1)),
        candidate.classes,
        candidate.sample_weight,
    )


def identical(recorded: Predictions, labels: NDArray[Any], scores: NDArray[np.float64] | None) -> int:
    """Count rows whose prediction is the recorded one; numbers may differ by rounding (relative 1e-9), labels not."""
    if recorded.task is Task.REGRESSION:
        return int(np.isclose(recorded.y_pred, labels.astype(float), rtol=1e-9, atol=1e-12).sum())
    same = recorded.y_pred == labels
    if recorded.scores is not None and scores is not None:
        same = same & np.isclose(recorded.scores, scores, rtol=1e-9, atol=1e-12).all(axis=1)
    return int(same.sum())
