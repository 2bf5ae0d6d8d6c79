"""The analysis of fairness by a training: which columns, and what is kept."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from core.datasets.tables import Dataset
from core.errors import InvalidInput, NotApplicable, SchemaMismatch
from core.evaluation import queries as evaluations
from core.evaluation.group_thresholds import GroupGrid, what_if
from core.training.analysing import Material, material_of
from core.training.fairness_analysis import by_group
from core.training.tables import Run
from core.workspace import Workspace
from tests.core.training.conftest import AddVersion, Train
from tests.factories import key


@pytest.fixture
def run(add_version: AddVersion, train: Train) -> Run:
    return train(add_version().id)


@pytest.fixture
def material(workspace: Workspace, run: Run) -> Material:
    with workspace.read() as session:
        [evaluation] = evaluations.evaluations_of_run(session, key(run))
    return material_of(workspace, run_id=key(run), evaluation_id=key(evaluation))


def test_columns_asked_for_and_their_crossing_are_measured(material: Material):
    found = by_group(material, {"columns": ["job", "age"]})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [one["columns"] for one in found["groupings"]] == [["job"], ["age"], ["job", "age"]]
    job = found["groupings"][0]
    assert sum(group["n_rows"] for group in job["groups"]) == found["n_rows"]
    values = material.rows(["job"])["job"].to_pylist()
    assert {group["group"]: group["n_rows"] for group in job["groups"]} == {
        one: values.count(one) for one in set(values)
    }
    assert found["n_tests"] == sum(c["pvalue"] is not None for one in found["groupings"] for c in one["criteria"])
    grid = GroupGrid.from_document(found["thresholds"][0])
    assert grid.column == "job"
    assert int(grid.test[:, :, 0].sum()) == found["n_rows"]
    assert what_if(grid, "selection_rate").common == 0.5


def test_the_sensitive_columns_are_taken_unless_others_are_named(material: Material):
    sensitive = Material(**{**vars(material), "dataset": Dataset(name="people", target="member", sensitive=["job"])})
    assert by_group(sensitive, {})["columns"] == ["job"]
    bare = Material(**{**vars(material), "dataset": Dataset(name="people", target="member", sensitive=[])})
    with pytest.raises(NotApplicable, match="No column of people is marked sensitive"):
        by_group(bare, {})


def test_missing_is_a_group(material: Material, monkeypatch: pytest.MonkeyPatch):
    table = pa.table({"job": [None if place % 3 == 0 else "cook" for place in range(material.predictions.n_rows)]})
    monkeypatch.setattr(Material, "rows", lambda *_: table)
    found = by_group(material, {"columns": ["job"]})
    assert [group["group"] for group in found["groupings"][0]["groups"]] == ["cook", "missing"]


def test_without_validation_predictions_there_is_no_what_if(material: Material):
    found = by_group(Material(**{**vars(material), "validation": None}), {"columns": ["job"]})
    assert found["thresholds"] == []
    assert "Train it again" in found["no_thresholds"]


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"columns": "job"}, InvalidInput),
        ({"columns": []}, InvalidInput),
        ({"columns": ["member"]}, InvalidInput),
        ({"columns": ["absent"]}, SchemaMismatch),
        ({"by": ["job"]}, InvalidInput),
    ],
)
def test_other_options_are_refused(material: Material, options: dict, refusal: type[Exception]):
    with pytest.raises(refusal):
        by_group(material, options)
