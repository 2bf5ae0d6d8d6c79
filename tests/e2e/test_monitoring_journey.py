"""From a file of production rows to a decision: drift found, looked at, its cause told, an incident, retraining."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from core.access import queries as access
from core.database import utc_now
from core.monitoring.service import ensure_monitor
from core.permissions import Role
from core.registry import queries as registry
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment
from core.settings import Settings
from core.workspace import opened
from tests.e2e.conftest import Gatehouse, Visitor, visit
from tests.e2e.pages import (
    PASSWORD,
    WORK_MS,
    add_file,
    box,
    button,
    cells,
    heading,
    hire,
    press,
    said,
    segment,
    text_of,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SQUARE = """([window, feature]) => {
    const drawn = document.querySelector('.js-plotly-plot'), at = drawn.getBoundingClientRect();
    const x = drawn._fullLayout.xaxis, y = drawn._fullLayout.yaxis;
    const column = x.ticktext.indexOf(window), row = y.ticktext.indexOf(feature);
    return [at.left + x._offset + x.l2p(x.tickvals[column]), at.top + y._offset + y.l2p(y.tickvals[row])];
}"""


def loans(first_day: str, n_days: int, n_rows: int, *, seed: int, cents: bool = False) -> pd.DataFrame:
    """Loans and whether they were repaid, which follows from income and age; ``cents`` is a fault in the pipeline."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10.3, 0.4, n_rows).round(2)
    age = rng.integers(20, 75, n_rows)
    score = 1.6 * (np.log(income) - 10.3) + 0.03 * (age - 45) + rng.logistic(0, 0.7, n_rows)
    day = pd.Timestamp(first_day) + pd.to_timedelta(np.sort(rng.integers(0, n_days, n_rows)), unit="D")
    return pd.DataFrame(
        {
            "day": day.strftime("%Y-%m-%d"),
            "income": income * 100 if cents else income,
            "age": age,
            "purpose": rng.choice(("car", "home", "study"), n_rows),
            "repaid": np.where(score > 0, "yes", "no"),
        }
    )


def a_model_is_live(gatehouse: Gatehouse, folder: Path) -> None:
    """Trained and deployed without a browser; the road of approval is another journey."""
    hire(gatehouse, {"Sam": Role.DATA_SCIENTIST, "Olga": Role.OPERATOR})
    file = folder / "loans.csv"
    loans("2025-01-01", 365, 3_000, seed=1).to_csv(file, index=False)
    for arguments in (
        ("dataset", "add", str(file), "--name", "loans", "--target", "repaid"),
        ("train", "--dataset", "loans", "--algorithm", "logistic_regression", "--wait"),
        ("model", "register", "1", "--name", "loans"),
    ):
        done = gatehouse.command(*arguments, "--as", "Sam")
        assert done.returncode == 0, done.stderr
    with opened(Settings(home=gatehouse.home)) as workspace, workspace.write() as session:
        version, now = registry.resolve_version(session, "loans@1"), utc_now()
        assign(
            session,
            version_id=version.id or 0,
            environment=Environment.PRODUCTION,
            alias=Alias.CHAMPION,
            cause=Cause.PROMOTION,
            actor=access.actor_of_name(session, "Sam", "shell"),
            now=now,
        )
        ensure_monitor(
            session,
            model_id=version.model_id,
            environment=Environment.PRODUCTION,
            alias=Alias.CHAMPION,
            now=now,
        )


def a_month_in_cents_is_added(olga: Visitor, folder: Path) -> None:
    file = folder / "production.csv"
    rows = [loans("2026-01-01", 31, 600, seed=2), loans("2026-02-01", 28, 600, seed=3, cents=True)]
    pd.concat(rows).drop(columns="repaid").to_csv(file, index=False)
    olga.open("/monitor?monitor=1", "loans")
    press(olga, "Add data", "What is this file?")
    add_file(olga, file)
    expect(box(olga.page, "Time column")).to_have_value("day")
    press(olga, "Measure drift", "loans")
    heading(olga, re.compile(r"^income( and the prediction)? drifted, first in 2026-02$"))


def choose_square(visitor: Visitor, window: str, feature: str) -> None:
    """Click the square of the heat map."""
    plot = visitor.page.locator(".js-plotly-plot").first
    plot.scroll_into_view_if_needed()
    visitor.ready()
    visitor.page.mouse.click(*visitor.page.evaluate(SQUARE, [window, feature]))


def squares_lead_to_then_and_now(olga: Visitor) -> None:
    choose_square(olga, "2026-01", "age")
    heading(olga, "age looks as before in 2026-01")
    choose_square(olga, "2026-02", "income")
    heading(olga, "income moved in 2026-02")
    choose_square(olga, "2026-02", "income")  # once more: it stays chosen
    segment(olga, "Every test")
    heading(olga, "income moved in 2026-02")
    told = {row[0]: row for row in cells(olga, "monitor_every_test")}
    assert told["Kolmogorov-Smirnov"][1] == "yes"
    assert told["Population stability index"][1] == "no"
    segment(olga, "Example rows")
    expect(olga.page.get_by_text("Rows of 2026-02 where income grew most")).to_be_visible()
    incomes = [float(row[1].replace(",", "")) for row in cells(olga, "monitor_rows")]
    assert min(incomes) > 500_000
    segment(olga, "Distribution")
    heading(olga, "income moved in 2026-02")


def the_cause_is_told_and_recorded(olga: Visitor) -> None:
    heading(olga, re.compile(r"^Likely cause in 2026-02: .*pipeline", re.IGNORECASE))
    press(olga, "Open an incident", re.compile("loans"))
    heading(olga, re.compile("^Likely cause: .*pipeline", re.IGNORECASE))
    heading(olga, "Advised: fix the pipeline")
    said(olga, "income looks like another unit")
    button(olga.page, "Take over").click()
    said(olga, "Olga sees to it")
    assert "income" in text_of(olga)


def retraining_is_started(gatehouse: Gatehouse, sam: Visitor, folder: Path) -> None:
    file = folder / "newer.csv"
    loans("2026-01-01", 59, 1_500, seed=4).to_csv(file, index=False)
    done = gatehouse.command("dataset", "add", str(file), "--name", "loans", "--adds-to", "1", "--as", "Sam")
    assert done.returncode == 0, done.stderr
    sam.open("/monitor?monitor=1", "loans")
    heading(sam, "Advised: fix the pipeline")
    sam.page.get_by_text(re.compile(r"^\d+ other ways$")).click()
    sam.page.locator(".st-key-remedy_retrain button").click()
    heading(sam, "loans v2")
    press(sam, "Retrain loans v1's set-up on this version", "Run 2")
    expect(button(sam.page, "Register")).to_be_visible(timeout=WORK_MS)


def test_from_a_file_to_a_decision(gatehouse: Gatehouse, browser: Browser, tmp_path: Path) -> None:
    a_model_is_live(gatehouse, tmp_path)
    olga = visit(browser, gatehouse.url)
    olga.sign_in("Olga", PASSWORD)
    a_month_in_cents_is_added(olga, tmp_path)
    squares_lead_to_then_and_now(olga)
    the_cause_is_told_and_recorded(olga)
    sam = visit(browser, gatehouse.url)
    sam.sign_in("Sam", PASSWORD)
    retraining_is_started(gatehouse, sam, tmp_path)
    olga.page.context.close()
    sam.page.context.close()
