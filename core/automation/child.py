"""What runs in the processes that the fork server makes for a worker.

Each is a process group of its own, so that whatever it starts dies with it, and each holds a *leash*: the reading end
of a pipe whose other end only the worker has. When the worker dies, however it dies, the pipe ends and the whole group
kills itself.
"""

from __future__ import annotations

import os
import signal
import threading
from importlib import import_module
from multiprocessing.connection import Connection

from core.artifacts import ArtifactStore
from core.automation.attempts import end_attempt, run_attempt
from core.database import open_engine, utc_now
from core.jobs.lifecycle import Ending
from core.settings import Settings
from core.workspace import Workspace


def attempt(settings: Settings, leash: Connection, job_id: int, fence: int) -> None:
    """Run one claimed job."""
    workspace = _start(settings, leash)
    run_attempt(workspace, job_id=job_id, fence=fence)
    workspace.close()


def ending(settings: Settings, leash: Connection, job_id: int, fence: int, how: Ending, reason: str) -> None:
    """Record that an attempt ended from outside: its subject's module is imported here, never in the worker."""
    workspace = _start(settings, leash)
    end_attempt(workspace, job_id=job_id, fence=fence, ending=how, reason=reason, now=utc_now())
    workspace.close()


def tick(settings: Settings, leash: Connection, function: str) -> None:
    """Do one periodic thing."""
    workspace = _start(settings, leash)
    module, name = function.split(":")
    getattr(import_module(module), name)(workspace, utc_now())
    workspace.close()


def _start(settings: Settings, leash: Connection) -> Workspace:
    os.setsid()
    threading.Thread(target=_die_with_the_worker, args=(leash,), daemon=True).start()
    # The worker migrated before it started this process.
    return Workspace(settings, open_engine(settings.url), ArtifactStore(settings.artifacts_folder))


def _die_with_the_worker(leash: Connection) -> None:
    try:
        leash.recv_bytes()
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)
