"""The inventory of models and one model's page: its versions, card, lineage, deployments, asking for promotion."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.database import utc_now
from core.governance.tables import ModelCard
from core.permissions import Actor
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.factories import Made, make_live_model
from tests.dashboard.said import offered, said
from tests.factories import NOW, add, key, make_evaluation, make_model, make_model_version, make_run

HOSTILE = "**bold** :red[x] <img src=x> [a](http://evil.example)"


@pytest.fixture
def live(workspace: Workspace, scientist: Actor) -> Made:
    with workspace.write() as session:
        return make_live_model(session, name="churn", actor=scientist, now=utc_now(), drifted=2)


def second_version(workspace: Workspace, model_id: int, actor: Actor) -> int:
    with workspace.write() as session:
        run = make_run(session, algorithm="random_forest", requested_by=actor.user_id)
        make_evaluation(session, run_id=key(run), metrics={"roc_auc": 0.95})
        return key(make_model_version(session, model_id=model_id, run_id=key(run), registered_by=actor.user_id))


def names(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_without_models_the_runs_are_the_way(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "models")
    assert "No model is registered yet" in said(page)
    assert "See runs" in offered(page)


def test_the_inventory_says_what_is_live_how_it_is_and_whose_it_is(open_as: OpenAs, viewer: Actor, live: Made):
    told = said(open_as(viewer, "models"))
    assert "1 model, 1 live in production." in told
    assert "◆ v1" in told
    assert "▲ Drifted" in told


def test_a_model_nothing_of_which_is_live_claims_no_health(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    with workspace.write() as session:
        make_model_version(session)
    told = said(open_as(viewer, "models"))
    assert "nothing live" in told
    assert "No drift" not in told


def test_only_who_may_start_a_run_is_offered_one(open_as: OpenAs, viewer: Actor, scientist: Actor, live: Made):
    assert "New run" in offered(open_as(scientist, "models"))
    assert "New run" not in offered(open_as(viewer, "models"))


@pytest.mark.parametrize("address", ["999", "x", "1;DROP TABLE run"])
def test_a_model_that_does_not_exist_leads_back(open_as: OpenAs, viewer: Actor, live: Made, address: str):
    page = open_as(viewer, "model", model=address)
    assert "There is no such model" in said(page)
    assert "See all models" in offered(page)


def test_versions_come_with_their_metric_and_its_interval(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, live: Made
):
    second_version(workspace, live.model_id, scientist)
    page = open_as(viewer, "model", model=live.model_id)
    [table] = page.dataframe
    assert list(table.value["Version"]) == ["v2", "v1"]
    assert list(table.value["ROC AUC"]) == ["0.950 [0.930, 0.950]", "0.927 [0.921, 0.933]"]
    assert list(table.value["Algorithm"]) == ["Random forest", "Logistic regression"]
    assert list(table.value["State"]) == ["○ Registered", "◆ Champion in production"]
    assert "Compare the two newest" in offered(page)


def test_who_may_ask_for_promotion_asks_for_the_chosen_version(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, live: Made
):
    second_version(workspace, live.model_id, scientist)
    page = open_as(scientist, "model", model=live.model_id)
    assert "Request promotion of v2" in offered(page)
    assert "Request promotion of v2" not in offered(open_as(viewer, "model", model=live.model_id))
    on_champion = open_as(scientist, "model", model=live.model_id, version=1)
    assert not any(name.startswith("Request promotion") for name in names(on_champion))


def test_asking_says_what_would_be_replaced_and_who_could_approve(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, reviewer: Actor, live: Made
):
    second_version(workspace, live.model_id, scientist)
    page = open_as(scientist, "model", model=live.model_id)
    next(button for button in page.button if button.label.startswith("Request promotion")).click().run()
    told = said(page)
    assert "Make churn v2 champion in production, replacing v1." in told
    assert f"Can approve: {reviewer.name}." in told


def test_asking_warns_when_nobody_could_approve(open_as: OpenAs, workspace: Workspace, scientist: Actor, live: Made):
    second_version(workspace, live.model_id, scientist)
    page = open_as(scientist, "model", model=live.model_id)
    next(button for button in page.button if button.label.startswith("Request promotion")).click().run()
    assert "Nobody can approve this" in said(page)


def test_the_card_counts_its_blanks_and_only_some_may_write_it(
    open_as: OpenAs, scientist: Actor, viewer: Actor, live: Made
):
    page = open_as(viewer, "model", model=live.model_id, view="card")
    told = said(page)
    assert "sections of churn v1's card are blank" in told
    assert "Writing it takes the role data-scientist." in told
    assert "Edit the card" not in offered(page)
    assert "logistic_regression" not in told
    assert "Edit the card" in offered(open_as(scientist, "model", model=live.model_id, view="card"))


def test_the_card_of_an_older_version_is_a_choice_in_the_address(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, live: Made
):
    second_version(workspace, live.model_id, scientist)
    told = said(open_as(viewer, "model", model=live.model_id, view="card", version=1))
    assert "churn v1's card" in told


def test_what_somebody_wrote_on_the_card_is_shown_literally(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, live: Made
):
    with workspace.write() as session:
        add(session, ModelCard(version_id=live.version_id, sections={"intended_use": HOSTILE}, edited_at=NOW))
    page = open_as(viewer, "model", model=live.model_id, view="card")
    assert HOSTILE in [text.value for text in page.text]


def test_lineage_goes_from_the_data_to_the_version(open_as: OpenAs, scientist: Actor, viewer: Actor, live: Made):
    page = open_as(viewer, "model", model=live.model_id, view="lineage")
    told = said(page)
    assert told.index("churn data v1 was added") < told.index("trained a logistic regression on it")
    assert told.index("trained a logistic regression on it") < told.index("Registered as churn v1")
    assert scientist.name in told
    assert {"Open the run", "Open the data"} <= set(offered(page))


def test_deployments_say_who_and_why_and_which_is_live(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, operator: Actor, viewer: Actor, live: Made
):
    version = second_version(workspace, live.model_id, scientist)
    with workspace.write() as session:
        assign(
            session, version_id=version, environment=Environment.PRODUCTION, alias=Alias.CHAMPION,
            cause=Cause.ROLLBACK, reason="Complaints.", actor=operator, now=utc_now() - timedelta(hours=1),
        )  # fmt: skip
    told = said(open_as(viewer, "model", model=live.model_id, view="deployments"))
    assert "churn v2 is champion in production, rolled back" in told
    assert f"{operator.name}: Complaints." in told
    assert "churn v1 became champion in production, until" in told


def test_a_model_that_was_never_live_says_so(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    with workspace.write() as session:
        model = make_model(session)
        make_model_version(session, model_id=key(model))
        model_id = key(model)
    assert "This model was never live" in said(open_as(viewer, "model", model=model_id, view="deployments"))


def test_a_hostile_name_is_shown_as_it_was_typed(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    with workspace.write() as session:
        model = make_model(session, name=HOSTILE, description=HOSTILE)
        make_model_version(session, model_id=key(model))
        model_id = key(model)
    page = open_as(viewer, "model", model=model_id)
    assert page.title[0].value.replace("\\", "").replace("\u2060", "") == HOSTILE
    assert page.title[0].value.startswith("\\*\\*bold")
    assert HOSTILE in [text.value for text in page.text]
