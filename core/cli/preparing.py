"""What a home needs before anybody opens the pages: its tables, a promotion policy, a way in, the demo's story."""

from __future__ import annotations

import sys

import typer

from core.access.service import issue_setup_code
from core.database import utc_now
from core.governance.policies import ensure_seeded_policy
from core.settings import Settings
from core.workspace import opened


def prepare(settings: Settings) -> None:
    """Prepare a home, saying what is done; changes nothing that is there already.

    Raises
    ------
    InvalidInput
        The database was written by a newer Gatehouse.
    """
    with opened(settings) as workspace:
        with workspace.write() as session:
            ensure_seeded_policy(session, utc_now())
        if settings.demo:
            from core.cli.demo import seed

            seed(workspace, _say)
            return
        with workspace.write() as session:
            code = issue_setup_code(session, now=utc_now())
    if code is not None:
        _say(f"There is no administrator yet. Open the pages and use this code once: {code}")


def _say(sentence: str) -> None:
    typer.echo(sentence)
    sys.stdout.flush()
