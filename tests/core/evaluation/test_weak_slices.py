"""The search for weak slices: what is planted is found and confirmed, noise is not, and each half has its part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact, ttest_ind

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.slices import Grouped
from core.evaluation.tables import Task
from core.evaluation.weak_slices import _pvalue, find_weak_slices, row_loss


def columns(rng: np.random.Generator, n: int, n_columns: int = 6, n_groups: int = 5) -> list[Grouped]:
    names = tuple("abcdefghijkl"[:n_groups])
    return [Grouped(f"c{place}", names, rng.integers(0, n_groups, size=n)) for place in range(n_columns)]


def mistakes(rng: np.random.Generator, weak: np.ndarray, *, high: float = 0.35, low: float = 0.12) -> np.ndarray:
    return (rng.random(len(weak)) < np.where(weak, high, low)).astype(float)


def words(found) -> list[str]:
    return [one.words for one in found.slices if one.confirmed]


def test_a_planted_slice_of_one_column_is_found_and_confirmed_alone(rng: np.random.Generator) -> None:
    given = columns(rng, 4000)
    found = find_weak_slices(mistakes(rng, given[2].codes == 1), given, loss="error", rng=rng)
    assert words(found) == ["c2 = b"]
    one = found.slices[0]
    assert one.loss_in_low < 0.35 < one.loss_in_high
    assert one.loss_out_low < 0.12 < one.loss_out_high
    assert one.difference_low > 0
    assert found.n_searched == 6 * 5 + 15 * 25


def test_a_planted_slice_of_two_columns_is_found_and_confirmed(rng: np.random.Generator) -> None:
    given = columns(rng, 6000, n_groups=4)
    weak = (given[1].codes == 0) & (given[4].codes == 3)
    found = find_weak_slices(mistakes(rng, weak, high=0.45), given, loss="error", rng=rng)
    assert words(found) == ["c1 = a and c4 = d"]


def test_two_planted_slices_are_both_found(rng: np.random.Generator) -> None:
    given = columns(rng, 8000, n_groups=4)
    weak = (given[0].codes == 2) | ((given[1].codes == 0) & (given[4].codes == 3))
    found = find_weak_slices(mistakes(rng, weak, high=0.45), given, loss="error", rng=rng)
    assert {"c0 = c", "c1 = a and c4 = d"} <= set(words(found))


def test_the_clean_twin_of_a_planted_slice_gives_nothing(rng: np.random.Generator) -> None:
    given = columns(rng, 4000)
    found = find_weak_slices(mistakes(rng, np.zeros(4000, dtype=bool)), given, loss="error", rng=rng)
    assert found.n_confirmed == 0
    assert found.slices, "noise always has something that looks weak where it is searched"


def test_a_large_error_of_a_regression_is_found(rng: np.random.Generator) -> None:
    given = columns(rng, 4000)
    off = np.abs(rng.standard_t(4, size=4000)) * np.where(given[3].codes == 4, 2.0, 1.0)
    assert words(find_weak_slices(off, given, loss="absolute_error", rng=rng)) == ["c3 = e"]


@pytest.mark.parametrize("loss", ["error", "absolute_error"])
def test_noise_is_confirmed_no_more_often_than_said(loss: str) -> None:
    rng, n_confirming = np.random.default_rng(11), 0
    for _ in range(120):
        given = columns(rng, 500, n_columns=5, n_groups=3)
        noise = mistakes(rng, np.zeros(500, dtype=bool), low=0.2) if loss == "error" else rng.exponential(size=500)
        n_confirming += find_weak_slices(noise, given, loss=loss, rng=rng).n_confirmed > 0
    # 5 % of 120 is 6; 12 or more happen once in fifty at exactly that rate.
    assert n_confirming < 12


def test_the_same_state_of_the_generator_gives_the_same_answer() -> None:
    given = columns(np.random.default_rng(0), 1000)
    losses = mistakes(np.random.default_rng(1), given[0].codes == 0)
    first, second = (find_weak_slices(losses, given, loss="error", rng=np.random.default_rng(2)) for _ in range(2))
    assert first == second


def test_what_counts_the_search_has_no_part_in_the_confirmation(rng: np.random.Generator) -> None:
    given = columns(rng, 2000)
    found = find_weak_slices(mistakes(rng, given[2].codes == 1), given, loss="error", rng=rng)
    assert found.n_search + found.n_confirm == 2000
    for one in found.slices:
        assert one.n_search >= found.min_rows
        assert one.search_in > one.search_out


def test_the_rarer_values_are_no_condition(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 3, size=2000)
    given = [Grouped("c", ("a", "b", "other values"), codes, other=2)]
    found = find_weak_slices(mistakes(rng, codes == 2, high=0.6), given, loss="error", rng=rng)
    assert not [one for one in found.slices if "other" in one.words]
    assert found.n_searched == 2


@pytest.mark.parametrize("losses", [np.zeros(400), np.ones(400)], ids=["nothing wrong", "everything wrong"])
def test_losses_that_are_all_alike_have_no_weak_slice(losses: np.ndarray, rng: np.random.Generator) -> None:
    assert find_weak_slices(losses, columns(rng, 400), loss="error", rng=rng).slices == ()


def test_no_columns_and_constant_columns_give_nothing(rng: np.random.Generator) -> None:
    losses = mistakes(rng, np.zeros(400, dtype=bool))
    assert find_weak_slices(losses, [], loss="error", rng=rng).n_searched == 0
    constant = Grouped("c", ("a",), np.zeros(400, dtype=np.int64))
    assert find_weak_slices(losses, [constant], loss="error", rng=rng).n_searched == 0


def test_too_few_rows_to_halve_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InsufficientData, match="at least 120"):
        find_weak_slices(np.ones(100), columns(rng, 100), loss="error", rng=rng)
    with pytest.raises(InvalidInput, match="400 rows"):
        find_weak_slices(np.ones(400), columns(rng, 399), loss="error", rng=rng)


def test_the_tests_of_the_other_half_are_fishers_and_welchs(rng: np.random.Generator) -> None:
    inside, outside = mistakes(rng, np.ones(80, dtype=bool)), mistakes(rng, np.zeros(300, dtype=bool))
    table = [[inside.sum(), 80 - inside.sum()], [outside.sum(), 300 - outside.sum()]]
    assert _pvalue(inside, outside, "error") == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    first, second = rng.exponential(2, size=60), rng.exponential(size=500)
    welch = ttest_ind(first, second, equal_var=False, alternative="greater").pvalue
    assert _pvalue(first, second, "absolute_error") == pytest.approx(welch)


def test_a_loss_is_for_its_task() -> None:
    numbers = Predictions(Task.REGRESSION, np.arange(3), np.array([1.0, 2, 3]), np.array([1.5, 2, 5]), None, ())
    assert row_loss(numbers, "absolute_error").tolist() == [0.5, 0, 2]
    with pytest.raises(NotApplicable, match="absolute_error"):
        row_loss(numbers, "log_loss")
    with pytest.raises(InvalidInput, match="Choose one of"):
        row_loss(numbers, "surprise")  # type: ignore[arg-type]
