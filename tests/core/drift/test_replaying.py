"""What a rule would have said of the past."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from core.drift.calibrating import Column, Key, Promise, WindowThresholds, calibrate
from core.drift.replaying import PastEffect, PastWindow, replay
from core.errors import InvalidInput, NotFound
from core.statistics.sketches import fit_scale, sketch_numbers

X, Y = (False, "x"), (True, "y")
TEST = "kolmogorov_smirnov"


@pytest.fixture(scope="module")
def thresholds() -> WindowThresholds:
    values = np.random.default_rng(0).normal(size=500)
    column = Column(sketch_numbers(values, fit_scale(values)), "number", (TEST,))
    return calibrate({X: column, Y: column}, sizes=[200], level=0.02, rng=np.random.default_rng(1)).at(200)


def history(thresholds: WindowThresholds, beyond: Sequence[str]) -> list[PastWindow]:
    """Windows in which x, y, both or neither is beyond its threshold; "-" had too few rows."""

    def effects(here: str) -> dict[Key, list[PastEffect]]:
        if here == "-":
            return {}
        limit = thresholds.of(X, TEST, 200), thresholds.of(Y, TEST, 200)
        return {
            X: [PastEffect(TEST, limit[0] * (1.5 if "x" in here else 1.0), 200)],
            Y: [PastEffect(TEST, limit[1] * (2.0 if "y" in here else 0.5), 200)],
        }

    return [PastWindow(f"week {place}", effects(here)) for place, here in enumerate(beyond)]


def test_windows_beyond_their_threshold_would_have_alerted(thresholds: WindowThresholds) -> None:
    past = history(thresholds, ["", "x", "-", "xy", ""])

    found = replay(past, thresholds, Promise(0.5, 4.0))

    assert [window.columns for window in found.windows] == [(), (X,), (), (Y, X), ()]
    assert [window.enough for window in found.windows] == [True, True, False, True, True]
    assert found.n_alerts == 2
    assert found.months == 1.0
    assert found.alerts_a_month == 2.0


def test_two_of_three_passes_over_windows_without_enough_data_and_counts_columns_apart(
    thresholds: WindowThresholds,
) -> None:
    past = history(thresholds, ["x", "y", "-", "x", "x", "", "", "y"])

    found = replay(past, thresholds, Promise(0.5, 4.0, windows_needed=2, windows_of=3))

    assert [window.columns for window in found.windows] == [(), (), (), (X,), (X,), (), (), ()]


def test_an_effect_too_small_to_count_does_not_alert(thresholds: WindowThresholds) -> None:
    past = history(thresholds, ["y"])

    assert replay(past, thresholds, Promise(0.5, 4.0), min_effect=0.05).n_alerts == 1
    assert replay(past, thresholds, Promise(0.5, 4.0), min_effect=0.9).n_alerts == 0


def test_the_interval_is_the_exact_poisson_one(thresholds: WindowThresholds) -> None:
    past = history(thresholds, ["x"] * 3 + [""] * 5)

    found = replay(past, thresholds, Promise(0.5, 4.0))

    assert found.low == pytest.approx(stats.poisson.interval(0.95, 3)[0] / 2, abs=0.31)
    assert stats.poisson.sf(2, 2 * (found.low or 0)) == pytest.approx(0.025)
    assert stats.poisson.cdf(3, 2 * (found.high or 0)) == pytest.approx(0.025)


def test_more_than_chance_explains_is_said(thresholds: WindowThresholds) -> None:
    many = replay(history(thresholds, ["x"] * 20), thresholds, Promise(0.5, 4.0))
    few = replay(history(thresholds, ["x"] + [""] * 19), thresholds, Promise(0.5, 4.0))

    assert many.above_promise
    assert "something changed, or the reference does not fit" in many.sentence
    assert not few.above_promise
    assert few.sentence.startswith("Of 20 past windows, 1 would have alerted: 0.2 a month (0.0051 to 1.1) where 0.5")


def test_without_a_window_that_can_be_judged_nothing_is_said(thresholds: WindowThresholds) -> None:
    for past in ([], history(thresholds, ["-", "-"])):
        found = replay(past, thresholds, Promise(0.5, 4.0))

        assert found.alerts_a_month is None
        assert not found.above_promise
        assert "nothing can be said" in found.sentence


def test_a_stream_without_an_effect_is_passed_over(thresholds: WindowThresholds) -> None:
    past = [PastWindow("week 0", {X: [PastEffect(TEST, None, 0)], Y: [PastEffect(TEST, 0.9, 200)]})]

    assert replay(past, thresholds, Promise(0.5, 4.0)).windows[0].columns == (Y,)


def test_each_window_may_have_thresholds_of_its_own(thresholds: WindowThresholds) -> None:
    past = history(thresholds, ["x", "x"])

    assert replay(past, [thresholds, thresholds], Promise(0.5, 4.0)).n_alerts == 2
    with pytest.raises(InvalidInput, match="1 thresholds for 2 windows"):
        replay(past, [thresholds], Promise(0.5, 4.0))


def test_a_column_that_was_not_calibrated_says_so(thresholds: WindowThresholds) -> None:
    past = [PastWindow("week 0", {(False, "z"): [PastEffect(TEST, 0.5, 200)]})]

    with pytest.raises(NotFound):
        replay(past, thresholds, Promise(0.5, 4.0))
