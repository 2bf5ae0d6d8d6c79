"""The parts of the page that asks what a file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
import streamlit as st

from core.datasets import queries, service
from core.datasets.ingest import Inspection, inspect
from core.datasets.options import ENCODINGS, MISSING_TOKENS, THOUSANDS, ParseOptions
from core.datasets.recognition import recognise
from core.datasets.tables import ColumnKind, Relation, Upload
from core.monitoring import queries as monitoring
from core.monitoring import service as monitors
from core.registry import queries as registry
from dashboard import panels, reads, session, theme

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
DECIMALS = {".": "point, 1.5", ",": "comma, 1,5"}
MARKS = {"": "none", ",": "comma, 1,000", ".": "point, 1.000", " ": "space, 1 000", "'": "apostrophe, 1'000"}


def inspected(upload: Upload, overrides: Mapping[str, Any]) -> Inspection:
    """How the file would be read, kept for as long as nothing is overridden anew."""
    path: Path = session.workspace().artifacts.verified_path(upload.sha256)
    return reads.immutable(inspect, path, file_name=upload.file_name, overrides=dict(overrides))


def reading_form(options: ParseOptions, overrides: dict[str, Any]) -> None:
    """What was inferred about the file, each open to another choice."""
    with st.form("intake_reading", border=False):
        with st.grid(columns=3, min_column_width=200):
            delimiter = st.selectbox(
                "Cells are separated by",
                list(DELIMITERS),
                index=list(DELIMITERS).index(options.delimiter) if options.delimiter in DELIMITERS else 0,
                format_func=DELIMITERS.__getitem__,
            )
            encoding = st.selectbox("Encoding", ENCODINGS, index=ENCODINGS.index(options.encoding))
            header = st.selectbox(
                "First row", [True, False], index=0 if options.has_header else 1, format_func=header_word
            )
            decimal = st.selectbox(
                "Decimal mark",
                list(DECIMALS),
                index=list(DECIMALS).index(options.decimal),
                format_func=DECIMALS.__getitem__,
            )
            thousands = st.selectbox(
                "Thousands mark", THOUSANDS, index=THOUSANDS.index(options.thousands), format_func=MARKS.__getitem__
            )
            quote = st.selectbox(
                "Quotes",
                ['"', "'", ""],
                index=['"', "'", ""].index(options.quote),
                format_func=lambda one: one or "plain text",
            )
        tokens = st.multiselect(
            "Cells that mean missing",
            list(dict.fromkeys([*options.missing_tokens, *MISSING_TOKENS])),
            default=list(options.missing_tokens),
            format_func=lambda token: token or "an empty cell",
            accept_new_options=True,
        )
        trim = st.toggle("Drop white space around names and values", value=options.trim)
        if st.form_submit_button("Read it this way"):
            chosen = {
                "delimiter": delimiter,
                "encoding": encoding,
                "has_header": header,
                "decimal": decimal,
                "thousands": thousands,
                "quote": quote,
                "missing_tokens": tuple(tokens),
                "trim": trim,
            }
            inferred = options.to_json() | {"missing_tokens": options.missing_tokens}
            overrides |= {key: value for key, value in chosen.items() if value != inferred[key] or key in overrides}
            st.rerun()


def header_word(has_header: bool) -> str:
    """What the first row holds."""
    return "names the columns" if has_header else "is data already"


def edit_columns(found: Inspection, upload_id: int) -> dict[str, dict[str, Any]]:
    """Each column's name and kind, editable; returns what was changed, by name in the file."""
    columns = found.options.columns
    frame = pd.DataFrame(
        {
            "Keep": [column.included for column in columns],
            "Name": [column.name for column in columns],
            "Kind": [column.kind.value for column in columns],
            "In the file": [column.source_name for column in columns],
            "First values": [
                ", ".join(str(cell) for cell in found.preview.iloc[:3, place]) for place in range(len(columns))
            ],
        }
    )
    edited = st.data_editor(
        frame,
        hide_index=True,
        row_height=panels.ROW_HEIGHT,
        height="content" if len(columns) <= 20 else panels.ROW_HEIGHT * 21,
        disabled=["In the file", "First values"],
        column_config={
            "Keep": st.column_config.CheckboxColumn(width=60),
            "Name": st.column_config.TextColumn(required=True, pinned=True),
            "Kind": st.column_config.SelectboxColumn(options=[kind.value for kind in ColumnKind], required=True),
        },
        key=f"intake_columns_{upload_id}",
        alt="Columns of the file",
    )
    changed: dict[str, dict[str, Any]] = {}
    for place, column in enumerate(columns):
        row = edited.iloc[place]
        wish: dict[str, Any] = {}
        if bool(row["Keep"]) != column.included:
            wish["included"] = bool(row["Keep"])
        if row["Name"] != column.name:
            wish["name"] = str(row["Name"])
        if row["Kind"] != column.kind.value:
            wish["kind"] = str(row["Kind"])
        if wish:
            changed[column.source_name or column.name] = wish
    return changed


def confirmed(upload: Upload, overrides: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> ParseOptions:
    """The options as overridden, columns too."""
    if not columns:
        return inspected(upload, overrides).options
    return inspected(upload, {**overrides, "columns": {name: dict(wish) for name, wish in columns.items()}}).options


def training_form(upload: Upload, options: ParseOptions) -> None:
    """A new dataset, or the next version of one that is recognised by its columns."""
    rows = reads.audited(queries.list_datasets)
    found = recognise(
        [(column.name, column.kind) for column in options.included], reads.audited(queries.known_datasets)
    )
    asked = session.chosen_id("dataset")
    suggested = asked if asked is not None else (found.dataset.id if found else None)
    if found and asked is None:
        panels.notice(found.sentence, "candidate")
    choices: dict[int | None, str] = {None: "A new dataset"} | {
        row.id: f"The next version of {row.name}" for row in rows
    }
    left, right = st.columns(2)
    dataset_id = left.selectbox(
        "This file is",
        list(choices),
        index=list(choices).index(suggested) if suggested in choices else 0,
        format_func=choices.__getitem__,
        key=f"intake_dataset_{upload.id}",
    )
    row = next((one for one in rows if one.id == dataset_id), None)
    dataset = reads.audited(queries.dataset, row.id) if row else None
    relation = Relation.NEW
    if row is None:
        name = right.text_input("Name", value=PurePath(upload.file_name).stem, key=f"intake_name_{upload.id}")
    else:
        name = row.name
        relation = right.selectbox(
            "What it is to the dataset",
            [Relation.REPLACES, Relation.ADDS_TO],
            format_func=lambda one: (
                f"replaces version {row.latest_number}: the file holds everything"
                if one == Relation.REPLACES
                else f"adds to version {row.latest_number}: the file holds only new rows"
            ),
            key=f"intake_relation_{upload.id}",
        )
    names = [column.name for column in options.included]
    times = [column.name for column in options.included if column.kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP)]
    left, right = st.columns(2)
    target = left.selectbox(
        "Target",
        names,
        index=names.index(dataset.target) if dataset and dataset.target in names else None,
        placeholder="None: nothing to predict yet",
        help="The column to predict. Inherited by every later version.",
        key=f"intake_target_{upload.id}_{dataset_id}",
    )
    time_column = right.selectbox(
        "Time column",
        times,
        index=times.index(dataset.time_column) if dataset and dataset.time_column in times else None,
        placeholder="None" if times else "None: no column holds dates",
        key=f"intake_time_{upload.id}_{dataset_id}",
    )
    sensitive = st.multiselect(
        "Sensitive columns",
        [one for one in names if one != target],
        default=[one for one in (dataset.sensitive if dataset else []) if one in names and one != target],
        placeholder="None",
        help="Groups that must be treated fairly: shown in comparisons and on decision pages.",
        key=f"intake_sensitive_{upload.id}_{dataset_id}",
    )
    said = f"Make {theme.plain(name)} v{row.latest_number + 1}" if row and row.latest_number else "Make the dataset"
    if st.button(said, type="primary", icon=":material/check:", disabled=not name.strip(), key="intake_confirm"):
        assert upload.id is not None
        with session.act() as act:
            intake = service.request_intake(
                act,
                upload_id=upload.id,
                dataset_name=name,
                relation=relation,
                options=options,
                target=target,
                sensitive=sensitive,
                time_column=time_column,
                parent_id=row.latest_version_id if row else None,
                actor=session.actor(),
                now=session.now(),
            )
        go_on("intake", intake.id)


def monitoring_form(upload: Upload, options: ParseOptions) -> None:
    """Rows a live model was or would be asked about, held against what it was trained on."""
    rows = [row for row in reads.fresh(monitoring.list_monitors) if row.version_id is not None]
    if not rows:
        panels.empty_state(
            "Nothing is live", "Data is monitored against a live model's training data. Promote a version first."
        )
        return
    labels = {row.id: f"{row.version_label}, {row.alias} in {row.environment}" for row in rows}
    asked = session.chosen_id("monitor")
    left, right = st.columns(2)
    monitor_id = left.selectbox(
        "Model",
        list(labels),
        index=list(labels).index(asked) if asked in labels else 0,
        format_func=labels.__getitem__,
        key=f"intake_monitor_{upload.id}",
    )
    times = [column.name for column in options.included if column.kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP)]
    time_column = right.selectbox(
        "Time column",
        times,
        index=0 if times else None,
        placeholder="None: the whole file is one window",
        help="When each row happened; cuts the file into windows.",
        key=f"intake_monitor_time_{upload.id}",
    )
    panels.quiet(
        "Beside the features: a column prediction_id lets labels that come later find their rows; prediction is what "
        "the model answered, without it the model is asked now; the target's own column is what was true."
    )
    if st.button("Measure drift", type="primary", icon=":material/monitoring:", key="intake_monitor_confirm"):
        assert upload.id is not None
        with session.act() as act:
            batch = monitors.add_batch(
                act,
                monitor_id=monitor_id,
                upload_id=upload.id,
                options=options,
                time_column=time_column,
                actor=session.actor(),
                now=session.now(),
            )
        go_on("batch", batch.id)


def labels_form(upload: Upload, options: ParseOptions) -> None:
    """What turned out to be true, joined to predictions by their id."""
    models = {row.id: row.name for row in reads.audited(registry.list_models) if row.live_version_id is not None}
    if not models:
        panels.empty_state(
            "Nothing is live", "Labels are joined to the predictions of a live model. Promote a version first."
        )
        return
    names = [column.name for column in options.included]
    asked = {row.id: row.model_id for row in reads.fresh(monitoring.list_monitors)}.get(
        session.chosen_id("monitor") or 0
    )
    first, second, third = st.columns(3)
    model_id = first.selectbox(
        "Model",
        list(models),
        index=list(models).index(asked) if asked in models else 0,
        format_func=models.__getitem__,
        key=f"intake_model_{upload.id}",
    )
    id_column = second.selectbox(
        "Prediction id",
        names,
        index=names.index("prediction_id") if "prediction_id" in names else None,
        placeholder="Choose the column",
        key=f"intake_id_{upload.id}",
    )
    others = [name for name in names if name != id_column]
    label_column = third.selectbox(
        "What was true",
        others,
        # Two columns leave no choice; of more, the name the command line expects is no guess either.
        index=0 if len(others) == 1 else others.index("label") if "label" in others else None,
        placeholder="Choose the column",
        key=f"intake_label_{upload.id}",
    )
    ready = id_column is not None and label_column is not None
    if st.button(
        "Join the labels", type="primary", icon=":material/join:", disabled=not ready, key="intake_labels_confirm"
    ):
        assert upload.id is not None
        assert id_column is not None
        assert label_column is not None
        with session.act() as act:
            job = monitors.add_labels(
                act,
                model_id=model_id,
                upload_id=upload.id,
                options=options,
                id_column=id_column,
                label_column=label_column,
                actor=session.actor(),
                now=session.now(),
            )
        st.query_params["model"] = str(model_id)
        go_on("job", job.id)


def go_on(name: str, number: int | None) -> None:
    """Follow what was just asked for."""
    st.query_params[name] = str(number)
    st.rerun()
