"""The supervisor: starts the parts of Gatehouse, starts again one that dies, stops all of them together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from core.cli import leash

BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED_S = 60.0
STOP_WITHIN_S = 10.0
POLL_S = 0.1
STAGGER_S = 1.5  # starting is all imports: on few cores the first part, the pages, answers sooner alone


@dataclass(frozen=True)
class Part:
    """One process to keep alive.

    Parameters
    ----------
    name : str
    command : tuple of str
        Started with ``--leash N`` behind it: the file descriptor it follows (`leash.follow`).
    """

    name: str
    command: tuple[str, ...]


@dataclass
class _Kept:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0


@dataclass
class Supervisor:
    """Keeps parts alive until told to stop.

    Parameters
    ----------
    parts : tuple of Part
    environment : mapping of str to str
        Added to this process's own for every part.
    report : callable
        Takes one sentence about what happened.
    """

    parts: tuple[Part, ...]
    environment: Mapping[str, str]
    report: Callable[[str], None]
    stopping: bool = field(default=False, init=False)

    def ask_to_stop(self, *_signal: object) -> None:
        """Stop soon."""
        self.stopping = True

    def run(self, each_turn: Callable[[], None] | None = None) -> None:
        """Keep every part alive until asked to stop, then stop them all.

        Parameters
        ----------
        each_turn : callable, optional
            Called about ten times a second.
        """
        handed_down, held = leash.make()
        began = time.monotonic()
        kept = [_Kept(part, start_at=began + place * STAGGER_S) for place, part in enumerate(self.parts)]
        try:
            while not self.stopping:
                for one in kept:
                    self._look_after(one, handed_down)
                if each_turn is not None:
                    each_turn()
                time.sleep(POLL_S)
        finally:
            _stop([one.process for one in kept if one.process is not None])
            os.close(held)
            os.close(handed_down)

    def _look_after(self, one: _Kept, handed_down: int) -> None:
        moment = time.monotonic()
        if one.process is not None:
            code = one.process.poll()
            if code is None:
                return
            _kill_group(one.process)
            one.process = None
            one.deaths = 0 if moment - one.started_at > SETTLED_S else one.deaths + 1
            delay = BACKOFF_S[min(max(one.deaths - 1, 0), len(BACKOFF_S) - 1)]
            one.start_at = moment + delay
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            self.report(f"{one.part.name} ended {how}; starting it again in {delay:g} s.")
        if moment >= one.start_at:
            # A session of its own: Ctrl-C reaches the supervisor alone, and the group can be killed whole.
            one.process = subprocess.Popen(  # noqa: S603 - our own command line
                [*one.part.command, "--leash", str(handed_down)],
                env={**os.environ, **self.environment},
                pass_fds=[handed_down],
                start_new_session=True,
            )
            one.started_at = moment


def _stop(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        with suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + STOP_WITHIN_S
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        _kill_group(process)
        process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # PermissionError is how macOS says that only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
