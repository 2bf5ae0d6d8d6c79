"""Alert rules: the catalogue is complete, edits are checked, and alerts follow what the rules say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, select

from core.audit import queries as audit
from core.audit.tables import AuditEvent
from core.errors import InvalidInput, NotFound, PermissionDenied, StaleRevision
from core.health.tables import HealthSample
from core.monitoring import alert_queries, queries, rule_service
from core.monitoring.alert_rules import ALERT_RULES, AlertRuleKind, Family, rule_kind
from core.monitoring.liveness import Outlook
from core.monitoring.liveness_job import judge_all
from core.monitoring.rule_queries import RuleRow, rules_of_installation, rules_of_monitor, signs_of
from core.monitoring.service import acknowledge_alert, ensure_monitor, resolve_alert
from core.monitoring.tables import Batch, Monitor
from core.permissions import Actor
from core.registry.tables import Deployment
from core.serving.tables import Label, PredictionSegment
from core.workspace import Workspace
from tests.factories import add, fresh_sha256, key, make_model, make_model_version

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize("entry", ALERT_RULES.values(), ids=ALERT_RULES)
def test_an_entry_is_complete(entry: AlertRuleKind) -> None:
    assert rule_kind(entry.key) is entry
    assert entry.sentence.endswith(".")
    assert entry.wakes is (entry.family is not Family.DRIFT)
    assert entry.decided_by_monitor == (not entry.parameters)
    assert entry.decided_by_monitor or entry.severity is not None
    for parameter in entry.parameters:
        assert parameter.low < parameter.high
        assert parameter.default is None or parameter.low <= parameter.default <= parameter.high


def make_monitor(session: Session, *, live_since: datetime | None = NOW - 30 * DAY) -> Monitor:
    version = make_model_version(session, model_id=key(make_model(session, name="pay")))
    monitor = ensure_monitor(
        session, model_id=version.model_id, environment="production", alias="champion", now=NOW - 30 * DAY
    )
    if live_since is not None:
        add(
            session,
            Deployment(
                model_id=version.model_id, environment="production", alias="champion", version_id=key(version),
                from_at=live_since, cause="promotion",
            ),
        )  # fmt: skip
    return monitor


def answer(session: Session, monitor: Monitor, at: datetime, rows: int = 50, sealed_at: datetime | None = None) -> None:
    version = session.exec(select(Deployment).where(Deployment.model_id == monitor.model_id)).one()
    add(
        session,
        PredictionSegment(
            model_id=monitor.model_id, version_id=version.version_id, environment="production", alias="champion",
            sha256=fresh_sha256(), n_rows=rows, from_at=at, to_at=at, sealed_at=sealed_at or at,
        ),
    )  # fmt: skip
    monitor.watched_to = max(at, monitor.watched_to or at)
    session.add(monitor)


def answer_every_hour(workspace: Workspace, until: datetime, days: int = 15) -> int:
    """A monitor whose model answered every hour up to a moment."""
    with workspace.write() as session:
        monitor = make_monitor(session)
        for hour in range(days * 24):
            answer(session, monitor, until - hour * HOUR)
        return key(monitor)


def rules(workspace: Workspace, monitor_id: int | None, now: datetime = NOW) -> dict[str, RuleRow]:
    with workspace.read() as session:
        rows = rules_of_installation(session, now) if monitor_id is None else rules_of_monitor(session, monitor_id, now)
    return {row.kind.key: row for row in rows}


def outlooks(workspace: Workspace, monitor_id: int | None) -> dict[str, Outlook | None]:
    return {kind: row.finding.outlook if row.finding else None for kind, row in rules(workspace, monitor_id).items()}


def alerts(workspace: Workspace) -> list[tuple[str, str]]:
    """Kind and state, oldest first."""
    with workspace.read() as session:
        return [(one.kind, one.state) for one in alert_queries.alerts(session)][::-1]


def events(workspace: Workspace) -> list[str]:
    with workspace.read() as session:
        return [
            one.action for one in session.exec(select(AuditEvent).order_by(AuditEvent.number)) if "alert" in one.action
        ]


def edit(workspace: Workspace, actor: Actor, monitor_id: int | None, kind: str, **over: object) -> None:
    given = {"enabled": True, "parameters": {}, **over}
    with workspace.write() as session:
        rule_service.edit_rule(session, monitor_id=monitor_id, kind=kind, actor=actor, now=NOW, **given)  # type: ignore[arg-type]


def test_a_monitor_lists_every_rule_of_its_kind_with_what_it_says(workspace: Workspace) -> None:
    monitor_id = answer_every_hour(workspace, NOW)
    found = rules(workspace, monitor_id)
    assert list(found) == [kind for kind, entry in ALERT_RULES.items() if entry.subject == "monitor"]
    assert found["drift"].finding is not None
    assert found["drift"].finding.outlook is Outlook.QUIET
    assert found["no_predictions"].finding is not None
    assert found["no_predictions"].finding.sentence == "The last prediction was 0 min ago."
    assert not any(row.edited for row in found.values())
    assert set(rules(workspace, None)) == {
        "parts",
        "restarts",
        "errors",
        "refused",
        "latency",
        "memory",
        "disk",
        "queue",
    }


def test_a_monitor_of_batches_alone_is_not_called_silent(workspace: Workspace) -> None:
    """History handed in together, long ago: nothing of it tells when more is due."""
    with workspace.write() as session:
        monitor = make_monitor(session)
        for place in range(12):
            add(session, Batch(monitor_id=key(monitor), state="ready", added_at=NOW - 60 * DAY + place * HOUR / 6))
        monitor_id = key(monitor)
    assert Outlook.FIRES not in outlooks(workspace, monitor_id).values()
    assert judge_all(workspace, NOW) == 0
    assert alerts(workspace) == []


def test_silence_opens_one_alert_which_ends_with_the_next_prediction(workspace: Workspace) -> None:
    monitor_id = answer_every_hour(workspace, NOW - 5 * HOUR)
    assert judge_all(workspace, NOW) == 1
    with workspace.read() as session:
        (alert,) = alert_queries.alerts(session, monitor_id=monitor_id)
    assert (alert.kind, alert.severity, alert.window_id) == ("no_predictions", "critical", None)
    assert alert.sentence.startswith("pay champion: no prediction for 5 h")
    judge_all(workspace, NOW + HOUR)
    with workspace.read() as session:
        (alert,) = alert_queries.alerts(session)
    assert alert.sentence.startswith("pay champion: no prediction for 6 h")
    with workspace.write() as session:
        monitor = session.get_one(Monitor, monitor_id)
        answer(session, monitor, NOW + HOUR)
    judge_all(workspace, NOW + HOUR)
    assert alerts(workspace) == [("no_predictions", "resolved")]
    assert events(workspace) == ["alert.opened", "alert.resolved"]
    judge_all(workspace, NOW + 4 * HOUR)
    assert alerts(workspace) == [("no_predictions", "resolved"), ("no_predictions", "open")]


def test_what_a_person_resolved_is_not_raised_again_for_the_same_silence(workspace: Workspace, operator: Actor) -> None:
    monitor_id = answer_every_hour(workspace, NOW - 5 * HOUR)
    judge_all(workspace, NOW)
    with workspace.write() as session:
        (alert,) = alert_queries.alerts(session)
        acknowledge_alert(session, alert_id=alert.id, note="", actor=operator, now=NOW)
    judge_all(workspace, NOW + HOUR)
    assert alerts(workspace) == [("no_predictions", "acknowledged")]
    with workspace.write() as session:
        resolve_alert(session, alert_id=alert.id, note="It is retired.", actor=operator, now=NOW + HOUR)
    judge_all(workspace, NOW + 2 * HOUR)
    assert alerts(workspace) == [("no_predictions", "resolved")]
    with workspace.write() as session:
        answer(session, session.get_one(Monitor, monitor_id), NOW + 3 * HOUR)
    judge_all(workspace, NOW + 9 * HOUR)
    assert alerts(workspace) == [("no_predictions", "resolved"), ("no_predictions", "open")]


def test_nothing_live_is_no_silence(workspace: Workspace) -> None:
    monitor_id = answer_every_hour(workspace, NOW - 5 * HOUR)
    judge_all(workspace, NOW)
    with workspace.write() as session:
        deployment = session.exec(select(Deployment)).one()
        deployment.to_at = NOW
        session.add(deployment)
    judge_all(workspace, NOW + HOUR)
    assert alerts(workspace) == [("no_predictions", "resolved")]
    assert rules(workspace, monitor_id)["no_predictions"].finding.sentence == "Nothing is live here."  # type: ignore[union-attr]


def test_a_rule_that_is_switched_off_closes_its_alert_and_opens_none(workspace: Workspace, operator: Actor) -> None:
    monitor_id = answer_every_hour(workspace, NOW - 5 * HOUR)
    judge_all(workspace, NOW)
    edit(workspace, operator, monitor_id, "no_predictions", enabled=False)
    assert judge_all(workspace, NOW) == 0
    assert alerts(workspace) == [("no_predictions", "resolved")]
    with workspace.read() as session:
        assert alert_queries.alerts(session)[0].note == "It is over. The rule was switched off."
    assert rules(workspace, monitor_id)["no_predictions"].finding is None


def test_who_saves_a_rule_over_another_s_is_told(workspace: Workspace, operator: Actor) -> None:
    monitor_id = answer_every_hour(workspace, NOW)
    seen = rules(workspace, monitor_id)["no_predictions"]
    opened = (seen.enabled, seen.parameters)
    edit(workspace, operator, monitor_id, "no_predictions", parameters={"hours": 5.0}, opened=opened)
    with pytest.raises(StaleRevision, match="olga changed this rule after you opened it"):
        edit(workspace, operator, monitor_id, "no_predictions", enabled=False, opened=opened)
    now = rules(workspace, monitor_id)["no_predictions"]
    assert (now.enabled, now.parameters) == (True, {"hours": 5.0})
    edit(workspace, operator, monitor_id, "no_predictions", enabled=False, opened=(now.enabled, now.parameters))
    assert not rules(workspace, monitor_id)["no_predictions"].enabled


def test_an_edited_limit_holds(workspace: Workspace, operator: Actor) -> None:
    monitor_id = answer_every_hour(workspace, NOW - 5 * HOUR)
    edit(workspace, operator, monitor_id, "no_predictions", parameters={"hours": 12})
    assert rules(workspace, monitor_id)["no_predictions"].parameters == {"hours": 12}
    assert judge_all(workspace, NOW) == 0
    edit(workspace, operator, monitor_id, "no_predictions", parameters={"hours": None})
    assert not rules(workspace, monitor_id)["no_predictions"].edited
    assert judge_all(workspace, NOW) == 1
    with workspace.read() as session:
        (newest, _) = audit.events(session, limit=2, any_action=("alert_rule.edited",))
    assert newest.actor_name == operator.name
    assert newest.details["before"]["parameters"] == {"hours": 12}


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("no_predictions", {"hours": 0}, "must be from 0.25 to 8760"),
        ("no_predictions", {"hours": float("nan")}, "must be from"),
        ("no_predictions", {"minutes": 5}, "has no parameter 'minutes'. It has: hours"),
        ("drift", {}, "the monitor's settings"),
        ("disk", {}, "the whole installation"),
    ],
)
def test_what_cannot_be_set_is_refused(
    kind: str, parameters: dict[str, float], expected: str, workspace: Workspace, operator: Actor
) -> None:
    with workspace.write() as session:
        monitor_id = key(make_monitor(session))
    with pytest.raises(InvalidInput, match=expected):
        edit(workspace, operator, monitor_id, kind, parameters=parameters)


def test_the_installation_is_the_administrators(workspace: Workspace, operator: Actor, administrator: Actor) -> None:
    with pytest.raises(PermissionDenied):
        edit(workspace, operator, None, "disk", parameters={"free_gb": 5})
    with pytest.raises(InvalidInput, match="a rule of a monitor"):
        edit(workspace, administrator, None, "volume")
    with pytest.raises(NotFound, match="no_predictions"):
        edit(workspace, administrator, None, "nonsense")
    edit(workspace, administrator, None, "disk", parameters={"free_gb": 5})
    edit(workspace, administrator, None, "disk", parameters={"free_gb": 6})
    assert rules(workspace, None)["disk"].parameters == {"free_percent": 5, "free_gb": 6}


def test_a_fault_of_the_installation_is_an_alert_without_a_monitor(workspace: Workspace) -> None:
    for minute in range(5):
        with workspace.write() as session:
            for name, value in (("disk_free_bytes", 3e8), ("disk_free_share", 0.4)):
                add(session, HealthSample(at=NOW - minute * HOUR / 60, process="worker", key=name, value=value))
    assert judge_all(workspace, NOW) == 1
    with workspace.read() as session:
        (alert,) = alert_queries.open_alerts(session)
        assert queries.list_monitors(session) == []
    assert (alert.monitor_id, alert.model_id, alert.model_name) == (None, None, "This installation")
    assert alert.sentence.startswith("This installation: 0.3 GB of the home's disk are free (40 %)")
    judge_all(workspace, NOW + HOUR)  # no worker told anything since: that is not health
    assert alerts(workspace) == [("disk", "open")]


def test_data_that_waits_to_be_measured_is_missed(workspace: Workspace) -> None:
    with workspace.write() as session:
        monitor = make_monitor(session)
        answer(session, monitor, NOW - 3 * HOUR)
        answer(session, monitor, NOW - 2 * DAY, sealed_at=NOW - 3 * HOUR + timedelta(minutes=1))
        monitor_id = key(monitor)
    assert outlooks(workspace, monitor_id)["not_run"] is Outlook.QUIET  # no worker ran: that is what is missed
    with workspace.write() as session:
        for minute in range(0, 180, 5):
            at = NOW - timedelta(minutes=minute)
            add(session, HealthSample(at=at, process="worker", key="memory_bytes", value=1e8))
    assert outlooks(workspace, monitor_id)["not_run"] is Outlook.FIRES
    with workspace.write() as session:
        session.get_one(Monitor, monitor_id).watched_to = NOW
    assert outlooks(workspace, monitor_id)["not_run"] is Outlook.QUIET
    with workspace.write() as session:
        add(session, Batch(monitor_id=monitor_id, state="pending", added_at=NOW - 3 * HOUR))
    assert outlooks(workspace, monitor_id)["not_run"] is Outlook.FIRES


def test_labels_that_stopped_are_missed(workspace: Workspace) -> None:
    monitor_id = answer_every_hour(workspace, NOW)
    with workspace.write() as session:
        monitor = session.get_one(Monitor, monitor_id)
        for day in range(5, 20):
            for place in range(3):
                label = Label(
                    model_id=monitor.model_id,
                    prediction_id=f"{day}-{place}",
                    value="yes",
                    received_at=NOW - day * DAY,
                )
                add(session, label)
    assert outlooks(workspace, monitor_id)["no_labels"] is Outlook.FIRES


def test_a_day_put_together_tells_its_hours(workspace: Workspace) -> None:
    """Compaction makes one file of a day; what hours are usual is still known."""
    with workspace.write() as session:
        monitor = make_monitor(session)
        for back in range(1, 29):
            answer(session, monitor, (NOW - back * DAY).replace(hour=6, minute=30), rows=200)
        day = session.exec(select(PredictionSegment)).all()
        for segment in day:
            segment.to_at = segment.from_at.replace(hour=20)
            segment.hours = {"6": 150, "20": 50}
            session.add(segment)
        monitor_id = key(monitor)
    with workspace.read() as session:
        rows = signs_of(session, session.get_one(Monitor, monitor_id), NOW).hours.rows
    yesterday = rows[-15 - 24 : -15]
    assert {hour: count for hour, count in enumerate(yesterday) if count} == {6: 150, 20: 50}
    assert rows.sum() == 28 * 200


def test_many_segments_of_an_hour_are_one_row_of_what_is_read(workspace: Workspace) -> None:
    monitor_id = answer_every_hour(workspace, NOW - HOUR, days=2)
    with workspace.write() as session:
        monitor = session.get_one(Monitor, monitor_id)
        for second in range(30):
            answer(session, monitor, NOW - timedelta(seconds=60 + second), rows=2)
    found = rules(workspace, monitor_id)["no_predictions"].finding
    assert found is not None
    assert found.sentence == "The last prediction was 1 min ago."
