from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import Sample, TestOutcome
from core.drift.measuring import ColumnMeasure, measure
from core.monitoring.alerting import Decision, decide, firings, performance_firing, window_state
from core.monitoring.tables import WindowState


def draw(family: str, n: int, rng: np.random.Generator) -> Sample:
    """A sample of either family, a tenth missing."""
    if family == "numeric":
        values: Sample = rng.normal(size=n)
        values[rng.random(n) < 0.1] = np.nan
        return values
    values = rng.choice(np.array(["a", "b", "c"], dtype=object), size=n, p=[0.5, 0.3, 0.2])
    values[rng.random(n) < 0.1] = None
    return values


@pytest.mark.slow
def test_a_window_without_drift_is_called_drifted_no_more_often_than_alpha(rng: np.random.Generator) -> None:
    rounds, alpha, false_alerts = 200, 0.05, 0
    for _ in range(rounds):
        measures = {}
        common = rng.normal(size=150)  # columns that depend on each other
        for column in range(6):
            kind = ColumnKind.NUMBER if column < 4 else ColumnKind.CATEGORY
            family = "numeric" if column < 4 else "categorical"
            reference, current = draw(family, 1_000, rng), draw(family, 150, rng)
            if column < 3:
                current = np.where(np.isnan(current), np.nan, common + 0.0 * current)
            measures[column] = measure(reference, current, kind)
        # A smallest effect of 0 leaves the p-values alone to hold the rate.
        decisions = decide(measures, n_rows=150, alpha=alpha, min_effect=0.0, min_rows=100)
        false_alerts += window_state(list(decisions.values())) is WindowState.DRIFTED
    assert false_alerts <= stats.binom.ppf(0.9999, rounds, alpha)


def found(effect: float | None, pvalue: float | None) -> ColumnMeasure:
    outcome = TestOutcome("kolmogorov_smirnov", effect, effect, pvalue, "asymptotic", 1_000, 1_000)
    bins = {"reference_missing": 0.0, "current_missing": 0.0}
    return ColumnMeasure((outcome,), ("kolmogorov_smirnov",), 1_000, 1_000, 0, False, 0.0, bins)


@pytest.mark.parametrize(
    ("given", "n_rows", "state"),
    [
        (found(0.30, 1e-9), 1_000, WindowState.DRIFTED),
        (found(0.02, 1e-99), 10**7, WindowState.QUIET),
        (found(0.30, 0.20), 1_000, WindowState.QUIET),
        (found(0.10, 1e-9), 1_000, WindowState.DRIFTED),
        (found(0.30, 1e-9), 99, WindowState.NOT_ENOUGH_DATA),
        (found(0.30, 1e-9), 100, WindowState.DRIFTED),
        (found(None, None), 1_000, WindowState.NOT_ENOUGH_DATA),
        (found(0.30, 0.05), 1_000, WindowState.QUIET),
    ],
    ids=[
        "large and sure",
        "sure but harmless",
        "large but unsure",
        "just large enough",
        "a row too few",
        "just enough rows",
        "nothing measured",
        "p equal to alpha",
    ],
)
def test_decisions(given: ColumnMeasure, n_rows: int, state: WindowState) -> None:
    decision = decide({"hours": given}, n_rows=n_rows, alpha=0.05, min_effect=0.1, min_rows=100)["hours"]
    assert decision.state is state


def test_more_columns_ask_for_a_smaller_p_value() -> None:
    alone = decide({"a": found(0.3, 0.02)}, n_rows=500, alpha=0.05, min_effect=0.1, min_rows=100)
    among = decide(
        {"a": found(0.3, 0.02)} | {str(other): found(0.05, 0.9) for other in range(9)},
        n_rows=500,
        alpha=0.05,
        min_effect=0.1,
        min_rows=100,
    )
    assert (alone["a"].state, among["a"].state) == (WindowState.DRIFTED, WindowState.QUIET)
    assert among["a"].pvalue_corrected == pytest.approx(0.2)


def test_a_window_is_what_its_columns_are() -> None:
    quiet, little, drifted = (
        Decision(state, 0.5) for state in (WindowState.QUIET, WindowState.NOT_ENOUGH_DATA, WindowState.DRIFTED)
    )
    assert window_state([quiet, little]) is WindowState.QUIET
    assert window_state([little, drifted]) is WindowState.DRIFTED
    assert window_state([little]) is WindowState.NOT_ENOUGH_DATA
    assert window_state([]) is WindowState.NOT_ENOUGH_DATA


def test_alerts_say_what_drifted_with_names_as_they_are() -> None:
    fired = firings(
        model="pay champion",
        window="2026-02",
        features=[("age", 0.12), (":red[x]", 0.31), ("b", 0.2), ("c" * 300, 0.15)],
        n_features=14,
        prediction_effect=None,
    )
    assert [(one.kind, one.severity) for one in fired] == [("drift", "warning")]
    assert fired[0].sentence.startswith("pay champion: :red[x], b, ccc")
    assert fired[0].sentence.endswith("and 1 more have drifted in 2026-02 (4 of 14 features; largest effect 0.31).")
    both = firings(model="m", window="w", features=[("a", 0.2)], n_features=14, prediction_effect=0.4)
    assert [(one.kind, one.severity) for one in both] == [("drift", "critical"), ("prediction_drift", "critical")]
    assert firings(model="m", window="w", features=[], n_features=14, prediction_effect=None) == []


@pytest.mark.parametrize(
    ("greater", "now", "fires"),
    [
        (True, (0.7, 0.65, 0.75), True),
        (True, (0.88, 0.84, 0.92), False),
        (True, (0.97, 0.96, 0.98), False),
        (False, (0.97, 0.96, 0.98), True),
    ],
    ids=["worse", "intervals meet", "better", "an error that grew"],
)
def test_performance_alerts_only_where_the_intervals_are_apart(
    greater: bool, now: tuple[float, float, float], fires: bool
) -> None:
    firing = performance_firing(
        model="m",
        window="w",
        title="ROC AUC",
        greater_is_better=greater,
        now=now,
        then=(0.9, 0.88, 0.92),
        n_labelled=400,
    )
    assert (firing is not None) == fires
