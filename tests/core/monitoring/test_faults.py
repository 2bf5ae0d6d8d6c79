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
    samples = {("requests", ""): each_minute(*requests), ("errors", ""): each_minute(*failed)}
    assert faults.errors(samples, percent=5, minutes=15, now=NOW).outlook is expected


def test_what_failed_before_the_span_is_over() -> None:
    samples = {
        ("requests", ""): each_minute(*[60.0] * 20),
        ("errors", ""): each_minute(*[60.0] * 10, *[0.0] * 10),
    }
    assert faults.errors(samples, percent=5, minutes=10, now=NOW).outlook is QUIET
    found = faults.errors(samples, percent=5, minutes=15, now=NOW)
    assert (found.outlook, found.since_at) == (FIRES, NOW - timedelta(minutes=14))


@pytest.mark.parametrize(
    ("requests", "refused", "expected"),
    [
        (60, 0, QUIET),
        (60, 30, FIRES),
        (60, 13, QUIET),  # 21.7 %, but 20 % is not beyond chance: Wilson's low end is 13 %
        (600, 180, FIRES),
        (19, 19, QUIET),  # too few requests to judge a share by
        (20, 20, FIRES),
        (0, 0, UNKNOWN),
    ],
)
def test_refused(requests: float, refused: float, expected: Outlook) -> None:
    counts = {("requests", ""): each_minute(requests), ("refused", ""): each_minute(refused)}
    counts |= {("refused_for", "401"): each_minute(refused / 3), ("refused_for", "422"): each_minute(refused * 2 / 3)}
    assert faults.refused(counts, percent=20, minutes=15, now=NOW).outlook is expected


def test_what_most_were_refused_for_is_said() -> None:
    counts = {
        ("requests", ""): each_minute(60, 60, 60),
        ("refused", ""): each_minute(0, 50, 40),
        ("refused_for", "401"): each_minute(10),
        ("refused_for", "422"): each_minute(40, 40),
    }
    found = faults.refused(counts, percent=20, minutes=15, now=NOW)
    assert found.sentence == (
        "90 of 180 requests were refused in 15 min (50 %; 43 % at least once chance is allowed for), "
        "most often (80 times) for rows that do not fit the model's features."
    )
    assert found.since_at == NOW - timedelta(minutes=1)


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
    samples = {"queue_age_seconds": each_minute(*[age] * 60), "jobs_failed": each_minute(failed)}
    assert faults.queue(samples, minutes=60, failed=5, now=NOW).outlook is expected


@pytest.mark.parametrize(("minutes_back", "expected"), [(5, QUIET), (50, QUIET), (60, FIRES)])
def test_what_piled_up_while_no_worker_ran_is_given_its_time(minutes_back: int, expected: Outlook) -> None:
    """A worker that was away for six hours finds an old queue: that it is slow shows after an hour of its work."""
    samples = {"queue_age_seconds": each_minute(*[6 * 3600] * minutes_back), "jobs_failed": each_minute(0)}
    assert faults.queue(samples, minutes=60, failed=5, now=NOW).outlook is expected
    samples["queue_age_seconds"] = [(NOW - timedelta(hours=2), 0.0), *samples["queue_age_seconds"][-5:]]
    assert faults.queue(samples, minutes=60, failed=5, now=NOW).outlook is QUIET


def test_old_samples_tell_nothing_of_now() -> None:
    old = {key: [(NOW - timedelta(hours=1), 0.0)] for key in faults.LEVELS}
    counts = {(key, ""): [(NOW - timedelta(hours=1), 9.0)] for key in faults.COUNTED}
    assert faults.memory(old, free_percent=5, now=NOW).outlook is UNKNOWN
    assert faults.disk(old, free_percent=5, free_gb=1, now=NOW).outlook is UNKNOWN
    assert faults.queue(old, minutes=60, failed=5, now=NOW).outlook is UNKNOWN
    assert faults.latency(old, limit_ms=1, minutes=15, now=NOW).outlook is UNKNOWN
    assert faults.errors(counts, percent=5, minutes=15, now=NOW).outlook is UNKNOWN
    assert faults.refused(counts, percent=5, minutes=15, now=NOW).outlook is UNKNOWN
