"""Jobs, their log lines, and the processes that are alive."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy
from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.database import document, moment


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(SQLModel, table=True):
    """One unit of background work.

    ``not_before`` is when it was last queued, by the clock of then: it decides the turn, and holds nothing back.
    ``refused`` tells, of one that failed, that what was asked cannot be done, a file that does not fit say: that is the
    asker's to mend, and no fault of the program.
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_claim", "state", "not_before", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=64)
    payload: dict[str, Any] = document()
    state: str = Field(default=JobState.QUEUED, max_length=16)
    subject_kind: str = Field(max_length=32, index=True)
    subject_id: int = Field(index=True)
    idempotency_key: str | None = Field(default=None, unique=True, max_length=200)
    actor_id: int | None = None
    actor_name: str
    actor_via: str = Field(max_length=16)
    enqueued_at: datetime = moment()
    not_before: datetime = moment()
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)
    attempts: int = 0
    max_attempts: int = 2
    fence: int = 0
    owner: str | None = None
    owner_host: str | None = None
    owner_pid: int | None = None
    lease_until: datetime | None = moment(nullable=True)
    cancel_requested_at: datetime | None = moment(nullable=True)
    progress: float = 0.0
    progress_note: str = ""
    error: str | None = None
    refused: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    result: dict[str, Any] | None = document(nullable=True)


class JobLine(SQLModel, table=True):
    """One line of a job's log."""

    __tablename__ = "job_line"

    id: int | None = Field(default=None, primary_key=True)
    job_id: int = Field(foreign_key="job.id", index=True)
    at: datetime = moment()
    text: str


class Process(SQLModel, table=True):
    """A process of Gatehouse and when it was last seen alive; one that stops in good order takes its row along.

    ``beating_since`` is when its present run of beats began; None in rows written before it was kept. ``died`` holds
    [start, last beat] of the processes of the last day whose place it took, as far as they said no goodbye.
    """

    __tablename__ = "process"

    id: int | None = Field(default=None, primary_key=True)
    role: str = Field(max_length=16, index=True)
    host: str
    pid: int
    address: str = ""
    started_at: datetime = moment()
    seen_at: datetime = moment()
    beating_since: datetime | None = moment(nullable=True)
    died: list[Any] = document(list)
