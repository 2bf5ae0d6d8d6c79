"""The bounds that the table of coverage holds intervals against, by brute force."""

from itertools import chain, combinations

import numpy as np
import pytest
from scipy import stats

from core.evaluation.outcomes import Outcome
from tests.benchmarks.interval_bounds import Least, class_shares, fewest, sterne
from tests.benchmarks.interval_coverage import CASES, Line, truths


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("n", [1, 4, 9])
def test_the_fewest_outcomes_that_reach_95_percent_are_the_most_probable(n: int, share: float) -> None:
    probability = stats.binom.pmf(np.arange(n + 1), n, share)
    every = chain.from_iterable(combinations(range(n + 1), size) for size in range(1, n + 2))
    enough = [chosen for chosen in every if probability[list(chosen)].sum() >= 0.95]
    fewest = [chosen for chosen in enough if len(chosen) == min(map(len, enough))]

    assert sterne(n, share) == pytest.approx(max(probability[list(chosen)].sum() for chosen in fewest))


def test_of_no_row_nothing_can_be_missed() -> None:
    assert sterne(0, 0.3) == 1.0
    assert fewest(0, 0.3, 0.5, 4.0) == 1.0


def test_where_every_mistake_weighs_alike_the_mix_does_not_matter() -> None:
    # F1 follows from one share: with its mistakes told apart no set can hold it less often than one that reaches 95 %.
    assert fewest(1, 0.3, 0.5, 4.0) == pytest.approx(1.0)
    assert 0.95 <= fewest(9, 0.3, 0.2, 1.0) < 1.0


def test_a_cell_is_at_the_least_possible_only_where_the_best_interval_holds_as_often() -> None:
    def verdict(held: int, least: float | None, silent: int = 0) -> str:
        return Line("recall", "any", 50, 400, 400 - silent, silent, held, 0.1, least=least).verdict

    assert verdict(380, None) == "inside"
    assert verdict(360, 0.99) == "BELOW"
    assert [verdict(396, least) for least in (None, 0.95, 0.99)] == ["above", "above", "least"]
    # Twelve samples without an interval may be the twelve that would have been missed.
    assert verdict(385, None, silent=12) == "inside"
    assert Line("recall", "any", 50, 400, 150, 250, 150, 0.1).verdict == "withheld"


def test_shares_of_the_rarest_class_and_the_bound_of_a_metric_without_one() -> None:
    case = next(one for one in CASES if one.name == "binary 1 % good")
    outcome = Outcome(case.make(np.random.default_rng(1), 20_000, 1.0))
    (table,) = (outcome.confusion,)

    shares = class_shares(outcome)

    assert shares["found of the rarest class"] == (table[1, 1], table[1].sum())
    assert shares["right of the rarest class"] == (table[1, 1], table[:, 1].sum())
    assert shares["joint of the rarest class"] == (table[1, 1], table.sum() - table[0, 0])
    assert Least("log_loss").coverage() is None


def test_where_noise_outweighs_the_gaps_no_interval_of_the_calibration_error_can_miss_often() -> None:
    case = next(one for one in CASES if one.name == "binary balanced poor")
    truth, rng, least = (
        truths(case, rows=100_000, parts=1),
        np.random.default_rng(2),
        Least("expected_calibration_error"),
    )
    for _ in range(100):
        least.add(Outcome(case.make(rng, 200, 1.0)), truth)

    bound = least.coverage()

    assert bound is not None
    assert bound > 0.975
