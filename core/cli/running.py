"""What ``gatehouse up`` does around the supervisor: prepare the home, tell the address, open a browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from dataclasses import dataclass, field

import typer

from core.cli import leash
from core.cli.processes import PREPARE, command_of, environment_of
from core.cli.supervisor import Part, Supervisor
from core.errors import InvalidInput
from core.jobs.parts import PARTS
from core.migrations import refuse_newer
from core.settings import Settings

LOOK_EVERY_S = 0.5
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to look for what listens everywhere


def run_everything(settings: Settings, *, open_browser: bool) -> int:
    """Prepare the home and keep every part alive until told to stop by SIGTERM, SIGINT or SIGHUP.

    Returns
    -------
    int
        Exit code: 1 where the home could not be prepared.

    Raises
    ------
    InvalidInput
        A port is taken, or a newer Gatehouse wrote the home.
    """
    refuse_newer(settings)
    for port in (settings.port, settings.scoring_port):
        _check_free(settings.host, port)
    supervisor = Supervisor(
        parts=tuple(Part(role, command_of(role)) for role in PARTS),
        environment=environment_of(settings),
        report=_say,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.ask_to_stop)
    _say(f"Gatehouse is starting in {settings.resolved_home}")
    # In a process of its own: it imports much and, for the demo, fits models; the supervisor stays small.
    handed_down, held = leash.make()
    preparing = subprocess.Popen(  # noqa: S603 - our own command line
        command_of(PREPARE, "--leash", str(handed_down)),
        env={**os.environ, **environment_of(settings)},
        pass_fds=[handed_down],
        start_new_session=True,
    )
    start = _Start(settings, supervisor, preparing, open_browser)
    # The demo's jobs are run by its story, so no worker may take them; and what refuses another database says so once.
    if settings.demo or settings.database_url:
        while not supervisor.stopping and not start.prepared:
            start.look()
            time.sleep(LOOK_EVERY_S / 5)
    if not supervisor.stopping:
        supervisor.run(each_turn=start.look)
    if preparing.poll() is None:
        preparing.terminate()
        preparing.wait()
    os.close(held)
    os.close(handed_down)
    _say("Gatehouse has stopped.")
    return 1 if start.failed else 0


@dataclass
class _Start:
    """What is still to be told while everything starts."""

    settings: Settings
    supervisor: Supervisor
    preparing: subprocess.Popen[bytes]
    open_browser: bool
    prepared: bool = field(default=False, init=False)
    failed: bool = field(default=False, init=False)
    told: bool = field(default=False, init=False)
    look_at: float = field(default=0.0, init=False)

    def look(self) -> None:
        """Stop everything when preparing failed; say so once the pages answer."""
        if not self.prepared:
            code = self.preparing.poll()
            self.prepared = code == 0
            if code:
                self.failed = True
                self.supervisor.ask_to_stop()
            return
        if self.told or time.monotonic() < self.look_at:
            return
        self.look_at = time.monotonic() + LOOK_EVERY_S
        if _answers(self.settings):
            self.told = True
            shown = "localhost" if self.settings.host in {"127.0.0.1", *ANYWHERE} else self.settings.host
            url = f"http://{shown}:{self.settings.port}"
            _say(f"Gatehouse is at {url} (scoring at port {self.settings.scoring_port}). Ctrl-C stops it.")
            if self.open_browser:
                webbrowser.open(url)


def _answers(settings: Settings) -> bool:
    host = ANYWHERE.get(settings.host, settings.host)
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/healthz", timeout=LOOK_EVERY_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidInput(
                f"{host}:{port} cannot be listened on: {error.strerror}. "
                "Stop what uses it, or choose another with --port and --scoring-port."
            ) from error


def _say(sentence: str) -> None:
    typer.echo(sentence)
    sys.stdout.flush()
