"""Monitors, batches, windows and their results, alerts."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.database import document, moment


class WindowState(StrEnum):
    """What a window's result says."""

    PENDING = "pending"
    QUIET = "quiet"
    DRIFTED = "drifted"
    NOT_ENOUGH_DATA = "not_enough_data"


class BatchState(StrEnum):
    """Where a batch is; the last three are final."""

    PENDING = "pending"
    READING = "reading"
    MEASURING = "measuring"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AlertState(StrEnum):
    """Where an alert is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Monitor(SQLModel, table=True):
    """What is watched, and how; segments sealed before `watched_to` are in its windows."""

    __tablename__ = "monitor"
    __table_args__ = (UniqueConstraint("model_id", "environment", "alias"),)

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    environment: str = Field(max_length=16)
    alias: str = Field(max_length=16)
    window: str = Field(default="month", max_length=16)
    alpha: float = 0.05
    min_rows: int = 100
    min_effect: float = 0.1
    created_at: datetime = moment()
    watched_to: datetime | None = moment(nullable=True)


class Batch(SQLModel, table=True):
    """A file of production rows; the Parquet file holds time, features, prediction and label where given."""

    __tablename__ = "batch"

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    upload_id: int = Field(foreign_key="upload.id")
    time_column: str | None = None
    options: dict[str, Any] = document()
    state: str = Field(default=BatchState.PENDING, max_length=16)
    version_id: int | None = Field(default=None, foreign_key="model_version.id")
    data_sha256: str | None = Field(default=None, max_length=64)
    n_rows: int | None = None
    error: str | None = None
    job_id: int | None = Field(default=None, foreign_key="job.id")
    added_by: int | None = Field(default=None, foreign_key="user_account.id")
    added_at: datetime = moment()


class Window(SQLModel, table=True):
    """One span of current data held against one version's reference.

    `read_at` is when its rows were read by the machine's own clock: an older computation never replaces a newer one.
    """

    __tablename__ = "window"
    __table_args__ = (UniqueConstraint("monitor_id", "version_id", "label"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    version_id: int = Field(foreign_key="model_version.id")
    label: str = Field(max_length=64)
    from_at: datetime = moment(index=True)
    to_at: datetime = moment()
    n_rows: int
    n_features: int
    n_drifted: int
    state: str = Field(max_length=16)
    computed_at: datetime = moment()
    read_at: datetime = moment()


class DriftResult(SQLModel, table=True):
    """One feature (or the prediction) in one window against the reference."""

    __tablename__ = "drift_result"
    __table_args__ = (Index("ix_drift_result_window", "window_id", "feature"),)

    id: int | None = Field(default=None, primary_key=True)
    window_id: int = Field(foreign_key="window.id")
    feature: str
    column_kind: str = Field(max_length=16)
    is_prediction: bool = False
    test: str = Field(max_length=32)
    effect: float | None = None
    statistic: float | None = None
    pvalue: float | None = None
    pvalue_corrected: float | None = None
    threshold: float
    state: str = Field(max_length=16)
    n_reference: int
    n_current: int
    bins: dict[str, Any] = document()


class PerformanceResult(SQLModel, table=True):
    """One metric of one window, from labels that have arrived."""

    __tablename__ = "performance_result"
    __table_args__ = (UniqueConstraint("window_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    window_id: int = Field(foreign_key="window.id", index=True)
    key: str = Field(max_length=64)
    value: float
    low: float | None = None
    high: float | None = None
    n_labelled: int


class Alert(SQLModel, table=True):
    """One firing of a monitor; while nobody resolved it, later windows of the same version continue it.

    ``window_id`` is the newest window it fired for, ``since`` and ``since_at`` the label and begin of the first.
    """

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("monitor_id", "window_id", "kind"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    window_id: int = Field(foreign_key="window.id")
    kind: str = Field(max_length=32)
    severity: str = Field(max_length=16)
    state: str = Field(default=AlertState.OPEN, max_length=16, index=True)
    sentence: str
    since: str = Field(max_length=64)
    since_at: datetime = moment()
    opened_at: datetime = moment()
    acknowledged_by: int | None = Field(default=None, foreign_key="user_account.id")
    acknowledged_at: datetime | None = moment(nullable=True)
    note: str = ""
