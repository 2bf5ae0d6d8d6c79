"""Deciding what drifted, and saying so. PURE.

A column *drifted* when its p-value, corrected for the number of columns, is below alpha **and** its effect is at least
the smallest one that counts: with many rows a shift too small to harm is significant too. The correction is Holm's,
which keeps the chance of any false finding in a window below alpha however the columns depend on each other;
Benjamini-Hochberg was rejected because one false column among true ones still sends people looking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.drift.measuring import DriftMeasure
from core.monitoring.tables import WindowState
from core.statistics.multiple_testing import holm

NAMED = 3
Key = TypeVar("Key")


@dataclass(frozen=True)
class Decision:
    """What one column's measure amounts to: a `WindowState` and the corrected p-value, None where there is none."""

    state: WindowState
    pvalue_corrected: float | None


@dataclass(frozen=True)
class Firing:
    """An alert to be raised for a window: its kind, severity ("warning" or "critical") and sentence."""

    kind: str
    severity: str
    sentence: str


def decide(
    measures: Mapping[Key, DriftMeasure], *, n_rows: int, alpha: float, min_effect: float, min_rows: int
) -> dict[Key, Decision]:
    """Decide for each column of a window whether it drifted.

    Parameters
    ----------
    measures : mapping of any key to DriftMeasure
        Every column looked at, the prediction too: the correction counts them all.
    n_rows : int
        Rows in the window; below ``min_rows`` nothing is decided.
    alpha : float
        Chance of any false finding in the window, in (0, 1).
    min_effect : float
        In [0, 1].
    min_rows : int

    Returns
    -------
    dict
        DRIFTED, QUIET or NOT_ENOUGH_DATA by the same keys; the last also where a column has no p-value.
    """
    tested = [key for key, found in measures.items() if found.pvalue is not None]
    corrected = dict(zip(tested, holm(np.array([measures[key].pvalue for key in tested], dtype=float)), strict=True))
    decisions: dict[Key, Decision] = {}
    for key, found in measures.items():
        pvalue = float(corrected[key]) if key in corrected else None
        if n_rows < min_rows or pvalue is None or found.effect is None:
            state = WindowState.NOT_ENOUGH_DATA
        elif pvalue < alpha and found.effect >= min_effect:
            state = WindowState.DRIFTED
        else:
            state = WindowState.QUIET
        decisions[key] = Decision(state, pvalue)
    return decisions


def window_state(decisions: Sequence[Decision]) -> WindowState:
    """Sum a window up: drifted if anything did; not enough data if nothing could be decided; else quiet."""
    states = {decision.state for decision in decisions}
    if WindowState.DRIFTED in states:
        return WindowState.DRIFTED
    return WindowState.QUIET if WindowState.QUIET in states else WindowState.NOT_ENOUGH_DATA


def firings(
    *, model: str, window: str, features: Sequence[tuple[str, float]], n_features: int, prediction_effect: float | None
) -> list[Firing]:
    """Say which alerts a decided window raises.

    Parameters
    ----------
    model : str
        What people call it, "income champion".
    window : str
    features : sequence of (name, effect)
        Those that drifted.
    n_features : int
        All that were looked at.
    prediction_effect : float or None
        Given when the predictions drifted.

    Returns
    -------
    list of Firing
        At most one "drift" and one "prediction_drift". Drift is critical when at least half of the features drifted
        or the predictions drifted too: then what the model answers has changed, not only what it is asked.
    """
    fired = []
    if features:
        ordered = sorted(features, key=lambda entry: (-entry[1], entry[0]))
        severity = "critical" if prediction_effect is not None or 2 * len(features) >= n_features else "warning"
        verb = "has" if len(ordered) == 1 else "have"
        sentence = (
            f"{model}: {_names([name for name, _ in ordered])} {verb} drifted in {window} "
            f"({len(ordered)} of {n_features} features; largest effect {ordered[0][1]:.2f})."
        )
        fired.append(Firing("drift", severity, sentence))
    if prediction_effect is not None:
        sentence = f"{model}: the predictions have drifted in {window} (effect {prediction_effect:.2f})."
        fired.append(Firing("prediction_drift", "critical" if features else "warning", sentence))
    return fired


def performance_firing(
    *,
    model: str,
    window: str,
    title: str,
    greater_is_better: bool,
    now: tuple[float, float, float],
    then: tuple[float, float, float],
    n_labelled: int,
) -> Firing | None:
    """Raise an alert when a metric on a window's labels is worse than on the evaluation set beyond doubt.

    Parameters
    ----------
    title : str
        The metric's.
    now, then : (value, low, high)
        In the window and on the evaluation set, with 95 % intervals; an alert is raised only when the intervals are
        apart, which is stricter than a test of the difference.
    """
    worse = now[2] < then[1] if greater_is_better else now[1] > then[2]
    if not worse:
        return None
    sentence = (
        f"{model}: {title} is {now[0]:.3g} in {window} ({now[1]:.3g} to {now[2]:.3g}, {n_labelled:,} labels), "
        f"worse than {then[0]:.3g} ({then[1]:.3g} to {then[2]:.3g}) on the evaluation set."
    )
    return Firing("performance", "critical", sentence)


def _names(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 60 else f"{name[:59]}…" for name in names[:NAMED]]
    if len(names) > NAMED:
        return f"{', '.join(shown)} and {len(names) - NAMED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
