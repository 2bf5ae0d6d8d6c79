from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import select

from core.audit.tables import AuditEvent
from core.datasets.options import ColumnOption, ParseOptions
from core.datasets.tables import ColumnKind
from core.errors import InvalidInput, InvalidTransition, NotFound, PermissionDenied, StaleRevision
from core.monitoring import alert_queries, queries, service
from core.monitoring.monitor_settings import settings_of
from core.monitoring.tables import Alert, AlertState, Monitor, Window
from core.permissions import Actor, Role
from core.workspace import Workspace
from tests.conftest import MakeActor
from tests.factories import key, make_model_version, make_upload

OPTIONS = ParseOptions(columns=(ColumnOption("id", "id", ColumnKind.TEXT), ColumnOption("y", "y", ColumnKind.NUMBER)))


@pytest.fixture
def monitor(workspace: Workspace, now: datetime) -> Monitor:
    with workspace.write() as session:
        version = make_model_version(session)
        return service.ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=now
        )


@pytest.fixture
def alert(workspace: Workspace, monitor: Monitor, now: datetime) -> Alert:
    with workspace.write() as session:
        window = Window(
            monitor_id=key(monitor),
            version_id=1,
            label="2026-01",
            from_at=now,
            to_at=now,
            n_rows=500,
            n_features=2,
            n_drifted=1,
            state="drifted",
            computed_at=now,
            read_at=now,
        )
        session.add(window)
        session.flush()
        row = Alert(
            monitor_id=key(monitor),
            window_id=key(window),
            kind="drift",
            severity="warning",
            sentence=":red[x] has drifted.",
            since="2026-03",
            since_at=now,
            opened_at=now,
        )
        session.add(row)
        session.flush()
        return row


def test_a_monitor_is_made_once(workspace: Workspace, monitor: Monitor, now: datetime) -> None:
    with workspace.write() as session:
        again = service.ensure_monitor(
            session, model_id=monitor.model_id, environment="production", alias="champion", now=now
        )
        other = service.ensure_monitor(
            session, model_id=monitor.model_id, environment="production", alias="shadow", now=now
        )
    assert again.id == monitor.id
    assert other.id != monitor.id


def test_who_saves_settings_over_another_s_is_told_and_saves_nothing(
    workspace: Workspace, monitor: Monitor, operator: Actor, make_actor: MakeActor, now: datetime
) -> None:
    opened = settings_of(monitor)
    other = make_actor("paul", Role.OPERATOR)
    with workspace.write() as session:
        service.edit_monitor(
            session, monitor_id=key(monitor), actor=other, now=now, opened=opened, false_alerts=0.5, min_rows=60
        )
    with (
        pytest.raises(StaleRevision, match=r"paul changed .*: min_rows from 100 to 60; false_alerts from 0\.1 to 0\.5"),
        workspace.write() as session,
    ):
        service.edit_monitor(session, monitor_id=key(monitor), actor=operator, now=now, opened=opened, false_alerts=2.0)
    with workspace.read() as session:
        present = settings_of(queries.monitor(session, key(monitor)))
        assert (present.false_alerts, present.min_rows) == (0.5, 60)
    with workspace.write() as session:
        service.edit_monitor(
            session, monitor_id=key(monitor), actor=operator, now=now, opened=present, false_alerts=2.0
        )
    with workspace.read() as session:
        assert queries.monitor(session, key(monitor)).false_alerts == 2.0


EDIT: dict[str, Any] = {"window": "week", "false_alerts": 0.01, "min_rows": 50, "min_effect": 0.2}


def test_an_edit_is_kept_and_told(workspace: Workspace, monitor: Monitor, operator: Actor, now: datetime) -> None:
    with workspace.write() as session:
        service.edit_monitor(session, monitor_id=key(monitor), **EDIT, actor=operator, now=now)
    with workspace.read() as session:
        kept = queries.monitor(session, key(monitor))
        assert {name: getattr(kept, name) for name in EDIT} == EDIT
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "monitor.edited")).one()
        assert event.details["before"]["window"] == "month"
        assert event.details["after"] == EDIT


@pytest.mark.parametrize(
    "over",
    [
        {"window": "fortnight"},
        {"false_alerts": 0.0},
        {"false_alerts": 31.0},
        {"false_alerts": float("nan")},
        {"min_rows": 3},
        {"min_effect": 1.0},
    ],
    ids=str,
)
def test_an_edit_that_makes_no_sense_is_refused(
    workspace: Workspace, monitor: Monitor, operator: Actor, now: datetime, over: dict[str, Any]
) -> None:
    with workspace.write() as session, pytest.raises(InvalidInput):
        service.edit_monitor(session, monitor_id=key(monitor), **{**EDIT, **over}, actor=operator, now=now)


def test_who_may_not_is_refused(
    workspace: Workspace, monitor: Monitor, alert: Alert, viewer: Actor, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        upload = key(make_upload(session))
        with pytest.raises(PermissionDenied, match="operator"):
            service.edit_monitor(session, monitor_id=key(monitor), **EDIT, actor=scientist, now=now)
        with pytest.raises(PermissionDenied, match="add a batch"):
            service.add_batch(
                session,
                monitor_id=key(monitor),
                upload_id=upload,
                options=OPTIONS,
                time_column=None,
                actor=viewer,
                now=now,
            )
        with pytest.raises(PermissionDenied, match="add a batch"):
            service.add_labels(
                session,
                model_id=monitor.model_id,
                upload_id=upload,
                options=OPTIONS,
                id_column="id",
                label_column="y",
                actor=viewer,
                now=now,
            )
        with pytest.raises(PermissionDenied):
            service.refresh(session, monitor_id=key(monitor), actor=viewer, now=now)
        with pytest.raises(PermissionDenied, match="acknowledge an alert"):
            service.acknowledge_alert(session, alert_id=key(alert), note="", actor=scientist, now=now)
        with pytest.raises(PermissionDenied):
            service.resolve_alert(session, alert_id=key(alert), note="", actor=viewer, now=now)


@pytest.mark.parametrize(("id_column", "label_column"), [("nope", "y"), ("id", "nope"), ("id", "id")])
def test_labels_need_two_columns_that_are_there(
    workspace: Workspace, monitor: Monitor, operator: Actor, now: datetime, id_column: str, label_column: str
) -> None:
    with workspace.write() as session, pytest.raises(InvalidInput):
        service.add_labels(
            session,
            model_id=monitor.model_id,
            upload_id=key(make_upload(session)),
            options=OPTIONS,
            id_column=id_column,
            label_column=label_column,
            actor=operator,
            now=now,
        )


def test_an_alert_is_acknowledged_then_resolved_and_never_back(
    workspace: Workspace, alert: Alert, operator: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        service.acknowledge_alert(session, alert_id=key(alert), note=" looking ", actor=operator, now=now)
    with workspace.read() as session:
        row = alert_queries.alerts(session)[0]
        assert (row.state, row.note, row.acknowledged_by) == (AlertState.ACKNOWLEDGED, "looking", operator.user_id)
        assert alert_queries.open_alerts(session) == []
    with workspace.write() as session:
        service.resolve_alert(session, alert_id=key(alert), note="", actor=operator, now=now)
    with workspace.write() as session, pytest.raises(InvalidTransition):
        service.acknowledge_alert(session, alert_id=key(alert), note="", actor=operator, now=now)
    with workspace.write() as session, pytest.raises(NotFound):
        service.resolve_alert(session, alert_id=999, note="", actor=operator, now=now)
    with workspace.read() as session:
        actions = session.exec(select(AuditEvent.action).where(AuditEvent.subject_kind == "monitor")).all()
        assert list(actions) == ["alert.acknowledged", "alert.resolved"]
