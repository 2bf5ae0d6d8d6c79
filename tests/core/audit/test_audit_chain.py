"""The chain of events: whatever is done to a stored row is found and named."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text

from core.audit.service import head_number, record, verify
from core.permissions import Actor
from core.workspace import Workspace


@pytest.fixture
def logged(workspace: Workspace, auditor: Actor, now: datetime) -> Workspace:
    """Ten events, two by two."""
    for action in range(5):
        with workspace.write() as session:
            for place in (0, 1):
                record(
                    session,
                    actor=auditor,
                    action="thing.changed",
                    subject_kind="thing",
                    subject_id=action * 2 + place,
                    subject_label=f"thing {action}",
                    now=now,
                    details={"é": 0.1, "none": None},
                )
    return workspace


def breaks(workspace: Workspace) -> list[int]:
    with workspace.read() as session:
        return [found.number for found in verify(session).breaks]


def change(workspace: Workspace, *statements: str) -> None:
    with workspace.write() as session:
        for statement in statements:
            session.execute(text(statement))


def test_untouched_chain_is_intact_and_actions_share_an_id(logged: Workspace) -> None:
    with logged.read() as session:
        report = verify(session)
        ids = [row[0] for row in session.execute(text("SELECT action_id FROM audit_event ORDER BY number"))]
        assert head_number(session) == 10
    assert report.intact
    assert (report.events, report.head_number) == (10, 10)
    assert [ids[place] == ids[place + 1] for place in range(9)] == [True, False] * 4 + [True]


@pytest.mark.parametrize(
    "column",
    [
        "at = '2020-01-01 00:00:00.000000'",
        "action_id = 'x'",
        "action = 'thing.deleted'",
        "actor_id = NULL",
        "actor_name = 'eve'",
        "via = 'shell'",
        "os_user = 'root'",
        "subject_kind = 'other'",
        "subject_id = 99",
        "subject_label = 'another'",
        "details = '{}'",
    ],
)
def test_edited_event_is_named(logged: Workspace, column: str) -> None:
    change(logged, f"UPDATE audit_event SET {column} WHERE number = 4")
    assert breaks(logged) == [4]


def test_edited_event_with_its_own_hash_mended_shows_at_the_next(logged: Workspace) -> None:
    from core.audit.chain import event_hash
    from core.audit.service import _fields
    from core.audit.tables import AuditEvent

    with logged.write() as session:
        event = session.get_one(AuditEvent, 4)
        event.actor_name = "eve"
        event.hash = event_hash(event.previous_hash, _fields(event))
        session.add(event)
    assert breaks(logged) == [5]


def test_removed_event_is_named(logged: Workspace) -> None:
    change(logged, "DELETE FROM audit_event WHERE number = 4")
    with logged.read() as session:
        report = verify(session)
    assert [found.number for found in report.breaks] == [5]
    assert "events 4 to 4 are missing" in report.breaks[0].reason


def test_removed_event_with_the_rest_renumbered_is_found(logged: Workspace) -> None:
    change(
        logged,
        "DELETE FROM audit_event WHERE number = 4",
        "UPDATE audit_event SET number = -number WHERE number > 4",
        "UPDATE audit_event SET number = -number - 1 WHERE number < 0",
    )
    assert 4 in breaks(logged)


def test_swapped_events_are_found(logged: Workspace) -> None:
    change(
        logged,
        "UPDATE audit_event SET number = -1 WHERE number = 3",
        "UPDATE audit_event SET number = 3 WHERE number = 4",
        "UPDATE audit_event SET number = 4 WHERE number = -1",
    )
    assert {3, 4} <= set(breaks(logged))


def test_inserted_event_is_found(logged: Workspace) -> None:
    change(
        logged,
        "UPDATE audit_event SET number = number + 100 WHERE number > 5",
        "INSERT INTO audit_event SELECT 6, at, action_id, action, actor_id, 'eve', via, os_user, subject_kind, "
        "subject_id, subject_label, details, hash, hash FROM audit_event WHERE number = 5",
        "UPDATE audit_event SET number = number - 99 WHERE number > 100",
    )
    assert 6 in breaks(logged)


def test_change_that_is_rolled_back_leaves_no_event(logged: Workspace, auditor: Actor, now: datetime) -> None:
    def break_off() -> None:
        with logged.write() as session:
            record(
                session,
                actor=auditor,
                action="thing.changed",
                subject_kind="thing",
                subject_id=1,
                subject_label="",
                now=now,
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with logged.read() as session:
        assert head_number(session) == 10
