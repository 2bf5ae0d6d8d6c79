"""How rows hang together, told from blocks of the reference."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.drift.calibrated import stored_dependence
from core.drift.calibrating import Column, Thresholds, WindowThresholds, calibrate
from core.drift.dependence import LEAST_BLOCKS, Blocks, Dependence
from core.drift.measuring import streams_of
from core.statistics.sketches import fit_scale, fit_vocabulary, sketch_categories, sketch_numbers
from tests.benchmarks.dependent_rows import Case, clusters, following, run

Floats = NDArray[np.float64]


def column(values: NDArray[np.generic], n_blocks: int, season: NDArray[np.intp] | None = None) -> Column:
    """A column whose rows lie in blocks of as many each, one after the other."""
    block = np.arange(len(values)) * n_blocks // max(1, len(values))
    season = np.zeros(len(values), dtype=np.intp) if season is None else season
    season_of = np.array([season[block == one][0] if (block == one).any() else 0 for one in range(n_blocks)])
    blocks = Blocks(values, block, season, season_of.astype(np.intp))
    if values.dtype == object:
        names = [one for one in values.tolist() if one is not None]
        sketch = sketch_categories(values, fit_vocabulary({name: names.count(name) for name in set(names)}))
        return Column(sketch, "category", streams_of("category", sketch.n_present), blocks)
    numbers = sketch_numbers(values, fit_scale(values))  # type: ignore[arg-type]
    return Column(numbers, "number", streams_of("number", numbers.n_present), blocks)


def calibrated(one: Column, *, size: int = 100, level: float = 0.01) -> WindowThresholds:
    return calibrate({(False, "x"): one}, sizes=[size], level=level, rng=np.random.default_rng(1)).at(size)


def dependence_of(one: Column, *, size: int = 100) -> Mapping[str, Dependence]:
    return calibrated(one, size=size).calibrated.dependence[False, "x"]


def draw(kind: str, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return {"normal": rng.normal(size=4_000), "zeros": rng.poisson(0.5, 4_000).astype(float)}[kind]


@pytest.mark.parametrize("kind", ["normal", "zeros"])
def test_independent_rows_keep_their_thresholds(kind: str) -> None:
    looked_at = column(draw(kind, 0), 40)
    plain = Column(looked_at.sketch, looked_at.kind, looked_at.streams)
    found, without = calibrated(looked_at), calibrated(plain)
    seen = found.calibrated.dependence[False, "x"]["kolmogorov_smirnov"]
    assert (seen.n_blocks, seen.freedom, seen.n_rows, seen.seen) == (40, 39, 100.0, False)
    assert seen.low < 1 < seen.high
    assert seen.independent_rows(100) == 100
    threshold = found.of((False, "x"), "kolmogorov_smirnov", 100)
    assert threshold == pytest.approx(without.of((False, "x"), "kolmogorov_smirnov", 100), rel=0.06)


def test_of_twenty_independent_columns_hardly_any_is_taken_for_dependent() -> None:
    seen = [dependence_of(column(draw("normal", seed), 40))["kolmogorov_smirnov"].seen for seed in range(20)]
    assert sum(seen) <= 4


def test_rows_that_come_ten_at_a_time_count_as_one() -> None:
    rng = np.random.default_rng(2)
    found = dependence_of(column(np.repeat(rng.normal(size=500), 10), 50))["kolmogorov_smirnov"]
    assert found.seen
    # Kish: 1 + (size - 1) * correlation within.
    assert found.low < 10 < found.high
    assert found.design_effect == pytest.approx(10, rel=0.35)
    assert found.independent_rows(100) == pytest.approx(10, rel=0.4)
    names = np.repeat(np.array(list("abcd"), dtype=object)[rng.integers(0, 4, 500)], 10)
    assert dependence_of(column(names, 50))["chi_square"].design_effect == pytest.approx(10, rel=0.35)


def test_the_missing_share_is_looked_at_as_pearsons_dispersion_does() -> None:
    rng = np.random.default_rng(3)
    gone = rng.random((30, 200)) < rng.beta(2, 38, size=(30, 1))
    values = np.where(gone, np.nan, rng.normal(size=gone.shape)).ravel()
    found = dependence_of(column(values, 30))
    table = np.column_stack([gone.sum(axis=1), (~gone).sum(axis=1)])
    dispersion = stats.chi2_contingency(table, correction=False).statistic / 29
    assert found["missing_share"].design_effect == pytest.approx(dispersion, rel=0.15)
    assert found["missing_share"].seen
    assert not found["kolmogorov_smirnov"].seen


def test_a_missing_share_that_varies_by_block_has_a_wider_threshold() -> None:
    rng = np.random.default_rng(4)
    gone = rng.random((30, 200)) < rng.beta(2, 38, size=(30, 1))
    one = column(np.where(gone, np.nan, rng.normal(size=gone.shape)).ravel(), 30)
    plain = calibrated(Column(one.sketch, one.kind, one.streams), size=200)
    assert plain.of((False, "x"), "missing_share", 200) < 0.08
    assert calibrated(one, size=200).of((False, "x"), "missing_share", 200) > 0.1


def test_too_few_blocks_claim_nothing() -> None:
    rng = np.random.default_rng(5)
    values = np.repeat(rng.normal(size=LEAST_BLOCKS), 100) + rng.normal(size=100 * LEAST_BLOCKS)
    few = dependence_of(column(values, LEAST_BLOCKS))["kolmogorov_smirnov"]
    assert (few.enough, few.seen, few.common) == (False, False, 0.0)
    one_more = np.append(values, rng.normal(size=100))
    assert dependence_of(column(one_more, LEAST_BLOCKS + 1))["kolmogorov_smirnov"].enough


def test_blocks_are_held_against_their_own_season() -> None:
    rng = np.random.default_rng(6)
    season = np.repeat(np.arange(40) // 10, 100)
    values = rng.normal(size=4_000) + season
    assert dependence_of(column(values, 40))["kolmogorov_smirnov"].design_effect > 10
    within = dependence_of(column(values, 40, season.astype(np.intp)))["kolmogorov_smirnov"]
    assert (within.freedom, within.seen) == (36, False)


def test_larger_windows_are_never_taken_to_vary_less_than_may_be() -> None:
    found = Dependence(40, 39, 100.0, 3.0, 2.0, 5.0, True)
    assert found.wider(100) == 1.0
    assert found.wider(50) == pytest.approx((0.02 + 0.02) / (0.01 + 0.02))
    assert found.wider(400) == pytest.approx((0.0025 + 0.04) / (0.01 + 0.04))


@pytest.mark.parametrize(
    "values",
    [
        np.full(2_000, 7.0),
        np.full(2_000, np.nan),
        np.empty(0),
        np.where(np.arange(2_000) % 50 == 0, np.inf, np.arange(2_000) % 9.0),
        np.repeat([0.0, 1.0], 1_000),
        np.full(2_000, "a", dtype=object),
        np.full(2_000, None, dtype=object),
    ],
    ids=["constant", "NaN only", "empty", "infinities", "two halves", "one name", "no name"],
)
def test_awkward_columns_have_an_answer(values: NDArray[np.generic]) -> None:
    found = calibrated(column(values, 20))
    for test, one in found.calibrated.dependence.get((False, "x"), {}).items():
        assert np.isfinite([one.design_effect, one.n_rows, one.common, one.low, one.high]).all()
        assert np.isfinite(found.of((False, "x"), test, 100))


@pytest.mark.parametrize("case", [Case("", following(0.9), 50, 30), Case("", clusters(5, 1.0), 50, 30)])
def test_rows_that_hang_together_alert_as_promised(case: Case) -> None:
    plain, mended, design_effect = run(case, 3, np.random.default_rng(8))
    assert plain.alerts > 10
    assert mended.alerts < 3
    assert design_effect > 3


def test_what_was_found_is_kept_and_documents_from_before_can_be_asked_for_it() -> None:
    found = calibrated(column(np.repeat(np.random.default_rng(9).normal(size=500), 10), 50)).calibrated
    document = found.to_json()
    again = Thresholds.from_json(document)
    assert again.dependence == found.dependence == stored_dependence(document)
    for test in ("kolmogorov_smirnov", "range_violations"):
        assert again.at(90).of((False, "x"), test, 90) == found.at(90).of((False, "x"), test, 90)
    for one in document["columns"]:
        del one["shared"], one["missing"]
    assert stored_dependence(document) == found.dependence
    for one in document["columns"]:
        del one["dependence"]
    assert stored_dependence(document) == {}
