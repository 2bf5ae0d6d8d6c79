"""What every part does once a minute: look whether the others still live."""

from __future__ import annotations

from datetime import datetime

import core.tables  # noqa: F401 - an alert refers to tables of every domain, of which scoring alone knows few
from core.monitoring.liveness_job import judge_parts
from core.workspace import Workspace

WATCH_SECONDS = 60.0


def look_after_others(workspace: Workspace, now: datetime) -> None:
    """Raise an alert for a part that died, or close it; several parts may do this at about the same time."""
    judge_parts(workspace, now)
