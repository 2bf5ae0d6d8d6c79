"""A model's behaviour suite on its page: not run, run, failed, and writing the next one."""

from __future__ import annotations

import pytest
from sqlmodel import select

from core.database import utc_now
from core.jobs.tables import Job
from core.permissions import Actor
from core.registry import queries, suites
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import key, make_model_version, make_run

TESTS = [{"test": "invariance", "column": "age", "limit": 0.05}, {"test": "size", "limit": 200.0}]
OUTCOMES = [
    {
        **TESTS[0],
        "title": "Invariance (age)",
        "outcome": "failed",
        "value": 0.31,
        "explanation": "31.0 % of 500 decisions change when age is dealt anew among the rows; 5.0 % are allowed.",
    },
    {**TESTS[1], "title": "Size", "outcome": "passed", "value": 0.1, "explanation": "The model's file has 0.10 MiB."},
]


@pytest.fixture
def version_id(workspace: Workspace, scientist: Actor) -> int:
    with workspace.write() as session:
        return key(make_model_version(session, run_id=key(make_run(session)), registered_by=scientist.user_id))


def of_model(workspace: Workspace, version_id: int) -> int:
    with workspace.read() as session:
        return queries.version(session, version_id).model_id


def test_a_suite_that_was_not_run_is_one_click_away(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, version_id: int
) -> None:
    page = open_as(viewer, "model", model=of_model(workspace, version_id), view="behaviour")
    assert "No suite was run yet" in said(page)

    page.button(key="behaviour_run").click().run()

    assert not page.exception
    with workspace.read() as session:
        (job,) = session.exec(select(Job).where(Job.kind == "run_behaviour")).all()
        assert job.payload == {"version_id": version_id}
        assert queries.suite(session, of_model(workspace, version_id)) is not None


def test_a_run_that_a_registration_queued_is_watched_and_not_asked_for_twice(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, version_id: int
) -> None:
    with workspace.write() as session:
        suites.request_behaviour(session, version_id=version_id, actor=scientist, now=utc_now())

    page = open_as(viewer, "model", model=of_model(workspace, version_id), view="behaviour")

    assert not page.exception
    assert "Run the suite" not in offered(page)
    assert [one.proto.text for one in page.get("progress")] == ["Waiting for a worker"]


def test_each_test_says_what_was_found_against_what_is_allowed(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, version_id: int
) -> None:
    model_id = of_model(workspace, version_id)
    with workspace.write() as session:
        suite = suites.save_suite(
            session, model_id=model_id, tests=TESTS, reason="Age must not decide.", actor=scientist, now=utc_now()
        )
        suites.record_behaviour(
            session,
            version_id=version_id,
            suite_id=key(suite),
            outcomes=OUTCOMES,
            n_rows=500,
            actor=scientist,
            now=utc_now(),
        )
    page = open_as(viewer, "model", model=model_id, view="behaviour")

    told = said(page)
    assert "passes 1 of 2 tests" in told
    assert "Age must not decide." in told
    [table] = page.dataframe
    assert list(table.value["Test"]) == ["Invariance (age)", "Size"]
    assert "31.0 % of 500 decisions change" in table.value["What was found"][0]
    assert "Write the next suite" not in offered(page)
    assert "takes the role data-scientist or reviewer" in told


@pytest.mark.parametrize("role", ["scientist", "reviewer"])
def test_who_may_write_a_suite_is_offered_it(
    open_as: OpenAs, workspace: Workspace, request: pytest.FixtureRequest, version_id: int, role: str
) -> None:
    actor: Actor = request.getfixturevalue(role)
    with workspace.write() as session:
        suites.ensure_suite(session, version=queries.version(session, version_id), now=utc_now())
    page = open_as(actor, "model", model=of_model(workspace, version_id), view="behaviour")
    assert "Write the next suite" in offered(page)
    assert "was not run on" in said(page)
