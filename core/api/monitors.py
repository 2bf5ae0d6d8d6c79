"""Handing in data to monitor, over HTTP: a batch file, a dataset version, labels.

Files are the body of the request, as they are; what is wrong with one is said by the job that reads it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from core.api.caller import Caller, Number, OpenWorkspace
from core.artifacts import StoredArtifact
from core.database import utc_now
from core.datasets import queries as datasets
from core.datasets import service as intake
from core.datasets.ingest import inspect
from core.datasets.options import ParseOptions
from core.errors import InvalidInput, NotFound
from core.monitoring import queries, service
from core.permissions import Actor, Permission, require
from core.registry import queries as registry
from core.registry.tables import Alias, Environment
from core.workspace import Workspace

router = APIRouter(tags=["monitors"])

LONGEST_NAME = 200
FileName = Annotated[str, Query(description="what people call the file", min_length=1, max_length=LONGEST_NAME)]
PIECE = 1 << 20


class VersionToMonitor(BaseModel):
    """Which dataset version, and which of its columns says when."""

    dataset: str
    time_column: str | None = None
    environment: Environment = Environment.PRODUCTION
    alias: Alias = Alias.CHAMPION


@router.get("/monitors")
def list_monitors(workspace: OpenWorkspace, caller: Caller) -> list[dict[str, Any]]:
    """Every monitor, what needs attention first."""
    require(caller, Permission.MONITORING_READ)
    with workspace.read() as session:
        return [asdict(row) for row in queries.list_monitors(session)]


@router.post("/models/{name:path}/batches", status_code=202)
async def add_batch(
    name: str,
    file_name: FileName,
    request: Request,
    workspace: OpenWorkspace,
    caller: Caller,
    time_column: str | None = None,
    environment: Environment = Environment.PRODUCTION,
    alias: Alias = Alias.CHAMPION,
) -> dict[str, Any]:
    """Hand in a CSV or Parquet file of production rows; answers with the batch and the job that reads it."""
    require(caller, Permission.BATCH_ADD)
    artifact = await _received(request, workspace)
    return await run_in_threadpool(
        _add_batch, workspace, caller, artifact, file_name, name, time_column, environment, alias
    )


@router.post("/models/{name:path}/batches/from-dataset", status_code=202)
def add_version(name: str, body: VersionToMonitor, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Hand in a dataset version that is known already."""
    require(caller, Permission.BATCH_ADD)
    with workspace.write() as session:
        batch = service.add_version(
            session,
            monitor_id=_monitor_id(session, name, body.environment, body.alias),
            dataset_version_id=datasets.resolve_version(session, body.dataset).id or 0,
            time_column=body.time_column,
            actor=caller,
            now=utc_now(),
        )
        return {"id": batch.id, "job_id": batch.job_id}


@router.get("/batches/{batch_id}")
def show_batch(batch_id: Number, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """How far a batch is, or why it failed."""
    require(caller, Permission.MONITORING_READ)
    with workspace.read() as session:
        batch = queries.batch(session, batch_id)
        return {"id": batch.id, "state": batch.state, "n_rows": batch.n_rows, "error": batch.error}


@router.post("/models/{name:path}/labels", status_code=202)
async def add_labels(
    name: str,
    file_name: FileName,
    request: Request,
    workspace: OpenWorkspace,
    caller: Caller,
    id_column: str = "prediction_id",
    label_column: str = "label",
) -> dict[str, Any]:
    """Hand in a CSV or Parquet file of what turned out to be true, joined by prediction id."""
    require(caller, Permission.BATCH_ADD)
    artifact = await _received(request, workspace)
    return await run_in_threadpool(_add_labels, workspace, caller, artifact, file_name, name, id_column, label_column)


def _add_batch(
    workspace: Workspace,
    caller: Actor,
    artifact: StoredArtifact,
    file_name: str,
    name: str,
    time_column: str | None,
    environment: Environment,
    alias: Alias,
) -> dict[str, Any]:
    options = _options(workspace, artifact, file_name)
    with workspace.write() as session:
        now = utc_now()
        upload = intake.store_upload(session, artifact=artifact, file_name=_shown(file_name), actor=caller, now=now)
        batch = service.add_batch(
            session,
            monitor_id=_monitor_id(session, name, environment, alias),
            upload_id=upload.id or 0,
            options=options,
            time_column=time_column,
            actor=caller,
            now=now,
        )
        return {"id": batch.id, "job_id": batch.job_id}


def _add_labels(
    workspace: Workspace,
    caller: Actor,
    artifact: StoredArtifact,
    file_name: str,
    name: str,
    id_column: str,
    label_column: str,
) -> dict[str, Any]:
    options = _options(workspace, artifact, file_name)
    with workspace.write() as session:
        now = utc_now()
        upload = intake.store_upload(session, artifact=artifact, file_name=_shown(file_name), actor=caller, now=now)
        job = service.add_labels(
            session,
            model_id=registry.model_by_name(session, name).id or 0,
            upload_id=upload.id or 0,
            options=options,
            id_column=id_column,
            label_column=label_column,
            actor=caller,
            now=now,
        )
        return {"id": upload.id, "job_id": job.id}


async def _received(request: Request, workspace: Workspace) -> StoredArtifact:
    """Store the body piece by piece, so that memory does not grow with the file."""
    limit = workspace.settings.upload_max_mb * (1 << 20)
    writer = workspace.artifacts.writer()
    file, done = await run_in_threadpool(writer.__enter__)
    try:
        piece, received = bytearray(), 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise InvalidInput(
                    f"The file is larger than {workspace.settings.upload_max_mb:,} MiB. Hand it in in parts, or raise "
                    "GATEHOUSE_UPLOAD_MAX_MB."
                )
            piece += chunk
            if len(piece) >= PIECE:
                await run_in_threadpool(file.write, bytes(piece))
                piece.clear()
        if not received:
            raise InvalidInput("The body is empty. Send the file as the body of the request.")
        await run_in_threadpool(file.write, bytes(piece))
    except BaseException as error:
        await run_in_threadpool(writer.__exit__, type(error), error, error.__traceback__)
        raise
    await run_in_threadpool(writer.__exit__, None, None, None)
    return done[0]


def _options(workspace: Workspace, artifact: StoredArtifact, file_name: str) -> ParseOptions:
    return inspect(workspace.artifacts.path(artifact.sha256), file_name=_shown(file_name)).options


def _shown(file_name: str) -> str:
    """The name without any folders; it is only ever shown."""
    return PurePosixPath(file_name.replace("\\", "/")).name or "file"


def _monitor_id(session: Session, name: str, environment: Environment, alias: Alias) -> int:
    model_id = registry.model_by_name(session, name).id or 0
    found = queries.monitor_of(session, model_id=model_id, environment=environment, alias=alias)
    if found is None or found.id is None:
        raise NotFound("monitor of", repr(name), "A monitor comes with a model's first deployment.")
    return found.id
