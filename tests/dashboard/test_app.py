"""The web process as it is served: headers on Streamlit's own answers, pages behind the sign-in, health."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.access.service import create_token, sign_in_as
from core.database import utc_now
from core.health.tables import HealthSample
from core.permissions import Actor
from core.workspace import Workspace
from dashboard.entrance import COOKIE
from dashboard.security import CONTENT_SECURITY_POLICY

SERVE = """
import sys, uvicorn, socket
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); print(listening.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config("dashboard.app:app", log_level="warning"))
server.run(sockets=[listening])
"""


@pytest.fixture
def address(workspace: Workspace, tmp_path: Path) -> Iterator[str]:
    """A web process of its own, in a folder that holds no configuration."""
    environment = {**os.environ, "GATEHOUSE_HOME": str(workspace.home)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = f"http://localhost:{process.stdout.readline().strip()}"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{url}/healthz", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield url
        process.terminate()
        process.wait(20)


@pytest.mark.e2e
def test_the_web_process(address: str, workspace: Workspace, viewer: Actor) -> None:
    health = httpx.get(f"{address}/healthz")
    assert health.status_code == 200
    assert health.json() == {"status": "degraded", "database": True, "web": True, "worker": False, "scoring": False}

    away = httpx.get(f"{address}/run", params={"run": "12"})
    assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=%2Frun%3Frun%3D12")

    assert viewer.user_id is not None
    with workspace.write() as session:
        token = sign_in_as(session, user_id=viewer.user_id, now=utc_now(), hours=1)
    inside = httpx.get(f"{address}/run", cookies={COOKIE: token})
    assert inside.status_code == 200
    for answer in (inside, away, health, httpx.get(f"{address}/_stcore/health")):
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-frame-options"] == "DENY"

    assert httpx.get(f"{address}/metrics").status_code == 401
    with workspace.write() as session:
        session.add(HealthSample(at=utc_now(), process="scoring", key="requests", value=4.5))
        _, secret = create_token(session, name="prometheus", actor=viewer, now=utc_now())
    figures = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'gatehouse_requests{process="scoring",subject=""} 4.5' in figures.text.splitlines()
    assert httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {secret}x"}).status_code == 401

    font = httpx.get(f"{address}/app/static/Inter.woff2")
    assert font.content[:4] == b"wOF2"
    unknown = httpx.get(f"{address}/api/v1/nothing", timeout=60)  # the first request imports the routes
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "There is no such address: GET /api/v1/nothing."}
