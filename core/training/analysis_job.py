"""The job that works out one analysis of one evaluation."""

from __future__ import annotations

from core.evaluation import service as evaluation_service
from core.jobs.context import JobContext
from core.permissions import Permission, require
from core.training import queries
from core.training.analyses import analysis_kind
from core.training.analysing import analyse, material_of
from core.training.service import record
from core.workspace import Workspace


def analyse_run(workspace: Workspace, context: JobContext) -> None:
    """Work out ``kind`` with ``options`` of the evaluation ``evaluation_id`` of ``run_id``.

    The job's result is ``{"analysis_id": int}``.
    """
    require(context.actor, Permission.RUN_READ)
    payload = context.payload
    material = material_of(workspace, run_id=payload["run_id"], evaluation_id=payload["evaluation_id"])
    kind = analysis_kind(payload["kind"], material.task)
    context.report(0.1, f"working out {kind.title.lower()}")
    result = analyse(kind, material, payload["options"])
    with context.record() as session:
        now = context.now()
        found = evaluation_service.record_analysis(
            session,
            evaluation_id=payload["evaluation_id"],
            kind=kind.key,
            options=payload["options"],
            result=result,
            now=now,
        )
        record(
            session,
            run=queries.run(session, payload["run_id"]),
            action="run.analysed",
            actor=context.actor,
            now=now,
            details={"analysis_id": found.id, "kind": kind.key, "options_digest": found.options_digest},
        )
        context.result = {"analysis_id": found.id}
