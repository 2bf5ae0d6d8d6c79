"""Who sees which pages, where they land, and what stands around every page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.access.service import set_active, set_roles
from core.database import utc_now
from core.permissions import ROLE_PERMISSIONS, Actor, Role
from core.workspace import Workspace
from dashboard.main import ENTRIES, landing, pages_for
from tests.dashboard.conftest import MakeActor, OpenAs
from tests.dashboard.factories import make_live_model

HOSTILE = ":red[x] ![](http://a.b/x.png) <script> **b** $x$ [a](b) :material/home:"


def titles(test: AppTest) -> list[str]:
    assert not test.exception
    return [title.value for title in test.title]


def actor_with(*roles: Role) -> Actor:
    return Actor(user_id=1, name="x", roles=frozenset(roles), via="browser")


def test_every_entry_has_its_file() -> None:
    views = Path(__file__).parents[2] / "dashboard" / "views"
    assert {entry.key for entry in ENTRIES} - {path.stem for path in views.glob("*.py")} <= {"automation"}


@pytest.mark.parametrize("role", list(Role))
def test_a_page_is_offered_exactly_to_the_roles_that_may_read_it(role: Role) -> None:
    offered = {entry.key for entry in pages_for(actor_with(role))}
    for entry in ENTRIES:
        if entry.key != "automation":
            assert (entry.key in offered) == (entry.needs in ROLE_PERMISSIONS[role]), entry.key
    assert ("audit" in offered) == (role in {Role.AUDITOR, Role.ADMINISTRATOR})


@pytest.mark.parametrize(
    ("roles", "start"),
    [
        ([Role.REVIEWER], "inbox"),
        ([Role.AUDITOR], "audit"),
        ([Role.OPERATOR], "monitoring"),
        ([Role.VIEWER], "overview"),
        ([Role.DATA_SCIENTIST], "overview"),
        ([Role.DATA_SCIENTIST, Role.REVIEWER], "inbox"),
    ],
)
def test_each_role_lands_on_its_page(roles: list[Role], start: str) -> None:
    actor = actor_with(*roles)
    assert landing(actor, pages_for(actor)) == start


def test_a_reviewer_opens_the_inbox_and_sees_their_name(open_as: OpenAs, reviewer: Actor) -> None:
    test = open_as(reviewer)
    assert titles(test) == ["Inbox"]
    assert reviewer.name in [text.value for text in test.sidebar.text]


def test_nobody_signed_in_sees_only_the_way_to_sign_in(open_as: OpenAs) -> None:
    assert titles(open_as(None)) == ["You are signed out"]


def test_a_role_taken_away_takes_effect_at_the_next_click(
    open_as: OpenAs, workspace: Workspace, administrator: Actor, auditor: Actor
) -> None:
    test = open_as(auditor, "audit")
    assert titles(test) == ["Audit"]
    assert auditor.user_id is not None
    with workspace.write() as session:
        set_roles(session, user_id=auditor.user_id, roles=[Role.VIEWER], actor=administrator, now=utc_now())
    assert titles(test.run()) == ["Audit is not open to you"]
    assert "may not read an audit. It takes one of these roles: auditor, administrator." in test.error[0].value
    assert not test.dataframe
    with workspace.write() as session:
        set_active(session, user_id=auditor.user_id, active=False, actor=administrator, now=utc_now())
    assert titles(test.run()) == ["You are signed out"]


def test_no_worker_is_said(open_as: OpenAs, viewer: Actor) -> None:
    test = open_as(viewer, "overview")
    assert "No worker is running: jobs wait. Start it with gatehouse worker." in [said.value for said in test.warning]


@pytest.mark.parametrize("page", ["overview", "inbox", "audit", "settings"])
def test_a_hostile_name_is_shown_as_it_was_typed(
    open_as: OpenAs, make_actor: MakeActor, workspace: Workspace, page: str
) -> None:
    actor = make_actor(HOSTILE, *Role)
    with workspace.write() as session:
        make_live_model(session, name=HOSTILE, actor=actor, now=utc_now(), drifted=1)
    test = open_as(actor, page)
    assert not test.exception
    assert not test.error
    assert HOSTILE in [text.value for text in test.sidebar.text]
    shown = [*test.markdown, *test.title, *test.subheader]
    assert all("![](" not in element.value and "<script>" not in element.value for element in shown)


def test_a_defect_is_told_with_a_reference_and_without_its_trace(
    open_as: OpenAs, viewer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import health

    def broken(_session: object) -> None:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr(health, "live_models", broken)
    test = open_as(viewer, "overview")
    assert not test.exception
    told = " ".join(said.value for said in test.error)
    assert "the reference" in told
    assert "secret" not in told
