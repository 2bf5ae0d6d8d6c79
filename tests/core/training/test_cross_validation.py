import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score

from core.datasets.splitting import Part, SplitOptions
from core.errors import InsufficientData
from core.evaluation.metrics import metrics_for
from core.evaluation.tables import Task
from core.training.cross_validation import OUTSIDE, Folds, cross_validate, make_folds
from core.training.fitting import fit, target_values
from core.training.frames import frame_from_table

FEATURES = [("age", "integer"), ("pay", "number"), ("job", "category")]
RANDOM, BY_TIME = SplitOptions(), SplitOptions(method="time", column="seen")


def parts_of(n_rows: int) -> np.ndarray:
    """Of ten rows in turn six train, two validate, one tests and one is kept out."""
    return np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 3], dtype=np.uint8)[np.arange(n_rows) % 10]


def folds_of(people: pa.Table, *, task: Task = Task.BINARY, n_folds: int = 5, split: SplitOptions = RANDOM) -> Folds:
    return make_folds(parts_of(people.num_rows), people, task=task, target=task.value, split=split, n_folds=n_folds)


def validated(people: pa.Table, *, task: Task = Task.BINARY, n_folds: int = 4, **over: Any) -> dict[str, Any]:
    split = over.pop("split", RANDOM)
    seen: list[tuple[int, int | None]] = over.pop("seen", [])
    key = over.pop("key", "ridge" if task == Task.REGRESSION else "logistic_regression")
    calibration, weight_column = over.pop("calibration", None), over.get("weight_column")

    def fit_on(training: pa.Table, aside: pa.Table | None) -> Any:
        seen.append((training.num_rows, None if aside is None else aside.num_rows))
        return fit(
            training, task=task, target=task.value, features=FEATURES, algorithm_key=key, parameters={}, seed=0,
            weight_column=weight_column, calibration=calibration, calibration_table=aside,
        )  # fmt: skip

    return cross_validate(
        folds_of(people, task=task, n_folds=n_folds, split=split),
        parts_of(people.num_rows),
        people,
        fit_on=fit_on,
        task=task,
        target=task.value,
        split=split,
        content_hash="abc",
        calibrated=calibration is not None,
        **over,
    )


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
@pytest.mark.parametrize("n_folds", [2, 7, 20])
def test_every_training_and_validation_row_is_held_out_once(people: pa.Table, task: Task, n_folds: int) -> None:
    folds = folds_of(people, task=task, n_folds=n_folds)
    parts = parts_of(people.num_rows)
    inside = (parts == Part.TRAIN) | (parts == Part.VALIDATION)
    held = np.zeros(people.num_rows, dtype=int)
    sizes = []
    for training, held_out in folds:
        assert not (training & held_out).any()
        assert np.array_equal(training | held_out, inside)
        held += held_out
        sizes.append(held_out.sum())
    assert np.array_equal(held, inside.astype(int))
    assert len(sizes) == n_folds
    assert max(sizes) - min(sizes) <= 1


def test_classes_are_shared_out_up_to_one_row(people: pa.Table) -> None:
    folds = folds_of(people, task=Task.MULTICLASS)
    truth = np.array(people["multiclass"].to_pylist())
    for label in (0, 1, 2):
        counts = [int((truth[held_out] == label).sum()) for _, held_out in folds]
        assert max(counts) - min(counts) <= 1


def test_folds_follow_from_the_split_the_number_and_the_data(people: pa.Table) -> None:
    same = [folds_of(people).digest("abc") for _ in range(2)]
    assert same[0] == same[1]
    others = {
        folds_of(people, n_folds=4).digest("abc"),
        folds_of(people, split=SplitOptions(seed=1)).digest("abc"),
        folds_of(people, task=Task.MULTICLASS).digest("abc"),
        folds_of(people).digest("other rows"),
    }
    assert len(others) == 4
    assert same[0] not in others


def test_by_time_each_model_is_fitted_on_what_came_before(people: pa.Table) -> None:
    folds = folds_of(people, split=BY_TIME)
    seen = np.array(people["seen"].to_pylist(), dtype="datetime64[us]")
    assert folds.forward
    trained = []
    for training, held_out in folds:
        assert seen[training].max() < seen[held_out].min()
        trained.append(int(training.sum()))
        assert 30 <= held_out.sum() <= 50
    assert trained == sorted(trained)
    assert (folds.number[parts_of(people.num_rows) == Part.TEST] == OUTSIDE).all()


def test_too_few_rows_or_moments_are_refused(people: pa.Table) -> None:
    with pytest.raises(InsufficientData, match="too few for 20 folds"):
        folds_of(people.slice(0, 30), n_folds=20)
    start = datetime(2026, 1, 1)  # noqa: DTZ001
    days = pa.array([start + timedelta(days=i % 3) for i in range(people.num_rows)], pa.timestamp("us"))
    few = people.set_column(people.column_names.index("seen"), "seen", days)
    with pytest.raises(InsufficientData, match="3 different moments"):
        folds_of(few, n_folds=5, split=BY_TIME)
    # As many stretches as there are moments can still be told apart.
    assert len(list(folds_of(few, n_folds=2, split=BY_TIME))) == 2


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_the_document_holds_every_metric_of_every_fold(people: pa.Table, task: Task) -> None:
    found = validated(people, task=task)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["folds"] == 4
    assert not found["forward"]
    assert sum(found["n_test"]) == 240
    assert [train + test for train, test in zip(found["n_train"], found["n_test"], strict=True)] == [240] * 4
    assert all(len(values) == 4 for values in found["metrics"].values())
    # A metric that is not defined on every fold is left out: a cost nobody named, the best three of three classes.
    defined = {entry.key for entry in metrics_for(task) if entry.key not in ("average_cost", "top_3_accuracy", "mape")}
    assert set(found["metrics"]) >= defined
    assert validated(people, task=task) == found


def test_each_value_is_that_of_a_model_that_never_saw_the_fold(people: pa.Table) -> None:
    """Against scikit-learn's own loop over the same folds."""
    found = validated(people, key="random_forest")
    folds = folds_of(people, n_folds=4)
    y, _ = target_values(people, task=Task.BINARY, target="binary")
    expected = []
    for training, held_out in folds:
        model = fit(
            people.filter(pa.array(training)), task=Task.BINARY, target="binary", features=FEATURES,
            algorithm_key="random_forest", parameters={}, seed=0,
        ).model  # fmt: skip
        frame = frame_from_table(people.filter(pa.array(held_out)), model.signature["features"])
        expected.append(float((model.pipeline.predict(frame) == y[held_out]).mean()))
    assert found["metrics"]["accuracy"] == pytest.approx(expected, abs=1e-12)
    frame = frame_from_table(people, [{"name": name, "kind": kind} for name, kind in FEATURES])
    pipeline = fit(
        people, task=Task.BINARY, target="binary", features=FEATURES, algorithm_key="random_forest", parameters={},
        seed=0,
    ).model.pipeline  # fmt: skip
    theirs = cross_val_score(pipeline, frame, y.astype(str), cv=StratifiedKFold(4, shuffle=True, random_state=0))
    assert np.mean(found["metrics"]["accuracy"]) == pytest.approx(theirs.mean(), abs=0.05)


def test_weights_count_in_the_folds_too(people: pa.Table) -> None:
    twice = people.append_column("w", pa.array([2.0] * people.num_rows))
    flat, doubled = validated(people), validated(twice, weight_column="w")
    assert doubled["metrics"]["accuracy"] == pytest.approx(flat["metrics"]["accuracy"])
    young = pa.array([1.0 if (age or 0) < 40 else 0.05 for age in people["age"].to_pylist()])
    uneven = validated(people.append_column("w", young), weight_column="w")
    assert uneven["metrics"]["accuracy"] != pytest.approx(flat["metrics"]["accuracy"])


@pytest.mark.parametrize("split", [RANDOM, BY_TIME], ids=["random", "time"])
def test_a_calibrated_set_up_keeps_rows_of_each_fold_for_its_calibrator(people: pa.Table, split: SplitOptions) -> None:
    many = pa.concat_tables([people] * 4)
    seen: list[tuple[int, int | None]] = []
    n_folds = 5 if split is RANDOM else 2
    validated(many, calibration="sigmoid", split=split, seen=seen, n_folds=n_folds)
    for n_training, n_aside in seen:
        assert n_aside is not None
        assert n_aside / (n_training + n_aside) == pytest.approx(0.25, abs=0.02)


def test_a_metric_that_one_fold_lacks_is_left_out(people: pa.Table) -> None:
    """With three positives in five folds, some fold has none to rank."""
    rare = pa.array(["yes" if i in (0, 11, 22) else "no" for i in range(people.num_rows)])
    table = people.set_column(people.column_names.index("binary"), "binary", rare)
    found = validated(table, n_folds=5, key="dummy")
    assert "roc_auc" not in found["metrics"]
    assert len(found["metrics"]["accuracy"]) == 5


def test_between_folds_it_can_be_stopped(people: pa.Table) -> None:
    asked: list[int] = []

    def on_fold(position: int) -> None:
        asked.append(position)
        if position == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validated(people, on_fold=on_fold)
    assert asked == [0, 1, 2]
