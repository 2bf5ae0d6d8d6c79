"""The demo's banner in a browser: a click acts as another role."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.cli.demo.narrator import Narrator
from core.cli.demo.people import hire
from core.cli.demo.stream import month
from core.database import utc_now
from core.settings import Settings
from core.workspace import opened
from tests.e2e.conftest import start, visit

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_click_in_the_banner_acts_as_another_role(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with opened(Settings(home=home, demo=True)) as workspace:  # a home that holds data is told no story
        cast = hire(workspace, utc_now())
        rows = month(date(2025, 1, 1), 0, n_rows=200)
        Narrator(workspace, utc_now(), print).add_version(
            rows, dataset="subscribers", file_name="a.csv", who=cast.sam, target="left"
        )
    running = start(home, "--demo")
    try:
        running.wait_until_ready()
        visitor = visit(browser, running.url)
        visitor.page.goto(running.url)
        visitor.page.locator('button[value="data-scientist"]').click()
        for role, name in (("reviewer", "rita"), ("operator", "olga"), ("auditor", "aldo"), ("data-scientist", "sam")):
            visitor.ready()
            visitor.page.locator(f'.gatehouse-demo button[value="{role}"]').click()
            expect(visitor.page.get_by_test_id("stSidebar").get_by_text(name, exact=True)).to_be_visible()
            expect(visitor.page.locator(f'.gatehouse-demo button[value="{role}"]')).to_be_disabled()
        visitor.ready()
        assert visitor.off_host == []
        assert visitor.errors == []
        assert visitor.raw == []
    finally:
        running.stop()
