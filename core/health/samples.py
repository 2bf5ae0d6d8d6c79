"""What a process measures of itself and of its machine."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from sqlmodel import Session, col, func, select

from core.jobs.tables import Job, JobState

FAILED_WITHIN = timedelta(hours=1)
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Sample:
    """One figure's value now; ``subject`` is "" for the process as a whole."""

    key: str
    value: float
    subject: str = ""


class OwnUse:
    """Memory and processor time of this process and of those it started."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._busy_s, self._at = self._busy(self._family()), time.monotonic()

    def samples(self) -> list[Sample]:
        """The two figures; the processor's is the mean since the last call."""
        family = self._family()
        busy_s, at = self._busy(family), time.monotonic()
        # A child that was killed takes its time with it, so the sum may fall.
        cores = max(0.0, busy_s - self._busy_s) / max(at - self._at, 1e-3)
        self._busy_s, self._at = busy_s, at
        return [Sample("memory_bytes", float(sum(_memory(one) for one in family))), Sample("cpu_cores", cores)]

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    @staticmethod
    def _busy(family: list[psutil.Process]) -> float:
        total = 0.0
        for one in family:
            try:
                times = one.cpu_times()
            except psutil.Error:  # it ended meanwhile
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total


def _memory(process: psutil.Process) -> int:
    """Proportional memory where the system tells it, so that shared pages count once; else the resident size."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended meanwhile
        return 0


def machine_samples(home: Path, database: Path | None) -> list[Sample]:
    """What is left of the machine's memory and disk, and the database's size where it is a file."""
    disk = shutil.disk_usage(home)
    samples = [
        Sample("memory_free_share", _memory_free_share()),
        Sample("disk_free_bytes", float(disk.free)),
        Sample("disk_free_share", disk.free / disk.total if disk.total else 0.0),
    ]
    if database is not None:
        files = (database, database.with_name(f"{database.name}-wal"))
        samples.append(Sample("database_bytes", float(sum(file.stat().st_size for file in files if file.exists()))))
    return samples


def _memory_free_share() -> float:
    """Of the machine, or of a container's limit where that is nearer."""
    memory = psutil.virtual_memory()
    share = memory.available / memory.total
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max" where there is none
        used = int((CGROUP / "memory.current").read_text())
        lines = (line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # Files that the kernel merely keeps at hand are given back when memory is wanted.
        given_back = next((int(value) for name, value in lines if name == "inactive_file"), 0)
    except (OSError, ValueError):
        return share
    return min(share, max(0.0, (limit - used + given_back) / limit)) if limit > 0 else share


def folder_bytes(folder: Path) -> int:
    """The sizes of all files below a folder; those that vanish meanwhile are passed over."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.lstat().st_size
        except OSError:
            continue
    return total


def queue_samples(session: Session, now: datetime) -> list[Sample]:
    """How many jobs wait, how long the oldest has, and how many failed within an hour, refused ones apart."""
    n_waiting, oldest = session.exec(
        select(func.count(), func.min(Job.not_before)).where(Job.state == JobState.QUEUED, col(Job.not_before) <= now)
    ).one()
    n_failed = session.exec(
        select(func.count()).where(
            Job.state == JobState.FAILED, col(Job.refused).is_(False), col(Job.finished_at) > now - FAILED_WITHIN
        )
    ).one()
    return [
        Sample("queue_jobs", float(n_waiting)),
        Sample("queue_age_seconds", (now - oldest).total_seconds() if oldest else 0.0),
        Sample("jobs_failed", float(n_failed)),
    ]
