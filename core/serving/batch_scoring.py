"""Scoring a whole table with one model version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.registry import queries as registry
from core.serving.frames import PREDICTION, score_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa


def score_file(workspace: Workspace, *, version_id: int, table: pa.Table) -> pa.Table:
    """Add a version's predictions to a table. Neither logged nor monitored: hand the file in as a batch for that.

    Parameters
    ----------
    version_id : int
        The model version.
    table : pyarrow.Table
        With the signature's features; further columns are kept as they are.

    Returns
    -------
    pyarrow.Table
        The given columns, then ``prediction`` (by the version's threshold, where it has one) and, for a classification,
        ``score:<class>`` per class; a column of such a name that was there before keeps it and the new one gets an
        underscore at the end.

    Raises
    ------
    NotFound, ArtifactCorrupted
    SchemaMismatch
        A feature is missing or of another kind.
    """
    import pyarrow as pa

    from core.training.models import load_model

    with workspace.read() as session:
        version = registry.version(session, version_id)
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    labels, scores = model.predict_table(table)
    added = {PREDICTION: pa.array(labels.tolist(), pa.string() if model.classes else pa.float64())}
    if scores is not None:
        for position, label in enumerate(model.classes):
            added[score_column(label)] = pa.array(scores[:, position])
    for name, column in added.items():
        while name in table.column_names:
            name += "_"
        table = table.append_column(name, column)
    return table
