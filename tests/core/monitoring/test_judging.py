from __future__ import annotations

import numpy as np
import pytest

from core.drift.measuring import ColumnMeasure, measure
from core.monitoring.alerting import Judgement, fires, judge, window_state
from core.monitoring.tables import WindowState

LOOSE = {"kolmogorov_smirnov": 0.05, "missing_share": 0.02, "range_violations": 0.02}


def measured(
    rng: np.random.Generator, *, shift: float = 0.0, missing: float = 0.0, n_reference: int = 2_000
) -> ColumnMeasure:
    reference, current = rng.normal(size=n_reference), rng.normal(size=1_000) + shift
    current[rng.random(1_000) < missing] = np.nan
    return measure(reference, current, "number")


def judged(found: ColumnMeasure, *, n_rows: int = 1_000, min_effect: float = 0.1, **calibrated: float) -> Judgement:
    return judge(found, LOOSE | calibrated, n_rows=n_rows, min_rows=100, min_effect=min_effect)


def test_the_test_that_is_farthest_beyond_its_threshold_speaks(rng: np.random.Generator) -> None:
    by_value = judged(measured(rng, shift=1.0))
    assert (by_value.outcome.test, by_value.exceeded) == ("kolmogorov_smirnov", True)
    by_missing = judged(measured(rng, shift=0.3, missing=0.5))
    assert (by_missing.outcome.test, by_missing.exceeded) == ("missing_share", True)
    assert by_missing.outcome.effect == pytest.approx(0.5, abs=0.05)


def test_an_effect_must_be_beyond_chance_and_large_enough_to_count(rng: np.random.Generator) -> None:
    found = measured(rng, shift=0.5)
    effect = found.deciding[0].effect
    assert effect is not None
    assert judged(found).exceeded
    assert judged(found, min_effect=effect).exceeded  # just large enough counts
    small = judged(found, min_effect=effect + 0.01)
    assert (small.exceeded, small.threshold) == (False, effect + 0.01)
    by_chance = judged(found, kolmogorov_smirnov=effect)  # at the threshold is not beyond it
    assert (by_chance.exceeded, by_chance.threshold) == (False, effect)


@pytest.mark.parametrize(
    ("over", "n_rows", "n_reference"),
    [
        ({}, 99, 2_000),
        ({}, 1_000, 29),
        (dict.fromkeys(LOOSE, 1.0), 1_000, 2_000),
    ],
    ids=["a row too few", "a reference too small", "no effect could be beyond the threshold"],
)
def test_where_nothing_could_be_found_silence_is_not_health(
    rng: np.random.Generator, over: dict[str, float], n_rows: int, n_reference: int
) -> None:
    given = judged(measured(rng, shift=3.0, n_reference=n_reference), n_rows=n_rows, **over)
    assert (given.enough, given.exceeded) == (False, False)
    assert fires(given, [True] * 5, windows_needed=1, windows_of=1) is WindowState.NOT_ENOUGH_DATA


def test_a_column_without_any_row_is_not_enough_data() -> None:
    given = judge(measure(np.ones(500), np.empty(0), "number"), {}, n_rows=500, min_rows=100, min_effect=0.1)
    assert (given.enough, given.exceeded, given.outcome.effect) == (False, False, None)


@pytest.mark.parametrize(
    ("before", "now", "k", "n", "state"),
    [
        ([], True, 1, 1, WindowState.DRIFTED),
        ([], True, 2, 3, WindowState.QUIET),
        ([True], True, 2, 3, WindowState.DRIFTED),
        ([True, False], True, 2, 3, WindowState.DRIFTED),
        ([True, False, False], True, 2, 3, WindowState.QUIET),
        ([True, True], False, 2, 3, WindowState.QUIET),
        ([True, True], True, 3, 3, WindowState.DRIFTED),
        ([True], True, 1, 1, WindowState.DRIFTED),
    ],
    ids=["one is enough", "first of two", "two in a row", "two of three", "too long ago", "over now", "three", "any"],
)
def test_k_of_n_windows(before: list[bool], now: bool, k: int, n: int, state: WindowState) -> None:
    outcome = measure(np.ones(50), np.ones(50), "number").deciding[0]
    given = Judgement(outcome, 0.1, now, True, {})
    assert fires(given, before, windows_needed=k, windows_of=n) is state


def test_a_window_is_what_its_columns_are() -> None:
    class Column:
        def __init__(self, state: WindowState) -> None:
            self.state = state

    quiet, little, drifted = map(Column, (WindowState.QUIET, WindowState.NOT_ENOUGH_DATA, WindowState.DRIFTED))
    assert window_state([quiet, little]) is WindowState.QUIET
    assert window_state([little, drifted]) is WindowState.DRIFTED
    assert window_state([little]) is WindowState.NOT_ENOUGH_DATA
