"""Statistics under many weightings at once equal scikit-learn's and numpy's, one weighting at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from core.statistics import reweighting


@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("share", [0.2, 0.8])
@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (reweighting.auc_of, roc_auc_score),
        (reweighting.average_precision_of, average_precision_score),
    ],
)
def test_areas_equal_scikit_learns_with_weights_and_ties(
    rng: np.random.Generator,
    fast: Callable[..., Callable[..., NDArray[np.float64]]],
    slow: Callable[..., float],
    share: float,
    digits: int,
) -> None:
    positive = rng.random(120) < share
    score = (rng.normal(size=120) + positive).round(digits)
    weights = rng.poisson(1.0, size=(5, 120)) * rng.choice([1.0, 0.5], size=(5, 120))

    found = fast(positive, score)(weights)

    assert found == pytest.approx([slow(positive, score, sample_weight=one) for one in weights], abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 300])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_average_precision_of_any_number_of_rows_equals_scikit_learns(
    rng: np.random.Generator, n: int, share: float
) -> None:
    positive = rng.random(n) < share
    positive[0] = True
    score, weights = rng.normal(size=n).round(1), rng.poisson(1.0, size=(4, n)) + (np.arange(n) == 0)

    found = reweighting.average_precision_of(positive, score)(weights.astype(float))

    assert found == pytest.approx([average_precision_score(positive, score, sample_weight=one) for one in weights])


def test_a_weighting_without_one_class_has_no_area() -> None:
    positive = np.array([True, False, False])
    weights = np.array([[0.0, 1, 1], [1, 1, 0]])

    for fast in (reweighting.auc_of, reweighting.average_precision_of):
        found = fast(positive, np.array([0.3, 0.2, 0.1]))(weights)
        assert np.isnan(found[0])
        assert found[1] == 1


def test_medians_of_counts_are_those_of_repeated_values(rng: np.random.Generator) -> None:
    values = rng.normal(size=40).round(1)
    counts = rng.poisson(1.0, size=(6, 40)).astype(float)

    found = reweighting.median_of(values)(counts)

    assert found == pytest.approx([np.median(np.repeat(values, one.astype(int))) for one in counts])


def test_means_and_cells_are_summed_by_weight(rng: np.random.Generator) -> None:
    codes, weights = rng.integers(0, 4, size=60), rng.random((3, 60))
    columns = rng.normal(size=(60, 2))

    means = reweighting.mean_of(columns, lambda mean: mean[:, 0] - mean[:, 1])(weights)
    cells = reweighting.cells_of(codes, 5, lambda cell: cell[:, 3] + 10 * cell[:, 4])(weights)

    expected = [np.average(columns[:, 0] - columns[:, 1], weights=one) for one in weights]
    assert means == pytest.approx(expected)
    assert cells == pytest.approx([one[codes == 3].sum() for one in weights])
