"""Group gaps: values, small groups, intervals that hold the truth."""

import numpy as np
import pytest
from scipy import stats

from core.errors import InvalidInput
from core.evaluation.fairness import MIN_GROUP_ROWS, fairness_change, fairness_gap
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

WORDS = np.array(["no", "yes"], dtype=object)


def decided(selected: object, positive: object = None) -> Predictions:
    chosen = np.asarray(selected, dtype=int)
    truth = np.ones(len(chosen), dtype=int) if positive is None else np.asarray(positive, dtype=int)
    return Predictions(Task.BINARY, np.arange(len(chosen)), WORDS[truth], WORDS[chosen], None, ("no", "yes"))


def test_gaps_are_the_largest_minus_the_smallest_group(rng: np.random.Generator) -> None:
    groups = np.repeat(np.array(["a", "b", "c", "tiny"], dtype=object), [100, 100, 100, MIN_GROUP_ROWS - 1])
    selected = np.concatenate([np.arange(100) < share for share in (50, 30, 40)] + [np.ones(MIN_GROUP_ROWS - 1)])
    positive = np.concatenate([np.arange(300) % 2 == 0, np.ones(MIN_GROUP_ROWS - 1)])

    selection, found = fairness_gap(decided(selected, positive), groups, rng=rng)

    assert selection.measure == "selection_rate"
    assert (selection.gap, selection.highest, selection.lowest) == (pytest.approx(0.2), "a", "b")
    assert selection.low < 0.2 < selection.high
    assert selection.n_small_groups == found.n_small_groups == 1
    assert found.measure == "true_positive_rate"
    assert found.sizes == {"a": 50, "b": 50, "c": 50}
    assert "a 0.500 against b 0.300" in selection.sentence


def test_fairlearn_style_definitions_by_hand(rng: np.random.Generator) -> None:
    groups = rng.choice(np.array(["f", "m"], dtype=object), size=400)
    positive, selected = rng.random(400) < 0.4, rng.random(400) < np.where(groups == "f", 0.3, 0.6)

    selection, found = fairness_gap(decided(selected, positive), groups, rng=rng)

    women = groups == "f"
    assert selection.gap == pytest.approx(abs(selected[women].mean() - selected[~women].mean()))
    assert found.gap == pytest.approx(abs(selected[women & positive].mean() - selected[~women & positive].mean()))


def test_regression_gap_is_in_mean_absolute_error(rng: np.random.Generator) -> None:
    groups = np.repeat(np.array(["a", "b"], dtype=object), 200)
    truth = rng.normal(size=400)
    made = Predictions(
        Task.REGRESSION, np.arange(400), truth, truth + rng.normal(size=400) * np.repeat([1.0, 3.0], 200), None, ()
    )

    (gap,) = fairness_gap(made, groups, rng=rng)

    assert gap.highest == "b"
    assert gap.low > 1


def test_one_group_or_small_groups_give_no_gap(rng: np.random.Generator) -> None:
    made = decided(np.ones(40))

    assert fairness_gap(made, np.full(40, "all"), rng=rng) == ()
    assert fairness_gap(made, np.array(["a"] * 20 + ["b"] * 20), rng=rng) == ()
    with pytest.raises(InvalidInput, match="1 groups were given for 40 rows"):
        fairness_gap(made, np.array(["a"]), rng=rng)


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.3), (0.3, 0.4), (0.05, 0.3)])
def test_the_interval_of_a_gap_holds_the_truth(first: float, second: float) -> None:
    rng, repetitions = np.random.default_rng(5), 250
    groups = np.repeat(np.array(["a", "b"], dtype=object), 300)
    held = 0
    for _ in range(repetitions):
        selected = rng.random(600) < np.repeat([first, second], 300)
        gap = fairness_gap(decided(selected), groups, rng=rng, n_resamples=400)[0]
        held += gap.low <= second - first <= gap.high

    assert held >= stats.binom.ppf(1e-4, repetitions, 0.93)


def test_before_and_after_are_told_largest_first(rng: np.random.Generator) -> None:
    groups = np.repeat(np.array(["a", "b"], dtype=object), 100)
    before = decided(np.arange(200) % 100 < np.repeat([50, 40], 100))
    after = decided(np.arange(200) % 100 < np.repeat([50, 20], 100))

    entries = fairness_change("sex", before, after, groups, rng=rng)

    assert [one["column"] for one in entries] == ["sex", "sex"]
    assert entries[0]["before"] == pytest.approx(0.1)
    assert entries[0]["after"] == pytest.approx(0.3)
    assert entries[0]["sentence"].endswith("It was 0.100 before.")
    assert fairness_change("sex", None, after, groups, rng=rng)[0]["before"] is None
