"""Every method beside the one that decides: which there are, that they agree with references, weights and families."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from core.errors import InvalidInput
from core.evaluation.comparing import compare, corrected_pvalues
from core.evaluation.confusion_metrics import FROM_CONFUSION
from core.evaluation.metrics import METRICS, measure
from core.evaluation.outcomes import Outcome
from core.evaluation.paired_tests import PAIRED_TESTS, bootstrap_differences
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict

WORDS = np.array(["no", "yes"], dtype=object)
Pair = tuple[Predictions, Predictions]


def binary(
    positive: NDArray[np.bool_], score: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> Predictions:
    labels = WORDS[(score > 0.5).astype(int)]
    scores = np.c_[1 - score, score]
    truth = WORDS[positive.astype(int)]
    return Predictions(Task.BINARY, np.arange(len(score)), truth, labels, scores, ("no", "yes"), weight)


def pair(rng: np.random.Generator, n: int, lift: float, weight: NDArray[np.float64] | None = None) -> Pair:
    positive = rng.random(n) < 0.4
    shared = rng.normal(size=n)
    first, second = (
        binary(positive, 1 / (1 + np.exp(-(0.7 * shared + 0.7 * rng.normal(size=n) + one * (positive - 0.5)))), weight)
        for one in (1.0, 1.0 + lift)
    )
    return first, second


def by_key(tests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in tests}


@pytest.mark.parametrize(
    ("metric", "keys"),
    [
        ("accuracy", ["mcnemar", "bootstrap", "permutation"]),
        ("recall", ["mcnemar", "bootstrap", "permutation"]),
        ("balanced_accuracy", ["class_score_intervals", "influence", "bootstrap", "permutation"]),
        ("precision", ["influence", "bootstrap", "permutation"]),
        ("f1", ["influence", "bootstrap", "permutation"]),
        ("roc_auc", ["delong", "bootstrap", "permutation"]),
        ("average_precision", ["influence", "bootstrap", "permutation"]),
        ("log_loss", ["paired_t", "bootstrap", "permutation"]),
        ("expected_calibration_error", ["calibration_bins"]),
    ],
)
def test_every_method_that_is_defined_is_there_and_they_agree(
    metric: str, keys: list[str], rng: np.random.Generator
) -> None:
    found = compare(*pair(rng, 600, 0.6), metric=metric, margin=0.01, rng=rng)

    assert [one["key"] for one in found.tests] == keys
    primary = found.tests[0]
    assert (primary["effect"], primary["low"], primary["high"]) == pytest.approx((found.effect, found.low, found.high))
    assert primary["pvalue"] == found.pvalue
    width = found.high - found.low
    for one in found.tests:
        assert set(one) == {"key", "title", "effect", "low", "high", "pvalue"}
        assert one["key"] in PAIRED_TESTS
        assert one["effect"] == pytest.approx(found.effect)
        assert one["pvalue"] is None or 0 < one["pvalue"] <= 1
        if one["low"] is not None:
            assert abs(one["low"] - found.low) < 0.25 * width
            assert abs(one["high"] - found.high) < 0.25 * width


@pytest.mark.parametrize("metric", ["rmse", "mae", "median_absolute_error", "r2", "mape"])
def test_a_regressions_methods_agree(metric: str, rng: np.random.Generator) -> None:
    truth = 10 + rng.normal(size=500)
    first, second = (
        Predictions(Task.REGRESSION, np.arange(500), truth, truth + scale * rng.normal(size=500), None, ())
        for scale in (1.0, 0.9)
    )

    found = by_key(compare(first, second, metric=metric, rng=rng).tests)

    assert set(found) >= {"bootstrap", "permutation"}
    other = next(iter(found.values()))
    assert found["bootstrap"]["low"] == pytest.approx(other["low"], abs=0.35 * (other["high"] - other["low"]))
    assert abs(found["permutation"]["pvalue"] - other["pvalue"]) < 0.15


def test_two_that_predict_the_same_have_nothing_to_test(rng: np.random.Generator) -> None:
    first, _ = pair(rng, 100, 0.0)

    assert [one["key"] for one in compare(first, first, metric="roc_auc", rng=rng).tests] == ["same"]


def test_constant_scores_and_a_single_positive_still_give_plain_numbers(rng: np.random.Generator) -> None:
    positive = np.zeros(60, dtype=bool)
    positive[7] = True
    constant, other = binary(positive, np.full(60, 0.4)), binary(positive, rng.random(60))
    for metric in ("roc_auc", "average_precision", "accuracy", "recall", "f1", "log_loss", "matthews_correlation"):
        for one in compare(constant, other, metric=metric, margin=0.01, rng=rng).tests:
            assert all(one[name] is None or np.isfinite(one[name]) for name in ("effect", "low", "high", "pvalue"))


def test_delong_equals_placements_counted_pair_by_pair(rng: np.random.Generator) -> None:
    # Negatives stay where they are: rows near by show no movement that the positives' own do not.
    positive = rng.random(60) < 0.4
    shared = rng.normal(size=60)
    first, second = (
        binary(positive, 1 / (1 + np.exp(-(shared + positive * (1 + noise * rng.normal(size=60)))))) for noise in (0, 1)
    )
    found = compare(first, second, metric="roc_auc", rng=rng, n_resamples=0, n_permutations=0)

    shares = []
    for one in (first, second):
        score = np.asarray(one.scores)[:, 1]
        above = score[positive][:, None] > score[~positive][None]
        shares.append(above + 0.5 * (score[positive][:, None] == score[~positive][None]))
    gap = shares[1] - shares[0]
    m, n = gap.shape
    # DeLong et al. (1988), equations 5 to 7: covariances of the structural components of both.
    components = gap.mean(axis=1).var(ddof=1) / m, gap.mean(axis=0).var(ddof=1) / n
    error = np.sqrt(sum(components))
    df = sum(components) ** 2 / (components[0] ** 2 / (m - 1) + components[1] ** 2 / (n - 1))
    half = stats.t.ppf(0.975, df) * error
    # One end is Student's; the other may reach further, where the rows' components have a long tail.
    assert found.low <= gap.mean() - half + 1e-12
    assert found.high >= gap.mean() + half - 1e-12
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    assert found.pvalue == pytest.approx(2 * stats.t.sf(abs(gap.mean()) / error, df))


def test_ten_positives_that_keep_their_place_do_not_hide_what_rows_near_them_lose(rng: np.random.Generator) -> None:
    positive = np.arange(1_000) < 10
    shared = np.where(positive, 2.0 + 0.1 * np.arange(1_000), rng.normal(size=1_000))
    first, second = (
        binary(positive, 1 / (1 + np.exp(-(shared + 0.7 * rng.normal(size=1_000) * ~positive)))) for _ in range(2)
    )
    measured = [measure(METRICS["roc_auc"], Outcome(one)).influence for one in (first, second)]
    found = compare(first, second, metric="roc_auc", margin=0.02, rng=rng, n_resamples=0, n_permutations=0)

    alone = 2 * 1.96 * float(np.sqrt(((measured[1] - measured[0]) ** 2).sum()))
    assert abs(found.effect) + alone / 2 < 0.02
    assert found.high - found.low > 2 * alone
    assert found.verdict is Verdict.INCONCLUSIVE


def test_the_bootstrap_agrees_with_scipys_on_scikit_learns_metric(rng: np.random.Generator) -> None:
    first, second = pair(rng, 80, 0.8)
    truth = (first.y_true == "yes").astype(int)
    scores = [np.asarray(one.scores)[:, 1] for one in (first, second)]

    ours = compare(first, second, metric="roc_auc", rng=rng, n_resamples=8_000, n_permutations=0)
    theirs = stats.bootstrap(
        (truth, *scores),
        lambda y, a, b: roc_auc_score(y, b) - roc_auc_score(y, a),
        paired=True,
        vectorized=False,
        n_resamples=200,
        rng=rng,
    ).confidence_interval

    found = by_key(ours.tests)["bootstrap"]
    width = theirs.high - theirs.low
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.2 * width)


REFERENCES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "precision": precision_score,
    "recall": recall_score,
    "f1": f1_score,
    "f2": lambda y, p: fbeta_score(y, p, beta=2),
    "f0_5": lambda y, p: fbeta_score(y, p, beta=0.5),
    "weighted_f1": lambda y, p: f1_score(y, p, average="weighted"),
    "macro_precision": lambda y, p: precision_score(y, p, average="macro", zero_division=0),
    "macro_f1": lambda y, p: f1_score(y, p, average="macro"),
    "matthews_correlation": matthews_corrcoef,
    "cohen_kappa": cohen_kappa_score,
}


@pytest.mark.parametrize("key", list(REFERENCES))
def test_metrics_of_many_matrices_equal_scikit_learns(key: str, rng: np.random.Generator) -> None:
    truth, called = rng.integers(0, 2, size=(2, 20, 30))
    matrices = np.zeros((20, 2, 2))
    for number in range(20):
        np.add.at(matrices[number], (truth[number], called[number]), 1)

    expected = [REFERENCES[key](y, p) for y, p in zip(truth, called, strict=True)]

    assert FROM_CONFUSION[key](matrices) == pytest.approx(expected)


@pytest.mark.parametrize("key", ["accuracy", "f1", "matthews_correlation"])
def test_resampling_cells_is_resampling_rows(key: str, rng: np.random.Generator) -> None:
    weight = np.ones(200)
    plain, weighted = pair(np.random.default_rng(1), 200, 0.5), pair(np.random.default_rng(1), 200, 0.5, weight)

    by_cells, by_rows = (
        bootstrap_differences(METRICS[key], Outcome(a), Outcome(b), n_resamples=4_000, rng=rng)
        for a, b in (plain, weighted)
    )

    assert by_cells is not None
    assert by_rows is not None
    assert by_cells.std() == pytest.approx(by_rows.std(), rel=0.06)
    assert by_cells.mean() == pytest.approx(by_rows.mean(), abs=0.1 * by_rows.std())


@pytest.mark.parametrize("metric", ["accuracy", "recall", "balanced_accuracy", "roc_auc", "f1", "log_loss"])
def test_equal_weights_are_as_none_but_for_exact_counts(metric: str, rng: np.random.Generator) -> None:
    weight = np.full(400, 3.0)
    plain, weighted = (
        compare(*pair(np.random.default_rng(4), 400, 0.5, one), metric=metric, rng=rng) for one in (None, weight)
    )

    assert weighted.effect == pytest.approx(plain.effect)
    assert weighted.low == pytest.approx(plain.low, abs=0.1 * (plain.high - plain.low))
    assert "mcnemar" not in by_key(weighted.tests)


def test_weights_move_the_effect_and_rows_of_no_weight_are_left_out(rng: np.random.Generator) -> None:
    truth = np.array([True] * 30 + [False] * 30)
    weight = np.where(truth, 1.0, 0.0)
    first, second = binary(truth, np.full(60, 0.4), weight), binary(truth, np.where(truth, 0.9, 0.8), weight)

    found = compare(first, second, metric="accuracy", rng=rng)

    assert found.effect == pytest.approx(1.0)
    assert (found.n_rows, found.n_left_out) == (30, 30)


def test_other_weights_on_the_same_rows_are_refused_and_known_ones_count_for_both(rng: np.random.Generator) -> None:
    first, second = pair(rng, 50, 0.5)
    truth, scores = second.y_true == "yes", [np.asarray(one.scores)[:, 1] for one in (first, second)]
    weights = np.linspace(1, 2, 50)
    both = [binary(truth, one, weights) for one in scores]
    weighted = both[1]

    alone = compare(first, weighted, metric="accuracy", rng=rng)
    assert alone.effect == pytest.approx(compare(*both, metric="accuracy", rng=rng).effect)
    assert alone.effect == pytest.approx(-compare(weighted, first, metric="accuracy", rng=rng).effect)

    first = binary(truth, scores[0], weights[::-1])
    with pytest.raises(InvalidInput, match="different weights"):
        compare(first, weighted, metric="accuracy", rng=rng)


def test_candidates_tried_widen_the_interval_and_are_told(rng: np.random.Generator) -> None:
    made = pair(rng, 500, 0.3)
    alone, among = (compare(*made, metric="roc_auc", n_candidates=n, rng=np.random.default_rng(1)) for n in (1, 9))

    assert among.low < alone.low < alone.high < among.high
    # Student's quantiles at these degrees of freedom are within a hair of the normal's.
    ratio = (among.high - among.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(stats.norm.ppf(1 - 0.025 / 9) / stats.norm.ppf(0.975), rel=0.03)
    assert among.pvalue == alone.pvalue
    assert among.n_candidates == 9
    assert "allowing for 9 candidates tried" in among.sentence
    assert among.smallest_effect > alone.smallest_effect
    with pytest.raises(InvalidInput, match="at least 1"):
        compare(*made, metric="roc_auc", n_candidates=0, rng=rng)


def test_any_false_better_among_nine_equal_candidates_stays_rare() -> None:
    rng, families, wrong = np.random.default_rng(8), 60, 0
    for _ in range(families):
        positive = rng.random(200) < 0.4
        shared = rng.normal(size=200) + positive
        scores = [1 / (1 + np.exp(-shared - rng.normal(size=200))) for _ in range(10)]
        baseline, *others = (binary(positive, score) for score in scores)
        verdicts = [
            compare(
                baseline, one, metric="accuracy", margin=0.0, n_candidates=9, n_resamples=0, n_permutations=0, rng=rng
            ).verdict
            for one in others
        ]
        wrong += any(one in (Verdict.BETTER, Verdict.WORSE) for one in verdicts)

    assert wrong <= stats.binom.ppf(0.9999, families, 0.05)


def test_holm_over_candidates_counts_those_without_a_pvalue_as_tried() -> None:
    found = corrected_pvalues({4: 0.01, 7: None, 9: 0.04})

    assert found == {4: pytest.approx(0.03), 7: None, 9: pytest.approx(0.08)}
    assert corrected_pvalues({}) == {}


def test_too_few_rows_say_how_many_would_do(rng: np.random.Generator) -> None:
    made = pair(rng, 120, 0.0)
    found = compare(*made, metric="roc_auc", margin=0.01, rng=rng)

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.rows_needed is not None
    assert found.rows_needed == pytest.approx(120 * (found.smallest_effect / 0.01) ** 2, rel=0.01)
    assert "rows would be needed to tell a difference as large as the margin" in found.sentence
    assert compare(*made, metric="roc_auc", margin=0.0, rng=rng).rows_needed is None


def test_a_mean_loss_over_rows_without_a_positive_admits_what_it_has_not_seen() -> None:
    rng, wrong, repetitions = np.random.default_rng(3), 0, 150
    for _ in range(repetitions):
        positive = rng.random(50) < 0.01
        signal = rng.normal(size=50) + 2 * positive
        first = binary(positive, 1 / (1 + np.exp(-(2 * signal - 2 + np.log(0.01 / 0.99)))))
        second = binary(positive, np.full(50, 0.0005))  # much worse, and only positives show it
        found = compare(first, second, metric="log_loss", margin=0.02, n_resamples=0, n_permutations=0, rng=rng)
        wrong += found.verdict in (Verdict.BETTER, Verdict.NOT_WORSE)

    assert wrong <= 0.1 * repetitions


@pytest.mark.parametrize("key", sorted({key for key, one in METRICS.items() if Task.MULTICLASS in one.tasks}))
def test_multiclass_metrics_have_every_method(key: str, rng: np.random.Generator) -> None:
    words = np.array(["a", "b", "c", "d"], dtype=object)
    truth = rng.integers(0, 4, size=400)
    costs = {"labels": list(words), "matrix": (1 - np.eye(4)).tolist()}
    made = []
    for lift in (1.0, 1.3):
        logit = lift * np.eye(4)[truth] + rng.normal(size=(400, 4))
        scores = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
        called = words[scores.argmax(axis=1)]
        made.append(Predictions(Task.MULTICLASS, np.arange(400), words[truth], called, scores, tuple(words)))

    tests = by_key(compare(made[0], made[1], metric=key, costs=costs, rng=rng).tests)

    if key != "expected_calibration_error":
        first = next(iter(tests.values()))
        assert {"bootstrap", "permutation"} <= set(tests)
        assert tests["bootstrap"]["low"] == pytest.approx(first["low"], abs=0.3 * (first["high"] - first["low"]))
