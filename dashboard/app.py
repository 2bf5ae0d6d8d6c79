"""The web process: Streamlit at /, our own routes beside it, one port.

``uvicorn dashboard.app:app`` and ``streamlit run dashboard/app.py`` both work.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core.access import queries as access
from core.automation.watching import WATCH_SECONDS, look_after_others
from core.database import utc_now
from core.errors import PermissionDenied
from core.health import queries as health_queries
from core.health.exposition import CONTENT_TYPE, exposition
from core.health.sampling import Sampler
from core.jobs import processes
from core.jobs.parts import PARTS
from core.permissions import Permission, require
from dashboard import entrance, uploading
from dashboard.security import SafeHeaders
from dashboard.session import workspace

logger = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
COLLECT_SECONDS = 60.0
LOOK_SECONDS = 1.0
AHEAD = ("pandas", "core.datasets.ingest", "plotly.graph_objects")


class SignInFirst:
    """Middleware: a page opened without a valid sign-in leads to the sign-in page, which leads back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.pages = {""} | {path.stem for path in (HERE / "views").glob("*.py")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].strip("/") in self.pages:
            request = Request(scope)
            if not await run_in_threadpool(_signed_in, request.cookies.get(entrance.COOKIE, "")):
                address = entrance.sign_in_address(request.url.path, request.url.query)
                await RedirectResponse(address, 303)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class LateApi:
    """The REST routes, made on the first request: importing this module opens no database."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.app is None:
            from core.api.app import create_api

            self.app = await run_in_threadpool(lambda: create_api(workspace()))
        await self.app(scope, receive, send)


async def health(_request: Request) -> Response:
    """Whether the database answers and which processes were seen alive; 503 when the database does not answer."""
    try:
        roles = await run_in_threadpool(_alive)
    except Exception as error:  # health must answer whatever is wrong
        return JSONResponse({"status": "failing", "database": False, "error": type(error).__name__}, 503)
    parts = {role: role in roles for role in PARTS}
    return JSONResponse({"status": "ok" if all(parts.values()) else "degraded", "database": True, **parts})


async def metrics(request: Request) -> Response:
    """The newest samples of health, for Prometheus.

    It takes an API token whose owner may read monitoring, from this machine too: behind a proxy everybody seems to come
    from here.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    try:
        text = await run_in_threadpool(_metrics, secret.strip() if scheme.lower() == "bearer" else "")
    except PermissionDenied as refusal:
        return PlainTextResponse(f"{refusal}\n", 403)
    if text is None:
        sentence = "Send an API token: Authorization: Bearer TOKEN. Create one in Settings.\n"
        return PlainTextResponse(sentence, 401, headers={"WWW-Authenticate": "Bearer"})
    return Response(text, media_type=CONTENT_TYPE)


def _metrics(secret: str) -> str | None:
    now = utc_now()
    with workspace().read() as session:
        actor = access.actor_of_token(session, secret, now) if secret else None
        if actor is None:
            return None
        require(actor, Permission.MONITORING_READ)
        return exposition(health_queries.latest(session, now))


def _alive() -> set[str]:
    with workspace().read() as session:
        return {process.role for process in processes.alive(session, utc_now())} | {"web"}


def _signed_in(token: str) -> bool:
    if not token:
        return False
    with workspace().read() as session:
        return access.actor_of_sign_in(session, token, utc_now()) is not None


def _beat(started_at: datetime) -> None:
    settings = workspace().settings
    with workspace().write() as session:
        processes.beat(
            session,
            role="web",
            pid=os.getpid(),
            host=socket.gethostname(),
            address=f"{settings.host}:{settings.port}",
            started_at=started_at,
            now=utc_now(),
        )


def _gone() -> None:
    with workspace().write() as session:
        processes.gone(session, role="web", pid=os.getpid(), host=socket.gethostname())


async def _keep_beating(started_at: datetime) -> None:
    while True:
        await run_in_threadpool(_tried, lambda: _beat(started_at))
        await asyncio.sleep(processes.BEAT_SECONDS)


async def _keep_watching() -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        await run_in_threadpool(_tried, lambda: look_after_others(workspace(), utc_now()))


def _tried(step: Callable[[], object]) -> None:
    # A busy database or a full disk must not end the loop: a part that stops beating passes for dead.
    try:
        step()
    except Exception:
        logger.exception("The web process could not say that it is alive or look after the others; it will try again.")


async def _keep_sampling() -> None:
    sampler = await run_in_threadpool(Sampler, workspace(), "web")
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if sampler.due():
            await run_in_threadpool(sampler.sample)


async def _keep_collecting() -> None:
    # Streamlit would collect after every rerun (58 ms against 3.7 ms); once a minute is enough.
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        await run_in_threadpool(gc.collect)


async def _import_ahead() -> None:
    # What pages and charts import on first use: a second and a half that the first visitor need not wait.
    for module in AHEAD:
        await run_in_threadpool(import_module, module)
    # Python looks for garbage by itself too, in the midst of a page. What was imported stays as long as the process: to
    # look through it as well took a long page 140 ms at every other run, against 18 ms.
    await run_in_threadpool(gc.collect)
    gc.freeze()


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Open the home, then say every few seconds that this process lives."""
    await run_in_threadpool(workspace)
    works = (_keep_beating(utc_now()), _keep_watching(), _keep_sampling(), _keep_collecting(), _import_ahead())
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await run_in_threadpool(_gone)


def _routes() -> list[BaseRoute]:
    return [
        Route("/healthz", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        *entrance.routes(workspace),
        *uploading.routes(workspace),
        Mount("/api/v1", LateApi()),
    ]


def _told(error: Exception) -> bool:
    from dashboard import panels

    panels.fault(error)
    return True


app = st.App(
    HERE / "main.py",
    lifespan=lifespan,
    routes=_routes(),
    middleware=[Middleware(SafeHeaders), Middleware(SignInFirst)],
    on_script_error=_told,
)
