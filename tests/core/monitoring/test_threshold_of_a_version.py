"""A version with a threshold is monitored by the decisions it makes."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from core.automation.inline import run_all
from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.evaluation.measures import recall
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.monitoring import performance_queries, service
from core.monitoring.reference import ALL, reference_of
from core.permissions import Actor
from core.registry import queries as registry
from core.registry.service import assign, register_version
from core.registry.tables import Alias, Cause, Environment
from core.serving.frames import PREDICTION, score_column
from core.statistics.sketches import CategorySketch
from core.training.models import load_model
from core.training.threshold_analysis import choose
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import LiveModel, csv_bytes, go_live, stream

AT = 0.2


@pytest.fixture
def live(workspace: Workspace, scientist: Actor, now: datetime) -> LiveModel:
    return go_live(workspace, scientist, now, n_rows=800)


@pytest.fixture
def version_id(workspace: Workspace, live: LiveModel, scientist: Actor, now: datetime) -> int:
    """The live run registered again with a threshold, and made champion."""
    with workspace.read() as session:
        run_id = registry.version(session, live.version_id).run_id
    chosen = choose(workspace, run_id=run_id, threshold=AT)
    with workspace.write() as session:
        version = register_version(session, run_id=run_id, model_name="pay", threshold=chosen, actor=scientist, now=now)
        assign(
            session,
            version_id=key(version),
            environment=Environment.PRODUCTION,
            alias=Alias.CHAMPION,
            cause=Cause.PROMOTION,
            actor=scientist,
            now=now,
        )
        return key(version)


def test_the_reference_holds_the_decisions_of_the_threshold(
    workspace: Workspace, live: LiveModel, version_id: int
) -> None:
    before, after = reference_of(workspace, live.version_id), reference_of(workspace, version_id)
    scores = after.values((True, score_column("yes")))
    assert (before.values((True, score_column("yes"))) == scores).all()
    answered, usual = (one.sketches([ALL])[ALL][True, PREDICTION] for one in (after, before))
    assert isinstance(answered, CategorySketch)
    assert isinstance(usual, CategorySketch)
    called = dict(zip(answered.names, answered.counts.tolist(), strict=True))
    assert called == {"yes": (scores >= AT).sum(), "no": (scores < AT).sum()}
    assert called != dict(zip(usual.names, usual.counts.tolist(), strict=True))


def test_a_batch_without_predictions_is_decided_by_the_threshold(
    workspace: Workspace, live: LiveModel, version_id: int, operator: Actor, now: datetime
) -> None:
    table = stream(600, seed=21)
    content = csv_bytes(table)
    stored = workspace.artifacts.put_bytes(content)
    with workspace.write() as session:
        upload = store_upload(session, artifact=stored, file_name="batch.csv", actor=operator, now=now)
        service.add_batch(
            session,
            monitor_id=live.monitor_id,
            upload_id=key(upload),
            options=inspect(workspace.artifacts.path(stored.sha256), file_name="batch.csv").options,
            time_column=None,
            actor=operator,
            now=now,
        )
    run_all(workspace)
    with workspace.read() as session:
        version = registry.version(session, version_id)
        measured = {row.key: row.value for row in performance_queries.performance(session, live.monitor_id)}
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    scores = model.predict_table(table).scores
    assert scores is not None
    truth = np.array(table["paid"].to_pylist(), dtype=object)
    called = np.where(scores[:, 1] >= AT, "yes", "no").astype(object)
    found = Predictions(Task.BINARY, np.arange(600), truth, called, scores, ("no", "yes"))
    assert measured["recall"] == pytest.approx(recall(Outcome(found)).value)
    usual = np.where(scores[:, 1] > 0.5, "yes", "no").astype(object)
    assert (usual != called).any()
