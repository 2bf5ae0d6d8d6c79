"""The alerts that windows raise: one for each event, from the first window that shows it to the newest.

An *event* is a row of windows of one version that fire, with none between them that was judged and is quiet; one that
cannot tell ends nothing. What each window says is kept (`WindowVerdict`), for rows come late and in any order: when the
newest window of an alert turns quiet, the alert goes back to the newest that still fires, and is over when none does.
Of a version that is no longer live nothing is raised, for nobody can act on it any more; what it had raised is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import insert
from sqlmodel import Session, and_, col, delete, or_, select

from core.monitoring.alert_log import close_alert, fire_again, open_alert
from core.monitoring.alerting import Firing
from core.monitoring.tables import Alert, AlertState, Monitor, Window, WindowVerdict
from core.permissions import Actor
from core.registry.queries import live
from core.registry.tables import Deployment, ModelVersion

NO_LONGER = "Measured anew, this window no longer shows it."
NO_ROWS = "No row of this window is left: what brought them failed or was cancelled after they were measured."

Told = Sequence[tuple[Alert, Window]]
"""Alerts, each with the newest window it is about."""


def live_version(session: Session, monitor: Monitor) -> int | None:
    """The version a monitor's alerts are raised for; None where nothing is live."""
    deployment = live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
    return None if deployment is None else deployment.version_id


def follow_window(
    session: Session,
    *,
    monitor: Monitor,
    window: Window,
    firings: Sequence[Firing],
    judged: Collection[str],
    is_live: bool,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep what a window says of each kind of alert, and let alerts follow.

    Parameters
    ----------
    firings : sequence of Firing
        At most one of a kind.
    judged : collection of str
        The kinds of which it can tell whether they fire, those that do among them.
    is_live : bool
        Whether its version is; of another one alerts may end and none begins.
    """
    fired = {one.kind: one for one in firings}
    _put_verdicts(session, window, [fired.get(kind, Firing(kind, "", "")) for kind in sorted(judged)])
    known = _known(session, window)
    for firing in fired.values() if is_live else ():
        told = [(alert, newest) for alert, newest in known if alert.kind == firing.kind]
        _fires(session, monitor, window, firing, told, actor, now)
    for alert, newest in known:
        ends_here = alert.window_id == window.id or alert.since_at == window.from_at
        if alert.kind not in fired and alert.state != AlertState.RESOLVED and ends_here:
            _fires_no_longer(session, monitor, window, alert, newest, actor, now)


def close_outlived(session: Session, *, actor: Actor, now: datetime) -> int:
    """Resolve the alerts of versions that are no longer live, taken up or not; tells how many.

    Nothing computes their windows anew, so that they would stay for ever.
    """
    found = outlived(session)
    for alert, monitor, number in found:
        note = f"Version {number} is no longer live as {monitor.alias} in {monitor.environment}."
        close_alert(session, monitor=monitor, alert=alert, note=note, actor=actor, now=now)
    return len(found)


def outlived(session: Session) -> list[tuple[Alert, Monitor, int]]:
    """Unresolved alerts about windows of a version that is not live any more, with its number."""
    is_live = and_(
        col(Deployment.model_id) == col(Monitor.model_id),
        col(Deployment.environment) == col(Monitor.environment),
        col(Deployment.alias) == col(Monitor.alias),
        col(Deployment.version_id) == col(Window.version_id),
        col(Deployment.to_at).is_(None),
    )
    query = (
        select(Alert, Monitor, ModelVersion.number)
        .join(Window, col(Window.id) == col(Alert.window_id))
        .join(Monitor, col(Monitor.id) == col(Alert.monitor_id))
        .join(ModelVersion, col(ModelVersion.id) == col(Window.version_id))
        .join(Deployment, is_live, isouter=True)
        .where(col(Alert.state) != AlertState.RESOLVED, col(Deployment.id).is_(None))
        .order_by(col(Alert.id))
    )
    return list(session.exec(query))


def _put_verdicts(session: Session, window: Window, said: Sequence[Firing]) -> None:
    assert window.id is not None
    session.exec(delete(WindowVerdict).where(col(WindowVerdict.window_id) == window.id))
    if said:
        session.connection().execute(insert(WindowVerdict), [{"window_id": window.id, **asdict(one)} for one in said])


def _known(session: Session, window: Window) -> Told:
    """The alerts of a window's version that are not over, or over and told of this window; oldest first."""
    query = (
        select(Alert, Window)
        .join(Window, col(Window.id) == col(Alert.window_id))
        .where(
            col(Alert.monitor_id) == window.monitor_id,
            col(Window.version_id) == window.version_id,
            or_(
                col(Alert.state) != AlertState.RESOLVED,
                and_(col(Alert.since_at) <= window.from_at, col(Window.from_at) >= window.from_at),
            ),
        )
        .order_by(col(Alert.id))
    )
    return list(session.exec(query))


def _fires(
    session: Session, monitor: Monitor, window: Window, firing: Firing, told: Told, actor: Actor, now: datetime
) -> None:
    """Let the alert of the event that a window belongs to say so, or open one."""
    within = _within(told, window)
    if within is not None:
        alert, newest = within
        if alert.window_id == window.id:
            _say(session, monitor, alert, window, firing, actor, now)
        elif alert.state == AlertState.RESOLVED and alert.acknowledged_at is None:
            _settle(session, monitor, alert, newest, actor, now)
        return  # else a later window tells it already, or a person has seen it
    beside = _beside(session, told, window)
    if beside is None:
        open_alert(
            session,
            monitor=monitor,
            window_id=window.id,
            firing=firing,
            since=window.label,
            since_at=window.from_at,
            actor=actor,
            now=now,
        )
        return
    alert, newest = beside
    if window.from_at < alert.since_at:
        alert.since, alert.since_at = window.label, window.from_at
    if newest.from_at < window.to_at:
        alert.window_id = window.id
        _say(session, monitor, alert, window, firing, actor, now)
    else:
        _settle(session, monitor, alert, newest, actor, now)


def _within(told: Told, window: Window) -> tuple[Alert, Window] | None:
    """The alert about a window, or told of windows before and after it; one that stands where there is any."""
    found = [
        (alert, newest)
        for alert, newest in told
        if alert.window_id == window.id or alert.since_at <= window.from_at < newest.from_at
    ]
    return max(
        found,
        key=lambda one: (one[0].window_id == window.id, one[0].state != AlertState.RESOLVED, one[0].id),
        default=None,
    )


def _beside(session: Session, told: Told, window: Window) -> tuple[Alert, Window] | None:
    """The unresolved alert whose event a window goes on, or begins earlier than was known; the newest if several."""
    for alert, newest in reversed(told):
        if alert.state == AlertState.RESOLVED:
            continue
        comes_after = newest.from_at <= window.from_at
        first, last = (newest.to_at, window.from_at) if comes_after else (window.to_at, alert.since_at)
        quiet = (
            select(Window.id)
            .join(WindowVerdict, col(WindowVerdict.window_id) == col(Window.id))
            .where(
                col(Window.monitor_id) == window.monitor_id,
                col(Window.version_id) == window.version_id,
                col(Window.length) == window.length,
                col(Window.from_at) >= first,
                col(Window.to_at) <= last,
                col(WindowVerdict.kind) == alert.kind,
                col(WindowVerdict.severity) == "",
            )
        )
        if session.exec(quiet.limit(1)).first() is None:
            return alert, newest
    return None


def _fires_no_longer(
    session: Session, monitor: Monitor, window: Window, alert: Alert, newest: Window, actor: Actor, now: datetime
) -> None:
    """Take a window that fired out of the event of its alert, which is over if it was the last one."""
    if _settle(session, monitor, alert, newest, actor, now):
        return
    if alert.window_id != window.id:
        return
    if window.n_rows == 0:  # taken up or not: nothing is left to look at
        close_alert(session, monitor=monitor, alert=alert, note=NO_ROWS, actor=actor, now=now)
    elif alert.state == AlertState.OPEN:
        close_alert(session, monitor=monitor, alert=alert, note=NO_LONGER, actor=actor, now=now)


def _settle(session: Session, monitor: Monitor, alert: Alert, newest: Window, actor: Actor, now: datetime) -> bool:
    """Let an alert begin with the first and end with the last window of its span that fires; tells whether any does."""
    # Of two alerts of one kind none goes where the other is.
    taken = select(Alert.window_id).where(
        col(Alert.monitor_id) == alert.monitor_id,
        col(Alert.kind) == alert.kind,
        col(Alert.id) != alert.id,
        col(Alert.window_id).is_not(None),
    )
    query = (
        select(Window, WindowVerdict)
        .join(WindowVerdict, col(WindowVerdict.window_id) == col(Window.id))
        .where(
            col(Window.monitor_id) == alert.monitor_id,
            col(Window.version_id) == newest.version_id,
            col(Window.length) == newest.length,
            col(Window.from_at) >= alert.since_at,
            col(Window.from_at) <= newest.from_at,
            col(WindowVerdict.kind) == alert.kind,
            col(WindowVerdict.severity) != "",
            col(Window.id).not_in(taken),
        )
        .order_by(col(Window.from_at), col(Window.id))
    )
    firing = list(session.exec(query))
    if not firing:
        return False
    (first, _), (last, verdict) = firing[0], firing[-1]
    alert.since, alert.since_at, alert.window_id = first.label, first.from_at, last.id
    _say(session, monitor, alert, last, Firing(alert.kind, verdict.severity, verdict.sentence), actor, now)
    return True


def _say(
    session: Session, monitor: Monitor, alert: Alert, window: Window, firing: Firing, actor: Actor, now: datetime
) -> None:
    sentence = firing.sentence
    if alert.since != window.label:
        sentence = f"{sentence} It fired first in {alert.since}."
    firing = Firing(firing.kind, firing.severity, sentence)
    fire_again(session, monitor=monitor, alert=alert, firing=firing, actor=actor, now=now)
