"""What every entry of the catalogue promises, on values counted exactly and on sketches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from core.drift.drift_tests import DRIFT_TESTS, DriftTest, TestOutcome
from core.drift.evidence import CountedRows, Points, binned
from core.statistics import binning
from core.statistics.sketches import (
    MAX_COARSENESS,
    OTHER,
    Counted,
    CountedCategories,
    align,
    align_categories,
    coarseness,
    counted,
    counted_categories,
    fit_scale,
    sketch_categories,
    sketch_numbers,
)

TESTS = [pytest.param(test, id=test.key) for test in DRIFT_TESTS.values()]
NUMERIC = [test for test in DRIFT_TESTS.values() if "numeric" in test.families and test.role != "missing"]


def draw(test: DriftTest, rng: np.random.Generator, n: int = 900, m: int = 300, shift: float = 0.0) -> Points:
    """Two samples as a test takes them; a shift of one changes all that it looks at."""
    if test.over == "rows":
        missing = rng.binomial(n, 0.1), rng.binomial(m, 0.1 + 0.5 * shift)
        return CountedRows(np.array([missing[0], n - missing[0]]), np.array([missing[1], m - missing[1]]))
    if "numeric" in test.families:
        return counted(rng.normal(size=n), rng.normal(size=m) * (1 + shift) + 2 * shift)
    likely = np.array([0.5 - shift / 2, 0.28, 0.12, 0.06, 0.04, shift / 2])
    names = np.array(list("abcdef"), dtype=object)
    return counted_categories(rng.choice(names, n, p=[0.5, 0.28, 0.12, 0.06, 0.04, 0]), rng.choice(names, m, p=likely))


def run(test: DriftTest, points: Points, rng: np.random.Generator | None = None) -> TestOutcome:
    found = test.test(points, rng)
    assert found.effect is not None
    return found


@pytest.mark.parametrize("test", TESTS)
def test_an_entry_keeps_its_promises(test: DriftTest, rng: np.random.Generator) -> None:
    assert DRIFT_TESTS[test.key] is test
    assert test.sentence.endswith(".")
    assert test.reference
    assert set(test.default_for) <= set(test.families)
    near, far = (run(test, draw(test, rng, 2_000, 2_000, shift), rng) for shift in (0.0, 0.5))
    assert test.least <= near.effect < far.effect <= test.most
    assert far.pvalue is not None
    assert 0 < far.pvalue < 0.01
    assert (far.n_reference, far.n_current) == (2_000, 2_000)


@pytest.mark.parametrize("test", TESTS)
def test_a_sample_against_itself_has_no_effect(test: DriftTest, rng: np.random.Generator) -> None:
    points = draw(test, rng)
    effect = test.effects(points, points.reference, points.reference)
    assert float(effect) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("test", TESTS)
def test_effects_that_decide_by_default_read_as_a_share_of_rows(test: DriftTest, rng: np.random.Generator) -> None:
    if test.default_for:
        assert (test.least, test.most) == (0.0, 1.0)
        assert "share" in test.sentence


@pytest.mark.parametrize("test", TESTS)
def test_many_draws_at_once_are_what_each_is_alone(test: DriftTest, rng: np.random.Generator) -> None:
    points = draw(test, rng, shift=0.2)
    draws = rng.multinomial(200, points.current / points.current.sum(), size=30)
    references = rng.multinomial(300, points.reference / points.reference.sum(), size=30)
    at_once = test.effects(points, points.reference, draws)
    assert at_once.shape == (30,)
    assert at_once == pytest.approx([float(test.effects(points, points.reference, one)) for one in draws])
    both = [float(test.effects(points, first, second)) for first, second in zip(references, draws, strict=True)]
    assert test.effects(points, references, draws) == pytest.approx(both)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("n", [1, 40, 3_000])
@pytest.mark.parametrize("test", [test for test in DRIFT_TESTS.values() if test.of_points], ids=lambda test: test.key)
def test_an_effect_by_shared_work_is_the_effect_itself(
    test: DriftTest, n: int, shift: float, rng: np.random.Generator
) -> None:
    assert test.of_points is not None
    for points in (
        draw(test, rng, n, 30, shift),
        counted(np.ones(n), np.ones(4)),
        counted(np.full(n, np.inf), -np.ones(2)),
    ):
        assert float(test.of_points(points)) == float(test.effects(points, points.reference, points.current))


@pytest.mark.parametrize("test", TESTS)
def test_a_sample_without_rows_has_no_effect_and_no_p_value(test: DriftTest, rng: np.random.Generator) -> None:
    points = draw(test, rng, n=5, m=0)
    found = test.test(points, rng)
    assert found == TestOutcome(test.key, None, None, None, None, 5, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(300, 90), (60, 250), (40, 25)])
@pytest.mark.parametrize("test", TESTS)
def test_p_values_of_like_samples_are_below_a_level_no_more_often_than_it(
    test: DriftTest, n: int, m: int, rng: np.random.Generator
) -> None:
    rounds = 150
    found = np.array([run(test, draw(test, rng, n, m), rng).pvalue for _ in range(rounds)], dtype=float)
    for level in (0.01, 0.05, 0.2):
        assert (found <= level).sum() <= stats.binom.ppf(0.9995, rounds, level)


@pytest.mark.parametrize("test", TESTS)
def test_a_shift_is_found(test: DriftTest, rng: np.random.Generator) -> None:
    found = [run(test, draw(test, rng, shift=0.4), rng).pvalue for _ in range(3)]
    assert max(pvalue for pvalue in found if pvalue is not None) < 0.05


@pytest.mark.parametrize("n_rows", [30, 3_000])
@pytest.mark.parametrize("test", [test for test in NUMERIC if test.over == "bins"], ids=lambda test: test.key)
def test_a_p_value_over_bins_says_where_it_comes_from(test: DriftTest, n_rows: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=n_rows)
    inside = values[(values > values.min()) & (values < values.max())]
    points = counted(values, inside)
    assert run(test, points, rng).method == ("asymptotic" if n_rows == 3_000 else "permutation")
    # What lies beyond the reference has bins that exist only because it does.
    assert run(test, counted(values, np.append(inside, [9.0] * 300)), rng).method == "permutation"
    assert run(test, counted(values, np.append(inside, [9.0] * 300))).pvalue is None


@pytest.mark.parametrize("key", ["psi", "jensen_shannon", "hellinger"])
def test_bins_follow_from_the_reference_alone(key: str, rng: np.random.Generator) -> None:
    reference, window = rng.normal(size=3_000), rng.normal(0.3, 1, size=500)
    bins = binning.reference_bins(counted(reference, window).reference)
    held = counted(reference, window).positions
    starts = [float(held[np.flatnonzero(bins == one)[0]]) for one in np.unique(bins)]
    # The same window counted beside other values, none of which is in its rows, has the same effect.
    points = counted(reference, np.append(window, [5e6, -5e6]))
    alone = counted(reference, window)
    current = np.where(np.abs(points.low) > 1e6, 0, points.current)
    test = DRIFT_TESTS[key]
    assert test.effects(points, points.reference, current) == pytest.approx(run(test, alone).effect)
    assert all(one < other for one, other in pairwise(starts))
    assert len(starts) <= binning.N_BINS


def test_effects_over_bins_are_scipys_on_those_bins(rng: np.random.Generator) -> None:
    points = counted(rng.normal(size=3_000), rng.normal(0.3, 1, size=500))
    held = binned(points)
    before, after = held.reference / held.reference.sum(), held.current / held.current.sum()
    smoothed = [(counts + 0.5) / (counts + 0.5).sum() for counts in (held.reference, held.current)]
    expected = {
        "jensen_shannon": jensenshannon(before, after, base=2),
        "hellinger": np.linalg.norm(np.sqrt(before) - np.sqrt(after)) / np.sqrt(2),
        "psi": stats.entropy(*smoothed) + stats.entropy(*smoothed[::-1]),
    }
    for key, value in expected.items():
        assert run(DRIFT_TESTS[key], points).effect == pytest.approx(value)
        assert run(DRIFT_TESTS[key], held).effect == pytest.approx(value)


def test_a_value_at_the_edge_of_what_was_held_is_no_violation() -> None:
    points = counted(np.array([1.0, 5.0, 9.0]), np.array([1.0, 9.0, 9.5, -np.inf, np.nan]))
    found = run(DRIFT_TESTS["range_violations"], points)
    assert (found.effect, found.statistic, found.n_current) == (0.5, 2.0, 4)


def test_a_name_the_reference_allows_but_did_not_hold_is_not_new(rng: np.random.Generator) -> None:
    points = CountedCategories(
        ("a", "b", "c"), np.array([50, 0, 0]), np.array([5, 3, 2]), np.array([True, True, False])
    )
    found = run(DRIFT_TESTS["new_category_share"], points, rng)
    assert (found.effect, found.statistic) == (0.2, 2.0)


def test_new_words_of_an_endless_vocabulary_are_no_surprise(rng: np.random.Generator) -> None:
    words = np.array([f"word {place}" for place in rng.permutation(4_000)], dtype=object)
    points = counted_categories(words[:3_000], words[3_000:])
    found = run(DRIFT_TESTS["new_category_share"], points, rng)
    assert found.effect == pytest.approx(1.0)
    assert found.pvalue == 1.0
    for key in ("psi", "jensen_shannon", "hellinger", "total_variation"):
        assert run(DRIFT_TESTS[key], points, rng).pvalue == 1.0


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_total_variation_of_two_categories_needs_no_drawing(names: str, rng: np.random.Generator) -> None:
    first, second = (rng.choice(np.array(list(names), dtype=object), size) for size in (300, 200))
    found = run(DRIFT_TESTS["total_variation"], counted_categories(first, second))
    assert (found.pvalue is None) == (names == "abc")


SHAPES = {
    "ordinary": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(size=n),
    "two narrow modes": lambda rng, n: np.where(rng.random(n) < 0.5, 1e6, 0.0) + rng.normal(0, 1e-3, size=n),
    "huge": lambda rng, n: rng.normal(size=n) * 1e300,
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-12,
    "constant": lambda _, n: np.full(n, 3.25),
    "whole numbers": lambda rng, n: rng.poisson(4, size=n).astype(float),
    "zero inflated": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(size=n)),
    "identifiers": lambda rng, n: rng.integers(10**9, 10**9 + 10**6, size=n).astype(float),
    "epoch seconds": lambda rng, n: 1.7e9 + rng.integers(0, 86_400 * 30, size=n),
    "epoch microseconds": lambda rng, n: 1.7e15 + rng.integers(0, 86_400_000_000, size=n),
    "with infinities": lambda rng, n: rng.choice([-np.inf, 0.5, 1.0, np.inf], size=n),
    "all missing": lambda _, n: np.full(n, np.nan),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of one or two nasty shapes, the current one perhaps mixed otherwise, moved, or of another shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=2))
    samples = []
    for _ in range(2):
        sizes = draw(st.lists(st.integers(1, 400), min_size=len(shapes), max_size=len(shapes)))
        parts = [SHAPES[shape](rng, size) for shape, size in zip(shapes, sizes, strict=True)]
        samples.append(np.concatenate(parts))
    moved = draw(st.sampled_from(["as it is", "moved", "scaled", "other"]))
    if moved == "moved":
        samples[1] = samples[1] + 1e-3
    elif moved == "scaled":
        samples[1] = samples[1] * 100 if np.nanmax(np.abs(samples[1]), initial=0) < 1e300 else samples[1] / 100
    elif moved == "other":
        samples[1] = SHAPES[draw(st.sampled_from(sorted(SHAPES)))](rng, 300)
    return samples[0], samples[1]


@settings(deadline=None, max_examples=200)
@given(columns())
def test_sketches_are_off_by_no_more_than_they_say(samples: tuple[np.ndarray, np.ndarray]) -> None:
    scale = fit_scale(samples[0])
    points, exact = align(*(sketch_numbers(one, scale) for one in samples)), counted(*samples)
    coarse = coarseness(points)
    for test in NUMERIC:
        found, expected = test.test(points), test.test(exact)
        assert (found.n_reference, found.n_current) == (expected.n_reference, expected.n_current)
        if expected.effect is None:
            assert found.effect is None
            continue
        assert found.effect is not None
        assert np.isfinite(found.effect)
        if coarse == 0:
            assert found.effect == pytest.approx(expected.effect, rel=1e-9, abs=1e-12)
        elif test.key == "kolmogorov_smirnov":
            assert expected.effect - coarse - 1e-12 <= found.effect <= expected.effect + 1e-12
        elif test.key == "range_violations":
            assert expected.effect - 2 * coarse - 1e-12 <= found.effect <= expected.effect + 1e-12
        elif test.key == "wasserstein" and found.statistic is not None and expected.statistic is not None:
            assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=widest(points) * (1 + 1e-6))


def widest(points: Counted) -> float:
    """By how much rows of several values in one point can be misplaced on average, in both samples together.

    Infinite rows are taken to lie at the finite ends, and are misplaced with them. What lies beyond the scale shares a
    cell with them, which may be anywhere.
    """
    if ((points.low != points.high) & ~(np.isfinite(points.low) & np.isfinite(points.high))).any():
        return np.inf
    low, high = (np.clip(one, -1e306, 1e306) for one in (points.low, points.high))
    shares = points.reference / points.reference.sum() + points.current / points.current.sum()
    finite = np.isfinite(points.low) & np.isfinite(points.high)
    ends = (high - low)[finite][[0, -1]].max() if finite.any() else 0.0
    return float((shares * np.where(finite, high - low, ends) / 2).sum())


@pytest.mark.parametrize("shape", ["ordinary", "heavy tails", "zero inflated", "epoch seconds", "whole numbers"])
def test_sketches_of_ordinary_columns_are_fine_enough_for_every_test(shape: str, rng: np.random.Generator) -> None:
    first, second = SHAPES[shape](rng, 20_000), SHAPES[shape](rng, 5_000)
    second = second[second <= np.quantile(second, 0.8)]
    scale = fit_scale(first)
    points, exact = align(sketch_numbers(first, scale), sketch_numbers(second, scale)), counted(first, second)
    assert coarseness(points) <= MAX_COARSENESS
    for test in NUMERIC:
        expected = run(test, exact).effect
        assert run(test, points).effect == pytest.approx(expected, rel=0.02, abs=0.002)


def test_narrow_modes_are_too_coarse_for_a_sketch_and_it_says_so(rng: np.random.Generator) -> None:
    def modes(n: int, shift: float) -> np.ndarray:
        place = rng.integers(-1, 2, size=n)
        return place * 1e6 + rng.normal(shift * np.abs(place), 1e-3, size=n)

    first, second = modes(4_000, 0.0), modes(4_000, 5e-3)
    scale = fit_scale(first)
    points, exact = align(sketch_numbers(first, scale), sketch_numbers(second, scale)), counted(first, second)
    test = DRIFT_TESTS["kolmogorov_smirnov"]
    assert run(test, exact).effect == pytest.approx(1 / 3, abs=0.02)
    assert run(test, points).effect < 0.05
    assert coarseness(points) > MAX_COARSENESS


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.lists(st.integers(0, 60), min_size=1, max_size=200))
def test_sketches_of_names_are_exact_within_their_vocabulary(first: list[int], second: list[int]) -> None:
    before, after = (np.array([f"name {one}" for one in sample], dtype=object) for sample in (first, second))
    vocabulary = frozenset(before.tolist())
    sketched = align_categories(sketch_categories(before, vocabulary), sketch_categories(after, vocabulary))
    exact = counted_categories(before, after)
    assert OTHER not in sketched.names
    for test in DRIFT_TESTS.values():
        if "categorical" in test.families and test.role != "missing":
            assert test.test(sketched) == test.test(exact)
