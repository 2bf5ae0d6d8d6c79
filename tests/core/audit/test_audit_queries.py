from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from core.audit import queries
from core.audit.sentences import sentence
from core.audit.service import record
from core.permissions import Actor


@pytest.fixture
def told(scientist: Actor, reviewer: Actor, session: Session, now: datetime) -> Session:
    for day, (actor, action, kind) in enumerate(
        [
            (scientist, "dataset_version.added", "dataset_version"),
            (scientist, "run.requested", "run"),
            (reviewer, "promotion_request.approved", "promotion_request"),
            (scientist, "run.requested", "run"),
        ]
    ):
        record(
            session, actor=actor, action=action, subject_kind=kind, subject_id=day + 1,
            subject_label=f"{kind} {day}", now=now + timedelta(days=day),
        )  # fmt: skip
    return session


def test_events_come_newest_first_and_page_by_number(told: Session) -> None:
    first = queries.events(told, limit=3)
    assert [event.number for event in first] == [4, 3, 2]
    assert [event.number for event in queries.events(told, limit=3, before=first[-1].number)] == [1]


def test_filters_narrow_the_log(told: Session, scientist: Actor, now: datetime) -> None:
    assert {event.number for event in queries.events(told, limit=9, actor_name=scientist.name)} == {1, 2, 4}
    assert {event.number for event in queries.events(told, limit=9, action="run.requested")} == {2, 4}
    wanted = ["promotion_request.approved", "dataset_version.added"]
    assert {event.number for event in queries.events(told, limit=9, any_action=wanted)} == {1, 3}
    assert {event.number for event in queries.events(told, limit=9, since=now + timedelta(days=2))} == {3, 4}


def test_what_can_be_filtered_by(told: Session, scientist: Actor, reviewer: Actor, now: datetime) -> None:
    assert queries.actor_names(told) == sorted([scientist.name, reviewer.name])
    assert queries.actions(told) == ["dataset_version.added", "promotion_request.approved", "run.requested"]
    assert queries.counts_since(told, now + timedelta(days=1)) == {"run.requested": 2, "promotion_request.approved": 1}


@pytest.mark.parametrize(
    ("action", "label", "expected"),
    [
        ("model_version.registered", "income v3", "registered income v3"),
        ("dataset_version.added", "income v2", "added income v2"),
        ("run.requested", "run 12", "started run 12"),
        ("user.signed_in", "ana", "signed in"),
        ("user.switched_off", "{label}", "switched off the account {label}"),
        ("promotion_request.changes_requested", "x v2 as champion", "asked for changes to x v2 as champion"),
        ("promotion_request.gate_waived", "x v2 as champion", "waived a gate for x v2 as champion"),
        ("model_version.behaviour_tested", "x v2", "ran the behaviour suite on x v2"),
        ("run.analysed", "run 4", "analysed run 4"),
        ("token.created", "ci", "created token ci"),
    ],
)
def test_an_event_reads_as_a_sentence(action: str, label: str, expected: str) -> None:
    assert sentence(action, label) == expected
