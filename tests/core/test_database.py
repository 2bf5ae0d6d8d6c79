"""One action is one transaction, and many processes write at once."""

from __future__ import annotations

import multiprocessing
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlmodel import func, select

from core.access.tables import User
from core.audit.service import record, verify
from core.audit.tables import AuditEvent
from core.jobs import service
from core.jobs.tables import Job, JobLine, JobState
from core.permissions import Actor
from core.settings import Settings
from core.workspace import Workspace, opened

PROCESSES, WRITES = 8, 500


def test_action_that_raises_keeps_nothing(workspace: Workspace, now: datetime) -> None:
    def break_off() -> None:
        with workspace.write() as session:
            session.add(User(name="half", created_at=now))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with workspace.read() as session:
        assert session.exec(select(User)).all() == []


def test_what_was_read_stays_readable_and_what_was_written_to_a_read_is_dropped(
    workspace: Workspace, now: datetime
) -> None:
    with workspace.write() as session:
        session.add(User(name="ann", created_at=now))
    with workspace.read() as session:
        user = session.exec(select(User)).one()
        user.name = "changed"
    assert user.created_at == now
    with workspace.read() as session:
        assert session.exec(select(User.name)).all() == ["ann"]


def test_read_is_one_snapshot(workspace: Workspace, now: datetime) -> None:
    with workspace.read() as reading:
        assert reading.exec(select(func.count()).select_from(User)).one() == 0
        with workspace.write() as session:
            session.add(User(name="ann", created_at=now))
        assert reading.exec(select(func.count()).select_from(User)).one() == 0


def test_moments_come_back_in_utc_and_naive_ones_are_refused(workspace: Workspace) -> None:
    local = datetime(2026, 3, 12, 15, 5, tzinfo=timezone(timedelta(hours=1)))
    with workspace.write() as session:
        session.add(User(name="ann", created_at=local))
    with workspace.read() as session:
        at = session.exec(select(User.created_at)).one()
        assert (at, at.tzinfo) == (local, UTC)
    naive = User(name="ben", created_at=local.replace(tzinfo=None))
    with pytest.raises(StatementError, match="has no time zone"), workspace.write() as session:
        session.add(naive)


def test_foreign_keys_and_write_ahead_log_are_on(workspace: Workspace) -> None:
    with workspace.read() as session:
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_documents_refuse_what_json_has_not(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    with workspace.write() as session, pytest.raises(StatementError, match="not JSON compliant"):
        service.enqueue(
            session,
            kind="watch_log",
            payload={"value": float("nan")},
            subject_kind="test",
            subject_id=1,
            actor=scientist,
            now=now,
        )


def _write_mixed(home: str, seed: int, actor: Actor, failed: object) -> None:
    """Enqueue, count up, log a line or record an event, in random order, each in its own transaction."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    with opened(Settings(home=Path(home))) as workspace:
        for number in range(WRITES):
            try:
                with workspace.write() as session:
                    match rng.randrange(3):
                        case 0:
                            service.enqueue(
                                session, kind="watch_log", payload={}, subject_kind="test", subject_id=seed,
                                actor=actor, now=now, idempotency_key=f"{seed}-{number}",
                            )  # fmt: skip
                        case 1:
                            service.add_line(session, job_id=1, text=f"{seed}-{number}", now=now)
                        case _:
                            record(
                                session, actor=actor, action="test.written", subject_kind="test",
                                subject_id=seed, subject_label=str(number), now=now,
                            )  # fmt: skip
                    counter = session.get_one(Job, 1)
                    counter.attempts += 1  # read, then written: an update lost shows here
                    session.add(counter)
            except Exception as error:
                failed.append(repr(error))  # type: ignore[attr-defined]


@pytest.mark.e2e
def test_eight_processes_write_at_once_none_lost_none_failed(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        service.enqueue(
            session, kind="watch_log", payload={}, subject_kind="counter", subject_id=1, actor=scientist, now=now
        )
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        failed = manager.list()
        processes = [
            context.Process(target=_write_mixed, args=(str(workspace.home), seed, scientist, failed))
            for seed in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert list(failed) == []
    with workspace.read() as session:
        assert session.get_one(Job, 1).attempts == PROCESSES * WRITES
        jobs = session.exec(select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED)).one() - 1
        lines = session.exec(select(func.count()).select_from(JobLine)).one()
        events = session.exec(select(func.count()).select_from(AuditEvent)).one()
        assert jobs + lines + events == PROCESSES * WRITES
        assert min(jobs, lines, events) > 0
        assert verify(session).intact
