import itertools
import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput
from core.evaluation.tables import Task
from core.training import explaining
from core.training.algorithms import ALGORITHMS
from core.training.calibrating import calibrate
from core.training.explaining import EXACT_UP_TO, contributions, explained_in_words
from core.training.fitting import fit
from core.training.frames import frame_from_rows, frame_from_table
from core.training.models import FittedModel, Prediction

KINDS = [
    ("age", "integer"),
    ("pay", "number"),
    ("member", "boolean"),
    ("job", "category"),
    ("born", "date"),
    ("seen", "timestamp"),
]


def learnt(people: pa.Table, task: Task, algorithm: str) -> tuple[FittedModel, pd.DataFrame]:
    features = [(name, kind) for name, kind in KINDS if name != task.value]
    model = fit(
        people, task=task, target=task.value, features=features, algorithm_key=algorithm, parameters={}, seed=0
    ).model
    return model, frame_from_table(people, model.signature["features"])


class Formula(FittedModel):
    """A model that is known in closed form."""

    def __init__(self, formula: Any) -> None:
        super().__init__(pipeline=None, signature={"task": "regression", "classes": None})
        object.__setattr__(self, "formula", formula)

    def predict(self, frame: pd.DataFrame) -> Prediction:
        return Prediction(np.asarray(self.formula(frame), dtype=np.float64), None)  # type: ignore[attr-defined]


def numbers(rng: np.random.Generator, n_rows: int, d: int) -> pd.DataFrame:
    return pd.DataFrame({f"x{j}": rng.normal(size=n_rows) for j in range(d)})


def brute_force(model: FittedModel, row: pd.DataFrame, background: pd.DataFrame) -> NDArray[np.float64]:
    """Shapley's definition, order by order, with the mean over the background as a coalition's worth."""
    names = list(background.columns)

    @cache
    def worth(known: frozenset[str]) -> float:
        mixed = background.copy()
        for name in known:
            mixed[name] = pd.Series([row[name].iloc[0]] * len(mixed), dtype=mixed[name].dtype, index=mixed.index)
        labels, scores = model.predict(mixed)
        return float(np.mean(labels if scores is None else scores[:, 1]))

    total = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for place, name in enumerate(order):
            total[name] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
    return np.array([total[name] for name in names]) / math.factorial(len(names))


@pytest.mark.parametrize(
    ("task", "algorithm"),
    [(task, entry.key) for entry in ALGORITHMS.values() for task in entry.tasks],
)
def test_base_and_contributions_sum_to_the_prediction(
    people: pa.Table, rng: np.random.Generator, task: Task, algorithm: str
) -> None:
    model, frame = learnt(people, task, algorithm)
    rows = frame.iloc[:4]  # the fourth has no age
    found = contributions(model, rows, frame, rng=rng, n_background=30, n_permutations=30)
    labels, scores = model.predict(rows)
    if scores is None:
        expected = labels
        assert found.of == (None,) * 4
    elif task == Task.BINARY:
        expected = scores[:, 1]
        assert found.of == (model.classes[1],) * 4
    else:
        expected = scores.max(axis=1)
        assert found.of == tuple(labels)
    assert found.base + found.values.sum(axis=1) == pytest.approx(expected, abs=1e-6)
    assert found.predicted == pytest.approx(expected, abs=1e-12)
    assert found.features == tuple(frame.columns)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_recalibrated_model_is_explained_like_any_other(
    people: pa.Table, rng: np.random.Generator, method: str
) -> None:
    model, frame = learnt(people, Task.BINARY, "hist_gradient_boosting")
    truth = np.array(people["binary"].to_pylist(), dtype=object)
    bent = FittedModel(calibrate(model.pipeline, frame, truth, method=method), model.signature)
    found = contributions(bent, frame.iloc[:3], frame, rng=rng, n_background=30)
    scores = bent.predict(frame.iloc[:3]).scores
    assert scores is not None
    assert found.base + found.values.sum(axis=1) == pytest.approx(scores[:, 1], abs=1e-6)


@pytest.mark.parametrize("d", [EXACT_UP_TO, EXACT_UP_TO + 4])
def test_a_sum_gives_each_feature_what_it_differs_from_the_mean(rng: np.random.Generator, d: int) -> None:
    frame, weights = numbers(rng, 200, d), rng.normal(size=d)
    found = contributions(
        Formula(lambda rows: rows.to_numpy() @ weights), frame.iloc[:2], frame, rng=rng, n_background=200
    )
    assert found.exact == (d <= EXACT_UP_TO)
    assert found.values == pytest.approx((frame.iloc[:2] - frame.mean()).to_numpy() * weights, abs=1e-9)
    # Its spread is that of the background alone: the standard error of a mean.
    assert found.standard_error[0] == pytest.approx(frame.std().to_numpy() * abs(weights) / np.sqrt(200), abs=1e-9)


def test_a_fitted_linear_model_gives_its_coefficient_times_the_difference(rng: np.random.Generator) -> None:
    table = pa.table({f"x{j}": rng.normal(size=300) for j in range(8)})
    target = sum((j + 1) * table[f"x{j}"].to_numpy() for j in range(8)) + rng.normal(size=300)
    model = fit(
        table.append_column("y", pa.array(target)), task=Task.REGRESSION, target="y",
        features=[(f"x{j}", "number") for j in range(8)], algorithm_key="ridge", parameters={}, seed=0,
    ).model  # fmt: skip
    frame = frame_from_table(table, model.signature["features"])
    scale = model.pipeline.named_steps["columns"].named_transformers_["numbers"].named_steps["scale"].scale_
    slope = model.pipeline.named_steps["model"].coef_.ravel() / scale
    found = contributions(model, frame.iloc[:5], frame, rng=rng, n_background=300)
    assert found.values == pytest.approx((frame.iloc[:5] - frame.mean()).to_numpy() * slope, abs=1e-8)


def test_few_features_get_exactly_shapleys_values(people: pa.Table, rng: np.random.Generator) -> None:
    features = [(name, kind) for name, kind in KINDS if name in ("age", "pay", "job", "seen")]
    model = fit(
        people, task=Task.BINARY, target="binary", features=features, algorithm_key="random_forest",
        parameters={"n_estimators": 10}, seed=0,
    ).model  # fmt: skip
    frame = frame_from_table(people, model.signature["features"])
    row, background = frame.iloc[[17]], frame.iloc[100:120]
    found = contributions(model, row, background, rng=rng)
    assert found.exact
    assert found.n_permutations == 0
    assert found.values[0] == pytest.approx(brute_force(model, row, background), abs=1e-12)


def test_drawn_orders_come_close_to_shapleys_values_and_say_how_close(
    people: pa.Table, rng: np.random.Generator
) -> None:
    model, frame = learnt(people, Task.BINARY, "hist_gradient_boosting")
    row, background = frame.iloc[[17]], frame.iloc[100:112]
    found = contributions(model, row, background, rng=rng, n_permutations=960)
    assert not found.exact
    assert found.n_permutations == 960
    expected = brute_force(model, row, background)
    assert found.values[0] == pytest.approx(expected, abs=0.02)
    assert abs(expected).max() > 0.2
    few = [contributions(model, row, frame, rng=rng, n_background=25) for _ in range(20)]
    spread = np.std([one.values[0] for one in few], axis=0)
    claimed = np.mean([one.standard_error[0] for one in few], axis=0)
    used = spread > 1e-6
    assert used.sum() >= 3
    assert np.all((claimed / spread)[used] > 0.6)
    assert np.all((claimed / spread)[used] < 1.6)


def test_features_that_play_the_same_part_get_the_same(rng: np.random.Generator) -> None:
    frame = numbers(rng, 300, 4)
    frame["x1"] = frame["x0"].to_numpy()
    found = contributions(
        Formula(lambda rows: rows["x0"] * rows["x1"] + rows["x2"]), frame.iloc[:1], frame, rng=rng, n_background=50
    )
    assert found.values[0, 0] == pytest.approx(found.values[0, 1], abs=1e-12)


@pytest.mark.parametrize("d", [4, 9])
def test_a_feature_that_is_not_used_gets_nothing(rng: np.random.Generator, d: int) -> None:
    frame = numbers(rng, 100, d)
    found = contributions(
        Formula(lambda rows: np.exp(rows["x0"] * rows["x2"])), frame.iloc[:3], frame, rng=rng, n_background=40
    )
    unused = [j for j in range(d) if j not in (0, 2)]
    assert np.all(found.values[:, unused] == 0)
    assert np.all(found.standard_error[:, unused] == 0)


def test_a_model_that_always_says_the_same_gives_nothing_to_any_feature(
    people: pa.Table, rng: np.random.Generator
) -> None:
    model, frame = learnt(people, Task.BINARY, "dummy")
    found = contributions(model, frame.iloc[:2], frame, rng=rng, n_background=20)
    assert np.all(found.values == 0)
    assert found.base == pytest.approx(found.predicted)


def test_the_same_generator_gives_the_same_values_whatever_other_rows_are_explained(
    people: pa.Table,
) -> None:
    model, frame = learnt(people, Task.BINARY, "hist_gradient_boosting")
    alone = contributions(model, frame.iloc[[5]], frame, rng=np.random.default_rng(1), n_background=20)
    beside = contributions(model, frame.iloc[[2, 5]], frame, rng=np.random.default_rng(1), n_background=20)
    assert alone.values[0] == pytest.approx(beside.values[1], abs=1e-12)


def test_missing_values_and_categories_never_seen_are_values_like_others(
    people: pa.Table, rng: np.random.Generator
) -> None:
    model, frame = learnt(people, Task.BINARY, "logistic_regression")
    row = {"age": None, "pay": 1.5, "member": True, "job": "astronaut", "born": "1950-05-05", "seen": "2026-01-05"}
    found = contributions(model, frame_from_rows([row], model.signature), frame, rng=rng, n_background=20)
    assert np.all(np.isfinite(found.values))
    assert found.base[0] + found.values[0].sum() == pytest.approx(found.predicted[0], abs=1e-6)


def test_one_training_row_is_enough_but_leaves_the_error_unknown(rng: np.random.Generator) -> None:
    frame = numbers(rng, 5, 3)
    found = contributions(Formula(lambda rows: rows["x0"]), frame.iloc[:1], frame.iloc[4:], rng=rng)
    assert found.values[0] == pytest.approx([frame["x0"].iloc[0] - frame["x0"].iloc[4], 0, 0])
    assert np.all(np.isnan(found.standard_error))


def test_no_rows_to_explain_give_no_contributions(people: pa.Table, rng: np.random.Generator) -> None:
    model, frame = learnt(people, Task.MULTICLASS, "random_forest")
    assert contributions(model, frame.iloc[:0], frame, rng=rng).values.shape == (0, 6)


def test_what_cannot_be_explained_is_refused(rng: np.random.Generator) -> None:
    frame, model = numbers(rng, 5, 3), Formula(lambda rows: rows["x0"])
    with pytest.raises(InsufficientData, match="no training rows"):
        contributions(model, frame, frame.iloc[:0], rng=rng)
    with pytest.raises(InvalidInput, match="in the order of the model's signature"):
        contributions(model, frame[["x1", "x0", "x2"]], frame, rng=rng)
    with pytest.raises(InvalidInput, match="at least 1"):
        contributions(model, frame, frame, rng=rng, n_background=0)


def test_many_features_are_walked_from_fewer_rows(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MOST_PREDICTIONS", 6000)
    monkeypatch.setattr(explaining, "PIECE_CELLS", 10_000)
    frame = numbers(rng, 300, 60)
    found = contributions(Formula(lambda rows: rows["x0"] * 2), frame.iloc[:1], frame, rng=rng)
    assert found.n_background == 6000 // 119
    assert found.values[0, 1:].max() == 0


def test_the_words_say_of_what_and_what_is_assumed() -> None:
    assert "the score of yes of this row" in explained_in_words(Task.BINARY, "yes", n_background=500)
    assert "the class predicted" in explained_in_words(Task.MULTICLASS, "b", n_background=500)
    assert "the predicted value" in explained_in_words(Task.REGRESSION, None, n_background=500)
    assert "varied independently" in explained_in_words(Task.REGRESSION, None, n_background=500)
