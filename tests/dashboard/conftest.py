"""Pages opened as somebody: a real sign-in, the cookie handed to Streamlit's test runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import streamlit as st
from starlette.types import ASGIApp
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from core.access.service import sign_in_as
from core.database import utc_now
from core.permissions import Actor
from core.workspace import Workspace
from dashboard.entrance import COOKIE

MAIN = Path(__file__).parents[2] / "dashboard" / "main.py"
OpenAs = Callable[..., AppTest]
MakeActor = Callable[..., Actor]


@pytest.fixture
def served(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The test's home as the one the dashboard serves."""
    monkeypatch.setenv("GATEHOUSE_HOME", str(workspace.home))
    yield workspace
    from dashboard import session

    session.workspace().close()
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def open_as(served: Workspace, monkeypatch: pytest.MonkeyPatch) -> OpenAs:
    """Open a page as an actor: ``open_as(scientist, "run", run=12)`` gives the page after its first run."""

    def open_page(actor: Actor | None, page: str = "", **query: object) -> AppTest:
        cookies: dict[str, str] = {}
        if actor is not None:
            assert actor.user_id is not None
            with served.write() as session:
                cookies[COOKIE] = sign_in_as(session, user_id=actor.user_id, now=utc_now(), hours=1)
        monkeypatch.setattr(ContextProxy, "cookies", property(lambda _: MappingProxyType(cookies)))
        test = AppTest.from_file(str(MAIN), default_timeout=30)
        test.run()
        if page:
            test.query_params.update({name: str(value) for name, value in query.items()})
            test.switch_page(f"views/{page}.py")
            test.run()
        return test

    return open_page


class Browser:
    """Asks an ASGI application without a server, keeping cookies and not following redirects."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("GET", path, **sent)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("POST", path, **sent)

    def put(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("PUT", path, **sent)

    def request(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(self._app), base_url="http://localhost:8501", cookies=self.cookies
            ) as client:
                return await client.request(method, path, **sent)

        answer = asyncio.run(send())
        self.cookies |= dict(answer.cookies)
        return answer
