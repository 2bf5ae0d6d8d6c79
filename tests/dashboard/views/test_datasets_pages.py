"""Pages of data: what an empty home says, who is offered what, and what a version's page tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import select

from core.database import utc_now
from core.datasets.service import store_upload
from core.permissions import Actor
from core.registry.tables import Deployment
from core.training.tables import Run
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import (
    NOW,
    add,
    key,
    make_check,
    make_dataset,
    make_dataset_version,
    make_model,
    make_model_version,
    make_run,
)

HOSTILE = ":red[x] ![](http://evil.example/a.png) <script>alert(1)</script>"
PROFILE = {
    "n_rows": 1000,
    "n_duplicate_rows": 0,
    "n_evaluation_rows": 40,
    "columns": [
        {
            "name": "age",
            "kind": "integer",
            "n_missing": 10,
            "share_missing": 0.01,
            "n_distinct": 70,
            "min": 17,
            "max": 90,
            "mean": 38.5,
            "std": 13.1,
            "quantiles": {"0.05": 19, "0.25": 28, "0.5": 37, "0.75": 48, "0.95": 63},
            "histogram": {"edges": [17.0, 50.0, 90.0], "counts": [700, 290]},
            "top": None,
        },
        {
            "name": "income",
            "kind": "category",
            "n_missing": 0,
            "share_missing": 0.0,
            "n_distinct": 2,
            "min": None,
            "max": None,
            "mean": None,
            "std": None,
            "quantiles": None,
            "histogram": None,
            "top": [{"value": "<=50K", "count": 750}, {"value": ">50K", "count": 250}],
        },
    ],
}
DIFF = {
    "base_id": 1,
    "base_number": 1,
    "rows": {"before": 900, "after": 1000},
    "columns_added": ["city"],
    "columns_removed": [],
    "kinds_changed": [],
    "categories_new": [],
    "categories_vanished": [],
    "labels_new": ["unknown"],
    "labels_vanished": [],
    "shifts": [{"column": "age", "effect": 0.31, "measure": "KS", "sentence": "age is older by 4 years."}],
    "sentences": ["age is older by 4 years.", "The target has a new label: unknown."],
}


@pytest.fixture
def story(workspace: Workspace) -> dict[str, int]:
    """A dataset of two versions, the second with one failed warning and one failed block on the first."""
    with workspace.write() as session:
        dataset = make_dataset(session, name="income")
        first = make_dataset_version(session, dataset_id=key(dataset), profile=PROFILE)
        second = make_dataset_version(
            session,
            dataset_id=key(dataset),
            profile=PROFILE,
            diff=DIFF,
            relation="adds_to",
            parent_id=key(first),
            summary="Usable with care: 1 of 2 checks passed.",
        )
        make_check(
            session,
            version_id=key(second),
            code="duplicate_rows",
            severity="warn",
            outcome="failed",
            explanation="12 rows are repeated.",
        )
        return {"dataset": key(dataset), "first": key(first), "second": key(second)}


def test_an_empty_home_offers_the_scientist_to_upload(open_as: OpenAs, scientist: Actor):
    page = open_as(scientist, "datasets")
    assert "No data yet" in said(page)
    assert offered(page).count("Upload a file") == 1


def test_an_empty_home_tells_the_viewer_which_role_adds_data(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "datasets")
    assert "takes the role data-scientist" in said(page)
    assert "Upload a file" not in offered(page)


def test_the_list_tells_each_dataset_s_state_with_a_word(open_as: OpenAs, scientist: Actor, story: dict[str, int]):
    page = open_as(scientist, "datasets")
    assert "1 check failed" in said(page)
    assert "v2" in said(page)


def test_a_version_opens_with_its_sentence_what_failed_and_what_changed(
    open_as: OpenAs, scientist: Actor, story: dict[str, int]
):
    page = open_as(scientist, "dataset", dataset=story["dataset"])
    told = said(page)
    assert "income v2" in told
    assert "Usable with care" in told
    assert "12 rows are repeated." in told
    assert "The target has a new label: unknown." in told


def test_the_scientist_may_train_on_it_and_the_viewer_may_only_look(
    open_as: OpenAs, scientist: Actor, viewer: Actor, story: dict[str, int]
):
    assert "Train on this version" in offered(open_as(scientist, "dataset", dataset=story["dataset"]))
    seen = offered(open_as(viewer, "dataset", dataset=story["dataset"]))
    assert not {"Train on this version", "New version", "Quarantine"} & set(seen)


def test_the_reviewer_may_quarantine_and_does_not_see_training(open_as: OpenAs, reviewer: Actor, story: dict[str, int]):
    seen = offered(open_as(reviewer, "dataset", dataset=story["dataset"]))
    assert "Quarantine" in seen
    assert "Train on this version" not in seen


def test_a_version_that_failed_a_blocking_check_cannot_be_trained_on(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, story: dict[str, int]
):
    with workspace.write() as session:
        make_check(session, version_id=story["first"], outcome="failed", explanation="The target is missing.")
    page = open_as(scientist, "dataset", dataset=story["dataset"], version=1)
    assert "Train on this version" not in offered(page)
    assert "The target is missing." in said(page)


def test_what_is_only_noted_does_not_count_as_failed(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: dict[str, int]
):
    with workspace.write() as session:
        noted = {"code": "evaluation_rows_inside", "severity": "log", "outcome": "failed"}
        make_check(session, version_id=story["first"], explanation="4 rows equal one of the fixed set.", **noted)
    told = said(open_as(viewer, "dataset", dataset=story["dataset"], version=1))
    assert "4 rows equal one of the fixed set." in told
    assert "failed" not in told
    listed = said(open_as(viewer, "dataset", dataset=story["dataset"], version=1, view="checks"))
    assert "Noted" in listed
    assert "failed" not in listed


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("columns", "2 different values"),
        ("checks", "1 of 2 checks failed"),
        ("changes", "age moved most"),
        ("lineage", "adds to version 1"),
    ],
)
def test_each_view_of_a_version_is_reached_by_its_address(
    open_as: OpenAs, viewer: Actor, story: dict[str, int], view: str, expected: str
):
    assert expected in said(open_as(viewer, "dataset", dataset=story["dataset"], view=view))


def test_a_column_s_figures_are_told_for_the_one_in_the_address(open_as: OpenAs, viewer: Actor, story: dict[str, int]):
    told = said(open_as(viewer, "dataset", dataset=story["dataset"], view="columns", column="age"))
    assert "70 different values" in told
    assert "1.0 % missing (10)" in told
    assert "50 % lie below" in told


def test_failed_checks_come_first(open_as: OpenAs, viewer: Actor, story: dict[str, int]):
    page = open_as(viewer, "dataset", dataset=story["dataset"], view="checks")
    assert list(page.dataframe[0].value["Outcome"]) == ["▲ Failed", "✓ Passed"]


def test_an_unknown_dataset_and_an_unknown_version_are_said(open_as: OpenAs, viewer: Actor, story: dict[str, int]):
    page = open_as(viewer, "dataset", dataset=999)
    assert "There is no such dataset" in said(page)
    assert offered(page) == ["See all datasets"]
    assert "versions 1 to 2" in said(open_as(viewer, "dataset", dataset=story["dataset"], version=9))


def test_a_name_is_shown_as_it_was_typed(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    with workspace.write() as session:
        dataset = make_dataset(session, name=HOSTILE)
        make_dataset_version(session, dataset_id=key(dataset))
        dataset_id = key(dataset)
    assert HOSTILE in said(open_as(viewer, "dataset", dataset=dataset_id))
    title = open_as(viewer, "dataset", dataset=dataset_id).title[0].value
    assert ":red[" not in title
    assert "<script>" not in title


def test_the_runs_made_of_a_version_are_listed_with_it(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: dict[str, int]
):
    with workspace.write() as session:
        run_id = key(make_run(session, dataset_version_id=story["second"]))
    told = said(open_as(viewer, "dataset", dataset=story["dataset"], view="lineage"))
    assert "1 run trained on it" in told
    assert f"Run {run_id}" in told


@pytest.fixture
def champion_run(workspace: Workspace, story: dict[str, int]) -> int:
    """The run behind a champion in production, trained on the dataset's first version."""
    with workspace.write() as session:
        run = make_run(session, dataset_version_id=story["first"], parameters={"C": 0.5})
        model = make_model(session, name="salaries")
        version = make_model_version(session, model_id=key(model), run_id=key(run))
        add(
            session,
            Deployment(
                model_id=key(model),
                environment="production",
                alias="champion",
                version_id=key(version),
                from_at=NOW,
                cause="promotion",
            ),
        )
        return key(run)


def test_the_champion_s_set_up_is_retrained_on_a_new_version_in_one_click(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, story: dict[str, int], champion_run: int
):
    page = open_as(scientist, "dataset", dataset=story["dataset"])
    [button] = [one for one in page.button if one.label.startswith("Retrain")]
    button.click().run()
    with workspace.read() as session:
        run = session.exec(select(Run).where(Run.retrained_from_id == champion_run)).one()
    assert (run.dataset_version_id, run.parameters["C"], run.state) == (story["second"], 0.5, "queued")


def test_retraining_is_not_offered_to_the_viewer_nor_on_the_champion_s_own_data(
    open_as: OpenAs, viewer: Actor, scientist: Actor, story: dict[str, int], champion_run: int
):
    for actor, number in ((viewer, 2), (scientist, 1)):
        page = open_as(actor, "dataset", dataset=story["dataset"], version=number)
        assert not [label for label in offered(page) if label.startswith("Retrain")]


def test_the_viewer_is_told_that_adding_files_takes_another_role(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "intake")
    assert "takes the role data-scientist or operator" in said(page)
    assert not page.get("file_uploader")


@pytest.fixture
def upload_id(workspace: Workspace, scientist: Actor, tmp_path: Path) -> int:
    text = "age;income;joined\n" + "".join(
        f"{20 + i};{'yes' if i % 3 else 'no'};2024-01-{i % 28 + 1:02d}\n" for i in range(60)
    )
    stored = workspace.artifacts.put_bytes(text.encode())
    with workspace.write() as session:
        return key(store_upload(session, artifact=stored, file_name="people.csv", actor=scientist, now=utc_now()))


def test_an_upload_shows_how_it_is_read_before_anyone_confirms(open_as: OpenAs, scientist: Actor, upload_id: int):
    page = open_as(scientist, "intake", upload=upload_id)
    told = said(page)
    assert "60 rows, 3 columns" in told
    assert "';'" in told
    assert [box.value for box in page.text_input] == ["people"]
    assert "Make the dataset" in offered(page)


def test_confirming_asks_for_the_dataset_and_follows_it(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, upload_id: int
):
    page = open_as(scientist, "intake", upload=upload_id)
    page.button(key="intake_confirm").click().run()
    assert "Reading people" in said(page)
    with workspace.read() as session:
        from core.datasets.queries import pending_intakes

        [intake] = pending_intakes(session)
    assert intake.dataset_name == "people"
    assert ";" in str(intake.options)


def test_the_operator_may_only_hand_in_data_to_monitor_and_labels(open_as: OpenAs, operator: Actor, upload_id: int):
    page = open_as(operator, "intake", upload=upload_id)
    assert "Make the dataset" not in offered(page)
    assert "Nothing is live" in said(page)


def test_a_file_that_cannot_be_read_is_refused_with_its_line(open_as: OpenAs, workspace: Workspace, scientist: Actor):
    stored = workspace.artifacts.put_bytes(b"a,b\n1,2\n3,4,5\n")
    with workspace.write() as session:
        upload_id = key(store_upload(session, artifact=stored, file_name="bad.csv", actor=scientist, now=utc_now()))
    page = open_as(scientist, "intake", upload=upload_id)
    assert "Line 3" in said(page)
    assert "Make the dataset" not in offered(page)
