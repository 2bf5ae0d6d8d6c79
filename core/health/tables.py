"""Samples of how the installation is."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.database import moment


class HealthSample(SQLModel, table=True):
    """One figure of one process at one moment; ``key`` is a key of `core.health.figures.FIGURES`.

    ``subject`` is "" for the process as a whole, else what the figure is about ("model 3 champion production"; "422",
    the status of refused requests).
    """

    __tablename__ = "health_sample"
    __table_args__ = (Index("ix_health_sample_key_at", "key", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment()
    process: str = Field(max_length=16)
    key: str = Field(max_length=32)
    subject: str = Field(default="", max_length=64)
    value: float
