"""The processes that are alive: who this one is, whether another still runs, and their heartbeats."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil
from sqlmodel import Session, col, delete, or_, select

from core.jobs.parts import Seen
from core.jobs.tables import Process

BEAT_SECONDS = 5.0
ALIVE_SECONDS = 15.0
PAUSE_SECONDS = 60.0
FORGOTTEN_AFTER = timedelta(days=14)
DEATHS_KEPT_FOR, DEATHS_KEPT = timedelta(days=1), 100
START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Owner:
    """One process that may hold a job.

    Parameters
    ----------
    name : str
        ``host:pid:start``, the start in seconds since the epoch: a process that gets the same id later has another.
    host : str
    pid : int
    """

    name: str
    host: str
    pid: int


def this_process() -> Owner:
    """Name the calling process as an owner."""
    host, pid = socket.gethostname(), os.getpid()
    return Owner(f"{host}:{pid}:{psutil.Process(pid).create_time():.2f}", host, pid)


def surely_dead(name: str, host: str, pid: int) -> bool:
    """Whether an owner is known to run no more.

    Only answerable on its own host; elsewhere False, and its lease must run out.
    """
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - float(name.rsplit(":", 1)[1])) > START_TOLERANCE_S
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def beat(
    session: Session, *, role: str, pid: int, host: str, address: str, started_at: datetime, now: datetime
) -> None:
    """Write down that a process is alive, and forget those whose place it has taken.

    One that died stays known until another of the same role and address takes its place (on the same machine, or
    started later on any), for two weeks at most: an alert can then tell it from one that stopped in good order. When
    it died is then kept with the one in its place on the same machine, for a day: a part that dies again and again is
    never missing for long.

    Parameters
    ----------
    role : str
        Of `core.jobs.parts.PARTS`.
    address : str
        Where it listens, ``http://host:port``; empty for a worker.
    started_at, now : datetime
    """
    silent_since = now - timedelta(seconds=PAUSE_SECONDS)
    mine = session.exec(
        select(Process).where(
            Process.role == role, Process.host == host, Process.pid == pid, Process.started_at == started_at
        )
    ).first()
    if mine is None:
        mine = Process(role=role, host=host, pid=pid, address=address, started_at=started_at, seen_at=now)
        mine.beating_since = now
    elif not silent_since <= mine.seen_at <= now:  # its machine slept, or its clock was set
        mine.beating_since = now
    mine.seen_at = now
    session.add(mine)
    session.flush()
    replaced = (col(Process.role) == role, col(Process.address) == address, col(Process.seen_at) < silent_since)
    taken = or_(col(Process.host) == host, col(Process.seen_at) < started_at)
    for one in session.exec(select(Process).where(*replaced, taken)):
        if one.host == host:
            _inherit(mine, one, now)
        session.delete(one)
    session.exec(delete(Process).where(col(Process.seen_at) < now - FORGOTTEN_AFTER))


def _inherit(mine: Process, dead: Process, now: datetime) -> None:
    told = [*mine.died, *dead.died, [dead.started_at.isoformat(), dead.seen_at.isoformat()]]
    recent = [one for one in told if datetime.fromisoformat(one[1]) > now - DEATHS_KEPT_FOR]
    mine.died = sorted(recent, key=lambda one: one[1])[-DEATHS_KEPT:]


def gone(session: Session, *, role: str, pid: int, host: str) -> None:
    """Forget a process that stopped in good order."""
    session.exec(delete(Process).where(col(Process.role) == role, col(Process.host) == host, col(Process.pid) == pid))


def alive(session: Session, now: datetime) -> list[Process]:
    """Processes seen within the last 15 seconds and, on this host, still there; oldest first."""
    rows = session.exec(
        select(Process)
        .where(col(Process.seen_at) > now - timedelta(seconds=ALIVE_SECONDS))
        .order_by(col(Process.role), col(Process.started_at))
    )
    here = socket.gethostname()
    return [row for row in rows if row.host != here or _runs(row)]


def seen(session: Session) -> list[Seen]:
    """Every process that beats, and those that fell silent without a goodbye and that none has replaced."""
    rows = list(session.exec(select(Process).order_by(col(Process.role), col(Process.started_at))))
    known = {(row.role, row.host, row.started_at.isoformat()) for row in rows}
    return [
        Seen(
            role=row.role,
            host=row.host,
            address=row.address,
            started_at=row.started_at,
            beating_since=row.beating_since or row.started_at,
            seen_at=row.seen_at,
            # One that slept and beats again did not die.
            died=tuple(
                datetime.fromisoformat(last) for start, last in row.died if (row.role, row.host, start) not in known
            ),
        )
        for row in rows
    ]


def _runs(row: Process) -> bool:
    try:
        return psutil.Process(row.pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
