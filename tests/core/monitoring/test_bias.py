from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.monitoring.bias import GapChange, GroupGap, gap_change, group_gaps


def window(n: int, *, men: float, women: float, found: float = 0.8, seed: int = 1) -> tuple[Predictions, NDArray[Any]]:
    """Predictions by which men and women are called "yes" so often, and of women's positives a share is found."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["Female", "Male"], n).astype(object)
    called = rng.random(n) < np.where(sex == "Male", men, women)
    truth = np.where(rng.random(n) < found, called, ~called)
    truth = np.where((sex == "Female") & (rng.random(n) < 0.3), True, truth)
    words = np.array(["no", "yes"], dtype=object)
    return Predictions(Task.BINARY, np.arange(n), words[truth * 1], words[called * 1], None, ("no", "yes")), sex


def by_criterion(found: tuple[GroupGap, ...]) -> dict[str, GroupGap]:
    return {one.criterion: one for one in found}


def known(gaps: tuple[GroupGap, ...]) -> dict[tuple[str, str], tuple[float, float, float]]:
    return {(one.column, one.criterion): (one.difference, one.low, one.high) for one in gaps}


def changed(now: tuple[GroupGap, ...], then: tuple[GroupGap, ...]) -> GapChange:
    found = gap_change(now, known(then))
    assert found is not None
    return found


def test_who_is_called_positive_is_told_without_labels_and_who_is_found_by_the_labelled_rows() -> None:
    rows, sex = window(2_000, men=0.5, women=0.2)
    none = group_gaps(rows, np.zeros(2_000, dtype=bool), {"sex": sex})
    assert set(by_criterion(none)) == {"demographic_parity"}
    gap = by_criterion(none)["demographic_parity"]
    called = rows.y_pred == "yes"
    assert gap.difference == pytest.approx(called[sex == "Male"].mean() - called[sex == "Female"].mean())
    assert (gap.highest, gap.lowest, gap.n_rows) == ("Male", "Female", 2_000)
    some = by_criterion(group_gaps(rows, np.arange(2_000) < 1_000, {"sex": sex}))
    assert set(some) == {"demographic_parity", "equal_opportunity"}
    positive = (rows.y_true == "yes") & (np.arange(2_000) < 1_000)
    rates = [called[positive & (sex == group)].mean() for group in ("Male", "Female")]
    assert some["equal_opportunity"].difference == pytest.approx(rates[0] - rates[1])
    assert some["demographic_parity"] == gap


def test_a_gap_that_lies_above_the_evaluation_sets_has_widened() -> None:
    rows, sex = window(3_000, men=0.3, women=0.28)
    then = group_gaps(rows, np.zeros(3_000, dtype=bool), {"sex": sex})
    rows, sex = window(3_000, men=0.3, women=0.27, seed=2)
    same = changed(group_gaps(rows, np.zeros(3_000, dtype=bool), {"sex": sex}), then)
    assert not same.widened
    assert same.sentence.startswith("No gap between groups has widened beyond doubt; the widest is by sex: ")
    rows, sex = window(3_000, men=0.4, women=0.2, seed=3)
    wide = changed(group_gaps(rows, np.zeros(3_000, dtype=bool), {"sex": sex}), then)
    assert wide.widened
    assert "Groups of sex fare further apart than they did: share predicted positive" in wide.sentence
    assert "on the evaluation set it was" in wide.sentence
    assert wide.then == known(then)["sex", "demographic_parity"]
    assert gap_change((wide.gap,), {}) is not None


def test_groups_that_are_too_small_judge_nothing() -> None:
    rows, sex = window(600, men=0.5, women=0.5)
    sex[:5] = "other"
    sex[5:8] = None
    found = by_criterion(group_gaps(rows, np.zeros(600, dtype=bool), {"sex": sex}))["demographic_parity"]
    assert found.n_small == 2
    assert {found.highest, found.lowest} == {"Female", "Male"}
    assert "2 groups are too small to judge." in changed((found,), (found,)).sentence
    assert gap_change(group_gaps(rows.take(np.arange(40)), np.ones(40, dtype=bool), {"sex": sex[:40]}), {}) is None
    assert group_gaps(rows, np.ones(600, dtype=bool), {}) == ()


def test_a_regression_is_told_by_how_far_off_it_is() -> None:
    rng = np.random.default_rng(5)
    sex = rng.choice(["Female", "Male"], 800).astype(object)
    truth = rng.normal(size=800)
    said = truth + rng.normal(size=800) * np.where(sex == "Male", 1, 3)
    rows = Predictions(Task.REGRESSION, np.arange(800), truth, said, None, ())
    found = group_gaps(rows, np.ones(800, dtype=bool), {"sex": sex})
    assert [(one.criterion, one.highest) for one in found] == [("equal_error", "Female")]
    assert found[0].low > 1
    assert group_gaps(rows, np.zeros(800, dtype=bool), {"sex": sex}) == ()
