import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from core.access import queries, service
from core.database import utc_now
from core.permissions import Actor, Role
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from dashboard import entrance
from dashboard.entrance import COOKIE
from dashboard.security import CONTENT_SECURITY_POLICY, SafeHeaders
from tests.dashboard.conftest import Browser

PASSWORD = "correct horse"


def doors(workspace: Workspace) -> Browser:
    app = Starlette(routes=entrance.routes(lambda: workspace), middleware=[Middleware(SafeHeaders)])
    return Browser(app)


@pytest.fixture
def client(workspace: Workspace) -> Browser:
    return doors(workspace)


@pytest.fixture
def ana(workspace: Workspace, administrator: Actor) -> int:
    with workspace.write() as session:
        user = service.add_user(
            session, name="ana", roles=[Role.REVIEWER], password=PASSWORD, actor=administrator, now=utc_now()
        )
        assert user.id is not None
        return user.id


def test_the_first_administrator_is_made_with_the_code_and_is_signed_in(client: Browser, workspace: Workspace) -> None:
    with workspace.write() as session:
        code = service.issue_setup_code(session, now=utc_now())
    assert code is not None
    assert client.get("/sign-in").headers["location"] == "/set-up"
    assert "one-time code" in client.get("/set-up").text

    wrong = client.post("/set-up", data={"code": "nonsense", "name": "ada", "password": PASSWORD})
    assert wrong.status_code == 403
    assert "not the one in the terminal" in wrong.text
    assert 'value="ada"' in wrong.text, "what was typed is kept"

    made = client.post("/set-up", data={"code": code, "name": "ada", "password": PASSWORD})
    assert (made.status_code, made.headers["location"]) == (303, "/")
    with workspace.read() as session:
        actor = queries.actor_of_sign_in(session, made.cookies[COOKIE], utc_now())
    assert actor is not None
    assert (actor.name, actor.roles) == ("ada", {Role.ADMINISTRATOR})

    assert client.get("/set-up").headers["location"] == "/sign-in"
    again = client.post("/set-up", data={"code": code, "name": "eve", "password": PASSWORD})
    assert again.status_code == 403


def test_signing_in_gives_an_opaque_cookie_and_returns_to_the_page(client: Browser, ana: int) -> None:
    asked = client.get("/sign-in", params={"next": "/request?request=7"})
    assert 'value="/request?request=7"' in asked.text
    done = client.post("/sign-in", data={"name": "ana", "password": PASSWORD, "next": "/request?request=7"})
    assert (done.status_code, done.headers["location"]) == (303, "/request?request=7")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "ana" not in cookie


@pytest.mark.parametrize("next_page", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_signing_in_leads_nowhere_else(client: Browser, ana: int, next_page: str) -> None:
    done = client.post("/sign-in", data={"name": "ana", "password": PASSWORD, "next": next_page})
    assert done.headers["location"] == "/"


def test_a_wrong_password_is_refused_and_five_of_them_close_the_door(client: Browser, ana: int) -> None:
    for _ in range(5):
        refused = client.post("/sign-in", data={"name": "ana", "password": "wrong"})
        assert refused.status_code == 403
        assert "do not belong together" in refused.text
    locked = client.post("/sign-in", data={"name": "ana", "password": PASSWORD})
    assert locked.status_code == 403
    assert "Try again in" in locked.text
    assert COOKIE not in locked.cookies


def test_what_is_typed_is_shown_as_text(client: Browser, ana: int) -> None:
    hostile = '"><script>alert(1)</script>'
    refused = client.post("/sign-in", data={"name": hostile, "password": "x", "next": hostile})
    assert "<script>" not in refused.text
    assert "&lt;script&gt;" in refused.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/set-up"])
def test_a_form_from_another_site_is_refused(client: Browser, ana: int, path: str) -> None:
    refused = client.post(
        path, data={"name": "ana", "password": PASSWORD, "code": "x"}, headers={"origin": "https://evil.example"}
    )
    assert refused.status_code == 403
    assert "another site" in refused.text
    assert COOKIE not in refused.cookies


def test_signing_out_ends_the_session_on_the_server(client: Browser, workspace: Workspace, ana: int) -> None:
    token = client.post("/sign-in", data={"name": "ana", "password": PASSWORD}).cookies[COOKIE]
    out = client.post("/sign-out", headers={"origin": "http://localhost:8501"})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    with workspace.read() as session:
        assert queries.actor_of_sign_in(session, token, utc_now()) is None


def test_roles_cannot_be_switched_outside_the_demo(client: Browser, ana: int) -> None:
    refused = client.post("/demo/role", data={"demo_role": "reviewer"})
    assert refused.status_code == 404
    assert COOKIE not in refused.cookies


def test_the_demo_switches_roles_on_this_machine_only(workspace: Workspace, ana: int) -> None:
    demo = open_workspace(Settings(home=workspace.home, demo=True))
    try:
        client = doors(demo)
        assert "Whom do you want to be" in client.get("/sign-in").text
        done = client.post("/demo/role", data={"demo_role": "reviewer", "next": "/inbox"})
        assert (done.status_code, done.headers["location"]) == (303, "/inbox")
        with demo.read() as session:
            actor = queries.actor_of_sign_in(session, done.cookies[COOKIE], utc_now())
        assert actor is not None
        assert actor.name == "ana"
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            assert client.post("/demo/role", data={"demo_role": "reviewer"}, headers=headers).status_code in {403, 404}
        assert client.post("/demo/role", data={"demo_role": "king"}).status_code == 404
    finally:
        demo.close()


def test_every_answer_carries_the_content_security_policy(client: Browser, ana: int) -> None:
    for path in ("/sign-in", "/nothing-here"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"


def test_the_doors_ask_for_nothing_outside(client: Browser, ana: int) -> None:
    assert "http" not in client.get("/sign-in").text.replace("http-equiv", "")
