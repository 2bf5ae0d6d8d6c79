"""Incidents: the record of cause, action and outcome."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from core.database import document, moment


class IncidentState(StrEnum):
    """Where an incident is."""

    OPEN = "open"
    ACTING = "acting"
    RESOLVED = "resolved"


class Incident(SQLModel, table=True):
    """What went wrong with one monitor (or, without one, with the installation), why, and how it ended.

    ``cause`` is a key of `core.incidents.triage.CAUSES`; ``findings`` is the document `triage` made: every cause with
    the rules that speak for and against it, the features ranked, the estimated harm, what changed just before.
    """

    __tablename__ = "incident"

    id: int | None = Field(default=None, primary_key=True)
    monitor_id: int | None = Field(default=None, foreign_key="monitor.id", index=True)
    window_id: int | None = Field(default=None, foreign_key="window.id")
    title: str
    severity: str = Field(max_length=16)
    state: str = Field(default=IncidentState.OPEN, max_length=16, index=True)
    cause: str = Field(max_length=32)
    findings: dict[str, Any] = document()
    owner_id: int | None = Field(default=None, foreign_key="user_account.id")
    since_at: datetime = moment()
    opened_at: datetime = moment()
    resolved_at: datetime | None = moment(nullable=True)
    outcome: str = ""


class IncidentAction(SQLModel, table=True):
    """One thing somebody did about an incident, or that happened to it.

    ``kind`` is a key of `core.incidents.remedies.REMEDIES`, "note" or "worsened".
    """

    __tablename__ = "incident_action"

    id: int | None = Field(default=None, primary_key=True)
    incident_id: int = Field(foreign_key="incident.id", index=True)
    kind: str = Field(max_length=32)
    note: str = ""
    actor_id: int | None = Field(default=None, foreign_key="user_account.id")
    at: datetime = moment()


class WindowTriage(SQLModel, table=True):
    """What triage says of one window.

    It is of the window's present figures while ``figures_at`` is the window's `computed_at` and ``troubles`` are the
    ids of the alerts `kept_triage.open_troubles` gives, and by the present rules while ``edition`` is
    `causes.EDITION`; ``findings`` is the document `triage` made.
    """

    __tablename__ = "window_triage"

    window_id: int = Field(foreign_key="window.id", primary_key=True)
    figures_at: datetime = moment()
    troubles: list[Any] = document(list)
    edition: int = 0
    cause: str = Field(max_length=32)
    findings: dict[str, Any] = document()
    made_at: datetime = moment()
