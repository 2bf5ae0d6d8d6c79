"""Evidence gathered from what monitoring really stored, triaged, and incidents that open by themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import select

from core.audit.tables import AuditEvent
from core.datasets.tables import DatasetVersion
from core.incidents import gather, opening, queries, service
from core.incidents.remedies import options
from core.incidents.situation import situation_of
from core.incidents.tables import Incident
from core.incidents.triage import Triage, triage
from core.monitoring.tables import Alert, PerformanceResult, Window, WindowMeasure, WindowState
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import NOW, add, key, make_dataset_version
from tests.live_models import (
    LiveModel,
    csv_bytes,
    go_live,
    hand_in,
    keep_version,
    live_home,
    stream,
)

SendRows = Callable[..., dict[str, int]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LiveModel, Actor]:
    folder = tmp_path_factory.mktemp("live")
    return folder, *live_home(folder, NOW, n_rows=3000)


@pytest.fixture
def live_at(made: tuple[Path, LiveModel, Actor], tmp_path: Path) -> tuple[Path, LiveModel]:
    """A copy of the home, and what lives in it."""
    return Path(shutil.copytree(made[0], tmp_path / "live")), made[1]


@pytest.fixture
def home(live_at: tuple[Path, LiveModel]) -> Path:
    return live_at[0]


@pytest.fixture
def live(live_at: tuple[Path, LiveModel]) -> LiveModel:
    return live_at[1]


@pytest.fixture
def scientist(made: tuple[Path, LiveModel, Actor]) -> Actor:
    """Who made the model: the home holds the account."""
    return made[2]


@pytest.fixture
def send(workspace: Workspace, live: LiveModel, operator: Actor) -> SendRows:
    """Hand in months of rows, one batch each; gives the windows' ids by label.

    ``send([("2026-01", table), ...], labels=False)`` leaves the target out.
    """

    def of_months(months: list[tuple[str, pa.Table]], *, labels: bool = False) -> dict[str, int]:
        files = []
        for month, table in months:
            kept = table if labels else table.drop_columns(["paid"])
            days = [f"{month}-{1 + place * 28 // table.num_rows:02d}" for place in range(table.num_rows)]
            files.append(csv_bytes(kept, days))
        return hand_in(workspace, live, operator, files)

    return of_months


def in_minutes(table: pa.Table) -> pa.Table:
    """The stream with hours given in minutes."""
    return table.set_column(0, "hours", pa.array(np.asarray(table["hours"]) * 60))


@pytest.fixture
def months() -> Callable[..., list[tuple[str, pa.Table]]]:
    """Quiet months, the last of which is changed: ``months(in_minutes)``."""

    def make(change: Callable[[pa.Table], pa.Table] = lambda table: table, n: int = 3) -> list[tuple[str, pa.Table]]:
        tables = [(f"2026-{1 + place:02d}", stream(900, seed=20 + place)) for place in range(n)]
        return [*tables[:-1], (tables[-1][0], change(tables[-1][1]))]

    return make


Months = Callable[..., list[tuple[str, pa.Table]]]


def found_in(workspace: Workspace, window_id: int, now: datetime) -> Triage:
    return triage(gather.evidence_of(workspace, window_id=window_id, now=now))


def changed(column: str, values: Callable[[np.ndarray], np.ndarray]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(column)
        return table.set_column(place, column, pa.array(values(table[column].to_numpy(zero_copy_only=False)).tolist()))

    return change


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (in_minutes, "hours looks like another unit: all values times 60"),
        (changed("hours", lambda x: x / 1000), "all values moved down by 3 decimal places"),
        (changed("hours", lambda x: x * 0 + 40.0), "hours is 40 in every row"),
        (changed("job", lambda x: np.array([one.upper() for one in x])), "job now says"),
    ],
)
def test_a_fault_is_seen_in_what_is_stored(
    workspace: Workspace, send: SendRows, months: Months, now: datetime, change: Any, sign: str
) -> None:
    windows = send(months(change))
    evidence = gather.evidence_of(workspace, window_id=windows["2026-03"], now=now)
    told = triage(evidence)
    assert told.cause == "pipeline_fault", told.sentence
    assert sign in told.sentence
    assert {one.name: one.importance is not None for one in evidence.features} == dict.fromkeys(
        ("hours", "age", "job", "member"), True
    )
    assert found_in(workspace, windows["2026-01"], now).cause == "none"


def test_labels_tell_other_rows_from_another_mix(
    workspace: Workspace, send: SendRows, months: Months, now: datetime
) -> None:
    def only_paid(table: pa.Table) -> pa.Table:
        paid = stream(6_000, seed=50)
        yes = paid.filter(pa.compute.equal(paid["paid"], "yes"))
        no = paid.filter(pa.compute.equal(paid["paid"], "no"))
        few = yes if yes.num_rows < no.num_rows else no
        many = no if few is yes else yes
        return pa.concat_tables([few.slice(0, 800), many.slice(0, 150)])

    windows = send(months(only_paid), labels=True)
    evidence = gather.evidence_of(workspace, window_id=windows["2026-03"], now=now)
    assert evidence.labels is not None
    assert evidence.labels.n == 950
    assert (evidence.labels.moved, evidence.labels.moved_within) == (True, False)
    assert triage(evidence).cause == "label_shift"


def test_a_new_category_is_an_input_shift(workspace: Workspace, send: SendRows, months: Months, now: datetime) -> None:
    windows = send(months(lambda _: stream(900, seed=60, new_job=0.3)))
    told = found_in(workspace, windows["2026-03"], now)
    assert told.cause == "input_shift"
    assert told.features[0].name == "job"
    assert any('"poet"' in sentence for sentence in told.ranked[0].speaks_for)


def test_measures_of_the_window_speak_as_they_are(
    workspace: Workspace, send: SendRows, months: Months, now: datetime
) -> None:
    windows = send(months())
    with workspace.write() as session:
        for kind, sentence in (("concept", "Outcomes changed."), ("contract", "Words of the contract.")):
            measured = session.exec(
                select(WindowMeasure).where(WindowMeasure.window_id == windows["2026-03"], WindowMeasure.kind == kind)
            ).one()
            measured.state, measured.sentence = WindowState.DRIFTED, sentence
            session.add(measured)
    evidence = gather.evidence_of(workspace, window_id=windows["2026-03"], now=now)
    assert evidence.concept is not None
    assert evidence.concept.changed
    assert evidence.contract == ("Words of the contract.",)


def test_rows_sent_twice_are_seen(workspace: Workspace, send: SendRows, months: Months, now: datetime) -> None:
    windows = send(months(lambda table: pa.concat_tables([table, table.slice(0, 400)])))
    evidence = gather.evidence_of(workspace, window_id=windows["2026-03"], now=now)
    assert evidence.repeated_now == pytest.approx(400 / 1300, abs=0.01)
    assert evidence.repeated_then == pytest.approx(0.0, abs=0.01)
    assert triage(evidence).cause == "pipeline_fault"
    assert found_in(workspace, windows["2026-01"], now).cause == "none"


def test_what_changed_just_before_is_named(
    workspace: Workspace, live: LiveModel, scientist: Actor, send: SendRows, months: Months, now: datetime
) -> None:
    later = datetime.fromisoformat("2026-03-20T12:00:00+00:00")
    data = keep_version(workspace, stream(3_000, seed=1))
    go_live(workspace, scientist, later, data=data)
    windows = send(months(in_minutes))
    evidence = gather.evidence_of(workspace, window_id=windows["2026-03"], now=now + timedelta(days=60))
    assert [change.sentence for change in evidence.changed("deployment")] == [
        "pay v2 went live in place of v1 (promotion) on 20 Mar 2026, 12:00 UTC."
    ]
    assert triage(evidence).cause == "pipeline_fault"
    with workspace.read() as session:
        situation = situation_of(session, monitor_id=live.monitor_id, findings=triage(evidence).to_json(), since=now)
    assert (situation.live, situation.earlier) == ("pay v2", "pay v1")
    rollback = next(one for one in options(situation) if one.key == "roll_back")
    assert rollback.consequence == "A rollback will not help: pay v1 receives the same input."
    assert rollback.destination is not None
    assert rollback.destination.query == {"model": live.model_id}


def test_windows_of_another_length_are_none_before(
    workspace: Workspace, send: SendRows, months: Months, now: datetime
) -> None:
    windows = send(months(in_minutes))
    with workspace.write() as session:
        last = session.get_one(Window, windows["2026-03"])
        known = [one.label for one in gather.windows_before(session, last)]
        over = {"id": None, "length": "week", "label": "2026-W08", "from_at": last.from_at - timedelta(days=6)}
        add(session, Window.model_validate(last.model_dump() | over))
        assert [one.label for one in gather.windows_before(session, last)] == known
    assert "2026-02" in known


def test_a_labelled_row_counts_once_however_often_windows_were_cut_anew(
    workspace: Workspace, live: LiveModel, send: SendRows, months: Months, now: datetime
) -> None:
    windows = send(months(in_minutes), labels=True)
    findings = found_in(workspace, windows["2026-03"], now).to_json()

    def labelled(since: str = "2026-01-01") -> int:
        began = datetime.fromisoformat(f"{since}T00:00:00+00:00")
        with workspace.read() as session:
            return situation_of(session, monitor_id=live.monitor_id, findings=findings, since=began).n_labelled

    known = labelled()
    assert known == 2_700
    assert labelled("2026-03-01") == 900  # by the rows' own time: all were added at once
    assert labelled("2026-04-01") == 0
    with workspace.write() as session:
        last = session.get_one(Window, windows["2026-03"])
        week = Window.model_validate(last.model_dump() | {"id": None, "length": "week", "label": "2026-W10"})
        add(session, week)
        result = PerformanceResult(
            window_id=key(week), key="roc_auc", value=0.8, low=0.7, high=0.9, n_labelled=100, source="realised"
        )
        add(session, result)
    assert labelled() == known


def test_rows_of_newer_data_count_from_the_change_on(
    workspace: Workspace, live: LiveModel, send: SendRows, months: Months, now: datetime
) -> None:
    findings = found_in(workspace, send(months(in_minutes))["2026-03"], now).to_json()
    began = datetime.fromisoformat("2026-03-01T00:00:00+00:00")

    def newer_rows(first: str | None, last: str = "2026-03-31") -> int:
        with workspace.write() as session:
            trained = session.get_one(DatasetVersion, live.data_id)
            day = {"name": "day", "kind": "date", "min": first, "max": last}
            newer = make_dataset_version(
                session, dataset_id=trained.dataset_id, n_rows=900, profile={"columns": [day] if first else []}
            )
            found = situation_of(session, monitor_id=live.monitor_id, findings=findings, since=began)
            assert found.newer_version == key(newer)
            return found.newer_rows

    assert newer_rows("2026-03-01") == 900
    assert newer_rows("2026-01-30") == 450
    assert newer_rows("2025-01-01", "2026-02-28") == 0  # added later, but of rows before the change
    assert newer_rows(None) == 900  # without a time all that can be said is that it was added later


def test_harm_opens_an_incident_by_itself_and_drift_alone_does_not(
    workspace: Workspace, live: LiveModel, send: SendRows, months: Months, now: datetime
) -> None:
    windows = send(months(in_minutes), labels=True)
    with workspace.write() as session:
        for alert in session.exec(select(Alert)).all():
            session.delete(alert)
        session.flush()
        drift = key(_alert(session, live, windows["2026-03"], "drift", now))
    assert opening.open_due(workspace, now) == []
    with workspace.write() as session:
        harm = key(_alert(session, live, windows["2026-03"], "performance", now))
    opened = opening.open_due(workspace, now)
    assert len(opened) == 1
    assert opening.open_due(workspace, now) == []
    with workspace.read() as session:
        found = queries.incident(session, opened[0])
        assert found.title == "pay: data arrives wrong in 2026-03"
        assert {alert.id for alert in queries.alerts_of(session, opened[0])} == {drift, harm}
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "incident.opened")).one()
        assert (event.actor_name, event.actor_id) == ("gatehouse", None)


def test_silence_of_the_installation_opens_one_too(workspace: Workspace, live: LiveModel, now: datetime) -> None:
    with workspace.write() as session:
        add(
            session,
            Alert(
                kind="no_predictions", monitor_id=live.monitor_id, severity="critical", since="now", since_at=now,
                opened_at=now, sentence="No prediction was asked for since Monday.",
            ),
        )  # fmt: skip
    opened = opening.open_due(workspace, now)
    with workspace.read() as session:
        found = queries.incident(session, opened[0])
        assert (found.cause, found.window_id) == ("infrastructure", None)
        assert found.findings["sentence"] == "Infrastructure: No prediction was asked for since Monday."
        situation = situation_of(session, monitor_id=found.monitor_id, findings=found.findings, since=now)
    advised = [one.key for one in options(situation) if one.advised]
    assert advised == ["scale"]


def test_two_workers_at_once_open_one_incident(
    workspace: Workspace, live: LiveModel, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.write() as session:
        add(
            session,
            Alert(
                kind="no_predictions", monitor_id=live.monitor_id, severity="critical", since="now", since_at=now,
                opened_at=now, sentence="Silent.",
            ),
        )  # fmt: skip
    really = opening.triage_now

    def while_another_opens(*args: Any, **kwargs: Any) -> Triage:
        monkeypatch.setattr(opening, "triage_now", really)
        opening.open_due(workspace, now)
        return really(*args, **kwargs)

    monkeypatch.setattr(opening, "triage_now", while_another_opens)
    assert opening.open_due(workspace, now) == []
    with workspace.read() as session:
        assert len(session.exec(select(Incident)).all()) == 1


def test_an_incident_survives_the_loss_of_what_it_was_about(
    workspace: Workspace, live: LiveModel, operator: Actor, send: SendRows, months: Months, now: datetime
) -> None:
    windows = send(months(in_minutes), labels=True)
    for path in (workspace.home / "artifacts").rglob("*"):
        if path.is_file():
            path.unlink()
    told = opening.triage_now(workspace, monitor_id=live.monitor_id, window_id=windows["2026-03"], now=now)
    assert told.cause == "pipeline_fault"
    with workspace.write() as session:
        service.open_from_window(session, window_id=windows["2026-03"], triage=told, actor=operator, now=now)


def _alert(session: Any, live: LiveModel, window_id: int, kind: str, now: datetime) -> Alert:
    return add(
        session,
        Alert(
            monitor_id=live.monitor_id, window_id=window_id, kind=kind, severity="critical", sentence=f"{kind}.",
            since="2026-03", since_at=now, opened_at=now,
        ),
    )  # fmt: skip
