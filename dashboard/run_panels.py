"""The parts of a run's page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.evaluation.metrics import METRICS, metrics_for, primary_metric
from core.evaluation.tables import Task
from core.jobs import queries as jobs
from core.permissions import Permission
from core.training.algorithms import ALGORITHMS
from core.training.calibrating import CALIBRATIONS
from core.training.queries import RunRecord, ScoredOn
from core.training.service import cancel_run
from core.training.tables import Run
from dashboard import (
    analysis_panels,
    cross_validation_panels,
    panels,
    reads,
    recalibration_panels,
    selection,
    session,
    theme,
)
from dashboard.charts import runs as charts
from dashboard.charts.explanation import worded
from dashboard.charts.runs import Dot

FEW_ALARMS, HALF = 0.1, 0.5
SPLITS = {"random": "random", "stratified": "stratified by {}", "time": "by time, column {}"}


def watch(record: RunRecord) -> None:
    """A run that waits or works: progress, cancel, and the log as it grows."""
    run = record.run
    assert run.id is not None
    run_id = run.id

    def cancel() -> None:
        with session.act("Cancelling", in_callback=True) as act:
            cancel_run(act, run_id=run_id, actor=session.actor(), now=session.now())

    if run.job_id is not None:
        panels.job_progress(run.job_id, cancel=cancel if session.may(Permission.RUN_CANCEL) else None)
        growing_log(run.job_id)


@st.fragment(run_every=2)
def growing_log(job_id: int) -> None:
    """The newest lines of a log that is being written."""
    lines = reads.fresh(jobs.job_lines, job_id)
    st.text("\n".join(f"{line.at:%H:%M:%S}  {line.text}" for line in lines[-20:]))


def results(record: RunRecord) -> None:
    """Metrics with their intervals on one evaluation set, and its curves."""
    scored = analysis_panels.choose(record)
    if scored is not None:
        metrics_of(record, scored)
        cross_validation_panels.show(record)
        curves_of(record, scored)


def metrics_of(record: RunRecord, scored: ScoredOn) -> None:
    """The finding in one line, bounded metrics as dots, then every metric with its meaning."""
    primary = METRICS[primary_metric(record.run.task)]
    value = scored.metrics.get(primary.key)
    left_out = scored.evaluation.n_left_out
    panels.section(
        f"{primary.title} {theme.interval(value.value, value.low, value.high)}"
        if value
        else f"{primary.title} is not defined on these rows",
        f"On {theme.number(scored.evaluation.n_rows)} rows of {scored.set_label} that the model was not trained on"
        + (f"; {theme.number(left_out)} rows it had seen were left out." if left_out else ".")
        + " The brackets hold the 95 % interval: where the figure would lie on other rows of the same kind.",
    )
    known = [entry for entry in metrics_for(record.run.task) if entry.key in scored.metrics]
    bounded = [entry for entry in known if entry.low >= -1 and entry.high <= 1]
    if len(bounded) >= 2:
        dots = [
            Dot(
                entry.title,
                scored.metrics[entry.key].value,
                scored.metrics[entry.key].low,
                scored.metrics[entry.key].high,
            )
            for entry in bounded
        ]
        panels.figure(
            charts.metric_dots(dots, colours=theme.colours(), sort=False),
            key="run_metrics",
            alt="Metrics with intervals: " + "; ".join(charts.in_words(dot) for dot in dots),
        )
    panels.table(
        [
            panels.Row(
                {
                    "Metric": entry.title,
                    "Value": theme.interval(
                        scored.metrics[entry.key].value, scored.metrics[entry.key].low, scored.metrics[entry.key].high
                    ),
                    "Better": "higher" if entry.greater_is_better else "lower",
                    "What it means": entry.sentence,
                }
            )
            for entry in known
        ],
        key="run_metric_table",
        right=("Value",),
        columns={"What it means": st.column_config.TextColumn(width=600)},
    )


def curves_of(record: RunRecord, scored: ScoredOn) -> None:
    """The stored curves that fit the task, one at a time."""
    stored, colours = scored.evaluation.curves, theme.colours()
    offered = {
        code: words
        for code, words in {
            "roc": "ROC",
            "precision_recall": "Precision and recall",
            "calibration": "Calibration",
            "confusion": "Confusion",
            "predicted_true": "Predicted and true",
            "residuals": "Residuals",
        }.items()
        if stored.get(code)
    }
    if not offered:
        return
    code = selection.view("Curve", offered, name="curve")
    curve, here, target = stored[code], f"Run {record.run.id}", record.run.target
    values = {key: one.value for key, one in scored.metrics.items()}
    band = " The band holds the 95 % interval of each point." if "low" in curve else ""
    match code:
        case "roc":
            panels.section(
                at_few_alarms(curve),
                "Each point of the line is a threshold: further up it finds more of the positives, further right more "
                f"of the negatives are false alarms. On the dotted diagonal it would be guessing.{band}",
            )
            drawn = charts.roc({here: curve}, colours=colours)
        case "precision_recall":
            panels.section(
                at_half_found(curve),
                "Each point of the line is a threshold: further right it finds more of the positives, higher up more "
                f"of the rows it calls positive are so.{band}",
            )
            drawn = charts.precision_recall({here: curve}, colours=colours)
        case "calibration":
            happens = "right" if curve.get("class") is None else "positive"
            panels.section(
                f"A score is off by {theme.percent(values['expected_calibration_error'])} on average"
                if "expected_calibration_error" in values
                else "How far a score is from the share of rows that come true is not known",
                f"On the dotted line, of a hundred rows scored 30 % thirty are {happens}. Whiskers are 95 % intervals; "
                "bars below count rows.",
            )
            drawn = charts.calibration({here: curve}, colours=colours)
        case "confusion":
            panels.section(
                worst_confusion(curve),
                "Each row of the square is a true class; a stronger shade is a larger share of it.",
            )
            drawn = charts.confusion(curve, colours=colours)
        case "predicted_true":
            panels.section(
                f"Predictions are off by {theme.number(values['mae'])} on average"
                if "mae" in values
                else "How far predictions are off is not known",
                f"In the unit of {target}. On the dotted line the prediction is exact; above it, it is too high.",
            )
            drawn = charts.predicted_true(curve, colours=colours, target=target)
        case _:
            panels.section(
                f"Half of the predictions are off by less than {theme.number(values['median_absolute_error'])}"
                if "median_absolute_error" in values
                else "How far predictions are off is not known",
                "Predicted minus true: bars right of zero are predictions that are too high. Centred on zero means no "
                "lean to one side.",
            )
            drawn = charts.residuals(curve, colours=colours, target=target)
    panels.figure(drawn, key=f"run_curve_{code}", alt=f"{offered[code]} of run {record.run.id} on {scored.set_label}")
    if code == "calibration":
        recalibration_panels.offer(record)


def at_few_alarms(curve: Mapping[str, list[float]]) -> str:
    """What is found where at most a tenth of the negatives are called by mistake, in words."""
    # The curve rises from (0, 0), so there is always one.
    place = max(one for one, rate in enumerate(curve["fpr"]) if rate <= FEW_ALARMS)
    found, alarms = theme.percent(curve["tpr"][place], 0), theme.percent(curve["fpr"][place], 0)
    return f"It finds {found} of the positives where {alarms} of the negatives are false alarms"


def at_half_found(curve: Mapping[str, list[float]]) -> str:
    """How often it is right where it finds half of the positives, in words."""
    place = min(range(len(curve["recall"])), key=lambda one: abs(curve["recall"][one] - HALF))
    found, right = theme.percent(curve["recall"][place], 0), theme.percent(curve["precision"][place], 0)
    return f"Where it finds {found} of the positives, {right} of the rows it calls positive are so"


def worst_confusion(curve: Mapping[str, list[list[int]]]) -> str:
    """Name the most frequent mistake."""
    labels, matrix = curve["labels"], curve["matrix"]
    mistakes = [(count, labels[i], labels[j]) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j]
    count, true, predicted = max(mistakes, key=lambda one: one[0], default=(0, "", ""))
    return (
        f"Most often {true} is taken for {predicted}: {count:,} rows"
        if count
        else "No row is mistaken for another class"
    )


def whole_record(record: RunRecord) -> None:
    """Everything it takes to do the run again."""
    run, split = record.run, record.split
    panels.section("What it takes to do this run again")
    with st.container(horizontal=True):
        st.page_link(
            session.page_file("dataset"),
            label=theme.plain(record.version_label),
            icon=":material/database:",
            query_params=dataset_address(run.dataset_version_id),
        )
        if run.retrained_from_id:
            st.page_link(
                session.page_file("run"),
                label=f"Set-up of run {run.retrained_from_id}",
                icon=":material/experiment:",
                query_params={"run": str(run.retrained_from_id)},
            )
    parts = "not made yet"
    if split:
        parts = (
            f"{SPLITS[split.method].format(split.column)}; {theme.number(split.n_train)} train, "
            f"{theme.number(split.n_validation)} validation, {theme.number(split.n_test)} test, "
            f"{theme.number(split.n_excluded)} kept out because they are rows of an evaluation set"
        )
    panels.facts(
        {
            "Target": f"{run.target} ({run.task})",
            "Features": f"{len(run.features)}: {', '.join(run.features)}",
            "Algorithm": ALGORITHMS[run.algorithm].title,
            **{
                parameter.title: worded(parameter.said(run.parameters.get(parameter.key)))
                for parameter in ALGORITHMS[run.algorithm].parameters
            },
            "Split": parts,
            "Weighted by": run.weight_column or "nothing: all rows count alike",
            **({"Calibration": calibration_of(run)} if run.task != Task.REGRESSION else {}),
            "Cross-validation": f"{run.folds} folds" if run.folds else "none",
            "Time to answer": answering_time(run),
            "Trained on": theme.count(run.n_train, "row") if run.n_train is not None else theme.MISSING,
            "Asked for by": f"{record.requested_by or 'the shell'}, {theme.stamp(run.requested_at)}",
            "Started": theme.stamp(run.started_at),
            "Ended": theme.stamp(run.finished_at),
        }
    )
    panels.technical(
        {
            "Seed of the fit": str(run.seed),
            "Seed of the split": str(split.seed) if split else theme.MISSING,
            "Code": run.code_version or theme.MISSING,
            "Model file": f"{theme.short_hash(run.model_sha256)}, {theme.size(run.model_size_bytes)}",
            "Split file": theme.short_hash(split.assignment_sha256) if split else theme.MISSING,
            **{
                f"Predictions on {one.set_label}": theme.short_hash(one.evaluation.predictions_sha256)
                for one in record.evaluations
            },
            **{str(package): str(version) for package, version in run.package_versions.items()},
        }
    )


def calibration_of(run: Run) -> str:
    """How the run's scores were calibrated."""
    if run.calibration is None:
        return "none: scores as fitted"
    return f"{CALIBRATIONS[run.calibration].title}, learnt on the validation rows"


def answering_time(run: Run) -> str:
    """How long the model takes, and where that was measured."""
    kept = run.latency
    if not kept:
        return theme.MISSING
    return (
        f"{kept['one_row_ms']:.1f} ms for one row, at most {kept['one_row_p95_ms']:.1f} ms in 19 of 20 calls; "
        f"{kept['thousand_rows_ms']:.0f} ms for 1,000 rows (measured while training, on that machine)"
    )


def dataset_address(version_id: int) -> dict[str, str]:
    """The query of a dataset version's page."""
    from core.datasets import queries as datasets

    version = reads.audited(datasets.version, version_id)
    return {"dataset": str(version.dataset_id), "version": str(version.number)}


def log_of(record: RunRecord) -> None:
    """The job's log, whole."""
    lines = reads.fresh(jobs.job_lines, record.run.job_id) if record.run.job_id else []
    panels.section("Log")
    if not lines:
        panels.quiet("Nothing was written.")
    st.text("\n".join(f"{line.at:%H:%M:%S}  {line.text}" for line in lines))
