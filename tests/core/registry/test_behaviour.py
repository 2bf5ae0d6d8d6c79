"""Behaviour tests: a model that passes each and one that fails it; suites and their results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlmodel import Session

from core.datasets.tables import Outcome
from core.errors import InvalidInput
from core.permissions import Actor
from core.registry import queries, suites
from core.registry.behaviour import (
    BEHAVIOUR_TESTS,
    Trial,
    checked_suite,
    default_suite,
    run_suite,
    title_of,
)
from core.training.models import FittedModel
from tests.factories import key, make_model_version

KINDS = {"age": "number", "pay": "number"}


def model(score: Callable[[pd.DataFrame], Any], task: str = "binary") -> FittedModel:
    """A model whose answer is any function of the frame."""

    class Answers:
        def predict_proba(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
            positive = np.asarray(score(frame), dtype=float)
            return np.column_stack([1 - positive, positive])

        def predict(self, frame: pd.DataFrame) -> Any:
            return np.asarray(score(frame), dtype=float)

    signature = {
        "task": task,
        "target": "y",
        "classes": ["no", "yes"] if task == "binary" else None,
        "features": [{"name": name, "kind": kind} for name, kind in KINDS.items()],
    }
    return FittedModel(Answers(), signature)


def trial(fitted: FittedModel, n_rows: int = 200, size_bytes: int = 1000) -> Trial:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.uniform(20, 60, n_rows), "pay": rng.normal(size=n_rows)})
    return Trial(fitted, frame, size_bytes, np.random.default_rng(1))


def found(fitted: FittedModel, entry: dict[str, Any], **over: Any) -> dict[str, Any]:
    (complete,) = checked_suite([entry], KINDS)
    (outcome,) = run_suite(trial(fitted, **over), [complete])
    return outcome


def by_age(frame: pd.DataFrame) -> Any:
    return 1 / (1 + np.exp(-(frame["age"].fillna(40) - 40) / 4).clip(upper=1e9))


GOOD = model(by_age)
JUMPY = model(lambda frame: (np.floor(frame["pay"].fillna(0) * 1e4) % 2 == 0).astype(float))
BROKEN = model(lambda frame: np.where(frame["age"].isna() | (frame["age"] > 100), np.nan, 0.7))


@pytest.mark.parametrize(
    ("entry", "passes", "fails"),
    [
        ({"test": "invariance", "column": "pay"}, GOOD, model(lambda frame: (frame["pay"] > 0).astype(float))),
        ({"test": "direction", "column": "age"}, GOOD, model(lambda frame: 1 - by_age(frame))),
        ({"test": "direction", "column": "age", "direction": "down"}, model(lambda frame: 1 - by_age(frame)), GOOD),
        ({"test": "noise"}, GOOD, JUMPY),
        ({"test": "missing_columns", "limit": 0.6}, GOOD, BROKEN),
        ({"test": "extremes"}, GOOD, BROKEN),
        ({"test": "latency", "limit": 10_000}, GOOD, None),
        ({"test": "latency", "limit": 0}, None, GOOD),
        ({"test": "size", "limit": 1}, GOOD, None),
        ({"test": "size", "limit": 0}, None, GOOD),
    ],
    ids=lambda value: value["test"] if isinstance(value, dict) else "",
)
def test_a_model_that_behaves_passes_and_one_that_does_not_fails(
    entry: dict[str, Any], passes: FittedModel | None, fails: FittedModel | None
) -> None:
    if passes is not None:
        assert found(passes, entry)["outcome"] == Outcome.PASSED
    if fails is not None:
        refused = found(fails, entry)
        assert refused["outcome"] == Outcome.FAILED
        assert refused["explanation"].endswith(".")


def test_every_test_of_the_catalogue_runs_on_a_regression() -> None:
    fitted = model(lambda frame: frame["age"].fillna(40) * 2 + frame["pay"].fillna(0), task="regression")
    tests = [
        {"test": one, "column": "age"} if test.column != "none" else {"test": one}
        for one, test in BEHAVIOUR_TESTS.items()
    ]
    outcomes = {one["test"]: one for one in run_suite(trial(fitted), checked_suite(tests, KINDS))}

    assert set(outcomes) == set(BEHAVIOUR_TESTS)
    assert outcomes["direction"]["outcome"] == Outcome.PASSED
    assert outcomes["invariance"]["outcome"] == Outcome.FAILED
    assert "of their spread" in outcomes["invariance"]["explanation"]


def test_the_same_rows_give_the_same_findings_but_for_the_clock() -> None:
    tests = [one for one in default_suite(["age", "pay"], ["pay"]) if one["test"] != "latency"]
    assert run_suite(trial(GOOD), tests) == run_suite(trial(GOOD), tests)


def test_too_few_rows_are_said_and_never_pass() -> None:
    outcomes = run_suite(trial(GOOD, n_rows=5), default_suite(["age", "pay"], ["pay"]))
    assert {one["outcome"] for one in outcomes if one["test"] != "size"} == {Outcome.SKIPPED}
    assert "Only 5 rows" in outcomes[0]["explanation"]


def test_a_column_the_model_does_not_read_is_not_applicable() -> None:
    (outcome,) = run_suite(trial(GOOD), [{"test": "invariance", "column": "sex", "limit": 0.1}])
    assert outcome["outcome"] == Outcome.NOT_APPLICABLE


def test_a_sensitive_feature_is_tested_from_the_start_and_one_left_out_is_not() -> None:
    titles = [title_of(one) for one in default_suite(["age", "pay"], ["pay", "sex"])]
    assert titles[0] == "Invariance (pay)"
    assert not any("sex" in title for title in titles)


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ([], "keep at least one"),
        ([{"test": "no_such"}], "There is no behaviour test 'no_such'"),
        ([{"test": "invariance", "column": "sex"}], "'sex' is no feature"),
        ([{"test": "invariance"}], "Invariance names no column. The model has: "),
        ([{"limit": 0.3}], "An entry names no test; there are "),
        ([{"test": "noise", "limit": -1}], "at least 0"),
        ([{"test": "noise", "limit": float("nan")}], "at least 0"),
        ([{"test": "direction", "column": "age", "direction": "left"}], "neither up nor down"),
        ([{"test": "noise"}, {"test": "noise", "limit": 0.3}], "twice"),
    ],
)
def test_a_suite_that_cannot_be_run_is_refused(tests: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        checked_suite(tests, KINDS)


def test_direction_takes_a_number() -> None:
    with pytest.raises(InvalidInput, match="holds category values"):
        checked_suite([{"test": "direction", "column": "job"}], {"job": "category"})


def test_the_newest_suite_counts_and_an_earlier_one_stays(scientist: Actor, session: Session, now: datetime) -> None:
    version = make_model_version(session)
    first = suites.ensure_suite(session, version=version, now=now)
    assert suites.ensure_suite(session, version=version, now=now).id == first.id
    assert (first.number, first.author_id) == (1, None)

    second = suites.save_suite(
        session,
        model_id=version.model_id,
        tests=[{"test": "size", "limit": 5}],
        reason=" Small. ",
        actor=scientist,
        now=now,
    )

    assert (second.number, second.author_id, second.reason) == (2, scientist.user_id, "Small.")
    found_suite = queries.suite(session, version.model_id)
    assert found_suite is not None
    assert found_suite.tests == [{"test": "size", "limit": 5.0}]
    assert [one.number for one in queries.suites(session, version.model_id)] == [2, 1]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 10_001])
def test_a_suite_says_why(scientist: Actor, session: Session, now: datetime, reason: str) -> None:
    version = make_model_version(session)
    with pytest.raises(InvalidInput, match="characters"):
        suites.save_suite(
            session, model_id=version.model_id, tests=[{"test": "size"}], reason=reason, actor=scientist, now=now
        )


def test_how_a_version_did_is_written_once(scientist: Actor, session: Session, now: datetime) -> None:
    version = make_model_version(session)
    suite = suites.ensure_suite(session, version=version, now=now)
    pair = {"version_id": key(version), "suite_id": key(suite)}
    outcomes = [{"test": "size", "title": "Size", "outcome": "failed", "value": 9.0, "explanation": "Too large."}]

    first = suites.record_behaviour(session, **pair, outcomes=outcomes, n_rows=500, actor=scientist, now=now)
    again = suites.record_behaviour(session, **pair, outcomes=[], n_rows=0, actor=scientist, now=now)

    assert again.id == first.id
    assert (again.n_failed, again.n_rows) == (1, 500)
