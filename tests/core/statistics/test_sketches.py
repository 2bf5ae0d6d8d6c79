"""Sketches against exact counts: what a cell hides, what it may not, and that parts sum to the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from core.errors import ArtifactCorrupted, InvalidInput
from core.statistics import cells, sketches
from core.statistics.sketches import (
    MAX_COARSENESS,
    OTHER,
    CategorySketch,
    Counted,
    NumericSketch,
    Scale,
    align,
    align_categories,
    coarseness,
    counted,
    counted_categories,
    fit_scale,
    fit_vocabulary,
    from_bytes,
    merge,
    sketch_categories,
    sketch_numbers,
    text_lengths,
    to_bytes,
)

EVERY_FLOAT = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)
# Neighbours of one another at several sizes, so that cells hold two values as often as one.
CLOSE_FLOATS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, -1.0, 1e300, 1e-12, 1.7e9]), st.integers(-40, 40)).map(
        lambda drawn: drawn[0] * (1 + drawn[1] / 1000) + drawn[1] * 1e-13
    ),
    max_size=60,
)
SAMPLES = st.one_of(EVERY_FLOAT, CLOSE_FLOATS).map(lambda values: np.array(values, dtype=np.float64))


def gap(points: Counted) -> float:
    """Kolmogorov-Smirnov statistic of counted samples."""
    shares = [np.cumsum(sample) / sample.sum() for sample in (points.reference, points.current)]
    return float(np.abs(shares[0] - shares[1]).max())


def aligned(reference: NDArray[np.float64], current: NDArray[np.float64]) -> Counted:
    scale = fit_scale(reference)
    return align(sketch_numbers(reference, scale), sketch_numbers(current, scale))


def assert_same(first: NumericSketch, second: NumericSketch) -> None:
    assert first.scale == second.scale
    assert first.n_missing == second.n_missing
    for name in ("keys", "counts", "values"):
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def assert_true_to_rows(points: Counted, *samples: NDArray[np.float64], anchor: float = 0.0) -> None:
    """Each point holds the rows next in order: between its bounds or, where it is one value, of that value."""
    assert (points.low <= points.high).all()
    assert (points.high[:-1] <= points.low[1:]).all()
    assert (points.reference + points.current > 0).all()
    for counts, rows in zip((points.reference, points.current), samples, strict=True):
        present = np.sort(rows[~np.isnan(rows)])
        assert counts.sum() == len(present)
        low, high = points.low.repeat(counts), points.high.repeat(counts)
        np.testing.assert_array_equal(present[low == high], low[low == high])
        one_rounding = 2.0**-52 * max(abs(anchor), 2.0**-1000)
        with np.errstate(over="ignore"):  # beyond the largest float64 lies infinity, which bounds as well
            assert (present >= low - one_rounding).all()
            assert (present <= high + one_rounding).all()


@given(SAMPLES, SAMPLES)
def test_points_hold_the_rows_they_say(reference: NDArray[np.float64], current: NDArray[np.float64]) -> None:
    assert_true_to_rows(counted(reference, current), reference, current)
    assert coarseness(counted(reference, current)) == 0.0
    assert_true_to_rows(aligned(reference, current), reference, current, anchor=fit_scale(reference).anchor)


@given(SAMPLES, SAMPLES)
def test_the_largest_gap_is_off_by_less_than_the_coarseness(
    reference: NDArray[np.float64], current: NDArray[np.float64]
) -> None:
    points, exact = aligned(reference, current), counted(reference, current)
    if exact.reference.any() and exact.current.any():
        assert gap(points) <= gap(exact) + 1e-12
        assert gap(exact) <= gap(points) + coarseness(points) + 1e-12


@given(SAMPLES, st.data())
def test_parts_sum_to_the_whole_in_any_order(values: NDArray[np.float64], data: st.DataObject) -> None:
    scale = fit_scale(values)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=2)))
    parts = [sketch_numbers(part, scale) for part in np.split(values, cuts)]
    whole = sketch_numbers(values, scale)
    assert whole.n_rows == len(values)
    for first, second, third in permutations(parts):
        assert_same(merge([first, second, third]), whole)
        assert_same(merge([merge([first, second]), third]), whole)
        assert_same(merge([first, merge([second, third])]), whole)


@given(SAMPLES, SAMPLES)
def test_many_rows_are_counted_as_few_are(reference: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    scale = fit_scale(reference)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "FEW", 10**9)
        few = sketch_numbers(values, scale)
        patch.setattr(cells, "FEW", 0)
        patch.setattr(cells, "BLOCK", 7)
        assert_same(sketch_numbers(values, scale), few)


@given(SAMPLES)
def test_stored_and_loaded_is_the_same(values: NDArray[np.float64]) -> None:
    sketch = sketch_numbers(values, fit_scale(values))
    loaded = from_bytes(to_bytes(sketch))
    assert isinstance(loaded, NumericSketch)
    assert_same(loaded, sketch)


CASES: dict[str, tuple[bool, Callable[[np.random.Generator, int], tuple[Any, Any]]]] = {
    "normal": (True, lambda rng, n: (rng.normal(size=n), rng.normal(0.2, 1.1, n))),
    "far from zero": (True, lambda rng, n: (rng.normal(1e6, 1, n), rng.normal(1e6 + 0.2, 1, n))),
    "around 1e300": (True, lambda rng, n: (1e300 * rng.normal(size=n), 1.2e300 * rng.normal(size=n))),
    "around 1e-12": (True, lambda rng, n: (1e-12 * rng.normal(size=n), 1.2e-12 * rng.normal(size=n))),
    "heavy tails": (True, lambda rng, n: (rng.standard_cauchy(n), 1.2 * rng.standard_cauchy(n))),
    "whole numbers": (True, lambda rng, n: (rng.poisson(6, n) * 1.0, rng.poisson(6.4, n) * 1.0)),
    "mostly zero": (True, lambda rng, n: (_zeros(rng, n, 0.9), _zeros(rng, n, 0.8))),
    "constant": (True, lambda _, n: (np.full(n, 0.1), np.full(n, 0.1))),
    "another constant": (True, lambda _, n: (np.full(n, 0.1), np.full(n, np.nextafter(0.1, 1)))),
    "a constant, then not": (True, lambda rng, n: (np.full(n, 0.1), rng.normal(0.1, 1, n))),
    "infinities": (True, lambda rng, n: (_ends(rng, n, 0.1), _ends(rng, n, 0.2))),
    "identifiers": (True, lambda _, n: (1e9 + np.arange(n), 1e9 + np.arange(n) + n // 10)),
    "epoch seconds of one year": (True, lambda rng, n: tuple(1.7e9 + 3e7 * rng.random((2, n)))),
    "epoch seconds a year later": (False, lambda rng, n: (1.7e9 + 3e7 * rng.random(n), 1.73e9 + 2e6 * rng.random(n))),
    "two narrow modes": (False, lambda rng, n: (_modes(rng, n, 0.0), _modes(rng, n, 2e-3))),
    "beyond the reference's range": (False, lambda rng, n: (rng.normal(size=n), 1e300 * rng.normal(size=n))),
}


def _zeros(rng: np.random.Generator, n: int, share: float) -> NDArray[np.float64]:
    return np.where(rng.random(n) < share, 0.0, rng.exponential(size=n))


def _ends(rng: np.random.Generator, n: int, share: float) -> NDArray[np.float64]:
    drawn = rng.random(n)
    return np.select([drawn < share / 2, drawn > 1 - share / 2], [-np.inf, np.inf], rng.normal(size=n))


def _modes(rng: np.random.Generator, n: int, shift: float) -> NDArray[np.float64]:
    """Two modes of unlike weight; the far one is narrower than a cell, and only it moves."""
    far = rng.random(n) < 0.4
    return np.where(far, 1e6 + shift + rng.normal(0, 1e-3, n), rng.normal(0, 1e-3, n))


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([200, 3_000, 12_000]))
def test_cells_are_fine_enough_or_say_that_they_are_not(case: str, seed: int, n: int) -> None:
    fine, draw = CASES[case]
    reference, current = draw(np.random.default_rng(seed), n)
    points, exact = aligned(reference, current), counted(reference, current)
    assert_true_to_rows(points, reference, current, anchor=fit_scale(reference).anchor)
    hidden = coarseness(points)
    # Of 200 rows three that share a cell are more than 1 %, however fine it is.
    if n > 200:
        assert (hidden <= MAX_COARSENESS) == fine
    assert gap(exact) == pytest.approx(stats.ks_2samp(reference, current, method="asymp").statistic, abs=1e-12)
    assert gap(points) <= gap(exact) + 1e-12
    assert gap(exact) <= gap(points) + hidden + 1e-12
    if fine and n > 200:
        assert gap(points) == pytest.approx(gap(exact), abs=0.003)


def test_two_narrow_modes_hide_a_change_and_say_so(rng: np.random.Generator) -> None:
    reference, current = _modes(rng, 20_000, 0.0), _modes(rng, 20_000, 2e-3)
    points = aligned(reference, current)
    assert gap(points) < 0.02
    assert gap(counted(reference, current)) > 0.25
    assert coarseness(points) > 0.3


@pytest.mark.parametrize("n", [0, 1, 20_000])
def test_nothing_but_missing_values_is_counted_as_missing(n: int) -> None:
    values = np.full(n, np.nan)
    scale = fit_scale(values)
    sketch = sketch_numbers(values, scale)
    assert scale == Scale(0.0, 1.0)
    assert (sketch.n_present, sketch.n_missing, sketch.n_rows) == (0, n, n)
    points = align(sketch, sketch_numbers(np.array([1.0, 1.0, 2.0]), scale))
    assert points.reference.tolist() == [0, 0]
    assert points.current.tolist() == [2, 1]
    assert coarseness(points) == 0.0
    assert len(align(sketch, sketch).low) == 0


def test_a_cell_of_one_value_each_that_differ_becomes_two_points() -> None:
    scale = Scale(0.0, 1.0)
    points = align(sketch_numbers(np.array([1.0, 1.0]), scale), sketch_numbers(np.array([1.001] * 3), scale))
    assert points.low.tolist() == points.high.tolist() == [1.0, 1.001]
    assert points.reference.tolist() == [2, 0]
    assert points.current.tolist() == [0, 3]


def test_negative_zero_is_zero() -> None:
    points = aligned(np.array([0.0, -0.0]), np.array([-0.0]))
    assert points.low.tolist() == [0.0]
    assert points.reference.tolist() == [2]


def test_the_anchor_is_a_value_that_occurs_and_the_unit_a_power_of_two(rng: np.random.Generator) -> None:
    values = rng.normal(1e6, 3.0, 1_001)
    scale = fit_scale(values)
    assert scale.anchor == np.median(values)
    assert scale.unit in (1.0, 2.0)
    assert fit_scale(np.array([np.inf, np.nan])) == Scale(0.0, 1.0)
    assert fit_scale(np.array([5.0, 5.0, 5.0, 9.0])) == Scale(5.0, 4.0)


@pytest.mark.parametrize(("anchor", "unit"), [(np.inf, 1.0), (np.nan, 1.0), (0.0, 3.0), (0.0, 0.0), (0.0, -2.0)])
def test_a_scale_that_would_round_is_refused(anchor: float, unit: float) -> None:
    with pytest.raises(InvalidInput, match="scale"):
        Scale(anchor, unit)


def test_sketches_of_different_scales_are_not_put_together() -> None:
    first, second = (sketch_numbers(np.ones(3), Scale(anchor, 1.0)) for anchor in (0.0, 1.0))
    for together in (lambda: merge([first, second]), lambda: align(first, second)):
        with pytest.raises(InvalidInput, match="different scales"):
            together()
    with pytest.raises(InvalidInput, match="nothing to merge"):
        merge([])


def test_a_stored_sketch_is_small(rng: np.random.Generator) -> None:
    continuous, whole = rng.normal(size=100_000), rng.poisson(5, 100_000) * 1.0
    assert len(to_bytes(sketch_numbers(continuous, fit_scale(continuous)))) < 8_000
    assert len(to_bytes(sketch_numbers(whole, fit_scale(whole)))) < 300


def test_damaged_and_newer_bytes_are_refused() -> None:
    content = to_bytes(sketch_numbers(np.arange(9.0), Scale(0.0, 1.0)))
    newer = content[:6] + bytes([content[6] + 1]) + content[7:]
    with pytest.raises(ArtifactCorrupted, match="Update Gatehouse"):
        from_bytes(newer)
    for damaged in (b"", b"sketch", content[:-4], content[:20] + b"????" + content[24:], b"x" + content[1:]):
        with pytest.raises(ArtifactCorrupted, match="no sketch"):
            from_bytes(damaged)


# Names are few or many against the bounds, which the tests make small.
NAMES = st.lists(st.one_of(st.none(), st.sampled_from("abc"), st.integers(0, 40).map(str), st.text(max_size=3)))


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "MAX_FURTHER", 5)


def objects(values: Sequence[str | None]) -> NDArray[Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def assert_same_categories(first: CategorySketch, second: CategorySketch) -> None:
    assert (first.names, first.vocabulary) == (second.names, second.vocabulary)
    assert first.counts.tolist() == second.counts.tolist()
    assert (first.n_other, first.n_missing) == (second.n_other, second.n_missing)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=NAMES, data=st.data())
@pytest.mark.usefixtures("small_bounds")
def test_parts_of_categories_sum_to_the_whole_in_any_order(values: list[str | None], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=2)))
    vocabulary = frozenset("ab")
    parts = [sketch_categories(part, vocabulary) for part in np.split(objects(values), cuts)]
    whole = sketch_categories(objects(values), vocabulary)
    assert whole.n_rows == len(values)
    assert len(set(whole.names) - vocabulary) <= 5
    for name, count in zip(whole.names, whole.counts.tolist(), strict=True):
        assert count == values.count(name)
    for first, second, third in permutations(parts):
        assert_same_categories(merge([first, second, third]), whole)
        assert_same_categories(merge([merge([first, second]), third]), whole)
    loaded = from_bytes(to_bytes(whole))
    assert isinstance(loaded, CategorySketch)
    assert_same_categories(loaded, whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reference=NAMES, current=NAMES)
@pytest.mark.usefixtures("small_bounds")
def test_names_side_by_side_are_exact_and_the_rest_is_together(
    reference: list[str | None], current: list[str | None]
) -> None:
    vocabulary = frozenset("ab")
    found = align_categories(*(sketch_categories(objects(sample), vocabulary) for sample in (reference, current)))
    assert found.reference.sum() == len(reference) - reference.count(None)
    assert found.current.sum() == len(current) - current.count(None)
    for place, name in enumerate(found.names):
        if name != OTHER:
            assert found.reference[place] == reference.count(name)
            assert found.current[place] == current.count(name)
            assert found.known[place] == (name in reference)
    assert vocabulary & ({*reference} | {*current}) <= {*found.names}


def test_few_names_are_all_exact() -> None:
    reference, current = objects(["a"] * 3 + ["b", None]), objects(["b", "c", "c", None])
    for found in (
        counted_categories(reference, current),
        align_categories(*(sketch_categories(one, frozenset("ab")) for one in (reference, current))),
    ):
        assert found.names == ("a", "b", "c")
        assert found.reference.tolist() == [3, 1, 0]
        assert found.current.tolist() == [0, 1, 2]
        assert found.known.tolist() == [True, True, False]


def test_identifiers_stay_within_bounds_and_known_ones_are_told_from_new_ones() -> None:
    reference = objects([f"order-{number}" for number in range(20_000)])
    current = objects([f"order-{number}" for number in range(10_000, 30_000)])
    vocabulary = fit_vocabulary(Counter(reference.tolist()))
    assert len(vocabulary) == 1_000
    sketched = [sketch_categories(one, vocabulary) for one in (reference, current)]
    assert all(len(one.names) <= 2_000 for one in sketched)
    assert all(len(to_bytes(one)) < 40_000 for one in sketched)
    found = align_categories(*sketched)
    listed = np.array([name != OTHER and name not in vocabulary for name in found.names])
    # The names that are listed are a sample of all: two in three are known, and half of those occur again.
    assert found.known[listed].mean() == pytest.approx(2 / 3, abs=0.06)
    assert (found.current[listed] > 0).mean() == pytest.approx(2 / 3, abs=0.06)
    assert found.names[-1] == OTHER
    assert found.known[-1]


def test_other_names_are_new_where_the_reference_holds_no_others() -> None:
    reference, current = objects(["a", "b"]), objects([str(number) for number in range(3_000)])
    vocabulary = frozenset("ab")
    found = align_categories(sketch_categories(reference, vocabulary), sketch_categories(current, vocabulary))
    assert found.names[-1] == OTHER
    assert not found.known[-1]
    assert found.current[~found.known].sum() == 3_000


def test_a_vocabulary_holds_the_most_frequent_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "MAX_VOCABULARY", 2)
    assert fit_vocabulary({"a": 1, "c": 3, "b": 1}) == {"c", "a"}


def test_sketches_of_different_vocabularies_or_kinds_are_not_put_together() -> None:
    first, second = (sketch_categories(objects(["a"]), frozenset(names)) for names in ("a", "b"))
    with pytest.raises(InvalidInput, match="different vocabularies"):
        merge([first, second])
    with pytest.raises(InvalidInput, match="different vocabularies"):
        align_categories(first, second)
    with pytest.raises(InvalidInput, match="one kind"):
        merge([first, sketch_numbers(np.ones(2), Scale(0.0, 1.0))])  # type: ignore[list-item]


def test_text_is_as_long_as_its_characters() -> None:
    np.testing.assert_array_equal(text_lengths(objects(["", "Grün", None])), [0.0, 4.0, np.nan])


def test_a_scale_comes_from_some_of_many_values_or_from_all_where_few_are_there(rng: np.random.Generator) -> None:
    many = rng.normal(1e6, 3.0, 200_000)
    scale = fit_scale(many)
    assert scale == fit_scale(many)
    assert scale.anchor == pytest.approx(1e6, abs=0.2)
    assert scale.unit in (1.0, 2.0)
    rare = np.full(200_000, np.nan)
    rare[123] = 7.5
    assert fit_scale(rare) == Scale(7.5, 1.0)
