"""The REST edge, mounted by the web process under /api/v1.

Every route resolves who calls from the bearer token and hands over to a service; a refusal comes back as JSON with
the same message a page would show. Whatever goes wrong, the answer is ``{"error": "..."}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.api import data, models, monitors, requests, runs
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
    for router in (data.router, runs.router, models.router, monitors.router, requests.router):
        api.include_router(router)
    api.add_exception_handler(LifecycleError, _refuse)
    api.add_exception_handler(RequestValidationError, _not_understood)
    api.add_exception_handler(HTTPException, _not_answered)
    api.add_exception_handler(Exception, _defect)
    return api


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    return _said(str(error), next((code for kind, code in STATUS_OF if isinstance(error, kind)), 400))


async def _not_understood(_request: Request, error: Exception) -> JSONResponse:
    """Say what does not fit, field by field."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return _said(f"The request was not understood. {'; '.join(faults)}.", 422)


async def _not_answered(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == 404:
        message = f"There is no such address: {request.method} {request.url.path[:200]}."
    elif error.status_code == 405:
        message = f"{request.method} is not answered at {request.url.path[:200]}."
    return _said(message, error.status_code, error.headers)


async def _defect(_request: Request, _error: Exception) -> JSONResponse:
    """Answer in the same shape; the server raises the error again, so that it stands in the log."""
    return _said("Something broke while this was answered; the log of the web process says what.", 500)


def _said(message: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status, headers=headers)
