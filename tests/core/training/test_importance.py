from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from core.errors import JobCancelled
from core.evaluation.tables import Task
from core.training import importance
from core.training.fitting import fit
from core.training.frames import frame_from_table
from core.training.importance import ROWS, alike, associations, permutation_importance
from core.training.models import FittedModel, Prediction

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
    assert (found["metric"], found["rows"], found["repeats"]) == (metric, 400, 20)
    first, second, *rest = found["features"]
    assert (first["name"], second["name"]) == ("self", "**bold**")
    assert first["mean"] > second["mean"] > 0
    assert first["std"] > 0
    assert 0 < second["low"] < second["mean"] < second["high"] < first["mean"]
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


class Sum(FittedModel):
    """Predicts the sum of its first two columns."""

    def __init__(self) -> None:
        super().__init__(pipeline=None, signature={"task": "regression", "classes": None})

    def predict(self, frame: pd.DataFrame) -> Prediction:
        return Prediction(frame.iloc[:, :2].sum(axis=1).to_numpy(), None)


def test_the_interval_holds_what_other_rows_would_give(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importance, "PREDICTIONS", 1)

    def measured(n_rows: int) -> dict[str, dict[str, float]]:
        frame = pd.DataFrame({name: rng.normal(size=n_rows) for name in ("a", "b", "idle")})
        y = frame["a"].to_numpy() + frame["b"].to_numpy() + rng.normal(size=n_rows)
        found = permutation_importance(Sum(), frame, y, rng=rng)
        assert found is not None
        return {entry["name"]: entry for entry in found["features"]}

    # Shuffling one of the two adds twice its variance of 1 to the mean squared error of 1.
    truth = np.sqrt(3) - 1
    held = [one["low"] <= truth <= one["high"] for one in (measured(150)["a"] for _ in range(40))]
    assert sum(held) >= 36
    idle = measured(150)["idle"]
    assert (idle["mean"], idle["low"], idle["high"]) == (0, 0, 0)


def test_features_that_say_the_same_are_named_and_shuffled_together(rng: np.random.Generator) -> None:
    first = rng.normal(size=300)
    frame = pd.DataFrame({"one": first, "copy": first + 0.01 * rng.normal(size=300), "other": rng.normal(size=300)})
    found = permutation_importance(Sum(), frame, 2 * first, rng=rng)
    assert found is not None
    [group] = found["groups"]
    assert set(group["features"]) == {"one", "copy"}
    assert group["association"] > 0.99
    alone = max(entry["mean"] for entry in found["features"])
    assert group["low"] > alone > 0


def test_few_rows_are_shuffled_more_often_than_many(rng: np.random.Generator) -> None:
    model, frame, y = learnt(Task.BINARY, n_rows=ROWS)
    found = permutation_importance(model, frame, y, rng=rng)
    assert found is not None
    assert found["repeats"] == 15


def test_associations_are_those_of_the_textbooks(rng: np.random.Generator) -> None:
    from scipy.stats import spearmanr

    number = rng.normal(size=500)
    frame = pd.DataFrame(
        {
            "number": number,
            "related": number + rng.normal(size=500),
            "reversed": -(number**3),
            "band": pd.Series(np.array(["low", "mid", "top"], dtype=object)[np.digitize(number, [-0.5, 0.5])]),
            "noise": pd.Series(rng.choice(np.array(list("abcdefghij"), dtype=object), 500)),
            "flag": (number > 0).astype(float),
        }
    )
    frame["name"] = pd.Series([word.upper() for word in frame["band"]], dtype=object)
    found = pd.DataFrame(associations(frame), index=frame.columns, columns=frame.columns)
    assert found.loc["number", "related"] == pytest.approx(spearmanr(number, frame["related"]).statistic)
    assert found.loc["number", "reversed"] == pytest.approx(1)
    assert found.loc["band", "name"] == pytest.approx(1, abs=0.01)
    assert found.loc["number", "band"] > 0.9
    assert found.loc["noise", ["number", "band", "flag"]].max() < 0.15
    assert np.array_equal(found, found.T)
    assert [set(names) for names, _ in alike(frame[["noise", "number", "band", "name"]])] == [
        {"number", "band", "name"}
    ]


def test_what_is_missing_or_never_varies_goes_with_nothing() -> None:
    frame = pd.DataFrame(
        {
            "number": np.arange(20.0),
            "still": np.ones(20),
            "empty": np.full(20, np.nan),
            "word": pd.Series(["x"] * 20, dtype=object),
            "nobody": pd.Series([None] * 20, dtype=object),
            "each": pd.Series([str(n) for n in range(20)], dtype=object),
            "copy": np.where(np.arange(20) % 3 == 0, np.nan, np.arange(20.0)),
        }
    )
    found = pd.DataFrame(associations(frame), index=frame.columns, columns=frame.columns)
    assert found.loc["number"].drop("number").to_dict() == {
        "still": 0, "empty": 0, "word": 0, "nobody": 0, "each": 0, "copy": pytest.approx(1, abs=0.01),
    }  # fmt: skip
    assert alike(frame[["number"]]) == []
