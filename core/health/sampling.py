"""Writing samples: once a minute by each process, thinned with age."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy
from sqlalchemy import BigInteger
from sqlmodel import Session, col, delete

from core.database import utc_now
from core.health.figures import FIGURES, FIRST_AFTER_SECONDS, SAMPLE_SECONDS
from core.health.samples import OwnUse, Sample, folder_bytes, machine_samples, queue_samples
from core.health.tables import HealthSample
from core.workspace import Workspace

logger = logging.getLogger(__name__)

MOST_UNWRITTEN = 2_000
# From which age on a sample stands for how many seconds: ten minutes, then an hour.
STEPS = ((timedelta(days=1), 600), (timedelta(days=7), 3600))
KEPT_FOR = timedelta(days=90)
AT_ONCE = 5_000


class Sampler:
    """One process's samples: measured and written when due, kept and tried again where the database refuses.

    Parameters
    ----------
    workspace : Workspace
    process : str
        "web", "worker", "scoring"; scoring of another environment than production says so, "scoring staging".
    further : callable, optional
        Gives more samples for the seconds since the last time.
    clock : callable, optional
    """

    def __init__(
        self,
        workspace: Workspace,
        process: str,
        further: Callable[[float], Iterable[Sample]] = lambda _elapsed: (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._workspace, self._process, self._further, self._clock = workspace, process, further, clock
        self._use = OwnUse()
        self._measured_at = time.monotonic()
        self._due_at = self._measured_at + FIRST_AFTER_SECONDS
        self._unwritten: deque[HealthSample] = deque(maxlen=MOST_UNWRITTEN)

    def due(self) -> bool:
        """Whether a minute has passed since the last sample; the first is due soon after the start."""
        return time.monotonic() >= self._due_at

    def sample(self) -> None:
        """Measure and write; whatever fails is logged and harms nobody, and what was measured is written next time."""
        try:
            moment = time.monotonic()
            elapsed, self._measured_at = max(moment - self._measured_at, 1e-3), moment
            self._due_at = moment + SAMPLE_SECONDS
            now = self._clock()
            # One after the other: what this process measured of itself is kept whatever the rest does.
            self._keep(now, self._use.samples())
            self._keep(now, self._further(elapsed))
            _write(self._workspace, list(self._unwritten))
            self._unwritten.clear()
        except Exception:
            logger.exception("The %s process could not write down how it is; it will try again.", self._process)

    def _keep(self, now: datetime, measured: Iterable[Sample]) -> None:
        self._unwritten.extend(
            HealthSample(at=now, process=self._process, key=one.key, subject=one.subject, value=one.value)
            for one in measured
        )


def worker_sampler(workspace: Workspace) -> Sampler:
    """The worker's: besides itself it measures the machine, the disk and the queue."""
    url = workspace.engine.url
    database = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    def further(_elapsed: float) -> list[Sample]:
        with workspace.read() as session:
            queue = queue_samples(session, utc_now())
        return machine_samples(workspace.home, database) + queue

    return Sampler(workspace, "worker", further)


def sample_home(workspace: Workspace, now: datetime) -> None:
    """Write down how much the home takes up; a walk over every file, so in a process of its own."""
    value = float(folder_bytes(workspace.home))
    _write(workspace, [HealthSample(at=now, process="worker", key="home_bytes", subject="", value=value)])


def thin(workspace: Workspace, now: datetime) -> int:
    """Make one sample of many as they age, by `STEPS`, and remove what is older than a quarter.

    A sample that stands for a step is dated at the step's middle, which is also how it is known: doing it twice changes
    nothing. Tells how many rows fewer there are. Each transaction is short, whatever has piled up; where one ends
    within a step, two samples stand for it.
    """
    with workspace.write() as session:
        fewer = session.exec(delete(HealthSample).where(col(HealthSample.at) < now - KEPT_FOR)).rowcount
    for age, width in STEPS:
        before = datetime.fromtimestamp((now - age).timestamp() // width * width, UTC)
        n_taken = AT_ONCE
        while n_taken == AT_ONCE:
            with workspace.write() as session:
                n_taken, n_left = _thin(session, before, width)
            fewer += n_taken - n_left
    return fewer


def _thin(session: Session, before: datetime, width: int) -> tuple[int, int]:
    at = col(HealthSample.at)
    second = sqlalchemy.cast(sqlalchemy.extract("epoch", at), BigInteger)
    query = sqlalchemy.select(
        col(HealthSample.id), at, col(HealthSample.process), col(HealthSample.key), col(HealthSample.subject),
        col(HealthSample.value),
    ).where(at < before, second % width != width // 2).order_by(at).limit(AT_ONCE)  # fmt: skip
    values: dict[tuple[float, str, str, str], list[float]] = {}
    ids = []
    for row in session.connection().execute(query):
        begin = row.at.timestamp() // width * width
        values.setdefault((begin, row.process, row.key, row.subject), []).append(row.value)
        ids.append(row.id)
    for start in range(0, len(ids), 500):
        session.exec(delete(HealthSample).where(col(HealthSample.id).in_(ids[start : start + 500])))
    rows = [
        HealthSample(
            at=datetime.fromtimestamp(begin + width // 2, UTC),
            process=process,
            key=key,
            subject=subject,
            value=_merged(key, found),
        )
        for (begin, process, key, subject), found in values.items()
    ]
    _insert(session, rows)
    return len(ids), len(rows)


def _merged(key: str, values: list[float]) -> float:
    known = FIGURES.get(key)  # an older version may have sampled what is no figure any more
    return max(values) if known is not None and known.merged == "max" else sum(values) / len(values)


def _write(workspace: Workspace, rows: list[HealthSample]) -> None:
    with workspace.write() as session:
        _insert(session, rows)


def _insert(session: Session, rows: list[HealthSample]) -> None:
    columns = ("at", "process", "key", "subject", "value")
    if rows:
        values = [{name: getattr(row, name) for name in columns} for row in rows]
        session.connection().execute(sqlalchemy.insert(HealthSample), values)
