"""The gaps between groups of people in a window's rows, beside those on the evaluation set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.monitoring.bias import GapChange, gap_change, group_gaps
from core.monitoring.performance import number
from core.monitoring.performance_reference import PerformanceReference
from core.serving.frames import PREDICTION, feature_column
from core.training.frames import class_labels

if TYPE_CHECKING:
    import pyarrow as pa


def gaps_of(
    reference: PerformanceReference, rows: pa.Table, truth: Sequence[Any], classes: tuple[str, ...]
) -> GapChange | None:
    """Hold the gaps between groups in a window against those on the evaluation set.

    Parameters
    ----------
    rows : pyarrow.Table
        In the layout of `core.serving.frames`, with predictions.
    truth : sequence of length n
        Each row's label, None where it has not come.
    classes : tuple of str
        What the model can answer; empty for a regression.

    Returns
    -------
    GapChange or None
        None where no sensitive column is among the kept features, or no two groups are large enough.
    """
    there = [name for name in reference.sensitive if feature_column(name) in rows.column_names]
    if not there:
        return None
    answered, labelled, places = _answered(rows, np.array(truth, dtype=object), classes)
    groups = {name: class_labels(rows[feature_column(name)])[places] for name in there}
    return gap_change(group_gaps(answered, labelled, groups), reference.gaps)


def _answered(
    rows: pa.Table, truth: NDArray[Any], classes: tuple[str, ...]
) -> tuple[Predictions, NDArray[np.bool_], NDArray[np.intp]]:
    """The rows with a prediction, which of them have a label, and where they are; the others' truth is made up."""
    answers = np.array(rows[PREDICTION].to_pylist(), dtype=object)
    if not classes:
        said, told = (np.array([number(one) for one in part], dtype=np.float64) for part in (answers, truth))
        places = np.flatnonzero(np.isfinite(said))
        labelled = np.isfinite(told[places])
        known = np.where(labelled, told[places], said[places])
        return Predictions(Task.REGRESSION, places, known, said[places], None, ()), labelled, places
    places = np.flatnonzero(np.array([one is not None for one in answers], dtype=bool))
    labelled = np.array([one is not None for one in truth[places]], dtype=bool)
    known = np.where(labelled, truth[places], answers[places])
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Predictions(task, places, known, answers[places], None, classes), labelled, places
