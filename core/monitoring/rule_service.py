"""Writing: alert rules edited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from core.access.tables import User
from core.errors import InvalidInput, StaleRevision
from core.monitoring import queries
from core.monitoring.alert_rules import checked_parameters, rule_kind
from core.monitoring.rule_queries import stored_rule
from core.monitoring.service import record
from core.monitoring.tables import AlertRule
from core.permissions import Actor, Permission, require


def edit_rule(
    session: Session,
    *,
    monitor_id: int | None,
    kind: str,
    enabled: bool,
    parameters: Mapping[str, float | None],
    actor: Actor,
    now: datetime,
    opened: tuple[bool, Mapping[str, float | None]] | None = None,
) -> AlertRule:
    """Say when an alert is raised, or that it is not; what is open follows within minutes.

    Parameters
    ----------
    monitor_id : int or None
        None for the installation, which takes the right to edit storage; a monitor's takes the right to edit monitors.
    kind : str
        Of `core.monitoring.alert_rules.ALERT_RULES`.
    parameters : mapping
        All that differ from the defaults; those left out and those of None are the defaults again.
    opened : (enabled, parameters), optional
        What held when the actor looked, as `RuleRow` says it; None for whoever changes a rule without having looked.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The rule is not of this subject, or the monitor's own settings decide it, or a parameter is out of range.
    StaleRevision
        Somebody changed the rule in between.
    """
    require(actor, Permission.STORAGE_EDIT if monitor_id is None else Permission.MONITOR_EDIT)
    found = rule_kind(kind)
    monitor = None if monitor_id is None else queries.monitor(session, monitor_id)
    if found.subject == "monitor" and monitor is None:
        raise InvalidInput(f"{found.title!r} is a rule of a monitor. Say which model's.")
    if found.subject == "installation" and monitor is not None:
        raise InvalidInput(f"{found.title!r} is a rule of the whole installation. Name no model.")
    if found.decided_by_monitor:
        raise InvalidInput(f"{found.title!r} follows from the monitor's settings. Change those instead.")
    kept = checked_parameters(found, parameters)
    rule = stored_rule(session, monitor_id, kind) or AlertRule(monitor_id=monitor_id, kind=kind, edited_at=now)
    if opened is not None and opened != (rule.enabled, found.defaults() | rule.parameters):
        other = None if rule.edited_by is None else session.get(User, rule.edited_by)
        raise StaleRevision(
            f"{'Somebody' if other is None else other.name} changed this rule after you opened it. Yours was not "
            "saved. Close it, look at what holds now, then change it."
        )
    before = {"enabled": rule.enabled, "parameters": dict(rule.parameters)}
    rule.enabled, rule.parameters, rule.edited_by, rule.edited_at = enabled, kept, actor.user_id, now
    session.add(rule)
    session.flush()
    after = {"enabled": enabled, "parameters": kept}
    details: dict[str, object] = {"kind": kind, "before": before, "after": after}
    record(session, monitor, "alert_rule.edited", actor, now, details)
    return rule
