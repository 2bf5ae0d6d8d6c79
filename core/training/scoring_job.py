"""The job that scores a run on an evaluation set."""

from __future__ import annotations

from core.jobs.context import JobContext
from core.permissions import Permission, require
from core.training import queries
from core.training.scoring import record_scored, score
from core.training.service import record
from core.workspace import Workspace


def score_run(workspace: Workspace, context: JobContext) -> None:
    """Score ``run_id`` on ``evaluation_set_id``."""
    require(context.actor, Permission.RUN_START)
    run_id, evaluation_set_id = context.payload["run_id"], context.payload["evaluation_set_id"]
    with workspace.read() as session:
        run = queries.run(session, run_id)
    context.report(0.1, "scoring")
    scored = score(workspace, run=run, evaluation_set_id=evaluation_set_id)
    with context.record() as session:
        now = context.now()
        evaluation = record_scored(session, run_id=run_id, evaluation_set_id=evaluation_set_id, scored=scored, now=now)
        record(
            session,
            run=queries.run(session, run_id),
            action="run.scored",
            actor=context.actor,
            now=now,
            details={"evaluation_set_id": evaluation_set_id, "predictions_sha256": evaluation.predictions_sha256},
        )
        context.result = {"evaluation_id": evaluation.id}
