"""Writing accounts, roles, sign-ins and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, func, select

from core.access import queries
from core.access.passwords import HashedPassword, hashed
from core.access.secrets import new_api_token, new_secret, new_setup_code, secret_hash, setup_code_hash
from core.access.tables import ApiToken, SetupCode, SignIn, SignInAttempt, User, UserRole
from core.audit.service import record
from core.errors import AlreadyExists, InvalidInput, NotFound, PermissionDenied
from core.permissions import Actor, Permission, Role, require, system_actor

LONGEST_NAME = 200
ATTEMPTS, ATTEMPT_WINDOW = 5, timedelta(minutes=5)


def issue_setup_code(session: Session, *, now: datetime) -> str | None:
    """Make the one-time code for the first administrator, in place of any earlier one; None if there is one already."""
    if queries.has_administrator(session):
        return None
    session.exec(delete(SetupCode).where(col(SetupCode.used_at).is_(None)))
    code = new_setup_code()
    session.add(SetupCode(code_hash=setup_code_hash(code), created_at=now))
    session.flush()
    return code


def create_first_administrator(
    session: Session, *, code: str, name: str, password: str | HashedPassword, now: datetime
) -> User:
    """Make the first administrator with the code printed in the terminal; the code works once.

    Raises
    ------
    PermissionDenied
        The code is wrong or used, or there is an administrator already.
    InvalidInput, AlreadyExists
        The name or the password cannot be used.
    """
    if queries.has_administrator(session):
        raise PermissionDenied("There is an administrator already. Ask them to add your account.")
    row = session.get(SetupCode, setup_code_hash(code))
    if row is None or row.used_at is not None:
        raise PermissionDenied(
            "This setup code is not the one in the terminal where Gatehouse was started. Copy the newest one."
        )
    row.used_at = now
    session.add(row)
    actor = system_actor("setup")
    return _new_user(session, name=name, roles=[Role.ADMINISTRATOR], password=password, actor=actor, now=now)


def add_user(
    session: Session,
    *,
    name: str,
    roles: Iterable[Role],
    password: str | HashedPassword | None,
    actor: Actor,
    now: datetime,
) -> User:
    """Add an account.

    Parameters
    ----------
    name : str
        1 to 200 characters, unique.
    roles : iterable of Role
        At least one.
    password : str, HashedPassword or None
        None for an account that only the shell acts as. Hash it before the transaction (`passwords.hashed`).

    Raises
    ------
    PermissionDenied, InvalidInput, AlreadyExists
    """
    require(actor, Permission.USER_EDIT)
    return _new_user(session, name=name, roles=roles, password=password, actor=actor, now=now)


def set_roles(session: Session, *, user_id: int, roles: Iterable[Role], actor: Actor, now: datetime) -> User:
    """Give an account these roles and no others; takes effect at its next click.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        No role, or the last administrator would be lost.
    """
    require(actor, Permission.USER_EDIT)
    user = queries.user(session, user_id)
    before, after = queries.roles_of(session, user_id), frozenset(Role(role) for role in roles)
    _check_roles(after)
    if Role.ADMINISTRATOR not in after:
        _keep_an_administrator(session, user)
    if before == after:
        return user
    session.exec(delete(UserRole).where(col(UserRole.user_id) == user_id))
    session.add_all(UserRole(user_id=user_id, role=role) for role in after)
    _record(session, user, "user.roles_set", actor, now, {"before": sorted(before), "after": sorted(after)})
    return user


def set_active(session: Session, *, user_id: int, active: bool, actor: Actor, now: datetime) -> User:
    """Switch an account on or off; switched off it cannot sign in, and its sessions and tokens stop at once.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The last administrator would be lost.
    """
    require(actor, Permission.USER_EDIT)
    user = queries.user(session, user_id)
    if user.active == active:
        return user
    if not active:
        _keep_an_administrator(session, user)
    user.active = active
    session.add(user)
    _record(session, user, "user.switched_on" if active else "user.switched_off", actor, now)
    return user


def set_password(
    session: Session, *, user_id: int, password: str | HashedPassword, actor: Actor, now: datetime
) -> User:
    """Set one's own password, or as an administrator anybody's; every other browser session of it ends.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    """
    if actor.user_id != user_id:
        require(actor, Permission.USER_EDIT)
    user = queries.user(session, user_id)
    user.password_hash = hashed(password).text
    session.add(user)
    for sign_in_row in session.exec(select(SignIn).where(SignIn.user_id == user_id, col(SignIn.revoked_at).is_(None))):
        sign_in_row.revoked_at = now
        session.add(sign_in_row)
    _record(session, user, "user.password_set", actor, now)
    return user


def begin_sign_in(session: Session, *, name: str, now: datetime) -> str | None:
    """Count an attempt to sign in, before the password is looked at; gives the stored hash to check it against.

    In a transaction of its own, so that a refused attempt stays counted, and many at once are not checked at once.

    Raises
    ------
    PermissionDenied
        Five attempts failed within five minutes.
    """
    _check_rate(session, name, now)
    session.exec(delete(SignInAttempt).where(col(SignInAttempt.at) <= now - ATTEMPT_WINDOW))
    session.add(SignInAttempt(user_name=name[:LONGEST_NAME], at=now))
    session.flush()
    user = queries.user_by_name(session, name)
    return user.password_hash if user is not None and user.active else None


def sign_in(session: Session, *, name: str, password_ok: bool, now: datetime, hours: float) -> str:
    """Open a browser session; gives the secret its cookie holds. The caller checked the password outside.

    Raises
    ------
    PermissionDenied
        The password did not match, or there is no such active account: the message does not tell which.
    """
    user = queries.user_by_name(session, name)
    if not password_ok or user is None or not user.active:
        raise PermissionDenied("This name and password do not belong together. Check both and try again.")
    session.exec(delete(SignInAttempt).where(col(SignInAttempt.user_name) == name))
    return _open_sign_in(session, user, now, hours)


def sign_in_as(session: Session, *, user_id: int, now: datetime, hours: float) -> str:
    """Open a browser session without a password. For the demo workspace alone, which listens on loopback only.

    Raises
    ------
    NotFound
    PermissionDenied
        The account is switched off.
    """
    queries.actor_of_user(session, user_id, "browser")
    return _open_sign_in(session, queries.user(session, user_id), now, hours)


def sign_out(session: Session, *, token: str, now: datetime) -> None:
    """Close a browser session; an unknown or closed one is left as it is."""
    row = session.get(SignIn, secret_hash(token))
    if row is None or row.revoked_at is not None:
        return
    actor = queries.actor_of_sign_in(session, token, now)
    row.revoked_at = now
    session.add(row)
    if actor is not None:
        _record(session, queries.user(session, row.user_id), "user.signed_out", actor, now)


def create_token(
    session: Session, *, name: str, actor: Actor, now: datetime, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make an API token for the actor's own account; the secret is given here and never again.

    Raises
    ------
    PermissionDenied
        The role may not, or the actor is no account.
    AlreadyExists, InvalidInput
    """
    require(actor, Permission.TOKEN_CREATE)
    if actor.user_id is None:
        raise PermissionDenied(f"{actor.name} is no account, so it cannot own a token. Act as one with --as NAME.")
    name = _checked_name(name, "token")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("The token would be over before it is made. Choose an end in the future.")
    if session.exec(select(ApiToken.id).where(ApiToken.user_id == actor.user_id, ApiToken.name == name)).first():
        raise AlreadyExists(f"You have a token named {name} already. Choose another name.")
    secret = new_api_token()
    token = ApiToken(
        user_id=actor.user_id, name=name, token_hash=secret_hash(secret), created_at=now, expires_at=expires_at
    )
    session.add(token)
    session.flush()
    assert token.id is not None
    record(
        session,
        actor=actor,
        action="token.created",
        subject_kind="token",
        subject_id=token.id,
        subject_label=name,
        now=now,
        details={"expires_at": expires_at.isoformat() if expires_at else None},
    )
    return token, secret


def revoke_token(session: Session, *, token_id: int, actor: Actor, now: datetime) -> ApiToken:
    """End one's own token, or as an administrator anybody's; it stops working at once.

    Raises
    ------
    PermissionDenied, NotFound
    """
    token = session.get(ApiToken, token_id)
    if token is None:
        raise NotFound("token", token_id)
    if token.user_id != actor.user_id:
        require(actor, Permission.USER_EDIT)
    if token.revoked_at is None:
        token.revoked_at = now
        session.add(token)
        record(
            session,
            actor=actor,
            action="token.revoked",
            subject_kind="token",
            subject_id=token_id,
            subject_label=token.name,
            now=now,
        )
    return token


def _new_user(
    session: Session,
    *,
    name: str,
    roles: Iterable[Role],
    password: str | HashedPassword | None,
    actor: Actor,
    now: datetime,
) -> User:
    name, held = _checked_name(name, "account"), frozenset(Role(role) for role in roles)
    _check_roles(held)
    if queries.user_by_name(session, name) is not None:
        raise AlreadyExists(f"There is an account named {name} already. Choose another name.")
    user = User(name=name, password_hash=None if password is None else hashed(password).text, created_at=now)
    session.add(user)
    session.flush()
    assert user.id is not None
    user_id = user.id
    session.add_all(UserRole(user_id=user_id, role=role) for role in held)
    _record(session, user, "user.added", actor, now, {"roles": sorted(held)})
    return user


def _open_sign_in(session: Session, user: User, now: datetime, hours: float) -> str:
    assert user.id is not None
    token = new_secret()
    session.add(
        SignIn(token_hash=secret_hash(token), user_id=user.id, created_at=now, expires_at=now + timedelta(hours=hours))
    )
    _record(session, user, "user.signed_in", queries.actor_of_user(session, user.id, "browser"), now)
    return token


def _check_rate(session: Session, name: str, now: datetime) -> None:
    recent = select(func.count(), func.min(SignInAttempt.at)).where(
        SignInAttempt.user_name == name[:LONGEST_NAME], col(SignInAttempt.at) > now - ATTEMPT_WINDOW
    )
    count, oldest = session.exec(recent).one()
    if count >= ATTEMPTS:
        minutes = max(1, round((oldest + ATTEMPT_WINDOW - now).total_seconds() / 60))
        raise PermissionDenied(
            f"{count} attempts to sign in as {name[:LONGEST_NAME]} failed within five minutes. "
            f"Try again in {minutes} minute{'s' if minutes > 1 else ''}."
        )


def _check_roles(roles: frozenset[Role]) -> None:
    if not roles:
        raise InvalidInput(f"An account needs at least one role of: {', '.join(Role)}.")


def _keep_an_administrator(session: Session, user: User) -> None:
    if queries.administrators(session) == {user.id}:
        raise InvalidInput(f"{user.name} is the last administrator. Make another account administrator first.")


def _checked_name(name: str, kind: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            f"The {kind}'s name has {len(name):,} characters; it needs 1 to {LONGEST_NAME}, all printable."
        )
    return name


def _record(
    session: Session, user: User, action: str, actor: Actor, now: datetime, details: dict[str, object] | None = None
) -> None:
    assert user.id is not None
    record(
        session,
        actor=actor,
        action=action,
        subject_kind="user",
        subject_id=user.id,
        subject_label=user.name,
        now=now,
        details=details,
    )
