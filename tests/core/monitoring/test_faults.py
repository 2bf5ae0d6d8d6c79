"""Faults of the installation: each fires, is quiet, and says when it cannot tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.monitoring import faults
from core.monitoring.liveness import Outlook

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
FIRES, QUIET, UNKNOWN = Outlook.FIRES, Outlook.QUIET, Outlook.UNKNOWN


def each_minute(*values: float) -> list[tuple[datetime, float]]:
    """One sample a minute, the newest just now."""
    return [(NOW - timedelta(minutes=len(values) - 1 - place), value) for place, value in enumerate(values)]


@pytest.mark.parametrize(
    ("requests", "failed", "expected"),
    [
        ([60] * 10, [0] * 10, QUIET),
        ([60] * 10, [6] * 10, FIRES),
        ([60] * 10, [1] * 10, QUIET),
        ([1] * 4, [1] * 4, QUIET),  # four of four is too few to wake somebody
        ([1] * 6, [1] * 6, FIRES),
        ([0] * 10, [0] * 10, UNKNOWN),
        ([], [], UNKNOWN),
    ],
)
def test_errors(requests: list[float], failed: list[float], expected: Outlook) -> None:
    samples = {"requests": each_minute(*requests), "errors": each_minute(*failed)}
    assert faults.errors(samples, percent=5, minutes=15, now=NOW).outlook is expected


def test_what_failed_before_the_span_is_over() -> None:
    samples = {
        "requests": each_minute(*[60.0] * 20),
        "errors": each_minute(*[60.0] * 10, *[0.0] * 10),
    }
    assert faults.errors(samples, percent=5, minutes=10, now=NOW).outlook is QUIET
    found = faults.errors(samples, percent=5, minutes=15, now=NOW)
    assert (found.outlook, found.since_at) == (FIRES, NOW - timedelta(minutes=14))


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ([20] * 15, QUIET),
        ([20] * 13 + [3000, 3000], QUIET),  # a model was loaded
        ([20] * 7 + [3000] * 8, FIRES),
        ([3000] * 2, QUIET),
        ([3000] * 3, FIRES),
        ([], UNKNOWN),
    ],
)
def test_latency(latencies: list[float], expected: Outlook) -> None:
    samples = {"latency_p95_ms": each_minute(*latencies)}
    assert faults.latency(samples, limit_ms=1000, minutes=15, now=NOW).outlook is expected


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([0.5] * 5, QUIET), ([0.02] * 5, FIRES), ([0.02, 0.02, 0.2, 0.02], QUIET), ([0.02, 0.02], QUIET), ([], UNKNOWN)],
)
def test_memory(shares: list[float], expected: Outlook) -> None:
    assert faults.memory({"memory_free_share": each_minute(*shares)}, free_percent=5, now=NOW).outlook is expected


@pytest.mark.parametrize(
    ("gigabytes", "share", "expected"),
    [(200, 0.5, QUIET), (200, 0.02, QUIET), (4, 0.02, FIRES), (4, 0.4, QUIET), (0.5, 0.4, FIRES)],
)
def test_disk(gigabytes: float, share: float, expected: Outlook) -> None:
    samples = {"disk_free_bytes": each_minute(gigabytes * 1e9), "disk_free_share": each_minute(share)}
    assert faults.disk(samples, free_percent=5, free_gb=1, now=NOW).outlook is expected


@pytest.mark.parametrize(
    ("age", "failed", "expected"), [(0, 0, QUIET), (600, 1, QUIET), (7200, 0, FIRES), (0, 5, FIRES)]
)
def test_queue(age: float, failed: float, expected: Outlook) -> None:
    samples = {"queue_age_seconds": each_minute(age), "jobs_failed": each_minute(failed)}
    assert faults.queue(samples, minutes=60, failed=5, now=NOW).outlook is expected


def test_old_samples_tell_nothing_of_now() -> None:
    old = {key: [(NOW - timedelta(hours=1), 0.0)] for key in faults.KEYS}
    assert faults.memory(old, free_percent=5, now=NOW).outlook is UNKNOWN
    assert faults.disk(old, free_percent=5, free_gb=1, now=NOW).outlook is UNKNOWN
    assert faults.queue(old, minutes=60, failed=5, now=NOW).outlook is UNKNOWN
    assert faults.latency(old, limit_ms=1, minutes=15, now=NOW).outlook is UNKNOWN
    assert faults.errors(old, percent=5, minutes=15, now=NOW).outlook is UNKNOWN
