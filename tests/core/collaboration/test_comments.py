"""Remarks on a subject."""

from datetime import datetime

import pytest
from sqlmodel import Session, select

from core.audit.tables import AuditEvent
from core.collaboration import queries, service
from core.errors import InvalidInput, NotFound, PermissionDenied
from core.permissions import SHELL_READS, Actor
from core.workspace import Workspace
from tests.factories import key, make_run

HOSTILE = ":red[x] ![](http://example.org) <script>alert(1)</script> =HYPERLINK(1)"


def test_remarks_are_kept_literally_in_order(viewer: Actor, reviewer: Actor, now: datetime, session: Session) -> None:
    run_id = key(make_run(session))
    for actor, body in ((viewer, HOSTILE), (reviewer, " thanks ")):
        service.add_comment(session, subject_kind="run", subject_id=run_id, body=body, actor=actor, now=now)
    found = queries.comments(session, "run", run_id)
    assert [(one.author, one.body) for one in found] == [("vera", HOSTILE), ("rita", "thanks")]
    assert queries.comments(session, "model_version", run_id) == []
    assert session.exec(select(AuditEvent.action)).all() == ["comment.added"] * 2


def test_an_auditor_reads_and_does_not_remark(auditor: Actor, now: datetime, session: Session) -> None:
    run_id = key(make_run(session))
    with pytest.raises(PermissionDenied, match="add a comment"):
        service.add_comment(session, subject_kind="run", subject_id=run_id, body="x", actor=auditor, now=now)


def test_who_has_no_account_does_not_remark(workspace: Workspace, now: datetime) -> None:
    shell = Actor(user_id=None, name="shell", roles=frozenset(), via="shell", extra=SHELL_READS)
    with workspace.write() as session, pytest.raises(PermissionDenied):
        service.add_comment(session, subject_kind="run", subject_id=1, body="x", actor=shell, now=now)


@pytest.mark.parametrize("body", ["", "  \n ", "x" * 10_001])
def test_a_blank_or_endless_remark_is_refused(viewer: Actor, body: str, now: datetime, session: Session) -> None:
    run_id = key(make_run(session))
    with pytest.raises(InvalidInput, match="1 to 10,000"):
        service.add_comment(session, subject_kind="run", subject_id=run_id, body=body, actor=viewer, now=now)


def test_only_what_exists_can_be_remarked_on(viewer: Actor, now: datetime, session: Session) -> None:
    with pytest.raises(NotFound, match="run 9"):
        service.add_comment(session, subject_kind="run", subject_id=9, body="x", actor=viewer, now=now)
    with pytest.raises(InvalidInput, match="cannot be commented on"):
        service.add_comment(session, subject_kind="weather", subject_id=9, body="x", actor=viewer, now=now)
