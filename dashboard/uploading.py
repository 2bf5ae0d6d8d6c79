"""Files of any size: a route that streams the body straight into the artifact store.

Streamlit's own uploader holds a file in memory whole; this keeps a megabyte of it at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import PurePosixPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.access import queries as access
from core.artifacts import StoredArtifact
from core.database import utc_now
from core.errors import InvalidInput, LifecycleError, PermissionDenied
from core.permissions import Actor, Permission
from core.workspace import Workspace
from dashboard.entrance import COOKIE
from dashboard.security import same_origin

PIECE = 1 << 20
LONGEST_NAME = 200


def routes(workspace: Callable[[], Workspace]) -> list[Route]:
    """``PUT`` or ``POST /uploads?name=FILE`` with the file as the body; answers ``{"upload_id": 7}``."""

    async def upload(request: Request) -> Response:
        if not same_origin(request):
            return JSONResponse({"error": "This upload was sent from another site."}, 403)
        actor = await run_in_threadpool(_actor, workspace(), request.cookies.get(COOKIE, ""))
        if actor is None:
            return JSONResponse({"error": "You are signed out. Sign in and choose the file again."}, 401)
        try:
            name = _file_name(request.query_params.get("name", ""))
            if not (actor.may(Permission.DATASET_ADD) or actor.may(Permission.BATCH_ADD)):
                raise PermissionDenied(f"{actor.name} may not upload files. Ask an administrator for a role that may.")
            artifact = await _store(request, workspace())
            upload_id = await run_in_threadpool(_record, workspace(), artifact, name, actor)
        except PermissionDenied as error:
            return JSONResponse({"error": str(error)}, 403)
        except LifecycleError as error:
            return JSONResponse({"error": str(error)}, 422)
        except ClientDisconnect:
            return JSONResponse({"error": "The upload was broken off; nothing was kept."}, 400)
        return JSONResponse({"upload_id": upload_id}, 201)

    return [Route("/uploads", upload, methods=["PUT", "POST"])]


async def _store(request: Request, workspace: Workspace) -> StoredArtifact:
    limit = workspace.settings.upload_max_mb * (1 << 20)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(workspace)
    with ExitStack() as undo:
        writer = workspace.artifacts.writer()
        file, done = await run_in_threadpool(writer.__enter__)
        undo.push(writer)
        piece, received = bytearray(), 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise _too_large(workspace)
            piece += chunk
            if len(piece) >= PIECE:
                await run_in_threadpool(file.write, bytes(piece))
                piece.clear()
        if not received:
            raise InvalidInput("The file is empty. Choose a file with a header and rows.")
        await run_in_threadpool(file.write, bytes(piece))
        undo.pop_all()
        # Hashing a large file takes seconds: not on the event loop.
        await run_in_threadpool(writer.__exit__, None, None, None)
    return done[0]


def _too_large(workspace: Workspace) -> InvalidInput:
    return InvalidInput(
        f"The file is larger than {workspace.settings.upload_max_mb:,} MiB. Add it with the command line "
        "(gatehouse dataset add), or raise GATEHOUSE_UPLOAD_MAX_MB."
    )


def _file_name(given: str) -> str:
    name = PurePosixPath(given.replace("\\", "/")).name
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"The file's name needs 1 to {LONGEST_NAME} printable characters. Rename the file.")
    return name


def _actor(workspace: Workspace, token: str) -> Actor | None:
    with workspace.read() as session:
        return access.actor_of_sign_in(session, token, utc_now()) if token else None


def _record(workspace: Workspace, artifact: StoredArtifact, name: str, actor: Actor) -> int:
    from core.datasets import service as datasets

    with workspace.write() as session:
        row = datasets.store_upload(session, artifact=artifact, file_name=name, actor=actor, now=utc_now())
        assert row.id is not None
        return row.id
