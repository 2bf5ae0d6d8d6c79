"""A fitted model: its pipeline, its signature, and predicting with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from core.artifacts import ArtifactStore
from core.evaluation.tables import Task
from core.training import model_files
from core.training.frames import frame_from_rows, frame_from_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FittedModel", "Prediction", "frame_from_rows", "frame_from_table", "load_model"]

# Rows are scored in pieces: one-hot columns of a large file would not fit in memory at once.
PIECE_ROWS = 50_000


class Prediction(NamedTuple):
    """What a model says of n rows.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Class labels as str (object) or, for regression, float64.
    scores : ndarray of shape (n, n_classes) or None
        Share of each class in the signature's order, each row summing to 1; None for regression.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64] | None


@dataclass(frozen=True)
class FittedModel:
    """A pipeline that takes a frame (see `frames`), and its signature.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Fitted.
    signature : mapping
        ``{"task", "target", "classes": [...] or None, "features": [{"name", "kind", "categories": [...] or None,
        "low", "high", "nullable"}]}``, and for a version that was registered with one ``"threshold"``: the score of
        the second class from which on a row is called so.
    """

    pipeline: Any
    signature: Mapping[str, Any]

    @property
    def task(self) -> Task:
        """What it predicts."""
        return Task(self.signature["task"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels it can answer, in the order of the scores; empty for regression."""
        return tuple(self.signature["classes"] or ())

    @property
    def threshold(self) -> float | None:
        """The score from which on a row is called positive, of a binary model that has one stored; else None."""
        stored = self.signature.get("threshold")
        return float(stored) if stored is not None and self.task == Task.BINARY else None

    def predict(self, frame: pd.DataFrame) -> Prediction:
        """Predict a frame's rows: by the stored threshold where there is one, else the class of the highest score.

        At the threshold a row is positive; ties between classes go to the first.

        Computes in one thread: on a busy machine the threads of one row's call wait for each other up to a second.
        """
        with _thread_pools().limit(limits=1):
            if self.task == Task.REGRESSION:
                return Prediction(np.asarray(self.pipeline.predict(frame), dtype=np.float64), None)
            scores = np.asarray(self.pipeline.predict_proba(frame), dtype=np.float64)
        called = scores.argmax(axis=1) if self.threshold is None else (scores[:, 1] >= self.threshold).astype(np.intp)
        return Prediction(np.array(self.classes, dtype=object)[called], scores)

    def predict_table(self, table: pa.Table) -> Prediction:
        """Predict a table's rows.

        Raises
        ------
        SchemaMismatch
            A feature is not there, or holds something of another kind.
        """
        pieces = [
            self.predict(frame_from_table(table.slice(start, PIECE_ROWS), self.signature["features"]))
            for start in range(0, table.num_rows, PIECE_ROWS)
        ]
        if not pieces:
            frame_from_table(table, self.signature["features"])
            empty = np.empty(0, dtype=np.float64 if self.task == Task.REGRESSION else object)
            return Prediction(empty, None if self.task == Task.REGRESSION else np.empty((0, len(self.classes))))
        scores = [piece.scores for piece in pieces if piece.scores is not None]
        return Prediction(
            np.concatenate([piece.labels for piece in pieces]), np.concatenate(scores) if scores else None
        )

    def predict_rows(self, rows: list[dict[str, Any]]) -> Prediction:
        """Predict rows as a caller sent them.

        Raises
        ------
        SchemaMismatch, InvalidInput
        """
        return self.predict(frame_from_rows(rows, self.signature))


def load_model(store: ArtifactStore, *, model_sha256: str, signature: Mapping[str, Any]) -> FittedModel:
    """Read a model from its file, verified.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    return FittedModel(model_files.load(store, model_sha256), signature)


@cache
def _thread_pools() -> ThreadpoolController:
    # Looking for the libraries takes 4 ms, limiting them 14 µs; they are all loaded once a pipeline is.
    return ThreadpoolController()
