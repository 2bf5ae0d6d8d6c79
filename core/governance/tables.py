"""Cards, policies, requests, gate results, decisions, waivers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from core.database import document, moment


class RequestState(StrEnum):
    """Where a promotion request is; the last three are final."""

    PREPARING = "preparing"
    OPEN = "open"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class DecisionKind(StrEnum):
    """What one person decided."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"


class GateSeverity(StrEnum):
    """What a gate that did not pass does, by the policy."""

    BLOCKING = "blocking"
    WARNING = "warning"


class ModelCard(SQLModel, table=True):
    """A model version's card: drafted from the records, completed by people; blanks are counted."""

    __tablename__ = "model_card"

    version_id: int = Field(primary_key=True, foreign_key="model_version.id")
    sections: dict[str, Any] = document()
    revision: int = 1
    edited_by: int | None = Field(default=None, foreign_key="user_account.id")
    edited_at: datetime = moment()


class PromotionPolicy(SQLModel, table=True):
    """Versioned rules for moving an alias: gate codes with severity, margin, approvals needed."""

    __tablename__ = "promotion_policy"

    id: int | None = Field(default=None, primary_key=True)
    number: int = Field(unique=True)
    gates: dict[str, Any] = document()
    margins: dict[str, Any] = document()
    approvals: int = 1
    author_id: int | None = Field(default=None, foreign_key="user_account.id")
    reason: str = ""
    created_at: datetime = moment()


class PromotionRequest(SQLModel, table=True):
    """Asking to move an alias to a version."""

    __tablename__ = "promotion_request"

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="model_version.id", index=True)
    environment: str = Field(max_length=16)
    alias: str = Field(max_length=16)
    replaces_id: int | None = Field(default=None, foreign_key="model_version.id")
    policy_id: int = Field(foreign_key="promotion_policy.id")
    comment: str
    state: str = Field(default=RequestState.PREPARING, max_length=24, index=True)
    revision: int = 1
    evidence: dict[str, Any] | None = document(nullable=True)
    evidence_digest: str | None = Field(default=None, max_length=64)
    error: str | None = None
    job_id: int | None = Field(default=None, foreign_key="job.id")
    requested_by: int | None = Field(default=None, foreign_key="user_account.id")
    requested_at: datetime = moment()
    due_at: datetime = moment()
    decided_at: datetime | None = moment(nullable=True)


class GateResult(SQLModel, table=True):
    """How one gate ended for one request."""

    __tablename__ = "gate_result"
    __table_args__ = (UniqueConstraint("request_id", "code"),)

    id: int | None = Field(default=None, primary_key=True)
    request_id: int = Field(foreign_key="promotion_request.id", index=True)
    code: str = Field(max_length=64)
    severity: str = Field(max_length=16)
    outcome: str = Field(max_length=16)
    explanation: str


class Decision(SQLModel, table=True):
    """One person's one decision on one revision of a request, bound to the evidence they saw."""

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("request_id", "revision", "user_id"),)

    id: int | None = Field(default=None, primary_key=True)
    request_id: int = Field(foreign_key="promotion_request.id", index=True)
    revision: int
    user_id: int = Field(foreign_key="user_account.id")
    kind: str = Field(max_length=24)
    comment: str
    evidence_digest: str = Field(max_length=64)
    decided_at: datetime = moment()


class Waiver(SQLModel, table=True):
    """A recorded exception to a gate that failed on one revision of a request."""

    __tablename__ = "waiver"
    __table_args__ = (UniqueConstraint("request_id", "revision", "gate"),)

    id: int | None = Field(default=None, primary_key=True)
    request_id: int = Field(foreign_key="promotion_request.id", index=True)
    revision: int
    gate: str = Field(max_length=64)
    reason: str
    until: datetime = moment()
    granted_by: int = Field(foreign_key="user_account.id")
    granted_at: datetime = moment()
