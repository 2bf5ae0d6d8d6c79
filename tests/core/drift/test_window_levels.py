"""The level of all streams in windows of exactly so many rows."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.drift.promises import firing_chance
from core.drift.share_nulls import Share
from core.drift.window_levels import FEW_ROWS, RAISES, DrawnPart, SharedRows, present_rows, raised
from tests.benchmarks.window_sizes import Realised, Watched, boolean

Floats = NDArray[np.float64]

YES = (930, 960, 1_000, 1_010, 1_060)


def share(n_yes: int, weight: float = 1.0) -> Share:
    return Share(n_yes / 10_000, n_yes + 0.5, 10_000.5 - n_yes, weight)


def levels(watched: list[Watched], sizes: NDArray[np.intp], *, read_between: bool = False) -> Floats:
    """Exact chance of an alert at each number of rows, in parts of what is promised."""
    realised = Realised(watched)
    return np.array([realised.at(int(n), read_between) for n in sizes])


def test_the_promise_holds_at_every_number_of_rows_as_nearly_as_whole_rows_let_it() -> None:
    """Read between calibrated sizes the level made it 0.70 to 1.40, and 1.06 on average."""
    sizes = np.arange(16, 64)

    found = levels([boolean(n) for n in YES], sizes)

    assert 0.8 < found.min() <= found.max() < 1.2
    assert found.mean() == pytest.approx(1, abs=0.02)
    between = levels([boolean(n) for n in YES], sizes, read_between=True)
    assert np.ptp(found) < 0.5 * np.ptp(between)


def test_the_promise_holds_where_windows_vary_in_size() -> None:
    realised = Realised([boolean(n) for n in YES])

    assert realised.of_poisson(60, False) == pytest.approx(1, abs=0.02)


def test_the_promise_holds_where_rows_lack_values() -> None:
    """A twentieth, a tenth and a fiftieth of them; how many differs from window to window."""
    watched = [boolean(950, 500), boolean(1_900, 1_000), boolean(3_000, 200)]

    found = levels(watched, np.array([30, 40, 64, 75, 100, 150, 333, 700]))

    assert 0.9 < found.min() <= found.max() < 1.1
    assert found.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("needed", "of", "correlation"), [(1, 1, 0.0), (2, 3, 0.01), (2, 3, 0.5), (3, 5, 0.95)])
def test_no_other_level_comes_closer(needed: int, of: int, correlation: float) -> None:
    """By the rule itself: the last step below the promise, or the next above if nearer and at most a quarter over."""
    smooth, n_rows = 0.004, 70
    shares = [[share(300), share(20, 0.05)], [share(1_000)], [share(3_000)], [share(4_500)]]
    columns = [[SharedRows(one, [(n_rows, 1.0)]) for one in column] for column in shares]
    columns.append([DrawnPart(1.0), DrawnPart(0.5, np.repeat([0.0, 0.3, 0.9, 0.8, 0.7], 5))])
    correlations = np.full(5, correlation)

    def fires(by: float) -> float:
        exceeding = []
        for column in shares:
            attained = np.array([one.tail(n_rows).attained(smooth * by * one.weight) for one in column])
            exceeding.append(1 - np.prod(1 - attained))
        last = np.flatnonzero(by >= RAISES)[-1]
        tied = smooth * RAISES[last] * 0.5 * columns[-1][1].attained[last]
        exceeding.append(1 - (1 - smooth * by) * (1 - tied))
        chance = firing_chance(np.array(exceeding), correlations, windows_needed=needed, windows_of=of)
        return float(1 - np.prod(1 - chance))

    every = np.array([fires(one) for one in np.geomspace(1, 4, 801)])
    level = float(np.sqrt(every[0] * every[-1]))
    by = raised(columns, correlations, smooth=smooth, level=level, windows_needed=needed, windows_of=of)

    below, above = every[every <= level].max(), every[every > level].min(initial=np.inf)
    best = above if above - level <= min(0.25 * level, level - below) else below
    assert fires(by) == pytest.approx(best, rel=0.005)


def test_a_level_is_raised_to_four_times_at_most_and_nothing_watched_asks_for_none() -> None:
    alone = [[SharedRows(share(0, 0.05), [(20, 1.0)])]]
    given = {"level": 0.03, "windows_needed": 1, "windows_of": 1}

    assert raised(alone, np.zeros(1), smooth=0.03, **given) == pytest.approx(4)
    assert raised(alone, np.zeros(1), smooth=0.4, **given) == pytest.approx(0.5 / 0.4)
    assert raised([], np.zeros(0), smooth=0.03, **given) == pytest.approx(4)
    assert raised([[]], np.zeros(1), smooth=0.03, **given) == pytest.approx(4)


def test_many_steps_count_as_every_level() -> None:
    """A share of a tenth in 60,000 rows: the level it attains is at most 2 % less than its own."""
    columns = [[SharedRows(share(1_000), [(60_000, 1.0)])]]

    by = raised(columns, np.zeros(1), smooth=0.01, level=0.01, windows_needed=1, windows_of=1)

    assert by == pytest.approx(1, abs=1e-6)
    assert 0.0098 < share(1_000).tail(60_000).attained(0.01) <= 0.01


@pytest.mark.parametrize(
    ("n_missing", "n_rows", "within"), [(0, 100, [100]), (500, 100, [92, 99]), (500, 4_000, [3_800]), (10_000, 50, [])]
)
def test_rows_that_hold_a_value_are_as_many_as_are_to_be_expected(
    n_missing: int, n_rows: int, within: list[int]
) -> None:
    found = present_rows(share(n_missing), n_rows)

    if not within:
        assert found == []
        return
    counts, chances = zip(*found, strict=True)
    assert sum(chances) == pytest.approx(1)
    assert within[0] <= min(counts) <= max(counts) <= within[-1]
    if n_rows <= FEW_ROWS:
        mean = n_rows * (1 - n_missing / 10_000)
        assert np.dot(counts, chances) == pytest.approx(mean, abs=stats.binom.std(n_rows, n_missing / 10_000) / 3)
