"""What a person does on a page: sign in, choose from a list, tick a row, add a file, wait for the next heading."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.e2e.conftest import Visitor

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
