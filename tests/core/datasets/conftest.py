"""A dataset version from a few lines of CSV, made as a person makes one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.automation.inline import run_job
from core.datasets import queries, service
from core.datasets.ingest import inspect
from core.datasets.options import ParseOptions
from core.datasets.tables import DatasetVersion, Intake, Relation
from core.permissions import Actor
from core.workspace import Workspace

AskFor = Callable[..., Intake]
AddVersion = Callable[..., DatasetVersion]


@pytest.fixture
def ask_for(workspace: Workspace, scientist: Actor, now: datetime, tmp_path: Path) -> AskFor:
    """Upload, inspect, confirm and run the job; gives the intake back, ready or refused."""

    def ask(content: str | bytes, *, name: str = "line", relation: Relation = Relation.NEW, **wishes: Any) -> Intake:
        path = tmp_path / "upload"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options: ParseOptions = wishes.pop("options", None) or inspect(path, file_name="upload.csv").options
        artifact = workspace.artifacts.put_file(path)
        actor = wishes.pop("actor", scientist)
        with workspace.write() as session:
            upload = service.store_upload(session, artifact=artifact, file_name="upload.csv", actor=actor, now=now)
            intake = service.request_intake(
                session,
                upload_id=upload.id or 0,
                dataset_name=name,
                relation=relation,
                options=options,
                target=wishes.pop("target", None),
                sensitive=wishes.pop("sensitive", []),
                time_column=wishes.pop("time_column", None),
                actor=actor,
                now=now,
                **wishes,
            )
        assert intake.job_id is not None
        assert intake.id is not None
        run_job(workspace, intake.job_id, now)
        with workspace.read() as session:
            return queries.intake(session, intake.id)

    return ask


@pytest.fixture
def add_version(workspace: Workspace, ask_for: AskFor) -> AddVersion:
    """The version an intake made; fails where it was refused."""

    def add(content: str | bytes, **wishes: Any) -> DatasetVersion:
        intake = ask_for(content, **wishes)
        assert intake.error is None
        assert intake.version_id is not None
        with workspace.read() as session:
            return queries.version(session, intake.version_id)

    return add
