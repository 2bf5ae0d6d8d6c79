"""Accounts, sign-ins, tokens, the first administrator: what they allow and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from core.access import passwords, queries, service
from core.access.signing_in import sign_in_with_password
from core.access.tables import ApiToken, SignIn, User
from core.audit.tables import AuditEvent
from core.errors import AlreadyExists, InvalidInput, NotFound, PermissionDenied
from core.permissions import Actor, Permission, Role
from core.workspace import Workspace

PASSWORD = "correct horse"


@pytest.fixture
def ana(workspace: Workspace, administrator: Actor, now: datetime) -> User:
    with workspace.write() as session:
        return service.add_user(
            session, name="ana", roles=[Role.REVIEWER], password=PASSWORD, actor=administrator, now=now
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda session, actor, now: service.add_user(
            session, name="new", roles=[Role.VIEWER], password=None, actor=actor, now=now
        ),
        lambda session, actor, now: service.set_roles(session, user_id=1, roles=[Role.VIEWER], actor=actor, now=now),
        lambda session, actor, now: service.set_active(session, user_id=1, active=False, actor=actor, now=now),
        lambda session, actor, now: service.set_password(
            session, user_id=1, password="somebody else's", actor=actor, now=now
        ),
    ],
    ids=["add_user", "set_roles", "set_active", "set_password"],
)
def test_only_an_administrator_edits_accounts(
    workspace: Workspace,
    administrator: Actor,
    reviewer: Actor,
    now: datetime,
    change: Callable[..., object],
) -> None:
    with workspace.write() as session, pytest.raises(PermissionDenied, match=r"rita \(reviewer\) may not edit"):
        change(session, reviewer, now)
    with workspace.read() as session:
        assert session.exec(select(AuditEvent)).all() == []


def test_setup_code_makes_one_administrator_once(workspace: Workspace, now: datetime) -> None:
    with workspace.write() as session:
        old = service.issue_setup_code(session, now=now)
        code = service.issue_setup_code(session, now=now)
    assert old is not None
    assert code is not None
    with workspace.write() as session, pytest.raises(PermissionDenied, match="not the one in the terminal"):
        service.create_first_administrator(session, code=old, name="ada", password=PASSWORD, now=now)
    typed = code.lower().replace("-", " ")
    with workspace.write() as session:
        user = service.create_first_administrator(session, code=typed, name="ada", password=PASSWORD, now=now)
    assert user.id is not None
    with workspace.write() as session:
        assert queries.roles_of(session, user.id) == {Role.ADMINISTRATOR}
        assert service.issue_setup_code(session, now=now) is None
        with pytest.raises(PermissionDenied, match="an administrator already"):
            service.create_first_administrator(session, code=code, name="eve", password=PASSWORD, now=now)
    assert sign_in_with_password(workspace, name="ada", password=PASSWORD, now=now)


def test_signing_in_and_out(workspace: Workspace, ana: User, now: datetime) -> None:
    token = sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now)
    with workspace.read() as session:
        actor = queries.actor_of_sign_in(session, token, now)
        assert actor is not None
        assert (actor.name, actor.roles, actor.via) == ("ana", {Role.REVIEWER}, "browser")
        assert queries.actor_of_sign_in(session, token, now + timedelta(hours=12)) is None
        assert queries.actor_of_sign_in(session, "guess", now) is None
        assert token not in [row.token_hash for row in session.exec(select(SignIn))]
    with workspace.write() as session:
        service.sign_out(session, token=token, now=now)
    with workspace.read() as session:
        assert queries.actor_of_sign_in(session, token, now) is None
        actions = session.exec(select(AuditEvent.action)).all()
    assert actions == ["user.added", "user.signed_in", "user.signed_out"]


@pytest.mark.parametrize(("name", "password"), [("ana", "wrong password"), ("nobody", PASSWORD), ("ana", "x" * 2000)])
def test_wrong_sign_in_does_not_tell_what_was_wrong(
    workspace: Workspace, ana: User, now: datetime, name: str, password: str
) -> None:
    with pytest.raises(PermissionDenied, match=r"^This name and password do not belong together"):
        sign_in_with_password(workspace, name=name, password=password, now=now)


def test_five_wrong_passwords_lock_one_name_for_five_minutes(workspace: Workspace, ana: User, now: datetime) -> None:
    for _ in range(5):
        with pytest.raises(PermissionDenied, match="do not belong together"):
            sign_in_with_password(workspace, name="ana", password="wrong", now=now)
    with pytest.raises(PermissionDenied, match=r"5 attempts to sign in as ana failed.*Try again in 5 minutes"):
        sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now)
    with pytest.raises(PermissionDenied, match="do not belong together"):
        sign_in_with_password(workspace, name="another", password="wrong", now=now)
    assert sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now + timedelta(minutes=5, seconds=1))


def test_password_is_kept_as_argon2id(ana: User) -> None:
    assert ana.password_hash is not None
    assert ana.password_hash.startswith("$argon2id$")
    assert passwords.verify(PASSWORD, ana.password_hash)
    assert not passwords.verify(PASSWORD, None)


def test_role_taken_away_and_account_switched_off_take_effect_at_once(
    workspace: Workspace, administrator: Actor, ana: User, now: datetime
) -> None:
    assert ana.id is not None
    cookie = sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now)
    with workspace.write() as session:
        _, secret = service.create_token(
            session, name="script", actor=queries.actor_of_user(session, ana.id, "browser"), now=now
        )
        service.set_roles(session, user_id=ana.id, roles=[Role.VIEWER], actor=administrator, now=now)
    with workspace.read() as session:
        actor = queries.actor_of_sign_in(session, cookie, now)
        assert actor is not None
        assert not actor.may(Permission.REQUEST_DECIDE)
    with workspace.write() as session:
        service.set_active(session, user_id=ana.id, active=False, actor=administrator, now=now)
    with workspace.read() as session:
        assert queries.actor_of_sign_in(session, cookie, now) is None
        assert queries.actor_of_token(session, secret, now) is None
        with pytest.raises(PermissionDenied, match="ana is switched off"):
            queries.actor_of_user(session, ana.id, "job")
    with pytest.raises(PermissionDenied, match="do not belong together"):
        sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now)


def test_last_administrator_stays(workspace: Workspace, administrator: Actor, now: datetime) -> None:
    assert administrator.user_id is not None
    with workspace.write() as session:
        with pytest.raises(InvalidInput, match="ada is the last administrator"):
            service.set_roles(session, user_id=administrator.user_id, roles=[Role.VIEWER], actor=administrator, now=now)
        with pytest.raises(InvalidInput, match="ada is the last administrator"):
            service.set_active(session, user_id=administrator.user_id, active=False, actor=administrator, now=now)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "two\nlines"])
def test_unusable_names_are_refused(workspace: Workspace, administrator: Actor, now: datetime, name: str) -> None:
    with workspace.write() as session, pytest.raises(InvalidInput, match="1 to 200, all printable"):
        service.add_user(session, name=name, roles=[Role.VIEWER], password=None, actor=administrator, now=now)


def test_accounts_need_a_new_name_a_role_and_a_long_password(
    workspace: Workspace, administrator: Actor, ana: User, now: datetime
) -> None:
    with workspace.write() as session:
        with pytest.raises(AlreadyExists, match="named ana already"):
            service.add_user(session, name="ana", roles=[Role.VIEWER], password=None, actor=administrator, now=now)
        with pytest.raises(InvalidInput, match="at least one role"):
            service.add_user(session, name="ben", roles=[], password=None, actor=administrator, now=now)
        with pytest.raises(InvalidInput, match="has 5 characters; it needs 8"):
            service.add_user(session, name="ben", roles=[Role.VIEWER], password="short", actor=administrator, now=now)


def test_own_password_ends_other_sessions(workspace: Workspace, ana: User, now: datetime) -> None:
    assert ana.id is not None
    cookie = sign_in_with_password(workspace, name="ana", password=PASSWORD, now=now)
    with workspace.write() as session:
        actor = queries.actor_of_user(session, ana.id, "browser")
        service.set_password(session, user_id=ana.id, password="a new and long one", actor=actor, now=now)
    with workspace.read() as session:
        assert queries.actor_of_sign_in(session, cookie, now) is None
    assert sign_in_with_password(workspace, name="ana", password="a new and long one", now=now)


def test_token_acts_for_its_account_until_it_ends(workspace: Workspace, viewer: Actor, now: datetime) -> None:
    with workspace.write() as session:
        token, secret = service.create_token(
            session, name="nightly", actor=viewer, now=now, expires_at=now + timedelta(days=1)
        )
        with pytest.raises(AlreadyExists, match="nightly"):
            service.create_token(session, name="nightly", actor=viewer, now=now)
    with workspace.read() as session:
        actor = queries.actor_of_token(session, secret, now)
        assert actor is not None
        assert (actor.name, actor.via) == ("vera", "api")
        assert queries.actor_of_token(session, secret, now + timedelta(days=1)) is None
        assert queries.actor_of_token(session, secret + "x", now) is None
        assert session.exec(select(ApiToken.token_hash)).one() != secret
    assert token.id is not None
    with workspace.write() as session:
        service.revoke_token(session, token_id=token.id, actor=viewer, now=now)
    with workspace.read() as session:
        assert queries.actor_of_token(session, secret, now) is None


def test_tokens_are_refused_to_auditors_the_built_in_shell_and_other_people(
    workspace: Workspace, auditor: Actor, viewer: Actor, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        with pytest.raises(PermissionDenied, match="may not create a token"):
            service.create_token(session, name="t", actor=auditor, now=now)
        shell = queries.shell_actor(session, None)
        with pytest.raises(PermissionDenied, match="may not create a token"):
            service.create_token(session, name="t", actor=shell, now=now)
        token, _ = service.create_token(session, name="t", actor=viewer, now=now)
        assert token.id is not None
        with pytest.raises(PermissionDenied, match=r"sam \(data-scientist\) may not edit"):
            service.revoke_token(session, token_id=token.id, actor=scientist, now=now)


def test_shell_acts_as_asked_else_as_its_own_account_else_built_in(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, scientist: Actor, now: datetime
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    with workspace.read() as session:
        built_in = queries.shell_actor(session, None)
        assert (built_in.name, built_in.user_id, built_in.os_user) == ("shell", None, "root")
        assert built_in.may(Permission.AUDIT_READ)
        assert built_in.may(Permission.USER_EDIT)  # there is no administrator yet
        assert not built_in.may(Permission.DATASET_ADD)
        asked = queries.shell_actor(session, "sam")
        assert (asked.user_id, asked.via, asked.os_user) == (scientist.user_id, "shell", "root")
        with pytest.raises(NotFound, match="no account nobody"):
            queries.shell_actor(session, "nobody")
    with workspace.write() as session:
        service.add_user(session, name="ada", roles=[Role.ADMINISTRATOR], password=None, actor=built_in, now=now)
    with workspace.read() as session:
        assert not queries.shell_actor(session, None).may(Permission.USER_EDIT)
    monkeypatch.setattr("getpass.getuser", lambda: "sam")
    with workspace.read() as session:
        assert queries.shell_actor(session, None).user_id == scientist.user_id


def test_lists_people_with_their_roles(workspace: Workspace, administrator: Actor, ana: User) -> None:
    with workspace.read() as session:
        rows = queries.list_users(session)
        names = queries.user_names(session)
    assert [(row.name, row.roles, row.active) for row in rows] == [
        ("ada", (Role.ADMINISTRATOR,), True),
        ("ana", (Role.REVIEWER,), True),
    ]
    assert sorted(names.values()) == ["ada", "ana"]
