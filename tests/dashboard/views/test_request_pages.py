"""The decision page: the evidence in words, who may decide and why not, gates, waivers, stale and decided requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.database import utc_now
from core.evaluation.service import record_analysis
from core.governance import binding
from core.governance.policies import ensure_seeded_policy
from core.governance.tables import Decision, PromotionRequest, Waiver
from core.jobs.tables import Job
from core.permissions import Actor, Role
from core.registry import queries as registry
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment
from core.workspace import Workspace
from tests.conftest import MakeActor
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import (
    NOW,
    add,
    key,
    make_dataset_version,
    make_evaluation,
    make_evaluation_set,
    make_model,
    make_model_version,
    make_open_request,
    make_run,
)

HOSTILE = ":red[x] **b** <img src=x> ![](http://evil.example/x.png)"
ANSWERS = {"Approve", "Request changes", "Reject"}
COMPARISON = {
    "set": "fixed",
    "verdict": "not_worse",
    "effect": -0.000105,
    "low": -0.004,
    "high": 0.0041,
    "margin": 0.01,
    "metric": "roc_auc",
    "n_rows": 1200,
    "n_left_out": 3,
    "smallest_effect": 0.0057,
    "sentence": "The candidate is not worse.",
}
EVIDENCE = {
    "comparisons": [COMPARISON, COMPARISON | {"set": "latest", "verdict": "worse", "effect": -0.02, "n_left_out": 0}],
    "dummy": {"sentence": "The candidate is better: ROC AUC 0.789 against 0.500."},
    "metrics": {"candidate": {"roc_auc": {"value": 0.789, "low": 0.75, "high": 0.82}}, "champion": {}},
    "changed": {"n_changed": 214, "n_corrected": 141, "n_broken": 73, "n_rows": 6512},
    "changed_by_slice": [{"slice": f"city = {HOSTILE}", "n": 594, "corrected": 1, "broken": 9}],
    "fairness": [
        {"column": "gender", "four_fifths": "below", "sentence": "Largest gap in recall: 0.041."},
        {"column": "gender", "sentence": "Largest gap in selection rate: 0.020."},
    ],
    "data_changes": ["hours shifted: median 38 before, 41 now."],
    "drift": {"sentence": "churn: 1 of 8 features drifted in 2026-02."},
}


def make_request(
    workspace: Workspace,
    *,
    requester: Actor | None = None,
    uploader: Actor | None = None,
    launcher: Actor | None = None,
    replacing: bool = False,
    evidence: Mapping[str, Any] | None = None,
    **over: Any,
) -> int:
    """An open request for churn, its second version when it replaces one; the evidence is what a page shows of it."""
    with workspace.write() as session:
        model_id = key(make_model(session, name=over.pop("name", "churn")))
        if replacing:
            assign(
                session, version_id=key(make_model_version(session, model_id=model_id)),
                environment=Environment.PRODUCTION, alias=Alias.CHAMPION, cause=Cause.PROMOTION,
                actor=launcher or requester or Actor(None, "shell", frozenset(), "shell"), now=NOW - timedelta(days=9),
            )  # fmt: skip
        data = make_dataset_version(session, uploaded_by=uploader.user_id if uploader else None)
        run = make_run(session, dataset_version_id=key(data), requested_by=launcher.user_id if launcher else None)
        version = make_model_version(session, model_id=model_id, run_id=key(run))
        request = make_open_request(
            session, version=version, requested_by=requester.user_id if requester else None, **over
        )
        request.evidence = {**(request.evidence or {}), **(evidence or {})}
        request.evidence_digest = binding.digest(request.evidence)
        session.add(request)
        return key(request)


def shut(page: AppTest) -> set[str]:
    return {button.label for button in page.button if button.disabled}


@pytest.mark.parametrize("address", ["999", "x"])
def test_a_request_that_does_not_exist_leads_back(open_as: OpenAs, viewer: Actor, address: str):
    page = open_as(viewer, "request", request=address)
    assert "There is no such request" in said(page)
    assert "See all requests" in offered(page)


def test_a_reviewer_may_give_each_answer(open_as: OpenAs, workspace: Workspace, reviewer: Actor, scientist: Actor):
    made = make_request(workspace, requester=scientist)
    page = open_as(reviewer, "request", request=made)
    assert set(offered(page)) >= ANSWERS
    told = said(page)
    assert "Make churn v1 champion in production?" in told
    assert "You may decide, and nobody else." in told
    assert "It needs 1 approval; none given yet." in told
    assert "Better on every slice." in told


def test_whoever_took_part_reads_why_they_cannot_decide(
    open_as: OpenAs, workspace: Workspace, make_actor: MakeActor, reviewer: Actor
):
    parts = {"made the request": "requester", "uploaded the data": "uploader", "launched the run": "launcher"}
    for part, role in parts.items():
        actor = make_actor(f"Who {part}", Role.REVIEWER)
        page = open_as(actor, "request", request=make_request(workspace, name=role, **{role: actor}))
        assert shut(page) == ANSWERS
        assert f"{actor.name} {part}, so somebody else has to decide." in said(page)
        assert "Waive this gate" not in offered(page)


def test_a_role_that_does_not_decide_reads_so_beside_the_buttons(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, reviewer: Actor
):
    page = open_as(viewer, "request", request=make_request(workspace))
    assert shut(page) == ANSWERS
    told = said(page)
    assert "Only a reviewer decides on requests." in told
    assert f"Can decide: {reviewer.name}." in told


def test_nobody_who_can_decide_is_said_with_the_way_out(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    told = said(open_as(viewer, "request", request=make_request(workspace)))
    assert "Nobody can decide on this" in told
    assert "Ask an administrator to add a reviewer under Settings." in told


def test_the_verdict_names_each_set_with_effect_interval_rows_and_power(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    told = said(open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE)))
    assert "Make churn v2 champion in production, replacing v1?" in told
    assert "churn v2 is not worse on the fixed evaluation set and worse on the latest evaluation set" in told
    assert "Fixed evaluation set: 0.000 [−0.004, +0.004] on 1,200 rows, 3 left out" in told
    assert "the smallest difference these rows could have shown is 0.006" in told
    assert "214 of 6,512 decisions change (3.3 %): 141 corrected, 73 broken" in told
    assert "hours shifted: median 38 before, 41 now." in told
    assert "Drift when requested: churn: 1 of 8 features drifted in 2026-02." in told
    assert "The way back is churn v1" in told
    assert "roc_auc" not in told


def test_one_model_at_two_thresholds_has_no_smallest_difference(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    alike = {"effect": 0.0, "low": 0.0, "high": 0.0, "smallest_effect": 0.0}
    evidence = {**EVIDENCE, "comparisons": [COMPARISON | alike]}
    told = said(open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=evidence)))
    assert "no row tells the two apart by this metric, so no difference could have shown" in told
    assert "smallest difference" not in told


TESTS = [
    {"key": "delong", "title": "Paired DeLong", "effect": 0.0, "low": -0.004, "high": 0.004, "pvalue": 0.9},
    {"key": "bootstrap", "title": "Paired bootstrap", "effect": 0.0, "low": -0.004, "high": 0.005, "pvalue": 0.9},
]


def test_other_tests_of_the_same_rows_are_said_to_agree_and_folded(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    tested = {"comparisons": [COMPARISON | {"tests": TESTS}]}
    page = open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE | tested))
    told = said(page)
    assert "Other tests on the same rows: all 2 agree: no certain difference." in told
    folded = next(one for one in page.expander if one.label == "What the verdict means, and the other tests")
    assert list(folded.dataframe[0].value["Says"]) == ["no certain difference"] * 2
    assert "Not worse: A loss as large as the margin is ruled out." in told


def test_rows_that_could_not_tell_are_said_to_need_more(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    short = {"comparisons": [COMPARISON | {"verdict": "inconclusive", "rows_needed": 2161}]}
    told = said(
        open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE | short))
    )
    assert "About 2,200 rows would settle a difference as large as the margin." in told


def test_what_a_behaviour_test_found_stands_under_its_gate(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    noise = {"test": "noise", "title": "Noise", "outcome": "failed", "explanation": "13.4 % of 500 decisions change."}
    size = {"test": "size", "title": "Size", "outcome": "passed", "explanation": "The model's file has 0.26 MiB."}
    behaviour = {"behaviour": {"suite": 3, "n_rows": 500, "outcomes": [noise, size]}}
    made = make_request(workspace, gates={"behaviour_suite": "failed"}, evidence=behaviour)
    page = open_as(reviewer, "request", request=made)
    told = said(page)
    assert "Noise: 13.4 % of 500 decisions change." in told
    folded = next(one for one in page.expander if one.label == "Behaviour suite 3: 1 of 2 tests passed")
    told = [part.value for part in folded.markdown]
    assert any("Noise: failed" in one for one in told)
    assert ":gray[The model's file is small enough to load anywhere. The model's file has 0.26 MiB.]" in told


def test_examples_of_what_changes_are_one_click_away_and_decided_by_the_thresholds(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    with workspace.write() as session:
        evaluation_set = key(make_evaluation_set(session))
    evidence = EVIDENCE | {
        "comparisons": [COMPARISON | {"evaluation_set_id": evaluation_set}],
        "thresholds": {"candidate": 0.175, "champion": None},
    }
    made = make_request(workspace, replacing=True, evidence=evidence)
    with workspace.write() as session:
        request = session.get_one(PromotionRequest, made)
        run_id = registry.version(session, request.version_id).run_id
        scored = make_evaluation(session, run_id=run_id, evaluation_set_id=evaluation_set)
        baseline = registry.version(session, request.replaces_id or 0).run_id
    page = open_as(reviewer, "request", request=made)
    next(button for button in page.button if button.label == "Find examples").click().run()
    with workspace.read() as session:
        [job] = session.exec(select(Job).where(Job.kind == "analyse_run")).all()
    options = {"baseline_run_id": baseline, "thresholds": {"before": None, "after": 0.175}}
    assert job.payload["options"] == options
    case = {"ordinal": 11, "values": {"age": 31}, "true": "no", "before": "no", "after": "yes"}
    with workspace.write() as session:
        record_analysis(
            session, evaluation_id=key(scored), kind="changes", options=options, now=NOW,
            result={
                "broken": [case | {"score_before": 0.1, "score_after": 0.2, "contributions": None}],
                "corrected": [], "contributions_missing": "It cannot be explained.",
            },
        )  # fmt: skip
    page = open_as(reviewer, "request", request=made)
    assert "0.100 to 0.200" in said(page)
    assert "Broken: the clearest cases (1)" in [one.label for one in page.expander]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ({"before": 0.1, "before_low": 0.08, "before_high": 0.12}, "the gap widens from 0.100 to 0.300"),
        ({"before": 0.5, "before_low": 0.45, "before_high": 0.55}, "the gap narrows from 0.500 to 0.300"),
        ({"before": 0.29, "before_low": 0.2, "before_high": 0.4}, "a gap of 0.300, not shown to differ from 0.290"),
        ({}, "a gap of 0.300"),
    ],
)
def test_the_widest_gap_of_all_columns_leads_and_says_whether_it_moved(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor, before: dict[str, float], words: str
):
    parity = {"criterion": "demographic_parity", "highest": "m", "lowest": "f", "sentence": "Demographic parity."}
    wide = parity | {"column": "sex", "after": 0.3, "low": 0.25, "high": 0.35, **before, "four_fifths": "below"}
    wide |= {"ratio": 0.42, "ratio_low": 0.19, "ratio_high": 0.64}
    narrow = parity | {"column": "race", "after": 0.1, "low": 0.0, "high": 0.2}
    made = make_request(workspace, replacing=True, evidence=EVIDENCE | {"fairness": [narrow, wide]})
    told = said(open_as(reviewer, "request", request=made))
    assert f"Fairness by sex: {words}" in told
    assert told.index("Fairness by sex") < told.index("Fairness by race")
    assert "f is called positive 0.42 [0.19, 0.64] times as often as m." in told
    assert "Demographic parity asks: Every group is called positive equally often." in told


def test_the_worst_gap_comes_first_with_the_four_fifths_rule_and_the_others_are_folded(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    page = open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE))
    told = said(page)
    assert told.index("Largest gap in recall") < told.index("Four-fifths rule: not kept")
    folded = next(one for one in page.expander if one.label == "1 more criterion by gender")
    assert [part.value for part in folded.markdown] == [":gray[Largest gap in selection rate: 0.020.]"]


def test_fairness_has_one_heading_for_a_column(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    page = open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE))
    assert [one.value for one in page.subheader].count("Fairness by gender") == 1
    assert "Largest gap in selection rate: 0.020." in said(page)


def test_no_slice_is_called_the_worst_when_none_loses(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    slices = {"changed_by_slice": [{"slice": "a = b", "n": 9, "corrected": 2, "broken": 1}]}
    told = said(
        open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE | slices))
    )
    assert "In no slice are more decisions broken than corrected." in told


def test_a_first_champion_has_nothing_to_compare_with_and_no_way_back(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    first = {"dummy": EVIDENCE["dummy"], "metrics": EVIDENCE["metrics"]}
    told = said(open_as(reviewer, "request", request=make_request(workspace, evidence=first)))
    assert "churn v1 would be the first champion" in told
    assert "Against the trivial model: The candidate is better" in told
    assert "There is no way back yet" in told


def test_a_failed_gate_blocks_approving_and_can_be_waived(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor, viewer: Actor
):
    made = make_request(workspace, gates={"smoke_test": "failed", "card_complete": "failed"})
    page = open_as(reviewer, "request", request=made)
    told = said(page)
    assert "Blocking: 1. Warnings: 1." in told
    assert "The gate failed." in told
    assert "Gate “Smoke test” failed. It blocks an approval." in told
    assert "It warns and does not block." in told
    assert "It cannot be approved: 1 gate blocks." in told
    assert shut(page) == {"Approve"}
    assert offered(page).count("Waive this gate") == 1
    page.button(key="waive_smoke_test").click().run()
    assert "A waiver is on record with your name" in said(page)
    assert "Waive this gate" not in offered(open_as(viewer, "request", request=made))


def test_what_blocks_stands_before_what_warns(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    made = make_request(workspace, gates={"card_complete": "failed", "no_quarantine": "failed"})
    told = said(open_as(reviewer, "request", request=made))
    assert told.index("It blocks an approval.") < told.index("It warns and does not block.")


def test_a_waived_gate_no_longer_blocks_and_says_who_waived_it(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    made = make_request(workspace, gates={"smoke_test": "failed"})
    with workspace.write() as session:
        add(
            session,
            Waiver(
                request_id=made, revision=1, gate="smoke_test", reason="Known rounding.",
                until=utc_now() + timedelta(days=3), granted_by=reviewer.user_id, granted_at=NOW,
            ),
        )  # fmt: skip
    page = open_as(reviewer, "request", request=made)
    assert f"Waived by {reviewer.name} until" in said(page)
    assert "Approve" in offered(page)


def test_a_stale_request_says_why_and_who_may_prepare_it_again(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor, scientist: Actor
):
    made = make_request(workspace)
    with workspace.write() as session:
        request = session.get_one(PromotionRequest, made)
        request.evidence = {**(request.evidence or {}), "fairness": []}
        request.evidence_digest = "0" * 64
        session.add(request)
    page = open_as(reviewer, "request", request=made)
    told = said(page)
    assert "Stale: the stored evidence was changed after it was prepared." in told
    assert "The evidence has to be prepared again: whoever asked, or whoever may ask, does that on this page." in told
    assert "It cannot be approved while it is stale" in told
    assert shut(page) == {"Approve"}
    assert "Prepare the evidence again" not in offered(page)
    assert "Prepare the evidence again" in offered(open_as(scientist, "request", request=made))


@pytest.mark.parametrize(
    ("answer", "consequence"),
    [
        ("approve", "churn v2 goes live as champion in production at once, in place of churn v1."),
        ("request_changes", "sam is asked to change something; nothing goes live meanwhile."),
        ("reject", "The request is closed for good. Nothing goes live; a new request can be made."),
    ],
)
def test_each_answer_opens_a_dialog_with_its_consequence(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor, scientist: Actor, answer: str, consequence: str
):
    made = make_request(workspace, requester=scientist, replacing=True, evidence=EVIDENCE)
    page = open_as(reviewer, "request", request=made)
    page.button(key=f"answer_{answer}").click().run()
    assert consequence in said(page)
    assert page.text_area(key=f"decision_comment_{answer}").value == ""


def test_the_first_of_two_approvals_is_said_to_change_nothing_yet(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor
):
    with workspace.write() as session:
        policy = ensure_seeded_policy(session, NOW)
        policy.approvals = 2
        session.add(policy)
    page = open_as(reviewer, "request", request=make_request(workspace, replacing=True, evidence=EVIDENCE))
    page.button(key="answer_approve").click().run()
    told = said(page)
    assert "It needs 2 approvals; none given yet." in told
    assert "This is approval 1 of 2; nothing goes live yet." in told


def test_only_the_requester_may_withdraw(open_as: OpenAs, workspace: Workspace, reviewer: Actor, scientist: Actor):
    made = make_request(workspace, requester=scientist)
    assert "Withdraw" not in offered(open_as(reviewer, "request", request=made))
    page = open_as(scientist, "request", request=made)
    next(button for button in page.button if button.label == "Withdraw").click().run()
    assert "Withdrawn" in said(page)
    assert not ANSWERS & set(offered(page))


@pytest.mark.parametrize("state", ["approved", "rejected", "withdrawn"])
def test_a_settled_request_offers_no_answers_and_keeps_its_decisions(
    open_as: OpenAs, workspace: Workspace, reviewer: Actor, state: str
):
    made = make_request(workspace, state=state, decided_at=NOW)
    with workspace.write() as session:
        add(
            session,
            Decision(
                request_id=made, revision=1, user_id=reviewer.user_id, kind="approve", comment=HOSTILE,
                evidence_digest="0" * 64, decided_at=NOW,
            ),
        )  # fmt: skip
    page = open_as(reviewer, "request", request=made)
    told = said(page)
    assert "settled 12 Mar 2026, 14:05 UTC" in told
    assert not ANSWERS & {button.label for button in page.button}
    assert f"Approve: {HOSTILE}" in [text.value for text in page.text]


def test_evidence_that_could_not_be_prepared_says_why(open_as: OpenAs, workspace: Workspace, scientist: Actor):
    made = make_request(workspace, state="preparing", error="The evaluation set has no rows.")
    page = open_as(scientist, "request", request=made)
    assert "The evaluation set has no rows." in said(page)
    assert "Prepare the evidence again" in offered(page)


def test_hostile_words_are_shown_and_not_interpreted(open_as: OpenAs, workspace: Workspace, reviewer: Actor):
    made = make_request(workspace, name=HOSTILE, comment=HOSTILE, replacing=True, evidence=EVIDENCE)
    page = open_as(reviewer, "request", request=made)
    assert HOSTILE in [text.value for text in page.text]
    assert "http\\://evil" not in page.title[0].value
    for element in [*page.title, *page.subheader, *page.markdown]:
        assert ":red[x]" not in element.value
        assert "![](" not in element.value
    assert f"Worst slice: city = {HOSTILE}" in said(page)


def test_a_comment_joins_the_discussion(open_as: OpenAs, workspace: Workspace, viewer: Actor):
    page = open_as(viewer, "request", request=make_request(workspace))
    page.text_area(key="comment_body").set_value("Who looked at the north?")
    next(button for button in page.button if button.label == "Add").click().run()
    assert "Who looked at the north?" in [text.value for text in page.text]
