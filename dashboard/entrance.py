"""The doors: sign in, sign out, the first administrator, the demo's role switch.

Plain HTML forms of our own, because a cookie can only be set by an answer to a request, and Streamlit reads it once,
when a page connects. They work without scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from core.access import passwords, queries, service
from core.access.signing_in import sign_in_with_password
from core.database import utc_now
from core.errors import LifecycleError, NotFound
from core.permissions import Role
from core.workspace import Workspace
from dashboard.security import local_path, on_loopback, same_origin

COOKIE = "gatehouse_session"
PASSWORD_CHECKS = 2
"""Passwords checked at the same time: each check takes 64 MB and a core for 0.2 s."""

OTHER_ORIGIN = "This form was sent from another site. Open the sign-in page here and try again."


def routes(workspace: Callable[[], Workspace]) -> list[Route]:
    """The doors of one home.

    Parameters
    ----------
    workspace : callable
        Gives the opened home; asked on each request, so that nothing is opened by importing.
    """
    checking = anyio.Semaphore(PASSWORD_CHECKS)

    async def show_sign_in(request: Request) -> Response:
        if not await run_in_threadpool(_has_administrator, workspace()):
            return RedirectResponse("/set-up", 303)
        if workspace().settings.demo:
            roles = await run_in_threadpool(_role_buttons, workspace())
            return page("choose_role", roles=roles, next=request.query_params.get("next", ""))
        return page("sign_in", next=request.query_params.get("next", ""))

    async def sign_in(request: Request) -> Response:
        form = await request.form()
        name, wanted = str(form.get("name", "")).strip(), str(form.get("next", ""))
        if not same_origin(request):
            return page("sign_in", 403, error=OTHER_ORIGIN, name=name, next=wanted)
        try:
            async with checking:
                token = await run_in_threadpool(
                    sign_in_with_password,
                    workspace(),
                    name=name,
                    password=str(form.get("password", "")),
                    now=utc_now(),
                )
        except LifecycleError as error:
            return page("sign_in", 403, error=str(error), name=name, next=wanted)
        return _enter(request, workspace(), token, local_path(wanted) or "/")

    async def sign_out(request: Request) -> Response:
        if not same_origin(request):
            return page("sign_in", 403, error=OTHER_ORIGIN)
        if token := request.cookies.get(COOKIE):
            await run_in_threadpool(_sign_out, workspace(), token)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return answer

    async def show_set_up(_request: Request) -> Response:
        if await run_in_threadpool(_has_administrator, workspace()):
            return RedirectResponse("/sign-in", 303)
        return page("first_administrator")

    async def set_up(request: Request) -> Response:
        form = await request.form()
        name = str(form.get("name", "")).strip()
        if not same_origin(request):
            return page("first_administrator", 403, error=OTHER_ORIGIN, name=name)
        try:
            async with checking:
                token = await run_in_threadpool(
                    _set_up, workspace(), str(form.get("code", "")).strip(), name, str(form.get("password", ""))
                )
        except LifecycleError as error:
            return page("first_administrator", 403, error=str(error), name=name)
        return _enter(request, workspace(), token, "/")

    async def switch_role(request: Request) -> Response:
        if not workspace().settings.demo or not on_loopback(request):
            return page("sign_in", 404, error="Roles can be switched in the demo only, on this machine.")
        if not same_origin(request):
            return page("sign_in", 403, error=OTHER_ORIGIN)
        form = await request.form()
        try:
            role = Role(str(form.get("demo_role", "")))
        except ValueError:
            return page("sign_in", 404, error=f"There is no such role. There are: {', '.join(Role)}.")
        try:
            token = await run_in_threadpool(_act_as_role, workspace(), role)
        except LifecycleError as error:
            return page("sign_in", 404, error=str(error))
        return _enter(request, workspace(), token, local_path(str(form.get("next", ""))) or "/")

    return [
        Route("/sign-in", show_sign_in, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/set-up", show_set_up, methods=["GET"]),
        Route("/set-up", set_up, methods=["POST"]),
        Route("/demo/role", switch_role, methods=["POST"]),
    ]


def sign_in_address(path: str, query: str = "") -> str:
    """The sign-in page that returns to a path and its query."""
    wanted = path + (f"?{query}" if query else "")
    return "/sign-in" if wanted == "/" else "/sign-in?" + urlencode({"next": wanted})


def page(file: str, status: int = 200, *, error: str = "", roles: str = "", **typed: str) -> HTMLResponse:
    """A door's page with what was typed kept and the refusal shown, both as text.

    Parameters
    ----------
    file : str
        ``views/file.html``.
    roles : str
        The demo's buttons, as HTML.
    typed : str
        Values of the fields ``name`` and ``next``.
    """
    places = {key: escape(value, quote=True) for key, value in typed.items()}
    places["error"] = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    places["roles"] = roles
    # In one pass, so that a typed "{next}" stays what it is.
    text = re.sub(r"\{(error|roles|name|next)\}", lambda found: places.get(found[1], ""), _template(file))
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


@cache
def _template(file: str) -> str:
    folder = Path(__file__).parent / "views"
    inside = (folder / f"{file}.html").read_text(encoding="utf-8")
    return (folder / "entrance.html").read_text(encoding="utf-8").replace("{inside}", inside)


def _enter(request: Request, workspace: Workspace, token: str, path: str) -> Response:
    answer = RedirectResponse(path, 303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(workspace.settings.session_hours * 3600),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _has_administrator(workspace: Workspace) -> bool:
    with workspace.read() as session:
        return queries.has_administrator(session)


def _sign_out(workspace: Workspace, token: str) -> None:
    with workspace.write() as session:
        service.sign_out(session, token=token, now=utc_now())


def _set_up(workspace: Workspace, code: str, name: str, password: str) -> str:
    password_hash = passwords.hashed(password)
    with workspace.write() as session:
        user = service.create_first_administrator(session, code=code, name=name, password=password_hash, now=utc_now())
        assert user.id is not None
        return service.sign_in_as(session, user_id=user.id, now=utc_now(), hours=workspace.settings.session_hours)


def _act_as_role(workspace: Workspace, role: Role) -> str:
    with workspace.write() as session:
        account = account_of_role(queries.list_users(session)).get(role)
        if account is None:
            raise NotFound("demo account with the role", role)
        return service.sign_in_as(session, user_id=account.id, now=utc_now(), hours=workspace.settings.session_hours)


def account_of_role(users: Sequence[queries.UserRow]) -> dict[Role, queries.UserRow]:
    """Whom the demo plays for each role: the active account with that role and the fewest others."""
    found: dict[Role, queries.UserRow] = {}
    for role in Role:
        holders = [user for user in users if user.active and role in user.roles]
        if holders:
            found[role] = min(holders, key=lambda user: (len(user.roles), user.id))
    return found


def _role_buttons(workspace: Workspace) -> str:
    with workspace.read() as session:
        accounts = account_of_role(queries.list_users(session))
    return "".join(
        f'<button name="demo_role" value="{role.value}">{escape(account.name)}, {role.value}</button>'
        for role, account in accounts.items()
    )
