"""Tails carried on beyond the draws, held against distributions whose tails are known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.errors import InsufficientData
from core.statistics.tails import UnsureTail, fit_tail

Floats = NDArray[np.float64]


@pytest.mark.parametrize(
    ("draw", "chance", "from_zero"),
    [
        (lambda rng, n: stats.kstwobign.ppf(rng.random(n)), stats.kstwobign.sf, True),
        (lambda rng, n: np.abs(rng.standard_normal(n)), lambda t: 2 * stats.norm.sf(t), False),
        (lambda rng, n: np.sqrt(rng.chisquare(2, n)), lambda t: stats.chi2.sf(t**2, 2), False),
        (lambda rng, n: np.sqrt(rng.chisquare(31, n)), lambda t: stats.chi2.sf(t**2, 31), False),
        (lambda rng, n: 10 + rng.standard_normal(n), lambda t: stats.norm.sf(t - 10), False),
    ],
    ids=["Kolmogorov", "size of a normal", "chi of 2", "chi of 31", "normal"],
)
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-5])
def test_a_threshold_is_exceeded_as_often_as_asked_for_on_average_over_the_draws(
    draw: Callable[[np.random.Generator, int], Floats],
    chance: Callable[[float], float],
    from_zero: bool,
    level: float,
) -> None:
    rng = np.random.default_rng(1)

    realised = [chance(fit_tail(draw(rng, 4_000), from_zero=from_zero).threshold(level)) for _ in range(40)]

    # Exact within the draws; a hundredfold beyond them by a third at most.
    assert np.mean(realised) == pytest.approx(level, rel=0.1 if level > 1e-4 else 0.35)


def test_with_ties_a_level_is_not_exceeded_but_less_is_attained() -> None:
    rng = np.random.default_rng(2)
    draws = rng.binomial(20, 0.3, 20_000).astype(float)

    tail = fit_tail(draws)

    for level in (0.2, 0.1, 0.05):
        realised = stats.binom.sf(tail.threshold(level), 20, 0.3)
        assert realised <= level * 1.05
        assert tail.attained(level) == pytest.approx(realised, rel=0.05)


def test_thresholds_rise_as_levels_fall() -> None:
    tail = fit_tail(np.random.default_rng(3).exponential(size=1_500))

    thresholds = [tail.threshold(level) for level in np.geomspace(0.5, 1e-9, 60)]

    assert np.all(np.diff(thresholds) >= 0)


@pytest.mark.parametrize("draws", [[0.0], [0.25] * 500])
def test_what_never_varies_exceeds_nothing_and_attains_no_level(draws: list[float]) -> None:
    tail = fit_tail(np.array(draws))

    assert tail.threshold(0.001) == draws[0]
    assert tail.attained(0.001) == 0


def test_no_draw_is_refused() -> None:
    with pytest.raises(InsufficientData, match="at least one"):
        fit_tail(np.empty(0))


@pytest.mark.parametrize("freedom", [11, 30])
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-5])
def test_a_tail_of_unsure_scale_is_students(freedom: int, level: float) -> None:
    known = fit_tail(np.abs(np.random.default_rng(6).standard_normal(50_000)))
    unsure = UnsureTail(known, freedom)
    assert unsure.threshold(level) == pytest.approx(stats.t(freedom).isf(level / 2), rel=0.04)
    assert unsure.attained(level) == level


def test_a_tail_says_how_often_its_own_threshold_is_exceeded() -> None:
    tail = fit_tail(np.random.default_rng(7).chisquare(5, 4_000))
    for level in (0.3, 0.02, 1e-4):
        assert tail.exceeded(np.array([tail.threshold(level) * (1 + 1e-9)]))[0] == pytest.approx(level, rel=0.01)
    constant = fit_tail(np.zeros(100))
    assert (constant.exceeded(np.array([0.0, 1.0])) == 0).all()
    assert (UnsureTail(constant, 12).threshold(0.01) < 1e-200, UnsureTail(constant, 12).attained(0.01)) == (True, 0.0)
