"""Three days of a monitor's life, told by jobs that may be killed anywhere, and what they leave.

Each step asks for something as a person or the clock does, and then the queue is worked off, each attempt in a process
of its own as a worker starts it. What is killed is ended and tried again as a worker does it. An undisturbed telling
and a killed one must leave the same.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy
from sqlmodel import Session, col, select

from core.access.tables import User, UserRole
from core.audit.service import verify
from core.automation import child
from core.automation.sweeping import references, sweep
from core.database import utc_now
from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.datasets.tables import DatasetVersion, Upload
from core.incidents import service as incidents
from core.incidents.tables import Incident, IncidentState
from core.jobs import service as jobs
from core.jobs.lifecycle import Ending
from core.jobs.processes import this_process
from core.jobs.tables import Job, JobState
from core.monitoring import service
from core.monitoring.tables import BucketSketch, DriftResult, Window
from core.permissions import Actor, Role
from core.registry.retraining import request_retraining
from core.serving.log import Answered, PredictionLog
from core.serving.tables import PredictionSegment
from core.settings import Settings
from core.tables import METADATA
from core.workspace import Workspace, open_workspace
from tests.factories import NOW, key
from tests.live_models import LiveModel, csv_bytes, json_rows, keep_version, live_home, stream

FIRST = datetime(2026, 3, 8, 20, 0, tzinfo=UTC)
REQUESTS, ROWS = 20, 30
LEASE = timedelta(seconds=30)
PRELOAD = ["core.automation.preload", "tests.core.automation.monitoring_story"]
CHANCE = frozenset({("run", "model_size_bytes")})
"""Columns that only now and then differ: a model file holds moments."""
OF_PROCESSES = {"job", "job_line", "process", "health_sample"}
"""Tables that tell how the work was done, not what came of it."""


@dataclass
class Kills:
    """How often the work was killed while it ran, by what was killed, and what was wrong just after."""

    by_kind: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Story:
    """A telling of the story: where, by whom, and when it is killed.

    Parameters
    ----------
    rng : random.Random or None
        None for an undisturbed telling.
    seconds : dict of (str, int) to float
        How long each thing took undisturbed, by its kind and how many of it came before; learnt where ``rng`` is None.
    """

    settings: Settings
    live: LiveModel
    scientist: Actor
    operator: Actor
    rng: random.Random | None
    seconds: dict[tuple[str, int], float]
    kills: Kills = field(default_factory=Kills)
    begun: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.workspace = open_workspace(self.settings)
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(PRELOAD)
        self._leash, self._held = self._processes.Pipe(duplex=False)

    def tell(self) -> None:
        """Tell all of it."""
        for step in STEPS:
            step(self)
            self.work()
        self._held.close()
        self.workspace.close()

    def tick(self, function: str) -> None:
        """Do one periodic thing; where it was killed, a worker's next turn does it again."""
        if self.run(function, child.tick, (self.settings, self._leash, function)):
            self.run("", child.tick, (self.settings, self._leash, function))

    def work(self) -> None:
        """Work the queue off; no job is killed twice, for then it would have failed."""
        while (job := self._claim()) is not None:
            kind = job.kind if job.attempts == 1 else ""
            if self.run(kind, child.attempt, (self.settings, self._leash, job.id, job.fence)):
                end = (self.settings, self._leash, job.id, job.fence, Ending.LOST, "It was killed.")
                if self.run("the end of a job", child.ending, end):
                    self.run("", child.ending, end)

    def run(self, kind: str, target: Callable[..., None], given: tuple[Any, ...]) -> bool:
        """Run something in a process; tells whether it was killed before it had ended. "" is never killed."""
        began, place = time.monotonic(), (kind, self.begun[kind])
        self.begun[kind] += 1
        process = self._processes.Process(target=target, args=given)
        process.start()
        if self.rng is None or not kind:
            process.join()
            assert process.exitcode == 0, kind
            self.seconds[place] = time.monotonic() - began
            return False
        process.join(self.rng.uniform(0.0, self.seconds.get(place, 0.1)))
        if process.exitcode is None:
            assert process.pid is not None
            with suppress(ProcessLookupError):  # where it had not yet made its group
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
        if process.exitcode == 0:
            return False
        self.kills.by_kind[kind] += 1
        self.kills.wrong += half_stored(self.workspace)
        return True

    def _claim(self) -> Job | None:
        with self.workspace.write() as session:
            now = utc_now()
            return jobs.claim(session, owner=this_process(), now=now + LEASE, lease_until=now + LEASE)


def home_for(folder: Path) -> tuple[LiveModel, Actor, Actor]:
    """A home with a live model, and the scientist and the operator of it."""
    live, scientist = live_home(folder, NOW, n_rows=1_500)
    workspace = open_workspace(Settings(home=folder))
    with workspace.write() as session:
        user = User(name="olga", created_at=NOW)
        session.add(user)
        session.flush()
        session.add(UserRole(user_id=key(user), role=Role.OPERATOR))
    workspace.close()
    return live, scientist, Actor(user_id=key(user), name="olga", roles=frozenset({Role.OPERATOR}), via="browser")


def answer(settings: Settings, live: LiveModel, first: int) -> None:
    """Answer requests over three days and die without sealing: a spool file for every two of them."""
    workspace = open_workspace(settings)
    log = None
    for number in range(first, first + REQUESTS):
        if log is None or number % 2 == 0:
            log = PredictionLog(workspace, "production")
        rows = json_rows(stream(ROWS, seed=500 + number, hours_shift=0.0 if number % REQUESTS < 12 else 1.5))
        log.append(
            Answered(
                model_id=live.model_id,
                version_id=live.version_id,
                alias="champion",
                at=FIRST + timedelta(hours=3 * (number % REQUESTS), minutes=number),
                latency_ms=1.5,
                rows=rows,
                ids=[prediction_id(number, place) for place in range(ROWS)],
                predictions=["yes" if row["age"] > 45 else "no" for row in rows],
                scores=[[0.4, 0.6] if row["age"] > 45 else [0.7, 0.3] for row in rows],
            )
        )
    os._exit(0)


def seal(settings: Settings) -> None:
    """Seal what dead processes left, as scoring does when it starts."""
    os.setsid()
    workspace = open_workspace(settings)
    PredictionLog(workspace, "production").seal_left_over()
    workspace.close()


def prediction_id(number: int, place: int) -> str:
    return f"{number:08d}{place:08d}"


def _seal_some(story: Story, first: int) -> None:
    story.run("", answer, (story.settings, story.live, first))
    if story.run("sealing", seal, (story.settings,)):
        story.run("", seal, (story.settings,))


def requests_are_answered(story: Story) -> None:
    _seal_some(story, 0)


def the_log_is_watched(story: Story) -> None:
    with story.workspace.write() as session:
        service.edit_monitor(
            session, monitor_id=story.live.monitor_id, window="day", min_rows=50, actor=story.operator, now=NOW
        )
    story.work()
    story.tick("core.monitoring.log_job:enqueue_due")


def _upload(story: Story, session: Session, content: bytes, at: datetime) -> tuple[Upload, Any]:
    stored = story.workspace.artifacts.put_bytes(content)
    options = inspect(story.workspace.artifacts.path(stored.sha256), file_name="rows.csv").options
    return store_upload(session, artifact=stored, file_name="rows.csv", actor=story.scientist, now=at), options


def _batch(story: Story, content: bytes, time_column: str | None) -> None:
    with story.workspace.write() as session:
        upload, options = _upload(story, session, content, NOW)
        service.add_batch(
            session,
            monitor_id=story.live.monitor_id,
            upload_id=key(upload),
            options=options,
            time_column=time_column,
            actor=story.scientist,
            now=NOW,
        )


def a_batch_of_days_comes(story: Story) -> None:
    days = [str(np.datetime64("2026-03-07") + place * 6 // 720) for place in range(720)]
    ids = [f"b{place:05d}" for place in range(len(days))]
    _batch(story, csv_bytes(stream(720, seed=700), days, prediction_id=ids), "day")


def a_batch_without_times_comes(story: Story) -> None:
    _batch(story, csv_bytes(stream(400, seed=701, hours_shift=1.0)), None)


def _labels(story: Story, ids: list[str], value: Callable[[int], str], at: datetime) -> None:
    content = "\n".join(["prediction_id,paid", *(f"{one},{value(place)}" for place, one in enumerate(ids))])
    with story.workspace.write() as session:
        upload, options = _upload(story, session, content.encode(), at)
        service.add_labels(
            session,
            model_id=story.live.model_id,
            upload_id=key(upload),
            options=options,
            id_column="prediction_id",
            label_column="paid",
            actor=story.scientist,
            now=at,
        )


def labels_come_twice(story: Story) -> None:
    """The correction is read first; a part is of predictions that are answered later."""
    some = [prediction_id(number, place) for number in range(0, 30, 2) for place in range(ROWS)]
    _labels(story, some[:200], lambda place: "yes" if place % 5 else "no", NOW + timedelta(hours=1))
    story.work()
    _labels(story, some, lambda place: "yes" if place % 3 else "no", NOW)


def more_requests_are_answered(story: Story) -> None:
    _seal_some(story, REQUESTS)
    story.tick("core.monitoring.log_job:enqueue_due")


def the_log_is_put_together(story: Story) -> None:
    story.tick("core.serving.compaction:enqueue_due")
    with story.workspace.write() as session:  # sealed just now, so not yet due by the clock
        session.connection().execute(
            sqlalchemy.update(PredictionSegment).values(sealed_at=utc_now() - timedelta(hours=1))
        )
    story.tick("core.serving.compaction:enqueue_due")


def windows_are_cut_anew(story: Story) -> None:
    with story.workspace.write() as session:
        service.edit_monitor(
            session,
            monitor_id=story.live.monitor_id,
            window="hour",
            min_rows=20,
            slice_columns=["job"],
            false_alerts=2.0,
            actor=story.operator,
            now=NOW,
        )
    story.work()
    with story.workspace.write() as session:
        service.edit_monitor(
            session,
            monitor_id=story.live.monitor_id,
            window="count",
            window_rows=300,
            min_rows=50,
            actor=story.operator,
            now=NOW,
        )
    story.work()
    with story.workspace.write() as session:
        service.edit_monitor(
            session, monitor_id=story.live.monitor_id, window="day", windows_of=2, actor=story.operator, now=NOW
        )


def a_rule_is_tried(story: Story) -> None:
    with story.workspace.write() as session:
        service.request_preview(
            session, monitor_id=story.live.monitor_id, false_alerts=0.5, actor=story.operator, now=NOW
        )


def an_incident_opens(story: Story) -> None:
    story.tick("core.monitoring.liveness_job:judge_all")
    story.tick("core.incidents.opening:open_due")
    with story.workspace.write() as session:
        incident = session.exec(select(Incident).where(Incident.state != IncidentState.RESOLVED)).first()
        if incident is not None:
            incidents.request_look(session, incident_id=key(incident), actor=story.operator, now=NOW)


def two_windows_are_compared(story: Story) -> None:
    with story.workspace.write() as session:
        first, *_, last = session.exec(select(Window.id).where(Window.length == "day").order_by(col(Window.from_at)))
        service.request_window_comparison(
            session, first_id=first or 0, second_id=last or 0, actor=story.operator, now=NOW
        )


def it_is_retrained(story: Story) -> None:
    with story.workspace.read() as session:
        dataset_id = session.get_one(DatasetVersion, story.live.data_id).dataset_id
    rows = stream(1_200, seed=702, hours_shift=1.0)
    data = keep_version(story.workspace, rows, dataset_id=dataset_id, content_hash="f" * 64)
    with story.workspace.write() as session:
        request_retraining(
            session, model_id=story.live.model_id, dataset_version_id=key(data), actor=story.operator, now=NOW
        )


STEPS: tuple[Callable[[Story], None], ...] = (
    requests_are_answered,
    the_log_is_watched,
    a_batch_of_days_comes,
    a_batch_without_times_comes,
    labels_come_twice,
    more_requests_are_answered,
    the_log_is_put_together,
    windows_are_cut_anew,
    a_rule_is_tried,
    an_incident_opens,
    two_windows_are_compared,
    it_is_retrained,
)


def half_stored(workspace: Workspace) -> list[str]:
    """What is stored in part at this moment: a window without all of its results, a bucket without all columns."""
    wrong = []
    with workspace.read() as session:
        whole = col(DriftResult.slice) == ""
        query = select(DriftResult.window_id).where(whole, col(DriftResult.is_prediction).is_(False))
        n_results = Counter(session.exec(query))
        wrong += [
            f"{window.label} has {n_results[window.id or 0]} results of {window.n_features}"
            for window in session.exec(select(Window))
            if n_results[window.id or 0] != window.n_features
        ]
        at = (BucketSketch.source, BucketSketch.bucket_at, BucketSketch.slice)
        query = select(*at, BucketSketch.feature, BucketSketch.n_rows).where(col(BucketSketch.is_prediction).is_(False))
        buckets: dict[tuple[Any, ...], dict[str, int]] = {}
        for *bucket, feature, n_rows in session.connection().execute(query):
            buckets.setdefault(tuple(bucket), {})[feature] = n_rows
        wrong += [
            f"bucket {bucket} holds {counts}"
            for bucket, counts in buckets.items()
            if len(counts) != 4 or len(set(counts.values())) != 1
        ]
        logged = [one.sha256 for one in session.exec(select(PredictionSegment))]
    ids = [one for sha256 in logged for one in _ids(workspace, sha256)]
    if len(ids) != len(set(ids)):
        wrong.append(f"the log holds {len(ids)} rows of {len(set(ids))} predictions")
    return wrong


def _ids(workspace: Workspace, sha256: str) -> list[str]:
    path = workspace.artifacts.verified_path(sha256)
    return list(pq.read_table(path, columns=["prediction_id"])["prediction_id"].to_pylist())


def left_wrong(settings: Settings) -> list[str]:
    """What a telling left undone, lost or lying about."""
    workspace = open_workspace(settings)
    wrong = half_stored(workspace)
    with workspace.read() as session:
        wrong += [
            f"{job.kind} {job.id} is {job.state}: {job.error}"
            for job in session.exec(select(Job))
            if job.state != JobState.SUCCEEDED
        ]
        chain = verify(session)
        wrong += [f"audit: {one}" for one in chain.breaks]
        logged = [one.sha256 for one in session.exec(select(PredictionSegment))]
    n_rows = sum(len(_ids(workspace, one)) for one in logged)
    if n_rows != 2 * REQUESTS * ROWS:
        wrong.append(f"the log holds {n_rows} rows; {2 * REQUESTS * ROWS} were answered")
    sweep(workspace, utc_now() + timedelta(days=3))
    with workspace.read() as session:
        wanted = references(session)
    kept = {path.parent.name + path.name for path in workspace.artifacts.folder.glob("sha256/??/*")}
    wrong += [f"nothing refers to the file {one[:8]}" for one in kept - wanted]
    wrong += [f"left behind: {path.name}" for path in workspace.artifacts.folder.glob(".*")]
    wrong += [f"left in the spool: {path.name}" for path in workspace.home.glob("spool/*/*.jsonl")]
    workspace.close()
    return wrong


def told(settings: Settings) -> dict[str, list[dict[str, str]]]:
    """All that a telling left, table by table: rows with what names them in place of their ids."""
    workspace = open_workspace(settings)
    found = {}
    with workspace.read() as session:
        labels = {one.id: f"{one.length} {one.label}" for one in session.exec(select(Window))}
        for table in METADATA.sorted_tables:
            if table.name in OF_PROCESSES:
                continue
            own = [one.name for one in table.columns if one.name != "id" and (not one.foreign_keys or one.primary_key)]
            rows = []
            for row in session.connection().execute(sqlalchemy.select(table)).mappings():
                values = {name: repr(row[name]) for name in own}
                if "window_id" in row:
                    values["window_id"] = repr(labels.get(row["window_id"]))
                rows.append(values)
            found[table.name] = rows
    workspace.close()
    return found


def differences(
    first: Mapping[str, list[dict[str, str]]],
    second: Mapping[str, list[dict[str, str]]],
    *,
    apart: frozenset[tuple[str, str]] = frozenset(),
) -> list[str]:
    """Rows that only one of two tellings left, ``apart`` from these columns."""
    found = []
    for name, rows in first.items():
        seen = [
            Counter(repr(sorted((k, v) for k, v in row.items() if (name, k) not in apart)) for row in some)
            for some in (rows, second[name])
        ]
        found += [f"only the first, {name}: {one[:2000]}" for one in (seen[0] - seen[1]).elements()]
        found += [f"only the second, {name}: {one[:2000]}" for one in (seen[1] - seen[0]).elements()]
    return found


def telling_apart(
    first: Mapping[str, list[dict[str, str]]], second: Mapping[str, list[dict[str, str]]]
) -> frozenset[tuple[str, str]]:
    """Columns in which two undisturbed tellings differ: moments of work, and what follows from them."""
    return frozenset(
        (name, column)
        for name, rows in first.items()
        for column in (rows[0] if rows else {})
        if Counter(row[column] for row in rows) != Counter(row[column] for row in second[name])
    )


@dataclass
class Tellings:
    """What killed tellings left: how often each kind of work was killed, and what differs from an undisturbed one."""

    n: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def killed_tellings(folder: Path, *, kills: int, seed: int) -> Tellings:
    """Tell the story undisturbed twice, then with kills at random moments until there were so many.

    What two undisturbed tellings do not share, moments of work and what follows from them, is not held against a
    killed one.
    """
    base, report = folder / "base", Tellings()
    seconds: dict[tuple[str, int], float] = {}
    people = home_for(base)

    def tell(name: str, rng: random.Random | None) -> tuple[dict[str, list[dict[str, str]]], Kills, list[str]]:
        settings = Settings(home=Path(shutil.copytree(base, folder / name)))
        story = Story(settings, *people, rng, seconds)
        story.tell()
        return told(settings), story.kills, left_wrong(settings)

    first, _, wrong = tell("undisturbed", None)
    second, _, wrong_too = tell("undisturbed again", None)
    apart = telling_apart(first, second) | CHANCE
    report.wrong += [*wrong, *wrong_too, *differences(first, second, apart=apart)]
    while report.killed.total() < kills:
        name = f"killed {report.n}"
        left, killed, wrong = tell(name, random.Random(seed + report.n))
        report.n += 1
        report.killed += killed.by_kind
        report.wrong += [
            f"telling {seed + report.n - 1}: {one}"
            for one in [*killed.wrong, *wrong, *differences(first, left, apart=apart)]
        ]
        shutil.rmtree(folder / name)
    return report
