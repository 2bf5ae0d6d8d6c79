"""Runs side by side: verdicts against a baseline on the same rows, differences, curves, trade-offs, decisions."""

from collections.abc import Sequence

import streamlit as st

from core.datasets import queries as datasets
from core.errors import LifecycleError
from core.evaluation import queries as evaluation
from core.evaluation.metrics import metrics_for
from core.jobs import queries as jobs
from core.jobs.tables import JobState
from core.training import queries
from core.training import side_by_side as sides
from core.training.queries import RunRecord
from core.training.service import request_comparison, require_same_question
from core.training.tables import RunState
from dashboard import comparison_looks, comparison_panels, panels, reads, selection, session

MOST = 20


def ask(baseline: RunRecord, others: Sequence[RunRecord], *, metric: str, set_id: int | None) -> None:
    """Queue scoring and comparison on the same rows, and keep the job in the address."""
    with session.act() as act:
        job = request_comparison(
            act,
            baseline_run_id=baseline.run.id or 0,
            candidate_run_ids=[record.run.id or 0 for record in others],
            metric=metric,
            evaluation_set_id=set_id,
            actor=session.actor(),
            now=session.now(),
        )
    st.query_params["job"] = str(job.id)
    st.rerun()


def comparable(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those that are finished and answer the first one's question; the others are named with the reason."""
    kept: list[RunRecord] = []
    for record in records:
        if record.run.state != RunState.FINISHED:
            panels.notice(f"Run {record.run.id} is {record.run.state} and has nothing to compare.", "attention")
            continue
        try:
            if kept:
                require_same_question(kept[0].run, record.run)
        except LifecycleError as error:
            panels.notice(str(error), "attention")
            continue
        kept.append(record)
    return kept


def choose_set(records: Sequence[RunRecord]) -> int | None:
    """The evaluation set to judge on: the one most runs were scored on, unless the reader chose."""
    version = reads.audited(datasets.version, records[0].run.dataset_version_id)
    labels = {
        str(one.id): f"{one.kind} ({reads.audited(datasets.version_label, one.version_id)})"
        for one in reads.audited(datasets.evaluation_sets, version.dataset_id)
    }
    counts = dict.fromkeys(labels, 0)
    for record in records:
        for one in record.evaluations:
            key = str(one.evaluation.evaluation_set_id)
            labels[key] = one.set_label
            counts[key] = counts.get(key, 0) + 1
    if not labels:
        return None
    ordered = sorted(labels, key=lambda key: (-counts[key], int(key)))
    return int(selection.pick("Evaluation set", {key: labels[key] for key in ordered}, name="set", width=280))


wanted = selection.ids("runs")
with panels.header("Compare", "Judged on the same rows, against one baseline."):
    actions = st.container(horizontal=True, width="content")
if len(wanted) > MOST:
    panels.notice(f"At most {MOST} runs are compared at once; the first {MOST} are shown.", "attention")
records = comparable(reads.audited(queries.run_records, tuple(wanted[:MOST])))
if len(records) < 2:
    panels.empty_state(
        "Nothing to compare yet",
        "Tick two to twenty finished runs that predict the same target.",
        button="Choose runs",
        page="runs",
        query={"basket": selection.joined(wanted)} if wanted else {},
    )
    st.stop()

with st.container(horizontal=True):
    chosen = selection.pick(
        "Baseline", {str(one.run.id): sides.label_of(one) for one in records}, name="baseline", width=320
    )
    baseline = next(one for one in records if str(one.run.id) == chosen)
    metric = selection.pick(
        "Metric", {entry.key: entry.title for entry in metrics_for(baseline.run.task)}, name="metric"
    )
    set_id = choose_set(records)
others = [one for one in records if one is not baseline]

job_id = session.chosen_id("job")
if job_id is not None:
    panels.job_progress(job_id)
    for made in (reads.fresh(jobs.job, job_id).result or {}).get("comparisons", []):
        if refused := made.get("refused"):
            panels.notice(f"Run {made['candidate_run_id']}: {refused}", "attention")

scored = sides.sides_of(records, set_id)
unscored = [record for record in records if sides.on_set(record, set_id) is None]
base = sides.on_set(baseline, set_id)
found = {}
if base is not None:
    run_of = {side.scored.evaluation.id or 0: side.run_id for side in scored if side.record is not baseline}
    made_before = reads.fresh(
        evaluation.comparisons,
        baseline_evaluation_ids=[base.evaluation.id or 0],
        candidate_evaluation_ids=list(run_of),
        metric=metric,
    )
    found = sides.verdicts_of(made_before, run_of, n_candidates=len(others), margin=sides.margin_on(base, metric))

waiting = job_id is not None and reads.fresh(jobs.job, job_id).state in (JobState.QUEUED, JobState.RUNNING)
if unscored:
    names = ", ".join(str(one.run.id) for one in unscored)
    panels.notice(
        f"Scored on other rows: run {names}. Values on different rows are not ranked together.",
        "attention",
    )
if (unscored or len(found) < len(others)) and not waiting:
    said = "Score on the same rows" if unscored else "Work out the verdicts"
    if st.button(said, type="primary", icon=":material/balance:", key="compare_ask"):
        ask(baseline, others, metric=metric, set_id=set_id)

comparison_panels.verdicts(baseline, others, found, metric=metric)
comparison_panels.all_runs(scored, baseline, found, metric=metric)
comparison_panels.differing(records, baseline)
look = comparison_looks.closer(scored, baseline, found, metric=metric) if scored else {}

with actions:
    runs = selection.joined([record.run.id or 0 for record in records])
    shown = st.query_params.get("shown")
    comparison_panels.link({"runs": runs, "baseline": chosen, "metric": metric, "set": set_id, "shown": shown, **look})
    if scored and set_id is not None:
        comparison_panels.exports(records, baseline, scored, found, metric=metric, set_id=set_id)
