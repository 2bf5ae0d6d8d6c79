"""Homes with people, data and runs made through the public services, as the demo makes its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from core.cli.demo.narrator import Narrator
from core.cli.demo.people import Cast, hire
from core.cli.demo.story import FEATURES
from core.cli.demo.stream import month
from core.database import utc_now
from core.governance.policies import ensure_seeded_policy
from core.workspace import Workspace

START = datetime(2026, 1, 1, tzinfo=UTC)


def peopled_home(workspace: Workspace, *, ago: timedelta) -> tuple[Narrator, Cast]:
    """People with each role, as of some time ago; the narrator, the people."""
    narrator = Narrator(workspace, utc_now() - ago, lambda _said: None)
    cast = hire(workspace, narrator.now)
    with workspace.write() as session:
        ensure_seeded_policy(session, narrator.now)
    return narrator, cast


def settled_home(workspace: Workspace, *, months: int) -> tuple[Narrator, Cast, int]:
    """People with each role and one dataset of 1,200 rows a month; the narrator, the people, the version's id."""
    narrator, cast = peopled_home(workspace, ago=timedelta(days=1))
    rows = pd.concat([month(START.date(), index, n_rows=1_200) for index in range(months)])
    version_id = narrator.add_version(
        rows, dataset="subscribers", file_name="subscribers.csv", who=cast.sam, target="left", sensitive=("gender",)
    )
    return narrator, cast, version_id


def train(narrator: Narrator, cast: Cast, version_id: int, algorithm: str, **parameters: object) -> int:
    """A finished run on all of the demo's features; its id."""
    return narrator.train(
        version_id, target="left", features=FEATURES, algorithm=algorithm, who=cast.sam, parameters=parameters
    )
