import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_info

from core.errors import InsufficientData, InvalidInput, NotApplicable, SchemaMismatch
from core.evaluation.tables import Task
from core.training import model_files
from core.training.algorithms import ALGORITHMS
from core.training.fitting import Fit, fit
from core.training.models import FittedModel

QUICK = {"random_forest": {"n_estimators": 10}, "hist_gradient_boosting": {"max_iter": 10}}
PAIRS = [(key, task) for key, entry in ALGORITHMS.items() for task in entry.tasks]
FEATURES = [
    ("age", "integer"),
    ("pay", "number"),
    ("member", "boolean"),
    ("job", "category"),
    ("born", "date"),
    ("seen", "timestamp"),
]
ROW: dict[str, Any] = {
    "age": 41,
    "pay": 0.2,
    "member": True,
    "job": "cook",
    "born": "1961-02-03",
    "seen": "2026-01-09T10:00:00Z",
}


def fitted(table: pa.Table, task: Task, key: str = "random_forest", **over: Any) -> Fit:
    arguments = {
        "task": task,
        "target": task.value,
        "features": FEATURES,
        "algorithm_key": key,
        "parameters": QUICK.get(key, {}),
        "seed": 3,
        **over,
    }
    return fit(table, **arguments)


@pytest.mark.parametrize(("key", "task"), PAIRS)
def test_every_algorithm_fits_its_tasks_and_comes_back_bit_equal(people: pa.Table, key: str, task: Task) -> None:
    model = fitted(people, task, key).model
    before = model.predict_table(people)
    again = FittedModel(model_files.loads(model_files.save(model.pipeline), name="it"), model.signature)
    after = again.predict_table(people)
    assert np.array_equal(before.labels, after.labels)
    if task == Task.REGRESSION:
        assert before.scores is None
        assert before.labels.dtype == np.float64
    else:
        assert before.scores is not None
        assert after.scores is not None
        assert np.array_equal(before.scores, after.scores)
        assert before.scores.shape == (people.num_rows, len(model.classes))
        assert np.allclose(before.scores.sum(axis=1), 1)
        assert set(before.labels) <= set(model.classes)


@pytest.mark.parametrize(("key", "task"), PAIRS)
def test_the_same_record_gives_the_same_predictions(people: pa.Table, key: str, task: Task) -> None:
    first, second = (fitted(people, task, key).model.predict_table(people) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert first.scores is None or np.array_equal(first.scores, second.scores)


def test_the_seed_seeds_the_fit(people: pa.Table) -> None:
    first, second = (fitted(people, Task.REGRESSION, seed=seed).model.predict_table(people) for seed in (1, 2))
    assert not np.array_equal(first.labels, second.labels)


@pytest.mark.parametrize("key", [key for key, entry in ALGORITHMS.items() if Task.BINARY in entry.tasks])
def test_a_model_answers_for_categories_and_gaps_it_never_saw(people: pa.Table, key: str) -> None:
    model = fitted(people, Task.BINARY, key).model
    rows = [ROW, {**ROW, "job": "astronaut"}, {**ROW, "job": None, "age": None}]
    assert len(model.predict_rows(rows).labels) == 3
    empty = pa.table(
        {name: pa.nulls(2, people.schema.field(name).type) for name, _ in FEATURES},
        schema=people.select(range(6)).schema,
    )
    assert set(model.predict_table(empty).labels) <= {"no", "yes"}


def test_one_row_is_answered_as_it_would_be_among_many(people: pa.Table) -> None:
    model = fitted(people, Task.BINARY).model
    whole = model.predict_table(people.slice(0, 20))
    alone = [model.predict_table(people.slice(i, 1)) for i in range(20)]
    assert whole.labels.tolist() == [piece.labels[0] for piece in alone]


def test_a_model_beats_the_dummy_on_what_can_be_learnt(people: pa.Table) -> None:
    truth = np.array(people["binary"].to_pylist(), dtype=object)
    accuracy = {
        key: float(np.mean(fitted(people, Task.BINARY, key).model.predict_table(people).labels == truth))
        for key in ("dummy", "logistic_regression", "hist_gradient_boosting")
    }
    assert accuracy["logistic_regression"] > accuracy["dummy"] + 0.3
    assert accuracy["hist_gradient_boosting"] > accuracy["dummy"] + 0.3


def test_what_the_dummy_answers_is_known_from_the_training_rows(people: pa.Table) -> None:
    shares = fitted(people, Task.BINARY).dummy
    truth = people["binary"].to_pylist()
    assert shares["classes"] == ["no", "yes"]
    assert shares["shares"] == pytest.approx([truth.count("no") / 300, truth.count("yes") / 300])
    assert fitted(people, Task.REGRESSION).dummy["mean"] == pytest.approx(
        float(np.mean(people["regression"].to_numpy()))
    )


def test_the_signature_says_what_was_seen(people: pa.Table) -> None:
    signature = fitted(people, Task.MULTICLASS).model.signature
    assert signature["classes"] == ["0", "1", "2"]
    by_name = {entry["name"]: entry for entry in signature["features"]}
    assert list(by_name) == [name for name, _ in FEATURES]
    assert by_name["job"]["categories"] == ["cook", "nurse", "pilot"]
    assert by_name["job"]["nullable"]
    assert not by_name["pay"]["nullable"]
    ages = people["age"].drop_null().to_pylist()
    assert (by_name["age"]["low"], by_name["age"]["high"]) == (min(ages), max(ages))
    assert by_name["born"]["low"] == min(people["born"].to_pylist()).isoformat()


@pytest.mark.parametrize(("key", "task"), PAIRS)
def test_every_algorithm_follows_the_weights(people: pa.Table, key: str, task: Task) -> None:
    """The old weigh next to nothing, so what is learnt of the young fits the young better."""
    young = np.array([(age or 0) < 45 for age in people["age"].to_pylist()])
    table = people.append_column("w", pa.array(np.where(young, 1.0, 1e-6)))
    over = {"features": [("member", "boolean"), ("pay", "number")]}
    plain = fitted(people, task, key, **over).model.predict_table(people)
    weighed = fitted(table, task, key, weight_column="w", **over).model.predict_table(people)
    truth = np.array(people[task.value].to_pylist())[young]
    if task == Task.REGRESSION:
        errors = [float(np.mean((one.labels[young] - truth) ** 2)) for one in (plain, weighed)]
        assert errors[1] < errors[0]
    else:
        wrong = [float(np.mean(one.labels[young] != truth.astype(str))) for one in (plain, weighed)]
        assert wrong[1] <= wrong[0]
        assert not np.allclose(plain.scores, weighed.scores)


def test_the_dummy_answers_by_weight(people: pa.Table) -> None:
    ages = np.array([float(age or 1) for age in people["age"].to_pylist()])
    table = people.append_column("w", pa.array(ages))
    truth = np.array(people["binary"].to_pylist())
    shares = fitted(table, Task.BINARY, "dummy", weight_column="w")
    assert shares.dummy["shares"] == pytest.approx([ages[truth == one].sum() / ages.sum() for one in ("no", "yes")])
    scores = shares.model.predict_table(people).scores
    assert scores is not None
    assert scores[0] == pytest.approx(shares.dummy["shares"])
    mean = fitted(table, Task.REGRESSION, "dummy", weight_column="w")
    assert mean.dummy["mean"] == pytest.approx(np.average(people["regression"].to_numpy(), weights=ages))
    assert mean.model.predict_table(people).labels[0] == pytest.approx(mean.dummy["mean"])


def test_weighing_all_rows_alike_changes_nothing(people: pa.Table) -> None:
    table = people.append_column("w", pa.array([1.0] * people.num_rows))
    for key in ("ridge", "hist_gradient_boosting"):
        plain = fitted(people, Task.REGRESSION, key).model.predict_table(people)
        weighed = fitted(table, Task.REGRESSION, key, weight_column="w").model.predict_table(people)
        assert np.allclose(plain.labels, weighed.labels)


def test_weights_that_are_none_are_refused(people: pa.Table) -> None:
    for weights, error, message in (
        ([None] * 2 + [1.0] * 298, InvalidInput, "2 rows have no weight of at least 0 in 'w'"),
        ([-0.1] + [1.0] * 299, InvalidInput, "1 rows have no weight"),
        ([float("inf")] + [1.0] * 299, InvalidInput, "1 rows have no weight"),
        ([0.0] * 300, InsufficientData, "All training rows have the weight 0"),
    ):
        table = people.append_column("w", pa.array(weights))
        with pytest.raises(error, match=message):
            fitted(table, Task.BINARY, weight_column="w")


def test_rows_without_a_target_are_left_out_and_counted(people: pa.Table) -> None:
    gaps = pa.array([None if i < 25 else v for i, v in enumerate(people["binary"].to_pylist())])
    table = people.set_column(people.column_names.index("binary"), "binary", gaps)
    result = fitted(table, Task.BINARY)
    assert (result.n_train, result.n_without_target) == (275, 25)


def test_a_fit_that_did_not_converge_says_so(people: pa.Table) -> None:
    (note,) = fitted(people, Task.MULTICLASS, "logistic_regression", parameters={"max_iter": 2}).notes
    assert "before it converged" in note
    assert fitted(people, Task.MULTICLASS, "logistic_regression").notes == ()


def test_what_cannot_be_fitted_is_refused(people: pa.Table) -> None:
    with pytest.raises(InsufficientData, match="at least 10"):
        fitted(people.slice(0, 9), Task.BINARY)
    with pytest.raises(InsufficientData, match="same 'binary'"):
        fitted(people.filter(pa.array([v == "no" for v in people["binary"].to_pylist()])), Task.BINARY)
    with pytest.raises(NotApplicable):
        fitted(people, Task.BINARY, "ridge")
    with pytest.raises(SchemaMismatch, match="'job'"):
        fitted(people, Task.REGRESSION, target="job")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("key", list(ALGORITHMS))
def test_a_feature_without_values_is_taken_and_not_read(people: pa.Table, key: str, weighted: bool) -> None:
    """Also where the only values it has are in rows of weight 0."""
    task = ALGORITHMS[key].tasks[0]
    gone, n = {"age": pa.int64(), "pay": pa.float64(), "job": pa.string(), "born": pa.date32()}, people.num_rows
    table = people.append_column("weight", pa.array([0.0] * 9 + [1.0] * (n - 9)))
    for name, kind in gone.items():
        kept = people[name].to_pylist()[:9] if weighted else []
        table = table.set_column(
            table.column_names.index(name), name, pa.array([*kept, *[None] * (n - len(kept))], kind)
        )
    model = fitted(table, task, key, weight_column="weight" if weighted else None).model
    there = model.predict_table(people)
    assert np.array_equal(there.labels, model.predict_table(table).labels)


def test_features_without_any_value_are_refused(people: pa.Table) -> None:
    nothing = people.set_column(0, "age", pa.nulls(people.num_rows, pa.int64()))
    with pytest.raises(InsufficientData, match="No feature has a value"):
        fitted(nothing, Task.BINARY, features=[("age", "integer")])


class Watched:
    """A pipeline that notes how many threads its libraries may use whenever it is asked."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline, self.threads = pipeline, []

    def __getattr__(self, name: str) -> Any:
        self.threads.append(max(pool["num_threads"] for pool in threadpool_info()))
        return getattr(self._pipeline, name)


@pytest.mark.parametrize("key", list(ALGORITHMS))
def test_one_row_is_answered_in_one_thread(people: pa.Table, key: str) -> None:
    # What keeps one row's answer quick on a busy machine: threads that share so little wait for each other.
    model = fitted(people, ALGORITHMS[key].tasks[0], key, parameters={}).model
    watched, before = Watched(model.pipeline), threading.active_count()
    replace(model, pipeline=watched).predict_rows([ROW])
    assert watched.threads == [1]
    assert threading.active_count() == before
    assert all(getattr(step, "n_jobs", 1) in (None, 1) for step in model.pipeline.named_steps.values())
