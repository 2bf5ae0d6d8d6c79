"""Default deny, and the table of roles."""

from __future__ import annotations

import pytest

from core.errors import PermissionDenied
from core.permissions import ROLE_PERMISSIONS, Actor, Permission, Role, require, system_actor

# From the design's table: what each role may change.
CHANGES = {
    Role.VIEWER: {"comment:add", "token:create"},
    Role.DATA_SCIENTIST: {
        "comment:add", "token:create", "dataset:add", "batch:add", "run:start", "run:retrain", "run:cancel",
        "model:register",
        "card:edit", "suite:edit", "request:create", "prediction:create",
    },
    Role.REVIEWER: {
        "comment:add", "token:create", "request:decide", "waiver:grant", "dataset:quarantine", "policy:edit",
        "suite:edit",
    },
    Role.OPERATOR: {
        "comment:add", "token:create", "deployment:roll-back", "monitor:edit", "batch:add", "alert:acknowledge",
        "run:retrain", "run:cancel", "request:create", "prediction:create",
    },
    Role.AUDITOR: {"audit:verify", "evidence:export"},
    Role.ADMINISTRATOR: {"comment:add", "token:create", "audit:verify", "user:edit", "storage:edit"},
}  # fmt: skip


def actor(*roles: Role) -> Actor:
    return Actor(user_id=1, name="ann", roles=frozenset(roles), via="browser")


@pytest.mark.parametrize("role", list(Role))
def test_role_may_change_what_the_table_says_and_nothing_else(role: Role) -> None:
    held = {verb.value for verb in Permission if actor(role).may(verb) and not verb.value.endswith(":read")}
    assert held == CHANGES[role]


def test_nobody_without_a_role_may_anything() -> None:
    for nobody in (actor(), system_actor()):
        assert not any(nobody.may(verb) for verb in Permission)


def test_roles_add_up() -> None:
    both = actor(Role.REVIEWER, Role.OPERATOR)
    assert both.may(Permission.REQUEST_DECIDE)
    assert both.may(Permission.DEPLOYMENT_ROLL_BACK)


def test_refusal_says_what_was_missing_and_who_has_it() -> None:
    with pytest.raises(PermissionDenied) as refused:
        require(actor(Role.VIEWER), Permission.DEPLOYMENT_ROLL_BACK)
    assert str(refused.value) == (
        "ann (viewer) may not roll back a deployment. It takes one of these roles: operator. "
        "Ask an administrator to grant it."
    )


def test_every_permission_is_some_roles() -> None:
    granted = frozenset().union(*ROLE_PERMISSIONS.values())
    assert granted == set(Permission)
