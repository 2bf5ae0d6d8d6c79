"""Labels and predictions in any order, twice and corrected: the same final figures, and nothing lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.jobs.queries import job_lines
from core.jobs.tables import Job
from core.monitoring import log_job, service, window_queries
from core.monitoring.label_maturity import label_maturity
from core.monitoring.labels import unknown_labels
from core.monitoring.tables import LabelArrival, PerformanceResult
from core.permissions import Actor, Role
from core.registry.tables import ModelVersion
from core.serving.log import Answered, PredictionLog
from core.settings import Settings
from core.training.models import load_model
from core.workspace import Workspace, open_workspace
from tests.factories import NOW, key
from tests.live_models import LiveModel, finished, json_rows, live_home, stream

N = 120
FIRST, SECOND = NOW - timedelta(days=40), NOW - timedelta(days=5)
TABLES = {at: stream(N, seed=50 + number) for number, at in enumerate((FIRST, SECOND))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LiveModel, Actor]:
    folder = tmp_path_factory.mktemp("late")
    return folder, *live_home(folder, NOW, n_rows=2_000)


def ids(at: datetime) -> list[str]:
    return [f"{at:%m%d}-{row}" for row in range(N)]


def truth(at: datetime) -> list[str]:
    return [str(one) for one in TABLES[at]["paid"].to_pylist()]


def answered(workspace: Workspace, live: LiveModel, at: datetime) -> None:
    """A sealed segment of the log, and the job that watches it."""
    with workspace.read() as session:
        version = session.get_one(ModelVersion, live.version_id)
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    rows = json_rows(TABLES[at])
    labels, scores = model.predict_rows(rows)
    assert scores is not None
    log = PredictionLog(workspace, "production")
    log.append(
        Answered(
            model_id=live.model_id,
            version_id=live.version_id,
            alias="champion",
            at=at,
            latency_ms=1.0,
            rows=rows,
            ids=ids(at),
            predictions=labels.tolist(),
            scores=scores.tolist(),
        )
    )
    log.seal()
    log_job.enqueue_due(workspace, NOW)
    finished(workspace)


def told(workspace: Workspace, live: LiveModel, actor: Actor, labels: dict[str, str], at: datetime) -> None:
    """A file of labels, handed in at a time, and the job that reads it."""
    content = "\n".join(["id,truth", *(f"{one},{value}" for one, value in labels.items())]).encode() + b"\n"
    stored = workspace.artifacts.put_bytes(content)
    options = inspect(workspace.artifacts.path(stored.sha256), file_name="labels.csv").options
    with workspace.write() as session:
        upload = store_upload(session, artifact=stored, file_name="labels.csv", actor=actor, now=at)
        service.add_labels(
            session,
            model_id=live.model_id,
            upload_id=key(upload),
            options=options,
            id_column="id",
            label_column="truth",
            actor=actor,
            now=at,
        )
    finished(workspace)


Event = Callable[[Workspace, LiveModel, Actor], None]


def label_file(labels: dict[str, str], days: int) -> Event:
    return lambda workspace, live, actor: told(workspace, live, actor, labels, NOW + timedelta(days=days))


WRONG = dict.fromkeys(ids(FIRST), "yes")
RIGHT = dict(zip(ids(FIRST), truth(FIRST), strict=True))
LATER = dict(list(zip(ids(SECOND), truth(SECOND), strict=True))[:70])
EVENTS: tuple[Event, ...] = (
    lambda workspace, live, _actor: answered(workspace, live, FIRST),
    lambda workspace, live, _actor: answered(workspace, live, SECOND),
    label_file(WRONG, 1),
    label_file(RIGHT, 2),
    label_file(RIGHT, 3),
    label_file(LATER | {"nobody-asked": "no"}, 4),
)


def final(workspace: Workspace, live: LiveModel) -> dict[str, Any]:
    with workspace.read() as session:
        labels = {one.id: one.label for one in window_queries.windows(session, live.monitor_id)}
        figures = {
            (labels[one.window_id], one.slice, one.source, one.key): (
                one.value,
                one.low,
                one.high,
                one.n_labelled,
                one.note,
            )
            for one in session.exec(select(PerformanceResult))
        }
        arrivals = {labels[one.window_id]: (one.delays, one.pieces) for one in session.exec(select(LabelArrival))}
        unknown = unknown_labels(session, live.model_id)
    return {"figures": figures, "arrivals": arrivals, "unknown": unknown}


def test_the_final_figures_are_the_same_in_any_order(
    made: tuple[Path, LiveModel, Actor], tmp_path: Path, operator: Actor
) -> None:
    folder, live, _ = made
    assert Role.OPERATOR in operator.roles
    seen = []
    for seed in range(2):
        order = list(EVENTS)
        if seed:
            random.Random(seed).shuffle(order)
        workspace = open_workspace(Settings(home=Path(shutil.copytree(folder, tmp_path / f"home{seed}"))))
        for event in order:
            event(workspace, live, operator)
        seen.append(final(workspace, live))
        with workspace.read() as session:
            view = label_maturity(session, live.monitor_id, now=NOW + timedelta(days=10))
        workspace.close()
        assert [one.maturity.n_labelled for one in view.windows] == [N, 70]
        assert (view.unknown.n, view.unknown.ids) == (1, ("nobody-asked",))
    assert seen[1] == seen[0]
    figures = seen[0]["figures"]
    assert {source for _, _, source, _ in figures} == {"realised", "estimated", "corrected"}
    first, second = sorted({label for label, *_ in figures})
    assert figures[first, "", "realised", "accuracy"][3] == N
    assert (first, "", "corrected", "accuracy") not in figures
    assert figures[second, "", "corrected", "accuracy"][3] == 70
    # The first window's labels came first a day after NOW; their correction is no later arrival.
    delays = seen[0]["arrivals"][first][0]
    assert sum(delays) == N
    assert max(delays) == N


def test_labels_that_are_no_class_of_the_model_are_told(
    made: tuple[Path, LiveModel, Actor], tmp_path: Path, operator: Actor
) -> None:
    folder, live, _ = made
    workspace = open_workspace(Settings(home=Path(shutil.copytree(folder, tmp_path / "told"))))
    answered(workspace, live, FIRST)
    shouted = {one: label.upper() for one, label in RIGHT.items()}
    told(workspace, live, operator, shouted, NOW + timedelta(days=1))
    with workspace.read() as session:
        job = session.exec(select(Job).where(Job.kind == "read_labels")).one()
        said = "\n".join(line.text for line in job_lines(session, key(job)))
    workspace.close()
    assert job.result is not None
    assert (job.result["n_matched"], job.result["foreign"]) == (N, ["NO", "YES"])
    assert "The model does not know 'NO' and 'YES': such rows count as wrong" in job.result["sentence"]
    assert (
        "does not know these classes, so rows of them count as wrong: 'NO' and 'YES'. It knows 'no' and 'yes'" in said
    )
