"""Triage kept with its window: made after the figures, of the present ones or said to be old, once whoever asks."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from core.automation.inline import run_all
from core.errors import PermissionDenied
from core.incidents import kept_triage, opening, queries, service, triage_job
from core.incidents.causes import EDITION, RULES
from core.incidents.evidence import Change, Evidence, FeatureEvidence
from core.incidents.signs import SIGNS, Sign
from core.incidents.tables import WindowTriage
from core.incidents.triage import Triage, triage
from core.jobs import service as jobs
from core.jobs.tables import Job, JobState
from core.monitoring.tables import Alert, AlertState, Window
from core.permissions import Actor
from core.workspace import Workspace
from tests.dashboard.factories import make_live_model
from tests.factories import key


@pytest.fixture
def monitor_id(workspace: Workspace, scientist: Actor, now: datetime) -> int:
    with workspace.write() as session:
        return make_live_model(session, name="churn", actor=scientist, now=now, n_windows=3).monitor_id


@pytest.fixture
def window_ids(workspace: Workspace, monitor_id: int) -> list[int]:
    """Oldest first."""
    with workspace.read() as session:
        query = select(Window).where(Window.monitor_id == monitor_id).order_by(col(Window.from_at))
        return [key(one) for one in session.exec(query)]


def trouble(workspace: Workspace, monitor_id: int | None, since_at: datetime) -> int:
    with workspace.write() as session:
        alert = Alert(
            monitor_id=monitor_id, kind="errors", severity="critical", sentence="Requests fail.", since="now",
            since_at=since_at, opened_at=since_at,
        )  # fmt: skip
        session.add(alert)
        session.flush()
        return key(alert)


def present(workspace: Workspace, window_ids: list[int]) -> list[bool | None]:
    """Of each window whether what is kept is of its present figures; None where nothing is kept."""
    with workspace.read() as session:
        kept = [kept_triage.kept(session, one) for one in window_ids]
    return [None if one is None else one.present for one in kept]


def look(workspace: Workspace, now: datetime) -> int:
    """What a worker does within a minute; tells how many jobs it looked for causes in."""
    before = kinds(workspace).count("triage_windows")
    triage_job.enqueue_due(workspace, now)
    run_all(workspace)
    return kinds(workspace).count("triage_windows") - before


def kinds(workspace: Workspace) -> list[str]:
    with workspace.read() as session:
        return [one.kind for one in session.exec(select(Job).order_by(col(Job.id)))]


def test_what_triage_says_comes_back_as_it_was_kept(now: datetime) -> None:
    found = triage(
        Evidence(
            "2026-03", 500, 100,
            features=(
                FeatureEvidence("age", "number", True, 0.9, 0.1, signs=(Sign("unit_change", "age times 60."),)),
                FeatureEvidence("pay", "number", False, None, 0.1, importance=0.4),
            ),
            stopped="None came on Monday.",
            changes=(Change("volume", "Fewer rows."), Change("dataset", "v2 was added.", now)),
        )
    )  # fmt: skip
    assert found.features
    assert found.ranked
    assert Triage.from_json(found.to_json()) == found


def test_every_window_is_looked_into_once(workspace: Workspace, window_ids: list[int], now: datetime) -> None:
    assert present(workspace, window_ids) == [None, None, None]
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, True]
    assert look(workspace, now) == 0


def test_figures_computed_anew_make_it_old_until_it_is_looked_into_again(
    workspace: Workspace, window_ids: list[int], now: datetime
) -> None:
    look(workspace, now)
    with workspace.write() as session:
        window = session.get_one(Window, window_ids[1])
        window.computed_at, window.n_rows = now + timedelta(hours=1), 3
    assert present(workspace, window_ids) == [True, False, True]
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, True]
    with workspace.read() as session:
        kept = kept_triage.kept(session, window_ids[1])
    assert kept is not None
    assert "holds 3 rows" in kept.triage.sentence


def test_a_trouble_speaks_of_the_windows_it_falls_into_and_goes_when_it_is_over(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime
) -> None:
    look(workspace, now)
    with workspace.read() as session:
        newest = session.get_one(Window, window_ids[-1])
    alert_id = trouble(workspace, monitor_id, newest.to_at - timedelta(hours=1))
    trouble(workspace, None, newest.to_at + timedelta(hours=1))
    assert present(workspace, window_ids) == [True, True, False]
    look(workspace, now)
    with workspace.read() as session:
        kept = kept_triage.kept(session, window_ids[-1])
    assert kept is not None
    assert (kept.present, kept.triage.cause) == (True, "infrastructure")
    with workspace.write() as session:
        session.get_one(Alert, alert_id).state = AlertState.RESOLVED
    assert present(workspace, window_ids) == [True, True, False]
    look(workspace, now)  # the same state as at first, looked into again all the same
    with workspace.read() as session:
        kept = kept_triage.kept(session, window_ids[-1])
    assert kept is not None
    assert (kept.present, kept.triage.cause) == (True, "none")


def test_what_earlier_rules_found_is_found_anew(
    workspace: Workspace, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(workspace, now)
    monkeypatch.setattr(kept_triage, "EDITION", kept_triage.EDITION + 1)
    assert present(workspace, window_ids) == [False, False, False]
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, True]
    assert look(workspace, now) == 0


def test_rules_that_changed_are_of_a_new_edition() -> None:
    """Where this fails: raise `causes.EDITION`, and write down the new digest with it."""
    stated = [(rule.key, rule.cause, rule.weight) for rule in RULES] + sorted(
        (sign.key, sign.speaks) for sign in SIGNS.values()
    )
    assert (EDITION, hashlib.sha256(repr(stated).encode()).hexdigest()[:16]) == (1, "c8b50285db85f7ea")


def test_what_changed_while_it_was_looked_into_is_not_kept(
    workspace: Workspace, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = opening.triage_now

    def meanwhile(*args: object, **kwargs: object) -> Triage:
        monkeypatch.setattr(opening, "triage_now", really)
        with workspace.write() as session:
            session.get_one(Window, window_ids[-1]).computed_at = now + timedelta(hours=1)
        return really(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "triage_now", meanwhile)
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, None]
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, True]


def test_two_at_once_keep_one_and_the_same(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = opening.triage_now
    calls: list[int | None] = []

    def while_another_looks(*args: object, window_id: int | None, **kwargs: object) -> Triage:
        calls.append(window_id)
        if len(calls) == 1:
            with workspace.write() as session:
                jobs.enqueue(
                    session, kind="triage_windows", payload={"monitor_id": monitor_id}, subject_kind="monitor",
                    subject_id=monitor_id, actor=kept_by, now=now,
                )  # fmt: skip
            run_all(workspace)
        return really(*args, window_id=window_id, **kwargs)  # type: ignore[arg-type]

    kept_by = Actor(user_id=None, name="gatehouse", roles=frozenset(), via="system")
    monkeypatch.setattr(opening, "triage_now", while_another_looks)
    look(workspace, now)
    assert len(calls) == 6
    assert present(workspace, window_ids) == [True, True, True]
    with workspace.read() as session:
        assert len(session.exec(select(WindowTriage)).all()) == 3


def test_a_worker_killed_midway_leaves_the_rest_to_the_next(
    workspace: Workspace, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = opening.triage_now
    calls: list[int | None] = []

    def dies_at_the_second(*args: object, window_id: int | None, **kwargs: object) -> Triage:
        calls.append(window_id)
        if len(calls) == 2:
            raise ZeroDivisionError("killed")
        return really(*args, window_id=window_id, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "triage_now", dies_at_the_second)
    look(workspace, now)
    assert present(workspace, window_ids) == [True, True, True]
    assert calls == [window_ids[2], window_ids[1], window_ids[1], window_ids[0]]


def test_what_cannot_be_done_is_not_tried_for_ever(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_args: object, **_kwargs: object) -> Triage:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(opening, "triage_now", breaks)
    assert look(workspace, now) == 1
    assert look(workspace, now) == 0
    with workspace.read() as session:
        wait = triage_job.wait_of(session, monitor_id, window_ids[0])
        assert session.exec(select(Job).where(Job.kind == "triage_windows")).one().state == JobState.FAILED
    assert wait.state == "failed"
    assert "broken" in wait.error
    monkeypatch.undo()
    with workspace.write() as session:
        session.get_one(Window, window_ids[0]).computed_at = now + timedelta(hours=1)
    assert look(workspace, now) == 1
    assert present(workspace, window_ids) == [True, True, True]


def test_windows_are_queued_with_the_success_of_what_computed_them(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime, operator: Actor
) -> None:
    with workspace.write() as session:
        jobs.enqueue(
            session, kind="watch_log", payload={"monitor_id": monitor_id}, subject_kind="monitor",
            subject_id=monitor_id, actor=operator, now=now,
        )  # fmt: skip
    run_all(workspace)
    assert kinds(workspace)[-2:] == ["watch_log", "triage_windows"]
    assert present(workspace, window_ids) == [True, True, True]


def test_an_incident_opens_with_what_is_kept_of_the_present_figures(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(workspace, now)
    with workspace.write() as session:
        session.add(
            Alert(
                monitor_id=monitor_id, window_id=window_ids[-1], kind="performance", severity="critical",
                sentence="Worse.", since="2026-03", since_at=now, opened_at=now,
            )
        )  # fmt: skip
    monkeypatch.setattr(opening, "triage_now", lambda *_args, **_kwargs: pytest.fail("it is known already"))
    assert len(opening.open_due(workspace, now)) == 1


def test_what_goes_on_began_with_its_first_window(
    workspace: Workspace, monitor_id: int, window_ids: list[int], now: datetime
) -> None:
    def began() -> list[int]:
        with workspace.read() as session:
            windows = [session.get_one(Window, one) for one in window_ids]
            starts = [one.from_at for one in windows]
            return [starts.index(queries.began_at(session, one)) for one in windows]

    with workspace.write() as session:
        for alert in session.exec(select(Alert)).all():
            session.delete(alert)
    assert began() == [0, 1, 2]
    with workspace.write() as session:
        second = session.get_one(Window, window_ids[1])
        session.add(
            Alert(
                monitor_id=monitor_id, window_id=window_ids[2], kind="drift", severity="warning", sentence="Drift.",
                since=second.label, since_at=second.from_at, opened_at=now,
            )
        )  # fmt: skip
    assert began() == [0, 1, 1]


def test_asking_takes_the_right_to_read(
    workspace: Workspace, window_ids: list[int], now: datetime, viewer: Actor
) -> None:
    nobody = Actor(user_id=viewer.user_id, name="nobody", roles=frozenset(), via="browser")
    with workspace.write() as session:
        with pytest.raises(PermissionDenied):
            service.request_triage(session, window_id=window_ids[0], actor=nobody, now=now)
        first = service.request_triage(session, window_id=window_ids[0], actor=viewer, now=now)
        assert service.request_triage(session, window_id=window_ids[0], actor=viewer, now=now).id == first.id
    run_all(workspace)
    assert kinds(workspace).count("triage_windows") == 1
    assert present(workspace, window_ids) == [True, None, None]
