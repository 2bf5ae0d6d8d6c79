"""Claim, lease, fence, endings and the subject that follows."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta

import psutil
import pytest
from sqlmodel import Session

from core.errors import InvalidTransition, JobCancelled, NotFound, StaleRevision
from core.jobs import processes, queries, service
from core.jobs.context import JobContext
from core.jobs.kinds import JOB_KINDS, JobKind
from core.jobs.lifecycle import MOVES, Ending, check_move, state_after
from core.jobs.processes import Owner
from core.jobs.tables import Job, JobState
from core.permissions import Actor
from core.workspace import Workspace

FIRST, SECOND = Owner("here:1:1.0", "here", 1), Owner("there:2:2.0", "there", 2)
LEASE = timedelta(seconds=30)
HERE = __name__


def settle(session: Session, job: Job, now: datetime) -> None:
    """Keeps what the subject row followed into."""
    assert job.id is not None
    service.add_line(session, job_id=job.id, text=f"settled {job.state}", now=now)


@pytest.fixture(autouse=True)
def _followed_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "settling", sys.modules[HERE])
    monkeypatch.setitem(JOB_KINDS, "followed", JobKind("Followed", "settling:run", "settling:settle", 60.0, 2))


def enqueue(session: Session, actor: Actor, now: datetime, key: str | None = None) -> int:
    job = service.enqueue(
        session,
        kind="followed",
        payload={"a": 1},
        subject_kind="test",
        subject_id=7,
        actor=actor,
        now=now,
        idempotency_key=key,
    )
    assert job.id is not None
    return job.id


def claim(session: Session, owner: Owner, now: datetime, job_id: int | None = None) -> Job:
    job = service.claim(session, owner=owner, now=now, lease_until=now + LEASE, job_id=job_id)
    assert job is not None
    return job


def settled(session: Session, job_id: int) -> list[str]:
    return [line.text for line in queries.job_lines(session, job_id) if line.text.startswith("settled")]


def test_oldest_job_is_claimed_once(scientist: Actor, session: Session, now: datetime) -> None:
    later, first, second = (enqueue(session, scientist, now + timedelta(seconds=offset)) for offset in (60, 0, 1))
    moment = now + timedelta(seconds=2)
    assert claim(session, FIRST, moment).id == first
    job = claim(session, SECOND, moment)
    assert (job.id, job.state, job.fence, job.attempts, job.owner) == (second, JobState.RUNNING, 1, 1, SECOND.name)
    assert [job.id for job in queries.queue(session, 10)] == [first, second, later]
    assert claim(session, FIRST, moment + timedelta(minutes=1)).id == later
    assert service.claim(session, owner=FIRST, now=moment, lease_until=moment + LEASE) is None
    assert not queries.any_queued(session)


def test_a_job_that_was_queued_while_the_clock_was_ahead_need_not_wait(
    scientist: Actor, session: Session, now: datetime
) -> None:
    ahead = enqueue(session, scientist, now + timedelta(days=2))
    after = enqueue(session, scientist, now)
    assert queries.any_queued(session)
    assert [claim(session, FIRST, now).id for _ in range(2)] == [after, ahead]


def test_same_key_makes_no_second_job(scientist: Actor, session: Session, now: datetime) -> None:
    assert enqueue(session, scientist, now, "day 1") == enqueue(session, scientist, now, "day 1")
    assert enqueue(session, scientist, now, "day 2") != enqueue(session, scientist, now, "day 1")
    assert len(queries.jobs_of(session, "test", 7)) == 2


def test_unknown_kind_is_refused(scientist: Actor, session: Session, now: datetime) -> None:
    with pytest.raises(NotFound, match=r"no kind of job nonsense\. There are: read_dataset"):
        service.enqueue(session, kind="nonsense", payload={}, subject_kind="t", subject_id=1, actor=scientist, now=now)


def test_lost_attempt_goes_back_then_fails_with_its_reason(scientist: Actor, session: Session, now: datetime) -> None:
    job_id = enqueue(session, scientist, now)
    for attempt, state in ((1, JobState.QUEUED), (2, JobState.FAILED)):
        fence = claim(session, FIRST, now).fence
        service.begin(session, job_id=job_id, fence=fence, now=now)
        job = service.end(session, job_id=job_id, fence=fence, ending=Ending.LOST, reason=f"Lost {attempt}.", now=now)
        assert (job.state, job.error) == (state, f"Lost {attempt}.")
    assert settled(session, job_id) == [f"settled {state}" for state in ("running", "queued", "running", "failed")]
    assert job.finished_at == now


def test_stale_owner_can_record_nothing(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    with workspace.write() as session:
        job_id = enqueue(session, scientist, now)
        old = claim(session, FIRST, now).fence
        service.end(session, job_id=job_id, fence=old, ending=Ending.LOST, reason="Silent.", now=now)
        new = claim(session, SECOND, now).fence
    assert new == old + 1

    def context(fence: int) -> JobContext:
        return JobContext(workspace, job_id=job_id, fence=fence, attempt=1, payload={}, actor=scientist)

    stale = context(old)
    for act in (stale.check_cancelled, lambda: stale.report(0.5, "half")):
        with pytest.raises(StaleRevision, match="this attempt held claim 1"):
            act()
    with pytest.raises(StaleRevision), stale.record() as session:
        enqueue(session, scientist, now)  # must not be kept
    for ending in Ending:
        with workspace.write() as session, pytest.raises(StaleRevision):
            service.end(session, job_id=job_id, fence=old, ending=ending, reason="", now=now)
    with workspace.write() as session:
        service.renew(session, fences={job_id: old}, lease_until=now + timedelta(days=1))
    with workspace.read() as session:
        job = queries.job(session, job_id)
        assert (job.state, job.progress, job.lease_until) == (JobState.RUNNING, 0.0, now + LEASE)
        assert len(queries.queue(session, 10)) == 1

    holder = context(new)
    with holder.record() as session:
        enqueue(session, scientist, now)
        holder.log("inside")
        holder.result = {"answer": 42}
    assert holder.recorded
    with workspace.read() as session:
        job = queries.job(session, job_id)
        assert (job.state, job.result, job.progress) == (JobState.SUCCEEDED, {"answer": 42}, 1.0)
        assert len(queries.queue(session, 10)) == 1


def test_record_that_raises_keeps_nothing(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    with workspace.write() as session:
        job_id = enqueue(session, scientist, now)
        fence = claim(session, FIRST, now).fence
    context = JobContext(workspace, job_id=job_id, fence=fence, attempt=1, payload={}, actor=scientist)

    def break_off() -> None:
        with context.record() as session:
            enqueue(session, scientist, now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert not context.recorded
    with workspace.read() as session:
        assert [(job.id, job.state) for job in queries.recent(session, 10)] == [(job_id, JobState.RUNNING)]


def test_queued_job_is_cancelled_at_once_and_running_one_is_told(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        running, queued = enqueue(session, scientist, now), enqueue(session, scientist, now)
        fence = claim(session, FIRST, now).fence
        assert service.request_cancel(session, job_id=queued, now=now).state == JobState.CANCELLED
        assert service.request_cancel(session, job_id=running, now=now).state == JobState.RUNNING
        service.request_cancel(session, job_id=running, now=now + LEASE)
        assert queries.job(session, running).cancel_requested_at == now
        assert settled(session, queued) == ["settled cancelled"]
    context = JobContext(workspace, job_id=running, fence=fence, attempt=1, payload={}, actor=scientist)
    for act in (context.check_cancelled, lambda: context.report(0.1)):
        with pytest.raises(JobCancelled):
            act()
    with pytest.raises(JobCancelled), context.record():
        pytest.fail("a cancelled job recorded its outcome")
    with workspace.write() as session:
        job = service.end(session, job_id=running, fence=fence, ending=Ending.LOST, reason="Killed.", now=now)
    assert (job.state, job.error) == (JobState.CANCELLED, None)


def test_reports_of_one_phase_are_written_at_most_twice_a_second_and_a_new_phase_at_once(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        job_id = enqueue(session, scientist, now)
        fence = claim(session, FIRST, now).fence
    context = JobContext(workspace, job_id=job_id, fence=fence, attempt=1, payload={}, actor=scientist)
    for progress, note, kept in [
        (0.1, "loading", (0.1, "loading")),
        (0.2, "loading", (0.1, "loading")),
        (0.3, "fitting", (0.3, "fitting")),
        (1.7, "clipped", (1.0, "clipped")),
    ]:
        context.report(progress, note)
        with workspace.read() as session:
            job = queries.job(session, job_id)
        assert (job.progress, job.progress_note) == kept


@pytest.mark.parametrize(
    ("ending", "attempts", "cancel", "state"),
    [
        (Ending.REFUSED, 1, False, JobState.FAILED),
        (Ending.REFUSED, 1, True, JobState.FAILED),
        (Ending.TIMED_OUT, 1, False, JobState.FAILED),
        (Ending.DEFECT, 1, False, JobState.QUEUED),
        (Ending.DEFECT, 2, False, JobState.FAILED),
        (Ending.LOST, 1, False, JobState.QUEUED),
        (Ending.LOST, 2, False, JobState.FAILED),
        (Ending.LOST, 1, True, JobState.CANCELLED),
        (Ending.CANCELLED, 1, False, JobState.CANCELLED),
        (Ending.RELEASED, 2, False, JobState.QUEUED),
        (Ending.RELEASED, 1, True, JobState.CANCELLED),
    ],
)
def test_what_follows_an_ending(ending: Ending, attempts: int, cancel: bool, state: JobState) -> None:
    assert state_after(ending, attempts=attempts, max_attempts=2, cancel_requested=cancel) is state


def test_final_states_have_no_moves() -> None:
    for state in service.FINAL:
        assert MOVES[state] == frozenset()
        with pytest.raises(InvalidTransition, match=f"is {state}; it cannot become running"):
            check_move(state, JobState.RUNNING)


def test_owner_is_known_dead_only_on_its_host_and_by_its_start() -> None:
    me = processes.this_process()
    assert not processes.surely_dead(me.name, me.host, me.pid)
    earlier = f"{me.host}:{me.pid}:{psutil.Process(me.pid).create_time() - 100:.2f}"
    assert processes.surely_dead(earlier, me.host, me.pid)  # its id was given to this process later
    assert processes.surely_dead(f"{me.host}:4194999:1.0", me.host, 4_194_999)
    assert not processes.surely_dead("elsewhere:4194999:1.0", "elsewhere", 4_194_999)


def test_heartbeats_show_who_is_alive(session: Session, now: datetime) -> None:
    def beat(role: str, host: str, pid: int, seen: datetime) -> None:
        processes.beat(session, role=role, pid=pid, host=host, address="", started_at=now, now=seen)

    me = processes.this_process()
    beat("worker", "elsewhere", 1, now)
    beat("worker", socket.gethostname(), 4_194_999, now)  # killed: its row is left behind
    assert queries.worker_alive(session, now)
    beat("web", me.host, me.pid, now)
    beat("web", me.host, me.pid, now + timedelta(seconds=10))
    assert [row.role for row in processes.alive(session, now + timedelta(seconds=16))] == ["web"]
    assert not queries.worker_alive(session, now + timedelta(seconds=16))
    processes.gone(session, role="web", pid=me.pid, host=me.host)
    assert [row.role for row in processes.alive(session, now)] == ["worker"]
