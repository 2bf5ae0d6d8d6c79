"""Datasets over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from core.api.caller import Caller, Number, OpenWorkspace
from core.datasets import queries
from core.permissions import Permission, require

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("")
def list_datasets(workspace: OpenWorkspace, caller: Caller) -> list[dict[str, Any]]:
    """Every dataset with its newest version."""
    require(caller, Permission.DATASET_READ)
    with workspace.read() as session:
        return [asdict(row) for row in queries.list_datasets(session)]


@router.get("/{name:path}/versions/{number}")
def show_version(name: str, number: Number, workspace: OpenWorkspace, caller: Caller) -> dict[str, Any]:
    """One version: its columns, profile, changes and one-sentence state."""
    require(caller, Permission.DATASET_READ)
    with workspace.read() as session:
        version = queries.resolve_version(session, f"{name}@{number}")
        return {
            "id": version.id,
            "dataset": name,
            "number": version.number,
            "content_hash": version.content_hash,
            "n_rows": version.n_rows,
            "columns": version.columns,
            "profile": version.profile,
            "diff": version.diff,
            "summary": version.summary,
            "quarantine_reason": version.quarantine_reason,
        }
