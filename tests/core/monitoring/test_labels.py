from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, SQLModel, create_engine

from core.monitoring.labels import KeptLabel, kept_labels, mark_known, put_labels, unknown_labels
from core.monitoring.performance import places_of, truths
from core.serving.tables import Label
from tests.factories import NOW

IDS = ("p1", "p2", "p3", "p4")
Files = list[tuple[int, dict[str, str]]]


@pytest.fixture
def session() -> Session:
    # Without the tables around it: what is asked here is what one statement leaves.
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine, tables=[Label.__table__])  # type: ignore[attr-defined]
    return Session(engine)


def at(hours: int) -> datetime:
    return NOW + timedelta(hours=hours)


def put(session: Session, files: Files) -> dict[str, KeptLabel]:
    session.connection().exec_driver_sql("DELETE FROM label")
    for hours, labels in files:
        put_labels(session, model_id=1, labels=labels, received_at=at(hours))
    return kept_labels(session, 1, IDS)


@settings(max_examples=20, deadline=None)
@given(
    files=st.lists(
        st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from(IDS), st.sampled_from(["yes", "no"]), min_size=1)),
        min_size=1,
        max_size=4,
    ),
    again=st.integers(0, 3),
    order=st.randoms(use_true_random=False),
)
def test_files_in_any_order_and_twice_leave_the_same_labels(files: Files, again: int, order: random.Random) -> None:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine, tables=[Label.__table__])  # type: ignore[attr-defined]
    with Session(engine) as session:
        expected = put(session, files)
        shuffled = [*files, files[again % len(files)]]
        order.shuffle(shuffled)
        assert put(session, shuffled) == expected
        for one, kept in expected.items():
            told = [(hours, labels[one]) for hours, labels in files if one in labels]
            assert (kept.value, kept.first_at) == (max(told)[1], at(min(told)[0]))


def test_a_correction_is_no_late_arrival(session: Session) -> None:
    for order in permutations([(1, {"p1": "yes"}), (30, {"p1": "no"}), (50, {"p1": "no"})]):
        assert put(session, list(order)) == {"p1": KeptLabel("no", at(1), False)}


def test_labels_of_unknown_predictions_are_counted_until_the_predictions_come(session: Session) -> None:
    assert unknown_labels(session, 1).n == 0
    assert unknown_labels(session, 1).since is None
    put(session, [(5, {f"late{number}": "yes" for number in range(300)}), (2, {"first": "no"})])
    put_labels(session, model_id=2, labels={"other": "yes"}, received_at=at(0))
    found = unknown_labels(session, 1)
    assert (found.n, found.ids[0], len(found.ids), found.since) == (301, "first", 5, at(2))
    mark_known(session, model_id=1, ids=[f"late{number}" for number in range(300)])
    assert (unknown_labels(session, 1).n, unknown_labels(session, 1).ids) == (1, ("first",))
    put_labels(session, model_id=1, labels={"late7": "no"}, received_at=at(9))
    assert kept_labels(session, 1, ["late7", "never"]) == {
        "late7": KeptLabel("no", at(5), True)
    }  # corrected, and still known


def test_ids_are_found_among_those_told_of_whatever_is_missing_or_comes_twice() -> None:
    ids = pa.chunked_array([pa.array(["b", None, ""]), pa.array(["a", "c", "b"])])
    places, listed = places_of(ids, ["a", "", "b", "z"])
    assert [None if place < 0 else listed[place] for place in places] == ["b", None, None, "a", None, "b"]
    assert places_of(ids, [])[0].tolist() == [-1] * 6
    rows = pa.table({"prediction_id": ids, "label": ["1", "2", None, "4", "5", "6"]})
    assert truths(rows, {"a": "told", "": "nobody's", "z": "elsewhere"}) == ["1", "2", None, "told", "5", "6"]
