"""Every alert rule with the parameters that hold and what it makes of the present."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy
from sqlalchemy import BigInteger, ColumnElement
from sqlmodel import Session, col, func, select

from core.health.queries import counts_since, samples_since, worked_since
from core.jobs import processes
from core.jobs.parts import Seen
from core.monitoring import arrivals, faults, liveness, queries
from core.monitoring.alert_rules import ALERT_RULES, AlertRuleKind
from core.monitoring.liveness import Finding, Hours, Outlook
from core.monitoring.tables import Alert, AlertRule, AlertState, Batch, BatchState, BucketSketch, Monitor
from core.monitoring.windows import BATCH, bucket_of
from core.registry.queries import live
from core.serving.tables import Label, PredictionSegment

UNMEASURED = (BatchState.PENDING, BatchState.READING, BatchState.MEASURING)


@dataclass(frozen=True)
class RuleRow:
    """One rule of a monitor, or of the installation.

    Parameters
    ----------
    kind : AlertRuleKind
    monitor_id : int or None
        None for the installation.
    enabled : bool
    parameters : mapping
        What holds, by key; None where it is learned.
    edited : bool
        Whether somebody changed it.
    finding : Finding or None
        What it says now; where the monitor's own settings decide, the alert that is not resolved, if there is one.
        None where it is switched off.
    """

    kind: AlertRuleKind
    monitor_id: int | None
    enabled: bool
    parameters: Mapping[str, float | None]
    edited: bool
    finding: Finding | None


@dataclass(frozen=True)
class Signs:
    """What a monitor's rules look at; see `liveness` and `arrivals` for each."""

    live_since: datetime | None
    hours: Hours
    last_prediction_at: datetime | None
    label_arrivals: tuple[datetime, ...]
    batch_arrivals: tuple[datetime, ...]
    newest_rows: tuple[tuple[datetime, datetime], ...]
    waiting_since: datetime | None
    worked: timedelta


@dataclass(frozen=True)
class Vitals:
    """What the installation's rules look at; see `faults` for each."""

    seen: tuple[Seen, ...]
    levels: Mapping[str, faults.Samples]
    counts: faults.Counts


def rules_of_monitor(session: Session, monitor_id: int, now: datetime) -> list[RuleRow]:
    """A monitor's rules in the catalogue's order, those that cannot wait for the morning first.

    Raises
    ------
    NotFound
    """
    signs = signs_of(session, queries.monitor(session, monitor_id), now)
    raised = _raised_by_windows(session, monitor_id)
    return [
        _row(kind, monitor_id, stored, lambda kind, values: _judge_monitor(kind, values, signs, raised, now))
        for kind, stored in _stored(session, "monitor", monitor_id)
    ]


def rules_of_installation(session: Session, now: datetime) -> list[RuleRow]:
    """The installation's rules in the catalogue's order."""
    found = _stored(session, "installation", None)
    minutes = [(kind.defaults() | (stored.parameters if stored else {})).get("minutes") for kind, stored in found]
    since = now - max(faults.RECENT, timedelta(minutes=max(one or 0 for one in minutes)))
    vitals = Vitals(
        seen=tuple(processes.seen(session)),
        levels=samples_since(session, faults.LEVELS, since, now),
        counts=counts_since(session, faults.COUNTED, since, now),
    )
    return [
        _row(kind, None, stored, lambda kind, values: _judge_installation(kind, values, vitals, now))
        for kind, stored in found
    ]


def stored_rule(session: Session, monitor_id: int | None, kind: str) -> AlertRule | None:
    """What was edited of a rule, if anything was."""
    return session.exec(
        select(AlertRule).where(
            col(AlertRule.kind) == kind,
            col(AlertRule.monitor_id).is_(None) if monitor_id is None else col(AlertRule.monitor_id) == monitor_id,
        )
    ).first()


def signs_of(session: Session, monitor: Monitor, now: datetime) -> Signs:
    """Gather what a monitor's rules look at."""
    assert monitor.id is not None
    deployment = live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
    logged = (
        col(PredictionSegment.model_id) == monitor.model_id,
        col(PredictionSegment.environment) == monitor.environment,
        col(PredictionSegment.alias) == monitor.alias,
    )
    end = col(PredictionSegment.to_at)
    day = sqlalchemy.cast(sqlalchemy.extract("epoch", col(Label.received_at)), BigInteger) // arrivals.HALF_DAY_S
    labels = session.exec(
        select(func.max(Label.received_at)).where(col(Label.model_id) == monitor.model_id).group_by(day)
    )
    batches = session.exec(
        select(Batch.added_at).where(col(Batch.monitor_id) == monitor.id).order_by(col(Batch.added_at))
    )
    waiting_since = _waiting_since(session, monitor)
    return Signs(
        live_since=deployment.from_at if deployment else None,
        hours=liveness.hours_of(_spans(session, *logged, end > now - liveness.HISTORY), now),
        last_prediction_at=session.exec(select(func.max(end)).where(*logged)).one(),
        label_arrivals=tuple(sorted(labels)),
        batch_arrivals=tuple(batches),
        newest_rows=_newest_rows(session, monitor, now),
        waiting_since=waiting_since,
        worked=worked_since(session, "worker", waiting_since, now) if waiting_since else timedelta(0),
    )


def _spans(session: Session, *logged: ColumnElement[bool]) -> list[tuple[datetime, datetime, int]]:
    """When how many rows were predicted: one span an hour, however many segments were sealed in it."""
    begin, end, rows = (col(getattr(PredictionSegment, name)) for name in ("from_at", "to_at", "n_rows"))
    first, last = (
        sqlalchemy.cast(sqlalchemy.extract("epoch", at), BigInteger) // liveness.HOUR_S for at in (begin, end)
    )
    within = sqlalchemy.select(func.min(begin), func.max(end), func.sum(rows)).where(*logged, first == last)
    spans = [(from_at, to_at, int(n)) for from_at, to_at, n in session.connection().execute(within.group_by(first))]
    over = sqlalchemy.select(begin, end, rows, col(PredictionSegment.hours)).where(*logged, first != last)
    for from_at, to_at, n, hours in session.connection().execute(over):
        day = from_at.replace(hour=0, minute=0, second=0, microsecond=0)
        told = [(day + int(hour) * liveness.HOUR, int(count)) for hour, count in hours.items()]
        spans += [(at, at, count) for at, count in told] or [(from_at, to_at, n)]
    return spans


def _newest_rows(session: Session, monitor: Monitor, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """When each batch with times came, and the end of the hour or day its newest row lies in, but not after it came."""
    newest = (
        sqlalchemy.select(func.max(col(BucketSketch.bucket_at)))
        .where(
            col(BucketSketch.monitor_id) == col(Batch.monitor_id),
            col(BucketSketch.version_id) == col(Batch.version_id),
            col(BucketSketch.source) == f"{BATCH} " + sqlalchemy.cast(col(Batch.id), sqlalchemy.String),
        )
        .correlate(Batch)
        .scalar_subquery()
    )
    query = (
        sqlalchemy.select(col(Batch.added_at), newest)
        .where(
            col(Batch.monitor_id) == monitor.id,
            col(Batch.time_column).is_not(None),
            col(Batch.added_at) > now - liveness.HISTORY,
        )
        .order_by(col(Batch.added_at), col(Batch.id))
    )
    width = liveness.HOUR if bucket_of(monitor.window) == "hour" else liveness.DAY
    return tuple((came, min(at + width, came)) for came, at in session.connection().execute(query) if at is not None)


def _waiting_since(session: Session, monitor: Monitor) -> datetime | None:
    """When the oldest data came that is not measured: a sealed segment, or a batch whose job has not ended."""
    sealed = select(func.min(PredictionSegment.sealed_at)).where(
        col(PredictionSegment.model_id) == monitor.model_id,
        col(PredictionSegment.environment) == monitor.environment,
        col(PredictionSegment.alias) == monitor.alias,
    )
    if monitor.watched_to is not None:
        sealed = sealed.where(col(PredictionSegment.sealed_at) > monitor.watched_to)
    added = select(func.min(Batch.added_at)).where(
        col(Batch.monitor_id) == monitor.id, col(Batch.state).in_(UNMEASURED)
    )
    return min((at for at in (session.exec(sealed).one(), session.exec(added).one()) if at), default=None)


def _stored(session: Session, subject: str, monitor_id: int | None) -> list[tuple[AlertRuleKind, AlertRule | None]]:
    of_subject = col(AlertRule.monitor_id).is_(None) if monitor_id is None else col(AlertRule.monitor_id) == monitor_id
    stored = {rule.kind: rule for rule in session.exec(select(AlertRule).where(of_subject))}
    return [(kind, stored.get(kind.key)) for kind in ALERT_RULES.values() if kind.subject == subject]


def _row(
    kind: AlertRuleKind,
    monitor_id: int | None,
    stored: AlertRule | None,
    judge: Callable[[str, dict[str, float | None]], Finding],
) -> RuleRow:
    enabled = stored is None or stored.enabled
    values = kind.defaults() | (stored.parameters if stored else {})
    finding = judge(kind.key, values) if enabled else None
    edited = stored is not None and (not stored.enabled or bool(stored.parameters))
    return RuleRow(kind, monitor_id, enabled, values, edited, finding)


def _raised_by_windows(session: Session, monitor_id: int) -> dict[str, Alert]:
    query = select(Alert).where(
        col(Alert.monitor_id) == monitor_id, col(Alert.window_id).is_not(None), col(Alert.state) != AlertState.RESOLVED
    )
    return {alert.kind: alert for alert in session.exec(query.order_by(col(Alert.since_at), col(Alert.id)))}


def _judge_monitor(
    kind: str,
    values: Mapping[str, float | None],
    signs: Signs,
    raised: Mapping[str, Alert],
    now: datetime,
) -> Finding:
    if ALERT_RULES[kind].decided_by_monitor:
        alert = raised.get(kind)
        if alert is None:
            return Finding(Outlook.QUIET, "No alert is open; each window decides.")
        return Finding(Outlook.FIRES, alert.sentence, alert.since_at)
    if signs.live_since is None:
        return Finding(Outlook.QUIET, "Nothing is live here.")
    match kind:
        case "no_predictions":
            return liveness.no_predictions(
                signs.hours,
                last_at=signs.last_prediction_at,
                live_since=signs.live_since,
                now=now,
                limit_hours=values["hours"],
            )
        case "no_labels":
            return arrivals.no_labels(
                signs.label_arrivals,
                last_prediction_at=signs.last_prediction_at,
                now=now,
                limit_hours=values["hours"],
            )
        case "freshness":
            return arrivals.freshness(
                signs.batch_arrivals,
                last_prediction_at=signs.last_prediction_at,
                now=now,
                limit_hours=values["hours"],
            )
        case "late_rows":
            return arrivals.late_rows(signs.newest_rows, limit_hours=values["hours"])
        case "not_run":
            return arrivals.not_run(
                signs.waiting_since, now=now, limit_hours=_set(values, "hours"), worked=signs.worked
            )
        case "volume":
            return liveness.volume(signs.hours, width=_set(values, "width"))
    raise AssertionError(f"nothing judges {kind}")


def _judge_installation(kind: str, values: Mapping[str, float | None], vitals: Vitals, now: datetime) -> Finding:
    samples, counts = vitals.levels, vitals.counts
    match kind:
        case "parts":
            return faults.parts(vitals.seen, minutes=_set(values, "minutes"), now=now)
        case "restarts":
            return faults.restarts(vitals.seen, times=_set(values, "times"), minutes=_set(values, "minutes"), now=now)
        case "errors":
            return faults.errors(counts, percent=_set(values, "percent"), minutes=_set(values, "minutes"), now=now)
        case "refused":
            return faults.refused(counts, percent=_set(values, "percent"), minutes=_set(values, "minutes"), now=now)
        case "latency":
            return faults.latency(samples, limit_ms=_set(values, "limit_ms"), minutes=_set(values, "minutes"), now=now)
        case "memory":
            return faults.memory(samples, free_percent=_set(values, "free_percent"), now=now)
        case "disk":
            return faults.disk(
                samples, free_percent=_set(values, "free_percent"), free_gb=_set(values, "free_gb"), now=now
            )
        case "queue":
            return faults.queue(samples, minutes=_set(values, "minutes"), failed=_set(values, "failed"), now=now)
    raise AssertionError(f"nothing judges {kind}")


def _set(values: Mapping[str, float | None], key: str) -> float:
    """A parameter that is never learned."""
    return cast(float, values[key])
