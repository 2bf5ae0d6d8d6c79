"""A leash between the supervisor and its processes: a pipe that ends when the supervisor does, however it dies."""

from __future__ import annotations

import os
import signal
import threading
import time

STOP_WITHIN_S = 8.0


def make() -> tuple[int, int]:
    """Make a leash: the end to hand down (``pass_fds``) and the end to keep open and never hand on."""
    return os.pipe()


def follow(descriptor: int) -> None:
    """Stop this process once the leash ends: in good order first, by force after eight seconds."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_WITHIN_S)
        if os.getpgrp() == os.getpid():  # the group is ours: take what we started along
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
