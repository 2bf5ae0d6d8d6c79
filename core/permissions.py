"""Who may do what: verbs, roles, the actor, and the one check every service makes.

A permission is ``resource:action``. A role is a set of them; a person holds several roles. What is not granted is
denied. Whether somebody *took part* in what they decide on is `governance.conflicts`'s rule and binds whatever the
roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from core.errors import PermissionDenied


class Permission(StrEnum):
    """A verb on a kind of thing."""

    DATASET_READ = "dataset:read"
    DATASET_ADD = "dataset:add"
    DATASET_QUARANTINE = "dataset:quarantine"
    RUN_READ = "run:read"
    RUN_START = "run:start"
    RUN_RETRAIN = "run:retrain"
    RUN_CANCEL = "run:cancel"
    MODEL_READ = "model:read"
    MODEL_REGISTER = "model:register"
    CARD_EDIT = "card:edit"
    SUITE_EDIT = "suite:edit"
    REQUEST_READ = "request:read"
    REQUEST_CREATE = "request:create"
    REQUEST_DECIDE = "request:decide"
    WAIVER_GRANT = "waiver:grant"
    POLICY_EDIT = "policy:edit"
    DEPLOYMENT_READ = "deployment:read"
    DEPLOYMENT_ROLL_BACK = "deployment:roll-back"
    PREDICTION_CREATE = "prediction:create"
    MONITORING_READ = "monitoring:read"
    MONITOR_EDIT = "monitor:edit"
    BATCH_ADD = "batch:add"
    ALERT_ACKNOWLEDGE = "alert:acknowledge"
    COMMENT_ADD = "comment:add"
    AUDIT_READ = "audit:read"
    AUDIT_VERIFY = "audit:verify"
    EVIDENCE_EXPORT = "evidence:export"
    SETTINGS_READ = "settings:read"
    USER_EDIT = "user:edit"
    TOKEN_CREATE = "token:create"  # noqa: S105 - a verb, not a secret
    STORAGE_EDIT = "storage:edit"


class Role(StrEnum):
    """A named set of permissions."""

    VIEWER = "viewer"
    DATA_SCIENTIST = "data-scientist"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


_READ = frozenset(
    {
        Permission.DATASET_READ,
        Permission.RUN_READ,
        Permission.MODEL_READ,
        Permission.REQUEST_READ,
        Permission.DEPLOYMENT_READ,
        Permission.MONITORING_READ,
    }
)
_VIEWER = _READ | {Permission.COMMENT_ADD, Permission.TOKEN_CREATE}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.DATA_SCIENTIST: _VIEWER
    | {
        Permission.DATASET_ADD,
        Permission.BATCH_ADD,
        Permission.RUN_START,
        Permission.RUN_RETRAIN,
        Permission.RUN_CANCEL,
        Permission.MODEL_REGISTER,
        Permission.CARD_EDIT,
        Permission.SUITE_EDIT,
        Permission.REQUEST_CREATE,
        Permission.PREDICTION_CREATE,
    },
    Role.REVIEWER: _VIEWER
    | {
        Permission.REQUEST_DECIDE,
        Permission.WAIVER_GRANT,
        Permission.DATASET_QUARANTINE,
        Permission.POLICY_EDIT,
        Permission.SUITE_EDIT,
    },
    Role.OPERATOR: _VIEWER
    | {
        Permission.DEPLOYMENT_ROLL_BACK,
        Permission.MONITOR_EDIT,
        Permission.BATCH_ADD,
        Permission.ALERT_ACKNOWLEDGE,
        Permission.RUN_RETRAIN,
        Permission.RUN_CANCEL,
        Permission.REQUEST_CREATE,
        Permission.PREDICTION_CREATE,
    },
    Role.AUDITOR: _READ
    | {
        Permission.AUDIT_READ,
        Permission.AUDIT_VERIFY,
        Permission.EVIDENCE_EXPORT,
        Permission.SETTINGS_READ,
    },
    Role.ADMINISTRATOR: _VIEWER
    | {
        Permission.AUDIT_READ,
        Permission.AUDIT_VERIFY,
        Permission.SETTINGS_READ,
        Permission.USER_EDIT,
        Permission.STORAGE_EDIT,
    },
}

Via = Literal["browser", "api", "shell", "job", "system"]


@dataclass(frozen=True)
class Actor:
    """Who acts, resolved anew on each page rerun, request or command.

    Parameters
    ----------
    user_id : int or None
        The account; None only for the built-in shell and system actors.
    name : str
        The account's name as typed; shown literally.
    roles : frozenset of Role
        What the account holds now.
    via : {"browser", "api", "shell", "job", "system"}
        The way in.
    os_user : str or None
        The operating-system user, where the shell was the way in.
    extra : frozenset of Permission
        Grants beyond the roles: the built-in actors have these.
    """

    user_id: int | None
    name: str
    roles: frozenset[Role]
    via: Via
    os_user: str | None = None
    extra: frozenset[Permission] = frozenset()

    def may(self, permission: Permission) -> bool:
        """Whether the roles, or a built-in grant, allow the verb."""
        return permission in self.extra or any(permission in ROLE_PERMISSIONS[role] for role in self.roles)


def require(actor: Actor, permission: Permission) -> None:
    """Refuse unless the actor may.

    Raises
    ------
    PermissionDenied
        Says which verb was missing and which roles have it.
    """
    if actor.may(permission):
        return
    holders = [role.value for role, granted in ROLE_PERMISSIONS.items() if permission in granted]
    has = ", ".join(sorted(actor.roles)) or "no role"
    raise PermissionDenied(
        f"{actor.name} ({has}) may not {describe(permission)}. "
        f"It takes one of these roles: {', '.join(holders)}. Ask an administrator to grant it."
    )


def describe(permission: Permission) -> str:
    """Put a permission in words: "deployment:roll-back" is "roll back a deployment"."""
    resource, action = permission.value.split(":")
    article = "an" if resource[0] in "aeiou" else "a"
    return f"{action.replace('-', ' ')} {article} {resource}"


SHELL_READS = _READ | {Permission.AUDIT_READ, Permission.AUDIT_VERIFY, Permission.SETTINGS_READ}


def system_actor(name: str = "gatehouse") -> Actor:
    """The program itself: seeds defaults and records what no person did; holds no permission."""
    return Actor(user_id=None, name=name, roles=frozenset(), via="system")
