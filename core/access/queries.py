"""Reading accounts, and resolving who acts."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from core.access.secrets import secret_hash
from core.access.tables import ApiToken, SignIn, User, UserRole
from core.errors import NotFound, PermissionDenied
from core.permissions import SHELL_READS, Actor, Permission, Role, Via

SHELL = "shell"


@dataclass(frozen=True)
class UserRow:
    """One account in a list."""

    id: int
    name: str
    roles: tuple[Role, ...]
    active: bool
    created_at: datetime


def list_users(session: Session) -> list[UserRow]:
    """Every account with its roles, by name."""
    roles: dict[int, list[Role]] = {}
    for row in session.exec(select(UserRole)):
        roles.setdefault(row.user_id, []).append(Role(row.role))
    order = list(Role)
    return [
        UserRow(
            user.id, user.name, tuple(sorted(roles.get(user.id, []), key=order.index)), user.active, user.created_at
        )
        for user in session.exec(select(User).order_by(col(User.name)))
        if user.id is not None
    ]


def user_names(session: Session) -> dict[int, str]:
    """Name of each account by its id."""
    return {user_id: name for user_id, name in session.exec(select(User.id, User.name)) if user_id is not None}


def user(session: Session, user_id: int) -> User:
    """One account.

    Raises
    ------
    NotFound
    """
    found = session.get(User, user_id)
    if found is None:
        raise NotFound("account", user_id)
    return found


def user_by_name(session: Session, name: str) -> User | None:
    """The account of this name, or None."""
    return session.exec(select(User).where(User.name == name)).first()


def roles_of(session: Session, user_id: int) -> frozenset[Role]:
    """The roles an account holds."""
    return frozenset(Role(role) for role in session.exec(select(UserRole.role).where(UserRole.user_id == user_id)))


def administrators(session: Session) -> frozenset[int]:
    """Ids of the active accounts that hold the administrator role."""
    return frozenset(
        session.exec(
            select(UserRole.user_id)
            .join(User, col(User.id) == UserRole.user_id)
            .where(UserRole.role == Role.ADMINISTRATOR, col(User.active).is_(True))
        )
    )


def has_administrator(session: Session) -> bool:
    """Whether any active account is an administrator."""
    return bool(administrators(session))


def list_tokens(session: Session, user_id: int) -> list[ApiToken]:
    """The API tokens of one account, newest first, revoked ones too."""
    return list(session.exec(select(ApiToken).where(ApiToken.user_id == user_id).order_by(col(ApiToken.id).desc())))


def actor_of_user(session: Session, user_id: int, via: Via) -> Actor:
    """Resolve an account to the actor it is now.

    Raises
    ------
    NotFound
    PermissionDenied
        The account is switched off.
    """
    return _actor(session, user(session, user_id), via)


def actor_of_name(session: Session, name: str, via: Via, os_user: str | None = None) -> Actor:
    """Resolve an account by its name.

    Raises
    ------
    NotFound
    PermissionDenied
        The account is switched off.
    """
    found = user_by_name(session, name)
    if found is None:
        raise NotFound("account", name, "`gatehouse user list` shows the accounts there are.")
    return _actor(session, found, via, os_user)


def actor_of_sign_in(session: Session, token: str, now: datetime) -> Actor | None:
    """Whose browser session this cookie is; None when it is unknown, over, or its account is switched off."""
    row = session.get(SignIn, secret_hash(token))
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        return None
    return _active_actor(session, row.user_id, "browser")


def actor_of_token(session: Session, secret: str, now: datetime) -> Actor | None:
    """Whose API token this is; None when it is unknown, revoked, over, or its account is switched off."""
    row = session.exec(select(ApiToken).where(ApiToken.token_hash == secret_hash(secret))).first()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return _active_actor(session, row.user_id, "api")


def shell_actor(session: Session, as_name: str | None) -> Actor:
    """Who acts at the machine's own shell.

    The account asked for by name; else the active one named like the operating-system user; else the built-in
    ``shell``, which may read everything and, until there is an administrator, add people.

    Raises
    ------
    NotFound
        There is no account of the name asked for.
    PermissionDenied
        It is switched off.
    """
    os_user = _os_user()
    if as_name is not None:
        return actor_of_name(session, as_name, "shell", os_user)
    if os_user is not None:
        found = user_by_name(session, os_user)
        if found is not None and found.active:
            return _actor(session, found, "shell", os_user)
    extra = SHELL_READS if has_administrator(session) else SHELL_READS | {Permission.USER_EDIT}
    return Actor(user_id=None, name=SHELL, roles=frozenset(), via="shell", os_user=os_user, extra=extra)


def _active_actor(session: Session, user_id: int, via: Via) -> Actor | None:
    found = session.get(User, user_id)
    return _actor(session, found, via) if found is not None and found.active else None


def _actor(session: Session, found: User, via: Via, os_user: str | None = None) -> Actor:
    assert found.id is not None
    if not found.active:
        raise PermissionDenied(f"The account {found.name} is switched off. Ask an administrator to switch it on.")
    return Actor(user_id=found.id, name=found.name, roles=roles_of(session, found.id), via=via, os_user=os_user)


def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return None
