"""The real processes on free ports and a real browser that may not leave this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Response, expect, sync_playwright

from tests.e2e.chromium import find

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = (
    '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
    ':not(:has([data-testid="stSkeleton"])):not(:has([data-stale="true"]))'
)
RAW = ("Traceback", "Something went wrong on this page", "sqlalchemy", "StreamlitAPIException")
expect.set_options(timeout=30_000)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Gatehouse:
    """A running ``gatehouse up``."""

    home: Path
    port: int
    scoring_port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def scoring_url(self) -> str:
        return f"http://127.0.0.1:{self.scoring_port}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ``gatehouse`` command on this home."""
        return subprocess.run(
            [sys.executable, "-m", "core.cli.main", *arguments, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Wait until every part says it is alive."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                answer = httpx.get(f"{self.url}/healthz", timeout=2)
                if answer.status_code == 200 and httpx.get(f"{self.scoring_url}/healthz", timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Ask it to stop, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def start(home: Path, *flags: str) -> Gatehouse:
    """Start ``gatehouse up`` on free ports."""
    port, scoring_port = free_port(), free_port()
    log = home.parent / f"{home.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "core.cli.main",
                "up",
                "--home",
                str(home),
                "--port",
                str(port),
                "--scoring-port",
                str(scoring_port),
                *flags,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "2"},
            start_new_session=True,
        )
    return Gatehouse(home, port, scoring_port, log, process)


@pytest.fixture(scope="module")
def gatehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gatehouse]:
    """An empty workspace, everything running."""
    running = start(tmp_path_factory.mktemp("e2e") / "home")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find()
    assert path, "No Chromium on this machine: run `make browser`."
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@dataclass
class Visitor:
    """One person's browser: their page, everything it asked for, and what must not have happened on it."""

    page: Page
    base: str
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    unguarded: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    def note(self, request: Request) -> None:
        self.asked.append(request.url)

    def check_headers(self, response: Response) -> None:
        """Keep the address of a page that came without the policy that forbids it other hosts."""
        if response.request.resource_type == "document":
            policy = response.headers.get("content-security-policy", "")
            if "default-src 'self'" not in policy:
                self.unguarded.append(response.url)

    def ready(self) -> None:
        """Wait until the page has settled, and keep what no page may say."""
        self.page.wait_for_selector(READY, state="attached", timeout=60_000)
        text = self.page.locator("body").inner_text()
        self.raw += [f"{self.page.url}: {text}" for words in RAW if words in text]

    def open(self, path: str, heading: str | None = None) -> Page:
        """Open a page by its address and wait until it has settled."""
        self.page.goto(self.base + path)
        if heading:
            expect(self.page.get_by_role("heading", name=heading).first).to_be_visible()
        self.ready()
        return self.page

    def sign_in(self, name: str, password: str) -> None:
        """Sign in on the real form."""
        self.page.goto(f"{self.base}/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.ready()

    @property
    def off_host(self) -> list[str]:
        """What was asked of any other host."""
        own = urlsplit(self.base).netloc
        return [url for url in self.asked if url.startswith(("http", "ws")) and urlsplit(url).netloc != own]


def visit(browser: Browser, base: str, *, width: int = 1440, height: int = 960, dark: bool = False) -> Visitor:
    """Open a fresh browser window for one person."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", accept_downloads=True
    )
    visitor = Visitor(context.new_page(), base)
    visitor.page.on("request", visitor.note)
    visitor.page.on("response", visitor.check_headers)
    visitor.page.on("pageerror", lambda error: visitor.errors.append(str(error)))
    return visitor
