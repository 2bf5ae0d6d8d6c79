"""PURE: deciding whether the installation has a fault, given the samples of its health and the time.

A process that told nothing is not healthy: without fresh samples a rule is `Outlook.UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core.health.figures import in_words
from core.monitoring.liveness import Finding, Outlook
from core.monitoring.liveness import in_words as span_in_words

Samples = Sequence[tuple[datetime, float]]

FEWEST_SAMPLES = 3
FEWEST_FAILED = 5
RECENT = timedelta(minutes=5)
# On a large disk 5 % is much: the share alone alarms only below ten times the gigabytes that alarm by themselves.
SHARE_COUNTS_BELOW = 10
KEYS = (
    "requests",
    "errors",
    "latency_p95_ms",
    "memory_free_share",
    "disk_free_share",
    "disk_free_bytes",
    "queue_age_seconds",
    "jobs_failed",
)


def errors(samples: Mapping[str, Samples], *, percent: float, minutes: float, now: datetime) -> Finding:
    """Decide whether too many requests fail.

    Parameters
    ----------
    samples : mapping of figure to its samples, oldest first
        Rates "a minute", one sample a minute.
    """
    since = now - timedelta(minutes=minutes)
    asked = sum(value for at, value in samples["requests"] if at > since)
    failed = [(at, value) for at, value in samples["errors"] if at > since]
    n_failed = sum(value for _, value in failed)
    if asked <= 0:
        return Finding(Outlook.UNKNOWN, f"No request in {minutes:.0f} min.")
    said = f"{n_failed:.0f} of {asked:.0f} requests failed in {minutes:.0f} min"
    if n_failed >= FEWEST_FAILED and n_failed >= asked * percent / 100:
        return Finding(Outlook.FIRES, f"{said} ({n_failed / asked * 100:.1f} %).", _first_above(failed, 0))
    return Finding(Outlook.QUIET, f"{said}.")


def latency(samples: Mapping[str, Samples], *, limit_ms: float, minutes: float, now: datetime) -> Finding:
    """Decide whether answers are slow: in at least half of the minutes with requests, and in three at least."""
    since = now - timedelta(minutes=minutes)
    found = [(at, value) for at, value in samples["latency_p95_ms"] if at > since]
    if not found:
        return Finding(Outlook.UNKNOWN, f"No answer in {minutes:.0f} min.")
    slow = [value for _, value in found if value > limit_ms]
    if len(slow) >= FEWEST_SAMPLES and 2 * len(slow) >= len(found):
        sentence = (
            f"in {len(slow)} of the {len(found)} minutes with requests, 5 of 100 answers took more than "
            f"{limit_ms:,.0f} ms, {max(slow):,.0f} ms at worst."
        )
        return Finding(Outlook.FIRES, sentence, _first_above(found, limit_ms))
    return Finding(Outlook.QUIET, f"95 of 100 answers took at most {found[-1][1]:,.0f} ms in the last minute with any.")


def memory(samples: Mapping[str, Samples], *, free_percent: float, now: datetime) -> Finding:
    """Decide whether the machine runs out of memory: below the limit in each sample of five minutes, three at least."""
    found = [(at, value) for at, value in samples["memory_free_share"] if at > now - RECENT]
    if not found:
        return Finding(Outlook.UNKNOWN, "No worker told how much memory is left.")
    said = f"{in_words(found[-1][1], 'share')} of the machine's memory is available"
    low = [value for _, value in found if value < free_percent / 100]
    if len(low) == len(found) >= FEWEST_SAMPLES:
        return Finding(Outlook.FIRES, f"{said}; the system may end a process any time.", found[0][0])
    return Finding(Outlook.QUIET, f"{said}.")


def disk(samples: Mapping[str, Samples], *, free_percent: float, free_gb: float, now: datetime) -> Finding:
    """Decide whether the home's disk runs full."""
    shares = [one for one in samples["disk_free_share"] if one[0] > now - RECENT]
    sizes = [one for one in samples["disk_free_bytes"] if one[0] > now - RECENT]
    if not shares or not sizes:
        return Finding(Outlook.UNKNOWN, "No worker told how much of the disk is left.")
    share, gigabytes = shares[-1][1], sizes[-1][1] / 1e9
    said = f"{gigabytes:,.1f} GB of the home's disk are free ({in_words(share, 'share')})"
    scarce = share < free_percent / 100 and gigabytes < SHARE_COUNTS_BELOW * free_gb
    if scarce or gigabytes < free_gb:
        return Finding(Outlook.FIRES, f"{said}; when it is full, nothing can be predicted or stored.", sizes[-1][0])
    return Finding(Outlook.QUIET, f"{said}.")


def queue(samples: Mapping[str, Samples], *, minutes: float, failed: float, now: datetime) -> Finding:
    """Decide whether jobs wait too long or too many fail."""
    ages = [one for one in samples["queue_age_seconds"] if one[0] > now - RECENT]
    counts = [one for one in samples["jobs_failed"] if one[0] > now - RECENT]
    if not ages or not counts:
        return Finding(Outlook.UNKNOWN, "No worker told how the queue is.")
    age, n_failed = timedelta(seconds=ages[-1][1]), counts[-1][1]
    if age > timedelta(minutes=minutes):
        sentence = f"the oldest job has waited for {span_in_words(age)}; more workers or slots would take it."
        return Finding(Outlook.FIRES, sentence, ages[-1][0] - age)
    if n_failed >= failed:
        return Finding(Outlook.FIRES, f"{n_failed:.0f} jobs failed within an hour.", counts[-1][0])
    waits = f"The oldest job has waited for {span_in_words(age)}" if age else "No job waits"
    return Finding(Outlook.QUIET, f"{waits}; {n_failed:.0f} failed within an hour.")


def _first_above(samples: Samples, limit: float) -> datetime:
    return next(at for at, value in samples if value > limit)
