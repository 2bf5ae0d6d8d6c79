from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import col, select

from core.audit.tables import AuditEvent
from core.automation.inline import run_all
from core.database import utc_now
from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.errors import AlreadyExists, InvalidInput, InvalidTransition, PermissionDenied
from core.jobs.lifecycle import Ending
from core.jobs.processes import this_process
from core.jobs.service import claim, end, enqueue
from core.jobs.tables import Job, JobLine, JobState
from core.monitoring import (
    alert_queries,
    batch_withdrawal,
    computing,
    drift_queries,
    log_job,
    performance_queries,
    queries,
    result_tables,
    service,
    window_queries,
)
from core.monitoring.examples import example_rows
from core.monitoring.liveness_job import judge_all
from core.monitoring.tables import AlertState, Batch, BatchState, CountedSource, Monitor, WindowState
from core.permissions import Actor
from core.serving import compaction
from core.serving.log import Answered, PredictionLog
from core.serving.tables import PredictionSegment
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import (
    LiveModel,
    csv_bytes,
    finished,
    go_live,
    json_rows,
    keep_version,
    live_fixtures,
    stream,
)

AddBatch = Callable[..., Batch]


made, home, live, scientist = live_fixtures(n_rows=3_000)


@pytest.fixture
def upload(workspace: Workspace, operator: Actor, tmp_path: Path) -> Callable[..., int]:
    def store(content: bytes, name: str, now: datetime) -> int:
        with workspace.write() as session:
            return key(
                store_upload(
                    session,
                    artifact=workspace.artifacts.put_bytes(content),
                    file_name=name,
                    actor=operator,
                    now=now,
                )
            )

    return store


@pytest.fixture
def add_batch(
    workspace: Workspace, live: LiveModel, operator: Actor, now: datetime, upload: Callable[..., int]
) -> AddBatch:
    def add(content: bytes, *, time_column: str | None = "day", run: bool = True) -> Batch:
        upload_id = upload(content, "batch.csv", now)
        with workspace.read() as session:
            path = workspace.artifacts.path(queries_upload(session, upload_id))
        with workspace.write() as session:
            batch = service.add_batch(
                session,
                monitor_id=live.monitor_id,
                upload_id=upload_id,
                options=inspect(path, file_name="batch.csv").options,
                time_column=time_column,
                actor=operator,
                now=now,
            )
        if run:
            run_all(workspace)
        with workspace.read() as session:
            return queries.batch(session, key(batch))

    return add


def queries_upload(session: object, upload_id: int) -> str:
    from core.datasets.tables import Upload

    return session.get_one(Upload, upload_id).sha256  # type: ignore[attr-defined, no-any-return]


def days(first: str, count: int, rows: int) -> list[str]:
    start = np.datetime64(first)
    return [str(start + int(position * count / rows)) for position in range(rows)]


def states(workspace: Workspace, live: LiveModel) -> dict[str, str]:
    with workspace.read() as session:
        return {window.label: window.state for window in window_queries.windows(session, live.monitor_id)}


def drifted(workspace: Workspace, live: LiveModel, label: str) -> list[str]:
    with workspace.read() as session:
        window = next(one for one in window_queries.windows(session, live.monitor_id) if one.label == label)
        return [one.feature for one in drift_queries.drift_results(session, key(window)) if one.state == "drifted"]


def test_drift_shows_on_the_right_feature_in_the_right_month_and_raises_one_alert(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    quiet, shifted = stream(1_500, seed=11), stream(1_500, seed=12, hours_shift=0.8)
    content = csv_bytes(
        pa.concat_tables([quiet, shifted]), [*days("2026-01-01", 31, 1_500), *days("2026-02-01", 28, 1_500)]
    )
    batch = add_batch(content)
    assert (batch.state, batch.n_rows, batch.version_id) == (BatchState.READY, 3_000, live.version_id)
    assert states(workspace, live) == {"2026-01": WindowState.QUIET, "2026-02": WindowState.DRIFTED}
    assert drifted(workspace, live, "2026-01") == []
    assert drifted(workspace, live, "2026-02") == ["prediction", "hours"]
    with workspace.read() as session:
        alerts = alert_queries.open_alerts(session)
        assert {(alert.kind, alert.window) for alert in alerts if alert.kind != "performance"} == {
            ("drift", "2026-02"),
            ("prediction_drift", "2026-02"),
        }
        drift = next(alert for alert in alerts if alert.kind == "drift")
        assert "hours has drifted in 2026-02 (1 of 4 features" in drift.sentence
        row = queries.list_monitors(session)[0]
        assert (row.n_drifted, row.n_features, row.last_window) == (1, 4, "2026-02")
        assert row.sentence == "1 of 4 features drifted in 2026-02."
        opened = session.exec(select(AuditEvent).where(col(AuditEvent.action) == "alert.opened")).all()
        assert {event.actor_name for event in opened} == {"olga"}
        assert {event.via for event in opened} == {"job"}
        evidence = drift_queries.latest_drift(session, live.model_id)
        assert evidence is not None
        assert (evidence["features"], evidence["window"]) == (["hours"], "2026-02")
        then_and_now = next(
            one for one in drift_queries.drift_results(session, drift.window_id) if one.feature == "hours"
        )
        assert len(then_and_now.bins["edges"]) == len(then_and_now.bins["reference"]) + 1
        assert sum(then_and_now.bins["reference"]) == pytest.approx(1)
        assert sum(then_and_now.bins["current"]) == pytest.approx(1)
        found = drift_queries.drift_map(session, live.monitor_id)
        assert {
            (found.windows[one.place].label, found.columns[one.rank].feature)
            for one in found.squares
            if one.state == "drifted"
        } == {
            ("2026-02", "hours"),
            ("2026-02", "prediction"),
        }


def test_a_new_category_and_lost_values_are_drift_of_their_own_features_only(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=13, new_job=0.3, missing_age=0.4), days("2026-01-01", 31, 1_000)))
    assert sorted(drifted(workspace, live, "2026-01")) == ["age", "job"]


def test_few_rows_are_not_enough_data_and_neither_drift_nor_health(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(60, seed=14, hours_shift=5), days("2026-01-01", 31, 60)))
    assert states(workspace, live) == {"2026-01": WindowState.NOT_ENOUGH_DATA}
    with workspace.read() as session:
        assert [alert for alert in alert_queries.open_alerts(session) if alert.kind != "performance"] == []
        assert queries.list_monitors(session)[0].sentence.startswith("Not enough data in 2026-01: 60 rows")
        assert drift_queries.latest_drift(session, live.model_id) is None


def test_late_rows_join_their_month_and_close_the_alert_they_explain_away(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(300, seed=15, hours_shift=0.8), days("2026-01-01", 31, 300)))
    assert states(workspace, live) == {"2026-01": WindowState.DRIFTED}
    add_batch(csv_bytes(stream(6_000, seed=16), [*days("2026-01-03", 5, 5_500), *days("2026-02-01", 3, 500)]))
    assert states(workspace, live) == {"2026-01": WindowState.QUIET, "2026-02": WindowState.QUIET}
    with workspace.read() as session:
        january = window_queries.windows(session, live.monitor_id)[0]
        assert january.n_rows == 5_800
        assert {alert.state for alert in alert_queries.alerts(session) if alert.kind == "drift"} == {
            AlertState.RESOLVED
        }


def test_what_goes_on_is_one_alert_until_somebody_resolves_it(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    def drift_alerts() -> list[tuple[str, str]]:
        with workspace.read() as session:
            return [(one.state, one.window) for one in alert_queries.alerts(session) if one.kind == "drift"]

    def shifted(first: str, seed: int) -> bytes:
        return csv_bytes(stream(900, seed=seed, hours_shift=0.8), days(first, 27, 900))

    add_batch(shifted("2026-02-01", 31))
    add_batch(shifted("2026-03-01", 32))
    assert drift_alerts() == [("open", "2026-03")]
    with workspace.read() as session:
        going_on = next(one for one in alert_queries.alerts(session) if one.window == "2026-03" and one.kind == "drift")
    assert going_on.sentence.endswith("It fired first in 2026-02.")

    with workspace.write() as session:
        service.resolve_alert(session, alert_id=going_on.id, note="expected", actor=operator, now=now)
    add_batch(shifted("2026-04-01", 33))
    assert drift_alerts() == [("open", "2026-04"), ("resolved", "2026-03")]


def test_an_alert_outlives_a_window_that_began_drifted_and_ended_quiet(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    def drift_alerts() -> list[tuple[str, str]]:
        with workspace.read() as session:
            return [(one.state, one.window) for one in alert_queries.alerts(session) if one.kind == "drift"][::-1]

    add_batch(csv_bytes(stream(1_500, seed=12, hours_shift=0.35), days("2026-01-01", 31, 1_500)))
    add_batch(csv_bytes(stream(120, seed=14, hours_shift=1.5), days("2026-02-01", 1, 120)))
    assert drift_alerts() == [("open", "2026-02")]
    add_batch(csv_bytes(stream(6_000, seed=15), days("2026-02-02", 26, 6_000)))
    assert states(workspace, live) == {"2026-01": WindowState.DRIFTED, "2026-02": WindowState.QUIET}
    assert drift_alerts() == [("open", "2026-01")]
    add_batch(csv_bytes(stream(900, seed=16, hours_shift=2.5, new_job=0.6), days("2026-03-01", 30, 900)))
    assert drift_alerts() == [("open", "2026-01"), ("open", "2026-03")]


def test_a_window_too_small_to_tell_hides_no_drift_before_it(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(900, seed=41, hours_shift=0.8), days("2026-01-01", 31, 900)))
    add_batch(csv_bytes(stream(20, seed=42), days("2026-02-01", 2, 20)))
    with workspace.read() as session:
        row = queries.list_monitors(session)[0]
    assert (row.state, row.last_window, row.n_drifted) == (WindowState.DRIFTED, "2026-01", 1)
    assert row.sentence.startswith("1 of 4 features drifted in 2026-01. Not enough data in 2026-02: 20 rows")


def test_a_file_without_times_is_one_window(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    first = add_batch(csv_bytes(stream(400, seed=17)), time_column=None)
    second = add_batch(csv_bytes(stream(400, seed=18, hours_shift=1)), time_column=None)
    with workspace.read() as session:
        events = session.exec(select(AuditEvent).where(col(AuditEvent.action) == "batch.measured")).all()
    assert [(event.details["batch_id"], event.details["rows"]) for event in events] == [
        (first.id, 400),
        (second.id, 400),
    ]
    assert states(workspace, live) == {
        f"batch {first.id}": WindowState.QUIET,
        f"batch {second.id}": WindowState.DRIFTED,
    }


def test_the_target_in_a_batch_gives_performance_with_intervals(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=19), days("2026-01-01", 31, 1_000)))
    with workspace.read() as session:
        rows = {row.key: row for row in performance_queries.performance(session, live.monitor_id)}
    accuracy = rows["accuracy"]
    assert accuracy.n_labelled == 1_000
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert 0.7 < accuracy.low < accuracy.value < accuracy.high
    assert rows["roc_auc"].value > 0.8


def test_worse_answers_than_on_the_evaluation_set_are_a_critical_alert(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    table = stream(1_000, seed=20)
    flipped = ["no" if one == "yes" else "yes" for one in table["paid"].to_pylist()]
    table = table.set_column(table.column_names.index("paid"), "paid", pa.array(flipped))
    add_batch(csv_bytes(table, days("2026-01-01", 31, 1_000)))
    with workspace.read() as session:
        alert = next(one for one in alert_queries.open_alerts(session) if one.kind == "performance")
    assert alert.severity == "critical"
    assert "ROC AUC" in alert.sentence
    assert "worse than" in alert.sentence


def test_the_files_own_predictions_are_used(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    table = stream(500, seed=21)
    add_batch(csv_bytes(table, days("2026-01-01", 31, 500), prediction=table["paid"].to_pylist()))
    with workspace.read() as session:
        rows = {row.key: row for row in performance_queries.performance(session, live.monitor_id)}
    assert rows["accuracy"].value == 1.0
    assert "roc_auc" not in rows  # labels alone carry no order


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"day,hours,age\n2026-01-01,3,4\n", "lacks 'job' and 'member'"),
        (b"day,hours,age,Job,member\n2026-01-01,3,4,a,true\n", "'Job' may be meant for 'job'. Add or rename"),
        (b"day,hours,age,job,member\n2026-01-01,3,4,cook,true\n2026-01-02,many,4,cook,true\n", "many"),
        (b"day,hours,age,job,member\nsoon,3,4,cook,true\n", "time column 'day'"),
    ],
    ids=["features missing", "another case", "a word among numbers", "no times"],
)
def test_a_batch_that_does_not_fit_fails_with_its_reason_and_makes_no_window(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, content: bytes, says: str
) -> None:
    batch = add_batch(content)
    assert batch.state == BatchState.FAILED
    assert says in (batch.error or "")
    assert states(workspace, live) == {}
    with workspace.read() as session:
        assert session.get_one(Job, batch.job_id).refused  # the file's fault, not the program's
        event = session.exec(select(AuditEvent).where(col(AuditEvent.action) == "batch.failed")).one()
    assert (event.details["batch_id"], event.details["error"]) == (batch.id, batch.error)


def test_whole_numbers_in_a_numbers_column_and_digits_as_codes_are_no_change_of_schema(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    batch = add_batch(b"day,hours,age,job,member\n" + b"2026-01-01,40,33,7,true\n" * 120)
    assert batch.state == BatchState.READY, batch.error


def test_a_batch_needs_something_live_and_a_column_that_is_there(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    with pytest.raises(InvalidInput, match="no column 'when'"):
        add_batch(csv_bytes(stream(10, seed=1)), time_column="when")
    with workspace.write() as session:
        idle = service.ensure_monitor(session, model_id=live.model_id, environment="staging", alias="champion", now=now)
    with workspace.write() as session, pytest.raises(InvalidInput, match="Nothing is live"):
        service.add_batch(
            session,
            monitor_id=key(idle),
            upload_id=1,
            options=inspect_of(workspace, b"a\n1\n"),
            time_column=None,
            actor=operator,
            now=now,
        )


def inspect_of(workspace: Workspace, content: bytes) -> object:
    stored = workspace.artifacts.put_bytes(content)
    return inspect(workspace.artifacts.path(stored.sha256), file_name="x.csv").options


def answer(workspace: Workspace, live: LiveModel, table: pa.Table, at: datetime) -> list[str]:
    """Log rows as the scoring process does; gives their prediction ids."""
    from core.registry.tables import ModelVersion
    from core.training.models import load_model

    with workspace.read() as session:
        version = session.get_one(ModelVersion, live.version_id)
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    rows = json_rows(table)
    labels, scores = model.predict_rows(rows)
    assert scores is not None
    ids = [f"{at:%Y%m%d%H%M}-{position}" for position in range(len(rows))]
    log = PredictionLog(workspace, "production")
    log.append(
        Answered(
            model_id=live.model_id,
            version_id=live.version_id,
            alias="champion",
            at=at,
            latency_ms=1.5,
            rows=rows,
            ids=ids,
            predictions=labels.tolist(),
            scores=scores.tolist(),
        )
    )
    log.seal()
    return ids


def test_the_prediction_log_is_watched_without_anyone_asking(
    workspace: Workspace, live: LiveModel, now: datetime
) -> None:
    assert log_job.enqueue_due(workspace, now) == 0
    answer(workspace, live, stream(500, seed=22, hours_shift=1), datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    answer(workspace, live, stream(500, seed=23), datetime(2026, 4, 1, 0, 0, tzinfo=UTC))
    assert log_job.enqueue_due(workspace, now) == 1
    log_job.enqueue_due(workspace, now)
    assert len([job for job in finished(workspace) if job.kind == "watch_log"]) == 1
    assert states(workspace, live) == {"2026-03": WindowState.DRIFTED, "2026-04": WindowState.QUIET}
    assert drifted(workspace, live, "2026-03") == ["prediction", "hours"]
    with workspace.read() as session:
        assert queries.list_monitors(session)[0].last_prediction_at == datetime(2026, 4, 1, tzinfo=UTC)


def test_a_later_segment_is_added_to_its_window(workspace: Workspace, live: LiveModel, now: datetime) -> None:
    answer(workspace, live, stream(150, seed=24), datetime(2026, 3, 1, tzinfo=UTC))
    log_job.enqueue_due(workspace, now)
    finished(workspace)
    answer(workspace, live, stream(250, seed=25), datetime(2026, 3, 2, tzinfo=UTC))
    log_job.enqueue_due(workspace, now)
    finished(workspace)
    with workspace.read() as session:
        assert [window.n_rows for window in window_queries.windows(session, live.monitor_id)] == [400]


def test_a_log_whose_job_was_killed_twice_is_looked_at_again_though_nothing_more_is_sealed(
    workspace: Workspace, live: LiveModel
) -> None:
    now = utc_now()
    run_all(workspace)

    def killed() -> None:
        with workspace.write() as session:
            job = claim(session, owner=this_process(), now=utc_now(), lease_until=now + timedelta(hours=3))
            assert job is not None
            end(session, job_id=key(job), fence=job.fence, ending=Ending.LOST, reason="It was killed.", now=now)

    def jobs() -> list[str]:
        with workspace.read() as session:
            return list(session.exec(select(Job.state).where(Job.kind == "watch_log").order_by(col(Job.id))))

    answer(workspace, live, stream(150, seed=24), datetime(2026, 3, 1, tzinfo=UTC))
    for n_failed in (1, 2):
        log_job.enqueue_due(workspace, now)
        killed()
        killed()
        assert jobs() == [JobState.FAILED] * n_failed
    log_job.enqueue_due(workspace, now)
    assert jobs() == [JobState.FAILED] * 2, "not for ever at once"
    for later in (1, 2, 3):
        log_job.enqueue_due(workspace, now + timedelta(hours=later))
        run_all(workspace)
        assert jobs() == [*[JobState.FAILED] * 2, JobState.SUCCEEDED]
    assert states(workspace, live) == {"2026-03": WindowState.QUIET}


def test_a_clock_that_was_ahead_for_a_while_leaves_no_row_out(
    workspace: Workspace, live: LiveModel, now: datetime
) -> None:
    def logged(day: int) -> None:
        answer(workspace, live, stream(150, seed=60 + day), datetime(2026, 3, day, tzinfo=UTC))

    def watch() -> int:
        log_job.enqueue_due(workspace, now)
        finished(workspace)
        with workspace.read() as session:
            return sum(window.n_rows for window in window_queries.windows(session, live.monitor_id))

    logged(1)
    assert watch() == 150
    with workspace.write() as session:
        monitor = session.get_one(Monitor, live.monitor_id)
        monitor.watched_to = utc_now() + timedelta(days=1)
        session.add(monitor)
    logged(2)
    assert watch() == 300
    logged(3)
    with workspace.write() as session:
        # Sealed while what was noted still lay ahead, and nobody watched before the clock caught up.
        segment = session.exec(select(PredictionSegment).order_by(col(PredictionSegment.id).desc())).first()
        assert segment is not None
        segment.sealed_at = utc_now() - timedelta(days=2)
        session.add(segment)
    logged(4)
    assert watch() == 600


def test_what_was_computed_while_the_clock_was_ahead_does_not_stand_in_the_way(
    workspace: Workspace, live: LiveModel, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def n_rows(day: int, hour: int) -> int:
        answer(workspace, live, stream(150, seed=60 + day + hour), datetime(2026, 3, day, hour, tzinfo=UTC))
        log_job.enqueue_due(workspace, now)
        finished(workspace)
        with workspace.read() as session:
            return sum(window.n_rows for window in window_queries.windows(session, live.monitor_id))

    with monkeypatch.context() as ahead:
        ahead.setattr(computing, "utc_now", lambda: utc_now() + timedelta(days=2))
        assert n_rows(1, 0) == 150
    assert n_rows(1, 9) == 300
    assert n_rows(2, 0) == 450


@pytest.mark.timeout(60)
def test_answers_from_before_and_after_a_clock_was_set_right_are_counted_where_they_lie(
    workspace: Workspace, live: LiveModel
) -> None:
    """One file of 1970 and of today: its two days are looked at, not the 20,000 between."""
    log = PredictionLog(workspace, "production")
    for number, at in enumerate((datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))):
        rows = json_rows(stream(120, seed=92 + number))
        log.append(
            Answered(
                model_id=live.model_id,
                version_id=live.version_id,
                alias="champion",
                at=at,
                latency_ms=1.5,
                rows=rows,
                ids=[f"{number}-{place}" for place in range(len(rows))],
                predictions=["yes" for _ in rows],
                scores=[[0.4, 0.6] for _ in rows],
            )
        )
    assert log.seal() == 1

    def counted() -> dict[str, int]:
        log_job.enqueue_due(workspace, utc_now())
        finished(workspace)
        with workspace.read() as session:
            return {one.label: one.n_rows for one in window_queries.windows(session, live.monitor_id)}

    assert counted() == {"1970-01": 120, "2026-03": 120}
    with workspace.write() as session:
        segment = session.exec(select(PredictionSegment)).one()
        segment.sealed_at = utc_now() - timedelta(hours=1)
        session.add(segment)
    assert compaction.enqueue_due(workspace, utc_now()) == 1
    finished(workspace)
    with workspace.read() as session:
        assert sorted(one.from_at.year for one in session.exec(select(PredictionSegment))) == [1970, 2026]
    assert counted() == {"1970-01": 120, "2026-03": 120}


def test_rows_that_the_log_lacks_for_good_are_looked_for_once_and_told_once(
    workspace: Workspace, live: LiveModel, now: datetime
) -> None:
    def watch(day: int) -> tuple[datetime, list[str]]:
        """Log some rows and watch: when the log was last read whole, and what was said of rows it lacks."""
        answer(workspace, live, stream(150, seed=60 + day), datetime(2026, 3, day, tzinfo=UTC))
        log_job.enqueue_due(workspace, now)
        finished(workspace)
        with workspace.read() as session:
            whole = session.exec(select(CountedSource.read_at).where(CountedSource.source == "log")).one()
            said = session.exec(select(JobLine.text).where(col(JobLine.text).contains("said to hold"))).all()
        return whole, list(said)

    def first_segment_holds(n_rows: int) -> None:
        with workspace.write() as session:
            segment = session.exec(select(PredictionSegment).order_by(col(PredictionSegment.id))).first()
            assert segment is not None
            segment.n_rows = n_rows
            session.add(segment)

    at_first, said = watch(1)
    assert said == []
    first_segment_holds(157)
    looked, said = watch(2)
    assert looked > at_first
    assert said == [
        "7 of 307 rows that the log is said to hold are in none of its files, or bear no time. "
        "The windows go without them; the log is read whole again when their number changes."
    ]
    assert watch(3) == (looked, said)
    first_segment_holds(150)
    corrected, said_after = watch(4)
    assert corrected > looked
    assert said_after == said
    assert watch(5) == (corrected, said)


Labels = Sequence[tuple[str, str]]


def hand_in_labels(
    workspace: Workspace, live: LiveModel, labels: Labels, *, actor: Actor, at: datetime, upload: Callable[..., int]
) -> int:
    content = "\n".join(["id,truth", *(f"{one},{value}" for one, value in labels)]).encode() + b"\n"
    upload_id = upload(content, "labels.csv", at)
    stored = workspace.artifacts.put_bytes(content)
    options = inspect(workspace.artifacts.path(stored.sha256), file_name="labels.csv").options
    with workspace.write() as session:
        return key(
            service.add_labels(
                session,
                model_id=live.model_id,
                upload_id=upload_id,
                options=options,
                id_column="id",
                label_column="truth",
                actor=actor,
                now=at,
            )
        )


def test_labels_open_only_files_that_may_hold_their_predictions(
    workspace: Workspace, live: LiveModel, operator: Actor, now: datetime, upload: Callable[..., int]
) -> None:
    table = stream(20, seed=29)
    ids = {day: answer(workspace, live, table, datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 2, 3)}
    log_job.enqueue_due(workspace, now)
    finished(workspace)
    with workspace.read() as session:
        first = session.exec(select(PredictionSegment).order_by(col(PredictionSegment.from_at))).first()
    assert first is not None
    path = workspace.artifacts.path(first.sha256)
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])

    def joined(day: int) -> Job:
        labels = [(one, "yes") for one in ids[day]]
        job_id = hand_in_labels(workspace, live, labels, actor=operator, at=now + timedelta(days=day), upload=upload)
        run_all(workspace)
        with workspace.read() as session:
            return session.get_one(Job, job_id)

    with workspace.write() as session:
        session.get_one(Monitor, live.monitor_id).window = "day"  # a month would read all three
    job = joined(3)
    assert job.result is not None, job.error
    assert (job.result["n_matched"], job.result["n_unknown"]) == (20, 0)
    assert "changed" in (joined(1).error or "")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_labels_give_the_same_figures_in_whatever_order_they_are_read(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    upload: Callable[..., int],
    order: tuple[int, ...],
) -> None:
    from core.automation.inline import run_job

    table = stream(300, seed=26)
    ids = answer(workspace, live, table, datetime(2026, 3, 5, tzinfo=UTC))
    truth = table["paid"].to_pylist()
    wrong = [(one, "yes") for one in ids[:200]]
    corrected = [*[(one, "no") for one in ids[:200]], *zip(ids[:200], truth, strict=False)]
    rest = [(one, label) for one, label in zip(ids[200:], truth[200:], strict=True)]
    jobs = [
        hand_in_labels(workspace, live, labels, actor=operator, at=now + timedelta(hours=hour), upload=upload)
        for hour, labels in enumerate([wrong, corrected, rest])
    ]
    for position in order:
        assert run_job(workspace, jobs[position]).state == "succeeded"
    with workspace.read() as session:
        rows = {row.key: row for row in performance_queries.performance(session, live.monitor_id)}
    from core.training.models import load_model

    predicted = predictions_of(workspace, live, table, load_model)
    expected = np.mean([one == other for one, other in zip(predicted, truth, strict=True)])
    assert rows["accuracy"].value == pytest.approx(expected)
    assert rows["accuracy"].n_labelled == 300


def predictions_of(workspace: Workspace, live: LiveModel, table: pa.Table, load: Callable[..., object]) -> list[str]:
    from core.serving.batch_scoring import score_file

    return list(score_file(workspace, version_id=live.version_id, table=table)["prediction"].to_pylist())


def test_labels_of_unknown_predictions_are_reported_kept_and_count_once_their_prediction_comes(
    workspace: Workspace, live: LiveModel, operator: Actor, now: datetime, upload: Callable[..., int]
) -> None:
    at = datetime(2026, 3, 5, tzinfo=UTC)
    ids = [f"{at:%Y%m%d%H%M}-{position}" for position in range(200)]
    labels = [(one, "yes") for one in ids]
    job_id = hand_in_labels(workspace, live, labels, actor=operator, at=now, upload=upload)
    jobs = {job.id: job for job in finished(workspace)}
    result = jobs[job_id].result
    assert result is not None
    assert (result["n_labels"], result["n_matched"], result["n_unknown"]) == (200, 0, 200)
    assert result["unknown"] == ids[:5]
    answer(workspace, live, stream(200, seed=27), at)
    log_job.enqueue_due(workspace, now)
    finished(workspace)
    with workspace.read() as session:
        assert {row.n_labelled for row in performance_queries.performance(session, live.monitor_id)} == {200}


def test_after_a_swap_new_data_is_held_against_the_new_version(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, scientist: Actor, now: datetime
) -> None:
    content = csv_bytes(stream(800, seed=28, hours_shift=0.8), days("2026-01-01", 31, 800))
    add_batch(content)
    assert drifted(workspace, live, "2026-01") == ["prediction", "hours"]
    newer = keep_version(workspace, stream(3_000, seed=29, hours_shift=0.8))
    again = go_live(workspace, scientist, now, data=newer)
    assert again.monitor_id == live.monitor_id
    with workspace.read() as session:
        row = queries.list_monitors(session)[0]
    assert row.sentence.startswith("1 of 4 features drifted in 2026-01. That was ")
    assert row.sentence.endswith(" v1; v2, which is live, has no window yet.")
    add_batch(content)
    with workspace.read() as session:
        assert "That was" not in queries.list_monitors(session)[0].sentence
        assert set(result_tables.drift_table(session, live.monitor_id)["version"].to_pylist()) == {1, 2}
        figures = result_tables.performance_table(session, live.monitor_id).to_pylist()
        assert {(one["window"], one["version"], one["source"]) for one in figures} >= {("2026-01", 1, "estimated")}
        assert all(one["low"] <= one["value"] <= one["high"] for one in figures if one["low"] is not None)
        windows = window_queries.windows(session, live.monitor_id)
        assert {(window.version_id, window.state) for window in windows} == {
            (live.version_id, WindowState.DRIFTED),
            (again.version_id, WindowState.QUIET),
        }
        found = drift_queries.drift_map(session, live.monitor_id)
        assert found.first_drifted == "2026-01 (v1)"
        assert {one.label for one in found.windows} == {"2026-01 (v1)", "2026-01 (v2)"}


def test_alerts_of_a_replaced_version_are_closed_and_not_raised_again(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, scientist: Actor, now: datetime
) -> None:
    def alerts() -> set[tuple[str, str]]:
        with workspace.read() as session:
            return {(one.state, one.note) for one in alert_queries.alerts(session)}

    add_batch(csv_bytes(stream(800, seed=28, hours_shift=0.8), days("2026-01-01", 31, 800)))
    judge_all(workspace, now)
    assert alerts() == {("open", "")}
    go_live(workspace, scientist, now, data=keep_version(workspace, stream(3_000, seed=29, hours_shift=0.8)))
    judge_all(workspace, now)
    closed = {("resolved", "Version 1 is no longer live as champion in production.")}
    assert alerts() == closed
    with workspace.write() as session:
        service.refresh(session, monitor_id=live.monitor_id, actor=operator, now=now)
    finished(workspace)
    assert alerts() == closed


def test_comparing_two_dataset_versions_names_the_column_that_moved(
    workspace: Workspace, operator: Actor, now: datetime
) -> None:
    before, after = (
        keep_version(workspace, stream(2_000, seed=seed, hours_shift=shift)) for seed, shift in ((30, 0.0), (31, 0.6))
    )
    with workspace.write() as session:
        job = enqueue(
            session,
            kind="compare_versions",
            payload={"reference_id": key(before), "current_id": key(after)},
            subject_kind="dataset_version",
            subject_id=key(after),
            actor=operator,
            now=now,
        )
    result = next(one for one in finished(workspace) if one.id == job.id).result
    assert result is not None
    assert [one["feature"] for one in result["features"]] == ["hours", "age", "job", "member", "paid"]
    assert [one["feature"] for one in result["features"] if one["drifted"]] == ["hours", "paid"]


def test_weeks_instead_of_months_are_computed_anew(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=32), days("2026-01-01", 31, 1_000)))
    with workspace.write() as session:
        service.edit_monitor(
            session,
            monitor_id=live.monitor_id,
            window="week",
            false_alerts=0.05,
            min_rows=50,
            min_effect=0.1,
            actor=operator,
            now=now,
        )
    finished(workspace)
    assert list(states(workspace, live)) == ["2026-W01", "2026-W02", "2026-W03", "2026-W04", "2026-W05"]


def test_jobs_of_a_monitor_are_about_it(workspace: Workspace, live: LiveModel, operator: Actor, now: datetime) -> None:
    with workspace.write() as session:
        job = service.refresh(session, monitor_id=live.monitor_id, actor=operator, now=now)
    assert (job.kind, job.subject_kind, job.subject_id) == ("watch_log", "monitor", live.monitor_id)
    with workspace.read() as session:
        assert session.get_one(Job, job.id).state == "queued"
    finished(workspace)


def test_a_regression_is_watched_by_its_values(
    workspace: Workspace, scientist: Actor, operator: Actor, now: datetime, upload: Callable[..., int]
) -> None:
    table = stream(2_000, seed=40)
    pay = [hour * 3 + age for hour, age in zip(table["hours"].to_pylist(), table["age"].to_pylist(), strict=True)]
    table = table.append_column("pay", pa.array(pay))
    data = keep_version(workspace, table)
    model = go_live(
        workspace, scientist, now, name="wage", data=data, target="pay", features=("hours", "age"), algorithm="ridge"
    )
    content = csv_bytes(table.slice(0, 600), days("2026-01-01", 31, 600))
    upload_id = upload(content, "wage.csv", now)
    stored = workspace.artifacts.put_bytes(content)
    with workspace.write() as session:
        service.add_batch(
            session,
            monitor_id=model.monitor_id,
            upload_id=upload_id,
            options=inspect(workspace.artifacts.path(stored.sha256), file_name="wage.csv").options,
            time_column="day",
            actor=operator,
            now=now,
        )
    finished(workspace)
    assert states(workspace, model) == {"2026-01": WindowState.QUIET}
    with workspace.read() as session:
        rows = {row.key: row for row in performance_queries.performance(session, model.monitor_id)}
        window = window_queries.windows(session, model.monitor_id)[0]
        results = drift_queries.drift_results(session, key(window))
    assert rows["rmse"].n_labelled == 600
    assert rows["rmse"].value < 2
    assert (results[0].feature, results[0].is_prediction, results[0].column_kind) == ("prediction", True, "number")


def test_an_older_computation_never_replaces_a_newer_one(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    from core.monitoring.computing import compute_windows
    from core.monitoring.recording import record_windows

    january = days("2026-01-01", 31, 400)
    add_batch(csv_bytes(stream(400, seed=41), january))
    older = compute_windows(workspace, monitor_id=live.monitor_id, version_id=live.version_id, touched=None)
    add_batch(csv_bytes(stream(400, seed=42), january))
    with workspace.write() as session:
        monitor = queries.monitor(session, live.monitor_id)
        assert record_windows(session, monitor=monitor, windows=older, actor=operator, now=now) == []
    with workspace.read() as session:
        assert [window.n_rows for window in window_queries.windows(session, live.monitor_id)] == [800]


def test_pages_read_with_few_statements(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    from sqlalchemy import event

    content = csv_bytes(stream(600, seed=43), days("2026-01-01", 300, 600))
    add_batch(content)
    said: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(workspace.engine, "before_cursor_execute", count)
    with workspace.read() as session:
        assert len(queries.list_monitors(session)) == 1
        n_list = len(said)
        assert len(drift_queries.drift_map(session, live.monitor_id).windows) == 10
        performance_queries.performance(session, live.monitor_id)
        alert_queries.alerts(session)
    event.remove(workspace.engine, "before_cursor_execute", count)
    assert n_list <= 5
    assert len(said) - n_list <= 6


def result_of(workspace: Workspace, live: LiveModel, label: str, feature: str) -> int:
    with workspace.read() as session:
        window = next(one for one in window_queries.windows(session, live.monitor_id) if one.label == label)
        return key(next(one for one in drift_queries.drift_results(session, key(window)) if one.feature == feature))


def test_example_rows_show_where_a_feature_grew(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    quiet, moved = stream(400, seed=21), stream(400, seed=22, hours_shift=2.0, new_job=0.3, missing_age=0.5)
    content = csv_bytes(pa.concat_tables([quiet, moved]), [*days("2026-01-01", 31, 400), *days("2026-02-01", 28, 400)])
    add_batch(content)
    hours = example_rows(workspace, result_of(workspace, live, "2026-02", "hours"), n_rows=5)
    assert len(hours) == 5
    assert all(row["hours"] > 45 and row["Time"].month == 2 for row in hours)
    assert set(hours[0]) >= {"age", "job", "member"}
    assert {row["job"] for row in example_rows(workspace, result_of(workspace, live, "2026-02", "job"))} == {"poet"}
    assert {row["age"] for row in example_rows(workspace, result_of(workspace, live, "2026-02", "age"))} == {None}


def test_example_rows_of_a_batch_without_times_are_its_own(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(200, seed=23)), time_column=None)
    second = add_batch(csv_bytes(stream(200, seed=24, hours_shift=3.0)), time_column=None)
    rows = example_rows(workspace, result_of(workspace, live, f"batch {second.id}", "hours"))
    assert rows
    assert all(row["hours"] > 45 for row in rows)


def test_example_rows_open_only_files_that_reach_into_the_window(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    other = add_batch(csv_bytes(stream(400, seed=25), days("2026-01-01", 31, 400)))
    add_batch(csv_bytes(stream(400, seed=26, hours_shift=2.0), days("2026-02-01", 28, 400)))
    workspace.artifacts.path(str(other.data_sha256)).unlink()
    assert len(example_rows(workspace, result_of(workspace, live, "2026-02", "hours"))) == 8


def test_example_rows_are_of_the_log_and_of_batches_that_are_being_measured(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, now: datetime
) -> None:
    answer(workspace, live, stream(40, seed=27, hours_shift=2.0), datetime(2026, 2, 1, tzinfo=UTC))
    batch = add_batch(csv_bytes(stream(400, seed=28, hours_shift=2.0), days("2026-02-01", 28, 400)))
    with workspace.write() as session:
        session.get_one(Batch, batch.id).state = BatchState.MEASURING
    rows = example_rows(workspace, result_of(workspace, live, "2026-02", "hours"), n_rows=400)
    assert {"Prediction id" in row for row in rows} == {True, False}


def test_a_window_is_looked_at_as_a_whole_too(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    quiet, moved = stream(400, seed=31), stream(400, seed=32, new_job=0.3)
    content = csv_bytes(pa.concat_tables([quiet, moved]), [*days("2026-01-01", 31, 400), *days("2026-02-01", 28, 400)])
    add_batch(content)
    with workspace.read() as session:
        found = {
            window.label: {one.kind: one for one in performance_queries.window_measures(session, key(window))}
            for window in window_queries.windows(session, live.monitor_id)
        }
    told = {one.state for one in found["2026-01"].values() if one.kind not in ("concept", "group_gap")}
    assert told == {WindowState.QUIET}
    assert found["2026-01"]["group_gap"].state == WindowState.NOT_ENOUGH_DATA  # the dataset names nothing sensitive
    apart = found["2026-02"]["domain_classifier"]
    assert apart.state == WindowState.DRIFTED
    assert apart.details["telling"][0][0] == "job"
    assert found["2026-02"]["contract"].details["breaks"][0]["rule"] == "known_categories"
    assert found["2026-02"]["concept"].state != WindowState.DRIFTED  # the labels follow the same rule


def with_ids(content: bytes, first: int = 0) -> bytes:
    head, *rows = content.decode().splitlines()
    named = [f"{head},prediction_id", *(f"{row},p{first + place}" for place, row in enumerate(rows))]
    return "\n".join(named).encode()


def test_the_same_rows_are_not_counted_twice(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    rows = stream(300, seed=90)
    content = csv_bytes(rows, days("2026-01-01", 31, 300))
    first = add_batch(with_ids(content))
    with pytest.raises(AlreadyExists, match=f"as batch {first.id}; its rows would count twice"):
        add_batch(with_ids(content))
    again = add_batch(with_ids(content) + b"\n\n")  # other bytes, the same predictions
    assert again.state == BatchState.FAILED
    assert "300 of 300 prediction ids of this file are in the data already" in (again.error or "")
    overlapping = add_batch(with_ids(content, first=200))
    assert "100 of 300 prediction ids of this file are in the data already, 'p200', 'p201'" in (overlapping.error or "")
    assert add_batch(with_ids(content, first=300)).state == BatchState.READY
    with workspace.read() as session:
        [window] = window_queries.windows(session, live.monitor_id)
        assert window.n_rows == 600


def test_times_that_stand_for_none_fall_into_no_window_and_are_told(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    times = days("2026-03-01", 20, 300)
    times[3], times[4], times[5] = "9999-12-31", "0001-01-01", ""
    batch = add_batch(csv_bytes(stream(300, seed=91), times))
    assert (batch.state, batch.n_rows) == (BatchState.READY, 300)
    finished(workspace)  # the windows are looked into too
    with workspace.read() as session:
        windows = window_queries.windows(session, live.monitor_id)
        assert [(one.label, one.n_rows) for one in windows] == [("2026-03", 297)]
        assert queries.batch_notes(session, [batch])[key(batch)] == [
            "Rows without a time from 1900 to 2199: 3. They fall into no window."
        ]


def test_what_looks_wrong_with_a_batch_that_is_taken_is_noted(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    dates = [*days("2026-01-01", 31, 297), "", "2062-01-01", "2062-01-02"]
    content = with_ids(csv_bytes(stream(300, seed=93), dates)).replace(b",p1\n", b",p0\n")
    batch = add_batch(content)
    with workspace.read() as session:
        notes = queries.batch_notes(session, [batch])[key(batch)]
        result = session.get_one(Job, batch.job_id).result or {}
    assert notes == [
        "Rows without a time from 1900 to 2199: 1. They fall into no window.",
        "Rows in the future: 2, the last at 2062-01-02 00:00. If the time column was read wrongly, withdraw this "
        "batch and read it another way.",
        "Rows that repeat a prediction id of this file: 1. All count, and a label joins each.",
    ]
    assert [one["label"] for one in result["windows"]] == ["2026-01", "2062-01"]


def test_a_batch_that_is_withdrawn_leaves_no_window_alert_or_row_behind(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, viewer: Actor, now: datetime
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=91), days("2026-01-01", 31, 1_000)))
    content = csv_bytes(stream(1_000, seed=92, hours_shift=1.0), days("2026-02-01", 28, 1_000))
    wrong = key(add_batch(content))
    assert states(workspace, live) == {"2026-01": WindowState.QUIET, "2026-02": WindowState.DRIFTED}
    with workspace.write() as session, pytest.raises(PermissionDenied):
        batch_withdrawal.withdraw_batch(session, batch_id=wrong, reason="Wrong file", actor=viewer, now=now)
    with workspace.write() as session, pytest.raises(InvalidInput, match="Write why"):
        batch_withdrawal.withdraw_batch(session, batch_id=wrong, reason=" ", actor=operator, now=now)
    with workspace.write() as session:
        batch_withdrawal.withdraw_batch(session, batch_id=wrong, reason="Wrong file", actor=operator, now=now)
    run_all(workspace)
    assert states(workspace, live) == {"2026-01": WindowState.QUIET}
    with workspace.read() as session:
        assert alert_queries.open_alerts(session) == []
        assert queries.list_monitors(session)[0].last_window == "2026-01"
        told = session.exec(select(AuditEvent).where(col(AuditEvent.action) == "batch.withdrawn")).one()
    assert (told.actor_name, told.details["reason"]) == ("olga", "Wrong file")
    with workspace.write() as session, pytest.raises(InvalidTransition):
        batch_withdrawal.withdraw_batch(session, batch_id=wrong, reason="Again", actor=operator, now=now)
    add_batch(content)
    assert states(workspace, live) == {"2026-01": WindowState.QUIET, "2026-02": WindowState.DRIFTED}
