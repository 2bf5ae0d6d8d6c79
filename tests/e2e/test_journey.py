"""The main loop in a browser against the real processes, from the first administrator to the auditor."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from core.cli.demo.stream import PRICE_RISE, month
from core.database import utc_now
from core.jobs import processes
from core.monitoring import alert_queries, drift_queries, window_queries
from core.monitoring.tables import WindowState
from core.registry import queries as registry
from core.settings import Settings
from core.workspace import opened
from tests.e2e.conftest import Gatehouse, Visitor, visit
from tests.e2e.pages import (
    PASSWORD,
    add_file,
    add_person,
    approve,
    begin,
    box,
    button,
    cells,
    choose,
    first_code,
    heading,
    press,
    register,
    request_promotion,
    review,
    said,
    segment,
    text_of,
    tick,
    token_of,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

START = date(2025, 1, 1)
ROWS = 1_200
DRIFTED = PRICE_RISE + 1
FEATURES = {
    "gender", "region", "contract", "payment", "tenure_months", "monthly_charge", "data_gb", "support_calls",
}  # fmt: skip
WHY_NOT = "somebody else has to decide"
PAGES = {
    "Ada": ("/overview", "/settings?view=people", "/settings?view=system", "/audit"),
    "Rita": (
        "/overview",
        "/approvals",
        "/approvals?view=decided",
        "/request?request=1",
        "/models",
        "/compare?runs=1,3",
    ),
    "Sam": ("/inbox", "/datasets", "/dataset?dataset=1&version=2&view=changes", "/runs", "/model?model=1&view=lineage"),
    "Olga": ("/deployments", "/monitoring", "/monitor?monitor=1"),
}


@dataclass
class Story:
    """Everything that was there before a step, and who is at which browser."""

    gatehouse: Gatehouse
    browser: Browser
    files: Path
    people: dict[str, Visitor] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    between: datetime | None = None

    def at(self, name: str) -> Visitor:
        """This person's browser, signed in."""
        if name not in self.people:
            visitor = visit(self.browser, self.gatehouse.url)
            visitor.sign_in(name, PASSWORD)
            self.people[name] = visitor
        return self.people[name]

    def file(self, name: str, months: Iterator[int] | range, columns: list[str] | None = None) -> Path:
        """Write months of the stream as one CSV file."""
        frame = pd.concat([month(START, index, n_rows=ROWS) for index in months])
        path = self.files / name
        frame.to_csv(path, index=False, columns=columns)
        return path

    def shell(self, *arguments: str) -> str:
        """What a command that has to succeed prints."""
        done = self.gatehouse.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self, name: str) -> str:
        """An API token of one person."""
        if name not in self.tokens:
            self.tokens[name] = token_of(self.gatehouse, name)
        return self.tokens[name]

    def api(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Ask the REST interface as somebody."""
        return httpx.request(
            method,
            f"{self.gatehouse.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token(name)}"},
            timeout=30,
        )

    def scoring_process(self) -> list[int]:
        """The number of the process that scores."""
        with opened(Settings(home=self.gatehouse.home)) as workspace, workspace.read() as session:
            return [process.pid for process in processes.alive(session, utc_now()) if process.role == "scoring"]

    def answer(self) -> dict[str, Any]:
        """What the live model says about three subscribers."""
        drop = ["subscriber", "observed_on", "left"]
        rows = month(START, 20, n_rows=3).drop(columns=drop).to_dict("records")
        got = httpx.post(
            f"{self.gatehouse.scoring_url}/v1/models/churn/champion/predict",
            json={"rows": rows},
            headers={"Authorization": f"Bearer {self.token('Sam')}"},
            timeout=30,
        )
        assert got.status_code == 200, got.text
        answer: dict[str, Any] = got.json()
        return answer


@contextmanager
def asked_all_the_time(story: Story, version: int) -> Iterator[None]:
    """Ask the live model without a pause; a second after a swap it answers as the new version, and it always answers.

    The scoring process has to be the same one before and after.
    """
    answered: list[tuple[datetime, int]] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            sent_at = utc_now()
            answered.append((sent_at, story.answer()["version"]))
            enough.wait(0.1)

    before = story.scoring_process()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            enough.set()
        asking.result()
    with opened(Settings(home=story.gatehouse.home)) as workspace, workspace.read() as session:
        live = registry.live(session, model_id=1)
    assert live is not None
    assert [got for sent_at, got in answered if sent_at > live.from_at + timedelta(seconds=1) and got != version] == []
    assert {got for _, got in answered} == {1, 2}
    assert story.scoring_process() == before


def the_administrator_comes_first(story: Story) -> None:
    ada = visit(story.browser, story.gatehouse.url)
    story.people["Ada"] = ada
    begin(ada, "Ada", first_code(story.gatehouse))
    expect(ada.page).to_have_url(re.compile("/overview$"))


def people_are_added(story: Story) -> None:
    ada = story.at("Ada")
    ada.open("/settings", "Settings")
    for name, roles in {
        "Sam": ("data-scientist", "reviewer"),
        "Rita": ("reviewer",),
        "Olga": ("operator",),
        "Aldo": ("auditor",),
    }.items():
        add_person(ada, name, roles)
    for name in ("Lena", "Max"):
        story.shell(
            "user", "add", name, "--role", "data-scientist", "--role", "reviewer",
            "--password", PASSWORD, "--as", "Ada",
        )  # fmt: skip


def data_is_uploaded(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/datasets", "Datasets")
    press(sam, "Upload a file", "What is this file?")
    add_file(sam, story.file("subscribers.csv", range(2)))
    assert f"{2 * ROWS:,} rows, 11 columns" in text_of(sam)
    choose(sam, "Target", "left")
    choose(sam, "Time column", "observed_on")
    choose(sam, "Sensitive columns", "gender")
    press(sam, "Make the dataset", "subscribers v1")
    assert "checks passed" in text_of(sam)
    segment(sam, "Columns")
    said(sam, "All columns")
    segment(sam, "Checks")


def two_algorithms_are_trained(story: Story) -> None:
    sam = story.at("Sam")
    press(sam, "Train on this version", "New run")
    press(sam, "Start the run", "Run 1")
    sam.open("/runs", "Runs")
    press(sam, "New run", "New run")
    choose(sam, "Dataset version", "subscribers v1")
    heading(sam, "What to predict")
    choose(sam, "Algorithm", "Random forest")
    said(sam, "trees")
    press(sam, "Start the run", "Run 2")
    for run in (1, 2):
        sam.open(f"/run?run={run}", f"Run {run}")
        expect(button(sam.page, "Register")).to_be_visible(timeout=90_000)
        heading(sam, "ROC AUC 0.")


def they_are_compared(story: Story) -> None:
    sam = story.at("Sam")
    press(sam, "Compare", "Runs")
    tick(sam, "Runs", 1, of=2)
    press(sam, "Compare (2)", "Compare")
    said(sam, "Paired: each row is answered by both")
    expect(sam.page.get_by_role("heading", name=re.compile(r"^Run \d, .* than run 1 in ROC AUC$"))).to_be_visible()


def one_is_registered(story: Story) -> None:
    sam = story.at("Sam")
    register(sam, 1, "churn", "Who leaves next month", "v1")


def its_card_is_written(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/model?model=1", "churn")
    segment(sam, "Card")
    heading(sam, "3 sections of churn v1's card are blank")
    button(sam.page, "Edit the card").click()
    dialog = sam.page.get_by_role("dialog")
    for section in ("Intended use", "Out of scope", "Limitations"):
        dialog.get_by_role("textbox", name=section, exact=True).fill("Written by Sam after a look at the data.")
    press(sam, "Save the card", "churn v1's card is complete")


def nobody_decides_on_their_own_work(story: Story, name: str, request: int, part: str) -> None:
    visitor = story.at(name)
    visitor.open(f"/request?request={request}", "Make churn")
    said(visitor, f"{name} {part}, so {WHY_NOT}")
    for word in ("Approve", "Request changes", "Reject"):
        expect(button(visitor.page, word)).to_be_disabled()
    by_shell = story.gatehouse.command("request", "approve", str(request), "--as", name)
    assert by_shell.returncode == 1
    assert f"{name} {part}, so {WHY_NOT}" in by_shell.stderr
    digest = story.api(name, "GET", f"/requests/{request}").json()["evidence_digest"]
    by_api = story.api(
        name, "POST", f"/requests/{request}/decisions", {"kind": "approve", "evidence_digest": digest, "comment": "x"}
    )
    assert by_api.status_code == 403
    assert f"{name} {part}, so {WHY_NOT}" in by_api.json()["error"]
    assert story.api(name, "GET", f"/requests/{request}").json()["state"] == "open"


def the_reviewer_approves(story: Story, version: str, comment: str) -> None:
    rita = story.at("Rita")
    review(rita, "churn", version)
    approve(rita, "churn", version, comment)


def the_model_answers(story: Story, version: int) -> list[str]:
    answer = story.answer()
    assert (answer["model"], answer["version"]) == ("churn", version)
    assert len({one["prediction_id"] for one in answer["predictions"]}) == 3
    for one in answer["predictions"]:
        assert one["prediction"] in {"yes", "no"}
        assert sum(one["scores"].values()) == pytest.approx(1)
    return [f"{one['scores']['yes']:.9f}" for one in answer["predictions"]]


def a_token_is_made_in_the_browser(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/settings", "Settings")
    button(sam.page, "New token").click()
    dialog = sam.page.get_by_role("dialog")
    dialog.get_by_label("What it is for").fill("scoring")
    button(dialog, "Make token").click()
    expect(dialog.get_by_text("Copy it now")).to_be_visible()
    story.tokens["Sam"] = dialog.locator("code").inner_text().strip()
    button(dialog, "I have copied it").click()
    expect(dialog).to_be_hidden()


def a_drifted_batch_shows_on_one_feature(story: Story) -> None:
    olga = story.at("Olga")
    olga.open("/monitoring", "Monitoring")
    olga.open("/monitor?monitor=1", "churn")
    press(olga, "Add data", "What is this file?")
    columns = [name for name in month(START, DRIFTED, n_rows=1).columns if name != "left"]
    add_file(olga, story.file("october.csv", range(DRIFTED, DRIFTED + 1), columns))
    expect(box(olga.page, "Time column")).to_have_value("observed_on")
    press(olga, "Measure drift", "churn")
    heading(olga, re.compile("^monthly_charge( and the prediction)? drifted, first in 2025-10$"))
    said(olga, "1 of 8 features drifted in 2025-10")
    with opened(Settings(home=story.gatehouse.home)) as workspace, workspace.read() as session:
        # What was asked over HTTP in the meantime may have a window of its own, with too few rows to judge.
        judged = {one.label: one for one in window_queries.windows(session, 1) if one.n_rows > 3}
        results = drift_queries.drift_results(session, judged["2025-10"].id or 0)
        alerts = alert_queries.open_alerts(session)
    assert list(judged) == ["2025-10"]
    states = {one.feature: one.state for one in results if not one.is_prediction}
    assert states.pop("monthly_charge") == WindowState.DRIFTED
    assert states == dict.fromkeys(FEATURES - {"monthly_charge"}, WindowState.QUIET)
    (alert,) = [one for one in alerts if one.kind == "drift"]
    assert "monthly_charge" in alert.sentence
    olga.open(f"/monitor?monitor=1&window={judged['2025-10'].id}", "churn")
    heading(olga, "monthly_charge moved in 2025-10")
    table = {row[0]: row[1] for row in cells(olga, "monitor_features")}
    assert {name for name in table if name in FEATURES} == FEATURES
    assert {name for name, state in table.items() if name in FEATURES and "rifted" in state} == {"monthly_charge"}
    olga.open("/inbox", "Inbox")
    said(olga, alert.sentence)


def the_new_month_is_added(story: Story) -> None:
    sam = story.at("Sam")
    sam.open("/dataset?dataset=1", "subscribers v1")
    press(sam, "New version", "What is this file?")
    add_file(sam, story.file("new.csv", range(DRIFTED, DRIFTED + 2)))
    expect(box(sam.page, "This file is")).to_have_value("The next version of subscribers")
    choose(sam, "What it is to the dataset", "adds to version 1: the file holds only new rows")
    expect(box(sam.page, "Target")).to_have_value("left")
    press(sam, "Make subscribers v2", "subscribers v2")
    said(sam, "Against version 1")
    assert f"{4 * ROWS:,}" in text_of(sam)


def it_is_retrained_in_one_click(story: Story) -> None:
    lena = story.at("Lena")
    lena.open("/dataset?dataset=1", "subscribers v2")
    press(lena, "Retrain churn v1's set-up on this version", "Run 3")
    expect(button(lena.page, "Register")).to_be_visible(timeout=90_000)
    heading(lena, "ROC AUC 0.")


def it_is_compared_on_the_same_rows(story: Story) -> None:
    max_ = story.at("Max")
    max_.open("/compare?runs=1,3&baseline=1", "Compare")
    asks = max_.page.get_by_role("button", name=re.compile("Score on the same rows|Work out the verdicts"))
    asks.click()
    said(max_, "Paired: each row is answered by both")
    expect(max_.page.get_by_role("heading", name=re.compile(r"^Run \d, .* than run 1 in ROC AUC$"))).to_be_visible()


def the_operator_rolls_back(story: Story) -> None:
    olga = story.at("Olga")
    olga.open("/deployments?model=1", "Deployments")
    heading(olga, "churn v2 answers as champion in production")
    said(olga, "The way back is churn v1.")
    button(olga.page, "Roll back").click()
    dialog = olga.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Complaints from the north.")
    button(dialog, "Roll back").click()
    heading(olga, "churn v1 answers as champion in production")


def the_auditor_asks_and_verifies(story: Story) -> None:
    aldo = story.at("Aldo")
    expect(aldo.page).to_have_url(re.compile("/audit"))
    assert story.between is not None
    aldo.open(f"/audit?at={story.between:%Y-%m-%dT%H:%M:%S.%f}", "Audit")
    said(aldo, "1 version live on")
    (live,) = cells(aldo, "audit_live")
    assert (live[0], live[3], live[4]) == ("churn v2", "Max", "Rita")
    assert live[5].startswith("request 2: ")
    button(aldo.page, "Verify").click()
    said(aldo, "intact, verified")
    answered = story.shell("audit", "as-of", story.between.isoformat(), "--as", "Aldo")
    assert "churn v2" in answered
    assert "Rita" in answered
    assert story.shell("audit", "verify", "--as", "Aldo").startswith("Everything is as it was written")


def every_page_opens(story: Story) -> None:
    for name, pages in PAGES.items():
        visitor = story.at(name)
        for path in pages:
            visitor.open(path)
            expect(visitor.page.locator("h1").first).to_be_visible()
            visitor.ready()


def test_the_main_loop(gatehouse: Gatehouse, browser: Browser, tmp_path: Path) -> None:
    story = Story(gatehouse, browser, tmp_path)
    the_administrator_comes_first(story)
    people_are_added(story)

    data_is_uploaded(story)
    two_algorithms_are_trained(story)
    they_are_compared(story)
    one_is_registered(story)
    its_card_is_written(story)
    request_promotion(story.at("Sam"), "churn", "v1", "First model of this kind.")
    nobody_decides_on_their_own_work(story, "Sam", 1, "uploaded the data, launched the run and made the request")
    the_reviewer_approves(story, "v1", "Beats the dummy by far.")
    a_token_is_made_in_the_browser(story)
    first = the_model_answers(story, 1)

    a_drifted_batch_shows_on_one_feature(story)
    the_new_month_is_added(story)
    it_is_retrained_in_one_click(story)
    it_is_compared_on_the_same_rows(story)
    register(story.at("Max"), 3, "churn", "", "v2")
    request_promotion(story.at("Max"), "churn", "v2", "Knows the new prices.")
    nobody_decides_on_their_own_work(story, "Sam", 2, "uploaded the data")
    nobody_decides_on_their_own_work(story, "Lena", 2, "launched the run")
    nobody_decides_on_their_own_work(story, "Max", 2, "made the request")
    with asked_all_the_time(story, 2):
        the_reviewer_approves(story, "v2", "Better on the latest rows.")
        second = the_model_answers(story, 2)
    assert second != first
    story.between = utc_now()
    with asked_all_the_time(story, 1):
        the_operator_rolls_back(story)
        assert the_model_answers(story, 1) == first

    the_auditor_asks_and_verifies(story)
    every_page_opens(story)
    for name, visitor in story.people.items():
        assert visitor.off_host == [], name
        assert visitor.errors == [], name
        assert visitor.unguarded == [], name
        assert visitor.raw == [], name
