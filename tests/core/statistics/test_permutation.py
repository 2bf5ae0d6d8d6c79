"""Permutation tests against scipy's and against going through every swap by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from core.evaluation.confusion_metrics import FROM_CONFUSION
from core.statistics import permutation, reweighting
from core.statistics.paired import mcnemar_pvalue


def test_few_differences_are_gone_through_as_scipy_does(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=10), rng.normal(size=10) + 0.5

    found = permutation.sign_flip(second - first, rng=rng)

    expected = stats.permutation_test(
        (second, first), lambda a, b, axis=-1: (a - b).mean(axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert found.exact
    assert found.n_arrangements == 1_024
    assert found.pvalue == pytest.approx(expected.pvalue)


def test_many_differences_are_drawn_and_agree_with_scipy(rng: np.random.Generator) -> None:
    difference = rng.normal(size=60) + 0.25

    found = permutation.sign_flip(difference, n_permutations=20_000, rng=rng)

    expected = stats.permutation_test(
        (difference, np.zeros(60)),
        lambda a, b, axis=-1: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=rng,
    )
    assert not found.exact
    assert found.pvalue == pytest.approx(expected.pvalue, abs=0.02)


def test_a_pvalue_is_never_0_and_1_without_differences(rng: np.random.Generator) -> None:
    assert permutation.sign_flip(np.ones(500), n_permutations=99, rng=rng).pvalue == 0.01
    assert permutation.sign_flip(np.zeros(5), rng=rng).pvalue == 1
    assert permutation.sign_flip(np.empty(0), rng=rng).pvalue == 1


@pytest.mark.parametrize(("gained", "lost"), [(6, 0), (9, 3), (4, 4), (30, 12)])
def test_swapping_right_and_wrong_is_mcnemars_test(gained: int, lost: int, rng: np.random.Generator) -> None:
    counts = np.zeros((2, 2, 2), dtype=np.int64)
    counts[1, 0, 1], counts[1, 1, 0], counts[1, 1, 1] = gained, lost, 50

    found = permutation.swap_cells(
        counts, lambda m: (m[:, 0, 0] + m[:, 1, 1]) / m.sum(axis=(1, 2)), (gained - lost) / counts.sum(), rng=rng
    )

    assert found.exact
    assert found.pvalue == pytest.approx(mcnemar_pvalue(gained, lost))


def test_swaps_of_a_confusion_matrix_equal_every_swap_by_hand(rng: np.random.Generator) -> None:
    truth, first, second = rng.integers(0, 2, size=(3, 9))
    effect = f1_score(truth, second) - f1_score(truth, first)
    counts = np.zeros((2, 2, 2), dtype=np.int64)
    np.add.at(counts, (truth, first, second), 1)

    found = permutation.swap_cells(counts, FROM_CONFUSION["f1"], effect, rng=rng)

    moving = np.flatnonzero(first != second)
    changes = []
    for swaps in itertools.product([False, True], repeat=len(moving)):
        swapped = np.zeros(9, dtype=bool)
        swapped[moving] = swaps
        a, b = np.where(swapped, second, first), np.where(swapped, first, second)
        changes.append(f1_score(truth, b) - f1_score(truth, a))
    assert found.exact
    assert found.pvalue == pytest.approx(np.mean(np.abs(changes) >= abs(effect) - 1e-12))


def test_swapping_rows_agrees_with_scipys_for_any_statistic(rng: np.random.Generator) -> None:
    first, second = np.abs(rng.normal(size=(2, 40)))
    second = second * 1.5
    effect = float(np.median(second) - np.median(first))

    found = permutation.swap_rows(
        reweighting.median_of(np.r_[first, second]), 40, effect, n_permutations=3_000, rng=rng
    )

    expected = stats.permutation_test(
        (first, second),
        lambda a, b, axis=-1: np.median(b, axis=axis) - np.median(a, axis=axis),
        permutation_type="samples",
        n_resamples=3_000,
        vectorized=True,
        rng=rng,
    )
    assert found.pvalue == pytest.approx(expected.pvalue, abs=0.03)


def test_under_the_null_it_rejects_five_times_in_a_hundred(rng: np.random.Generator) -> None:
    repetitions = 400
    wrong = sum(
        permutation.sign_flip(rng.standard_t(3, size=30), n_permutations=199, rng=rng).pvalue <= 0.05
        for _ in range(repetitions)
    )
    assert wrong <= stats.binom.ppf(0.9999, repetitions, 0.05)
