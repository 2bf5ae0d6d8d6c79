"""Pages of runs: the list with its filters and basket, the form made from the catalogue, one run's page."""

from __future__ import annotations

import pytest

from core.database import utc_now
from core.datasets.tables import CheckResult
from core.jobs.tables import Job
from core.permissions import Actor
from core.training.algorithms import ALGORITHMS
from core.training.queries import list_runs
from core.training.tables import Run
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import add, key, make_dataset, make_dataset_version, make_evaluation, make_evaluation_set, make_run

COLUMNS = [
    {"name": "age", "kind": "integer"},
    {"name": "note", "kind": "text"},
    {"name": "sex", "kind": "category"},
    {"name": "income", "kind": "category"},
]
PROFILE = {
    "n_rows": 1000,
    "columns": [
        {"name": "age", "n_distinct": 70, "n_missing": 0, "min": 17, "max": 90},
        {"name": "note", "n_distinct": 900, "n_missing": 0},
        {"name": "sex", "n_distinct": 2, "n_missing": 0},
        {"name": "income", "n_distinct": 2, "n_missing": 0},
    ],
}
CURVES = {
    "roc": {"fpr": [0.0, 0.1, 1.0], "tpr": [0.0, 0.8, 1.0], "threshold": [None, 0.5, 0.1]},
    "confusion": {"labels": ["no", "yes"], "matrix": [[120, 30], [10, 40]]},
}
IMPORTANCE = {
    "metric": "roc_auc",
    "rows": 200,
    "repeats": 4,
    "features": [{"name": "age", "mean": 0.08, "std": 0.01}, {"name": "sex", "mean": 0.0, "std": 0.002}],
}


@pytest.fixture
def version_id(workspace: Workspace) -> int:
    with workspace.write() as session:
        dataset = make_dataset(session, name="people", sensitive=["sex"])
        return key(make_dataset_version(session, dataset_id=key(dataset), columns=COLUMNS, profile=PROFILE))


@pytest.fixture
def run_id(workspace: Workspace, version_id: int, scientist: Actor) -> int:
    """A finished, scored run."""
    with workspace.write() as session:
        run = make_run(
            session,
            dataset_version_id=version_id,
            features=["age", "sex"],
            parameters={"C": 0.5, "class_weight": "none", "max_iter": 1000},
            seed=42,
            importance=IMPORTANCE,
            requested_by=scientist.user_id,
            code_version="0.1.0+abc",
            package_versions={"scikit-learn": "1.9.0"},
        )
        make_evaluation(session, run_id=key(run), curves=CURVES, metrics={"roc_auc": 0.91, "accuracy": 0.8})
        return key(run)


def test_without_data_the_first_step_is_a_file(open_as: OpenAs, scientist: Actor):
    page = open_as(scientist, "runs")
    assert "It needs data first." in said(page)
    assert "Upload a file" in offered(page)


def test_with_data_the_first_step_is_a_run(open_as: OpenAs, scientist: Actor, version_id: int):
    assert "New run" in offered(open_as(scientist, "runs"))


def test_the_viewer_is_told_who_may_start_a_run(open_as: OpenAs, viewer: Actor, version_id: int):
    page = open_as(viewer, "runs")
    assert "takes the role data-scientist." in said(page)
    assert "New run" not in offered(page)


def test_the_list_shows_the_metric_with_its_interval(open_as: OpenAs, viewer: Actor, run_id: int):
    told = said(open_as(viewer, "runs"))
    assert "ROC AUC 0.910 [0.890, 0.910]" in told
    assert "people v1" in told
    assert "by sam" in told


def test_a_filter_lives_in_the_address(open_as: OpenAs, viewer: Actor, run_id: int):
    assert "No run matches" in said(open_as(viewer, "runs", state="failed"))
    assert f"Run {run_id}" in said(open_as(viewer, "runs", state="finished", algorithm="logistic_regression"))


def test_an_order_by_metric_says_that_only_the_same_rows_are_ranked(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "runs", sort="accuracy")
    assert "values on different rows are not ranked together" in said(page)
    assert "Accuracy 0.800" in said(page)


def test_two_runs_in_the_basket_can_be_compared_and_one_cannot(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int, version_id: int
):
    with workspace.write() as session:
        other = key(make_run(session, dataset_version_id=version_id))
    assert "Compare (2)" in offered(open_as(viewer, "runs", basket=f"{run_id},{other}"))
    assert not [label for label in offered(open_as(viewer, "runs", basket=run_id)) if label.startswith("Compare")]


def test_the_page_shows_fifty_runs_and_the_way_to_older_ones(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, version_id: int
):
    with workspace.write() as session:
        for _ in range(53):
            make_run(session, dataset_version_id=version_id)
    page = open_as(viewer, "runs")
    assert len(page.dataframe[0].value) == 50
    page.button(key="before_older").click().run()
    assert len(page.dataframe[0].value) == 3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_form_has_a_field_for_each_parameter_of_the_catalogue(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int, algorithm: str
):
    page = open_as(scientist, "new_run", version=version_id, algorithm=algorithm)
    assert "Start the run" in offered(page)
    shown = {widget.label for kind in ("number_input", "selectbox", "toggle") for widget in page.get(kind)}
    entry = ALGORITHMS[algorithm]
    if "binary" in entry.tasks:
        assert {parameter.title for parameter in entry.parameters} <= shown


def test_a_feature_that_tells_the_target_is_warned_of_before_the_run(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int
):
    told = "age alone predicts income (AUC 0.999, limit 0.98)."
    with workspace.write() as session:
        add(
            session,
            CheckResult(
                version_id=version_id, code="leaking_feature", column="age", severity="warn", outcome="failed",
                explanation=told, checked_at=utc_now(),
            ),
        )  # fmt: skip
    page = said(open_as(scientist, "new_run", version=version_id))
    assert told in page
    assert "Leave out what is not known yet when the model answers" in page


def test_columns_that_cannot_be_features_are_left_out_with_the_reason(
    open_as: OpenAs, scientist: Actor, version_id: int
):
    page = open_as(scientist, "new_run", version=version_id)
    assert page.multiselect(key=f"new_run_features_{version_id}_income").value == ["age", "sex"]
    assert "note (free text" in said(page)
    assert "sex is marked as sensitive" in said(page)


def test_starting_a_run_queues_it_with_what_the_form_says(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int
):
    page = open_as(scientist, "new_run", version=version_id)
    page.number_input(key="new_run_logistic_regression_C").set_value(0.25)
    page.number_input(key="new_run_seed").set_value(7)
    page.button(key="new_run_start").click().run()
    with workspace.read() as session:
        [row] = list_runs(session, limit=2)
        run = session.get_one(Run, row.id)
        assert session.get_one(Job, run.job_id).kind == "train_run"
    assert (run.state, run.target, run.task, run.seed) == ("queued", "income", "binary", 7)
    assert run.parameters["C"] == 0.25
    assert run.features == ["age", "sex"]


def test_the_form_asks_for_folds_a_calibrator_and_weights(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int
):
    page = open_as(scientist, "new_run", version=version_id)
    page.selectbox(key="new_run_folds").set_value(5)
    page.selectbox(key="new_run_calibration_binary").set_value("isotonic")
    weights = page.selectbox(key=f"new_run_weights_{version_id}_income")
    assert weights.options == ["None: all rows count alike", "age"]
    weights.set_value("age").run()
    assert page.multiselect(key=f"new_run_features_{version_id}_income").value == ["sex"]
    assert "age (says how much each row counts)" in said(page)
    assert "mends any bend" in said(page)
    page.button(key="new_run_start").click().run()
    with workspace.read() as session:
        [row] = list_runs(session, limit=2)
        run = session.get_one(Run, row.id)
    assert (run.folds, run.calibration, run.weight_column, run.features) == (5, "isotonic", "age", ["sex"])


def test_what_was_chosen_of_the_features_stays_when_weights_are_chosen(
    open_as: OpenAs, scientist: Actor, version_id: int
):
    page = open_as(scientist, "new_run", version=version_id)
    features = f"new_run_features_{version_id}_income"
    page.multiselect(key=features).set_value(["age"]).run()
    weights = page.selectbox(key=f"new_run_weights_{version_id}_income")
    weights.set_value("age").run()
    assert page.multiselect(key=features).value == []
    assert page.button(key="new_run_start").disabled
    page.multiselect(key=features).set_value(["sex"]).run()
    assert not page.button(key="new_run_start").disabled


def test_a_form_without_a_choice_asks_for_none_of_it(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int
):
    page = open_as(scientist, "new_run", version=version_id)
    page.button(key="new_run_start").click().run()
    with workspace.read() as session:
        [row] = list_runs(session, limit=2)
        run = session.get_one(Run, row.id)
    assert (run.folds, run.calibration, run.weight_column) == (0, None, None)


FOLDS = {
    "folds": 3,
    "forward": False,
    "metrics": {"roc_auc": [0.90, 0.93, 0.91], "accuracy": [0.80, 0.82, 0.81], "log_loss": [0.30, 0.35, 0.32]},
    "n_train": [533, 533, 534],
    "n_test": [267, 267, 266],
    "assignment": "ab12",
}


def change(workspace: Workspace, run_id: int, **over: object) -> None:
    with workspace.write() as session:
        run = session.get_one(Run, run_id)
        for name, value in over.items():
            setattr(run, name, value)
        session.add(run)


def test_the_folds_say_how_much_the_figure_moves(open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int):
    assert "Trained on other rows" not in said(open_as(viewer, "run", run=run_id))
    change(workspace, run_id, folds=3, cross_validation=FOLDS)
    told = said(open_as(viewer, "run", run=run_id))
    assert "Trained on other rows, ROC AUC lies between 0.900 and 0.930" in told
    assert "when it is trained on other rows: mean 0.913, standard deviation 0.015" in told
    assert "are not independent" in told
    assert "0.913" in told
    change(workspace, run_id, cross_validation={**FOLDS, "forward": True, "n_train": [200, 400, 600]})
    assert "trained on the rows before" in said(open_as(viewer, "run", run=run_id))
    change(workspace, run_id, cross_validation=None)
    assert "in 3 folds could not be worked out" in said(open_as(viewer, "run", run=run_id))


RANKED = {
    "roc": {
        "fpr": [0.0, 0.08, 0.2, 1.0], "tpr": [0.0, 0.6, 0.8, 1.0],
        "low": [0.0, 0.5, 0.7, 1.0], "high": [0.1, 0.7, 0.9, 1.0], "threshold": [None, 0.7, 0.4, 0.1],
    },
    "precision_recall": {
        "recall": [0.2, 0.48, 1.0], "precision": [0.9, 0.75, 0.3],
        "low": [0.8, 0.7, 0.2], "high": [1.0, 0.8, 0.4], "threshold": [0.9, 0.7, 0.1],
    },
}  # fmt: skip
CALIBRATION = {
    "mean_score": [0.2, 0.6], "share_positive": [0.1, 0.4], "low": [0.05, 0.3], "high": [0.2, 0.5],
    "count": [100, 100], "class": "yes",
}  # fmt: skip


@pytest.fixture
def calibrated_badly(workspace: Workspace, version_id: int, scientist: Actor) -> int:
    with workspace.write() as session:
        run = make_run(
            session, dataset_version_id=version_id, features=["age"], parameters={"C": 0.5}, split_options={},
            requested_by=scientist.user_id,
        )  # fmt: skip
        make_evaluation(
            session,
            run_id=key(run),
            curves={**CURVES, **RANKED, "calibration": CALIBRATION},
            metrics={"roc_auc": 0.9, "expected_calibration_error": 0.12},
        )
        return key(run)


def test_recalibrating_starts_a_run_that_says_what_it_came_from(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, calibrated_badly: int
):
    page = open_as(scientist, "run", run=calibrated_badly, curve="calibration")
    page.button(key="run_recalibrate").click().run()
    assert "two numbers to learn" in str(page.radio(key="run_recalibrate_method").proto)
    page.radio(key="run_recalibrate_method").set_value("isotonic")
    # The test runner knows no fragments: a dialog is there only in the run in which its button is pressed.
    page.button(key="run_recalibrate").click()
    page.button(key="run_recalibrate_confirm").click().run()
    with workspace.read() as session:
        made = session.get_one(Run, list_runs(session, limit=2)[0].id)
    assert (made.calibration, made.recalibrated_from_id, made.features) == ("isotonic", calibrated_badly, ["age"])
    told = said(open_as(scientist, "run", run=made.id))
    assert "calibrated by isotonic" in told
    assert f"Recalibrated from run {calibrated_badly}" in offered_links(open_as(scientist, "run", run=made.id))
    again = open_as(scientist, "run", run=calibrated_badly, curve="calibration")
    assert f"Recalibrated by isotonic as run {made.id}" in offered_links(again)


@pytest.mark.parametrize(
    ("curve", "finding"),
    [
        ("roc", "It finds 60 % of the positives where 8 % of the negatives are false alarms"),
        ("precision_recall", "Where it finds 48 % of the positives, 75 % of the rows it calls positive are so"),
    ],
)
def test_a_curve_is_headed_by_what_it_shows(
    open_as: OpenAs, viewer: Actor, calibrated_badly: int, curve: str, finding: str
):
    told = said(open_as(viewer, "run", run=calibrated_badly, curve=curve))
    assert finding in told
    assert "The band holds the 95 % interval of each point" in told


def offered_links(page) -> set[str]:
    return {link.proto.label for link in page.get("page_link")}


def test_who_may_not_start_runs_is_not_offered_to_recalibrate(open_as: OpenAs, viewer: Actor, calibrated_badly: int):
    page = open_as(viewer, "run", run=calibrated_badly, curve="calibration")
    assert "A score is off by 12.0 % on average" in said(page)
    assert "Recalibrate" not in offered(page)


def test_the_record_says_what_the_training_was_asked_for(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    told = said(open_as(viewer, "run", run=run_id, view="record"))
    assert "nothing: all rows count alike" in told
    assert "none: scores as fitted" in told
    latency = {"one_row_ms": 4.12, "one_row_p95_ms": 6.2, "thousand_rows_ms": 31.6, "n_calls": 50}
    change(workspace, run_id, weight_column="fnlwgt", calibration="sigmoid", folds=5, latency=latency)
    page = open_as(viewer, "run", run=run_id, view="record")
    told = said(page)
    assert "weighted by fnlwgt" in told
    assert "Sigmoid, learnt on the validation rows" in told
    assert "5 folds" in told
    assert "4.1 ms for one row, at most 6.2 ms in 19 of 20 calls; 32 ms for 1,000 rows" in told
    assert "measured while training, on that machine" in told


def test_the_viewer_cannot_open_the_form(open_as: OpenAs, viewer: Actor, version_id: int):
    with pytest.raises(ValueError, match="new_run"):
        open_as(viewer, "new_run", version=version_id)


def test_a_run_opens_with_its_finding_and_the_rows_it_rests_on(open_as: OpenAs, viewer: Actor, run_id: int):
    told = said(open_as(viewer, "run", run=run_id))
    assert "ROC AUC 0.910 [0.890, 0.910]" in told
    assert "On 200 rows" in told


def test_only_who_may_register_is_offered_to(open_as: OpenAs, viewer: Actor, scientist: Actor, run_id: int):
    assert "Register" in offered(open_as(scientist, "run", run=run_id))
    assert "Register" not in offered(open_as(viewer, "run", run=run_id))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({"view": "importance"}, "The model relies most on age"),
        ({"view": "record"}, "42"),
        ({"view": "record"}, "1.9.0"),
        ({"view": "log"}, "Nothing was written."),
        ({"curve": "confusion"}, "Most often no is taken for yes: 30 rows"),
    ],
)
def test_each_part_of_a_run_is_reached_by_its_address(
    open_as: OpenAs, viewer: Actor, run_id: int, address: dict[str, str], expected: str
):
    assert expected in said(open_as(viewer, "run", run=run_id, **address))


def test_a_failed_run_says_why_and_offers_nothing_to_register(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, version_id: int
):
    with workspace.write() as session:
        failed = make_run(
            session, dataset_version_id=version_id, state="failed", model_sha256=None, error="Ran out of memory."
        )
        failed_id = key(failed)
    page = open_as(scientist, "run", run=failed_id)
    assert "Ran out of memory." in said(page)
    assert not {"Register", "Compare"} & set(offered(page))


def test_an_unscored_run_is_not_called_good(open_as: OpenAs, workspace: Workspace, viewer: Actor, version_id: int):
    with workspace.write() as session:
        unscored = key(make_run(session, dataset_version_id=version_id))
    assert "nothing can be said about how good it is" in said(open_as(viewer, "run", run=unscored))


def test_two_evaluation_sets_can_be_told_apart(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int, version_id: int
):
    with workspace.write() as session:
        from core.datasets.tables import DatasetVersion

        version = session.get_one(DatasetVersion, version_id)
        latest = key(make_evaluation_set(session, version=version, kind="latest"))
        make_evaluation(session, run_id=run_id, evaluation_set_id=latest, metrics={"roc_auc": 0.7})
    assert "ROC AUC 0.700" in said(open_as(viewer, "run", run=run_id, set=latest))


def test_an_unknown_run_is_said(open_as: OpenAs, viewer: Actor):
    for address in ({"run": 99}, {"run": "first"}, {}):
        page = open_as(viewer, "run", **address)
        assert "There is no such run" in said(page)
        assert offered(page) == ["See all runs"]
