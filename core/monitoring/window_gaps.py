"""The gaps between groups of people in a window's rows, beside those on the evaluation set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift.columns import sample
from core.drift.drift_tests import missing
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.monitoring.bias import GapChange, gap_change, group_gaps
from core.monitoring.judged_rows import JudgedRows, numbers_of
from core.serving.frames import feature_column


def gaps_of(judged: JudgedRows) -> GapChange | None:
    """Hold the gaps between groups in a window against those on the evaluation set.

    Returns
    -------
    GapChange or None
        None where nothing was learnt of the evaluation set, no sensitive column is among the kept features, or no two
        groups are large enough.
    """
    reference, rows = judged.watch.reference, judged.rows
    if reference is None:
        return None
    there = [name for name in reference.sensitive if feature_column(name) in rows.column_names]
    if not there:
        return None
    answered, labelled, places = _answered(judged)
    groups = {name: sample(rows[feature_column(name)], ColumnKind.CATEGORY)[places] for name in there}
    return gap_change(group_gaps(answered, labelled, groups), reference.gaps)


def _answered(judged: JudgedRows) -> tuple[Predictions, NDArray[np.bool_], NDArray[np.intp]]:
    """The rows with a prediction, which of them have a label, and where they are; the others' truth is made up."""
    classes = judged.watch.classes
    if not classes:
        said, told = numbers_of(judged.answers), numbers_of(judged.truth)
        places = np.flatnonzero(np.isfinite(said))
        labelled = np.isfinite(told[places])
        known = np.where(labelled, told[places], said[places])
        return Predictions(Task.REGRESSION, places, known, said[places], None, ()), labelled, places
    places = np.flatnonzero(~missing(judged.answers))
    answers, truth = judged.answers[places], judged.truth[places]
    labelled = ~missing(truth)
    known = np.where(labelled, truth, answers)
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Predictions(task, places, known, answers, None, classes), labelled, places
