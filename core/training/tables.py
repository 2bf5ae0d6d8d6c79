"""Experiments and runs."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from core.database import document, moment


class RunState(StrEnum):
    """Where a run is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Run(SQLModel, table=True):
    """One training from declared inputs.

    ``validation_sha256`` names the stored per-row predictions of the validation part, on which thresholds are chosen.
    ``recalibrated_from_id`` is the run whose inputs this one repeats on the same data, but for its calibration.
    """

    __tablename__ = "run"

    id: int | None = Field(default=None, primary_key=True)
    dataset_version_id: int = Field(foreign_key="dataset_version.id", index=True)
    split_id: int | None = Field(default=None, foreign_key="split.id")
    split_options: dict[str, Any] = document()
    target: str
    task: str = Field(max_length=16)
    features: list[str] = document(list)
    algorithm: str = Field(max_length=64, index=True)
    parameters: dict[str, Any] = document()
    seed: int = 0
    weight_column: str | None = None
    calibration: str | None = Field(default=None, max_length=16)
    folds: int = 0
    state: str = Field(default=RunState.QUEUED, max_length=16, index=True)
    job_id: int | None = Field(default=None, foreign_key="job.id")
    retrained_from_id: int | None = Field(default=None, foreign_key="run.id")
    recalibrated_from_id: int | None = Field(default=None, foreign_key="run.id")
    requested_by: int | None = Field(default=None, foreign_key="user_account.id")
    requested_at: datetime = moment(index=True)
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)
    code_version: str = ""
    package_versions: dict[str, Any] = document()
    model_sha256: str | None = Field(default=None, max_length=64)
    model_size_bytes: int | None = None
    signature: dict[str, Any] | None = document(nullable=True)
    dummy: dict[str, Any] | None = document(nullable=True)
    importance: dict[str, Any] | None = document(nullable=True)
    cross_validation: dict[str, Any] | None = document(nullable=True)
    latency: dict[str, Any] | None = document(nullable=True)
    validation_sha256: str | None = Field(default=None, max_length=64)
    n_train: int | None = None
    n_excluded: int | None = None
    error: str | None = None
