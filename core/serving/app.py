"""The scoring process: one ASGI application per environment."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from core.access.queries import actor_of_token
from core.database import utc_now
from core.errors import ArtifactCorrupted, InvalidInput, LifecycleError, NotFound, PermissionDenied
from core.health.sampling import Sampler
from core.health.traffic import Traffic
from core.jobs.processes import BEAT_SECONDS, beat, gone
from core.permissions import Permission, require
from core.serving.answering import ModelCache, find_live, predict
from core.serving.inputs import RowRefused
from core.serving.log import PredictionLog
from core.settings import Settings
from core.workspace import Workspace, open_workspace

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 << 20
TICK_SECONDS = 0.5
WATCH_SECONDS = 60.0


class Refused(LifecycleError):
    """A request that is answered with an HTTP status and a message.

    Parameters
    ----------
    status : int
    message : str
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass
class Served:
    """What a request turned out to be about, as far as it came: "model 3 champion production"."""

    subject: str = ""


def create_app(
    settings: Settings | None = None,
    environment: str = "production",
    clock: Callable[[], datetime] = utc_now,
    watch: Callable[[Workspace, datetime], object] | None = None,
) -> FastAPI:
    """Make the scoring application; the home is opened when it starts and its log is sealed when it stops.

    Parameters
    ----------
    settings : Settings, optional
        From the environment when not given.
    environment : str
        Whose aliases it answers for.
    clock : callable, optional
    watch : callable, optional
        Called once a minute beside the answering: looks after the other parts.
    """
    # One request uses one thread: with OpenMP's default, concurrent requests fight over the cores and throughput
    # falls twentyfold. Read when scikit-learn is first loaded, which is with the first model.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workspace = await run_in_threadpool(open_workspace, settings)
        log = PredictionLog(workspace, environment, clock)
        await run_in_threadpool(log.seal_left_over)
        traffic = Traffic()
        app.state.workspace, app.state.log, app.state.models = workspace, log, ModelCache(workspace.artifacts)
        app.state.traffic = traffic
        address = f"http://{settings.host}:{settings.scoring_port}"
        process = "scoring" if environment == "production" else f"scoring {environment}"
        background = _Background(workspace, log, address, Sampler(workspace, process, traffic.take), watch)
        background.start()
        try:
            yield
        finally:
            await run_in_threadpool(background.stop)
            await run_in_threadpool(log.close)
            workspace.close()

    # No interactive documentation: its page fetches scripts from elsewhere.
    app = FastAPI(title="Gatehouse scoring", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        alive = await run_in_threadpool(_database_answers, app.state.workspace)
        document = {
            "status": "ok" if alive else "database does not answer",
            "environment": environment,
            "unsealed_rows": app.state.log.pending_rows,
        }
        return JSONResponse(document, 200 if alive else 503)

    # ":path" because a model's name is whatever a person typed, a slash included.
    @app.post("/v1/models/{model:path}/{alias}/predict")
    async def answer(request: Request, model: str, alias: str) -> JSONResponse:
        served = Served()
        try:
            secret = _bearer(request)
            body = await _body(request)
            began = time.perf_counter()
            answered = await run_in_threadpool(_answer, app, environment, model, alias, secret, body, clock, served)
        except Exception as error:
            status = _status(error)
            if status >= 500:
                app.state.traffic.failed(served.subject)
            else:
                app.state.traffic.refused(served.subject, status)
            raise
        latency_ms = (time.perf_counter() - began) * 1000
        app.state.traffic.answered(served.subject, latency_ms=latency_ms, n_rows=len(answered["predictions"]))
        return JSONResponse(answered)

    @app.exception_handler(LifecycleError)
    async def refuse(request: Request, error: LifecycleError) -> JSONResponse:  # noqa: ARG001
        document: dict[str, Any] = {"error": str(error)}
        if isinstance(error, RowRefused):
            document |= {"row": error.row, "field": error.field, "given": error.given, "expected": error.expected}
        status = _status(error)
        if status == 500:
            logger.error("A request failed: %s", error)
        return JSONResponse(document, status, headers={"WWW-Authenticate": "Bearer"} if status == 401 else None)

    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        return JSONResponse({"error": "There is no such address. POST to /v1/models/NAME/ALIAS/predict."}, 404)

    @app.exception_handler(405)
    async def wrong_method(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        return JSONResponse({"error": f"{request.method} is not answered here; use POST to predict."}, 405)

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        logger.error("A request failed", exc_info=error)
        return JSONResponse({"error": "The scoring process failed on this request; its log says why."}, 500)

    return app


def _answer(
    app: FastAPI,
    environment: str,
    model: str,
    alias: str,
    secret: str,
    body: bytes,
    clock: Callable[[], datetime],
    served: Served,
) -> dict[str, Any]:
    workspace: Workspace = app.state.workspace
    with workspace.read() as session:
        actor = actor_of_token(session, secret, clock())
        if actor is None:
            raise Refused(401, "This token is not known, has run out or was revoked. Create one in Settings.")
        require(actor, Permission.PREDICTION_CREATE)
        found = find_live(session, model_name=model, environment=environment, alias=alias)
    served.subject = f"model {found.model_id} {alias} {environment}"
    return predict(found, _rows(body), actor=actor, models=app.state.models, log=app.state.log, clock=clock)


def _rows(body: bytes) -> Any:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f'The body is not JSON ({_in_words(error)}). Send {{"rows": [...]}}.') from error
    if not isinstance(document, dict) or set(document) != {"rows"}:
        raise Refused(400, 'The body must be an object with one key, {"rows": [{feature: value, ...}]}.')
    return document["rows"]


def _in_words(error: Exception) -> str:
    """What a JSON parser says, on one line."""
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0][:120]


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Refused(401, 'Send an API token: "Authorization: Bearer TOKEN". Create one in Settings.')
    return secret.strip()


async def _body(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise Refused(413, f"The body is larger than {MAX_BODY_BYTES >> 20} MiB. Send fewer rows at a time.")
        pieces.append(piece)
    return b"".join(pieces)


def _status(error: Exception) -> int:
    match error:
        case Refused():
            return error.status
        case PermissionDenied():
            return 403
        case ArtifactCorrupted():
            return 500
        case NotFound():
            return 404
        case InvalidInput():
            return 422
        case _:
            return 500


def _database_answers(workspace: Workspace) -> bool:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with workspace.read() as session:
            session.connection().execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


class _Background:
    """Seals the log, says that the process is alive and how it is, and looks after the others, until stopped."""

    def __init__(
        self,
        workspace: Workspace,
        log: PredictionLog,
        address: str,
        sampler: Sampler,
        watch: Callable[[Workspace, datetime], object] | None,
    ) -> None:
        self._workspace, self._log, self._address, self._sampler = workspace, log, address, sampler
        self._watch = watch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._sampler.sample()  # the requests since the last one
        self._safely(self._gone)

    def _run(self) -> None:
        started_at = utc_now()
        # By the clock that nobody sets: one set back must not look like a process that died.
        beat_due = time.monotonic()
        watch_due = beat_due + WATCH_SECONDS
        while True:
            moment = time.monotonic()
            if moment >= beat_due:
                self._safely(lambda: self._beat(started_at))
                beat_due = moment + BEAT_SECONDS
            if self._watch is not None and moment >= watch_due:
                self._safely(self._look_after_others)
                watch_due = moment + WATCH_SECONDS
            if self._log.due():
                self._safely(self._log.seal)
            if self._sampler.due():
                self._sampler.sample()
            if self._stopped.wait(TICK_SECONDS):
                return

    def _beat(self, started_at: datetime) -> None:
        with self._workspace.write() as session:
            beat(
                session,
                role="scoring",
                pid=os.getpid(),
                host=socket.gethostname(),
                address=self._address,
                started_at=started_at,
                now=utc_now(),
            )

    def _look_after_others(self) -> None:
        if self._watch is not None:
            self._watch(self._workspace, utc_now())

    def _gone(self) -> None:
        with self._workspace.write() as session:
            gone(session, role="scoring", pid=os.getpid(), host=socket.gethostname())

    @staticmethod
    def _safely(step: Callable[[], object]) -> None:
        # A full disk or a busy database must not end the loop: what was not sealed is taken up again at the next turn.
        try:
            step()
        except Exception:
            logger.exception(
                "The scoring process could not seal its log, say that it is alive or look after the other parts; it "
                "will try again."
            )
