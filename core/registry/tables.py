"""Models, model versions, deployments."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from core.database import document, moment


class Environment(StrEnum):
    """Where a model runs."""

    PRODUCTION = "production"
    STAGING = "staging"


class Alias(StrEnum):
    """A protected pointer to a version."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


class Cause(StrEnum):
    """What moved an alias."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"


class RegisteredModel(SQLModel, table=True):
    """A named line of models."""

    __tablename__ = "registered_model"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    description: str = ""
    task: str = Field(max_length=16)
    target: str
    owner_id: int | None = Field(default=None, foreign_key="user_account.id")
    created_at: datetime = moment()


class ModelVersion(SQLModel, table=True):
    """One immutable version of a registered model.

    ``signature["threshold"]``, where it is there, is the score from which on a row is called positive; ``threshold``
    is a `ThresholdChoice`: by which rule it was chosen, on which rows, and how it did on others. The same run with
    another threshold is another version, told apart by ``threshold_key``.
    """

    __tablename__ = "model_version"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        UniqueConstraint("model_id", "run_id", "threshold_key"),
    )

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    number: int
    run_id: int = Field(foreign_key="run.id", index=True)
    model_sha256: str = Field(max_length=64)
    signature: dict[str, Any] = document()
    threshold: dict[str, Any] | None = document(nullable=True)
    threshold_key: str = Field(default="", max_length=32)
    registered_by: int | None = Field(default=None, foreign_key="user_account.id")
    registered_at: datetime = moment()


class BehaviourSuite(SQLModel, table=True):
    """What every version of a model must do; versioned, the newest counts."""

    __tablename__ = "behaviour_suite"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    number: int
    tests: list[dict[str, Any]] = document(list)
    author_id: int | None = Field(default=None, foreign_key="user_account.id")
    reason: str = ""
    created_at: datetime = moment()


class BehaviourResult(SQLModel, table=True):
    """How one version did on one suite: an outcome per test, in the suite's order."""

    __tablename__ = "behaviour_result"
    __table_args__ = (UniqueConstraint("version_id", "suite_id"),)

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="model_version.id", index=True)
    suite_id: int = Field(foreign_key="behaviour_suite.id")
    outcomes: list[dict[str, Any]] = document(list)
    n_failed: int
    n_rows: int
    created_at: datetime = moment()


class Deployment(SQLModel, table=True):
    """One span of time in which a version held an alias."""

    __tablename__ = "deployment"
    __table_args__ = (
        Index(
            "uq_deployment_open",
            "model_id",
            "environment",
            "alias",
            unique=True,
            sqlite_where=text("to_at IS NULL"),
            postgresql_where=text("to_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    model_id: int = Field(foreign_key="registered_model.id", index=True)
    environment: str = Field(max_length=16)
    alias: str = Field(max_length=16)
    version_id: int = Field(foreign_key="model_version.id", index=True)
    from_at: datetime = moment(index=True)
    to_at: datetime | None = moment(nullable=True)
    cause: str = Field(max_length=16)
    request_id: int | None = None
    reason: str = ""
    deployed_by: int | None = Field(default=None, foreign_key="user_account.id")
