"""Runs over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from core.api.caller import Caller, Number, OpenWorkspace
from core.database import LARGEST_INTEGER, utc_now
from core.datasets import queries as datasets
from core.datasets.splitting import SplitMethod, SplitOptions
from core.evaluation.tables import Task
from core.permissions import Permission, require
from core.training import queries, service
from core.training.specification import RunSpec

router = APIRouter(prefix="/runs", tags=["runs"])


class NewRun(BaseModel):
    """What to train."""

    dataset: str = Field(description='"income" for the newest version, "income@2" for one version')
    algorithm: str
    target: str | None = None
    task: Task | None = None
    features: list[str] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    split: SplitMethod = "random"
    split_column: str | None = None
    folds: int = Field(default=0, description="of the cross-validation, 2 to 20; 0 for none")
    calibration: str | None = Field(default=None, description='"sigmoid" or "isotonic"')
    weight_column: str | None = None


@router.post("", status_code=202)
def start(body: NewRun, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Queue a run; answers with its id and its job's."""
    with workspace.write() as session:
        version = datasets.resolve_version(session, body.dataset)
        target = body.target or datasets.dataset(session, version.dataset_id).target or ""
        spec = RunSpec(
            dataset_version_id=version.id or 0,
            target=target,
            task=body.task,
            features=tuple(body.features) if body.features else None,
            split=SplitOptions(method=body.split, column=body.split_column),
            algorithm=body.algorithm,
            parameters=body.parameters,
            seed=body.seed,
            folds=body.folds,
            calibration=body.calibration,
            weight_column=body.weight_column,
        )
        run = service.request_run(session, spec=spec, actor=caller, now=utc_now())
        return {"id": run.id, "job_id": run.job_id, "state": run.state}


@router.get("")
def list_runs(
    workspace: OpenWorkspace,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before_id: Annotated[int | None, Query(ge=1, le=LARGEST_INTEGER)] = None,
) -> list[Any]:
    """Newest runs first; pass the last id as ``before_id`` for the next page."""
    require(caller, Permission.RUN_READ)
    with workspace.read() as session:
        return [asdict(row) for row in queries.list_runs(session, limit=limit, before_id=before_id)]


@router.post("/{run_id}/cancel")
def cancel(run_id: Number, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Ask a queued or running run to stop."""
    with workspace.write() as session:
        service.cancel_run(session, run_id=run_id, actor=caller, now=utc_now())
    return {"id": run_id}
