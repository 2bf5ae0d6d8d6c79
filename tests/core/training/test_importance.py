from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from core.errors import JobCancelled
from core.evaluation.tables import Task
from core.training.fitting import fit
from core.training.frames import frame_from_table
from core.training.importance import REPEATS, ROWS, permutation_importance
from core.training.models import FittedModel

# Names are data, whatever they look like.
NAMES = ("self", "**bold**", "model__C", "1")
NUMBERS = [(name, "number") for name in NAMES]


def learnt(task: Task, n_rows: int = 400) -> tuple[FittedModel, Any, NDArray[Any]]:
    """A model for which the first feature matters most, the second less, and the others not at all."""
    rng = np.random.default_rng(5)
    columns = {name: rng.normal(size=n_rows) for name in NAMES}
    strength = 3 * columns["self"] + columns["**bold**"]
    y: NDArray[Any] = strength
    if task != Task.REGRESSION:
        cuts = [0.0] if task == Task.BINARY else [-1.0, 1.0]
        y = np.array(["low", "middle", "top"], dtype=object)[np.digitize(strength, cuts)]
    table = pa.table({**columns, "y": y})
    key = "ridge" if task == Task.REGRESSION else "logistic_regression"
    model = fit(table, task=task, target="y", features=NUMBERS, algorithm_key=key, parameters={}, seed=0).model
    return model, frame_from_table(table, model.signature["features"]), y


@pytest.mark.parametrize(
    ("task", "metric"), [(Task.BINARY, "roc_auc"), (Task.MULTICLASS, "accuracy"), (Task.REGRESSION, "rmse")]
)
def test_what_the_model_relies_on_comes_first(task: Task, metric: str, rng: np.random.Generator) -> None:
    model, frame, y = learnt(task)
    found = permutation_importance(model, frame, y, rng=rng)
    assert found is not None
    assert (found["metric"], found["rows"], found["repeats"]) == (metric, 400, REPEATS)
    first, second, *rest = found["features"]
    assert (first["name"], second["name"]) == ("self", "**bold**")
    assert first["mean"] > second["mean"] > 0
    assert first["std"] > 0
    assert all(abs(entry["mean"]) < second["mean"] / 2 for entry in rest)


def test_the_drop_is_what_shuffling_by_hand_costs(rng: np.random.Generator) -> None:
    model, frame, y = learnt(Task.REGRESSION)
    found = permutation_importance(model, frame, y, rng=rng)
    assert found is not None
    # Shuffling x replaces w·x by an independent copy: mean squared error grows by about 2·w²·var(x).
    expected = np.sqrt(2 * 9 * np.var(frame["self"]))
    assert found["features"][0]["mean"] == pytest.approx(expected, rel=0.15)


def test_the_frame_is_left_as_it_was_and_large_ones_are_sampled(rng: np.random.Generator) -> None:
    model, frame, y = learnt(Task.BINARY, n_rows=ROWS + 500)
    before = frame.copy(deep=True)
    found = permutation_importance(model, frame, y, rng=rng)
    assert found is not None
    assert found["rows"] == ROWS
    assert frame.equals(before)


def test_rows_that_cannot_be_scored_give_nothing(rng: np.random.Generator) -> None:
    model, frame, y = learnt(Task.BINARY)
    assert permutation_importance(model, frame.head(9), y[:9], rng=rng) is None
    only = y == "low"
    assert permutation_importance(model, frame[only], y[only], rng=rng) is None


def test_it_can_be_stopped_between_features(rng: np.random.Generator) -> None:
    model, frame, y = learnt(Task.BINARY)

    def stop(position: int) -> None:
        if position == 1:
            raise JobCancelled("It was cancelled.")

    with pytest.raises(JobCancelled):
        permutation_importance(model, frame, y, rng=rng, on_feature=stop)
