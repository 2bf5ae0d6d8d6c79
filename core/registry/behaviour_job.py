"""The job that runs a model's behaviour suite on one version, and the running itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.tables import EvaluationSet
from core.errors import LifecycleError
from core.jobs.context import JobContext
from core.permissions import Permission, require
from core.registry import queries, suites
from core.registry.behaviour import ROWS, Trial, run_suite
from core.registry.tables import BehaviourSuite, ModelVersion
from core.training.models import frame_from_table, load_model
from core.training.tables import Run
from core.workspace import Workspace


def run_behaviour(workspace: Workspace, context: JobContext) -> None:
    """Run the suite in force on the version ``version_id``; the result is ``{"result_id", "n_failed"}``."""
    require(context.actor, Permission.MODEL_READ)
    version_id: int = context.payload["version_id"]
    context.report(0.1, "asking the model")
    suite, outcomes, n_rows = behaviour_of(workspace, version_id=version_id, now=context.now())
    with context.record() as session:
        assert suite.id is not None
        result = suites.record_behaviour(
            session,
            version_id=version_id,
            suite_id=suite.id,
            outcomes=outcomes,
            n_rows=n_rows,
            actor=context.actor,
            now=context.now(),
        )
        context.result = {"result_id": result.id, "n_failed": result.n_failed}


def behaviour_of(
    workspace: Workspace, *, version_id: int, now: datetime
) -> tuple[BehaviourSuite, list[dict[str, Any]], int]:
    """Run the suite in force on a version, or read what it gave before; a missing suite is seeded and committed.

    The rows are up to 500 of the fixed evaluation set of the data it was trained on, the same for every version.

    Returns
    -------
    suite : BehaviourSuite
    outcomes : list of dict
        As `behaviour.run_suite` gives them.
    n_rows : int
        Rows asked.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    with workspace.read() as session:
        version = queries.version(session, version_id)
        suite = queries.suite(session, version.model_id)
    if suite is None:
        with workspace.write() as session:
            suite = suites.ensure_suite(session, version=queries.version(session, version_id), now=now)
    assert suite.id is not None
    with workspace.read() as session:
        before = queries.behaviour_result(session, version_id=version_id, suite_id=suite.id)
        run = session.get_one(Run, version.run_id)
    if before is not None:
        return suite, before.outcomes, before.n_rows
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    table = _rows(workspace, version, run)
    trial = Trial(
        model=model,
        frame=frame_from_table(table, version.signature["features"]),
        size_bytes=run.model_size_bytes or 0,
        rng=np.random.default_rng(0),
    )
    return suite, run_suite(trial, suite.tests), table.num_rows


def _rows(workspace: Workspace, version: ModelVersion, run: Run) -> pa.Table:
    names = [entry["name"] for entry in version.signature["features"]]
    with workspace.read() as session:
        data = datasets.version(session, run.dataset_version_id)
        fixed: EvaluationSet | None = next(
            (rows for rows in datasets.evaluation_sets(session, data.dataset_id) if rows.kind == splits.FIXED), None
        )
        source = data if fixed is None else datasets.version(session, fixed.version_id)
    if fixed is None:
        return datasets.read_table(workspace.artifacts, source, columns=names).slice(0, 0)
    ordinals = splits.evaluation_rows(workspace.artifacts, fixed).ordinals
    if len(ordinals) > ROWS:
        ordinals = np.sort(np.random.default_rng(0).choice(ordinals, size=ROWS, replace=False))
    try:
        return datasets.read_table(workspace.artifacts, source, columns=names).take(pa.array(ordinals))
    except LifecycleError:
        # The locked rows lack a column this model reads: none of them can be asked.
        return datasets.read_table(workspace.artifacts, data, columns=names).slice(0, 0)
