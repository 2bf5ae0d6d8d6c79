"""Jobs run in the calling process end as they do in a worker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from core.access.tables import User
from core.automation.inline import run_all, run_job
from core.jobs import queries
from core.jobs.kinds import JOB_KINDS, JobKind
from core.jobs.tables import JobState
from core.permissions import Actor
from core.workspace import Workspace
from tests.core.automation.watching_jobs import job_now, lines

PutJob = Callable[..., int]


def test_drains_the_queue(workspace: Workspace, put_job: PutJob) -> None:
    well, refused, defect = put_job("test_sleep", seconds=0), put_job("test_refuse"), put_job("test_defect")
    assert run_all(workspace) == 3
    assert job_now(workspace, well).result == {"attempt": 1}
    assert job_now(workspace, refused).error == "The file holds no rows."
    job = job_now(workspace, defect)
    assert (job.state, job.attempts) == (JobState.FAILED, 2)
    assert "ZeroDivisionError: one over nothing" in lines(workspace, defect)
    with workspace.read() as session:
        assert queries.queue(session, 10) == []


def test_past_can_be_told(workspace: Workspace, put_job: PutJob) -> None:
    past = datetime(2025, 5, 6, 7, 8, tzinfo=UTC)
    job = run_job(workspace, put_job("test_sleep", seconds=0), now=past)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert past <= job.started_at <= job.finished_at < datetime(2025, 5, 6, 7, 9, tzinfo=UTC)


def test_finished_job_is_left_alone(workspace: Workspace, put_job: PutJob) -> None:
    job_id = put_job("test_sleep", seconds=0)
    assert run_job(workspace, job_id) == run_job(workspace, job_id)
    assert job_now(workspace, job_id).attempts == 1


def test_job_of_an_account_switched_off_meanwhile_fails_with_the_reason(
    workspace: Workspace, put_job: PutJob, scientist: Actor
) -> None:
    job_id = put_job("test_sleep", seconds=0)
    with workspace.write() as session:
        user = session.exec(select(User).where(User.id == scientist.user_id)).one()
        user.active = False
        session.add(user)
    job = run_job(workspace, job_id)
    assert job.state == JobState.FAILED
    assert "The account sam is switched off" in (job.error or "")


def test_job_whose_subject_cannot_follow_ends_all_the_same(
    workspace: Workspace, put_job: PutJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = JobKind("Broken", "nowhere:run", "nowhere:settle", 60.0, 2)
    monkeypatch.setitem(JOB_KINDS, "test_broken", broken)
    job = run_job(workspace, put_job("test_broken"))
    assert job.state == JobState.FAILED
    assert "could not follow" in (job.error or "")
    assert any("No module named 'nowhere'" in line for line in lines(workspace, job.id or 0))
