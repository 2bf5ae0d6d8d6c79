"""One run: its progress while it works, then results, what it relies on, the whole record, the log."""

import streamlit as st

from core.errors import NotFound
from core.evaluation.tables import Task
from core.evaluation.threshold_choices import ThresholdChoice, threshold_sentence
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.service import register_version
from core.training import queries
from core.training.algorithms import ALGORITHMS
from core.training.queries import RunRecord
from core.training.tables import RunState
from dashboard import (
    error_panels,
    explanation_panels,
    fairness_panels,
    panels,
    reads,
    recalibration_panels,
    run_panels,
    selection,
    session,
    slice_panels,
    theme,
    threshold_panels,
)


def name_of(record: RunRecord) -> str:
    """What was trained on what, for the reader."""
    run = record.run
    return (
        f"{ALGORITHMS[run.algorithm].title} on {record.version_label}, predicts {run.target}"
        + (f", weighted by {run.weight_column}" if run.weight_column else "")
        + (f", calibrated by {run.calibration}" if run.calibration else "")
    )


@st.dialog("Register this run as a model version")
def register(record: RunRecord, threshold: ThresholdChoice | None = None) -> None:
    """Choose the model's line, an existing one or a new one."""
    run = record.run
    assert run.id is not None
    fitting = [
        row.name for row in reads.audited(registry.list_models) if (row.task, row.target) == (run.task, run.target)
    ]
    name = st.selectbox(
        "Model",
        fitting,
        index=0 if fitting else None,
        accept_new_options=True,
        placeholder="Type a name",
        help="A name that exists gets its next version; a new name starts a new line of models.",
        key="run_register_name",
    )
    description = st.text_input("Description", key="run_register_description") if name and name not in fitting else ""
    if threshold is not None:
        st.text(threshold_sentence(threshold.to_document()))
    panels.quiet("A registered version can be proposed for promotion. It changes nothing that is live.")
    if st.button("Register", type="primary", disabled=not name, key="run_register_confirm"):
        assert name is not None
        with session.act() as act:
            version = register_version(
                act,
                run_id=run.id,
                model_name=name,
                description=description,
                threshold=threshold,
                actor=session.actor(),
                now=session.now(),
            )
        session.tell(f"Registered as {name} v{version.number}")
        session.open_page("model", model=version.model_id, version=version.number)


run_id = session.chosen_id("run") or 0
try:
    record = reads.audited(queries.run_record, run_id)
except NotFound:
    panels.empty_state(
        "There is no such run", "It may have been named wrongly in the address.", button="See all runs", page="runs"
    )
    st.stop()
run = record.run
finished = run.state == RunState.FINISHED
versions = reads.audited(registry.versions_of_run, run_id) if finished else []

with panels.header(f"Run {run_id}", name_of(record)):
    if finished and st.button("Compare", icon=":material/compare_arrows:", key="run_compare"):
        basket = [one for one in selection.ids("basket") if one != run_id]
        session.open_page("runs", basket=selection.joined([*basket, run_id]))
    untouched = all(version.threshold_key for version in versions)
    may_register = finished and untouched and session.may(Permission.MODEL_REGISTER)
    if may_register and st.button("Register", icon=":material/deployed_code:", type="primary", key="run_register"):
        register(record)

for version in versions:
    label = reads.audited(registry.version_label, version.id or 0)
    st.page_link(
        session.page_file("model"),
        label=f"Registered as {theme.plain(label)}"
        + (f", positive from {version.threshold_key} on" if version.threshold_key else ""),
        icon=":material/deployed_code:",
        query_params={"model": str(version.model_id), "version": str(version.number)},
    )

if run.recalibrated_from_id:
    recalibration_panels.link(f"Recalibrated from run {run.recalibrated_from_id}", run.recalibrated_from_id)

match run.state:
    case RunState.QUEUED | RunState.RUNNING:
        run_panels.watch(record)
        run_panels.whole_record(record)
        st.stop()
    case RunState.FAILED:
        panels.refusal(run.error or "The run failed without a reason.")
    case RunState.CANCELLED:
        panels.notice("This run was cancelled. It has no model.")

views = {"record": "Record", "log": "Log"}
if finished:
    views = {
        "results": "Results",
        "slices": "Slices",
        "errors": "Errors",
        "fairness": "Fairness",
        "explanation": "Explanation",
    } | views
if finished and run.task == Task.BINARY:
    views = {"results": "Results", "threshold": "Threshold"} | views
if st.query_params.get("view") == "importance":  # what the view was once called; links to it are kept
    st.query_params["view"] = "explanation"
match selection.view("Part of the run", views):
    case "results":
        run_panels.results(record)
    case "slices":
        slice_panels.show(record)
    case "errors":
        error_panels.show(record)
    case "fairness":
        fairness_panels.show(record)
    case "threshold":
        threshold_panels.show(record, register)
    case "explanation":
        explanation_panels.show(record)
    case "record":
        run_panels.whole_record(record)
    case _:
        run_panels.log_of(record)
