"""Uploads, datasets, versions, splits, evaluation sets."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from core.database import document, moment


class ColumnKind(StrEnum):
    """What a column holds."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXT = "text"


class Relation(StrEnum):
    """How a version came from the one before it."""

    NEW = "new"
    REPLACES = "replaces"
    ADDS_TO = "adds_to"


class VersionState(StrEnum):
    """Where a dataset version is: being read, usable, or refused."""

    PENDING = "pending"
    READY = "ready"
    REFUSED = "refused"


class Severity(StrEnum):
    """What a failed check does."""

    BLOCK = "block"
    WARN = "warn"
    LOG = "log"


class Outcome(StrEnum):
    """How a check or a gate ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    SKIPPED = "skipped"


class Upload(SQLModel, table=True):
    """A file somebody gave, kept as given, before and after anyone says what it is."""

    __tablename__ = "upload"

    id: int | None = Field(default=None, primary_key=True)
    file_name: str
    sha256: str = Field(max_length=64)
    size_bytes: int
    uploaded_by: int | None = Field(default=None, foreign_key="user_account.id")
    uploaded_at: datetime = moment()


class Dataset(SQLModel, table=True):
    """A named line of data."""

    __tablename__ = "dataset"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    description: str = ""
    target: str | None = None
    sensitive: list[str] = document(list)
    costs: dict[str, Any] | None = document(nullable=True)
    time_column: str | None = None
    created_by: int | None = Field(default=None, foreign_key="user_account.id")
    created_at: datetime = moment()


class DatasetVersion(SQLModel, table=True):
    """One immutable state of a dataset."""

    __tablename__ = "dataset_version"
    __table_args__ = (UniqueConstraint("dataset_id", "number"), UniqueConstraint("dataset_id", "content_hash"))

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True)
    number: int
    relation: str = Field(max_length=16)
    parent_id: int | None = Field(default=None, foreign_key="dataset_version.id")
    upload_id: int | None = Field(default=None, foreign_key="upload.id")
    parse_options: dict[str, Any] = document()
    content_hash: str = Field(max_length=64)
    data_sha256: str = Field(max_length=64)
    columns: list[dict[str, Any]] = document(list)
    n_rows: int
    n_columns: int
    profile: dict[str, Any] = document()
    diff: dict[str, Any] | None = document(nullable=True)
    summary: str = ""
    created_by: int | None = Field(default=None, foreign_key="user_account.id")
    created_at: datetime = moment()
    quarantined_at: datetime | None = moment(nullable=True)
    quarantine_reason: str | None = None


class Intake(SQLModel, table=True):
    """A confirmed wish to make a dataset version of an upload, and how it ended."""

    __tablename__ = "intake"

    id: int | None = Field(default=None, primary_key=True)
    upload_id: int = Field(foreign_key="upload.id", index=True)
    dataset_name: str
    relation: str = Field(max_length=16)
    parent_id: int | None = Field(default=None, foreign_key="dataset_version.id")
    options: dict[str, Any] = document()
    state: str = Field(default=VersionState.PENDING, max_length=16)
    version_id: int | None = Field(default=None, foreign_key="dataset_version.id")
    error: str | None = None
    job_id: int | None = Field(default=None, foreign_key="job.id")
    requested_by: int | None = Field(default=None, foreign_key="user_account.id")
    requested_at: datetime = moment()


class CheckResult(SQLModel, table=True):
    """How one check ended on one version."""

    __tablename__ = "check_result"

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="dataset_version.id", index=True)
    code: str = Field(max_length=64)
    column: str | None = None
    severity: str = Field(max_length=16)
    outcome: str = Field(max_length=16)
    explanation: str
    checked_at: datetime = moment()


class Split(SQLModel, table=True):
    """A seeded assignment of a version's rows to parts; the file holds one byte per row (`splitting.Part`)."""

    __tablename__ = "split"
    __table_args__ = (UniqueConstraint("version_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="dataset_version.id", index=True)
    key: str = Field(max_length=64)
    method: str = Field(max_length=16)
    column: str | None = None
    seed: int = 0
    validation_share: float
    test_share: float
    assignment_sha256: str = Field(max_length=64)
    n_train: int
    n_validation: int
    n_test: int
    n_excluded: int
    created_at: datetime = moment()


class EvaluationSet(SQLModel, table=True):
    """A locked set of rows that models are judged on; the file holds ordinals and row hashes."""

    __tablename__ = "evaluation_set"

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True)
    version_id: int = Field(foreign_key="dataset_version.id", index=True)
    split_id: int = Field(foreign_key="split.id")
    kind: str = Field(max_length=16)
    rows_sha256: str = Field(max_length=64)
    n_rows: int
    created_at: datetime = moment()
