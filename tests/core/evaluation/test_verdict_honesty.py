"""A small seeded part of the simulation of verdicts: what is said wrongly stays as rare as promised."""

import pytest
from scipy import stats

from tests.benchmarks.verdict_honesty import CASES, Case, simulate


@pytest.mark.parametrize(
    ("case", "metrics"),
    [(CASES[0], ("roc_auc", "accuracy", "log_loss")), (CASES[1], ("roc_auc", "log_loss")), (CASES[3], ("rmse",))],
    ids=lambda one: one.name if isinstance(one, Case) else "",
)
def test_verdicts_and_tests_are_wrong_no_more_often_than_promised(case: Case, metrics: tuple[str, ...]) -> None:
    cells = simulate(case, 100, 30, seed=2, metrics=metrics, n_resamples=199, n_permutations=99, truth_rows=100_000)

    for key, cell in cells.items():
        most = stats.binom.ppf(0.999, cell.n_equal, 0.025)
        assert cell.better <= most, key
        assert cell.worse <= most, key
        assert cell.not_worse <= stats.binom.ppf(0.999, cell.n_worse, 0.05), key
        for method, rejected in cell.size.items():
            assert sum(rejected) <= stats.binom.ppf(0.9999, len(rejected), 0.06), (key, method)
