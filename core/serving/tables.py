"""Sealed parts of the prediction log, and the labels that arrive later."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.database import document, moment


class PredictionSegment(SQLModel, table=True):
    """One sealed Parquet file of predictions by one version: id, time, features, prediction, probabilities, latency.

    ``hours`` tells how many rows each hour of its day holds, {"9": 120}, where segments were put together; it is empty
    for one as it was sealed, whose rows are seconds apart.
    """

    __tablename__ = "prediction_segment"

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    version_id: int = Field(foreign_key="model_version.id", index=True)
    environment: str = Field(max_length=16)
    alias: str = Field(max_length=16)
    sha256: str = Field(max_length=64)
    n_rows: int
    from_at: datetime = moment(index=True)
    to_at: datetime = moment()
    sealed_at: datetime = moment()
    hours: dict[str, Any] = document()


class Label(SQLModel, table=True):
    """What turned out to be true for one prediction.

    ``received_at`` is when the value kept was handed in, ``first_at`` when the first one was: a correction is no late
    arrival. ``known`` says whether a prediction of this id has been found.
    """

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_known", "model_id", "known"),)

    model_id: int = Field(foreign_key="registered_model.id", primary_key=True)
    prediction_id: str = Field(primary_key=True, max_length=64)
    value: str
    received_at: datetime = moment()
    first_at: datetime | None = moment(nullable=True)
    known: bool = False
