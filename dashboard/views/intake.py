"""What is this file? One place for training data, data to monitor and labels: read, show, confirm, follow."""

from typing import Any

import streamlit as st

from core.datasets import queries, service
from core.datasets.options import ParseOptions
from core.datasets.tables import Intake, VersionState
from core.errors import LifecycleError
from core.monitoring import queries as monitoring
from core.permissions import Permission
from dashboard import intake_panels, panels, reads, selection, session, theme

MOST_MB = 50
PREVIEWED = 8
USES = {"train": "Data to train on", "monitor": "Data to monitor", "labels": "Labels that arrived"}


def choose_file() -> None:
    """Take a file and keep it as it was given; its number goes into the address."""
    given = st.file_uploader(
        "CSV or Parquet", type=["csv", "tsv", "txt", "parquet"], max_upload_size=MOST_MB, key="intake_file"
    )
    panels.quiet(
        f"Up to {MOST_MB} MB here; larger files with the command line: gatehouse dataset add FILE --name NAME. "
        "Nothing is stored as a dataset before you have seen how it is read and confirmed it."
    )
    if given is None:
        return
    stored = session.workspace().artifacts.put_bytes(given.getvalue())
    with session.act() as act:
        upload = service.store_upload(
            act, artifact=stored, file_name=given.name, actor=session.actor(), now=session.now()
        )
    st.query_params["upload"] = str(upload.id)
    st.rerun()


def another_file() -> None:
    """Forget this file's number."""
    for name in ("upload", "intake", "batch", "job"):
        st.query_params.pop(name, None)


def follow_intake(intake: Intake) -> None:
    """The version opens when it is ready; a refusal says why and leads back."""
    if intake.state == VersionState.READY and intake.version_id is not None:
        version = reads.fresh(queries.version, intake.version_id)
        session.open_page("dataset", dataset=version.dataset_id, version=version.number)
    if intake.state == VersionState.REFUSED:
        panels.header("This file was not taken")
        panels.refusal(intake.error or "The file was refused without a reason.")
        if st.button("Read it another way", type="primary", key="intake_again"):
            st.query_params.pop("intake", None)
            st.query_params["upload"] = str(intake.upload_id)
            st.rerun()
        st.button("Choose another file", on_click=another_file, key="intake_other")
        return
    panels.header(f"Reading {intake.dataset_name}", "You may leave this page; the work goes on.")
    if intake.job_id is not None:
        panels.job_progress(intake.job_id)


def follow_batch(batch_id: int) -> None:
    """The monitor opens when the batch is measured."""
    batch = reads.fresh(monitoring.batch, batch_id)
    if batch.error:
        panels.header("This file was not taken")
        panels.refusal(batch.error)
        if batch.upload_id is not None and st.button("Read it another way", type="primary", key="intake_again"):
            st.query_params.pop("batch", None)
            st.query_params["upload"] = str(batch.upload_id)
            st.rerun()
        st.button("Choose another file", on_click=another_file, key="intake_other")
        return
    panels.header("Measuring drift", "You may leave this page; the work goes on.")
    if batch.data_sha256 is not None:
        session.open_page("monitor", monitor=batch.monitor_id)
    if batch.job_id is not None:
        panels.job_progress(batch.job_id)


def follow_labels(job_id: int) -> None:
    """The model's monitor opens when the labels are joined, and says how many were."""
    from core.jobs import queries as jobs
    from core.jobs.tables import JobState

    panels.header("Joining labels", "You may leave this page; the work goes on.")
    job = reads.fresh(jobs.job, job_id)
    if job.state == JobState.SUCCEEDED:
        session.tell((job.result or {}).get("sentence", "Labels joined"))
        of_model = [one for one in reads.fresh(monitoring.list_monitors) if one.model_id == session.chosen_id("model")]
        if of_model:
            session.open_page("monitor", monitor=of_model[0].id)
        session.open_page("monitoring")
    panels.job_progress(job_id)
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        st.button("Choose another file", on_click=another_file, key="intake_other")


def read_and_ask(upload_id: int) -> None:
    """Show how the file is read, let everything be overridden, ask what it is."""
    upload = reads.audited(queries.upload, upload_id)
    overrides: dict[str, Any] = st.session_state.setdefault(f"intake_overrides_{upload_id}", {})
    with panels.header("What is this file?", f"{upload.file_name}, {theme.size(upload.size_bytes)}"):
        st.button("Choose another file", on_click=another_file, key="intake_other")
    try:
        found = intake_panels.inspected(upload, overrides)
    except LifecycleError as error:
        panels.refusal(error)
        panels.quiet("Nothing was stored as a dataset. Correct the file, or read it another way:")
        intake_panels.reading_form(ParseOptions(**overrides), overrides)
        return
    options = found.options
    panels.section(
        f"{theme.count(found.n_rows, 'row')}, {theme.count(len(options.columns), 'column')}",
        "The first rows as they stand in the file.",
    )
    st.dataframe(
        found.preview.head(PREVIEWED), hide_index=True, row_height=panels.ROW_HEIGHT, alt="First rows of the file"
    )
    if found.notes:
        with st.expander(f"How it was read: {theme.count(len(found.notes), 'note')}", expanded=len(found.notes) <= 4):
            for note in found.notes:
                st.text(f"• {note}")
    if options.format == "csv":
        with st.expander("Read it another way"):
            intake_panels.reading_form(options, overrides)
    panels.section("Columns", "Correct a name or a kind here; a column that is not kept is left out.")
    changed = intake_panels.edit_columns(found, upload_id)
    try:
        options = intake_panels.confirmed(upload, overrides, changed)
    except LifecycleError as error:
        panels.refusal(error)
        return
    panels.section("What it is for")
    allowed = [
        use
        for use, permission in (
            ("train", Permission.DATASET_ADD),
            ("monitor", Permission.BATCH_ADD),
            ("labels", Permission.BATCH_ADD),
        )
        if session.may(permission)
    ]
    use = selection.view("What it is for", {use: USES[use] for use in allowed}, name="use")
    match use:
        case "monitor":
            intake_panels.monitoring_form(upload, options)
        case "labels":
            intake_panels.labels_form(upload, options)
        case _:
            intake_panels.training_form(upload, options)


if not (session.may(Permission.DATASET_ADD) or session.may(Permission.BATCH_ADD)):
    panels.header("What is this file?")
    panels.refusal("Adding files takes the role data-scientist or operator. Ask an administrator to grant it.")
elif (intake_id := session.chosen_id("intake")) is not None:
    follow_intake(reads.fresh(queries.intake, intake_id))
elif (batch_id := session.chosen_id("batch")) is not None:
    follow_batch(batch_id)
elif (job_id := session.chosen_id("job")) is not None:
    follow_labels(job_id)
elif (upload_id := session.chosen_id("upload")) is not None:
    read_and_ask(upload_id)
else:
    panels.header("What is this file?", "Data to train on, data to monitor, or labels that arrived.")
    choose_file()
