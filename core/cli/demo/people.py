"""The demo's accounts, one for each role, and how the story's narrator acts as them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.access import queries, service
from core.permissions import Actor, Role
from core.workspace import Workspace

PEOPLE: dict[str, tuple[Role, ...]] = {
    "ada": (Role.ADMINISTRATOR,),
    "sam": (Role.DATA_SCIENTIST,),
    "rita": (Role.REVIEWER,),
    "olga": (Role.OPERATOR,),
    "aldo": (Role.AUDITOR,),
    "vera": (Role.VIEWER,),
}


@dataclass(frozen=True)
class Cast:
    """The people of the story."""

    ada: Actor
    sam: Actor
    rita: Actor
    olga: Actor


def hire(workspace: Workspace, now: datetime) -> Cast:
    """Make the accounts through the same steps a person takes: the first administrator with the code, then the rest."""
    with workspace.write() as session:
        code = service.issue_setup_code(session, now=now)
        assert code is not None, "the demo is told in an empty home"
        service.create_first_administrator(session, code=code, name="ada", password="demo-only-not-used", now=now)  # noqa: S106
    with workspace.write() as session:
        ada = queries.actor_of_name(session, "ada", "browser")
        for name, roles in PEOPLE.items():
            if name != "ada":
                service.add_user(session, name=name, roles=roles, password=None, actor=ada, now=now)
    with workspace.read() as session:
        return Cast(*(queries.actor_of_name(session, name, "browser") for name in ("ada", "sam", "rita", "olga")))
