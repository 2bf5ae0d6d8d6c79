"""What triage says of a window, kept with it: whether it is of the present figures, which windows wait for it.

A window's triage is of its present figures while neither the window was computed anew nor the troubles that fall into
it changed since, and the rules are of the edition that found it. What is out of date stays until the worker has looked
again, and is said to be so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy
from sqlmodel import Session, col, or_, select

from core.incidents.causes import EDITION
from core.incidents.tables import WindowTriage
from core.incidents.triage import Triage
from core.monitoring.alert_rules import ALERT_RULES, Family
from core.monitoring.tables import Alert, AlertState, Monitor, Window
from core.monitoring.window_queries import of_current_length

TROUBLES = tuple(key for key, rule in ALERT_RULES.items() if rule.family in (Family.FAULT, Family.SILENCE))
"""Kinds of alerts that are not about what the data says."""
LOOKED_INTO = 400
"""How many of a monitor's newest windows are looked into without being asked: a year of days. Older ones on request."""


@dataclass(frozen=True)
class Mark:
    """What a window's triage is of.

    Parameters
    ----------
    figures_at : datetime
        When its figures were computed.
    troubles : tuple of int
        The ids of the alerts about faults and silence that fall into it.
    edition : int
        Of the rules.
    """

    figures_at: datetime
    troubles: tuple[int, ...]
    edition: int


@dataclass(frozen=True)
class KeptTriage:
    """A window's triage as it is kept; ``present`` says whether it is of the present figures, by the present rules."""

    triage: Triage
    present: bool
    made_at: datetime


def open_troubles(session: Session, monitor_id: int | None) -> list[Alert]:
    """Unresolved alerts about faults and silence, of a monitor and of the installation, oldest first."""
    query = (
        select(Alert)
        .where(
            col(Alert.kind).in_(TROUBLES),
            Alert.state != AlertState.RESOLVED,
            or_(col(Alert.monitor_id).is_(None), col(Alert.monitor_id) == monitor_id),
        )
        .order_by(col(Alert.opened_at), col(Alert.id))
    )
    return list(session.exec(query))


def falling_into(alerts: Sequence[Alert], to_at: datetime) -> list[Alert]:
    """Those that had begun when a window ended: what came later has nothing to do with it."""
    return [one for one in alerts if one.since_at <= to_at]


def mark_of(session: Session, window: Window) -> Mark:
    """What a triage of the window made now would be of."""
    return _mark(window.computed_at, window.to_at, open_troubles(session, window.monitor_id))


def kept(session: Session, window_id: int) -> KeptTriage | None:
    """What is kept of a window; None where it was not looked into yet."""
    found = session.get(WindowTriage, window_id)
    if found is None:
        return None
    of = Mark(found.figures_at, tuple(found.troubles), found.edition)
    present = of == mark_of(session, session.get_one(Window, window_id))
    return KeptTriage(Triage.from_json(found.findings), present, found.made_at)


def waiting(session: Session, monitor_id: int) -> dict[int, Mark]:
    """The newest windows of a monitor without a triage that is present, by id, newest first."""
    query = (
        # Without the documents: a year of them holds megabytes.
        sqlalchemy.select(
            col(Window.id),
            col(Window.computed_at),
            col(Window.to_at),
            col(WindowTriage.figures_at),
            col(WindowTriage.troubles),
            col(WindowTriage.edition),
        )
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .join(WindowTriage, col(WindowTriage.window_id) == col(Window.id), isouter=True)
        .where(col(Window.monitor_id) == monitor_id, of_current_length())
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(LOOKED_INTO)
    )
    alerts = open_troubles(session, monitor_id)
    found = {}
    for window_id, computed_at, to_at, figures_at, troubles, edition in session.connection().execute(query):
        mark = _mark(computed_at, to_at, alerts)
        if figures_at is None or Mark(figures_at, tuple(troubles), edition) != mark:
            found[window_id] = mark
    return found


def put(session: Session, *, window_id: int, mark: Mark, triage: Triage, now: datetime) -> bool:
    """Keep what triage said, unless the window's figures or troubles changed meanwhile; tells whether it was kept.

    Two workers that looked into the same figures found the same, so that the later one changes nothing.
    """
    window = session.get_one(Window, window_id, with_for_update=True, populate_existing=True)
    if mark_of(session, window) != mark:
        return False
    found = session.get(WindowTriage, window_id)
    if found is None:
        found = WindowTriage(
            window_id=window_id, figures_at=mark.figures_at, cause=triage.cause, findings={}, made_at=now
        )
    found.figures_at, found.troubles, found.edition = mark.figures_at, list(mark.troubles), mark.edition
    found.cause, found.findings, found.made_at = triage.cause, triage.to_json(), now
    session.add(found)
    session.flush()
    return True


def digest(marks: Mapping[int, Mark]) -> str:
    """Tell one set of waiting windows from another: 16 hexadecimal digits."""
    told = [
        (window_id, one.figures_at.isoformat(), one.troubles, one.edition) for window_id, one in sorted(marks.items())
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _mark(computed_at: datetime, to_at: datetime, alerts: Sequence[Alert]) -> Mark:
    return Mark(computed_at, tuple(sorted(one.id or 0 for one in falling_into(alerts, to_at))), EDITION)
