"""Promises that every entry of the metric catalogue keeps; a new entry is held to them without being named here."""

import math

import numpy as np
import pytest

from core.evaluation.comparing import compare
from core.evaluation.metrics import METRICS, PRIMARY, Metric, compute_metrics, measure, metrics_for
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict

CASES = [pytest.param(entry, task, id=f"{entry.key}-{task}") for entry in METRICS.values() for task in entry.tasks]
# Calibration is not a matter of noise alone; its error and the median have intervals of their own, not influences.
NOISE_CASES = [case for case in CASES if case.values[0].key != "expected_calibration_error"]
INFLUENCE_CASES = [case for case in NOISE_CASES if case.values[0].key != "median_absolute_error"]


def make(task: Task, rng: np.random.Generator, n: int = 300, noise: float = 1.0) -> Predictions:
    """Predictions of middling quality; the smaller the noise, the better."""
    if task is Task.REGRESSION:
        truth = 5 + rng.normal(size=n)
        return Predictions(task, np.arange(n), truth, truth + noise * rng.normal(size=n), None, ())
    classes = ("a", "b") if task is Task.BINARY else ("a", "b", "c")
    truth = rng.integers(0, len(classes), size=n)
    logit = 2 * np.eye(len(classes))[truth] + noise * rng.normal(size=(n, len(classes)))
    scores = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    words = np.array(classes, dtype=object)
    return Predictions(task, np.arange(n), words[truth], words[scores.argmax(axis=1)], scores, classes)


def perfect(task: Task, rng: np.random.Generator) -> Predictions:
    made = make(task, rng)
    if task is Task.REGRESSION:
        return Predictions(task, made.ordinals, made.y_true, made.y_true, None, ())
    scores = np.array([[float(label == one) for one in made.classes] for label in made.y_true])
    return Predictions(task, made.ordinals, made.y_true, made.y_true, scores, made.classes)


def value(entry: Metric, predictions: Predictions) -> float:
    return measure(entry, Outcome(predictions)).value


@pytest.mark.parametrize("entry", METRICS.values(), ids=METRICS)
def test_an_entry_is_complete(entry: Metric) -> None:
    assert METRICS[entry.key] is entry
    assert entry.title
    assert entry.tasks
    assert entry.sentence.endswith(".")
    assert entry.reference
    assert entry.low < entry.high
    assert 0 <= entry.margin < 1


def test_every_task_has_a_primary_metric_listed_first() -> None:
    for task in Task:
        assert metrics_for(task)[0].key == PRIMARY[task]


@pytest.mark.parametrize(("entry", "task"), CASES)
def test_a_perfect_run_has_the_best_value_of_the_range(entry: Metric, task: Task, rng: np.random.Generator) -> None:
    best = entry.high if entry.greater_is_better else entry.low

    assert value(entry, perfect(task, rng)) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("entry", "task"), NOISE_CASES)
def test_more_noise_is_worse(entry: Metric, task: Task, rng: np.random.Generator) -> None:
    good, bad = (value(entry, make(task, rng, n=2_000, noise=noise)) for noise in (0.5, 3.0))

    assert (good > bad) == entry.greater_is_better


@pytest.mark.parametrize(("entry", "task"), CASES)
def test_value_and_interval_lie_in_the_range_in_order(entry: Metric, task: Task) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = compute_metrics(make(task, rng, n=int(rng.integers(8, 60)), noise=float(rng.uniform(0.2, 4))), rng=rng)
        for one in found:
            if one.key == entry.key and one.low is not None and one.high is not None:
                assert entry.low <= one.low <= one.value + 1e-12
                assert one.value - 1e-12 <= one.high <= entry.high


@pytest.mark.parametrize(("entry", "task"), CASES)
def test_the_order_of_rows_does_not_matter(entry: Metric, task: Task, rng: np.random.Generator) -> None:
    made = make(task, rng)
    shuffled = made.take(rng.permutation(made.n_rows))

    first, second = (compute_metrics(one, rng=np.random.default_rng(1)) for one in (made, shuffled))

    for one, other in zip(first, second, strict=True):
        if one.key == entry.key:
            assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), rel=1e-9)


@pytest.mark.parametrize(("entry", "task"), [case for case in CASES if case.values[1] is not Task.REGRESSION])
def test_other_words_for_the_classes_change_nothing(entry: Metric, task: Task, rng: np.random.Generator) -> None:
    made = make(task, rng)
    words = {"a": "élan", "b": "ο", "c": "猫"}
    renamed = Predictions(
        task,
        made.ordinals,
        np.array([words[label] for label in made.y_true], dtype=object),
        np.array([words[label] for label in made.y_pred], dtype=object),
        made.scores,
        tuple(words[label] for label in made.classes),
    )

    assert value(entry, renamed) == pytest.approx(value(entry, made))


@pytest.mark.parametrize(("entry", "task"), CASES)
def test_every_row_twice_is_the_same_value_with_a_narrower_interval(
    entry: Metric, task: Task, rng: np.random.Generator
) -> None:
    made = make(task, rng)
    twice = _repeated(made)

    once_found = {one.key: one for one in compute_metrics(made, rng=np.random.default_rng(1))}[entry.key]
    twice_found = {one.key: one for one in compute_metrics(twice, rng=np.random.default_rng(1))}[entry.key]

    assert twice_found.value == pytest.approx(once_found.value)
    assert _width(twice_found) < _width(once_found)


def _repeated(made: Predictions) -> Predictions:
    scores = None if made.scores is None else np.repeat(made.scores, 2, axis=0)
    return Predictions(
        made.task,
        np.arange(2 * made.n_rows),
        np.repeat(made.y_true, 2),
        np.repeat(made.y_pred, 2),
        scores,
        made.classes,
    )


def _width(estimate: object) -> float:
    low, high = getattr(estimate, "low", None), getattr(estimate, "high", None)
    assert low is not None
    assert high is not None
    return float(high - low)


@pytest.mark.parametrize(("entry", "task"), INFLUENCE_CASES)
def test_influences_add_up_to_nothing_and_give_the_jackknife_variance(
    entry: Metric, task: Task, rng: np.random.Generator
) -> None:
    made = make(task, rng, n=200)
    measured = measure(entry, Outcome(made))
    left_out = np.array([value(entry, made.take(np.arange(200) != row)) for row in range(200)])
    jackknife = 199 / 200 * ((left_out - left_out.mean()) ** 2).sum()

    assert measured.influence.sum() == pytest.approx(0, abs=1e-9)
    assert measured.standard_error**2 == pytest.approx(jackknife, rel=0.08)


@pytest.mark.parametrize(("entry", "task"), CASES)
def test_a_run_against_itself_is_never_better(entry: Metric, task: Task, rng: np.random.Generator) -> None:
    made = make(task, rng)

    found = compare(made, made, metric=entry.key, margin=0.0, rng=rng)

    assert (found.effect, found.low, found.high) == (0, 0, 0)
    assert found.verdict is Verdict.NOT_WORSE
    assert found.smallest_effect == 0


@pytest.mark.parametrize(("entry", "task"), NOISE_CASES)
def test_much_less_noise_is_better_and_the_reverse_is_worse(
    entry: Metric, task: Task, rng: np.random.Generator
) -> None:
    seed = int(rng.integers(1_000))
    good, bad = (make(task, np.random.default_rng(seed), n=2_000, noise=noise) for noise in (0.7, 3.0))

    there = compare(bad, good, metric=entry.key, margin=0.0, rng=rng)
    back = compare(good, bad, metric=entry.key, margin=0.0, rng=rng)

    assert (there.verdict, back.verdict) == (Verdict.BETTER, Verdict.WORSE)
    assert (there.effect, there.low, there.high) == pytest.approx((-back.effect, -back.high, -back.low))
    assert there.effect > there.smallest_effect > 0


@pytest.mark.parametrize("task", list(Task))
def test_nothing_undefined_is_ever_given(task: Task) -> None:
    for n in range(0, 9):
        for seed in range(10):
            rng = np.random.default_rng(seed)
            for one in compute_metrics(make(task, rng, n=n), rng=rng):
                assert math.isfinite(one.value)
                assert (one.low is None) == (one.high is None)
                assert one.low is None or math.isfinite(one.low)
                assert one.high is None or math.isfinite(one.high)
