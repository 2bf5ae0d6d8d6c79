"""The list of requests, waivers, and the promotion policy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.database import utc_now
from core.governance.policies import ensure_seeded_policy
from core.governance.tables import Waiver
from core.permissions import Actor
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import NOW, add, key, make_model, make_model_version, make_open_request

HOSTILE = ":red[x] **b** <img src=x>"


def request(workspace: Workspace, actor: Actor, **over: object) -> int:
    with workspace.write() as session:
        version = make_model_version(session, model_id=key(make_model(session, name=str(over.pop("name", "churn")))))
        return key(make_open_request(session, version=version, requested_by=actor.user_id, **over))


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ("open", "Nothing waits for a decision"),
        ("decided", "Nothing was decided yet"),
        ("waivers", "No gate was ever waived"),
        ("policy", "No policy yet"),
    ],
)
def test_what_is_empty_says_what_would_be_there(open_as: OpenAs, viewer: Actor, view: str, sentence: str):
    assert sentence in said(open_as(viewer, "approvals", view=view))


def test_an_open_request_shows_its_gates_and_when_it_is_due(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    request(workspace, scientist, gates={"smoke_test": "failed", "card_complete": "failed"})
    told = said(open_as(viewer, "approvals"))
    assert "1 request open for decision." in told
    assert "churn v1 as champion in production" in told
    assert "▲ 1 blocking, 1 warning" in told
    assert "15 Mar 2026, overdue" in told


def test_a_request_whose_evidence_failed_is_not_called_ready(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    request(workspace, scientist, state="preparing", error="No evaluation set.")
    told = said(open_as(viewer, "approvals"))
    assert "▲ failed to prepare" in told
    assert "No request is open for decision." in told


def test_a_decided_request_says_what_was_waived_instead_of_blocking(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    request(workspace, scientist, state="approved", decided_at=NOW, gates={"smoke_test": "failed"})
    told = said(open_as(viewer, "approvals", view="decided"))
    assert "✓ Approved" in told
    assert "1 waived" in told
    assert "blocking" not in told


def test_a_waiver_shows_its_reason_and_that_it_ended(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor, reviewer: Actor
):
    made = request(workspace, scientist, gates={"smoke_test": "failed"})
    with workspace.write() as session:
        add(
            session,
            Waiver(
                request_id=made, revision=1, gate="smoke_test", reason=HOSTILE, until=NOW + timedelta(days=1),
                granted_by=reviewer.user_id, granted_at=NOW,
            ),
        )  # fmt: skip
    page = open_as(viewer, "approvals", view="waivers")
    [table] = page.dataframe
    [row] = table.value.to_dict("records")
    assert row["Gate"] == "Smoke test"
    assert row["Reason"] == HOSTILE
    assert row["Until"] == "13 Mar 2026, ended"
    assert row["By"] == reviewer.name


def test_the_policy_in_force_says_what_blocks_and_within_which_margin(
    open_as: OpenAs, workspace: Workspace, viewer: Actor
):
    with workspace.write() as session:
        ensure_seeded_policy(session, utc_now())
    page = open_as(viewer, "approvals", view="policy")
    told = said(page)
    assert "Policy 1 is in force" in told
    assert "It takes 1 approval." in told
    assert "ROC AUC 0.01" in told
    assert "RMSE 2.0 % of the champion's" in told
    assert "Writing the next version takes the role reviewer." in told
    assert "Write the next version" not in offered(page)


def test_a_reviewer_writes_the_next_policy_and_is_told_what_it_costs(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    with workspace.write() as session:
        ensure_seeded_policy(session, utc_now())
    page = open_as(reviewer, "approvals", view="policy")
    page.button(key="policy_edit").click().run()
    assert "whoever writes a policy version does not decide under it" in said(page)
    assert page.selectbox(key="policy_gate_card_complete").value == "warning"
    assert page.number_input(key="policy_margin_roc_auc").value == 0.01


def test_a_hostile_model_name_stays_text(open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor):
    request(workspace, scientist, name=HOSTILE)
    page = open_as(viewer, "approvals")
    assert page.dataframe[0].value["Request"][0] == f"{HOSTILE} v1 as champion in production"
    assert not any(":red[x]" in markdown.value for markdown in page.markdown)
