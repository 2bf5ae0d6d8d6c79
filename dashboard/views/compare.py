"""Runs side by side: verdicts against a baseline on the same rows, what differs, curves, any two metrics."""

from collections.abc import Sequence

import streamlit as st

from core.datasets import queries as datasets
from core.errors import LifecycleError
from core.evaluation import queries as evaluation
from core.evaluation.metrics import metrics_for
from core.evaluation.tables import Comparison
from core.jobs import queries as jobs
from core.jobs.tables import JobState
from core.training import queries
from core.training.queries import RunRecord
from core.training.service import request_comparison, require_same_question
from core.training.tables import RunState
from dashboard import comparison_panels, panels, reads, selection, session

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
panels.header("Compare", "Judged on the same rows, against one baseline.")
if len(wanted) > MOST:
    panels.notice(f"At most {MOST} runs are compared at once; the first {MOST} are shown.", "attention")
records = comparable([reads.audited(queries.run_record, run_id) for run_id in wanted[:MOST]])
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
        "Baseline", {str(one.run.id): comparison_panels.label_of(one) for one in records}, name="baseline", width=320
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

scored = [
    (record, one) for record in records if set_id is not None and (one := comparison_panels.on_set(record, set_id))
]
unscored = [record for record in records if set_id is None or comparison_panels.on_set(record, set_id) is None]
base_evaluation = comparison_panels.on_set(baseline, set_id) if set_id is not None else None
found: dict[int, Comparison] = {}
if base_evaluation is not None:
    run_of = {one.evaluation.id or 0: record.run.id or 0 for record, one in scored if record is not baseline}
    for comparison in reads.fresh(
        evaluation.comparisons,
        baseline_evaluation_ids=[base_evaluation.evaluation.id or 0],
        candidate_evaluation_ids=list(run_of),
        metric=metric,
    ):
        found.setdefault(run_of[comparison.candidate_evaluation_id], comparison)

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

comparison_panels.ranked_by(metric, scored, baseline)
comparison_panels.differing(records)
if scored:
    comparison_panels.overlaid(scored)
    comparison_panels.plane(scored, baseline)
