"""The audit log's table."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from core.database import document, moment


class AuditEvent(SQLModel, table=True):
    """One line: who did what to which subject, when, and the chain's hash up to here."""

    __tablename__ = "audit_event"

    number: int = Field(primary_key=True)
    at: datetime = moment(index=True)
    action_id: str = Field(index=True, max_length=32)
    action: str = Field(index=True, max_length=64)
    actor_id: int | None = Field(default=None, index=True)
    actor_name: str
    via: str = Field(max_length=16)
    os_user: str | None = None
    subject_kind: str = Field(index=True, max_length=32)
    subject_id: int = Field(index=True)
    subject_label: str
    details: dict[str, Any] = document()
    previous_hash: str = Field(max_length=64)
    hash: str = Field(max_length=64)
