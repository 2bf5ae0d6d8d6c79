"""Opening incidents without anybody's click: harm, faults and silence cannot wait for the morning; drift alone can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.errors import LifecycleError
from core.incidents import gather, queries
from core.incidents.evidence import Evidence
from core.incidents.service import record_incident
from core.incidents.tables import Incident
from core.incidents.triage import Triage, triage
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.tables import Alert, Window
from core.permissions import system_actor
from core.workspace import Workspace

WAKING: tuple[str, ...] = tuple(key for key, rule in ALERT_RULES.items() if rule.wakes)
"""Kinds of alerts that open an incident by themselves."""


def open_due(workspace: Workspace, now: datetime) -> list[int]:
    """Open an incident for every monitor (and the installation) with waking alerts that belong to none.

    Alerts of one monitor make one incident; where one is open they are added to it. Several workers may do this at
    about the same time: each looks again inside its transaction, so that none opens a second one.

    Returns
    -------
    list of int
        The incidents opened or widened, by id.
    """
    with workspace.read() as session:
        waiting = queries.alerts_without(session, kinds=WAKING)
        by_monitor: dict[int | None, list[Alert]] = {}
        for alert in waiting:
            by_monitor.setdefault(alert.monitor_id, []).append(alert)
    done = []
    for monitor_id, alerts in by_monitor.items():
        window_id = max((alert.window_id for alert in alerts if alert.window_id is not None), default=None)
        found = triage_now(workspace, monitor_id=monitor_id, window_id=window_id, now=now)
        incident = _record(workspace, monitor_id, window_id, [alert.id or 0 for alert in alerts], found, now)
        done += [incident.id or 0] if incident is not None else []
    return done


def triage_now(workspace: Workspace, *, monitor_id: int | None, window_id: int | None, now: datetime) -> Triage:
    """Triage a window, or, where none is about it, what the open alerts of a monitor say.

    Reads outside any writing transaction.
    """
    if window_id is None:
        with workspace.read() as session:
            return triage(gather.evidence_of_alerts(session, monitor_id))
    return triage(_evidence(workspace, window_id, monitor_id, now))


def _evidence(workspace: Workspace, window_id: int, monitor_id: int | None, now: datetime) -> Evidence:
    try:
        return gather.evidence_of(workspace, window_id=window_id, now=now)
    except LifecycleError:
        # What is stored of the window is damaged: an incident must open all the same.
        with workspace.read() as session:
            return gather.evidence_of_alerts(session, monitor_id)


def _record(
    workspace: Workspace,
    monitor_id: int | None,
    window_id: int | None,
    alert_ids: Sequence[int],
    found: Triage,
    now: datetime,
) -> Incident | None:
    with workspace.write() as session:
        still = [one for one in queries.alerts_without(session, kinds=WAKING) if one.id in set(alert_ids)]
        if not still:
            return None
        return record_incident(
            session,
            monitor_id=monitor_id,
            window=None if window_id is None else session.get(Window, window_id),
            alerts=still,
            triage=found,
            since_at=min(alert.since_at for alert in still),
            actor=system_actor(),
            now=now,
        )
