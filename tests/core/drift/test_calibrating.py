"""Thresholds that keep a promise."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.drift.calibrating import Column, Promise, Thresholds, WindowThresholds, calibrate, window_level
from core.drift.drift_tests import DRIFT_TESTS
from core.drift.measuring import measure, streams_of
from core.errors import InvalidInput, NotFound
from core.statistics.sketches import fit_scale, fit_vocabulary, sketch_categories, sketch_numbers
from tests.benchmarks.false_alerts import Case, run

Floats = NDArray[np.float64]


def number(values: Floats, streams: Sequence[str] | None = None) -> Column:
    sketch = sketch_numbers(values, fit_scale(values))
    return Column(sketch, "number", streams or streams_of("number", sketch.n_present))


def category(values: Sequence[str | None], kind: str = "category", streams: Sequence[str] | None = None) -> Column:
    held = np.array(values, dtype=object)
    names = [name for name in values if name is not None]
    sketch = sketch_categories(held, fit_vocabulary({name: names.count(name) for name in set(names)}))
    return Column(sketch, kind, streams or streams_of(kind, sketch.n_present))


def one(column: Column, *, size: int = 500, level: float = 0.01, seed: int = 0) -> WindowThresholds:
    return calibrate({(False, "x"): column}, sizes=[size], level=level, rng=np.random.default_rng(seed)).at(size)


def no_rng() -> np.random.Generator:
    """For columns whose chances are worked out, so that nothing is drawn from it."""
    return np.random.default_rng(0)


def fired(column: Column, thresholds: WindowThresholds, values: NDArray[np.generic]) -> set[str]:
    """Which streams of the column exceed their thresholds in a window of these values."""
    sketch = column.sketch
    current = (
        sketch_numbers(values, sketch.scale)
        if hasattr(sketch, "scale")
        else sketch_categories(values, sketch.vocabulary)
    )  # type: ignore[arg-type]
    outcomes = measure(sketch, current, column.kind).outcomes
    return {
        found.test
        for found in outcomes
        if found.test in column.streams
        and found.effect is not None
        and found.effect > thresholds.of((False, "x"), found.test, found.n_current)
    }


@pytest.mark.parametrize(
    ("n_reference", "size", "level"), [(5_000, 60, 0.001), (5_000, 1_000, 0.05), (2_000, 50_000, 0.01)]
)
def test_a_continuous_column_gets_the_threshold_of_kolmogorov_and_smirnov(
    n_reference: int, size: int, level: float
) -> None:
    column = number(np.random.default_rng(1).normal(size=n_reference), ["kolmogorov_smirnov"])
    effective = round(n_reference * size / (n_reference + size))

    found = [
        one(column, size=size, level=level, seed=seed).of((False, "x"), "kolmogorov_smirnov", size) for seed in range(4)
    ]

    # A thousand cells hide up to 2 % of the largest gap.
    assert np.mean(found) == pytest.approx(stats.kstwo.isf(level, effective), rel=0.035)


@pytest.mark.parametrize(("level", "kept"), [(0.01, 0.0111), (0.005, 0.0049), (0.02, 0.0111)])
def test_a_missing_share_gets_the_exact_threshold_that_is_nearest_to_the_level(level: float, kept: float) -> None:
    """0.0111 is nearer to 0.01 than 0.0049, and 0.0268 nearer to 0.02 than 0.0111, but a third too much."""
    values = np.random.default_rng(2).normal(size=4_000)
    values[:80] = np.nan
    column = number(values, ["missing_share"])

    threshold = one(column, size=300, level=level).of((False, "x"), "missing_share", 300)

    found = np.arange(301)
    chances = stats.betabinom.pmf(found, 300, 80.5, 3_920.5)
    distances = np.abs(found / 300 - 80 / 4_000)
    assert chances[distances > threshold].sum() == pytest.approx(kept, rel=0.01)


def test_more_columns_and_stricter_promises_raise_thresholds_and_more_rows_lower_them() -> None:
    rng = np.random.default_rng(3)
    columns = {(False, f"c{place}"): number(rng.normal(size=600)) for place in range(4)}
    key, test = (False, "c0"), "kolmogorov_smirnov"
    alone = calibrate({key: columns[key]}, sizes=[100], level=0.01, rng=rng).at(100).of(key, test, 100)
    among = calibrate(columns, sizes=[100], level=0.01, rng=rng).at(100).of(key, test, 100)
    strict = calibrate(columns, sizes=[100], level=0.0001, rng=rng).at(100).of(key, test, 100)
    twice = (
        calibrate(columns, sizes=[100], level=0.01, rng=rng, windows_needed=2, windows_of=3).at(100).of(key, test, 100)
    )

    assert alone < among < strict
    assert twice < among
    assert calibrate(columns, sizes=[40_000], level=0.01, rng=rng).at(40_000).of(key, test, 40_000) < alone


def test_between_calibrated_sizes_thresholds_are_those_that_would_be_calibrated_there() -> None:
    rng = np.random.default_rng(4)
    column = number(np.round(rng.exponential(3, size=4_000)))
    spread = calibrate({(False, "x"): column}, sizes=[100, 20_000], level=0.01, rng=rng)

    for size in (150, 9_000):
        direct = one(column, size=size).of((False, "x"), "kolmogorov_smirnov", size)
        assert spread.at(size).of((False, "x"), "kolmogorov_smirnov", size) == pytest.approx(direct, rel=0.05), size


def test_every_value_test_of_the_catalogue_can_be_calibrated_and_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    names = [f"k{place}" for place in rng.zipf(2.0, size=1_000) % 12]
    for test in DRIFT_TESTS.values():
        if test.role != "values":
            continue
        of_numbers = "numeric" in test.families
        column = number(rng.lognormal(size=1_000), [test.key]) if of_numbers else category(names, streams=[test.key])
        threshold = one(column, level=0.02).of((False, "x"), test.key, 500)
        exceeded = 0
        for _ in range(25):
            sketch = column.sketch
            if of_numbers:
                values = rng.lognormal(size=500)
                current = sketch_numbers(values, sketch.scale)  # type: ignore[union-attr]
            else:
                drawn = np.array([f"k{place}" for place in rng.zipf(2.0, size=500) % 12], dtype=object)
                current = sketch_categories(drawn, sketch.vocabulary)  # type: ignore[union-attr]
            outcomes = {found.test: found for found in measure(sketch, current, column.kind).outcomes}
            exceeded += (outcomes[test.key].effect or 0.0) > threshold
        assert exceeded <= stats.binom.ppf(0.999, 25, 0.03), test.key
        assert 0 < threshold < 0.6, test.key


def test_thresholds_come_back_from_json_as_they_were() -> None:
    rng = np.random.default_rng(6)
    columns = {
        (False, "x"): number(rng.normal(size=2_000)),
        (True, "x"): category(["a", "b", None, "b"] * 300),
    }
    given = calibrate(columns, sizes=[50, 3_000], level=0.02, rng=rng)

    stored = json.loads(json.dumps(given.to_json(), allow_nan=False))
    back = Thresholds.from_json(stored)

    assert back.to_json() == stored
    for key, column in columns.items():
        for test in column.streams:
            for n in (1, 50, 777, 3_000, 90_000):
                assert back.at(n).of(key, test, n) == given.at(n).of(key, test, n)


def test_the_same_generator_gives_the_same_thresholds() -> None:
    column = number(np.random.default_rng(7).normal(size=1_500))

    assert one(column, seed=1).calibrated.to_json() == one(column, seed=1).calibrated.to_json()


def test_what_was_not_calibrated_says_so() -> None:
    thresholds = one(number(np.arange(500.0)))

    with pytest.raises(NotFound, match="Calibrate the monitor again"):
        thresholds.of((False, "y"), "kolmogorov_smirnov", 100)
    with pytest.raises(NotFound, match="psi"):
        thresholds.of((False, "x"), "psi", 100)
    with pytest.raises(InvalidInput, match="without a row"):
        thresholds.of((False, "x"), "kolmogorov_smirnov", 0)
    with pytest.raises(InvalidInput, match="without a row"):
        thresholds.calibrated.at(0)


@pytest.mark.parametrize(("sizes", "level"), [([], 0.01), ([0, 10], 0.01), ([10], 0.0), ([10], 0.9)])
def test_what_cannot_be_calibrated_is_refused(sizes: list[int], level: float) -> None:
    with pytest.raises(InvalidInput):
        calibrate({}, sizes=sizes, level=level, rng=np.random.default_rng(0))


def test_a_constant_column_is_quiet_while_constant_and_fires_when_it_moves() -> None:
    column = number(np.full(5_000, 7.0))
    thresholds = one(column)

    assert fired(column, thresholds, np.full(500, 7.0)) == set()
    assert "kolmogorov_smirnov" in fired(column, thresholds, np.full(500, 8.0))


def test_a_column_gone_missing_fires_and_a_first_missing_row_does_not() -> None:
    values = np.random.default_rng(8).normal(size=5_000)
    column = number(values)
    thresholds = one(column)
    window = values[:500].copy()

    window[0] = np.nan
    assert "missing_share" not in fired(column, thresholds, window)
    window[:25] = np.nan
    assert "missing_share" in fired(column, thresholds, window)


def test_a_column_of_missing_values_only_can_be_watched() -> None:
    column = number(np.full(2_000, np.nan))
    thresholds = one(column)

    assert fired(column, thresholds, np.full(500, np.nan)) == set()
    assert fired(column, thresholds, np.zeros(500)) == {"missing_share"}


@pytest.mark.parametrize(
    "values",
    [
        np.r_[np.full(900, -np.inf), np.linspace(0, 1, 3_000), np.full(100, np.inf)],
        np.r_[1e300 * np.linspace(-1, 1, 2_000), np.zeros(10)],
        np.r_[np.linspace(0, 1e-12, 2_000), np.linspace(1, 1 + 1e-12, 2_000)],
        np.array([3.0]),
    ],
    ids=["infinities", "huge", "two narrow modes", "one row"],
)
def test_awkward_references_have_finite_thresholds_and_fire_when_all_rows_move(values: Floats) -> None:
    column = number(values)
    thresholds = one(column, size=400)

    assert all(np.isfinite(thresholds.of((False, "x"), test, 400)) for test in column.streams)
    if len(values) > 1:
        assert "kolmogorov_smirnov" in fired(column, thresholds, np.full(400, 0.75e300))


def test_two_narrow_modes_are_judged_as_finely_as_they_are_measured() -> None:
    rng = np.random.default_rng(9)
    values = np.where(rng.random(4_000) < 0.5, 0.0, 1.0) + rng.normal(scale=1e-12, size=4_000)

    found = one(number(values, ["kolmogorov_smirnov"]), level=0.01).of((False, "x"), "kolmogorov_smirnov", 500)

    assert found == pytest.approx(stats.kstwo.isf(0.01, 444), rel=0.05)


def test_rare_new_categories_are_expected_where_the_reference_held_many_once() -> None:
    few = category(["a", "b", "c", "d"] * 500)
    many = category([f"rare{place}" for place in range(200)] + ["a", "b"] * 900)

    known, open_ended = (one(column).of((False, "x"), "new_category_share", 500) for column in (few, many))

    assert known < 0.02
    assert 0.1 < open_ended < 0.2


def test_a_boolean_that_was_always_false_may_be_true_once() -> None:
    column = category(["False"] * 5_000, kind="boolean")
    thresholds = one(column)
    window = np.array(["False"] * 500, dtype=object)

    window[0] = "True"
    assert fired(column, thresholds, window) == set()
    window[:20] = "True"
    assert fired(column, thresholds, window) == {"chi_square"}


@pytest.mark.parametrize(
    "case",
    [
        Case(n_features=5, n_rows=200, n_reference=4_000, promised=3.0, pool=15),
        Case(n_features=5, n_rows=1_000, n_reference=4_000, promised=3.0, pool=15, needed=2, of=3),
    ],
    ids=["each window", "2 of 3"],
)
def test_quiet_months_raise_as_many_false_alerts_as_promised(case: Case) -> None:
    """A small part of docs/false-alerts.md; the promise is three a month, to be measured with few months."""
    found = run(case, 60, np.random.default_rng(10))

    assert found.low <= found.realised <= found.high
    assert found.high < 2.5 * case.promised


def test_the_level_of_a_window_is_what_is_left_of_the_promise() -> None:
    assert window_level(Promise(0.5, 10.0)) == 0.05


def chance_of_yes(threshold: float, n_yes: int, size: int) -> float:
    """Exact chance that the share of yes in a window lies further than a threshold from a reference of 10,000 rows."""
    rows = np.arange(size + 1)
    mass = stats.betabinom(size, n_yes + 0.5, 10_000 - n_yes + 0.5).pmf(rows)
    return float(mass[np.abs(rows / size - n_yes / 10_000) > threshold].sum())


def yes_and_no(n_yes: int) -> Column:
    return category(["yes"] * n_yes + ["no"] * (10_000 - n_yes), "boolean")


@pytest.mark.parametrize("size", [50, 5_000])
def test_yes_and_no_come_as_close_to_the_promise_as_whole_rows_let_them(size: int) -> None:
    """Five columns of about a tenth: one threshold in 50 rows attains half of its part or nearly one and a half."""
    yes = [930, 960, 1_000, 1_010, 1_060]
    level = window_level(Promise(1.0, 365.25 / 12))

    found = calibrate({(False, f"c{n}"): yes_and_no(n) for n in yes}, sizes=[size], level=level, rng=no_rng())

    quiet = [1 - chance_of_yes(found.at(size).of((False, f"c{n}"), "chi_square", size), n, size) for n in yes]
    assert 1 - np.prod(quiet) == pytest.approx(level, rel=0.1)


def test_no_common_threshold_of_like_yes_and_no_comes_closer_to_the_promise() -> None:
    level = window_level(Promise(1.0, 365.25 / 12))

    found = calibrate({(False, f"c{at}"): yes_and_no(1_000) for at in range(5)}, sizes=[50], level=level, rng=no_rng())

    limit = found.at(50).of((False, "c0"), "chi_square", 50)
    assert 1 - (1 - chance_of_yes(limit, 1_000, 50)) ** 5 == pytest.approx(0.5 * level, rel=0.05)
    # One row less is nearly half too much, which is more than the tenth that may be too much.
    assert 1 - (1 - chance_of_yes(limit - 0.02, 1_000, 50)) ** 5 == pytest.approx(1.43 * level, rel=0.05)


def test_yes_and_no_have_exact_thresholds_at_sizes_that_were_not_calibrated() -> None:
    found = one(yes_and_no(1_000), size=500, level=0.01).calibrated

    for size in (120, 480, 2_300):
        level, limit = found.at(size).level, found.at(size).of((False, "x"), "chi_square", size)
        assert chance_of_yes(limit, 1_000, size) <= level < chance_of_yes(limit - 1 / size, 1_000, size)


def test_rare_names_count_as_one_in_what_small_windows_may_show() -> None:
    """300 names, of which only the commonest can be expected in 50 rows: what is drawn is its share, and the rest."""
    shares = 1 / np.arange(1, 301)
    counts = np.round(10_000 * shares / shares.sum()).astype(int)
    column = category([f"c{at:03}" for at, count in enumerate(counts) for _ in range(count)], streams=["chi_square"])

    limit = one(column, size=50, level=0.01).of((False, "x"), "chi_square", 50)

    assert chance_of_yes(limit, counts[0], 50) <= 0.011 < chance_of_yes(limit - 0.02, counts[0], 50)
