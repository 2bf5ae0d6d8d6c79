"""Corrections against scipy, closed forms, and their promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from core.errors import InvalidInput
from core.statistics.multiple_testing import benjamini_hochberg, holm

PVALUES = st.lists(st.floats(0, 1), max_size=30)


@given(PVALUES.filter(bool))
def test_benjamini_hochberg_equals_scipy(pvalues: list[float]) -> None:
    assert benjamini_hochberg(pvalues) == pytest.approx(stats.false_discovery_control(pvalues))


def test_holm_on_a_worked_example() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 (not below the one before), 0.04 x 1 (likewise).
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


@settings(deadline=None, max_examples=30)
@given(PVALUES.filter(bool))
def test_holm_equals_statsmodels(pvalues: list[float]) -> None:
    assert holm(pvalues) == pytest.approx(multipletests(pvalues, method="holm")[1])


@given(PVALUES)
def test_a_correction_only_raises_and_keeps_the_order(pvalues: list[float]) -> None:
    for correct in (benjamini_hochberg, holm):
        corrected = correct(pvalues)
        assert ((corrected >= np.array(pvalues) - 1e-15) & (corrected <= 1)).all()
        order = np.argsort(pvalues, kind="stable")
        assert (np.diff(corrected[order]) >= 0).all()


@pytest.mark.parametrize("bad", [[0.1, float("nan")], [-0.1], [1.2]])
def test_what_is_no_pvalue_is_refused(bad: list[float]) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        holm(bad)


def test_under_the_null_anything_is_found_five_times_in_a_hundred(rng: np.random.Generator) -> None:
    repetitions = 1_000
    found = [bool((holm(rng.random(20)) <= 0.05).any()) for _ in range(repetitions)]

    assert sum(found) <= stats.binom.ppf(0.9999, repetitions, 0.05)
