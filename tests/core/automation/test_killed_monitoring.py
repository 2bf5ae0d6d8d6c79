"""Whatever of a monitor's work is killed, at whatever moment, nothing is lost, doubled or half stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.automation.monitoring_story import killed_tellings


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_telling_with_kills_leaves_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    report = killed_tellings(tmp_path, kills=1, seed=6)
    assert report.wrong == []
    assert report.killed.total() >= 10
    assert len(report.killed) >= 5
