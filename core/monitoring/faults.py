"""PURE: deciding whether the installation has a fault, given the samples of its health and the time.

A process that told nothing is not healthy: without fresh samples a rule is `Outlook.UNKNOWN`. Whether one that told
nothing died is `parts`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from core.health.figures import in_words
from core.health.refusals import refused_for
from core.jobs.parts import PARTS, Seen
from core.monitoring.liveness import Finding, Outlook, ago, upper
from core.monitoring.liveness import in_words as span_in_words
from core.statistics.intervals import wilson
from core.wording import enumerated

Samples = Sequence[tuple[datetime, float]]
Counts = Mapping[tuple[str, str], Samples]

FEWEST_SAMPLES = 3
FEWEST_FAILED = 5
FEWEST_REQUESTS = 20
BEATS_WITHIN = timedelta(minutes=1)
NEW_WITHIN = timedelta(hours=1)
RECENT = timedelta(minutes=5)
# On a large disk 5 % is much: the share alone alarms only below ten times the gigabytes that alarm by themselves.
SHARE_COUNTS_BELOW = 10
LEVELS = (
    "latency_p95_ms",
    "memory_free_share",
    "disk_free_share",
    "disk_free_bytes",
    "queue_age_seconds",
    "jobs_failed",
)
COUNTED = ("requests", "errors", "refused", "refused_for")


def parts(seen: Sequence[Seen], *, minutes: float, now: datetime) -> Finding:
    """Decide whether a part died: it fell silent without a goodbye while another went on.

    Only a part that ran beside it tells: one that was there before the silent one's last beat, and has by now beaten
    for longer than the patience without a pause. So nothing is raised where the whole machine slept or was switched
    off, whatever its parts do first when it wakes, nor for a part that was stopped in good order or never started.

    Parameters
    ----------
    seen : sequence of Seen
        Every process that beats, and those that fell silent and that no other has replaced.
    minutes : float
        The patience, > 1.
    """
    patience = timedelta(minutes=minutes)
    running = [one for one in seen if now - one.seen_at <= BEATS_WITHIN]
    if not running:
        return Finding(Outlook.UNKNOWN, "No part of Gatehouse runs.")
    beating = {one.part for one in running}
    newest = {one.part: one for one in sorted(seen, key=lambda one: one.seen_at) if one.part not in beating}
    silent = [one for one in newest.values() if now - one.seen_at > patience]
    steady = [one for one in running if now - one.beating_since > patience]
    missed = [one for one in silent if any(other.started_at <= one.seen_at for other in steady)]
    several = len({one.host for one in seen}) > 1
    if missed:
        told = "; ".join(
            f"{_named(one, several)} has not been heard from for {span_in_words(now - one.seen_at)}, so "
            f"{PARTS.get(one.role, 'what it does waits')}"
            for one in sorted(missed, key=lambda one: one.seen_at)
        )
        start = enumerated([f"gatehouse {role}" for role in PARTS if role in {one.role for one in missed}], len(PARTS))
        sentence = f"{told}. Its output says why it ended; start it again with {start}."
        return Finding(Outlook.FIRES, sentence, max(one.seen_at for one in missed))
    if silent:
        told = "; ".join(f"{_named(one, several)} was last seen {ago(now - one.seen_at)}" for one in silent)
        sentence = f"{told}; nothing that runs now was there all that while, so whether it died is not known."
        return Finding(Outlook.UNKNOWN, upper(sentence))
    roles = [role for role in PARTS if any(one.role == role for one in running)]
    last = max(running, key=lambda one: one.started_at)
    new = f"; {last.role} was started {ago(now - last.started_at)}" if now - last.started_at < NEW_WITHIN else ""
    verb = "is" if len(roles) == 1 else "are"
    return Finding(Outlook.QUIET, upper(f"{enumerated(roles)} {verb} running{new}."))


def restarts(seen: Sequence[Seen], *, times: float, minutes: float, now: datetime) -> Finding:
    """Decide whether a part dies again and again: it beats between, so that it is never missed for long (`parts`).

    A death is known a minute after it, once another process has the place of the dead one.

    Parameters
    ----------
    seen : sequence of Seen
        As for `parts`.
    times : float
        Deaths of one part from which on it is told.
    minutes : float
        Within how long.
    """
    if not any(now - one.seen_at <= BEATS_WITHIN for one in seen):
        return Finding(Outlook.UNKNOWN, "No part of Gatehouse runs.")
    since = now - timedelta(minutes=minutes)
    several = len({one.host for one in seen}) > 1
    died: dict[str, set[datetime]] = {}
    for one in seen:
        died.setdefault(_named(one, several), set()).update(at for at in one.died if since < at <= now)
    told = {name: sorted(found) for name, found in died.items() if len(found) >= times}
    if told:
        roles = {_named(one, several): one.role for one in seen}
        said = "; ".join(
            f"{name} ended {len(found)} times in {minutes:.0f} min without having been stopped and was started again "
            f"each time, last {ago(now - found[-1])}; until it has started, "
            f"{PARTS.get(roles[name], 'what it does waits')}"
            for name, found in told.items()
        )
        return Finding(Outlook.FIRES, f"{said}. Its output says why it ends.", min(found[0] for found in told.values()))
    name, n = max(((name, len(found)) for name, found in died.items()), key=lambda one: one[1])
    if n == 0:
        return Finding(Outlook.QUIET, f"No part ended without having been stopped in {minutes:.0f} min.")
    often = "once" if n == 1 else f"{n} times"
    sentence = f"{name} ended {often} in {minutes:.0f} min without having been stopped; {times:.0f} times are told."
    return Finding(Outlook.QUIET, upper(sentence))


def _named(one: Seen, several: bool) -> str:
    return f"{one.role} on {one.host}" if several else one.role


def refused(counts: Counts, *, percent: float, minutes: float, now: datetime) -> Finding:
    """Decide whether too many requests are refused: beyond chance, so by the low end of Wilson's 95 % interval.

    Parameters
    ----------
    counts : mapping of (figure, subject) to how many there were by each sample, oldest first
        "requests" and "refused" of the whole (""), and "refused_for" by status.
    """
    since = now - timedelta(minutes=minutes)
    asked, n_refused = (round(_total(counts[key, ""], since)) for key in ("requests", "refused"))
    if asked <= 0:
        return Finding(Outlook.UNKNOWN, f"No request in {minutes:.0f} min.")
    said = f"{n_refused} of {asked} requests were refused in {minutes:.0f} min"
    if asked < FEWEST_REQUESTS:
        return Finding(Outlook.QUIET, f"{said}; {FEWEST_REQUESTS} requests at least are judged.")
    interval = wilson(min(n_refused, asked), asked)
    share = f"{n_refused / asked * 100:.0f} %; {interval.low * 100:.0f} % at least once chance is allowed for"
    if interval.low <= percent / 100:
        return Finding(Outlook.QUIET, f"{said}.")
    reasons = {subject: _total(found, since) for (key, subject), found in counts.items() if key == "refused_for"}
    most = max(sorted(reasons), key=lambda status: reasons[status], default=None)
    why = "" if most is None else f", most often ({round(reasons[most])} times) for {refused_for(most)}"
    begin = _first_above([one for one in counts["refused", ""] if one[0] > since], 0)
    return Finding(Outlook.FIRES, f"{said} ({share}){why}.", begin)


def errors(counts: Counts, *, percent: float, minutes: float, now: datetime) -> Finding:
    """Decide whether too many requests fail.

    Parameters
    ----------
    counts : mapping of (figure, subject) to how many there were by each sample, oldest first
    """
    since = now - timedelta(minutes=minutes)
    asked = _total(counts["requests", ""], since)
    failed = [(at, value) for at, value in counts["errors", ""] if at > since]
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
    """Decide whether jobs wait too long or too many fail.

    A wait counts only once workers have told how the queue is for as long: what piled up while none ran is not theirs.
    """
    ages = [one for one in samples["queue_age_seconds"] if one[0] > now - RECENT]
    counts = [one for one in samples["jobs_failed"] if one[0] > now - RECENT]
    if not ages or not counts:
        return Finding(Outlook.UNKNOWN, "No worker told how the queue is.")
    age, n_failed = timedelta(seconds=ages[-1][1]), counts[-1][1]
    limit = timedelta(minutes=minutes)
    told = [at for at, _ in samples["queue_age_seconds"]]
    throughout = told[0] <= now - limit + RECENT and all(later - at <= RECENT for at, later in pairwise(told))
    if age > limit and throughout:
        sentence = f"the oldest job has waited for {span_in_words(age)}; more workers or slots would take it."
        return Finding(Outlook.FIRES, sentence, ages[-1][0] - age)
    if n_failed >= failed:
        return Finding(Outlook.FIRES, f"{n_failed:.0f} jobs failed within an hour.", counts[-1][0])
    waits = f"The oldest job has waited for {span_in_words(age)}" if age else "No job waits"
    return Finding(Outlook.QUIET, f"{waits}; {n_failed:.0f} failed within an hour.")


def _total(samples: Samples, since: datetime) -> float:
    return sum(value for at, value in samples if at > since)


def _first_above(samples: Samples, limit: float) -> datetime:
    return next(at for at, value in samples if value > limit)
