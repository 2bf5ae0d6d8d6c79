"""Models and what is live, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from core.api.caller import Caller, OpenWorkspace
from core.database import LARGEST_INTEGER, utc_now
from core.errors import InvalidInput
from core.governance import as_of, service
from core.permissions import Permission, require
from core.registry import queries
from core.registry import service as registry
from core.registry.tables import Alias, Environment

router = APIRouter(tags=["models"])


class NewVersion(BaseModel):
    """Which run to register, and from which score on it is to call a row positive: set, or found by a rule."""

    run_id: int = Field(ge=1, le=LARGEST_INTEGER)
    description: str = ""
    threshold: float | None = None
    rule: str | None = None


class Rollback(BaseModel):
    """Why, and where."""

    reason: str
    environment: Environment = Environment.PRODUCTION
    alias: Alias = Alias.CHAMPION


@router.get("/models")
def list_models(workspace: OpenWorkspace, caller: Caller) -> list[dict[str, Any]]:
    """Every registered model."""
    require(caller, Permission.MODEL_READ)
    with workspace.read() as session:
        return [asdict(row) for row in queries.list_models(session)]


@router.post("/models/{name:path}/versions", status_code=201)
def register(name: str, body: NewVersion, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Register a finished run as the next version of a model."""
    require(caller, Permission.MODEL_REGISTER)
    chosen = None
    if body.threshold is not None or body.rule is not None:
        from core.training.threshold_analysis import choose

        chosen = choose(workspace, run_id=body.run_id, threshold=body.threshold, rule=body.rule)
    with workspace.write() as session:
        version = registry.register_version(
            session,
            run_id=body.run_id,
            model_name=name,
            description=body.description,
            threshold=chosen,
            actor=caller,
            now=utc_now(),
        )
        return {"id": version.id, "model": name, "number": version.number, "threshold": version.threshold}


@router.post("/models/{name:path}/rollback")
def roll_back(name: str, body: Rollback, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Put the version that was live before back."""
    with workspace.write() as session:
        deployment = service.roll_back(
            session,
            model_id=queries.model_by_name(session, name).id or 0,
            environment=body.environment,
            alias=body.alias,
            reason=body.reason,
            actor=caller,
            now=utc_now(),
        )
        return {"id": deployment.id, "version": queries.version_label(session, deployment.version_id)}


@router.get("/live")
def live(workspace: OpenWorkspace, caller: Caller, at: datetime | None = None) -> list[dict[str, Any]]:
    """What was live at a moment, who allowed it, on what evidence."""
    require(caller, Permission.DEPLOYMENT_READ)
    if at is not None and at.tzinfo is None:
        raise InvalidInput(f"{at.isoformat()} has no time zone. Write it as {at.isoformat()}Z for UTC.")
    with workspace.read() as session:
        return [asdict(row) for row in as_of.live_as_of(session, at or utc_now())]
