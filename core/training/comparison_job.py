"""The job that compares runs with a baseline."""

from __future__ import annotations

from typing import Any

from core.errors import LifecycleError
from core.evaluation.comparing import corrected_pvalues
from core.jobs.context import JobContext
from core.permissions import Permission, require
from core.training import queries
from core.training.comparing_runs import compare_runs_now
from core.training.service import record
from core.workspace import Workspace


def compare_runs(workspace: Workspace, context: JobContext) -> None:
    """Compare each of ``candidate_run_ids`` with ``baseline_run_id``, allowing for how many they are.

    All that were asked for count as tried, those that turn out not to be comparable too.

    The job's result is ``{"comparisons": [{"id", "baseline_run_id", "candidate_run_id", "verdict", "effect",
    "interval", "metric", "margin", "n_rows", "n_left_out", "smallest_effect", "rows_needed", "n_candidates", "pvalue",
    "corrected_pvalue"}]}``, the last corrected by Holm over the candidates; a candidate that cannot be compared has
    ``"refused"`` with the reason instead. A single candidate that cannot be compared fails the job.
    """
    require(context.actor, Permission.RUN_READ)
    payload = context.payload
    candidates: list[int] = payload["candidate_run_ids"]
    made: list[dict[str, Any]] = []
    for position, candidate_run_id in enumerate(candidates):
        context.check_cancelled()
        context.report(position / len(candidates), f"comparing run {candidate_run_id}")
        runs = {"baseline_run_id": payload["baseline_run_id"], "candidate_run_id": candidate_run_id}
        try:
            comparison = compare_runs_now(
                workspace,
                **runs,
                evaluation_set_id=payload.get("evaluation_set_id"),
                metric=payload.get("metric"),
                margin=payload.get("margin"),
                n_candidates=len(candidates),
                now=context.now(),
            )
        except LifecycleError as refusal:
            if len(candidates) == 1:
                raise
            context.log(f"Run {candidate_run_id}: {refusal}")
            made.append({**runs, "refused": str(refusal)})
            continue
        made.append(
            {
                "id": comparison.id,
                **runs,
                "verdict": comparison.verdict,
                "effect": comparison.effect,
                "interval": [comparison.low, comparison.high],
                "metric": comparison.metric,
                "margin": comparison.margin,
                "n_rows": comparison.n_rows,
                "n_left_out": comparison.n_left_out,
                "smallest_effect": comparison.smallest_effect,
                "rows_needed": comparison.rows_needed,
                "n_candidates": comparison.n_candidates,
                "pvalue": comparison.pvalue,
            }
        )
    corrected = corrected_pvalues({entry["candidate_run_id"]: entry.get("pvalue") for entry in made})
    for entry in made:
        if "refused" not in entry:
            entry["corrected_pvalue"] = corrected[entry["candidate_run_id"]]
    with context.record() as session:
        record(
            session,
            run=queries.run(session, payload["baseline_run_id"]),
            action="run.compared",
            actor=context.actor,
            now=context.now(),
            details={"comparison_ids": [entry["id"] for entry in made if "id" in entry]},
        )
        context.result = {"comparisons": made}
