"""What current data is held against: the training part of the version's own data, and its predictions.

Features are held against the rows the version was trained on. Predictions are held against what the version says of
rows it was *not* trained on (the validation part, else the test part): a model is surer of the rows it has seen, so
its predictions of them differ from any later ones without any drift.

Computed anew by each job, which takes it once; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.splitting import Part
from core.datasets.tables import Split
from core.drift.columns import sample
from core.drift.drift_tests import Sample
from core.errors import NotApplicable
from core.registry import queries as registry
from core.training import queries as training
from core.training.models import load_model
from core.workspace import Workspace

MAX_ROWS = 100_000
MAX_PREDICTED_ROWS = 10_000
MIN_PREDICTED_ROWS = 100
SEED = 20_260_312


@dataclass(frozen=True, eq=False)
class Reference:
    """A version's reference.

    Parameters
    ----------
    version_id, number : int
        The model version.
    signature : mapping
    features : dict of name to ndarray
        A seeded sample of at most 100,000 training rows, as `columns.sample` makes them.
    labels : ndarray
        The version's predictions of at most 10,000 rows it was not trained on: str, or float64 for regression.
    scores : ndarray of shape (n, n_classes) or None
        Their scores.
    n_rows : int
        Training rows in the sample.
    """

    version_id: int
    number: int
    run_id: int
    signature: Mapping[str, Any]
    features: dict[str, Sample]
    labels: Sample
    scores: NDArray[np.float64] | None
    n_rows: int


def reference_of(workspace: Workspace, version_id: int) -> Reference:
    """The reference of a model version.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    with workspace.read() as session:
        version = registry.version(session, version_id)
        run = training.run(session, version.run_id)
        data = datasets.version(session, run.dataset_version_id)
        split = session.get(Split, run.split_id) if run.split_id is not None else None
    if split is None:
        raise NotApplicable(f"Run {run.id} has no split, so its model version has no reference.")
    store = workspace.artifacts
    features = version.signature["features"]
    parts = splits.assignment(store, split)
    table = datasets.read_table(store, data, columns=[feature["name"] for feature in features])
    trained = table.take(_some(np.flatnonzero(parts == Part.TRAIN), MAX_ROWS))
    model = load_model(store, model_sha256=version.model_sha256, signature=version.signature)
    labels, scores = model.predict_table(table.take(_some(_unseen(parts), MAX_PREDICTED_ROWS)))
    return Reference(
        version_id=version_id,
        number=version.number,
        run_id=version.run_id,
        signature=version.signature,
        features={feature["name"]: sample(trained[feature["name"]], feature["kind"]) for feature in features},
        labels=labels,
        scores=scores,
        n_rows=trained.num_rows,
    )


def _unseen(parts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows the version was not trained on; its training rows where there are too few others."""
    for part in (Part.VALIDATION, Part.TEST):
        rows = np.flatnonzero(parts == part)
        if len(rows) >= MIN_PREDICTED_ROWS:
            return rows
    return np.flatnonzero(parts == Part.TRAIN)


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))
