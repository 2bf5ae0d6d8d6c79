from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.metrics import compute_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.training import model_files
from core.training.algorithms import ALGORITHMS
from core.training.calibrating import CALIBRATIONS, require_calibration
from core.training.fitting import Fit, fit, target_values
from core.training.frames import frame_from_table
from core.training.models import FittedModel
from core.training.preprocessing import build_pipeline

QUICK = {"random_forest": {"n_estimators": 10}, "hist_gradient_boosting": {"max_iter": 10}}
FEATURES = [("age", "integer"), ("pay", "number"), ("job", "category")]
CASES = [
    (key, task, method)
    for key, entry in ALGORITHMS.items()
    for task in (Task.BINARY, Task.MULTICLASS)
    if task in entry.tasks
    for method in CALIBRATIONS
]


def fitted(table: pa.Table, task: Task, key: str, method: str | None, aside: pa.Table | None, **over: Any) -> Fit:
    arguments = {
        "task": task,
        "target": task.value,
        "features": FEATURES,
        "algorithm_key": key,
        "parameters": QUICK.get(key, {}),
        "seed": 3,
        "calibration": method,
        "calibration_table": aside,
        **over,
    }
    return fit(table, **arguments)


@pytest.mark.parametrize(("key", "task", "method"), CASES)
def test_every_calibrated_classifier_comes_back_bit_equal(people: pa.Table, key: str, task: Task, method: str) -> None:
    train, aside = people.slice(0, 200), people.slice(200)
    model = fitted(train, task, key, method, aside).model
    content = model_files.save(model.pipeline)
    before = model.predict_table(people)
    after = FittedModel(model_files.loads(content, name="it"), model.signature).predict_table(people)
    assert before.scores is not None
    assert after.scores is not None
    assert np.array_equal(before.scores, after.scores)
    assert np.array_equal(before.labels, after.labels)
    assert np.allclose(before.scores.sum(axis=1), 1)
    assert ((before.scores >= 0) & (before.scores <= 1)).all()
    again = fitted(train, task, key, method, aside).model.predict_table(people)
    assert again.scores is not None
    assert np.array_equal(again.scores, before.scores)
    # The estimator is written once, not once more as a parameter.
    plain = model_files.save(fitted(train, task, key, None, None).model.pipeline)
    assert len(content) < 1.3 * len(plain) + 10_000


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator")
@pytest.mark.parametrize("method", CALIBRATIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(people: pa.Table, method: str, weighted: bool) -> None:
    train, aside = people.slice(0, 200), people.slice(200)
    column = "pay_weight" if weighted else None
    weigh = np.abs(people["pay"].to_numpy()) + 0.1
    train, aside = (
        one.append_column("pay_weight", pa.array(weigh[part]))
        for one, part in ((train, slice(0, 200)), (aside, slice(200, 300)))
    )
    result = fitted(train, Task.BINARY, "random_forest", method, aside, weight_column=column)
    assert not [note for note in result.notes if "Frozen" in note]
    model = result.model
    entry = ALGORITHMS["random_forest"]
    declared = [{"name": name, "kind": kind} for name, kind in FEATURES]
    pipeline = build_pipeline(
        entry.build(Task.BINARY, {"n_estimators": 10, "max_depth": 0, "min_samples_leaf": 5, "max_features": "sqrt",
                                  "class_weight": "none"}, 3),
        encoding=entry.encoding, kinds=[kind for _, kind in FEATURES], n_rows=200,
    )  # fmt: skip
    y, _ = target_values(train, task=Task.BINARY, target="binary")
    pipeline.fit(frame_from_table(train, declared), y, **({"model__sample_weight": weigh[:200]} if weighted else {}))
    expected = CalibratedClassifierCV(FrozenEstimator(pipeline), method=method, ensemble=False).fit(
        frame_from_table(aside, declared),
        target_values(aside, task=Task.BINARY, target="binary")[0],
        sample_weight=weigh[200:] if weighted else None,
    )
    scores = model.predict_table(people).scores
    assert scores is not None
    theirs = expected.predict_proba(frame_from_table(people, declared))
    if method == "isotonic":
        # Within Laplace's bounds of the 100 rows it learnt on; between two steps the bound bends the slope a little.
        assert scores.min() == pytest.approx(1 / 102)
        inside = (theirs > 0.05) & (theirs < 0.95)
        assert inside.sum() > 50
        assert np.allclose(scores[inside], theirs[inside], atol=0.01)
        theirs = np.clip(theirs, 1 / 102, 101 / 102)
    assert np.allclose(scores, theirs, atol=0.01 if method == "isotonic" else 1e-12)


def spread(n_rows: int, seed: int) -> pa.Table:
    """A rare class with much noise, which balanced class weights and deep trees score far too high."""
    rng = np.random.default_rng(seed)
    age, pay = rng.integers(18, 80, n_rows), rng.normal(size=n_rows)
    chance = 1 / (1 + np.exp(3.2 - age / 40 - pay))
    return pa.table(
        {
            "age": age,
            "pay": pay,
            "job": rng.choice(["cook", "nurse"], n_rows),
            "binary": np.where(rng.random(n_rows) < chance, "yes", "no"),
        }
    )


@pytest.mark.parametrize("method", CALIBRATIONS)
@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        ("logistic_regression", {"class_weight": "balanced"}),
        ("random_forest", {"n_estimators": 20, "min_samples_leaf": 1}),
    ],
)
def test_scores_that_were_no_shares_become_shares(key: str, parameters: dict[str, Any], method: str) -> None:
    train, aside, judged = (spread(n_rows, seed) for seed, n_rows in enumerate((1500, 1500, 3000)))
    figures = []
    for one in (None, method):
        model = fitted(train, Task.BINARY, key, one, aside, parameters=parameters).model
        labels, scores = model.predict_table(judged)
        y_true, _ = target_values(judged, task=Task.BINARY, target="binary")
        predictions = Predictions(Task.BINARY, np.arange(len(labels)), y_true, labels, scores, model.classes)
        figures.append({found.key: found.value for found in compute_metrics(predictions)})
    raw, mended = figures
    assert mended["log_loss"] < raw["log_loss"] - 0.02
    assert mended["expected_calibration_error"] < 0.5 * raw["expected_calibration_error"]
    assert mended["roc_auc"] == pytest.approx(raw["roc_auc"], abs=0.01)


def test_what_cannot_be_calibrated_is_refused(people: pa.Table) -> None:
    with pytest.raises(NotApplicable, match="predicts numbers, not shares"):
        fitted(people, Task.REGRESSION, "ridge", "sigmoid", people)
    with pytest.raises(InvalidInput, match="Choose one of: sigmoid, isotonic"):
        fitted(people, Task.BINARY, "dummy", "beta", people)
    with pytest.raises(InsufficientData, match="40 validation rows are too few"):
        fitted(people, Task.BINARY, "dummy", "sigmoid", people.slice(0, 40))
    only = people.filter(pa.array([value == "no" for value in people["binary"].to_pylist()])).slice(0, 60)
    with pytest.raises(InsufficientData, match="Only 0 validation rows are of class 'yes'"):
        fitted(people, Task.BINARY, "dummy", "sigmoid", only)


def test_rows_that_weigh_nothing_or_hold_an_unknown_class_teach_the_calibrator_nothing(people: pa.Table) -> None:
    train, aside = people.slice(0, 200), people.slice(200)
    more = aside.set_column(
        aside.column_names.index("binary"), "binary", pa.array(["perhaps"] * aside.num_rows, pa.string())
    )
    plain = fitted(train, Task.BINARY, "logistic_regression", "sigmoid", aside).model.predict_table(people)
    known = fitted(train, Task.BINARY, "logistic_regression", "sigmoid", pa.concat_tables([aside, more])).model
    assert np.array_equal(plain.scores, known.predict_table(people).scores)
    weighted = [
        table.append_column("w", pa.array(np.full(table.num_rows, weight)))
        for table, weight in ((train, 1.0), (aside, 1.0), (people.slice(0, 100), 0.0))
    ]
    both = pa.concat_tables(weighted[1:])
    light = fitted(weighted[0], Task.BINARY, "logistic_regression", "sigmoid", both, weight_column="w").model
    assert np.allclose(plain.scores, light.predict_table(people).scores, atol=1e-9)


def test_an_isotonic_calibrator_on_few_rows_says_so(people: pa.Table) -> None:
    (note,) = fitted(people, Task.BINARY, "dummy", "isotonic", people).notes
    assert "300 rows follows their chance" in note
    assert fitted(people, Task.BINARY, "dummy", "sigmoid", people).notes == ()


def test_every_method_says_what_it_does() -> None:
    for key, entry in CALIBRATIONS.items():
        assert require_calibration(key, Task.BINARY) is entry
        assert entry.key == key
        assert entry.sentence.endswith(".")
