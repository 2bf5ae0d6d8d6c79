"""Incidents opened, taken over, acted on and resolved: by a click, twice, in a second tab, by who may not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from core.audit.service import verify
from core.audit.tables import AuditEvent
from core.errors import InvalidInput, InvalidTransition, NotFound, PermissionDenied
from core.governance.inbox import inbox
from core.incidents import queries, service
from core.incidents.evidence import Evidence, FeatureEvidence
from core.incidents.lifecycle import INCIDENT_MOVES, move_incident
from core.incidents.opening import open_due
from core.incidents.signs import Sign
from core.incidents.tables import Incident, IncidentAction, IncidentState
from core.incidents.triage import triage
from core.monitoring.alert_log import close_alert, fire_again
from core.monitoring.alerting import Firing
from core.monitoring.service import ensure_monitor, resolve_alert
from core.monitoring.tables import Alert, AlertState, Window
from core.permissions import Actor, system_actor
from core.workspace import Workspace
from tests.factories import add, key, make_model, make_model_version

FOUND = triage(
    Evidence(
        "2026-02",
        500,
        100,
        features=(
            FeatureEvidence("hours", "number", True, 0.9, 0.1, signs=(Sign("unit_change", "hours is in minutes."),)),
        ),
    )
)
QUIET = triage(Evidence("2026-03", 500, 100))


@pytest.fixture
def ids(workspace: Workspace, now: datetime) -> dict[str, int]:
    """A monitor with two windows and an alert of each kind."""
    with workspace.write() as session:
        version = make_model_version(session, model_id=key(make_model(session, name="pay")))
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=now
        )
        made = {"monitor": key(monitor)}
        for place, label in enumerate(("2026-01", "2026-02")):
            at = now + timedelta(days=30 * place)
            window = Window(
                monitor_id=key(monitor), version_id=key(version), label=label, from_at=at,
                to_at=at + timedelta(days=30), n_rows=500, n_features=2, n_drifted=1, state="drifted",
                computed_at=now, read_at=now,
            )  # fmt: skip
            made[label] = key(add(session, window))
        for kind, severity in (("drift", "warning"), ("performance", "critical")):
            made[kind] = key(add(session, _alert(made, kind, severity, now + timedelta(days=30))))
        return made


def _alert(made: dict[str, int], kind: str, severity: str, at: datetime, **over: Any) -> Alert:
    return Alert(
        **{
            "monitor_id": made["monitor"], "window_id": made["2026-02"], "kind": kind, "severity": severity,
            "sentence": f"{kind} :red[x].", "since": "2026-02", "since_at": at, "opened_at": at, **over,
        }
    )  # fmt: skip


def opened(workspace: Workspace, ids: dict[str, int], actor: Actor, now: datetime) -> int:
    with workspace.write() as session:
        return key(service.open_from_window(session, window_id=ids["2026-02"], triage=FOUND, actor=actor, now=now))


def test_an_incident_takes_the_monitors_alerts_with_it(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with workspace.read() as session:
        found = queries.incident(session, incident_id)
        assert found.title == "pay: data arrives wrong in 2026-02"
        assert (found.cause, found.severity, found.state) == ("pipeline_fault", "critical", IncidentState.OPEN)
        assert found.findings["features"][0]["signs"] == ["hours is in minutes."]
        assert found.findings["window"] == "2026-02"
        assert {alert.kind for alert in queries.alerts_of(session, incident_id)} == {"drift", "performance"}
        row = queries.list_incidents(session)[0]
        assert (row.subject, row.cause, row.n_alerts) == ("pay champion (production)", "Pipeline fault", 2)


def test_what_goes_on_for_longer_is_titled_by_its_first_window(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        drift = session.get_one(Alert, ids["drift"])
        drift.since, drift.since_at = "2026-01", now
    with workspace.read() as session:
        window = session.get_one(Window, ids["2026-02"])
        alerts = [session.get_one(Alert, ids[kind]) for kind in ("drift", "performance")]
        assert service._title(session, ids["monitor"], window, FOUND, alerts) == "pay: data arrives wrong in 2026-02"
        assert (
            service._title(session, ids["monitor"], window, FOUND, alerts[:1])
            == "pay: data arrives wrong since 2026-01"
        )
        assert service._title(session, ids["monitor"], window, FOUND, []) == "pay: data arrives wrong in 2026-02"


def test_a_second_click_and_a_second_tab_make_no_second_incident(
    workspace: Workspace, ids: dict[str, int], operator: Actor, scientist: Actor, now: datetime
) -> None:
    first = opened(workspace, ids, operator, now)
    assert opened(workspace, ids, operator, now + timedelta(seconds=1)) == first
    with workspace.write() as session:
        again = service.open_from_alert(session, alert_id=ids["drift"], triage=FOUND, actor=operator, now=now)
        assert again.id == first
    with workspace.read() as session:
        assert len(session.exec(select(Incident)).all()) == 1
        assert [event.action for event in _events(session)] == ["incident.opened"]


def test_a_later_alert_joins_the_incident_that_is_open(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        late = key(add(session, _alert(ids, "prediction_drift", "critical", now + timedelta(days=40))))
    with workspace.write() as session:
        service.open_from_alert(session, alert_id=late, triage=QUIET, actor=operator, now=now)
    with workspace.read() as session:
        assert len(queries.alerts_of(session, incident_id)) == 3
        assert queries.incident(session, incident_id).cause == "pipeline_fault"
        assert [event.action for event in _events(session)] == ["incident.opened", "incident.widened"]


def test_after_it_is_resolved_what_comes_back_is_another_incident(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    first = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        service.resolve(session, incident_id=first, outcome="Units were mixed up.", actor=operator, now=now)
    with workspace.write() as session:
        fresh = key(add(session, _alert(ids, "drift", "warning", now + timedelta(days=31), window_id=ids["2026-01"])))
        other = service.open_from_alert(session, alert_id=fresh, triage=FOUND, actor=operator, now=now)
        assert other.id != first
    with workspace.read() as session:
        rows = queries.list_incidents(session)
        assert [row.state for row in rows] == [IncidentState.OPEN, IncidentState.RESOLVED]
        assert [row.id for row in queries.list_incidents(session, unresolved=True)] == [other.id]


def test_resolving_closes_its_alerts_with_the_outcome(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome=" Fixed the feed. ", actor=operator, now=now)
    with workspace.read() as session:
        found = queries.incident(session, incident_id)
        assert (found.state, found.outcome, found.resolved_at) == (IncidentState.RESOLVED, "Fixed the feed.", now)
        for alert in queries.alerts_of(session, incident_id):
            assert (alert.state, alert.note, alert.acknowledged_by) == (
                AlertState.RESOLVED, "Fixed the feed.", operator.user_id,
            )  # fmt: skip
        assert verify(session).intact


def test_resolving_needs_an_outcome_and_works_once(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with pytest.raises(InvalidInput, match="Say how it ended"), workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome="  ", actor=operator, now=now)
    with workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome="Done.", actor=operator, now=now)
    changes: list[Any] = [
        lambda session: service.resolve(session, incident_id=incident_id, outcome="Done.", actor=operator, now=now),
        lambda session: service.take_over(session, incident_id=incident_id, actor=operator, now=now),
        lambda session: service.record_action(
            session, incident_id=incident_id, kind="watch", note="", actor=operator, now=now
        ),
        lambda session: service.look_again(
            session, incident_id=incident_id, window_id=None, triage=QUIET, actor=operator, now=now
        ),
    ]
    for change in changes:
        with pytest.raises(InvalidTransition, match="This incident is resolved"), workspace.write() as session:
            change(session)


def test_a_note_may_still_be_added_afterwards(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome="Done.", actor=operator, now=now)
        service.add_note(session, incident_id=incident_id, note="The supplier confirms.", actor=operator, now=now)
    with workspace.read() as session:
        assert [(row.kind, row.note, row.actor) for row in queries.actions(session, incident_id)] == [
            ("note", "The supplier confirms.", "olga")
        ]


def test_taking_over_and_acting_move_it_and_are_told_once(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    for _ in range(2):
        with workspace.write() as session:
            service.take_over(session, incident_id=incident_id, actor=operator, now=now)
            service.record_action(
                session, incident_id=incident_id, kind="roll_back", note="To v1.", actor=operator, now=now
            )
            service.add_note(session, incident_id=incident_id, note="Asked the supplier.", actor=operator, now=now)
    with workspace.read() as session:
        found = queries.incident(session, incident_id)
        assert (found.state, queries.owner_name(session, incident_id)) == (IncidentState.ACTING, "olga")
        assert len(session.exec(select(IncidentAction)).all()) == 2
        assert [event.action for event in _events(session)] == [
            "incident.opened", "incident.taken_over", "incident.acted_on", "incident.noted",
        ]  # fmt: skip
    with workspace.write() as session:
        service.add_note(
            session, incident_id=incident_id, note="Asked the supplier.", actor=operator, now=now + timedelta(hours=1)
        )
    with workspace.read() as session:
        assert len(session.exec(select(IncidentAction)).all()) == 3


def test_an_incident_becomes_as_severe_as_its_alerts_and_stays_so(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        session.get_one(Alert, ids["performance"]).severity = "warning"
    incident_id = opened(workspace, ids, operator, now)
    system = system_actor()

    def is_now(severity: str, at: datetime) -> str:
        with workspace.write() as session:
            alert = session.get_one(Alert, ids["drift"])
            firing = Firing("drift", severity, f"Half of it is {severity}.")
            fire_again(session, monitor=None, alert=alert, firing=firing, actor=system, now=at)
        open_due(workspace, at)
        with workspace.read() as session:
            return queries.incident(session, incident_id).severity

    assert is_now("warning", now) == "warning"
    assert is_now("critical", now + timedelta(hours=1)) == "critical"
    assert is_now("critical", now + timedelta(hours=2)) == "critical"
    assert is_now("warning", now + timedelta(hours=3)) == "critical"
    with workspace.read() as session:
        (told,) = queries.actions(session, incident_id)
        assert (told.kind, told.actor, told.at) == ("worsened", None, now + timedelta(hours=1))
        assert told.note == "It became critical with an alert: Half of it is critical."
        assert [event.action for event in _events(session)] == ["incident.opened", "incident.worsened"]
        details = _events(session)[-1].details
        assert details == {"alert": ids["drift"], "before": "warning", "after": "critical"}
        assert verify(session).intact


def test_a_worse_alert_that_joins_makes_it_worse_and_that_is_told(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        session.get_one(Alert, ids["performance"]).severity = "warning"
    incident_id = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        add(session, _alert(ids, "stale", "critical", now + timedelta(days=40), window_id=None))
    open_due(workspace, now)
    with workspace.read() as session:
        assert queries.incident(session, incident_id).severity == "critical"
        assert [one.kind for one in queries.actions(session, incident_id)] == ["worsened"]
        assert [event.action for event in _events(session)][1:] == ["incident.widened", "incident.worsened"]


def test_it_stays_open_when_its_alerts_are_over_and_says_since_when(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    last = now + timedelta(hours=2)

    def ended() -> dict[int, datetime | None]:
        with workspace.read() as session:
            return queries.ended(session)

    with workspace.write() as session:
        close_alert(
            session, monitor=None, alert=session.get_one(Alert, ids["drift"]), note="Quiet.", actor=operator,
            now=now + timedelta(hours=1),
        )  # fmt: skip
    assert ended() == {}
    with workspace.write() as session:
        resolve_alert(session, alert_id=ids["performance"], note="Seen.", actor=operator, now=last)
    assert ended() == {incident_id: last}
    open_due(workspace, now + timedelta(days=1))
    with workspace.read() as session:
        assert queries.incident(session, incident_id).state == IncidentState.OPEN
        assert [row.ended for row in queries.list_incidents(session)] == [True]
    with workspace.write() as session:
        fire_again(
            session, monitor=None, alert=session.get_one(Alert, ids["drift"]), actor=operator, now=last,
            firing=Firing("drift", "warning", "Again."),
        )  # fmt: skip
    assert ended() == {}
    with workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome="Over.", actor=operator, now=last)
    assert ended() == {}


def test_without_alerts_it_is_not_said_to_be_over(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        for kind in ("drift", "performance"):
            session.delete(session.get_one(Alert, ids[kind]))
    opened(workspace, ids, operator, now)
    with workspace.read() as session:
        assert queries.ended(session) == {}


def test_the_inbox_puts_the_worst_first_then_the_longest_wait_and_what_is_over_last(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        made = {"monitor": None, "2026-02": None}
        kinds = (("queue", "warning", 1), ("latency", "warning", 3), ("disk", "critical", 5), ("memory", "critical", 9))
        for kind, severity, hours in kinds:
            at = now + timedelta(hours=hours)
            add(session, _alert(made, kind, severity, at, opened_at=at, sentence=kind))  # type: ignore[arg-type]
    incident_id = opened(workspace, ids, operator, now)

    def order() -> list[str]:
        with workspace.read() as session:
            found = inbox(session, operator, now + timedelta(days=1))
            return [one.kind if one.kind.endswith("incident") else one.sentence for one in found]

    assert order() == ["incident", "disk", "memory", "queue", "latency"]
    with workspace.write() as session:
        for alert in queries.alerts_of(session, incident_id):
            close_alert(session, monitor=None, alert=alert, note="Quiet.", actor=operator, now=now)
    assert order() == ["disk", "memory", "queue", "latency", "ended_incident"]
    with workspace.read() as session:
        reason = inbox(session, operator, now + timedelta(days=1))[-1].reason
    assert reason.startswith(f"All its alerts have been over since {now:%-d %b %Y, %H:%M} UTC.")


def test_looking_again_replaces_what_was_found_and_keeps_the_old_cause_in_the_log(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with workspace.write() as session:
        service.look_again(
            session, incident_id=incident_id, window_id=ids["2026-01"], triage=QUIET, actor=operator, now=now
        )
    with workspace.read() as session:
        found = queries.incident(session, incident_id)
        assert (found.cause, found.window_id, found.findings["window"]) == ("none", ids["2026-01"], "2026-01")
        assert _events(session)[-1].details == {"before": "pipeline_fault", "after": "none"}


def test_what_is_not_there_or_makes_no_sense_is_refused_in_words(
    workspace: Workspace, ids: dict[str, int], operator: Actor, now: datetime
) -> None:
    incident_id = opened(workspace, ids, operator, now)
    with pytest.raises(NotFound, match="no incident 99"), workspace.write() as session:
        service.add_note(session, incident_id=99, note="x", actor=operator, now=now)
    with (
        pytest.raises(InvalidInput, match=r"'pray' is no remedy\. Choose one of: fix_pipeline"),
        workspace.write() as s,
    ):
        service.record_action(s, incident_id=incident_id, kind="pray", note="", actor=operator, now=now)
    with pytest.raises(InvalidInput, match="The note is empty"), workspace.write() as session:
        service.add_note(session, incident_id=incident_id, note=" ", actor=operator, now=now)
    with workspace.write() as session:
        session.get_one(Alert, ids["drift"]).incident_id = None
        session.get_one(Alert, ids["drift"]).state = AlertState.RESOLVED
    with pytest.raises(InvalidTransition), workspace.write() as session:
        service.open_from_alert(session, alert_id=ids["drift"], triage=FOUND, actor=operator, now=now)


def test_who_may_not_acknowledge_alerts_may_not_open_incidents(
    workspace: Workspace, ids: dict[str, int], viewer: Actor, scientist: Actor, now: datetime
) -> None:
    for actor in (viewer, scientist):
        with pytest.raises(PermissionDenied, match="operator"):
            opened(workspace, ids, actor, now)


@pytest.mark.parametrize("current", IncidentState)
@pytest.mark.parametrize("wanted", IncidentState)
def test_only_the_moves_of_the_table_are_made(current: IncidentState, wanted: IncidentState) -> None:
    if wanted in INCIDENT_MOVES[current]:
        assert move_incident(current, wanted) == wanted
    else:
        with pytest.raises(InvalidTransition):
            move_incident(current, wanted)


def _events(session: Any) -> list[AuditEvent]:
    query = select(AuditEvent).where(col(AuditEvent.action).startswith("incident.")).order_by(col(AuditEvent.number))
    return list(session.exec(query))


def test_harm_on_labels_is_looked_at_before_a_later_window_that_has_none(
    workspace: Workspace, ids: dict[str, int], now: datetime
) -> None:
    with workspace.write() as session:
        harm = session.get_one(Alert, ids["performance"])
        harm.window_id = ids["2026-01"]  # drift goes on into February, whose labels are still to come
        session.add(harm)
    with workspace.read() as session:
        alerts = queries.alerts_without(session)
        assert queries.window_to_look_at(session, alerts) == ids["2026-01"]
        assert queries.window_to_look_at(session, [one for one in alerts if one.kind == "drift"]) == ids["2026-02"]
        assert queries.window_to_look_at(session, []) is None
