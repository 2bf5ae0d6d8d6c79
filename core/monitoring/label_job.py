"""The job that joins late labels to predictions by their id, and computes the performance of the windows they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from core.datasets.ingest import read_exactly
from core.datasets.options import ParseOptions
from core.datasets.tables import ColumnKind, Upload
from core.errors import InsufficientData, InvalidInput
from core.evaluation.tables import Task
from core.jobs.context import JobContext
from core.monitoring import queries
from core.monitoring.computing import compute_windows
from core.monitoring.labelled import find_predictions
from core.monitoring.labels import mark_known, put_labels
from core.monitoring.recording import record_ahead, record_windows
from core.permissions import Permission, require
from core.registry import queries as registry
from core.registry.tables import ModelVersion
from core.training.frames import class_labels
from core.wording import enumerated
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ID = 64
WRITTEN_AT_ONCE = 20_000
DAY = timedelta(days=1) - timedelta(microseconds=1)
SHOWN = 5


def read_labels(workspace: Workspace, context: JobContext) -> None:
    """Join the labels of an upload to the predictions of a model.

    A label is kept whether or not its prediction is known yet: the prediction may be sealed, or its batch handed in,
    after it. Of labels for one prediction the one received last is kept; files may be read in any order. A label that
    is no class of the model is kept too, and told: its row counts as wrong. Result: ``n_labels``, ``n_matched``,
    ``n_unknown``, ``unknown`` (the first ids), ``foreign`` (the first labels that are no class), ``n_windows``.
    """
    require(context.actor, Permission.BATCH_ADD)
    model_id: int = context.payload["model_id"]
    context.report(0.0, "reading")
    with workspace.read() as session:
        model = registry.model(session, model_id)
        classes = _classes(session, model_id)
        upload = session.get(Upload, context.payload["upload_id"])
        assert upload is not None
    labels = _read(workspace, context, upload, regression=model.task == Task.REGRESSION)
    context.check_cancelled()
    # Before the windows are computed, so that of two files read at once the later reader sees both. Writing the same
    # labels twice changes nothing, should this attempt be lost and made again: so it is done in pieces, and whatever
    # else writes need not wait for a file of millions.
    for ids in _pieces(list(labels)):
        with workspace.write() as session:
            piece = {one: labels[one] for one in ids}
            put_labels(session, model_id=model_id, labels=piece, received_at=upload.uploaded_at)
    context.report(0.3, "joining")
    found = find_predictions(
        workspace, model_id, set(labels), report=lambda share: context.report(0.3 + 0.4 * share, "joining")
    )
    for ids in _pieces(sorted(found.known)):
        with workspace.write() as session:
            mark_known(session, model_id=model_id, ids=ids)
    unknown = [one for one in labels if one not in found.known]
    foreign = sorted(set(labels.values()) - classes) if classes else []
    computed = {}
    for at in sorted(found.touched()):
        computed[at] = compute_windows(
            workspace,
            monitor_id=at[0],
            version_id=at[1],
            touched=[(day, day + DAY) for day in sorted(found.days.get(at, ()))],
            batch_ids=found.batch_ids.get(at, []),
            tell=context.log,
        )
    rest = {at: record_ahead(context, monitor_id=at[0], windows=windows) for at, windows in computed.items()}
    with context.record() as session:
        for (monitor_id, _), windows in rest.items():
            monitor = queries.monitor(session, monitor_id)
            record_windows(session, monitor=monitor, windows=windows, actor=context.actor, now=context.now())
        context.log(f"{len(labels):,} labels, {len(found.known):,} of them for known predictions.")
        if unknown:
            context.log(
                f"{len(unknown):,} prediction ids are not known: {_some(unknown)}. "
                "Their labels are kept and count once the predictions arrive."
            )
        if foreign:
            context.log(
                f"The model does not know these classes, so rows of them count as wrong: {_some(foreign)}. "
                f"It knows {_some(sorted(classes))}. If they are only spelt otherwise, hand in the labels again as the "
                "model spells them: the last file counts."
            )
        context.result = {
            "sentence": _said(len(labels), len(found.known), foreign),
            "n_labels": len(labels),
            "n_matched": len(found.known),
            "n_unknown": len(unknown),
            "unknown": unknown[:SHOWN],
            "foreign": foreign[:SHOWN],
            "n_windows": sum(map(len, computed.values())),
        }


def _said(n_labels: int, n_known: int, foreign: Sequence[str]) -> str:
    said = f"{n_known:,} of {n_labels:,} labels joined."
    if foreign:
        said += f" The model does not know {_some(foreign)}: such rows count as wrong until they are handed in anew."
    if n_known < n_labels:
        said += " The others wait for their predictions; if none comes, look at the column of ids."
    return said


def _some(names: Sequence[str]) -> str:
    return enumerated([repr(one) for one in names], SHOWN)


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + WRITTEN_AT_ONCE] for start in range(0, len(ids), WRITTEN_AT_ONCE))


def _classes(session: Session, model_id: int) -> set[str]:
    """Every class that any version of a model can answer; none for a regression."""
    signatures = session.exec(select(ModelVersion.signature).where(col(ModelVersion.model_id) == model_id))
    return {label for one in signatures for label in one["classes"] or ()}


def _read(workspace: Workspace, context: JobContext, upload: Upload, *, regression: bool) -> dict[str, str]:
    id_column, label_column = context.payload["id_column"], context.payload["label_column"]
    kinds = {
        id_column: ColumnKind.CATEGORY,  # as text: an id of digits keeps its zeros
        label_column: ColumnKind.NUMBER if regression else ColumnKind.CATEGORY,
    }
    options = ParseOptions.from_json(context.payload["options"])
    options = replace(
        options,
        columns=tuple(replace(column, kind=kinds.get(column.name, column.kind)) for column in options.columns),
    )
    table = read_exactly(workspace.artifacts.verified_path(upload.sha256), options)
    ids, values = class_labels(table[id_column]), _values(table[label_column], regression)
    labels = {one: value for one, value in zip(ids, values, strict=True) if one is not None and value is not None}
    if not labels:
        raise InsufficientData(f"{upload.file_name} holds no prediction id with a label. Look at the chosen columns.")
    longest = max(labels, key=len)
    if len(longest) > MAX_ID:
        raise InvalidInput(
            f"{longest[:20]!r}… has {len(longest)} characters; a prediction id has at most {MAX_ID}. "
            "Choose the column that holds the ids the scoring process gave."
        )
    n_twice = sum(one is not None and value is not None for one, value in zip(ids, values, strict=True)) - len(labels)
    if n_twice:
        context.log(f"{n_twice:,} rows repeat a prediction id; of each the last row counts.")
    if table.num_rows - n_twice > len(labels):
        context.log(f"{table.num_rows - n_twice - len(labels):,} rows have no id or no label and were left out.")
    return labels


def _values(column: pa.ChunkedArray, regression: bool) -> list[str | None]:
    if regression:
        return [None if value is None else repr(float(value)) for value in column.to_pylist()]
    return list(class_labels(column))
