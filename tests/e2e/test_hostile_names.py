"""Names that would be code somewhere, typed wherever a name can be typed: every page shows them letter by letter."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Dialog, expect

from core.access.queries import shell_actor
from core.collaboration.service import add_comment
from core.database import utc_now
from core.permissions import Role
from core.settings import Settings
from core.workspace import opened
from tests.e2e.conftest import Gatehouse, Visitor, visit
from tests.e2e.pages import PASSWORD, WORK_MS, add_file, begin, box, button, choose

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MARKDOWN, IMAGE, SCRIPT = ":red[x]", "![](http://evil.example/a.png)", "<script>alert(1)</script>"
FORMULA, PATH = '=HYPERLINK("http://evil.example")', "../../x"
NAMES = (MARKDOWN, IMAGE, SCRIPT, FORMULA, PATH)
ALL = " ".join((FORMULA, MARKDOWN, IMAGE, SCRIPT, PATH))
PERSON, REVIEWER, DATA, MODEL, REMARK = (f"{ALL} {word}" for word in ("me", "you", "data", "model", "remark"))
JOINER = "\u2060"
SAYS = """([name, joiner]) => {
    const main = document.querySelector('[data-testid="stMain"]');
    const typed = [...main.querySelectorAll('input, textarea')].map(one => one.value);
    return [main.textContent, ...typed].some(text => text.replaceAll(joiner, '').includes(name));
}"""
MADE_OF_A_NAME = """() => [
    ...[...document.querySelectorAll('[src], [href]')].filter(one => {
        const address = one.getAttribute('src') ?? one.getAttribute('href');
        return new URL(address, location).host.includes('evil');
    }),
    ...[...document.scripts].filter(one => one.textContent.includes('alert(1)')),
].map(one => one.outerHTML)"""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

# What each page has to say of them, letter by letter.
PAGES = {
    "/overview": [MODEL, PERSON],
    "/inbox": [MODEL],
    "/datasets": [DATA, PATH],
    "/dataset?dataset=1&version=1": [DATA, PATH, FORMULA],
    "/dataset?dataset=1&version=1&view=columns": [DATA, *NAMES],
    "/dataset?dataset=1&version=1&view=rows": NAMES,
    "/dataset?dataset=1&version=2&view=changes": [DATA, MARKDOWN],
    "/dataset?dataset=1&version=1&view=lineage": [PERSON, MARKDOWN],
    "/new_run?version=1": [DATA, MARKDOWN, IMAGE, SCRIPT, FORMULA],
    "/runs": [DATA, PERSON],
    "/run?run=1": [DATA, PATH],
    "/run?run=1&curve=confusion": [SCRIPT, FORMULA],
    "/run?run=1&view=importance": [MARKDOWN, SCRIPT],
    "/run?run=1&view=record": [DATA, PERSON, *NAMES],
    "/run?run=1&view=log": [DATA],
    "/compare?runs=1,2&baseline=1": [MARKDOWN, IMAGE, SCRIPT, FORMULA],
    "/models": [MODEL, PATH, PERSON],
    "/model?model=1": [MODEL, DATA, REMARK, PERSON],
    "/model?model=1&view=card": [MODEL, DATA, PERSON],
    "/model?model=1&view=lineage": [MODEL, DATA, PERSON],
    "/model?model=1&view=deployments": [REVIEWER],
    "/approvals?view=decided": [MODEL, PERSON],
    "/request?request=1": [MODEL, PERSON, REVIEWER, REMARK, DATA],
    "/deployments": [MODEL, REVIEWER, MARKDOWN, IMAGE, SCRIPT],
    "/monitoring": [MODEL, MARKDOWN],
    "/monitor?monitor=1": [MODEL, MARKDOWN, IMAGE, SCRIPT, FORMULA],
    f"/monitor?monitor=1&feature={SCRIPT}": [SCRIPT],
    "/audit": [MODEL, PERSON, REVIEWER],
    "/settings": [PERSON, REVIEWER],
    "/settings?view=account": [PERSON],
}


def rows(n: int, *, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Rows whose columns, categories and classes are all called something hostile."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(shift, 1, n), rng.normal(0, 1, n)
    return pd.DataFrame(
        {
            "day": (pd.Timestamp("2025-03-01") + pd.to_timedelta(rng.integers(0, 28, n), unit="D")).strftime("%F"),
            MARKDOWN: first.round(3),
            IMAGE: second.round(3),
            SCRIPT: rng.choice(NAMES, n),
            FORMULA: rng.integers(0, 60, n),
            PATH: np.where(first + second + rng.normal(0, 1, n) > 0, SCRIPT, FORMULA),
        }
    )


class World:
    """A workspace in which everything is called something hostile."""

    def __init__(self, gatehouse: Gatehouse, browser: Browser, folder: Path) -> None:
        self.gatehouse, self.folder = gatehouse, folder
        self.visitor = visit(browser, gatehouse.url)
        self.dialogs: list[str] = []
        self.visitor.page.on("dialog", self._refuse)

    def _refuse(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def file(self, name: str, n: int, *, seed: int, shift: float = 0.0) -> Path:
        path = self.folder / name
        rows(n, seed=seed, shift=shift).to_csv(path, index=False)
        return path

    def shell(self, *arguments: str, actor: str = PERSON) -> None:
        done = self.gatehouse.command(*arguments, "--as", actor)
        assert done.returncode == 0, (arguments, done.stderr)


def everybody_has_a_hostile_name(world: World) -> None:
    code = re.search(r"use this code once: (\S+)", world.gatehouse.log.read_text())
    assert code is not None
    begin(world.visitor, PERSON, code.group(1))
    roles = [role.value for role in Role if role != Role.REVIEWER]
    world.shell("user", "roles", PERSON, *(part for role in roles for part in ("--role", role)))
    world.shell("user", "add", REVIEWER, "--role", "reviewer")


def data_is_typed_in_the_browser(world: World) -> None:
    visitor = world.visitor
    visitor.open("/intake", "What is this file?")
    add_file(visitor, world.file(f"{MARKDOWN} {IMAGE[:4]}.csv", 900, seed=1))
    literally(world, ["day", *NAMES])
    visitor.page.get_by_role("textbox", name="Name", exact=True).fill(DATA)
    choose(visitor, "Target", PATH)
    choose(visitor, "Time column", "day")
    choose(visitor, "Sensitive columns", SCRIPT)
    expect(box(visitor.page, "Target")).to_have_value(PATH)
    button(visitor.page, "Make the dataset").click()
    expect(visitor.page).to_have_url(re.compile("/dataset[?]dataset=1"), timeout=WORK_MS)
    literally(world, [f"{DATA} v1"])


def the_rest_is_done_in_the_shell(world: World) -> None:
    for algorithm in ("logistic_regression", "random_forest"):
        world.shell("train", "--dataset", DATA, "--algorithm", algorithm, "--wait")
    world.shell("compare", "1", "2")
    world.shell("model", "register", "1", "--name", MODEL, "--description", REMARK)
    world.shell("promote", f"{MODEL}@1", "--comment", REMARK)
    with opened(Settings(home=world.gatehouse.home)) as workspace, workspace.write() as session:
        me = shell_actor(session, PERSON)
        add_comment(session, subject_kind="promotion_request", subject_id=1, body=REMARK, actor=me, now=utc_now())
    world.shell("request", "approve", "1", "--comment", REMARK, actor=REVIEWER)
    more = world.file("more.csv", 600, seed=2, shift=2)
    world.shell("dataset", "add", str(more), "--name", DATA, "--adds-to", "1")
    world.shell("monitor", "add-batch", MODEL, str(more), "--time", "day")


def literally(world: World, names: Iterable[str]) -> None:
    """The page says these names as they were typed, and made nothing else of them."""
    page = world.visitor.page
    for name in names:
        page.wait_for_function(SAYS, arg=[name, JOINER])
    made = page.evaluate(MADE_OF_A_NAME)
    assert made == []


def every_page_shows_them_literally(world: World) -> None:
    for path, names in PAGES.items():
        world.visitor.open(path)
        world.visitor.page.locator("h1").first.wait_for()
        world.visitor.ready()
        literally(world, names)


def no_exported_cell_is_a_formula(world: World) -> None:
    visitor = world.visitor
    visitor.open("/audit", "Audit")
    with visitor.page.expect_download() as audit:
        button(visitor.page, "Export CSV").click()
    written = cells_of(Path(audit.value.path()))
    assert any(cell.startswith(f"'{FORMULA}") for cell in written)
    visitor.open("/dataset?dataset=1&version=1")
    literally(world, [f"{DATA} v1"])
    button(visitor.page, "Download").click()
    with visitor.page.expect_download() as data:
        button(visitor.page, "CSV").click()
    written |= (exported := cells_of(Path(data.value.path())))
    assert {f"'{FORMULA}", SCRIPT, PATH, MARKDOWN, IMAGE} <= exported
    numbers = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")
    assert [cell for cell in written if cell.startswith(FORMULA_STARTS) and not numbers.fullmatch(cell)] == []


def cells_of(path: Path) -> set[str]:
    return {cell for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))) for cell in line}


def the_sign_in_page_gives_them_back(visitor: Visitor, world: World) -> None:
    visitor.page.goto(f"{visitor.base}/sign-in?next=/{SCRIPT}")
    visitor.page.get_by_label("Name").fill(PERSON)
    visitor.page.get_by_label("Password").fill(f"not {PASSWORD}")
    button(visitor.page, "Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(visitor.page.get_by_label("Name")).to_have_value(PERSON)
    assert visitor.page.evaluate(MADE_OF_A_NAME) == []


def test_hostile_names_are_shown_literally_everywhere(gatehouse: Gatehouse, browser: Browser, tmp_path: Path) -> None:
    world = World(gatehouse, browser, tmp_path)
    everybody_has_a_hostile_name(world)
    data_is_typed_in_the_browser(world)
    the_rest_is_done_in_the_shell(world)
    every_page_shows_them_literally(world)
    no_exported_cell_is_a_formula(world)
    stranger = visit(browser, gatehouse.url)
    the_sign_in_page_gives_them_back(stranger, world)
    for visitor in (world.visitor, stranger):
        assert visitor.off_host == []
        assert visitor.errors == []
        assert visitor.unguarded == []
        assert visitor.raw == []
    assert world.dialogs == []
