"""A running Gatehouse, a browser, and the time from a click or an address to a settled page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from dashboard.entrance import COOKIE
from tests.e2e.chromium import find
from tests.e2e.conftest import ARGUMENTS, READY, Gatehouse, start

# Before its first run and just after a click a page looks settled as well; a new heading says that the script ran.
SETTLED = """([path, ready, before]) => {
    const heading = document.querySelector('h1')?.textContent
    return location.pathname === path && heading && heading !== before && document.querySelector(ready)
}"""
PATIENCE_MS = 60_000


@contextmanager
def running(home: Path, *flags: str) -> Iterator[Gatehouse]:
    """``gatehouse up`` for the length of a block."""
    started = start(home, *flags)
    try:
        started.wait_until_ready(300)
        yield started
    finally:
        started.stop()


@contextmanager
def browsing() -> Iterator[BrowserContext]:
    """A wide browser window; its tabs share cookies and cache as a person's do."""
    path = find()
    if path is None:
        raise SystemExit("No Chromium on this machine: run `make browser`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1440, "height": 960})
        yield context
        browser.close()


def settle(page: Page, path: str, before: str = "") -> None:
    """Wait until the page at a path, with another heading than before, has run and drawn all it has."""
    page.wait_for_function(SETTLED, arg=[path, READY, before], timeout=PATIENCE_MS)


def heading(page: Page) -> str:
    """The page's heading."""
    return page.locator("h1").first.text_content() or ""


def signed_in(context: BrowserContext, base: str, token: str) -> None:
    """Give the browser the cookie of a sign-in."""
    context.add_cookies([{"name": COOKIE, "value": token, "url": base}])


def act_as(context: BrowserContext, base: str, role: str) -> None:
    """Sign in as the demo's account with a role."""
    page = context.new_page()
    page.goto(f"{base}/sign-in")
    page.evaluate(
        "demo_role => "
        "fetch('/demo/role', {method: 'POST', redirect: 'manual', body: new URLSearchParams({demo_role})})",
        role,
    )
    page.close()


def fresh_tab(context: BrowserContext, base: str, address: str) -> float:
    """Seconds from typing an address in a new tab to a settled page."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(base + address, wait_until="commit")
    settle(page, address.partition("?")[0])
    took = time.perf_counter() - began
    page.close()
    return took


def within(page: Page, path: str) -> float:
    """Seconds from clicking a page in the sidebar to that page settled."""
    before, link = heading(page), page.locator(f'[data-testid="stSidebarNavLink"][href$="{path}"]')
    began = time.perf_counter()
    link.click()
    settle(page, path, before)
    return time.perf_counter() - began


def back(page: Page, path: str) -> float:
    """Seconds from the browser's back button to the page before settled, without loading anything anew."""
    before = heading(page)
    began = time.perf_counter()
    page.evaluate("history.back()")
    settle(page, path, before)
    return time.perf_counter() - began
