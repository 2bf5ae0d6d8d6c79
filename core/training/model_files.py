"""Model files: skops, loaded against one reviewed list of types, so that loading runs no code from the file.

skops knows scikit-learn's, numpy's and scipy's harmless types by itself; what a pipeline of ours holds beyond them is
listed here and nowhere else. A file's own list of types is read only to say which one was refused.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from core.artifacts import ArtifactStore
from core.errors import ArtifactCorrupted

ALLOWED_TYPES: tuple[str, ...] = (
    "core.training.preprocessing.CalendarParts",  # ours: one boolean, no code in its state
    "numpy.dtype",  # a word naming a type
    "sklearn.calibration._CalibratedClassifier",  # the estimator and its calibrators, beside a list of class labels
    "sklearn.calibration._SigmoidCalibration",  # two numbers: slope and offset
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # plain arrays
    "sklearn.tree._tree.Tree",  # plain arrays; scikit-learn checks their shapes and types when it is rebuilt
)


def save(pipeline: Any) -> bytes:
    """The bytes of a fitted pipeline."""
    import skops.io

    return bytes(skops.io.dumps(pipeline, compression=zipfile.ZIP_DEFLATED, compresslevel=3))


def load(store: ArtifactStore, sha256: str) -> Any:
    """Read a fitted pipeline back.

    Raises
    ------
    NotFound
        The file is gone.
    ArtifactCorrupted
        The bytes do not match their hash, are no model file, or hold a type that is not on the list.
    """
    return loads(store.get_bytes(sha256), name=sha256[:8])


def loads(content: bytes, *, name: str) -> Any:
    """Read a fitted pipeline from bytes; `name` is what the refusal calls them.

    Raises
    ------
    ArtifactCorrupted
    """
    import skops.io

    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ArtifactCorrupted(f"The file {name} is not a model file. Train the model again or restore a backup.")
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(ALLOWED_TYPES))
    except (KeyError, ValueError, TypeError, AttributeError, ImportError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactCorrupted(f"The model file {name} cannot be read: {error}. Restore a backup.") from error
    if foreign:
        raise ArtifactCorrupted(
            f"The model file {name} holds types that are not allowed: {', '.join(foreign)}. Nothing was loaded from it."
        )
    try:
        return skops.io.loads(content, trusted=list(ALLOWED_TYPES))
    except (KeyError, ValueError, TypeError, AttributeError, ImportError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactCorrupted(f"The model file {name} cannot be read: {error}. Restore a backup.") from error
