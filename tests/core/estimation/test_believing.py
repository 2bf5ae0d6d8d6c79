"""When not to believe an estimate: the reference's reach, the stated checks, and whether the concept changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import levene, ttest_ind

from core.errors import InvalidInput
from core.estimation import believing
from core.estimation.concept import ALPHA, residual_change, score_change
from core.estimation.estimating import UNKNOWN, ScoreEstimator, fit_scores
from core.estimation.support import Outside, encoded, fit_support, outside


def words(*values: str | None) -> NDArray[Any]:
    return np.array(values, dtype=object)


def reference() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    return {"age": rng.normal(40, 10, 2_000), "job": rng.choice(["cook", "nurse", "pilot"], 2_000).astype(object)}


def test_rows_beyond_the_references_range_or_categories_are_hardly_seen() -> None:
    support = fit_support(reference())
    assert support.usual == pytest.approx(0.01, abs=0.005)
    current = {"age": np.array([40.0, 95.0, np.nan, -np.inf]), "job": words("cook", "cook", None, "poet")}
    found = outside(support, current)
    assert (found.share, found.names) == (0.5, ("age", "job"))
    assert outside(support, reference()).share == support.usual
    assert outside(support, {"age": np.empty(0), "job": words()}).share == 0.0


def test_a_constant_or_empty_column_has_a_range_of_its_own() -> None:
    support = fit_support({"same": np.full(50, 3.0), "none": np.full(50, np.nan), "blank": words(*[None] * 50)})
    same = {"same": np.full(4, 3.0), "none": np.arange(4.0), "blank": words(None, None, None, None)}
    assert outside(support, same).share == 0.0
    assert outside(support, same | {"same": np.full(4, 4.0)}).names == ("same",)
    assert outside(support, same | {"blank": words("new", None, None, None)}).share == 0.25


def test_categories_become_codes_and_what_is_not_known_is_missing() -> None:
    support = fit_support({"job": words("cook", "cook", "nurse"), "age": np.array([1.0, 2.0, 3.0])})
    found = encoded(support, {"job": words("nurse", "cook", "poet"), "age": np.array([np.inf, 2, 3])}, ("age", "job"))
    np.testing.assert_array_equal(found, [[np.nan, 1.0], [2.0, 0.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (believing.of_reference(5_000, 400, 0.01), ()),
        (believing.of_reference(120, None, None), ("120 labelled rows only",)),
        (believing.of_reference(5_000, 3, 0.2), ("rarest class has 3", "20 % off")),
        (believing.of_scores(1_000, 1_000), ()),
        (believing.of_scores(750, 1_000), ("25 % of the rows have no scores",)),
        (believing.of_scores(0, 0), ()),
        (believing.of_support(Outside(0.12, 0.03, ("age",))), ()),
        (believing.of_support(Outside(0.4, 0.03, ("age", "job"))), ("40 % of the rows", "by age and job", "3 % do")),
        (believing.of_support(Outside(0.4, 0.03, ())), ("hardly holds; of",)),
        (believing.of_labels("ROC AUC", (0.7, 0.6, 0.8), (0.75, 0.7, 0.8), 90), ()),
        (believing.of_labels("ROC AUC", (0.6, 0.55, 0.65), (0.8, 0.7, 0.85), 90), ("90 labels that are in",)),
        (believing.of_labels("RMSE", (9.0, 8.0, 10.0), (5.0, 4.0, 6.0), 90), ("RMSE is 9 (8 to 10)",)),
    ],
)
def test_each_check_says_what_speaks_against_an_estimate(said: list[str], words: tuple[str, ...]) -> None:
    assert len(said) == (2 if len(words) == 2 and "rarest" in words[0] else min(1, len(words)))
    for word in words:
        assert word in " ".join(said)


def test_a_note_tells_a_contradiction_from_a_want_of_data() -> None:
    apart = believing.of_labels("ROC AUC", (0.6, 0.55, 0.65), (0.8, 0.7, 0.85), 90)
    assert believing.contradicted(" ".join(apart))
    assert not believing.contradicted(" ".join(believing.of_reference(120, 3, 0.2)))


def stream(n: int, seed: int, *, shift: float = 0.0, flipped: float = 0.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores and truth; a share of the labels of likely rows is flipped where the concept changes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.5, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(np.int64)
    truth = np.where((x > 0) & (rng.random(n) < flipped), 0, truth)
    score = 1 / (1 + np.exp(-1.5 * x))
    return np.column_stack([1 - score, score]), truth


@pytest.fixture(scope="module")
def estimator() -> ScoreEstimator:
    scores, truth = stream(4_000, 1)
    return fit_scores(scores, truth, rng=np.random.default_rng(0))


def test_a_shift_of_inputs_is_no_change_of_concept_and_flipped_labels_are(estimator: ScoreEstimator) -> None:
    quiet = [score_change(estimator, *stream(800, 100 + draw, shift=0.8), classes=("no", "yes")) for draw in range(40)]
    changed = [
        score_change(estimator, *stream(800, 200 + draw, flipped=0.25), classes=("no", "yes")) for draw in range(40)
    ]
    assert sum(one is not None and one.pvalue < ALPHA for one in quiet) <= 3
    assert sum(one is not None and one.pvalue < ALPHA for one in changed) >= 38
    found = changed[0]
    assert found is not None
    assert found.effect == pytest.approx(0.1, abs=0.05)
    assert (found.about, sum(one.n for one in found.bins)) == ("yes", 800)
    assert "no longer mean what they meant" in found.sentence


def test_chances_that_are_off_speak_against_an_estimate_whatever_the_ranking(estimator: ScoreEstimator) -> None:
    changed = score_change(estimator, *stream(800, 8, flipped=0.3), classes=("no", "yes"))
    note = believing.of_concept(changed)
    assert len(note) == 1
    assert note[0].startswith("800 labels that are in contradict it. Scores no longer mean what they meant: ")
    assert believing.contradicted(note[0])
    assert believing.of_concept(score_change(estimator, *stream(800, 9), classes=("no", "yes"))) == []
    assert believing.of_concept(None) == []


def test_looks_are_paid_for(estimator: ScoreEstimator) -> None:
    scores, truth = stream(800, 7, flipped=0.1)
    once = score_change(estimator, scores, truth, classes=("no", "yes"))
    often = score_change(estimator, scores, truth, classes=("no", "yes"), n_looks=30)
    assert once is not None
    assert often is not None
    assert often.pvalue == pytest.approx(min(1.0, 30 * once.pvalue))
    assert often.effect == once.effect


def test_too_few_labels_or_scores_without_doubt_tell_nothing(estimator: ScoreEstimator) -> None:
    scores, truth = stream(200, 3)
    assert score_change(estimator, scores, np.where(np.arange(200) < 49, truth, UNKNOWN), classes=("no", "yes")) is None
    sure = np.tile([1.0, 0.0], (200, 1))
    calm = fit_scores(np.tile([1.0, 0.0], (500, 1)), np.zeros(500, dtype=np.int64), rng=np.random.default_rng(0))
    assert score_change(calm, sure, np.zeros(200, dtype=np.int64), classes=("no", "yes")) is None


def test_residuals_are_tested_by_mean_and_spread_as_scipy_does() -> None:
    rng = np.random.default_rng(4)
    before, higher, wider = rng.normal(0, 2, 1_500), rng.normal(1, 2, 300), rng.normal(0, 4, 300)
    mean, spread = residual_change(before, higher), residual_change(before, wider)
    assert mean is not None
    assert spread is not None
    assert (mean.about, spread.about) == ("mean", "spread")
    assert mean.pvalue == pytest.approx(2 * ttest_ind(higher, before, equal_var=False).pvalue)
    assert spread.pvalue == pytest.approx(2 * levene(wider, before).pvalue)
    assert mean.effect == pytest.approx(0.5, abs=0.1)
    assert spread.effect == pytest.approx(1.0, abs=0.2)
    lies = (
        f"The truth lies {higher.mean():.3g} above the predictions on average (reference: {before.mean():.3g})".replace(
            "-", "−"
        )
    )
    assert mean.sentence.startswith(lies)
    assert "Errors scatter" in spread.sentence
    assert "% more (p < 0.001)" in spread.sentence
    lower = residual_change(before, rng.normal(-1, 2, 300))
    assert lower is not None
    assert "below the predictions on average" in lower.sentence
    both = residual_change(before, rng.normal(3, 6, 300))
    assert both is not None
    assert "above the predictions on average" in both.sentence
    assert "; errors scatter " in both.sentence
    quiet = residual_change(before, rng.normal(0, 2, 300))
    assert quiet is not None
    assert quiet.pvalue > ALPHA


@pytest.mark.parametrize("current", [np.full(10, 1.0), np.full(300, np.nan), np.empty(0)])
def test_residuals_that_are_too_few_or_not_finite_tell_nothing(current: NDArray[Any]) -> None:
    assert residual_change(np.random.default_rng(0).normal(size=500), current) is None
    assert residual_change(np.full(500, 2.0), np.random.default_rng(0).normal(size=500)) is None
    with pytest.raises(InvalidInput, match="at least 1"):
        residual_change(np.zeros(500), np.zeros(500), n_looks=0)
