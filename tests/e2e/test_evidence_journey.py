"""The evidence in a browser: for whom it errs, why, from which score on it calls; compared, handed on, decided on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from core.permissions import Role
from tests.e2e.conftest import Gatehouse, Visitor, visit
from tests.e2e.pages import (
    PASSWORD,
    WORK_MS,
    approve,
    button,
    choose,
    heading,
    hire,
    press,
    register,
    request_promotion,
    review,
    said,
    segment,
    token_of,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 6_000


def members(n_rows: int, *, seed: int) -> pd.DataFrame:
    """Members of a club and whether they renew.

    Planted: in the north nothing tells who renews; men come for more hours and so renew more often; visits and spending
    tell only together, which a linear model cannot use.
    """
    rng = np.random.default_rng(seed)
    gender = rng.choice(("female", "male"), n_rows)
    region = rng.choice(("east", "north", "south", "west"), n_rows, p=(0.3, 0.2, 0.3, 0.2))
    hours = rng.normal(30 + 6 * (gender == "male"), 8).round(1)
    visits = rng.poisson(5, n_rows)
    spending = rng.lognormal(3, 0.6, n_rows).round(2)
    logit = 0.256 * (hours - 33) + 4.2 * ((visits > 5) == (spending > 22)) - 2.1
    renews = rng.random(n_rows) < np.where(region == "north", 0.5, 1 / (1 + np.exp(-logit)))
    return pd.DataFrame(
        {
            "gender": gender,
            "region": region,
            "hours": hours,
            "visits": visits,
            "spending": spending,
            "renews": np.where(renews, "yes", "no"),
        }
    )


@dataclass
class Story:
    """Everything that was there before a step, and who is at which browser."""

    gatehouse: Gatehouse
    browser: Browser
    files: Path
    people: dict[str, Visitor] = field(default_factory=dict)
    threshold: float = float("nan")
    verdict: str = ""

    def at(self, name: str) -> Visitor:
        """This person's browser, signed in."""
        if name not in self.people:
            self.people[name] = visit(self.browser, self.gatehouse.url)
            self.people[name].sign_in(name, PASSWORD)
        return self.people[name]

    def shell(self, *arguments: str) -> None:
        """Run a command that has to succeed."""
        done = self.gatehouse.command(*arguments)
        assert done.returncode == 0, done.stderr

    def answers(self, token: str) -> dict[str, Any]:
        """What the live model says of rows it has never seen."""
        rows = members(300, seed=99).drop(columns="renews").to_dict("records")
        got = httpx.post(
            f"{self.gatehouse.scoring_url}/v1/models/members/champion/predict",
            json={"rows": rows},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        assert got.status_code == 200, got.text
        answer: dict[str, Any] = got.json()
        return answer


def data_is_there(story: Story) -> None:
    hire(story.gatehouse, {"Sam": Role.DATA_SCIENTIST, "Rita": Role.REVIEWER})
    file = story.files / "members.csv"
    members(ROWS, seed=5).to_csv(file, index=False)
    story.shell(
        "dataset", "add", str(file), "--name", "members", "--target", "renews", "--sensitive", "gender", "--as", "Sam"
    )


def two_runs_are_trained(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/dataset?dataset=1", "members v1")
    press(sam, "Train on this version", "New run")
    press(sam, "Start the run", "Run 1")
    sam.open("/dataset?dataset=1", "members v1")
    press(sam, "Train on this version", "New run")
    choose(sam, "Algorithm", "Gradient boosting (histogram)")
    press(sam, "Start the run", "Run 2")
    for run in (1, 2):
        sam.open(f"/run?run={run}", f"Run {run}")
        expect(button(sam.page, "Register")).to_be_visible(timeout=WORK_MS)


def the_linear_one_is_live(story: Story) -> None:
    register(story.at("Sam"), 1, "members", "Who renews.", "v1")
    story.shell("promote", "members@1", "--comment", "The first one.", "--as", "Sam")
    story.shell("request", "approve", "1", "--as", "Rita")


def the_planted_slice_is_confirmed(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/run?run=2", "Run 2")
    segment(sam, "Slices")
    heading(sam, "The model is weak where region = north")
    heading(sam, re.compile("ROC AUC is worse (where|in .* most where) region = north"))


def groups_differ(story: Story) -> None:
    sam = story.at("Sam")
    segment(sam, "Fairness")
    heading(sam, re.compile(r"differs by gender: .* in male against .* in female, a gap of 0\.\d+ \["))
    said(sam, "This is a what-if: it is stored nowhere and applied nowhere.")


def one_row_is_explained(story: Story) -> None:
    sam = story.at("Sam")
    segment(sam, "Explanation")
    heading(sam, "The model relies most on")
    segment(sam, "One row")
    heading(sam, "Choose a row")
    button(sam.page, "The surest mistake").click()
    heading(sam, re.compile(r"Row [\d,]+ is predicted (yes|no); its score of yes is .*, and it is (yes|no)"))
    sam.page.get_by_label("hours", exact=True).fill("70")
    button(sam.page, "Predict").click()
    heading(sam, re.compile(r"Changing hours moves the score of yes from 0\.\d+ to [01]\.?\d*"))


def it_is_registered_with_a_threshold(story: Story) -> None:
    sam = story.at("Sam")
    segment(sam, "Threshold")
    heading(sam, "Suggest a threshold")
    choose(sam, "What for", "Recall of at least")
    button(sam.page, "Find it").click()
    expect(sam.page).to_have_url(re.compile("found=yes"))
    heading(sam, re.compile(r"At 0\.\d+ it finds [89]\d\.\d % of yes"))
    found = re.search(r"threshold=(0\.\d+)", sam.page.url)
    assert found is not None
    story.threshold = float(found.group(1))
    assert story.threshold < 0.5
    button(sam.page, "Register with this threshold").click()
    dialog = sam.page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Positive from a score of {story.threshold:.6g} on, chosen for")).to_be_visible()
    button(dialog, "Register").click()
    heading(sam, "members", exact=True)
    segment(sam, "Behaviour")
    heading(sam, re.compile(r"members v2 passes \d of \d tests"))


def they_are_compared(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/compare?runs=1,2&baseline=1", "Compare")
    asks = sam.page.get_by_role("button", name=re.compile("Score on the same rows|Work out the verdicts"))
    better = sam.page.get_by_role("heading", name=re.compile(r"better than .* in ROC AUC"))
    expect(asks.or_(better).first).to_be_visible(timeout=WORK_MS)
    if asks.is_visible():
        asks.click()
    expect(better).to_be_visible(timeout=WORK_MS)
    sam.ready()
    story.verdict = better.inner_text()


def the_report_needs_no_server(story: Story) -> None:
    sam = story.at("Sam")
    button(sam.page, "Export").click()
    with sam.page.expect_download() as downloading:
        button(sam.page, "Report as one page").click()
    report = story.files / "report.html"
    downloading.value.save_as(report)
    context = story.browser.new_context(viewport={"width": 1440, "height": 960})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri(), wait_until="networkidle")
    expect(page.get_by_text(story.verdict).first).to_be_visible()
    assert asked == [report.as_uri()]
    assert complaints == []
    context.close()


def promotion_is_requested(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/model?model=1&version=2", "members")
    request_promotion(sam, "members", "v2", "Finds nine in ten of those who renew.")


def the_reviewer_sees_what_changes_and_approves(story: Story) -> None:
    rita = story.at("Rita")
    review(rita, "members", "v2")
    heading(rita, "members v2 is better on the fixed evaluation set")
    said(rita, f"members v2: Positive from a score of {story.threshold:.6g} on, chosen for")
    said(rita, "members v1: the class of the highest score is predicted.")
    heading(rita, re.compile(r"of 1,200 decisions change .*: [\d,]+ corrected, [\d,]+ broken"))
    heading(rita, "Fairness by gender")
    said(rita, re.compile(r"in male against .* in female"))
    said(rita, re.compile(r"^Behaviour suite 1: \d of \d tests passed$"))
    approve(rita, "members", "v2", "Seen for whom it errs.")


def scoring_keeps_the_stored_threshold(story: Story, token: str) -> None:
    answer = story.answers(token)
    assert answer["version"] == 2
    said_of = {"between": set[str](), "above": set[str](), "below": set[str]()}
    for one in answer["predictions"]:
        score = one["scores"]["yes"]
        where = "below" if score < story.threshold else "between" if score < 0.5 else "above"
        said_of[where].add(one["prediction"])
    assert said_of == {"between": {"yes"}, "above": {"yes"}, "below": {"no"}}


def scoring_decides_at_the_default(story: Story, token: str) -> None:
    answer = story.answers(token)
    assert answer["version"] == 1
    assert {(one["scores"]["yes"] > 0.5, one["prediction"]) for one in answer["predictions"]} == {
        (True, "yes"),
        (False, "no"),
    }


def test_from_evidence_to_a_decision(gatehouse: Gatehouse, browser: Browser, tmp_path: Path) -> None:
    story = Story(gatehouse, browser, tmp_path)
    data_is_there(story)
    token = token_of(gatehouse, "Sam")
    two_runs_are_trained(story)
    the_linear_one_is_live(story)
    scoring_decides_at_the_default(story, token)

    the_planted_slice_is_confirmed(story)
    groups_differ(story)
    one_row_is_explained(story)
    it_is_registered_with_a_threshold(story)
    they_are_compared(story)
    the_report_needs_no_server(story)

    promotion_is_requested(story)
    the_reviewer_sees_what_changes_and_approves(story)
    scoring_keeps_the_stored_threshold(story, token)
    for name, visitor in story.people.items():
        assert visitor.off_host == [], name
        assert visitor.errors == [], name
        assert visitor.unguarded == [], name
        assert visitor.raw == [], name
