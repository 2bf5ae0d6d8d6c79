"""What a model version's estimates of performance rest on: its predictions of rows it was judged by, with their truth.

These are the rows of the fixed evaluation set, which no model is trained on. They are learnt from once, when a job
first needs it, and what was learnt is kept with the version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.datasets import queries as datasets
from core.datasets.tables import ColumnKind, Dataset, EvaluationSet
from core.drift.columns import sample
from core.errors import ArtifactCorrupted
from core.estimation import believing
from core.estimation.estimating import MIN_REFERENCE, Curve, ScoreEstimator, codes_of, fit_scores
from core.estimation.loss_estimating import LossEstimator, LossModel, fit_losses
from core.estimation.support import Sample, Seen, Support, encoded, fit_support
from core.evaluation.queries import load_predictions
from core.evaluation.tables import Evaluation, Task
from core.monitoring.bias import group_gaps
from core.monitoring.tables import Estimator
from core.serving.frames import PREDICTION, feature_column, score_column
from core.training import model_files
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.evaluation.predictions import Predictions
    from core.registry.tables import ModelVersion

MAX_ROWS = 20_000
KEPT_RESIDUALS = 2_000
SEED = 20_260_715
# Later dates are beyond the reference by their nature, and of free text nearly every value is new.
NOT_LEARNT = (ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TEXT)


@dataclass(frozen=True, eq=False)
class PerformanceReference:
    """What was learnt from a version's labelled reference.

    Parameters
    ----------
    support : Support
        Of features, and of the score or the prediction, by their names in `core.serving.frames`.
    features : tuple of str
        Those of them that are features, in the order the losses are learnt by.
    scores : ScoreEstimator or None
        For a classification whose model gives scores.
    losses : LossEstimator or None
        For a regression.
    residuals : ndarray
        Truth minus prediction of at most 2,000 rows of a regression.
    against : tuple of str
        What speaks against every estimate.
    sensitive : tuple of str
        Features by whose values groups of people are told apart.
    gaps : mapping of (feature, criterion) to (difference, low, high)
        How far apart those groups fared; see `core.monitoring.bias`.
    """

    support: Support
    features: tuple[str, ...]
    scores: ScoreEstimator | None
    losses: LossEstimator | None
    residuals: NDArray[np.float64]
    against: tuple[str, ...]
    sensitive: tuple[str, ...]
    gaps: Mapping[tuple[str, str], tuple[float, float, float]]

    @property
    def can_estimate(self) -> bool:
        """Whether there is anything to estimate by."""
        return self.scores is not None or self.losses is not None


def learnt(features: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The features of a signature that estimates are learnt by: no dates, no free text."""
    return [feature for feature in features if feature["kind"] not in NOT_LEARNT]


def scored(classes: tuple[str, ...]) -> range:
    """The classes whose scores are looked at: of two the second, whose score says that of the other too."""
    return range(1, 2) if len(classes) == 2 else range(len(classes))


def performance_reference(workspace: Workspace, version: ModelVersion, *, now: datetime) -> PerformanceReference | None:
    """What a version's estimates rest on, learnt now where it never was.

    Returns
    -------
    PerformanceReference or None
        None where the version was not judged on a fixed evaluation set of at least 100 rows.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    assert version.id is not None
    with workspace.read() as session:
        kept = session.get(Estimator, version.id)
        evaluation = _evaluation(session, version.run_id)
    if kept is not None:
        try:
            return from_bytes(kept.content)
        except ArtifactCorrupted:
            pass  # kept by an earlier version of the program: learnt again
    if evaluation is None:
        return None
    found = _learn(workspace, version, evaluation)
    if found is None:
        return None
    content = to_bytes(found)
    with workspace.write() as session:
        session.merge(Estimator(version_id=version.id, content=content, fitted_at=now))
    try:
        # As it is kept, which rounds: the first window's figures are then those of any repeat.
        return from_bytes(content)
    except ArtifactCorrupted:
        return found  # a model of losses by category holds types that model files may not: learnt again by each job


def fit_reference(
    predictions: Predictions,
    columns: Mapping[str, Sample],
    *,
    features: tuple[str, ...],
    groups: Mapping[str, Sample] | None = None,
) -> PerformanceReference | None:
    """Learn from labelled predictions.

    Parameters
    ----------
    predictions : Predictions
        A classification without scores can be judged by labels, and not estimated.
    columns : mapping of name to ndarray
        The features of the same rows, by their names in `core.serving.frames`.
    features : tuple of str
        Which of them to learn by.
    groups : mapping of feature to ndarray of str or None, optional
        The sensitive features' values.
    """
    rng = np.random.default_rng(SEED)
    n = predictions.n_rows
    if n < MIN_REFERENCE:
        return None
    answers: dict[str, Sample] = {}
    if predictions.task is Task.REGRESSION:
        answers[PREDICTION] = predictions.y_pred
    elif predictions.scores is not None:
        answers = {
            score_column(predictions.classes[at]): predictions.scores[:, at] for at in scored(predictions.classes)
        }
    support = fit_support({name: columns[name] for name in features} | answers)
    gaps = group_gaps(predictions, np.ones(n, dtype=bool), groups or {})
    found = PerformanceReference(
        support=support,
        features=features,
        scores=None,
        losses=None,
        residuals=np.empty(0),
        against=(),
        sensitive=tuple(groups or ()),
        gaps={(one.column, one.criterion): (one.difference, one.low, one.high) for one in gaps},
    )
    if predictions.task is Task.REGRESSION:
        known = np.array([support.columns[name].is_category for name in features], dtype=bool)
        inputs = encoded(support, columns, features).reshape(n, len(features))
        return replace(
            found,
            losses=fit_losses(inputs, known, predictions.y_pred, predictions.y_true, rng=rng),
            residuals=(predictions.y_true - predictions.y_pred)[rng.permutation(n)[:KEPT_RESIDUALS]],
            against=tuple(believing.of_reference(n, None, None)),
        )
    if predictions.scores is None:
        return found
    truth = codes_of(list(predictions.y_true), predictions.classes)
    scores = fit_scores(predictions.scores, truth, rng=rng)
    rarest = int(np.bincount(truth, minlength=len(predictions.classes))[: len(predictions.classes)].min())
    return replace(found, scores=scores, against=tuple(believing.of_reference(n, rarest, scores.error)))


def to_bytes(reference: PerformanceReference) -> bytes:
    """Write it as one file of arrays; estimators as a model file within."""
    arrays: dict[str, NDArray[Any]] = {"residuals": reference.residuals}
    header: dict[str, Any] = {
        "support": [[name, one.low, one.high, one.categories] for name, one in reference.support.columns.items()],
        "usual": reference.support.usual,
        "n_rows": reference.support.n_rows,
        "features": reference.features,
        "against": reference.against,
        "sensitive": reference.sensitive,
        "gaps": [[*key, *ends] for key, ends in reference.gaps.items()],
    }
    if reference.scores is not None:
        header["scores"] = [reference.scores.n_classes, reference.scores.n_reference]
        header["errors"] = [curve.error for curve in reference.scores.curves]
        for number, curve in enumerate(reference.scores.curves):
            arrays |= {f"{number}_{name}": getattr(curve, name) for name in ("scores", "chances", "cells")}
            arrays[f"{number}_spread"] = curve.spread.astype(np.float32)
    if reference.losses is not None:
        both = (reference.losses.absolute, reference.losses.squared)
        header["losses"] = [reference.losses.n_reference, *(one.scatter for one in both)]
        models = model_files.save([[one.whole, *one.parts] for one in both])
        arrays["models"] = np.frombuffer(models, dtype=np.uint8)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    out = BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def from_bytes(content: bytes) -> PerformanceReference:
    """Read it back.

    Raises
    ------
    ArtifactCorrupted
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        header = json.loads(arrays["header"].tobytes())
        seen = {
            name: Seen(low, high, None if categories is None else tuple(categories))
            for name, low, high, categories in header["support"]
        }
        return PerformanceReference(
            support=Support(seen, header["usual"], header["n_rows"]),
            features=tuple(header["features"]),
            scores=_scores(header, arrays),
            losses=_losses(header, arrays),
            residuals=arrays["residuals"],
            against=tuple(header["against"]),
            sensitive=tuple(header["sensitive"]),
            gaps={(column, criterion): (one, low, high) for column, criterion, one, low, high in header["gaps"]},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactCorrupted(f"What was learnt of a version's performance cannot be read: {error}.") from error


def _scores(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ScoreEstimator | None:
    if "scores" not in header:
        return None
    curves = tuple(
        Curve(
            scores=arrays[f"{number}_scores"],
            chances=arrays[f"{number}_chances"],
            cells=arrays[f"{number}_cells"],
            spread=arrays[f"{number}_spread"].astype(np.float64),
            error=error,
        )
        for number, error in enumerate(header["errors"])
    )
    n_classes, n_reference = header["scores"]
    return ScoreEstimator(n_classes, curves, n_reference)


def _losses(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LossEstimator | None:
    if "losses" not in header:
        return None
    n_reference, *scatters = header["losses"]
    models = model_files.loads(arrays["models"].tobytes(), name="of losses")
    absolute, squared = (
        LossModel(whole, tuple(parts), scatter) for (whole, *parts), scatter in zip(models, scatters, strict=True)
    )
    return LossEstimator(absolute, squared, n_reference)


def _evaluation(session: Session, run_id: int) -> tuple[Evaluation, EvaluationSet] | None:
    query = (
        select(Evaluation, EvaluationSet)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(col(Evaluation.run_id) == run_id, col(EvaluationSet.kind) == "fixed")
        .order_by(col(Evaluation.id).desc())
    )
    return session.exec(query).first()


def _learn(
    workspace: Workspace, version: ModelVersion, found: tuple[Evaluation, EvaluationSet]
) -> PerformanceReference | None:
    import pyarrow as pa

    evaluation, rows = found
    store = workspace.artifacts
    predictions = load_predictions(store, evaluation)
    if predictions.n_rows > MAX_ROWS:
        some = np.random.default_rng(SEED).choice(predictions.n_rows, MAX_ROWS, replace=False)
        predictions = predictions.take(np.sort(some))
    features = learnt(version.signature["features"])
    with workspace.read() as session:
        data = datasets.version(session, rows.version_id)
        dataset = session.get_one(Dataset, data.dataset_id)
    kinds = {one["name"]: one["kind"] for one in features}
    # Of numbers the groups would be other ones in every window.
    sensitive = [name for name in dataset.sensitive if kinds.get(name) in (ColumnKind.CATEGORY, ColumnKind.BOOLEAN)]
    table = datasets.read_table(store, data, columns=[feature["name"] for feature in features])
    table = table.take(pa.array(predictions.ordinals))
    columns = {feature_column(one["name"]): sample(table[one["name"]], one["kind"]) for one in features}
    groups = {name: columns[feature_column(name)] for name in sensitive}
    return fit_reference(predictions, columns, features=tuple(columns), groups=groups)
