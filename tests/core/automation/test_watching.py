"""Whoever is left raises the alert, however few of the tables it knows by itself."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

from core.database import utc_now
from core.jobs import processes
from core.monitoring import alert_queries
from core.workspace import Workspace

ALONE = """
import sys
from core.automation.watching import look_after_others
from core.database import utc_now
from core.settings import Settings
from core.workspace import open_workspace
look_after_others(open_workspace(Settings(home=sys.argv[1])), utc_now())
"""


def test_a_process_that_imported_nothing_else_raises_and_closes_the_alert(workspace: Workspace) -> None:
    def beat(role: str, ago: timedelta) -> None:
        """Ten minutes of beats, up to a moment so long ago."""
        last = utc_now() - ago
        with workspace.write() as session:
            for step in range(20, -1, -1):
                processes.beat(
                    session, role=role, pid=1, host="elsewhere", address="", started_at=started_at,
                    now=last - step * timedelta(seconds=30),
                )  # fmt: skip

    def states() -> list[str]:
        subprocess.run([sys.executable, "-c", ALONE, str(workspace.home)], check=True, timeout=60)
        with workspace.read() as session:
            return [one.state for one in alert_queries.alerts(session)]

    started_at = utc_now() - timedelta(hours=1)
    beat("web", timedelta(minutes=5))
    beat("scoring", timedelta(0))
    assert states() == ["open"]
    beat("web", timedelta(0))
    assert states() == ["resolved"]
