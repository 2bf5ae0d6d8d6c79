"""Answering one request: who asks, what is live, what it says of the rows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from core.artifacts import ArtifactStore
from core.errors import LifecycleError, NotFound
from core.permissions import Actor, Permission, require
from core.registry.queries import live
from core.registry.tables import Alias, ModelVersion, RegisteredModel
from core.serving.inputs import check_rows, shorten
from core.serving.log import Answered, PredictionLog
from core.serving.prediction_ids import prediction_ids

if TYPE_CHECKING:
    from core.training.models import FittedModel

CACHED_MODELS = 8


@dataclass(frozen=True)
class LiveModel:
    """What holds an alias now."""

    model_id: int
    model_name: str
    alias: str
    deployment_id: int
    version_id: int
    number: int
    model_sha256: str
    signature: dict[str, Any]


class ModelCache:
    """The files of the models used last, by their hash: immutable, so never stale. Safe for many threads.

    Two versions may share a file and differ in their threshold, so what is kept is the file's pipeline alone; each
    answer is given under the signature of the version that is asked.

    Parameters
    ----------
    store : ArtifactStore
    size : int
        How many are kept.
    """

    def __init__(self, store: ArtifactStore, size: int = CACHED_MODELS) -> None:
        self._store, self._size = store, size
        self._pipelines: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, found: LiveModel) -> FittedModel:
        """The model of a version, its file loaded and verified when it is not there.

        Raises
        ------
        NotFound, ArtifactCorrupted
        """
        from core.training.models import FittedModel, load_model

        # Loading happens under the lock: requests that come together right after a swap load the file once.
        with self._lock:
            pipeline = self._pipelines.get(found.model_sha256)
            if pipeline is None:
                pipeline = load_model(self._store, model_sha256=found.model_sha256, signature=found.signature).pipeline
                self._pipelines[found.model_sha256] = pipeline
            self._pipelines.move_to_end(found.model_sha256)
            while len(self._pipelines) > self._size:
                self._pipelines.popitem(last=False)
        return FittedModel(pipeline, found.signature)


def find_live(session: Session, *, model_name: str, environment: str, alias: str) -> LiveModel:
    """What holds an alias now; read on every request, so that a swap takes effect with the next one.

    Raises
    ------
    NotFound
        No such model or alias, or nothing holds it.
    """
    if alias not in {known.value for known in Alias}:
        raise NotFound("alias", repr(shorten(alias)), f"Ask for one of: {', '.join(known.value for known in Alias)}.")
    model = session.exec(select(RegisteredModel).where(col(RegisteredModel.name) == model_name)).first()
    if model is None:
        raise NotFound("model", repr(shorten(model_name)), "Ask for a registered model by its exact name.")
    assert model.id is not None
    deployment = live(session, model_id=model.id, environment=environment, alias=alias)
    if deployment is None:
        raise NotFound(
            f"{alias} of", f"{model.name} in {environment}", "Request the promotion of a version and have it approved."
        )
    version = session.get(ModelVersion, deployment.version_id)
    assert version is not None
    assert deployment.id is not None
    return LiveModel(
        model_id=model.id,
        model_name=model.name,
        alias=alias,
        deployment_id=deployment.id,
        version_id=deployment.version_id,
        number=version.number,
        model_sha256=version.model_sha256,
        signature=version.signature,
    )


def predict(
    found: LiveModel, rows: Any, *, actor: Actor, models: ModelCache, log: PredictionLog, clock: Callable[[], datetime]
) -> dict[str, Any]:
    """Check rows, predict them, log them, and give the answer's JSON document.

    Parameters
    ----------
    found : LiveModel
    rows : object
        As sent; checked here.

    Returns
    -------
    dict
        ``model``, ``version``, ``deployment_id``, ``threshold`` (the score from which on the second class is
        predicted; None where the version has none stored and the highest score decides) and ``predictions``: one entry
        per row in order with ``prediction_id``, ``prediction`` and ``scores`` by class (None for regression).

    Raises
    ------
    PermissionDenied, RowRefused, SchemaMismatch, ArtifactCorrupted
    """
    require(actor, Permission.PREDICTION_CREATE)
    checked = check_rows(rows, found.signature)
    started = time.perf_counter()
    model = models.get(found)
    labels, scores = model.predict_rows(checked)
    predictions, score_rows = labels.tolist(), None if scores is None else scores.tolist()
    latency_ms = (time.perf_counter() - started) * 1000
    at = clock()
    ids = prediction_ids(at, len(checked))
    try:
        log.append(
            Answered(
                model_id=found.model_id,
                version_id=found.version_id,
                alias=found.alias,
                at=at,
                latency_ms=latency_ms,
                rows=checked,
                ids=ids,
                predictions=predictions,
                scores=score_rows,
            )
        )
    except OSError as error:
        raise LifecycleError(
            f"The prediction could not be logged ({error.strerror}), so it is not given. Look at the disk of the "
            "scoring process."
        ) from error
    except ValueError as error:
        raise LifecycleError("The model gave a prediction that is not a finite number; it is not given.") from error
    classes = found.signature["classes"]
    return {
        "model": found.model_name,
        "version": found.number,
        "deployment_id": found.deployment_id,
        "threshold": model.threshold,
        "predictions": [
            {
                "prediction_id": one,
                "prediction": prediction,
                "scores": None if score_rows is None else dict(zip(classes, score_rows[position], strict=True)),
            }
            for position, (one, prediction) in enumerate(zip(ids, predictions, strict=True))
        ],
    }
