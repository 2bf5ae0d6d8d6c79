"""The REST edge, mounted by the web process under /api/v1.

Every route resolves who calls from the bearer token and hands over to a service; a refusal comes back as JSON with
the same message a page would show.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from core.api import data, models, requests, runs
from core.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidTransition,
    LifecycleError,
    NotFound,
    PermissionDenied,
    StaleRevision,
)
from core.workspace import Workspace

STATUS_OF: tuple[tuple[type[LifecycleError], int], ...] = (
    (NotFound, 404),
    (PermissionDenied, 403),
    (AlreadyExists, 409),
    (StaleRevision, 409),
    (InvalidTransition, 409),
    (InvalidInput, 422),
)


def create_api(workspace: Workspace) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    workspace : Workspace
        The opened home every route works on.
    """
    api = FastAPI(title="Gatehouse", docs_url=None, redoc_url=None)  # the docs pages fetch scripts from outside
    api.state.workspace = workspace
    for router in (data.router, runs.router, models.router, requests.router):
        api.include_router(router)
    api.add_exception_handler(LifecycleError, _refuse)
    return api


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUS_OF if isinstance(error, kind)), 400)
    return JSONResponse({"error": str(error)}, status_code=status)
