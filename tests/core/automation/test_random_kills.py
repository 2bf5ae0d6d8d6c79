"""Whatever is killed, every job ends once and no process is left."""

from __future__ import annotations

import pytest

from core.workspace import Workspace
from tests.core.automation.killing import kill_rounds

ROUNDS = 20


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_rounds_of_seeded_kills(workspace: Workspace) -> None:
    report = kill_rounds(workspace, rounds=ROUNDS, seed=20)
    assert report.wrong == []
    assert report.orphans == []
    assert sum(report.states.values()) == report.enqueued
    assert sum(report.killed.values()) == ROUNDS
    assert len(report.killed) >= 3
