"""What every worker does every few minutes: ask the rules of silence and faults, and let alerts follow.

Alerts that windows raised and nothing can end any more, for their version was replaced, end here too.

Whether every part still runs is asked by every part (`judge_parts`), for a dead worker asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from core.monitoring.alert_log import close_alert, fire_again, open_alert
from core.monitoring.alerting import Firing
from core.monitoring.liveness import Finding, Outlook
from core.monitoring.rule_queries import RuleRow, rules_of_installation, rules_of_monitor
from core.monitoring.tables import Alert, AlertState, Monitor
from core.monitoring.window_alerts import close_outlived, outlived
from core.permissions import system_actor
from core.registry.tables import RegisteredModel
from core.workspace import Workspace

ACTOR = system_actor("monitoring")
PARTS_RULES = ("parts", "restarts")
SWITCHED_OFF = Finding(Outlook.QUIET, "The rule was switched off.")


def judge_all(workspace: Workspace, now: datetime) -> int:
    """Ask every rule that windows do not decide; tells how many fire.

    What is read is read first, and what is written goes into one transaction, which looks at the alerts again: several
    workers may do this at once.
    """
    with workspace.read() as session:
        monitors = list(session.exec(select(Monitor).order_by(col(Monitor.id))))
        rows = [row for monitor in monitors for row in rules_of_monitor(session, monitor.id or 0, now)]
        rows += rules_of_installation(session, now)
        some_outlived = bool(outlived(session))
    if some_outlived:
        with workspace.write() as session:
            close_outlived(session, actor=ACTOR, now=now)
    return _judge(workspace, [row for row in rows if not row.kind.decided_by_monitor], now)


def judge_parts(workspace: Workspace, now: datetime) -> int:
    """Ask the rules that every part asks once a minute, for whoever still runs must say which part died."""
    with workspace.read() as session:
        rows = [row for row in rules_of_installation(session, now) if row.kind.key in PARTS_RULES]
    return _judge(workspace, rows, now)


def _judge(workspace: Workspace, rows: Sequence[RuleRow], now: datetime) -> int:
    with workspace.read() as session:
        standing = _standing(session)
    firing = [row for row in rows if row.finding is not None and row.finding.outlook is Outlook.FIRES]
    concerned = [row for row in rows if row in firing or (row.monitor_id, row.kind.key) in standing]
    if concerned:
        with workspace.write() as session:
            _follow(session, concerned, now)
    return len(firing)


def _standing(session: Session) -> set[tuple[int | None, str]]:
    query = select(Alert.monitor_id, Alert.kind).where(
        col(Alert.window_id).is_(None), col(Alert.state) != AlertState.RESOLVED
    )
    return set(session.exec(query))


def _follow(session: Session, rows: Iterable[RuleRow], now: datetime) -> None:
    for row in rows:
        monitor = None if row.monitor_id is None else session.get(Monitor, row.monitor_id)
        finding = (row.finding or SWITCHED_OFF) if row.enabled else SWITCHED_OFF
        newest = session.exec(
            select(Alert)
            .where(
                col(Alert.kind) == row.kind.key,
                col(Alert.window_id).is_(None),
                col(Alert.monitor_id).is_(None) if monitor is None else col(Alert.monitor_id) == monitor.id,
            )
            .order_by(col(Alert.id).desc())
        ).first()
        stands = newest is not None and newest.state != AlertState.RESOLVED
        if finding.outlook is Outlook.QUIET and newest is not None and stands:
            note = f"It is over. {finding.sentence}"
            close_alert(session, monitor=monitor, alert=newest, note=note, actor=ACTOR, now=now)
        elif finding.outlook is Outlook.FIRES:
            firing = Firing(
                row.kind.key, row.kind.severity or "warning", f"{_subject(session, monitor)}: {finding.sentence}"
            )
            since_at = finding.since_at or now
            if newest is not None and stands:
                fire_again(session, monitor=monitor, alert=newest, firing=firing, actor=ACTOR, now=now)
            elif newest is None or not _settled(newest, since_at):
                open_alert(
                    session,
                    monitor=monitor,
                    window_id=None,
                    firing=firing,
                    since=f"{since_at.astimezone(UTC):%-d %b %Y, %H:%M} UTC",
                    since_at=since_at,
                    actor=ACTOR,
                    now=now,
                )


def _settled(alert: Alert, since_at: datetime) -> bool:
    """Whether a person resolved an alert of this very silence: it has not been broken since they looked."""
    return alert.acknowledged_at is not None and since_at <= alert.acknowledged_at


def _subject(session: Session, monitor: Monitor | None) -> str:
    if monitor is None:
        return "This installation"
    model = session.get(RegisteredModel, monitor.model_id)
    assert model is not None
    return f"{model.name} {monitor.alias}"
