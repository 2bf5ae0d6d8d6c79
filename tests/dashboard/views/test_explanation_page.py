"""The run page's view that explains: importance, partial dependence, one row, and what if."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlmodel import select

from core.evaluation.predictions import Predictions, to_parquet
from core.evaluation.service import record_analysis
from core.evaluation.tables import Task
from core.jobs.tables import Job
from core.permissions import Actor
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import NOW, key, make_dataset_version, make_evaluation, make_run

FEATURES = [
    {"name": "age", "kind": "integer", "categories": None, "low": 17, "high": 90, "nullable": False},
    {"name": "job", "kind": "category", "categories": ["cook", "pilot"], "low": None, "high": None, "nullable": True},
    {"name": "born", "kind": "date", "categories": None, "low": None, "high": None, "nullable": False},
]
SIGNATURE = {"task": "binary", "target": "income", "classes": ["no", "yes"], "features": FEATURES}
IMPORTANCE = {
    "metric": "roc_auc",
    "rows": 200,
    "repeats": 4,
    "features": [
        {"name": "age", "mean": 0.08, "std": 0.01, "low": 0.05, "high": 0.11},
        {"name": "job", "mean": 0.0, "std": 0.002, "low": -0.004, "high": 0.004},
    ],
    "groups": [{"features": ["age", "born"], "association": 0.93, "mean": 0.2, "low": 0.15, "high": 0.25}],
}
AGE = {
    "name": "age",
    "kind": "integer",
    "values": [20, 40, 60],
    "average": [0.1, 0.3, 0.2],
    "standard_error": [0.01, 0.01, 0.01],
    "share": [0.5, 0.3, 0.2],
    "lines": [[0.1, 0.3, 0.2]],
    "own": [20],
    "missing": {"average": 0.15, "share": 0.02},
    "n_values": 60,
}
DEPENDENCE = {"of": "yes", "n_rows": 200, "mean": 0.22, "features": [AGE]}
VALUES = {"age": 40, "job": "cook", "born": "1980-01-01"}


def row(prediction: float, label: str, **over: Any) -> dict[str, Any]:
    values = VALUES | over
    parts = {"age": prediction - 0.25, "job": 0.05, "born": 0.0}
    return {
        "of": "yes",
        "base": 0.2,
        "prediction": prediction,
        "entries": [
            {"feature": name, "value": values[name], "contribution": parts[name], "standard_error": 0.01}
            for name in parts
        ],
        "sentence": f"Starts at 0.20, age adds, ends at {prediction:.2f}.",
        "meaning": "From the mean prediction of 500 training rows.",
        "exact": True,
        "n_background": 500,
        "label": label,
        "truth": None if over else "no",
        "ordinal": None if over else 6,
        "values": values,
    }


@pytest.fixture
def run_id(workspace: Workspace) -> int:
    labels = np.array(["no"] * 20, dtype=object)
    made = Predictions(Task.BINARY, np.arange(20), labels, labels, np.full((20, 2), 0.5), ("no", "yes"))
    predicted = workspace.artifacts.put_bytes(to_parquet(made)).sha256
    with workspace.write() as session:
        version = make_dataset_version(session)
        run = make_run(session, dataset_version_id=key(version), importance=IMPORTANCE, signature=SIGNATURE)
        evaluation = make_evaluation(session, run_id=key(run), predictions_sha256=predicted)
        for kind, options, result in (
            ("partial_dependence", {}, DEPENDENCE),
            ("contributions", {"ordinal": 6}, row(0.7, "yes")),
            ("contributions", {"values": VALUES | {"age": 20}}, row(0.3, "no", age=20)),
            ("errors", {}, {"rows": [{"ordinal": 3}, {"ordinal": 6}], "hardest": [1, 0]}),
        ):
            record_analysis(session, evaluation_id=key(evaluation), kind=kind, options=options, result=result, now=NOW)
        return key(run)


def jobs_of(workspace: Workspace) -> list[dict[str, Any]]:
    with workspace.read() as session:
        return [job.payload for job in session.exec(select(Job)).all()]


@pytest.mark.parametrize("view", ["explanation", "importance"])
def test_it_opens_with_what_the_model_relies_on(open_as: OpenAs, viewer: Actor, run_id: int, view: str):
    told = said(open_as(viewer, "run", run=run_id, view=view))
    assert "The model relies most on age" in told
    assert "95 % interval over other rows" in told
    assert "age and born say much the same (association 0.93)" in told


def test_importance_kept_without_intervals_says_what_its_bar_is(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    old = {**IMPORTANCE, "features": [{"name": "age", "mean": 0.08, "std": 0.01}]}
    del old["groups"]
    with workspace.write() as session:
        run = key(make_run(session, importance=old))
    told = said(open_as(viewer, "run", run=run, view="explanation"))
    assert "one standard deviation over the shuffles alone" in told
    assert "nothing can be said about how good it is" in told


def test_the_way_of_one_feature_is_told_with_its_lowest_and_highest(open_as: OpenAs, viewer: Actor, run_id: int):
    told = said(open_as(viewer, "run", run=run_id, view="explanation", feature="age", lines="change"))
    assert "lowest at age 20 (0.100), highest at 40 (0.300)" in told
    assert "200 rows if age alone were changed" in told
    assert "Where age is missing (2.0 % of the rows) the mean would be 0.150." in told


def test_a_feature_not_worked_out_yet_is_one_click_away(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    page = open_as(viewer, "run", run=run_id, view="explanation", feature="job")
    assert page.selectbox(key="address_feature").options == ["age", "job"]
    next(one for one in page.button if "moves with job" in one.label).click().run()
    [payload] = jobs_of(workspace)
    assert (payload["kind"], payload["options"]) == ("partial_dependence", {"features": ["job"]})


def test_a_row_is_explained_by_its_way_and_what_each_feature_adds(open_as: OpenAs, viewer: Actor, run_id: int):
    told = said(open_as(viewer, "run", run=run_id, view="explanation", part="row", row=7))
    assert "Row 7 is predicted yes; its score of yes is 0.700, and it is no" in told
    assert "Starts at 0.20, age adds, ends at 0.70." in told
    assert "From the mean prediction of 500 training rows." in told


def test_the_surest_mistake_is_picked_from_the_errors(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row")
    assert "Choose a row" in said(page)
    page.button(key="explain_mistake").click().run()
    assert page.query_params["row"] == "7"
    assert "Row 7 is predicted yes" in said(page)


def test_a_row_not_explained_yet_is_asked_for(open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=12)
    next(one for one in page.button if one.label == "Explain row 12").click().run()
    [payload] = jobs_of(workspace)
    assert payload["options"] == {"ordinal": 11}


def test_a_row_that_was_not_predicted_is_said_with_those_near(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=1000)
    assert "Row 1,000 is not among the rows of" in said(page)
    assert "nearest are the rows 18, 19 and 20" in said(page)
    assert "Explain row 1,000" not in offered(page)


def test_what_if_shows_the_old_and_the_new_prediction_side_by_side(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=7)
    page.number_input(key=f"what_if_{run_id}_7_age").set_value(20)
    page.button(key="what_if_predict").click().run()
    told = said(page)
    assert "Changing age moves the score of yes from 0.700 to 0.300" in told
    assert "It would be predicted no." in told
    assert "age 40 20 +0.450 +0.050" in told
    assert jobs_of(workspace) == []


def test_an_answer_has_an_address_of_its_own(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=7)
    page.number_input(key=f"what_if_{run_id}_7_age").set_value(20)
    page.button(key="what_if_predict").click().run()
    code = page.query_params["if"]
    again = open_as(viewer, "run", **{"run": run_id, "view": "explanation", "part": "row", "row": 7, "if": code})
    assert again.number_input(key=f"what_if_{run_id}_7_age").value == 20
    assert "from 0.700 to 0.300" in said(again)


def test_values_never_asked_about_are_worked_out_by_a_job(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=7)
    page.selectbox(key=f"what_if_{run_id}_7_job").set_value(None)
    page.button(key="what_if_predict").click().run()
    [payload] = jobs_of(workspace)
    assert payload["options"] == {"values": VALUES | {"job": None}}


@pytest.mark.parametrize(
    ("kind", "field", "typed", "expected"),
    [
        ("number_input", "age", None, "age: given null, expected a whole number"),
        ("text_input", "born", "yesterday", 'born: given the text "yesterday", expected a date'),
    ],
)
def test_what_was_typed_wrongly_is_refused_by_name_and_kept(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int, kind: str, field: str, typed: Any, expected: str
):
    page = open_as(viewer, "run", run=run_id, view="explanation", part="row", row=7)
    page.selectbox(key=f"what_if_{run_id}_7_job").set_value("pilot")
    getattr(page, kind)(key=f"what_if_{run_id}_7_{field}").set_value(typed)
    page.button(key="what_if_predict").click().run()
    assert expected in said(page)
    assert getattr(page, kind)(key=f"what_if_{run_id}_7_{field}").value == typed
    assert page.selectbox(key=f"what_if_{run_id}_7_job").value == "pilot"
    assert jobs_of(workspace) == []
    assert "Predict" in offered(page)
