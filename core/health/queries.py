"""Reads of samples: a figure over a span, and what each process said last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import BigInteger
from sqlmodel import Session, col, func, select

from core.health.figures import FIGURES, FIRST_AFTER_SECONDS, SAMPLE_SECONDS, figure
from core.health.tables import HealthSample

SILENT_AFTER = timedelta(minutes=5)
LATEST_WITHIN = timedelta(hours=2)
MOST_POINTS = 400
# A sample a minute: a longer pause is one in which nothing ran, and the sample after it a process's first.
LONGEST_SPAN = timedelta(seconds=1.5 * SAMPLE_SECONDS)
WORK_STEP_S = 600


@dataclass(frozen=True)
class Series:
    """One figure of one process over a span cut into equal steps.

    Parameters
    ----------
    process, subject : str
    at : tuple of datetime
        The begin of each step, oldest first.
    values : tuple of float or None
        What the step's samples come to; None where there is none: nobody measured, which is not the same as zero.
    """

    process: str
    subject: str
    at: tuple[datetime, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Latest:
    """The newest sample of one figure; ``fresh`` says whether it is at most five minutes old."""

    process: str
    key: str
    subject: str
    value: float
    at: datetime
    fresh: bool


def series(
    session: Session, key: str, *, from_at: datetime, to_at: datetime, subject: str = "", n_points: int = 120
) -> list[Series]:
    """One figure over a span, one series for each process that measured it, by name.

    Parameters
    ----------
    key : str
        Of `core.health.figures.FIGURES`, which also says how samples of one step become one.
    from_at, to_at : datetime
        The span [from, to).
    n_points : int
        How many steps, 1 to 400; a step is a whole number of seconds.

    Raises
    ------
    NotFound
        There is no such figure.
    """
    value = col(HealthSample.value)
    merged = func.max(value) if figure(key).merged == "max" else func.avg(value)
    n_points = min(max(n_points, 1), MOST_POINTS)
    width = max(1, -(-int((to_at - from_at).total_seconds()) // n_points))
    start = int(from_at.timestamp())
    second = sqlalchemy.cast(sqlalchemy.extract("epoch", col(HealthSample.at)), BigInteger)
    step = ((second - start) // width).label("step")
    query = (
        sqlalchemy.select(col(HealthSample.process), step, merged)
        .where(
            col(HealthSample.key) == key,
            col(HealthSample.at) >= from_at,
            col(HealthSample.at) < to_at,
            col(HealthSample.subject) == subject,
        )
        .group_by(col(HealthSample.process), step)
    )
    n_steps = -(-int((to_at - from_at).total_seconds()) // width)
    at = tuple(from_at + timedelta(seconds=width * place) for place in range(n_steps))
    found: dict[str, list[float | None]] = {}
    for process, place, value in session.connection().execute(query):
        found.setdefault(process, [None] * n_steps)[min(max(int(place), 0), n_steps - 1)] = float(value)
    return [Series(process, subject, at, tuple(values)) for process, values in sorted(found.items())]


def latest(session: Session, now: datetime) -> list[Latest]:
    """What each process said last within two hours, of every figure, in the catalogue's order; the whole first."""
    newest = (
        sqlalchemy.select(
            col(HealthSample.process), col(HealthSample.key), col(HealthSample.subject),
            func.max(col(HealthSample.at)).label("at"),
        )
        .where(col(HealthSample.key).in_(FIGURES), col(HealthSample.at) > now - LATEST_WITHIN)
        .group_by(col(HealthSample.process), col(HealthSample.key), col(HealthSample.subject))
        .subquery()
    )  # fmt: skip
    query = sqlalchemy.select(
        col(HealthSample.process), col(HealthSample.key), col(HealthSample.subject),
        func.max(col(HealthSample.value)), newest.c.at,
    ).join(
        newest,
        (newest.c.process == col(HealthSample.process))
        & (newest.c.key == col(HealthSample.key))
        & (newest.c.subject == col(HealthSample.subject))
        & (newest.c.at == col(HealthSample.at)),
    ).group_by(
        col(HealthSample.process), col(HealthSample.key), col(HealthSample.subject), newest.c.at
    )  # fmt: skip
    order = {key: place for place, key in enumerate(FIGURES)}
    rows = [
        Latest(process, key, subject, float(value), at, at >= now - SILENT_AFTER)
        for process, key, subject, value, at in session.connection().execute(query)
        if key in order
    ]
    return sorted(rows, key=lambda row: (order[row.key], row.process, row.subject))


def samples_since(
    session: Session, keys: Sequence[str], since: datetime, now: datetime
) -> dict[str, list[tuple[datetime, float]]]:
    """Every sample of some levels of whole processes since a moment, oldest first, by key; "" subjects only.

    What is dated after ``now`` is left out: it was measured before the clock was set back.
    """
    found: dict[str, list[tuple[datetime, float]]] = {key: [] for key in keys}
    for _process, key, _subject, at, value in _between(session, keys, since, now):
        found[key].append((at, value))
    return found


def counts_since(
    session: Session, keys: Sequence[str], since: datetime, now: datetime
) -> dict[tuple[str, str], list[tuple[datetime, float]]]:
    """How many there were by each sample since a moment, of figures "a minute", oldest first.

    A rate says nothing of how long it was kept up: it is multiplied with the time since the process's sample before, or
    with the few seconds after which a process that starts takes its first.

    Returns
    -------
    dict
        By (key, subject); only subjects of the whole, "" and the statuses of refused requests, are among them.
    """
    found: dict[tuple[str, str], list[tuple[datetime, float]]] = {(key, ""): [] for key in keys}
    before: dict[str, datetime] = {}
    spans: dict[tuple[str, datetime], float] = {}
    for process, key, subject, at, value in _between(session, keys, since - LONGEST_SPAN, now):
        if (process, at) not in spans:
            gap = at - before.get(process, datetime.min.replace(tzinfo=at.tzinfo))
            spans[process, at] = gap.total_seconds() if gap <= LONGEST_SPAN else FIRST_AFTER_SECONDS
            before[process] = at
        if at > since:
            found.setdefault((key, subject), []).append((at, value * spans[process, at] / 60))
    return found


def worked_since(session: Session, process: str, since: datetime, now: datetime) -> timedelta:
    """For how much of the time since a moment a process told how it is, in steps of ten minutes.

    Samples are thinned to one in ten minutes after a day, so a finer step would call the past idle.
    """
    second = sqlalchemy.cast(sqlalchemy.extract("epoch", col(HealthSample.at)), BigInteger)
    query = select(func.count(func.distinct(second // WORK_STEP_S))).where(
        col(HealthSample.key) == "memory_bytes",
        col(HealthSample.process) == process,
        col(HealthSample.at) >= since,
        col(HealthSample.at) <= now,
    )
    return timedelta(seconds=WORK_STEP_S * session.exec(query).one())


def _between(
    session: Session, keys: Sequence[str], since: datetime, now: datetime
) -> list[tuple[str, str, str, datetime, float]]:
    query = (
        sqlalchemy.select(
            col(HealthSample.process),
            col(HealthSample.key),
            col(HealthSample.subject),
            col(HealthSample.at),
            col(HealthSample.value),
        )
        .where(
            col(HealthSample.key).in_(keys),
            col(HealthSample.at) >= since,
            col(HealthSample.at) <= now,
            col(HealthSample.subject).not_like("model %"),
        )
        .order_by(col(HealthSample.at), col(HealthSample.id))
    )
    return [
        (process, key, subject, at, float(value))
        for process, key, subject, at, value in session.connection().execute(query)
    ]
