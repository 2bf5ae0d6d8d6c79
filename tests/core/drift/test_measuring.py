from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS
from core.drift.measuring import (
    FAMILIES,
    ColumnMeasure,
    family_of,
    measure,
    measure_deciding,
    streams_of,
    value_tests,
)
from core.errors import InvalidInput
from core.statistics.sketches import (
    MAX_COARSENESS,
    OTHER,
    fit_scale,
    fit_vocabulary,
    sketch_categories,
    sketch_numbers,
    text_lengths,
)


def objects(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def names_sketched(first: np.ndarray, second: np.ndarray, vocabulary: frozenset[str] | None = None) -> tuple[Any, Any]:
    counts = Counter(value for value in first.tolist() if value is not None)
    held = fit_vocabulary(counts) if vocabulary is None else vocabulary
    return sketch_categories(first, held), sketch_categories(second, held)


def numbers_sketched(first: np.ndarray, second: np.ndarray) -> tuple[Any, Any]:
    scale = fit_scale(first)
    return sketch_numbers(first, scale), sketch_numbers(second, scale)


def effects(found: ColumnMeasure) -> dict[str, float | None]:
    return {outcome.test: outcome.effect for outcome in found.outcomes}


@pytest.mark.parametrize(
    ("kind", "n", "chosen", "streams"),
    [
        ("number", 50_000, None, ("kolmogorov_smirnov", "missing_share", "range_violations")),
        ("integer", 999, None, ("kolmogorov_smirnov", "missing_share")),
        ("integer", 1_000, None, ("kolmogorov_smirnov", "missing_share", "range_violations")),
        ("timestamp", 50_000, None, ("missing_share",)),
        ("date", 50_000, None, ("missing_share",)),
        ("date", 50_000, "kolmogorov_smirnov", ("kolmogorov_smirnov", "missing_share")),
        ("boolean", 50_000, None, ("chi_square", "missing_share")),
        ("category", 50_000, None, ("chi_square", "missing_share", "new_category_share")),
        ("category", 80, None, ("chi_square", "missing_share")),
        ("text", 50_000, None, ("chi_square", "missing_share")),
        ("text", 50_000, "psi", ("psi", "missing_share")),
        ("text", 50_000, "wasserstein", ("wasserstein", "missing_share", "range_violations")),
        ("number", 50_000, "psi", ("psi", "missing_share", "range_violations")),
        ("category", 50_000, "total_variation", ("total_variation", "missing_share", "new_category_share")),
        ("number", 50_000, "kolmogorov_smirnov", ("kolmogorov_smirnov", "missing_share", "range_violations")),
    ],
)
def test_which_tests_decide(kind: str, n: int, chosen: str | None, streams: tuple[str, ...]) -> None:
    assert streams_of(kind, n, chosen) == streams


@pytest.mark.parametrize("kind", list(ColumnKind))
def test_every_kind_but_times_has_one_value_test_by_default_and_may_have_any_that_fits(kind: ColumnKind) -> None:
    for n in (0, 10**6):
        roles = [DRIFT_TESTS[key].role for key in streams_of(kind, n)]
        assert roles.count("values") == (0 if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP) else 1)
    for key in value_tests(kind):
        assert streams_of(kind, 10**6, key)[:2] == (key, "missing_share")
        assert family_of(kind, key) in DRIFT_TESTS[key].families


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [("number", "chi_square"), ("category", "wasserstein"), ("number", "missing_share"), ("text", "anderson")],
)
def test_a_test_that_cannot_decide_is_refused_with_those_that_can(kind: str, chosen: str) -> None:
    with pytest.raises(InvalidInput, match=r"choose one of: .*jensen_shannon"):
        streams_of(kind, 100, chosen)
    with pytest.raises(InvalidInput, match=chosen):
        measure(np.ones(3), np.ones(3), kind, chosen)


@pytest.mark.parametrize(
    ("before", "now", "test", "effect"),
    [
        ([np.nan] * 500, [1.0] * 500, "missing_share", 1.0),
        ([1.0] * 500, [np.nan] * 500, "missing_share", 1.0),
        ([1.0] * 500, [2.0] * 500, "kolmogorov_smirnov", 1.0),
        ([1.0] * 500, [1.0] * 250 + [np.nan] * 250, "missing_share", 0.5),
        ([0.0, 1.0] * 250, [0.0] * 50 + [1.0] * 200 + [np.nan] * 20, "kolmogorov_smirnov", 0.3),
        ([np.inf] * 300, [np.inf] * 300, "kolmogorov_smirnov", 0.0),
        ([0.0, 1.0] * 600, [0.0, 1.0] * 95 + [0.0] * 5 + [7.0] * 5, "range_violations", 0.025),
    ],
    ids=["never there before", "gone", "another constant", "half gone", "values more than missing", "infinite", "far"],
)
@pytest.mark.parametrize("sketched", [False, True])
def test_values_missing_ones_and_those_out_of_range_are_taken_together(
    before: list[float], now: list[float], test: str, effect: float, sketched: bool
) -> None:
    samples = np.array(before), np.array(now)
    found = measure(*(numbers_sketched(*samples) if sketched else samples), ColumnKind.NUMBER)
    assert (found.test, found.n_reference, found.n_current) == (test, len(before), len(now))
    assert found.effect == pytest.approx(effect)
    assert found.pvalue is not None
    assert (found.pvalue < 1e-3) == (effect > 0)
    assert found.coarseness == 0


@pytest.mark.parametrize("kind", list(ColumnKind))
@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 5), (5, 0), (1, 1)])
@pytest.mark.parametrize("missing", [False, True])
def test_too_few_rows_have_outcomes_without_an_effect_and_no_error(
    kind: ColumnKind, n: int, m: int, missing: bool, rng: np.random.Generator
) -> None:
    if FAMILIES[kind] in ("numeric", "time"):
        samples = [np.full(size, np.nan if missing else 2.0) for size in (n, m)]
    else:
        samples = [np.full(size, None if missing else "a", dtype=object) for size in (n, m)]
    for given in (samples, numbers_sketched(*samples) if samples[0].dtype != object else names_sketched(*samples)):
        found = measure(given[0], given[1], kind, rng=rng, draw_all=True)
        json.dumps(found.bins, allow_nan=False)
        assert (found.n_reference, found.n_current) == (n, m)
        for outcome in found.outcomes:
            looked_at_none = not (n and m) or (missing and outcome.test != "missing_share")
            assert (outcome.effect is None) == (outcome.pvalue is None) == looked_at_none
        assert (found.pvalue is None) == (not (n and m))


def test_nothing_but_missing_values_on_both_sides_is_no_drift() -> None:
    found = measure(np.full(200, np.nan), np.full(200, np.nan), ColumnKind.NUMBER)
    assert (found.test, found.effect, found.pvalue) == ("missing_share", 0.0, 1.0)


def test_the_p_value_pays_for_each_test_that_decides(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=2_000), rng.normal(0.2, 1, size=300)
    found = measure(first, second, ColumnKind.NUMBER)
    assert found.test == "kolmogorov_smirnov"
    assert found.leading.pvalue is not None
    assert found.pvalue == pytest.approx(2 * found.leading.pvalue)  # nothing is missing, so that has nothing to say
    second[0] = np.nan
    found = measure(first, second, ColumnKind.NUMBER)
    assert found.leading.pvalue is not None
    assert found.pvalue == pytest.approx(3 * found.leading.pvalue)
    assert [outcome.test for outcome in found.deciding] == list(found.streams)


def test_every_test_that_fits_is_told_and_those_that_do_not_decide_are_measures(rng: np.random.Generator) -> None:
    samples = rng.normal(size=2_000), rng.normal(0.2, 1, size=300)
    found = measure(*samples, ColumnKind.NUMBER, "psi", rng=rng, draw_all=True)
    assert set(effects(found)) == {test.key for test in DRIFT_TESTS.values() if "numeric" in test.families}
    assert all(outcome.pvalue is not None for outcome in found.outcomes)
    assert found.streams == ("psi", "missing_share", "range_violations")
    assert set(found.bins["measures"]) == {"kolmogorov_smirnov", "wasserstein", "jensen_shannon", "hellinger"}
    assert found.bins["measures"]["wasserstein"] == pytest.approx(0.2, abs=0.1)


def test_what_takes_drawing_is_drawn_where_something_hangs_on_it(rng: np.random.Generator) -> None:
    first, second = objects(*"abc" * 500), objects(*"abcd" * 50)
    new = "new_category_share"
    for given in (None, rng):
        found = measure(first, second, ColumnKind.CATEGORY, rng=given)
        drawn = {outcome.test: outcome.pvalue for outcome in found.outcomes if outcome.method == "permutation"}
        assert {key for key, pvalue in drawn.items() if pvalue is not None} == ({new} if given else set())
        assert set(drawn) > {new, "total_variation"}
        assert found.test == "chi_square"


def test_a_sketch_says_what_the_samples_say(rng: np.random.Generator) -> None:
    first, second = rng.lognormal(size=20_000), rng.lognormal(0.1, 1, size=3_000)
    first[:500] = np.nan
    exact = measure(first, second, ColumnKind.NUMBER)
    found = measure(*numbers_sketched(first, second), ColumnKind.NUMBER)
    assert exact.coarseness == 0 < found.coarseness <= MAX_COARSENESS
    assert not found.too_coarse
    for key, effect in effects(exact).items():
        assert effects(found)[key] == pytest.approx(effect, rel=0.02, abs=0.003)
    assert found.bins["reference"] == pytest.approx(exact.bins["reference"], abs=0.01)
    assert found.bins["reference_missing"] == exact.bins["reference_missing"] == 0.025


def test_a_narrow_mode_far_from_the_rest_is_too_coarse(rng: np.random.Generator) -> None:
    far = np.append(rng.normal(size=3_000), 1e6 + rng.normal(0, 1e-4, size=900))
    found = measure(*numbers_sketched(far, far[::2]), ColumnKind.NUMBER)
    assert found.too_coarse
    assert not measure(far, far[::2], ColumnKind.NUMBER).too_coarse


def test_names_beyond_the_vocabulary_count_as_one_and_that_is_said(rng: np.random.Generator) -> None:
    draws = [rng.zipf(1.3, size=size) for size in (20_000, 4_000)]
    first, second = (np.array([f"city {one}" for one in sample], dtype=object) for sample in draws)
    found = measure(*names_sketched(first, second), ColumnKind.TEXT)
    exact = measure(first, second, ColumnKind.TEXT)
    assert OTHER in names_in(found)
    assert found.coarseness > 0
    assert not found.too_coarse
    assert effects(found)["chi_square"] == pytest.approx(effects(exact)["chi_square"], abs=found.coarseness)
    assert effects(found)["total_variation"] <= effects(exact)["total_variation"] + 1e-12


def names_in(found: ColumnMeasure) -> list[str]:
    return list(found.bins["values"])


def test_booleans_are_told_by_their_share(rng: np.random.Generator) -> None:
    first, second = (
        np.where(rng.random(n) < share, "true", "false").astype(object) for n, share in ((900, 0.3), (400, 0.6))
    )
    exact, found = measure(first, second, "boolean"), measure(*names_sketched(first, second), "boolean")
    shares = [float((sample == "true").mean()) for sample in (first, second)]
    for one in (exact, found):
        assert one.test == "chi_square"
        assert one.effect == pytest.approx(shares[1] - shares[0])
        assert effects(one)["total_variation"] == pytest.approx(shares[1] - shares[0])
        assert one.pvalue is not None
        assert one.pvalue < 1e-10
    assert found.coarseness == 0


def test_a_boolean_that_has_only_ever_been_true_is_told_when_it_is_not() -> None:
    found = measure(objects(*["true"] * 2_000), objects(*["true"] * 90, *["false"] * 10), "boolean")
    assert found.effect == pytest.approx(0.1)
    assert found.pvalue is not None
    assert found.pvalue < 1e-6


@pytest.mark.parametrize("sketched", [False, True])
def test_times_go_on_without_drifting_unless_somebody_asks(sketched: bool, rng: np.random.Generator) -> None:
    day = 86_400e6
    first, second = (1.7e15 + start * day + rng.random(n) * 30 * day for start, n in ((0, 5_000), (15, 1_000)))
    given = numbers_sketched(first, second) if sketched else (first, second)
    of_itself = measure(*given, ColumnKind.TIMESTAMP)
    assert of_itself.streams == ("missing_share",)
    assert of_itself.effect == 0.0
    found = measure(*given, ColumnKind.TIMESTAMP, "kolmogorov_smirnov")
    assert found.test == "kolmogorov_smirnov"
    assert found.effect == pytest.approx(0.5, abs=0.05)
    assert found.streams == ("kolmogorov_smirnov", "missing_share")
    assert found.bins["measures"]["range_violations"] == pytest.approx(0.5, abs=0.05)


def test_text_is_measured_by_its_names_or_by_its_length(rng: np.random.Generator) -> None:
    first, second = (
        np.array(["x" * length for length in rng.poisson(mean, size=size)], dtype=object)
        for mean, size in ((20, 3_000), (30, 500))
    )
    by_name = measure(*names_sketched(first, second), ColumnKind.TEXT)
    assert by_name.test == "chi_square"
    assert "values" in by_name.bins
    lengths = text_lengths(first), text_lengths(second)
    for given in (lengths, numbers_sketched(*lengths)):
        by_length = measure(given[0], given[1], ColumnKind.TEXT, "kolmogorov_smirnov")
        assert by_length.test == "kolmogorov_smirnov"
        assert by_length.effect is not None
        assert by_length.effect > 0.5
        assert by_length.streams == ("kolmogorov_smirnov", "missing_share", "range_violations")
        assert by_length.bins["edges"][0] < 20 < by_length.bins["edges"][-1]


def test_bins_are_shared_finite_and_hold_many_categories_shortly(rng: np.random.Generator) -> None:
    numbers = measure(
        np.append(rng.normal(size=300), [np.inf, -np.inf, np.nan]), rng.normal(size=300) * 1e30, ColumnKind.NUMBER
    )
    json.dumps(numbers.bins, allow_nan=False)
    names = np.array([f"city {position}" for position in range(500)], dtype=object)
    words = measure(names, names[:100], ColumnKind.CATEGORY)
    json.dumps(words.bins, allow_nan=False)
    assert words.bins["values"][-1] == "480 others"
    assert len(words.bins["values"]) == len(words.bins["reference"]) == len(words.bins["current"]) == 21


def test_samples_of_another_kind_are_refused() -> None:
    with pytest.raises(InvalidInput, match="category column is measured on names"):
        measure(np.ones(3), np.ones(3), ColumnKind.CATEGORY)
    with pytest.raises(InvalidInput, match="number column is measured on numbers"):
        measure(objects("a"), objects("b"), ColumnKind.NUMBER)
    with pytest.raises(InvalidInput, match="text column is measured on lengths"):
        measure(objects("a"), objects("b"), ColumnKind.TEXT, "wasserstein")
    with pytest.raises(InvalidInput, match="not NumericSketch and samples of float64"):
        measure(numbers_sketched(np.ones(3), np.ones(3))[0], np.ones(3), ColumnKind.NUMBER)


@pytest.mark.parametrize(
    ("kind", "chosen", "also"),
    [
        ("number", None, "wasserstein"),
        ("integer", "psi", "kolmogorov_smirnov"),
        ("timestamp", None, None),
        ("category", None, "psi"),
        ("category", "total_variation", "new_category_share"),
        ("boolean", None, None),
        ("text", None, "psi"),
    ],
)
@pytest.mark.parametrize("sketched", [False, True])
@pytest.mark.parametrize("case", ["alike", "moved", "ties", "constant", "missing", "infinite", "few", "empty"])
def test_the_deciding_tests_alone_say_of_themselves_what_the_whole_catalogue_does(
    kind: str, chosen: str | None, also: str | None, sketched: bool, case: str, rng: np.random.Generator
) -> None:
    n, m = (40, 9) if case == "few" else (1_500, 0 if case == "empty" else 400)
    first, second = rng.normal(size=n), rng.normal(0.5 if case == "moved" else 0.0, 1, size=m)
    match case:
        case "ties":
            first, second = first.round(), second.round()
        case "constant":
            first, second = np.ones(n), np.ones(m)
        case "missing":
            first[::3], second[:] = np.nan, np.nan
        case "infinite":
            first[:5], second[:9] = np.inf, -np.inf
    if FAMILIES[ColumnKind(kind)] not in ("numeric", "time"):
        first, second = (
            np.array([None if np.isnan(one) else f"{one:.0f}" for one in part], dtype=object)
            for part in (first, second)
        )
    samples = first, second
    if sketched:
        samples = names_sketched(*samples) if first.dtype == object else numbers_sketched(*samples)
    whole, alone = measure(*samples, kind, chosen), measure_deciding(*samples, kind, chosen, also=also)
    assert alone.bins == {}
    assert alone.outcomes == tuple(one for one in whole.outcomes if one.test in (*whole.streams, also))
    for said in ("streams", "n_reference", "n_current", "coarseness", "too_coarse", "test", "effect", "pvalue"):
        assert getattr(alone, said) == getattr(whole, said), said
