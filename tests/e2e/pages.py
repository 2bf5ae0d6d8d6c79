"""What a person does on a page: sign in, choose from a list, tick a row, add a file, register, ask and approve."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError, expect

from core.access import queries as access
from core.access import service as accounts
from core.access.queries import shell_actor
from core.database import utc_now
from core.permissions import Role
from core.settings import Settings
from core.workspace import opened
from tests.e2e.conftest import Gatehouse, Visitor

PASSWORD = "correct horse battery"
ROW_PX = 36
WORK_MS = 90_000
TRIES = 5


def button(page: Page | Locator, name: str) -> Locator:
    """The button that says exactly this."""
    return page.get_by_role("button", name=name, exact=True)


def box(page: Page | Locator, label: str) -> Locator:
    """The select box of this name."""
    return page.get_by_role("combobox", name=label, exact=True).first


def heading(visitor: Visitor, name: str | re.Pattern[str], *, exact: bool = False) -> None:
    """Wait for a heading, and until the page around it has settled."""
    expect(visitor.page.get_by_role("heading", name=name, exact=exact).first).to_be_visible(timeout=WORK_MS)
    visitor.ready()


def said(visitor: Visitor, words: str) -> None:
    """Wait until the page says these words somewhere."""
    expect(visitor.page.get_by_text(words).filter(visible=True).first).to_be_visible(timeout=WORK_MS)
    visitor.ready()


def text_of(visitor: Visitor) -> str:
    """Everything the page says in its main part, tables apart."""
    return visitor.page.get_by_test_id("stMain").inner_text()


def press(visitor: Visitor, name: str, then: str | re.Pattern[str]) -> None:
    """Press a button, and wait for the heading of what it opens."""
    button(visitor.page, name).click()
    heading(visitor, then)


def segment(visitor: Visitor, name: str) -> None:
    """Choose one of a page's views."""
    visitor.page.get_by_role("radio", name=name, exact=True).click()


def choose(visitor: Visitor, label: str, option: str) -> None:
    """Pick one option of a select box; of several, one more."""
    field = box(visitor.page, label)
    wanted = visitor.page.get_by_role("option", name=option, exact=True)
    for _ in range(TRIES):  # a list that opens while the page is still being drawn is closed again
        field.focus()
        field.press("ArrowDown")
        try:
            wanted.click(timeout=3_000)
            break
        except TimeoutError:
            field.press("Tab")
    else:
        raise AssertionError(f"{label} does not offer {option!r}")
    field.press("Tab")
    visitor.ready()


def type_new(dialog: Locator, label: str, value: str) -> None:
    """Type what the list of a select box does not hold yet."""
    field = box(dialog, label)
    field.fill(value)
    field.press("Enter")


def tick(visitor: Visitor, table: str, row: int, *, of: int) -> None:
    """Tick one row, counted from 0, of a table; a table is drawn on a canvas, so by its place."""
    area = visitor.page.get_by_role("region", name=table, exact=True)
    place = area.bounding_box()
    assert place is not None
    area.click(position={"x": 18, "y": place["height"] - ROW_PX * (of - row) + ROW_PX / 2})


def cells(visitor: Visitor, table: str) -> list[list[str]]:
    """What a table says, row by row; a canvas tells it to assistive technologies only."""
    grid = visitor.page.locator(f".st-key-wide-{table} canvas table")
    expect(grid.locator("td").first).to_be_attached(timeout=WORK_MS)
    return [row.locator("td").all_text_contents() for row in grid.locator("tbody tr").all()]


def add_file(visitor: Visitor, file: Path) -> None:
    """Give the intake page a file, and wait until it asks what the file is for."""
    visitor.page.locator("input[type=file]").set_input_files(file)
    heading(visitor, "What it is for")


def begin(visitor: Visitor, name: str, code: str) -> None:
    """Become the first administrator."""
    page = visitor.page
    page.goto(visitor.base)
    page.get_by_label("One-time code").fill(code)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    button(page, "Make me administrator").click()
    visitor.ready()


def add_person(administrator: Visitor, name: str, roles: Iterable[str]) -> None:
    """Add somebody on the page of settings."""
    page = administrator.page
    button(page, "Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    for role in roles:
        button(dialog, role).click()
    dialog.get_by_label("Password, at least 8 characters").fill(PASSWORD)
    button(dialog, "Add").click()
    expect(dialog).to_be_hidden()
    administrator.ready()


def first_code(gatehouse: Gatehouse) -> str:
    """The one-time code that was printed for the first administrator."""
    found = re.search(r"use this code once: (\S+)", gatehouse.log.read_text())
    assert found is not None
    return found.group(1)


def hire(gatehouse: Gatehouse, people: Mapping[str, Role]) -> None:
    """Add people without a browser, for a journey that is about something else; Ada is the administrator."""
    now = utc_now()
    with opened(Settings(home=gatehouse.home)) as workspace:
        with workspace.write() as session:
            accounts.create_first_administrator(
                session, code=first_code(gatehouse), name="Ada", password=PASSWORD, now=now
            )
        with workspace.write() as session:
            ada = access.actor_of_name(session, "Ada", "shell")
            for name, role in people.items():
                accounts.add_user(session, name=name, roles=(role,), password=PASSWORD, actor=ada, now=now)


def token_of(gatehouse: Gatehouse, name: str) -> str:
    """A new API token of one person."""
    with opened(Settings(home=gatehouse.home)) as workspace, workspace.write() as session:
        return accounts.create_token(session, name="journey", actor=shell_actor(session, name), now=utc_now())[1]


def register(visitor: Visitor, run: int, model: str, description: str, version: str) -> None:
    """Register a run as a model's next version; with a description the model is new."""
    visitor.open(f"/run?run={run}", f"Run {run}")
    button(visitor.page, "Register").click()
    dialog = visitor.page.get_by_role("dialog")
    if description:
        type_new(dialog, "Model", model)
        dialog.get_by_label("Description").fill(description)
    button(dialog, "Register").click()
    heading(visitor, model, exact=True)
    expect(button(visitor.page, f"Request promotion of {version}")).to_be_visible()


def request_promotion(visitor: Visitor, model: str, version: str, comment: str) -> None:
    """Ask for a version's promotion on the model's page, and wait for the evidence."""
    button(visitor.page, f"Request promotion of {version}").click()
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog.get_by_text("Can approve: ")).to_contain_text("Rita")
    dialog.get_by_label("Why should it go live?").fill(comment)
    button(dialog, "Send request").click()
    heading(visitor, f"Make {model} {version} champion")
    said(visitor, "gates passed")


def review(visitor: Visitor, model: str, version: str) -> None:
    """Open the request that waits in the inbox."""
    visitor.open("/inbox", "Inbox")
    said(visitor, f"{model} {version} as champion in production")
    visitor.page.get_by_role("button", name="Review", exact=True).first.click()
    heading(visitor, f"Make {model} {version} champion in production")
    said(visitor, "Blocking: none.")


def approve(visitor: Visitor, model: str, version: str, comment: str) -> None:
    """Approve on the decision page."""
    button(visitor.page, "Approve").click()
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog.get_by_text(f"{model} {version} goes live as champion in production at once")).to_be_visible()
    dialog.get_by_label("Comment").fill(comment)
    button(dialog, "Approve").click()
    expect(dialog).to_be_hidden()
    heading(visitor, "Decisions")
    said(visitor, f"Approve: {comment}")
