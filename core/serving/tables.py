"""Sealed parts of the prediction log, and the labels that arrive later."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.database import moment


class PredictionSegment(SQLModel, table=True):
    """One sealed Parquet file of predictions by one version: id, time, features, prediction, probabilities, latency."""

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


class Label(SQLModel, table=True):
    """What turned out to be true for one prediction."""

    __tablename__ = "label"

    model_id: int = Field(foreign_key="registered_model.id", primary_key=True)
    prediction_id: str = Field(primary_key=True, max_length=64)
    value: str
    received_at: datetime = moment()
