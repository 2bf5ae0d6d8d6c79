"""Settings, each from an environment variable ``GATEHOUSE_<NAME>`` or its default."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be set from outside; one instance per process."""

    model_config = SettingsConfigDict(env_prefix="GATEHOUSE_", frozen=True, extra="ignore")

    home: Path = Field(Path("data/home"), description="Folder that holds the database and the artifacts.")
    database_url: str = Field("", description="SQLAlchemy URL; empty means gatehouse.db in the home.")
    demo: bool = Field(False, description="Demo workspace: one-click roles, loopback only.")
    host: str = Field("127.0.0.1", description="Address the web and scoring processes listen on.")
    port: int = Field(8501, ge=0, le=65535, description="Port of the web process.")
    scoring_port: int = Field(8502, ge=0, le=65535, description="Port of the scoring process.")
    worker_slots: int = Field(1, ge=1, le=64, description="Jobs one worker runs at the same time.")
    lease_seconds: float = Field(30.0, gt=0, description="A job whose owner has not renewed it for this long is lost.")
    poll_seconds: float = Field(0.2, gt=0, description="How often an idle worker looks for a job.")
    session_hours: float = Field(12.0, gt=0, description="How long a sign-in lasts.")
    upload_max_mb: int = Field(2048, gt=0, description="Largest file the browser may upload, in MiB.")
    memory_limit_mb: int = Field(1024, gt=0, description="Memory the file reader may use, in MiB.")

    @cached_property
    def resolved_home(self) -> Path:
        """The home as an absolute path; not created here."""
        return self.home.expanduser().resolve()

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.resolved_home / 'gatehouse.db'}"

    @property
    def artifacts_folder(self) -> Path:
        """Where content-addressed files lie."""
        return self.resolved_home / "artifacts"
