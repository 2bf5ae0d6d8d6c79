"""Deciding what drifted, and saying so. PURE.

A column is *beyond its threshold* in a window when the effect of one of its deciding tests is above what calibrating
found for the promise of so many false alerts a month, **and** at least the smallest one that counts: with many rows a
shift too small to harm is above any threshold of chance. It *drifted* when it was so in k of the last n windows.

Where nothing is promised (two dataset versions, a window beside the one before) a p-value decides, corrected for the
number of columns by Holm, which keeps the chance of any false finding below alpha however the columns depend on each
other; Benjamini-Hochberg was rejected because one false column among true ones still sends people looking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from core.drift.drift_tests import DRIFT_TESTS, TestOutcome
from core.drift.measuring import ColumnMeasure
from core.drift.promises import fires as exceeding_fires
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.tables import WindowState
from core.statistics.multiple_testing import holm
from core.wording import brief, enumerated

LEAST_REFERENCE_ROWS = 30
NAMED = 3
Key = TypeVar("Key")


@dataclass(frozen=True)
class Decision:
    """What one column's measure amounts to: a `WindowState` and the corrected p-value, None where there is none."""

    state: WindowState
    pvalue_corrected: float | None


@dataclass(frozen=True)
class Judgement:
    """What one column of one window shows beside its thresholds.

    Parameters
    ----------
    outcome : TestOutcome
        Of the deciding test whose effect is largest for its threshold.
    threshold : float
        Its: the calibrated one, or the smallest effect that counts where that is larger.
    exceeded : bool
        Whether the effect is above the calibrated threshold and at least the smallest that counts.
    enough : bool
        Whether there are rows enough for any of the column's tests to exceed.
    calibrated : dict of test to float
        What calibrating found for each of the column's deciding tests.
    """

    outcome: TestOutcome
    threshold: float
    exceeded: bool
    enough: bool
    calibrated: Mapping[str, float]


class Decided(Protocol):
    """Whatever has a `WindowState`."""

    @property
    def state(self) -> WindowState:
        """It."""


@dataclass(frozen=True)
class Firing:
    """An alert to be raised for a window: its kind, severity ("warning" or "critical") and sentence."""

    kind: str
    severity: str
    sentence: str


def decide(
    measures: Mapping[Key, ColumnMeasure], *, n_rows: int, alpha: float, min_effect: float, min_rows: int
) -> dict[Key, Decision]:
    """Decide by p-values for each column whether it drifted.

    Parameters
    ----------
    measures : mapping of any key to ColumnMeasure
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
    corrected = corrected_pvalues({key: found.pvalue for key, found in measures.items()})
    decisions: dict[Key, Decision] = {}
    for key, found in measures.items():
        pvalue = corrected.get(key)
        if n_rows < min_rows or pvalue is None or found.effect is None:
            state = WindowState.NOT_ENOUGH_DATA
        elif pvalue < alpha and found.effect >= min_effect:
            state = WindowState.DRIFTED
        else:
            state = WindowState.QUIET
        decisions[key] = Decision(state, pvalue)
    return decisions


def judge(
    found: ColumnMeasure, calibrated: Mapping[str, float], *, n_rows: int, min_rows: int, min_effect: float
) -> Judgement:
    """Hold one column's measure against its thresholds.

    Parameters
    ----------
    found : ColumnMeasure
    calibrated : mapping of test to float
        The largest effect that does not fire, for each deciding test that could be calibrated.
    n_rows, min_rows : int
        Rows in the window, and how many it needs.
    min_effect : float

    Returns
    -------
    Judgement
        Not enough where the window is too small, the reference holds fewer than 30 rows, no deciding test has an
        effect, or none can reach its threshold with so few rows: silence would then mean nothing.
    """
    told = [one for one in found.deciding if one.effect is not None and one.test in calibrated]
    floors = {one.test: max(calibrated[one.test], min_effect) for one in told}
    if not told:
        return Judgement(found.deciding[0], min_effect, False, False, dict(calibrated))
    foremost = max(told, key=lambda one: _ratio(one.effect or 0.0, floors[one.test]))
    reachable = any(floors[one.test] < DRIFT_TESTS[one.test].most for one in told)
    enough = n_rows >= min_rows and found.n_reference >= LEAST_REFERENCE_ROWS and reachable
    effect = foremost.effect or 0.0
    exceeded = enough and effect > calibrated[foremost.test] and effect >= min_effect
    return Judgement(foremost, floors[foremost.test], exceeded, enough, dict(calibrated))


def fires(judgement: Judgement, before: Sequence[bool], *, windows_needed: int, windows_of: int) -> WindowState:
    """What a column amounts to in a window, given whether it was beyond its threshold in the windows before.

    Parameters
    ----------
    before : sequence of bool
        In windows that had enough data, oldest first; only the last ``windows_of - 1`` count.
    """
    if not judgement.enough:
        return WindowState.NOT_ENOUGH_DATA
    drifted = exceeding_fires(judgement.exceeded, before, windows_needed=windows_needed, windows_of=windows_of)
    return WindowState.DRIFTED if drifted else WindowState.QUIET


def corrected_pvalues(pvalues: Mapping[Key, float | None]) -> dict[Key, float]:
    """P-values corrected for their number by Holm; those that are None are left out."""
    tested = {key: pvalue for key, pvalue in pvalues.items() if pvalue is not None}
    return dict(zip(tested, holm(np.array(list(tested.values()), dtype=float)).tolist(), strict=True))


def window_state(decisions: Sequence[Decided]) -> WindowState:
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
            f"{model}: {enumerated([name for name, _ in ordered], NAMED)} {verb} drifted in {window} "
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
        f"{model}: {title} is {brief(now[0])} in {window} ({brief(now[1])} to {brief(now[2])}, {n_labelled:,} labels), "
        f"worse than {brief(then[0])} ({brief(then[1])} to {brief(then[2])}) on the evaluation set."
    )
    return Firing("performance", ALERT_RULES["performance"].severity or "critical", sentence)


def _ratio(effect: float, threshold: float) -> float:
    return effect / threshold if threshold > 0 else float("inf") if effect > 0 else 0.0
