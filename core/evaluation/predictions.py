"""Per-row predictions of one run on one evaluation set: what every later figure is computed from."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ArtifactCorrupted, InvalidInput, NotApplicable
from core.evaluation.tables import Task

METADATA_KEY = b"gatehouse"
# Fourth powers of values and squares of weights, summed over rows, stay within float64.
LARGEST_VALUE = 1e60
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-50, 1e50


@dataclass(frozen=True, eq=False)
class Predictions:
    """Truth and prediction of each row, aligned by ordinal; checked when made.

    Parameters
    ----------
    task : Task
    ordinals : ndarray of shape (n,), int64
        Each row's position in its dataset version; each at most once.
    y_true, y_pred : ndarray of shape (n,)
        Strings (dtype object) for classes, float64 within 1e60 of 0 for regression.
    scores : ndarray of shape (n, k), float64, or None
        One column per class in the order of ``classes``, each in [0, 1]. None where the model gives none, and for
        regression.
    classes : tuple of str
        The classes the model knows, sorted; the positive class of a binary task is ``classes[1]``. Truth may hold
        others: those rows are counted as wrong. Empty for regression.
    sample_weight : ndarray of shape (n,), float64, or None
        How much each row counts in every metric: 0, or from 1e-50 to 1e50; not all 0. A row of weight 0 counts as
        absent. None where all rows count alike.

    Raises
    ------
    InvalidInput
        Lengths differ, a value is missing, not finite or out of range, an ordinal repeats, the classes are not sorted
        and distinct, a binary task has not exactly two, or a weight is negative or out of range.
    """

    task: Task
    ordinals: NDArray[np.int64]
    y_true: NDArray[Any]
    y_pred: NDArray[Any]
    scores: NDArray[np.float64] | None
    classes: tuple[str, ...]
    sample_weight: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "task", Task(self.task))
        put(self, "ordinals", np.asarray(self.ordinals, dtype=np.int64))
        put(self, "classes", tuple(self.classes))
        kind: Any = np.float64 if self.task is Task.REGRESSION else object
        put(self, "y_true", np.asarray(self.y_true, dtype=kind))
        put(self, "y_pred", np.asarray(self.y_pred, dtype=kind))
        if self.scores is not None:
            put(self, "scores", np.asarray(self.scores, dtype=np.float64))
        if self.sample_weight is not None:
            put(self, "sample_weight", np.asarray(self.sample_weight, dtype=np.float64))
        self._check()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.ordinals)

    @property
    def positive_class(self) -> str:
        """The class whose scores a binary task is judged by: the second in sorted order."""
        if self.task is not Task.BINARY:
            raise InvalidInput(f"A {self.task.value} task has no positive class; only a binary one has.")
        return self.classes[1]

    def take(self, keep: NDArray[Any]) -> Predictions:
        """Some of the rows, by position or by a mask of shape (n,); each at most once.

        What was checked is not checked again: slices take rows many times over. All rows taken may be of weight 0; no
        metric is defined on them.
        """
        taken = copy.copy(self)
        for name in ("ordinals", "y_true", "y_pred", "scores", "sample_weight"):
            values = getattr(self, name)
            object.__setattr__(taken, name, None if values is None else values[keep])
        taken._check_ordinals()
        return taken

    def decided_at(self, threshold: float) -> Predictions:
        """The same rows and scores, decided by a threshold: positive where the positive class scores at least it.

        Parameters
        ----------
        threshold : float
            Finite; above 1 calls no row positive, 0 or less calls every row.

        Raises
        ------
        NotApplicable
            The task is not binary, or the model gave no scores.
        InvalidInput
            The threshold is not finite.
        """
        if self.task is not Task.BINARY:
            raise NotApplicable(f"A threshold decides between two classes; this is a {self.task.value} task.")
        if self.scores is None:
            raise NotApplicable("This model gives classes without scores; a threshold needs scores.")
        if not math.isfinite(threshold):
            raise InvalidInput(f"The threshold is {threshold}; give a number, usually between 0 and 1.")
        decided = copy.copy(self)
        words = np.array(self.classes, dtype=object)
        object.__setattr__(decided, "y_pred", words[(self.scores[:, 1] >= threshold).astype(np.intp)])
        return decided

    def _check_ordinals(self) -> None:
        n = len(self.ordinals)
        if n > 1 and not (np.diff(self.ordinals) > 0).all() and len(np.unique(self.ordinals)) < n:
            raise InvalidInput("A row's ordinal occurs twice; give each row once.")

    def _check_weight(self) -> None:
        if self.sample_weight is None:
            return
        n = len(self.ordinals)
        if self.sample_weight.shape != (n,):
            raise InvalidInput(f"Weights have shape {self.sample_weight.shape}; give one per row, {(n,)}.")
        if not (np.isfinite(self.sample_weight) & (self.sample_weight >= 0)).all():
            raise InvalidInput("A weight is missing, infinite or negative; give a number of 0 or more for each row.")
        counted = self.sample_weight[self.sample_weight > 0]
        if ((counted < LEAST_WEIGHT) | (counted > LARGEST_WEIGHT)).any():
            raise InvalidInput(
                f"A weight of {counted.min():g} or {counted.max():g} is out of range; multiply all weights by one "
                f"number, so that each is 0 or between {LEAST_WEIGHT:g} and {LARGEST_WEIGHT:g}."
            )
        if n and not self.sample_weight.any():
            raise InvalidInput("Every row has weight 0: none would count. Give at least one row a weight above 0.")

    def _check(self) -> None:
        n = len(self.ordinals)
        if self.ordinals.ndim != 1 or self.y_true.shape != (n,) or self.y_pred.shape != (n,):
            raise InvalidInput(
                f"Ordinals, truth and predictions have shapes {self.ordinals.shape}, {self.y_true.shape} and "
                f"{self.y_pred.shape}; give one value per row in each."
            )
        self._check_ordinals()
        self._check_weight()
        if self.task is Task.REGRESSION:
            if self.scores is not None or self.classes:
                raise InvalidInput("A regression has neither scores nor classes; leave both out.")
            if not (np.isfinite(self.y_true).all() and np.isfinite(self.y_pred).all()):
                raise InvalidInput("A true or predicted value is missing or infinite; leave such rows out.")
            largest = max(np.abs(self.y_true).max(initial=0.0), np.abs(self.y_pred).max(initial=0.0))
            if largest > LARGEST_VALUE:
                raise InvalidInput(
                    f"A true or predicted value is {largest:g} away from 0, more than {LARGEST_VALUE:g}; predict the "
                    "target in a larger unit, or leave such rows out."
                )
            return
        if list(self.classes) != sorted(set(self.classes)):
            raise InvalidInput(f"Classes {self.classes} are not sorted and distinct.")
        if self.task is Task.BINARY and len(self.classes) != 2:
            raise InvalidInput(f"A binary task has 2 classes; {len(self.classes)} were given.")
        for labels in (self.y_true, self.y_pred):
            if not all(isinstance(label, str) for label in set(labels)):
                raise InvalidInput("Class labels are strings; a missing or other value was given. Convert them first.")
        if self.scores is not None:
            if self.scores.shape != (n, len(self.classes)):
                raise InvalidInput(
                    f"Scores have shape {self.scores.shape}; expected one column per class, {(n, len(self.classes))}."
                )
            if not ((self.scores >= 0) & (self.scores <= 1)).all():
                raise InvalidInput("A score is missing or outside 0 to 1; give class probabilities.")


def to_parquet(predictions: Predictions) -> bytes:
    """Write predictions as one Parquet file: labels by dictionary, numbers losslessly; the same bytes each time.

    Weights are a last column, ``weight``, that only weighted predictions have.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"ordinal": predictions.ordinals}
    if predictions.task is Task.REGRESSION:
        columns |= {"y_true": predictions.y_true, "y_pred": predictions.y_pred}
    else:
        for name, labels in (("y_true", predictions.y_true), ("y_pred", predictions.y_pred)):
            columns[name] = pa.array(labels, type=pa.string()).dictionary_encode()
    floats = ["y_true", "y_pred"] if predictions.task is Task.REGRESSION else []
    if predictions.scores is not None:
        for position in range(len(predictions.classes)):
            columns[f"score_{position}"] = predictions.scores[:, position]
            floats.append(f"score_{position}")
    if predictions.sample_weight is not None:
        columns["weight"] = predictions.sample_weight
        floats.append("weight")
    described = {"task": predictions.task.value, "classes": list(predictions.classes)}
    table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(described).encode()})
    out = BytesIO()
    pq.write_table(
        table,
        out,
        compression="zstd",
        use_dictionary=[name for name in ("y_true", "y_pred") if name not in floats],
        column_encoding={"ordinal": "DELTA_BINARY_PACKED"} | dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    )
    return out.getvalue()


def from_parquet(content: bytes) -> Predictions:
    """Read what `to_parquet` wrote.

    Raises
    ------
    ArtifactCorrupted
        The bytes are not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        described = json.loads(table.schema.metadata[METADATA_KEY])
        task, classes = Task(described["task"]), tuple(described["classes"])
        names = [f"score_{position}" for position in range(len(classes))]
        scores = None
        if classes and names[0] in table.column_names:
            scores = np.column_stack([table[name].to_numpy() for name in names])
        truth, predicted = (_column(table[name]) for name in ("y_true", "y_pred"))
        weight = table["weight"].to_numpy() if "weight" in table.column_names else None
        return Predictions(task, table["ordinal"].to_numpy(), truth, predicted, scores, classes, weight)
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise ArtifactCorrupted(
            "This file does not hold predictions as they are stored; score the run again."
        ) from error


def _column(column: Any) -> NDArray[Any]:
    import pyarrow as pa

    whole = column.combine_chunks()
    if not pa.types.is_dictionary(whole.type):
        if pa.types.is_floating(whole.type):
            return np.asarray(whole.to_numpy(zero_copy_only=False))
        whole = whole.dictionary_encode()
    words = np.array(whole.dictionary.to_pylist(), dtype=object)
    return words[whole.indices.to_numpy(zero_copy_only=False)] if len(words) else np.empty(0, dtype=object)
