"""Commands about accounts, API tokens and the queue of jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, literal, show

if TYPE_CHECKING:
    from core.permissions import Role

Roles = Annotated[list[str], typer.Option("--role", help="A role; may be given several times.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    user = typer.Typer(help="Accounts and their roles.", no_args_is_help=True)
    user.command("add")(add_user)
    user.command("list")(list_users)
    user.command("roles")(set_roles)
    user.command("password")(set_password)
    app.add_typer(user, name="user")
    token = typer.Typer(help="API tokens of the account you act as.", no_args_is_help=True)
    token.command("create")(create_token)
    token.command("list")(list_tokens)
    token.command("revoke")(revoke_token)
    app.add_typer(token, name="token")
    job = typer.Typer(help="Background work.", no_args_is_help=True)
    job.command("list")(list_jobs)
    app.add_typer(job, name="job")


def add_user(
    name: str,
    role: Roles,
    password: Annotated[str | None, typer.Option("--password", help="For signing in; without one, shell only.")] = None,
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """Add an account."""
    from core.access import passwords, service
    from core.database import utc_now

    roles = _roles(role)
    hashed = None if password is None else passwords.hashed(password)
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        user = service.add_user(session, name=name, roles=roles, password=hashed, actor=actor, now=utc_now())
    made = {"id": user.id, "name": user.name, "roles": roles}
    show(made, as_json, f"Added {user.name} as {', '.join(roles)}.")


def list_users(home: Home = None, as_json: AsJson = False, as_name: ActAs = None) -> None:
    """List accounts."""
    from core.access import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.SETTINGS_READ)
        users = queries.list_users(session)
    show(users, as_json)


def set_roles(name: str, role: Roles, home: Home = None, as_json: AsJson = False, as_name: ActAs = None) -> None:
    """Give an account these roles and no others."""
    from core.access import queries, service
    from core.database import utc_now
    from core.errors import NotFound

    roles = _roles(role)
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        found = queries.user_by_name(session, name)
        if found is None or found.id is None:
            raise NotFound("account", name, "`gatehouse user list` shows the accounts there are.")
        user = service.set_roles(session, user_id=found.id, roles=roles, actor=actor, now=utc_now())
    show({"id": user.id, "name": user.name, "roles": roles}, as_json, f"{user.name} is now {', '.join(roles)}.")


def set_password(
    name: str,
    password: Annotated[
        str | None, typer.Option("--password", help="The new one; asked for, unseen, if not given.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """Set an account's password; it is signed out everywhere."""
    from core.access import passwords, queries, service
    from core.database import utc_now
    from core.errors import NotFound
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor):
        with workspace.read() as session:
            found = queries.user_by_name(session, name)
        if found is None or found.id is None:
            raise NotFound("account", name, "`gatehouse user list` shows the accounts there are.")
        if found.id != actor.user_id:
            require(actor, Permission.USER_EDIT)  # before anything is asked for
        if password is None:
            password = typer.prompt(f"New password of {literal(found.name)}", hide_input=True, confirmation_prompt=True)
        kept = passwords.hashed(password)
        with workspace.write() as session:
            service.set_password(session, user_id=found.id, password=kept, actor=actor, now=utc_now())
    show({"id": found.id, "name": found.name}, as_json, f"Set the password of {found.name}. It is signed out now.")


def create_token(
    name: str,
    days: Annotated[int | None, typer.Option("--days", min=1, help="How long it works; for ever if not given.")] = None,
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """Make an API token; it is shown here once."""
    from core.access import service
    from core.database import utc_now

    now = utc_now()
    expires_at = None if days is None else now + timedelta(days=days)
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        token, secret = service.create_token(session, name=name, actor=actor, now=now, expires_at=expires_at)
    show({"id": token.id, "name": token.name, "token": secret, "expires_at": expires_at}, as_json, secret)


def list_tokens(home: Home = None, as_json: AsJson = False, as_name: ActAs = None) -> None:
    """List your API tokens."""
    from core.access import queries

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        tokens = queries.list_tokens(session, actor.user_id) if actor.user_id is not None else []
    show([token.model_dump(exclude={"token_hash", "user_id"}) for token in tokens], as_json)


def revoke_token(token_id: int, home: Home = None, as_json: AsJson = False, as_name: ActAs = None) -> None:
    """End an API token."""
    from core.access import service
    from core.database import utc_now

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        token = service.revoke_token(session, token_id=token_id, actor=actor, now=utc_now())
    show({"id": token.id, "name": token.name}, as_json, f"Token {token.name} works no more.")


def list_jobs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """List jobs."""
    from core.jobs import queries
    from core.permissions import Permission, require

    fields = {"id", "kind", "state", "subject_kind", "subject_id", "actor_name", "attempts", "progress", "error"}
    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.RUN_READ)
        jobs = queries.recent(session, limit)
    show([job.model_dump(include=fields) for job in jobs], as_json)


def _roles(given: list[str]) -> list[Role]:
    from core.permissions import Role

    known = {role.value: role for role in Role}
    for name in given:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of: {', '.join(known)}", param_hint="--role")
    return [known[name] for name in given]
