"""What is live, the way back and its permission, how to ask a version, and the history."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.database import utc_now
from core.permissions import Actor
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import key, make_model, make_model_version, make_run

HOSTILE = "a b'; rm -rf / :red[x]"


def put_live(workspace: Workspace, actor: Actor, *, name: str = "churn", n_versions: int = 2) -> int:
    """A model whose versions went live one after the other."""
    with workspace.write() as session:
        model_id = key(make_model(session, name=name))
        for day in range(n_versions):
            signature = {"features": [{"name": "it's", "kind": "integer", "categories": None}]}
            run = make_run(session, signature=signature)
            assign(
                session, version_id=key(make_model_version(session, model_id=model_id, run_id=key(run))),
                environment=Environment.PRODUCTION, alias=Alias.CHAMPION, cause=Cause.PROMOTION,
                reason=f"Step {day + 1}.", actor=actor, now=utc_now() - timedelta(days=9 - day),
            )  # fmt: skip
        return model_id


def test_before_anything_was_live_the_models_are_the_way(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "deployments")
    assert "Nothing was ever live" in said(page)
    assert "See models" in offered(page)


def test_what_is_live_and_everything_that_was(open_as: OpenAs, workspace: Workspace, viewer: Actor, reviewer: Actor):
    put_live(workspace, reviewer)
    told = said(open_as(viewer, "deployments"))
    assert "1 version live: churn v2." in told
    assert "churn v2 answers as champion in production" in told
    assert "The way back is churn v1." in told
    assert "churn v1 became champion in production, until" in told
    assert f"{reviewer.name}: Step 2." in told


def test_an_operator_may_roll_back_and_reads_the_consequence(
    open_as: OpenAs, workspace: Workspace, operator: Actor, reviewer: Actor
):
    put_live(workspace, reviewer)
    page = open_as(operator, "deployments")
    next(button for button in page.button if button.label == "Roll back").click().run()
    told = said(page)
    assert "churn v1 goes live again as champion in production, in place of churn v2." in told
    assert "making it live again takes a new promotion request" in told


def test_everybody_else_reads_which_role_it_takes(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor, reviewer: Actor
):
    put_live(workspace, reviewer)
    for actor in (viewer, scientist, reviewer):
        page = open_as(actor, "deployments")
        assert "Roll back" not in offered(page)
        assert "Rolling back takes the role operator." in said(page)


def test_with_one_version_there_is_nothing_to_roll_back_to(
    open_as: OpenAs, workspace: Workspace, operator: Actor, reviewer: Actor
):
    put_live(workspace, reviewer, n_versions=1)
    page = open_as(operator, "deployments")
    assert "There is nothing to roll back to" in said(page)
    assert "Roll back" not in offered(page)


def test_the_address_chooses_the_model(open_as: OpenAs, workspace: Workspace, viewer: Actor, reviewer: Actor):
    put_live(workspace, reviewer)
    other = put_live(workspace, reviewer, name="tumour")
    assert "tumour v2 answers as champion" in said(open_as(viewer, "deployments", model=other))


@pytest.mark.parametrize("address", ["999", "x"])
def test_an_unknown_model_in_the_address_shows_the_first(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, reviewer: Actor, address: str
):
    put_live(workspace, reviewer)
    assert "churn v2 answers as champion" in said(open_as(viewer, "deployments", model=address))


def test_the_example_request_survives_a_shell(open_as: OpenAs, workspace: Workspace, viewer: Actor, reviewer: Actor):
    put_live(workspace, reviewer, name=HOSTILE)
    page = open_as(viewer, "deployments")
    [code] = page.code
    assert "/v1/models/a%20b%27%3B%20rm%20-rf%20%2F%20%3Ared%5Bx%5D/champion/predict" in code.value
    assert """'{"rows": [{"it'\\''s": 1}]}'""" in code.value
    assert not any(":red[x]" in one.value for one in [*page.markdown, *page.subheader])
