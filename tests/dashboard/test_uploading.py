from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from core.access.service import sign_in_as
from core.database import utc_now
from core.datasets.tables import Upload
from core.permissions import Actor
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from dashboard import uploading
from dashboard.entrance import COOKIE
from tests.dashboard.conftest import Browser


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 20):
        yield content[start : start + (1 << 20)]


def client_of(workspace: Workspace, actor: Actor | None) -> Browser:
    client = Browser(Starlette(routes=uploading.routes(lambda: workspace)))
    if actor is not None:
        assert actor.user_id is not None
        with workspace.write() as session:
            client.cookies[COOKIE] = sign_in_as(session, user_id=actor.user_id, now=utc_now(), hours=1)
    return client


def test_a_file_is_streamed_into_the_store(workspace: Workspace, scientist: Actor) -> None:
    content = b"a,b\n1,2\n" * 400_000
    client = client_of(workspace, scientist)
    answer = client.put("/uploads", params={"name": "../../in come.csv"}, content=content)
    assert answer.status_code == 201, answer.text
    with workspace.read() as session:
        upload = session.get(Upload, answer.json()["upload_id"])
        assert upload is not None
        assert (upload.file_name, upload.size_bytes) == ("in come.csv", len(content))
    assert workspace.artifacts.get_bytes(upload.sha256) == content


def test_a_role_that_may_not_add_data_is_refused_before_a_byte_is_kept(workspace: Workspace, auditor: Actor) -> None:
    answer = client_of(workspace, auditor).put("/uploads", params={"name": "a.csv"}, content=b"a\n1\n")
    assert answer.status_code == 403
    assert "may not" in answer.json()["error"]
    assert not list(workspace.artifacts.folder.rglob("*.*"))


def test_nobody_signed_in_is_told_to_sign_in(workspace: Workspace) -> None:
    assert client_of(workspace, None).put("/uploads", params={"name": "a.csv"}, content=b"a").status_code == 401


def test_another_site_cannot_upload(workspace: Workspace, scientist: Actor) -> None:
    answer = client_of(workspace, scientist).put(
        "/uploads", params={"name": "a.csv"}, content=b"a", headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "content", "said"), [("a.csv", b"", "empty"), ("", b"a", "name"), ("..", b"", "empty")]
)
def test_nothing_and_nameless_are_refused(
    workspace: Workspace, scientist: Actor, name: str, content: bytes, said: str
) -> None:
    answer = client_of(workspace, scientist).put("/uploads", params={"name": name}, content=content)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_file_beyond_the_limit_is_refused_and_nothing_stays(workspace: Workspace, scientist: Actor) -> None:
    small = open_workspace(Settings(home=workspace.home, upload_max_mb=1))
    try:
        client = client_of(small, scientist)
        content = b"x" * (3 << 20)
        declared = client.put("/uploads", params={"name": "a.csv"}, content=content)
        streamed = client.put("/uploads", params={"name": "a.csv"}, content=pieces(content))
        for answer in (declared, streamed):
            assert answer.status_code == 422
            assert "larger than 1 MiB" in answer.json()["error"]
        assert not [path for path in small.artifacts.folder.rglob("*") if path.is_file()]
    finally:
        small.close()
