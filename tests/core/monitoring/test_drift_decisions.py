from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS, DriftTest, Sample
from core.drift.measuring import DriftMeasure, measure
from core.errors import InvalidInput
from core.monitoring.alerting import Decision, decide, firings, performance_firing, window_state
from core.monitoring.tables import WindowState
from core.statistics.two_sample import TestResult

PAIRS = [(test, family) for test in DRIFT_TESTS.values() for family in test.families]
CASES = [pytest.param(*pair, id=f"{pair[0].key}-{pair[1]}") for pair in PAIRS]
DECIDING = [pytest.param(*pair, id=f"{pair[0].key}-{pair[1]}") for pair in PAIRS if pair[0].decides]


def draw(family: str, n: int, rng: np.random.Generator, shift: float = 0.0) -> Sample:
    """A sample of either family, a tenth missing; the shift moves values and loses some more."""
    if family == "numeric":
        values: Sample = rng.normal(size=n) + 2 * shift
        values[rng.random(n) < 0.1 + 0.5 * shift] = np.nan
        return values
    values = rng.choice(np.array(["a", "b", "c"], dtype=object), size=n, p=[0.5 - shift / 2, 0.3, 0.2 + shift / 2])
    values[rng.random(n) < 0.1 + 0.5 * shift] = None
    return values


def present(sample: Sample) -> Sample:
    return sample[np.array([one is not None and one == one for one in sample.tolist()])]


def effect(test: DriftTest, reference: Sample, current: Sample) -> float:
    if test.key != "missing_share":
        reference, current = present(reference), present(current)
    found = test.function(reference, current)
    return found.effect if isinstance(found, TestResult) else found


@pytest.mark.parametrize(("test", "family"), CASES)
def test_an_entry_keeps_its_promises(test: DriftTest, family: str, rng: np.random.Generator) -> None:
    assert DRIFT_TESTS[test.key] is test
    assert test.sentence.endswith(".")
    assert test.reference
    reference, current, moved = (draw(family, 2_000, rng, shift) for shift in (0.0, 0.0, 0.5))
    near, far = effect(test, reference, current), effect(test, reference, moved)
    assert test.least <= near < far <= test.most
    assert effect(test, reference, reference) == pytest.approx(0, abs=1e-7)
    assert effect(test, reference[::-1], rng.permutation(moved)) == pytest.approx(far, abs=1e-12)


@pytest.mark.parametrize(("test", "family"), DECIDING)
def test_under_the_null_a_test_rejects_as_rarely_as_it_says_and_finds_a_shift(
    test: DriftTest, family: str, rng: np.random.Generator
) -> None:
    def rejects(shift: float, rounds: int) -> int:
        count = 0
        for _ in range(rounds):
            reference, current = draw(family, 800, rng), draw(family, 300, rng, shift)
            if test.key != "missing_share":
                reference, current = present(reference), present(current)
            found = test.function(reference, current)
            assert isinstance(found, TestResult)
            count += found.pvalue < 0.05
        return count

    assert rejects(0.0, 300) <= stats.binom.ppf(0.9999, 300, 0.05)
    assert rejects(0.4, 20) == 20


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


def found(effect: float | None, pvalue: float | None) -> DriftMeasure:
    return DriftMeasure("kolmogorov_smirnov", effect, effect, pvalue, 1_000, 1_000, {})


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
def test_decisions(given: DriftMeasure, n_rows: int, state: WindowState) -> None:
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


@pytest.mark.parametrize(
    ("before", "now", "test", "effect"),
    [
        ([np.nan] * 500, [1.0] * 500, "missing_share", 1.0),
        ([1.0] * 500, [np.nan] * 500, "missing_share", 1.0),
        ([1.0] * 500, [2.0] * 500, "kolmogorov_smirnov", 1.0),
        ([1.0] * 500, [1.0] * 250 + [np.nan] * 250, "missing_share", 0.5),
        ([0.0, 1.0] * 250, [0.0] * 50 + [1.0] * 200 + [np.nan] * 20, "kolmogorov_smirnov", 0.3),
        ([np.inf] * 300, [np.inf] * 300, "kolmogorov_smirnov", 0.0),
    ],
    ids=["never there before", "gone", "another constant", "half gone", "values more than missing", "infinite"],
)
def test_measuring_takes_values_and_missing_values_together(
    before: list[float], now: list[float], test: str, effect: float
) -> None:
    given = measure(np.array(before), np.array(now), ColumnKind.NUMBER)
    assert given.test == test
    assert given.effect == pytest.approx(effect)
    assert given.pvalue is not None
    assert (given.pvalue < 1e-3) == (effect > 0)


def test_nothing_but_missing_values_on_both_sides_is_no_drift() -> None:
    given = measure(np.full(200, np.nan), np.full(200, np.nan), ColumnKind.NUMBER)
    assert (given.test, given.effect, given.pvalue) == ("missing_share", 0.0, 1.0)
    assert measure(np.empty(0), np.ones(5), ColumnKind.NUMBER).pvalue is None


def test_bins_are_shared_finite_and_hold_many_categories_shortly(rng: np.random.Generator) -> None:
    import json

    numbers = measure(
        np.append(rng.normal(size=300), [np.inf, -np.inf, np.nan]), rng.normal(size=300) * 1e30, ColumnKind.NUMBER
    )
    json.dumps(numbers.bins, allow_nan=False)
    names = np.array([f"city {position}" for position in range(500)], dtype=object)
    words = measure(names, names[:100], ColumnKind.CATEGORY)
    json.dumps(words.bins, allow_nan=False)
    assert words.bins["values"][-1] == "480 others"
    assert len(words.bins["values"]) == len(words.bins["reference"]) == len(words.bins["current"]) == 21


def test_a_sample_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="category"):
        measure(np.ones(3), np.ones(3), ColumnKind.CATEGORY)


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
