import json
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.automation.inline import run_all
from core.errors import InvalidInput, NotApplicable, SchemaMismatch
from core.evaluation import queries as evaluations
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.permissions import Actor
from core.training.explanation_analysis import contributions, dependence, way_in_words
from core.training.fitting import fit, target_values
from core.training.service import request_analysis
from core.workspace import Workspace
from tests.core.training.conftest import AddVersion, Train

KINDS = [
    ("age", "integer"),
    ("pay", "number"),
    ("member", "boolean"),
    ("job", "category"),
    ("born", "date"),
    ("seen", "timestamp"),
]
ROW = {"age": 30, "pay": 1.5, "member": True, "job": "cook", "born": "1955-01-01", "seen": "2026-01-03T04:00:00"}


def material(
    people: pa.Table, task: Task, algorithm: str = "hist_gradient_boosting", importance: Any = None, kinds: Any = KINDS
) -> Any:
    """What `Material` offers, of the first 200 rows trained on and the last 100 evaluated."""
    trained, rows = people.slice(0, 200), people.slice(200)
    model = fit(
        trained, task=task, target=task.value, features=kinds, algorithm_key=algorithm, parameters={}, seed=0
    ).model
    truth, _ = target_values(rows, task=task, target=task.value)
    labels, scores = model.predict_table(rows)
    return SimpleNamespace(
        model=model,
        run=SimpleNamespace(seed=0, importance=importance),
        predictions=Predictions(task, np.arange(1000, 1100), truth, labels, scores, model.classes),
        rows=lambda columns: rows.select(list(columns)),
        training_rows=lambda n_rows, rng: trained,  # noqa: ARG005 - as `Material` calls it
    )


@pytest.fixture(scope="module")
def binary(people: pa.Table) -> Any:
    return material(people, Task.BINARY)


def by_name(document: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in document["features"]}


@pytest.mark.parametrize("task", list(Task))
def test_dependence_is_the_mean_of_what_rows_would_get(people: pa.Table, task: Task) -> None:
    given = material(people, task)
    found = dependence(given, {"features": ["pay", "job"]})
    json.dumps(found, allow_nan=False)
    rows = people.slice(200)
    for name, point in (("pay", 7), ("job", 1)):
        feature = by_name(found)[name]
        column = rows.schema.get_field_index(name)
        changed = rows.set_column(
            column, rows.schema.field(name), pa.array([feature["values"][point]] * 100, rows.schema.field(name).type)
        )
        labels, scores = given.model.predict_table(changed)
        expected = labels if scores is None else scores[:, given.model.classes.index(found["of"])]
        assert feature["average"][point] == pytest.approx(np.mean(expected), rel=1e-4)
        assert {len(line) for line in feature["lines"]} == {len(feature["values"])}
        assert len(feature["lines"]) == len(feature["own"]) == 30


def test_a_line_passes_through_the_rows_own_prediction(people: pa.Table) -> None:
    given = material(people, Task.REGRESSION, "ridge")
    [feature] = dependence(given, {"features": ["member"]})["features"]
    assert feature["values"] == [False, True]
    predicted = {round(float(value), 4) for value in given.model.predict_table(people.slice(200)).labels}
    for line, own in zip(feature["lines"], feature["own"], strict=True):
        assert min(abs(line[int(own)] - value) for value in predicted) < 1e-3


def test_a_linear_model_gives_a_straight_line_of_its_slope(people: pa.Table) -> None:
    given = material(people, Task.REGRESSION, "ridge")
    [feature] = dependence(given, {"features": ["pay"]})["features"]
    slopes = np.diff(feature["average"]) / np.diff(feature["values"])
    assert slopes == pytest.approx(slopes[0], rel=1e-2)
    steps = np.diff(np.array(feature["lines"]), axis=1) / np.diff(feature["values"])
    assert steps == pytest.approx(np.full_like(steps, slopes[0]), rel=2e-2)


def test_values_are_spread_over_the_rows_and_each_has_its_share(binary: Any) -> None:
    features = by_name(dependence(binary, {"features": ["age", "job", "member"]}))
    age = features["age"]
    assert len(age["values"]) <= 20
    assert age["values"] == sorted(age["values"])
    assert all(isinstance(value, int) for value in age["values"])
    assert sum(age["share"]) + age["missing"]["share"] == pytest.approx(1, abs=1e-4)
    job = features["job"]
    assert job["share"] == sorted(job["share"], reverse=True)
    assert set(job["values"]) == {"cook", "nurse", "pilot"}
    assert features["member"]["missing"] is None


def test_a_value_that_most_rows_have_leaves_room_for_the_others(people: pa.Table) -> None:
    gain = np.where(np.arange(300) % 12 == 0, np.arange(300) * 7.0, 0.0)
    given = material(
        people.append_column("gain", pa.array(gain)), Task.BINARY, kinds=[("gain", "number"), ("pay", "number")]
    )
    feature = by_name(dependence(given, {"features": ["gain"]}))["gain"]
    assert len(feature["values"]) >= 8
    assert feature["values"][0] == 0
    assert feature["share"][0] > 0.85
    assert set(feature["values"]) <= set(gain)


def test_an_outlier_does_not_stretch_the_values(people: pa.Table) -> None:
    pay = np.where(np.arange(300) == 250, 1e6, people["pay"].to_numpy())
    table = people.set_column(people.schema.get_field_index("pay"), "pay", pa.array(pay))
    feature = by_name(dependence(material(table, Task.BINARY), {"features": ["pay"]}))["pay"]
    assert len(feature["values"]) == 20
    assert max(feature["values"]) < 10


def test_it_begins_with_the_most_important_and_passes_over_dates(people: pa.Table) -> None:
    kept = {"features": [{"name": name} for name in ("seen", "job", "born", "age", "member", "pay")]}
    found = dependence(material(people, Task.BINARY, importance=kept), {})
    assert [one["name"] for one in found["features"]] == ["job", "age", "member", "pay"]
    guessed = dependence(material(people, Task.BINARY), {})
    assert {one["name"] for one in guessed["features"][:2]} == {"age", "pay"}


def test_a_class_can_be_chosen(people: pa.Table) -> None:
    given = material(people, Task.MULTICLASS)
    both = [dependence(given, {"features": ["pay"], "class": label}) for label in ("0", "2")]
    low, top = (found["features"][0]["average"] for found in both)
    assert low[0] > low[-1]
    assert top[0] < top[-1]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"features": ["nobody"]}, InvalidInput, "no feature 'nobody'. It has: 'age'"),
        ({"features": "age"}, InvalidInput, "give a list of 1 to 6 names"),
        ({"features": []}, InvalidInput, "give a list of 1 to 6 names"),
        ({"features": ["born"]}, NotApplicable, "dates and timestamps are not shown"),
        ({"class": "maybe"}, InvalidInput, "It knows: 'no', 'yes'"),
        ({"feature": "age"}, InvalidInput, "There are: features, class"),
    ],
)
def test_a_dependence_that_cannot_be_shown_is_refused(
    binary: Any, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        dependence(binary, options)


@pytest.mark.parametrize("task", list(Task))
def test_contributions_of_a_row_sum_to_what_was_predicted_of_it(people: pa.Table, task: Task) -> None:
    given = material(people, task)
    found = contributions(given, {"ordinal": 1007})
    json.dumps(found, allow_nan=False)
    stored = given.predictions
    expected = stored.y_pred[7] if stored.scores is None else stored.scores[7, stored.classes.index(found["of"])]
    assert found["base"] + sum(one["contribution"] for one in found["entries"]) == pytest.approx(expected, abs=1e-6)
    assert found["prediction"] == pytest.approx(expected, abs=1e-6)
    assert (found["label"], found["truth"]) == (stored.y_pred[7], stored.y_true[7])
    sizes = [abs(one["contribution"]) for one in found["entries"]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_row_sent_back_as_values_is_the_same_row(binary: Any) -> None:
    row = contributions(binary, {"ordinal": 1007})
    again = contributions(binary, {"values": row["values"]})
    assert again["entries"] == row["entries"]
    assert (again["ordinal"], again["truth"]) == (None, None)


def test_other_values_move_only_what_they_touch(people: pa.Table) -> None:
    given = material(people, Task.REGRESSION, "ridge")
    parts = [
        {one["feature"]: one["contribution"] for one in contributions(given, {"values": ROW | over})["entries"]}
        for over in ({}, {"pay": 2.5})
    ]
    assert parts[1]["pay"] - parts[0]["pay"] > 0.5
    assert parts[1]["age"] == pytest.approx(parts[0]["age"], abs=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({}, InvalidInput, "neither was given"),
        ({"ordinal": 1000, "values": ROW}, InvalidInput, "both were given"),
        ({"ordinal": 5}, InvalidInput, "no row with the ordinal 5; it has 100 rows. Near it are: 1000, 1001, 1002"),
        ({"ordinal": "7"}, InvalidInput, "give the whole number of a row"),
        ({"values": [1]}, InvalidInput, "send one value for each feature"),
        ({"values": ROW | {"age": "old"}}, SchemaMismatch, "'age' was 'old'; expected a whole number"),
        ({"values": ROW | {"pay": None}}, SchemaMismatch, "'pay' is null; it never was in training"),
        ({"values": {"age": 3}}, SchemaMismatch, "'pay' is missing"),
    ],
)
def test_a_row_that_cannot_be_explained_is_refused(
    binary: Any, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        contributions(binary, options)


def entries(**parts: float) -> list[dict[str, Any]]:
    return [{"feature": name, "contribution": value} for name, value in parts.items()]


def test_the_way_is_told_from_base_to_prediction() -> None:
    assert way_in_words(0.24, entries(age=0.4, pay=-0.03), 0.61, is_share=True) == (
        "Starts at 0.24, age adds 0.40, pay takes away 0.03, ends at 0.61."
    )
    many = entries(a=0.1, b=0.09, c=0.08, d=0.07, e=0.06, f=0.05, g=-0.02, h=-0.01)
    assert way_in_words(0.1, many, 0.52, is_share=True).endswith(
        "f adds 0.05, 2 others together take away 0.03, ends at 0.52."
    )
    assert way_in_words(0.5, entries(a=0.001), 0.501, is_share=True) == (
        "Starts at 0.50, no feature moves it much, ends at 0.50."
    )
    assert way_in_words(-1250.0, entries(a=50.0), -1200.0, is_share=False) == (
        "Starts at −1,250, a adds 50, ends at −1,200."
    )
    assert way_in_words(0.0, [], 0.0, is_share=False) == "Starts at 0.00, no feature moves it much, ends at 0.00."


def test_a_training_keeps_its_dependence_and_a_row_is_explained_when_asked(
    workspace: Workspace, scientist: Actor, add_version: AddVersion, train: Train, now: datetime
) -> None:
    version = add_version()
    assert version.id is not None
    run = train(version.id)
    assert run.id is not None
    assert run.importance is not None
    with workspace.read() as session:
        [evaluation] = evaluations.evaluations_of_run(session, run.id)
        assert evaluation.id is not None
        kept = evaluations.analysis(session, evaluation_id=evaluation.id, kind="partial_dependence")
        ordinal = int(evaluations.load_predictions(workspace.artifacts, evaluation).ordinals[0])
    assert kept is not None
    assert [one["name"] for one in kept.result["features"]] == [one["name"] for one in run.importance["features"]]
    with workspace.write() as session:
        request_analysis(
            session, run_id=run.id, evaluation_id=evaluation.id, kind="contributions",
            options={"ordinal": ordinal}, actor=scientist, now=now,
        )  # fmt: skip
    run_all(workspace)
    with workspace.read() as session:
        found = evaluations.analysis(
            session, evaluation_id=evaluation.id, kind="contributions", options={"ordinal": ordinal}
        )
    assert found is not None
    assert found.result["sentence"].startswith("Starts at ")
