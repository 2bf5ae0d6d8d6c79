"""Who calls, and the workspace the routes work on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request

from core.access.queries import actor_of_token
from core.database import LARGEST_INTEGER, utc_now
from core.permissions import Actor
from core.workspace import Workspace


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


def _caller(request: Request) -> Actor:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise HTTPException(401, "Send an API token: Authorization: Bearer <token>. Make one under Settings.")
    with _workspace(request).read() as session:
        actor = actor_of_token(session, secret.strip(), utc_now())
    if actor is None:
        raise HTTPException(401, "This API token is unknown, expired or revoked. Make a new one under Settings.")
    return actor


Caller = Annotated[Actor, Depends(_caller)]
OpenWorkspace = Annotated[Workspace, Depends(_workspace)]
Number = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]
