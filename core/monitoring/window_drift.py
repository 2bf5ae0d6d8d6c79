"""Holding one window's counted columns against the reference and against the window before. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.drift.calibrating import WindowThresholds
from core.drift.drift_tests import Sample
from core.drift.measuring import ColumnMeasure, measure, measure_deciding
from core.drift.sketching import Sketch
from core.monitoring.alerting import Decision, Judgement, corrected_pvalues, decide, fires, judge
from core.monitoring.counting import Key
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.tables import WindowState
from core.serving.frames import PREDICTION
from core.statistics.sketches import CategorySketch, NumericSketch

SEED = 20_260_417

Exactly = Callable[[Key], tuple[Sample, Sample]]
"""Gives the reference's and the window's own values of a column, where cells are too coarse for it."""


@dataclass(frozen=True)
class Before:
    """The deciding test between the window before and this one: effect, p-value and what they amount to."""

    effect: float | None
    pvalue: float | None
    state: WindowState


@dataclass(frozen=True, eq=False)
class MeasuredColumn:
    """One feature, or the prediction, in one window or slice of it.

    Parameters
    ----------
    key : (is_prediction, name)
        Of the counted column: of a binary model's prediction, its score where all rows have one, else its label.
    kind : str
    slice : str
        "" for all rows.
    measure : ColumnMeasure
    exact : bool
        Whether the values themselves were counted.
    judgement : Judgement
    pvalue, pvalue_corrected : float or None
        Of the judged test, for the number of tests that decide for the column; and for the number of columns, by Holm.
    before : Before or None
        None for the first window.
    state : WindowState
    """

    key: Key
    kind: str
    slice: str
    measure: ColumnMeasure
    exact: bool
    judgement: Judgement
    pvalue: float | None
    pvalue_corrected: float | None
    before: Before | None
    state: WindowState

    @property
    def name(self) -> str:
        """What it is called: its feature, or "prediction"."""
        return PREDICTION if self.is_prediction else self.key[1]

    @property
    def is_prediction(self) -> bool:
        """Whether it is the prediction."""
        return self.key[0]

    def tests(self) -> list[dict[str, Any]]:
        """Every outcome of the catalogue as a JSON document, those that decide with their thresholds.

        ``pvalue`` is null where it takes drawing and nothing hangs on it.
        """
        return outcome_rows(self.measure, self.judgement.calibrated, exact=self.exact)


def outcome_rows(found: ColumnMeasure, thresholds: Mapping[str, float], *, exact: bool) -> list[dict[str, Any]]:
    """Every outcome of the catalogue as a JSON document."""
    return [
        {
            "test": outcome.test,
            "effect": outcome.effect,
            "statistic": outcome.statistic,
            "pvalue": outcome.pvalue,
            "method": outcome.method,
            "n_reference": outcome.n_reference,
            "n_current": outcome.n_current,
            "decides": outcome.test in found.streams,
            "threshold": thresholds.get(outcome.test),
            "exact": exact,
        }
        for outcome in found.outcomes
    ]


def watched_columns(kinds: Mapping[Key, str], current: Mapping[Key, Sketch]) -> dict[Key, str]:
    """The columns of a window that are looked at: every feature, and one of the prediction's.

    The score tells more than the label, but only where every row has one.
    """
    features = {key: kind for key, kind in kinds.items() if not key[0]}
    label = (True, PREDICTION)
    score = next((key for key in kinds if key[0] and key != label), None)
    if score is not None and score in current and label in current:
        scored, answered = current[score], current[label]
        if scored.n_missing == 0 and scored.n_rows == answered.n_rows:
            return features | {score: kinds[score]}
    return features | {label: kinds[label]}


def measure_window(
    *,
    kinds: Mapping[Key, str],
    reference: Mapping[Key, Sketch],
    current: Mapping[Key, Sketch],
    before: Mapping[Key, Sketch] | None,
    thresholds: WindowThresholds | None,
    settings: MonitorSettings,
    n_rows: int,
    n_before: int,
    alpha: float,
    exactly: Exactly,
    part: str = "",
) -> list[MeasuredColumn]:
    """Measure and judge every watched column of a window, or of a slice of it.

    Parameters
    ----------
    kinds : mapping of Key to kind
        The columns that are looked at (`watched_columns`).
    reference, current : mapping of Key to sketch
        On the same bases. A column that current rows lack counts as without a row.
    before : mapping of Key to sketch, or None
        The window before.
    thresholds : WindowThresholds or None
        None where the window has too few rows to be judged.
    n_rows, n_before : int
        Rows of the window and of the one before.
    alpha : float
        Chance of any false finding beside the window before.
    exactly : callable

    Returns
    -------
    list of MeasuredColumn
        Each as if the windows before had been quiet; k of n is `alerting.fires`'s.
    """
    measures: dict[Key, ColumnMeasure] = {}
    exact: set[Key] = set()
    rng = np.random.default_rng(SEED)
    seeded = rng.bit_generator.state
    for key, kind in kinds.items():
        chosen = None if key[0] else settings.tests.get(key[1])
        now = current.get(key, _empty(reference[key]))
        # Each column as if it were drawn for alone; a new generator costs more than most tests.
        rng.bit_generator.state = seeded
        found = measure(reference[key], now, kind, chosen, rng=rng)
        if found.too_coarse:
            exact.add(key)
            found = measure(*exactly(key), kind, chosen, rng=rng)
        measures[key] = found
    judged = {
        key: judge(
            found,
            _calibrated(thresholds, key, found),
            n_rows=n_rows,
            min_rows=settings.min_rows,
            min_effect=settings.min_effect,
        )
        for key, found in measures.items()
    }
    led = {key: one.outcome.test for key, one in judged.items()}
    beside = _beside(kinds, led, current, before, settings, min(n_rows, n_before), alpha)
    pvalues = {key: _pvalue(found, judged[key]) for key, found in measures.items()}
    corrected = corrected_pvalues(pvalues)
    return [
        MeasuredColumn(
            key=key,
            kind=kinds[key],
            slice=part,
            measure=found,
            exact=key in exact,
            judgement=judged[key],
            pvalue=pvalues[key],
            pvalue_corrected=corrected.get(key),
            before=_before(beside, key, led[key]),
            state=fires(judged[key], (), windows_needed=1, windows_of=1),
        )
        for key, found in measures.items()
    ]


def _pvalue(found: ColumnMeasure, judgement: Judgement) -> float | None:
    """The judged test's p-value times how many tests decide for the column, a union bound for looking often."""
    pvalue = judgement.outcome.pvalue
    return None if pvalue is None else min(1.0, pvalue * sum(one.pvalue is not None for one in found.deciding))


def _calibrated(thresholds: WindowThresholds | None, key: Key, found: ColumnMeasure) -> dict[str, float]:
    if thresholds is None:
        return {}
    return {one.test: thresholds.of(key, one.test, one.n_current) for one in found.deciding if one.effect is not None}


def _beside(
    kinds: Mapping[Key, str],
    led: Mapping[Key, str],
    current: Mapping[Key, Sketch],
    before: Mapping[Key, Sketch] | None,
    settings: MonitorSettings,
    n_rows: int,
    alpha: float,
) -> dict[Key, tuple[ColumnMeasure, Decision]]:
    """Decide beside the window before, by the tests that decide and the one that led against the reference."""
    if before is None:
        return {}
    measures = {
        key: measure_deciding(
            before[key], current[key], kind, None if key[0] else settings.tests.get(key[1]), also=led[key]
        )
        for key, kind in kinds.items()
        if key in before and key in current
    }
    decisions = decide(measures, n_rows=n_rows, alpha=alpha, min_effect=settings.min_effect, min_rows=settings.min_rows)
    return {key: (found, decisions[key]) for key, found in measures.items()}


def _before(beside: Mapping[Key, tuple[ColumnMeasure, Decision]], key: Key, test: str) -> Before | None:
    if key not in beside:
        return None
    found, decision = beside[key]
    outcome = next(one for one in found.outcomes if one.test == test)
    return Before(outcome.effect, outcome.pvalue, decision.state)


def _empty(like: Sketch) -> Sketch:
    nothing = np.empty(0, dtype=np.int64)
    if isinstance(like, NumericSketch):
        return NumericSketch(like.scale, nothing.astype(np.uint16), nothing, nothing.astype(np.float64), 0)
    return CategorySketch((), nothing, 0, like.vocabulary, 0)
