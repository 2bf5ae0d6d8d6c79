"""Promotion requests over HTTP: ask, read, decide."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from core.api.caller import Caller, Number, OpenWorkspace
from core.database import utc_now
from core.governance import queries, service
from core.governance.tables import DecisionKind, PromotionRequest
from core.permissions import Permission, require
from core.registry import queries as registry
from core.registry.tables import Alias, Environment

router = APIRouter(prefix="/requests", tags=["requests"])


class NewRequest(BaseModel):
    """Which version to promote, and why."""

    version: str
    comment: str
    environment: Environment = Environment.PRODUCTION
    alias: Alias = Alias.CHAMPION


class NewDecision(BaseModel):
    """What is decided, on which evidence."""

    kind: DecisionKind
    evidence_digest: str
    comment: str = ""


def _shown(request: PromotionRequest, label: str) -> dict[str, Any]:
    return {
        "id": request.id,
        "version": label,
        "environment": request.environment,
        "alias": request.alias,
        "state": request.state,
        "comment": request.comment,
        "evidence_digest": request.evidence_digest,
        "evidence": request.evidence,
    }


@router.post("", status_code=202)
def ask(body: NewRequest, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Ask to move an alias to a version; its evidence is prepared in the background."""
    with workspace.write() as session:
        version = registry.resolve_version(session, body.version)
        request = service.request_promotion(
            session,
            version_id=version.id or 0,
            environment=body.environment,
            alias=body.alias,
            comment=body.comment,
            actor=caller,
            now=utc_now(),
        )
        return _shown(request, body.version)


@router.get("/{request_id}")
def show(request_id: Number, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """One request with its evidence and the digest a decision must name."""
    require(caller, Permission.REQUEST_READ)
    with workspace.read() as session:
        request = queries.request(session, request_id)
        return _shown(request, registry.version_label(session, request.version_id))


@router.post("/{request_id}/decisions", status_code=201)
def decide(request_id: Number, body: NewDecision, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """Approve, ask for changes or reject, bound to the evidence that was read."""
    with workspace.write() as session:
        request = service.decide(
            session,
            workspace.artifacts,
            request_id=request_id,
            kind=body.kind,
            comment=body.comment,
            evidence_digest=body.evidence_digest,
            actor=caller,
            now=utc_now(),
        )
        return _shown(request, registry.version_label(session, request.version_id))
