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
from collections.abc import Callable

import typer

from core.cli.processes import ROLES, command_of, environment_of
from core.cli.supervisor import Part, Supervisor
from core.database import utc_now
from core.errors import InvalidInput, LifecycleError
from core.settings import Settings
from core.workspace import opened

LOOK_EVERY_S = 0.5
PARTS = tuple(role for role in ROLES if role != "seed")


def run_all_parts(settings: Settings, *, open_browser: bool) -> None:
    """Prepare the home, then keep every part alive until told to stop by SIGTERM, SIGINT or SIGHUP.

    Raises
    ------
    InvalidInput
        A port is taken, or the database was written by a newer Gatehouse.
    """
    for port in (settings.port, settings.scoring_port):
        _check_free(settings.host, port)
    supervisor = Supervisor(
        parts=tuple(Part(role, command_of(role)) for role in PARTS),
        environment=environment_of(settings),
        report=_say,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.ask_to_stop)
    with opened(settings):
        pass  # migrated before anything else opens it
    _say(f"Gatehouse is starting in {settings.resolved_home}")
    if settings.demo:
        _seed(settings, supervisor)
    else:
        _prepare(settings)
    supervisor.run(_tell_when_ready(settings, open_browser=open_browser))
    _say("Gatehouse has stopped.")


def seed_demo(settings: Settings) -> None:
    """Tell the demo's story into its home; does nothing that is there already."""
    from core.cli.demo import seed
    from core.governance.service import ensure_seeded_policy

    with opened(settings) as workspace:
        with workspace.write() as session:
            ensure_seeded_policy(session, utc_now())
        seed(workspace, _say)


def _prepare(settings: Settings) -> None:
    from core.access.service import issue_setup_code
    from core.governance.service import ensure_seeded_policy

    with opened(settings) as workspace, workspace.write() as session:
        ensure_seeded_policy(session, utc_now())
        code = issue_setup_code(session, now=utc_now())
    if code is not None:
        _say(f"There is no administrator yet. Open the pages and use this code once: {code}")


def _seed(settings: Settings, supervisor: Supervisor) -> None:
    # In a process of its own: it fits models, and the supervisor is to stay small.
    process = subprocess.Popen(command_of("seed"), env={**os.environ, **environment_of(settings)})  # noqa: S603
    while process.poll() is None and not supervisor.stopping:
        time.sleep(LOOK_EVERY_S / 5)
    if supervisor.stopping:
        process.terminate()
    if process.wait() != 0 and not supervisor.stopping:
        raise LifecycleError(
            f"The demo could not be prepared. Remove {settings.resolved_home} and start again; the lines above say why."
        )


def _tell_when_ready(settings: Settings, *, open_browser: bool) -> Callable[[], None]:
    url = f"http://{'localhost' if settings.host in {'127.0.0.1', '0.0.0.0'} else settings.host}:{settings.port}"  # noqa: S104
    told = False
    look_at = 0.0

    def look() -> None:
        nonlocal told, look_at
        if told or time.monotonic() < look_at:
            return
        look_at = time.monotonic() + LOOK_EVERY_S
        if not _answers(settings):
            return
        told = True
        _say(f"Gatehouse is at {url}  (scoring: port {settings.scoring_port}). Ctrl-C stops it.")
        if open_browser:
            webbrowser.open(url)

    return look


def _answers(settings: Settings) -> bool:
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104
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
