"""What a mistake costs: kept in the order of the labels, refused where it makes no sense, audited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session, col, select

from core.audit.tables import AuditEvent
from core.datasets import queries, service
from core.datasets.costs import BinaryCosts, checked, in_words, labels_of, of_mistakes
from core.errors import InvalidInput, PermissionDenied
from core.permissions import Actor
from core.workspace import Workspace
from tests.core.datasets.conftest import AddVersion
from tests.factories import key, make_dataset

GIVEN = {"labels": ["yes", "no"], "matrix": [[0, 10], [1, 0]]}
KEPT = {"labels": ["no", "yes"], "matrix": [[0.0, 1.0], [10.0, 0.0]]}


def test_costs_are_kept_in_the_order_of_the_labels() -> None:
    assert checked(GIVEN, ("no", "yes")) == KEPT
    assert of_mistakes(("yes", "no"), miss=10, false_alarm=1) == KEPT
    assert in_words(KEPT) == "no taken for yes costs 1, yes taken for no 10"
    gain = {"labels": ["a", "b"], "matrix": [[0, 2], [3, -5]]}
    assert in_words(checked(gain, None)) == "a taken for b costs 2, b taken for a 3, b rightly called so -5"


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"labels": ["yes"]}, "2 to 20 different labels"),
        ({"labels": ["yes", "yes"]}, "2 to 20 different labels"),
        ({"labels": ["yes", "maybe"]}, "the target has 'no', 'yes'"),
        ({"matrix": [[0, 1]]}, "2 rows and columns"),
        ({"matrix": [[0, 1], [1]]}, "2 rows and columns"),
        ({"matrix": [[0, float("nan")], [1, 0]]}, "not a finite number"),
        ({"matrix": [[0, "1"], [1, 0]]}, "not a finite number"),
        ({"matrix": [[0, True], [1, 0]]}, "not a finite number"),
        ({"matrix": [[2, 1], [1, 0]]}, "less than being right"),
        ({"matrix": [[0, 0], [0, 0]]}, "No mistake costs anything"),
        ({"more": 1}, "true labels as rows"),
        ({"labels": 2}, "true labels as rows"),
        ({"matrix": [0, 1]}, "true labels as rows"),
    ],
)
def test_costs_that_make_no_sense_are_refused(over: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        checked(GIVEN | over, ("no", "yes"))


def test_a_miss_belongs_to_a_question_with_two_answers() -> None:
    with pytest.raises(InvalidInput, match="this one has 3"):
        of_mistakes(("a", "b", "c"), miss=1, false_alarm=1)


def test_costs_are_read_for_the_classes_of_a_model() -> None:
    kept = checked({"labels": ["no", "yes"], "matrix": [[0, 1], [5, -2]]}, None)
    assert BinaryCosts.of(kept, ("no", "yes")) == BinaryCosts(1, 5, hit=-2)
    assert BinaryCosts.of({**kept, "labels": ["yes", "no"]}, ("no", "yes")) == BinaryCosts(5, 1, rest=-2)
    assert BinaryCosts.of(kept, ("0", "1")) is None
    assert BinaryCosts.of(kept, ()) is None
    assert BinaryCosts.of(None, ("no", "yes")) is None
    assert BinaryCosts(1, 5).in_words() == "a false alarm costs 1 and a miss 5"
    assert BinaryCosts(1, 5, hit=-2).in_words().endswith(", a hit -2 and a rightly left row 0")


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"false_alarm": -1}, "less than being right"),
        ({"miss": 1, "hit": 2}, "less than being right"),
        ({"false_alarm": 0, "miss": 0}, "No mistake costs anything"),
        ({"false_alarm": float("inf")}, "not a finite number"),
    ],
)
def test_two_costs_that_weigh_nothing_are_refused(over: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        BinaryCosts(**{"false_alarm": 1, "miss": 5} | over)


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        ({"kind": "category", "n_distinct": 2, "top": [{"value": "yes"}, {"value": "no"}]}, ("no", "yes")),
        ({"kind": "category", "n_distinct": 30, "top": [{"value": str(i)} for i in range(20)]}, None),
        ({"kind": "category", "n_distinct": 2, "top": [{"value": "x" * 200}, {"value": "no"}]}, None),
        ({"kind": "integer", "n_distinct": 2, "min": 0, "max": 1, "top": None}, ("0", "1")),
        ({"kind": "number", "n_distinct": 2, "min": 0.0, "max": 1.5, "top": None}, ("0", "1.5")),
        ({"kind": "integer", "n_distinct": 3, "min": 0, "max": 2, "top": None}, None),
        ({"kind": "date", "n_distinct": 2, "min": "2026-01-01", "max": "2026-01-02", "top": None}, None),
        (None, None),
    ],
)
def test_the_labels_are_read_off_the_profile(column: dict[str, Any] | None, labels: tuple[str, ...] | None) -> None:
    assert labels_of(column) == labels


def test_costs_are_set_changed_and_taken_back_with_their_events(
    workspace: Workspace, scientist: Actor, now: datetime, add_version: AddVersion
) -> None:
    lines = "\n".join(f"{age},{'yes' if age % 3 else 'no'}" for age in range(18, 60))
    dataset_id = add_version(f"age,member\n{lines}\n", target="member").dataset_id
    with workspace.write() as session:
        assert queries.target_labels(session, dataset_id) == ("no", "yes")
        service.set_costs(session, dataset_id=dataset_id, costs=GIVEN, actor=scientist, now=now)
    with workspace.read() as session:
        assert queries.dataset(session, dataset_id).costs == KEPT
    with workspace.write() as session:
        service.set_costs(session, dataset_id=dataset_id, costs=None, actor=scientist, now=now)
    with workspace.read() as session:
        assert queries.dataset(session, dataset_id).costs is None
        events = session.exec(
            select(AuditEvent).where(AuditEvent.action == "dataset.costs_set").order_by(col(AuditEvent.number))
        ).all()
        assert [event.details["costs"] for event in events] == [KEPT, None]
        assert events[1].details["before"] == KEPT


def test_costs_need_a_target_its_labels_and_the_permission(
    scientist: Actor, viewer: Actor, now: datetime, session: Session
) -> None:
    without = key(make_dataset(session, target=None))
    with pytest.raises(InvalidInput, match="has no target"):
        service.set_costs(session, dataset_id=without, costs=GIVEN, actor=scientist, now=now)
    with pytest.raises(PermissionDenied):
        service.set_costs(session, dataset_id=without, costs=None, actor=viewer, now=now)
