"""Paired comparisons: which rows, which verdict, how often wrong, and what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.comparing import compare, default_margin
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict

WORDS = np.array(["no", "yes"], dtype=object)


def binary(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> Predictions:
    return Predictions(
        Task.BINARY,
        np.arange(len(positive)),
        WORDS[positive.astype(int)],
        WORDS[(score > 0.5).astype(int)],
        np.c_[1 - score, score],
        ("no", "yes"),
    )


def pair(
    rng: np.random.Generator, n: int, lift: tuple[float, float], share: float = 0.3
) -> tuple[Predictions, Predictions]:
    positive = rng.random(n) < share
    shared = rng.normal(size=n)
    first, second = (
        binary(positive, 1 / (1 + np.exp(-(0.7 * shared + 0.7 * rng.normal(size=n) + one * (positive - 0.5)))))
        for one in lift
    )
    return first, second


def labels(truth: list[int], predicted: list[int]) -> Predictions:
    return Predictions(Task.BINARY, np.arange(len(truth)), WORDS[truth], WORDS[predicted], None, ("no", "yes"))


def test_accuracy_goes_by_discordant_rows_and_counts_changed_decisions(rng: np.random.Generator) -> None:
    truth = [1] * 50 + [0] * 50
    baseline = labels(truth, [1] * 40 + [0] * 50 + [1] * 10)
    candidate = labels(truth, [1] * 50 + [0] * 48 + [1] * 2)
    # Wrong before: rows 40-49 and 90-99; wrong now: rows 98 and 99.
    found = compare(baseline, candidate, metric="accuracy", margin=0.01, rng=rng)

    assert found.effect == pytest.approx(0.18)
    assert found.pvalue == pytest.approx(stats.binomtest(18, 18).pvalue)
    assert found.verdict is Verdict.BETTER
    assert found.changed == {"n_changed": 18, "n_corrected": 18, "n_broken": 0, "n_rows": 100}
    assert "discordant" not in found.sentence
    assert "100 rows" in found.sentence


def test_rows_either_model_trained_on_are_left_out_and_counted(rng: np.random.Generator) -> None:
    first, second = pair(rng, 400, (1.0, 2.0))
    leave_out = np.array([0, 1, 2, 7, 399, 100_000])

    found = compare(first, second, metric="roc_auc", margin=0.01, leave_out=leave_out, rng=rng)

    keep = np.setdiff1d(np.arange(400), leave_out)
    expected = compare(first.take(keep), second.take(keep), metric="roc_auc", margin=0.01, rng=rng)
    assert (found.n_rows, found.n_left_out) == (395, 5)
    assert (found.effect, found.low, found.high) == (expected.effect, expected.low, expected.high)


def test_rows_are_matched_by_ordinal_not_by_position(rng: np.random.Generator) -> None:
    first, second = pair(rng, 300, (1.0, 2.0))
    expected = compare(first, second, metric="log_loss", rng=rng)

    found = compare(first, second.take(rng.permutation(300)), metric="log_loss", rng=rng)

    assert (found.effect, found.low, found.high) == pytest.approx((expected.effect, expected.low, expected.high))


def test_rows_only_one_was_scored_on_are_left_out(rng: np.random.Generator) -> None:
    first, second = pair(rng, 300, (1.0, 2.0))

    found = compare(first.take(np.arange(250)), second.take(np.arange(50, 300)), metric="accuracy", rng=rng)

    assert (found.n_rows, found.n_left_out) == (200, 100)


def test_losses_are_turned_so_that_above_0_is_better(rng: np.random.Generator) -> None:
    first, second = pair(rng, 3_000, (1.0, 2.5))

    found = compare(first, second, metric="log_loss", margin=0.01, rng=rng)

    assert found.effect == pytest.approx(found.baseline_value - found.candidate_value)
    assert found.effect > 0
    assert found.verdict is Verdict.BETTER


def test_equal_labels_with_other_scores_are_not_taken_for_the_same_model(rng: np.random.Generator) -> None:
    positive = rng.random(200) < 0.5
    first = binary(positive, np.where(positive, 0.9, 0.1))
    second = binary(positive, np.where(positive, 0.8, 0.2))

    for metric in ("accuracy", "f1", "matthews_correlation", "roc_auc", "average_precision"):
        found = compare(first, second, metric=metric, margin=0.0, rng=rng)
        assert found.effect == 0
        assert found.low < 0 < found.high, metric
        assert found.verdict is Verdict.INCONCLUSIVE


def test_one_model_at_two_thresholds_ranks_every_row_alike(rng: np.random.Generator) -> None:
    score = rng.random(300)
    truth = np.where(rng.random(300) < score, "yes", "no")
    scores = np.column_stack([1 - score, score])
    called = np.where(score > 0.5, "yes", "no")
    usual = Predictions(Task.BINARY, np.arange(300), truth, called, scores, ("no", "yes"))
    found = compare(usual, usual.decided_at(0.2), metric="roc_auc", rng=rng)
    assert (found.verdict, found.effect, found.low, found.high) == (Verdict.NOT_WORSE, 0, 0, 0)
    assert compare(usual, usual.decided_at(0.2), metric="accuracy", rng=rng).low < 0


def test_the_margin_of_a_metric_in_the_targets_unit_is_a_share_of_the_baseline(rng: np.random.Generator) -> None:
    truth = rng.normal(size=500) * 1_000
    first, second = (
        Predictions(Task.REGRESSION, np.arange(500), truth, truth + 50 * rng.normal(size=500), None, ())
        for _ in range(2)
    )

    found = compare(first, second, metric="rmse", margin=default_margin("rmse"), rng=rng)

    assert found.margin == pytest.approx(0.02 * found.baseline_value)
    assert found.changed is None


@pytest.mark.parametrize(
    "metric", ["roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "log_loss", "brier"]
)
def test_equal_models_are_called_better_or_worse_once_in_twenty(metric: str) -> None:
    rng, repetitions = np.random.default_rng(21), 250
    found = [compare(*pair(rng, 250, (1.5, 1.5)), metric=metric, margin=0.0, rng=rng) for _ in range(repetitions)]

    wrong = sum(one.low > 0 or one.high < 0 for one in found)

    assert wrong <= stats.binom.ppf(0.9999, repetitions, 0.055)


def test_one_percent_positives_raise_no_more_false_alarms() -> None:
    rng, repetitions = np.random.default_rng(22), 200
    for metric in ("roc_auc", "average_precision"):
        found = []
        while len(found) < repetitions:
            first, second = pair(rng, 500, (2.0, 2.0), share=0.01)
            if "yes" in first.y_true:
                found.append(compare(first, second, metric=metric, margin=0.0, rng=rng))
        wrong = sum(one.low > 0 or one.high < 0 for one in found)
        assert wrong <= stats.binom.ppf(0.9999, repetitions, 0.055), metric


def test_a_difference_as_large_as_the_smallest_detectable_is_seen_four_times_in_five() -> None:
    rng, repetitions, n = np.random.default_rng(23), 250, 400
    size = compare(*_shifted(rng, n, 0.0), metric="mae", margin=0.0, rng=rng).smallest_effect

    seen = sum(compare(*_shifted(rng, n, size), metric="mae", margin=0.0, rng=rng).low > 0 for _ in range(repetitions))

    assert stats.binom.ppf(1e-4, repetitions, 0.72) <= seen <= stats.binom.ppf(1 - 1e-4, repetitions, 0.88)


def _shifted(rng: np.random.Generator, n: int, gain: float) -> tuple[Predictions, Predictions]:
    truth = np.zeros(n)
    errors = 5 + rng.normal(size=(2, n))
    errors[1] -= gain
    first, second = (Predictions(Task.REGRESSION, np.arange(n), truth, one, None, ()) for one in errors)
    return first, second


def test_multiclass_models_that_know_other_classes_are_compared_on_all(rng: np.random.Generator) -> None:
    words = np.array(["a", "b", "c"], dtype=object)
    truth = rng.integers(0, 3, size=300)
    first = Predictions(Task.MULTICLASS, np.arange(300), words[truth], words[np.minimum(truth, 1)], None, ("a", "b"))
    second = Predictions(Task.MULTICLASS, np.arange(300), words[truth], words[truth], None, ("a", "b", "c"))

    for metric in ("accuracy", "macro_f1", "cohen_kappa", "balanced_accuracy"):
        assert compare(first, second, metric=metric, rng=rng).verdict is Verdict.BETTER


def test_what_cannot_be_compared_is_refused(rng: np.random.Generator) -> None:
    first, second = pair(rng, 50, (1.0, 1.0))
    other_truth = binary(first.y_true == "no", np.asarray(first.scores)[:, 1])

    with pytest.raises(InvalidInput, match="different data"):
        compare(first, other_truth, metric="accuracy", rng=rng)
    with pytest.raises(InvalidInput, match="no metric"):
        compare(first, second, metric="gini", rng=rng)
    with pytest.raises(InvalidInput, match="margin is -1"):
        compare(first, second, metric="accuracy", margin=-1, rng=rng)
    with pytest.raises(NotApplicable, match="not for a binary task"):
        compare(first, second, metric="rmse", rng=rng)
    with pytest.raises(InsufficientData, match="0 rows are left"):
        compare(first, second, metric="accuracy", leave_out=np.arange(50), rng=rng)
    with pytest.raises(InvalidInput, match="binary run cannot be compared with a regression run"):
        compare(first, _shifted(rng, 50, 0)[0], metric="accuracy", rng=rng)


def test_binary_models_with_another_positive_class_are_refused(rng: np.random.Generator) -> None:
    first = labels([0, 1, 1], [0, 1, 0])
    second = Predictions(Task.BINARY, np.arange(3), first.y_true, first.y_pred, None, ("maybe", "yes"))

    with pytest.raises(InvalidInput, match="positive classes differ"):
        compare(first, second, metric="accuracy", rng=rng)
