"""So many false alerts a month, as the level of one window."""

import numpy as np
import pytest
from scipy import stats

from core.drift.promises import WINDOWS_A_MONTH, Promise, fires, firing_chance, window_level
from core.errors import InvalidInput


def test_a_month_has_a_twelfth_of_the_mean_year() -> None:
    assert window_level(Promise(1.0, WINDOWS_A_MONTH["day"])) == pytest.approx(12 / 365.25)
    assert WINDOWS_A_MONTH["hour"] == 24 * WINDOWS_A_MONTH["day"] == 7 * 24 * WINDOWS_A_MONTH["week"]


def test_more_alerts_than_windows_are_not_promised() -> None:
    assert window_level(Promise(3.0, WINDOWS_A_MONTH["month"])) == 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((0.0, 30.0), "above 0"), ((1.0, 0.0), "above 0"), ((1.0, 30.0, 4, 3), "4 of 3"), ((1.0, 30.0, 0, 1), "0 of 1")],
)
def test_what_cannot_be_promised_is_refused(arguments: tuple[float, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Promise(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("needed", "of"), [(2, 2), (2, 3), (3, 5), (5, 5)])
def test_independent_windows_fire_as_the_binomial_says(needed: int, of: int) -> None:
    chances = np.array([0.3, 0.01, 1e-4])

    found = firing_chance(chances, np.zeros(3), windows_needed=needed, windows_of=of)

    assert found == pytest.approx(chances * stats.binom.sf(needed - 2, of - 1, chances), rel=1e-9)


def test_one_of_one_fires_whenever_it_exceeds_and_so_do_windows_that_are_all_alike() -> None:
    chances = np.array([0.2, 0.001])

    assert firing_chance(chances, np.array([0.4, 0.9]), windows_needed=1, windows_of=1) == pytest.approx(chances)
    assert firing_chance(chances, np.ones(2), windows_needed=3, windows_of=5) == pytest.approx(chances, rel=0.02)


def test_windows_that_share_a_reference_fire_together_as_often_as_simulated() -> None:
    rng = np.random.default_rng(6)
    shared, own = rng.standard_normal((400_000, 1)), rng.standard_normal((400_000, 3))
    border = stats.norm.isf(0.05 / 2)
    beyond = np.abs(np.sqrt(0.5) * shared + np.sqrt(0.5) * own) > border
    simulated = (beyond[:, 2] & (beyond.sum(axis=1) >= 2)).mean()

    found = firing_chance(np.array([0.05]), np.array([0.5]), windows_needed=2, windows_of=3)

    assert found[0] == pytest.approx(simulated, rel=0.03)
    assert found[0] > 3 * 0.05 * stats.binom.sf(0, 2, 0.05) / 2


@pytest.mark.parametrize(
    ("exceeded", "before", "expected"),
    [
        (True, [False, True], True),
        (True, [True, False, False], False),
        (True, [], False),
        (False, [True, True], False),
        (True, [True, True, True], True),
    ],
)
def test_two_of_three_looks_at_this_window_and_two_before(exceeded: bool, before: list[bool], expected: bool) -> None:
    assert fires(exceeded, before, windows_needed=2, windows_of=3) is expected


def test_one_of_one_needs_no_past() -> None:
    assert fires(True, [], windows_needed=1, windows_of=1)
    assert not fires(False, [True], windows_needed=1, windows_of=1)
