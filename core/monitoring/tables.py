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
    """Where a batch is; the last three are final. One that was measured can be withdrawn."""

    PENDING = "pending"
    READING = "reading"
    MEASURING = "measuring"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


READ_STATES = (BatchState.MEASURING, BatchState.READY)
"""Of a batch whose rows count."""


class AlertState(StrEnum):
    """Where an alert is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Season(StrEnum):
    """Which rows of the reference a window is held against: all, or those of the same season."""

    NONE = "none"
    HOUR = "hour"
    WEEKDAY = "weekday"
    MONTH = "month"


class Source(StrEnum):
    """Where a figure of performance comes from."""

    REALISED = "realised"
    ESTIMATED = "estimated"
    CORRECTED = "corrected"


class Monitor(SQLModel, table=True):
    """What is watched, and how; segments sealed before `watched_to` are in its windows."""

    __tablename__ = "monitor"
    __table_args__ = (UniqueConstraint("model_id", "environment", "alias"),)

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    environment: str = Field(max_length=16)
    alias: str = Field(max_length=16)
    window: str = Field(default="month", max_length=16)
    window_rows: int | None = None
    min_rows: int = 100
    min_effect: float = 0.1
    false_alerts: float = 0.1
    windows_needed: int = 1
    windows_of: int = 1
    season: str = Field(default=Season.NONE, max_length=16)
    season_column: str | None = None
    tests: dict[str, Any] = document()
    slice_columns: list[Any] = document(list)
    dependent_rows: bool = True
    created_at: datetime = moment()
    watched_to: datetime | None = moment(nullable=True)


class ReferenceSketch(SQLModel, table=True):
    """One column of a model version's reference, counted in cells; kept with the version and never changed.

    ``slice`` is "" for all rows, "hour=13 of at" for those of one season by that column of the training data,
    "|sex=Female" for those of one slice, and both for those of both. ``anchor`` and ``unit`` are those of the model
    line's first version that was watched, so that stored cells stay comparable across swaps.
    """

    __tablename__ = "reference_sketch"
    __table_args__ = (UniqueConstraint("version_id", "slice", "feature", "is_prediction"),)

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="model_version.id", index=True)
    slice: str = Field(default="", max_length=200)
    feature: str
    is_prediction: bool = False
    column_kind: str = Field(max_length=16)
    anchor: float = 0.0
    unit: float = 1.0
    n_rows: int
    cells: bytes


class BucketSketch(SQLModel, table=True):
    """One column of one bucket of time from one source, counted in cells; any window is a sum of buckets.

    ``source`` is "log" or "batch 7"; a source's bucket is replaced as a whole, never added to, and never by one whose
    rows were read earlier (``read_at``).
    """

    __tablename__ = "bucket_sketch"
    __table_args__ = (
        UniqueConstraint("monitor_id", "version_id", "source", "bucket_at", "slice", "feature", "is_prediction"),
    )

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    version_id: int = Field(foreign_key="model_version.id")
    source: str = Field(max_length=32)
    bucket_at: datetime = moment(index=True)
    bucket: str = Field(max_length=8)
    slice: str = Field(default="", max_length=200)
    feature: str
    is_prediction: bool = False
    n_rows: int
    read_at: datetime = moment()
    cells: bytes


class CountedSource(SQLModel, table=True):
    """A source whose rows are counted whole, in which buckets and slices; not there while that is being done.

    ``n_short`` is how many rows it is said to hold that reading all of it did not find.
    """

    __tablename__ = "counted_source"

    monitor_id: int = Field(foreign_key="monitor.id", primary_key=True)
    version_id: int = Field(foreign_key="model_version.id", primary_key=True)
    source: str = Field(max_length=32, primary_key=True)
    bucket: str = Field(max_length=8)
    slices: list[Any] = document(list)
    read_at: datetime = moment()
    n_short: int = 0


class Calibration(SQLModel, table=True):
    """The thresholds of a monitor's drift alerts for one version, from resampling its reference."""

    __tablename__ = "calibration"
    __table_args__ = (UniqueConstraint("monitor_id", "version_id", "settings_digest"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    version_id: int = Field(foreign_key="model_version.id")
    settings_digest: str = Field(max_length=64)
    thresholds: dict[str, Any] = document()
    computed_at: datetime = moment()


class Batch(SQLModel, table=True):
    """A file of production rows; the Parquet file holds time, features, prediction and label where given."""

    __tablename__ = "batch"

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    upload_id: int | None = Field(default=None, foreign_key="upload.id")
    dataset_version_id: int | None = Field(default=None, foreign_key="dataset_version.id")
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

    ``length`` is what the monitor cut by: "month", "count 5000", or "batch" for a batch without times. ``season`` is
    "" for all of the reference, "month=06" for its rows of June. `read_at` is when its rows were read by the
    machine's own clock: an older computation never replaces a newer one.
    """

    __tablename__ = "window"
    __table_args__ = (UniqueConstraint("monitor_id", "version_id", "length", "label"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int = Field(foreign_key="monitor.id", index=True)
    version_id: int = Field(foreign_key="model_version.id")
    length: str = Field(default="month", max_length=16)
    label: str = Field(max_length=64)
    season: str = Field(default="", max_length=32)
    from_at: datetime = moment(index=True)
    to_at: datetime = moment()
    n_rows: int
    n_features: int
    n_drifted: int
    state: str = Field(max_length=16)
    computed_at: datetime = moment()
    read_at: datetime = moment()


class DriftResult(SQLModel, table=True):
    """One feature (or the prediction) in one window, or in one slice of it, against the reference.

    ``test`` is the one of its deciding tests whose effect is largest for its ``threshold``; ``exceeded`` says whether
    the effect is above it, ``state`` whether so many of the last windows were that the feature counts as drifted.
    ``tests`` holds the whole catalogue.
    """

    __tablename__ = "drift_result"
    # Holds all that a square of the heat map shows, so that a year of them is read without the documents.
    __table_args__ = (
        Index(
            "ix_drift_result_square",
            *("window_id", "slice", "feature", "is_prediction", "effect", "threshold", "state"),
            *("effect_before", "state_before"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    window_id: int = Field(foreign_key="window.id")
    slice: str = Field(default="", max_length=200)
    feature: str
    column_kind: str = Field(max_length=16)
    is_prediction: bool = False
    test: str = Field(max_length=32)
    effect: float | None = None
    statistic: float | None = None
    pvalue: float | None = None
    pvalue_corrected: float | None = None
    threshold: float
    exceeded: bool = False
    state: str = Field(max_length=16)
    n_reference: int
    n_current: int
    effect_before: float | None = None
    pvalue_before: float | None = None
    state_before: str = Field(default="", max_length=16)
    tests: list[Any] = document(list)
    bins: dict[str, Any] = document()


class PerformanceResult(SQLModel, table=True):
    """One metric of one window: realised from labels that have arrived, estimated without, or corrected from both.

    ``note`` says why a figure is not to be believed; "" where nothing speaks against it.
    """

    __tablename__ = "performance_result"
    __table_args__ = (UniqueConstraint("window_id", "slice", "source", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    window_id: int = Field(foreign_key="window.id", index=True)
    slice: str = Field(default="", max_length=200)
    source: str = Field(default=Source.REALISED, max_length=16)
    key: str = Field(max_length=64)
    value: float
    low: float | None = None
    high: float | None = None
    n_labelled: int
    n_expected: int | None = None
    note: str = ""


class LabelArrival(SQLModel, table=True):
    """How the labels of one window came in, counted when it was computed; see `core.estimation.maturity`.

    ``n_at_once`` rows had their label with them. Of those that a label can still be joined to, ``delays`` counts the
    labels that came by how long they took, and ``pieces`` holds [seconds since 1970, predictions, labels] by time.
    """

    __tablename__ = "label_arrival"

    window_id: int = Field(foreign_key="window.id", primary_key=True)
    n_at_once: int
    delays: list[Any] = document(list)
    pieces: list[Any] = document(list)


class Estimator(SQLModel, table=True):
    """What a model version's labelled reference says of its performance, learnt once and kept with the version."""

    __tablename__ = "estimator"

    version_id: int = Field(foreign_key="model_version.id", primary_key=True)
    content: bytes
    fitted_at: datetime = moment()


class WindowMeasure(SQLModel, table=True):
    """One figure about a whole window beside drift by feature: several columns at once, the concept, the contract.

    ``kind`` is a key of `core.monitoring.window_measures.WINDOW_MEASURES`; ``details`` holds what tells, by kind.
    """

    __tablename__ = "window_measure"
    __table_args__ = (UniqueConstraint("window_id", "kind"),)

    id: int | None = Field(default=None, primary_key=True)
    window_id: int = Field(foreign_key="window.id", index=True)
    kind: str = Field(max_length=32)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    state: str = Field(max_length=16)
    sentence: str
    details: dict[str, Any] = document()


class AlertRule(SQLModel, table=True):
    """How one kind of alert is raised: for one monitor, or for the whole installation where ``monitor_id`` is None.

    ``kind`` is a key of `core.monitoring.alert_rules.ALERT_RULES`. Where no row exists the catalogue's defaults hold.
    """

    __tablename__ = "alert_rule"
    __table_args__ = (UniqueConstraint("monitor_id", "kind"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int | None = Field(default=None, foreign_key="monitor.id", index=True)
    kind: str = Field(max_length=32)
    enabled: bool = True
    parameters: dict[str, Any] = document()
    edited_by: int | None = Field(default=None, foreign_key="user_account.id")
    edited_at: datetime = moment()


class WindowVerdict(SQLModel, table=True):
    """What one window says of one kind of alert: that it fires, or, where ``severity`` is "", that it is quiet.

    There is none where the window cannot tell: too few rows, too few labels, nothing to hold them against.
    """

    __tablename__ = "window_verdict"

    window_id: int = Field(foreign_key="window.id", primary_key=True)
    kind: str = Field(max_length=32, primary_key=True)
    severity: str = Field(max_length=16)
    sentence: str


class Alert(SQLModel, table=True):
    """One firing of a rule; while nobody resolved it, it follows the windows of its event (`window_alerts`).

    ``window_id`` is the newest window that fires, ``since`` and ``since_at`` the label and begin of the first.
    Silence and faults have no window; those of the installation have no monitor. ``resolved_at`` is None while it
    stands, and of some that were over before it was kept.
    """

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("monitor_id", "window_id", "kind"),)

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int | None = Field(default=None, foreign_key="monitor.id", index=True)
    window_id: int | None = Field(default=None, foreign_key="window.id")
    incident_id: int | None = Field(default=None, foreign_key="incident.id", index=True)
    kind: str = Field(max_length=32)
    severity: str = Field(max_length=16)
    state: str = Field(default=AlertState.OPEN, max_length=16, index=True)
    sentence: str
    since: str = Field(max_length=64)
    since_at: datetime = moment()
    opened_at: datetime = moment()
    acknowledged_by: int | None = Field(default=None, foreign_key="user_account.id")
    acknowledged_at: datetime | None = moment(nullable=True)
    resolved_at: datetime | None = moment(nullable=True)
    note: str = ""
