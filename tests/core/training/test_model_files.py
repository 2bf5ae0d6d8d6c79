import pickle

import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.artifacts import ArtifactStore
from core.errors import ArtifactCorrupted, NotFound
from core.training import model_files
from core.workspace import Workspace


class Foreign:
    """A type nobody reviewed."""


def store_of(workspace: Workspace, content: bytes) -> tuple[ArtifactStore, str]:
    return workspace.artifacts, workspace.artifacts.put_bytes(content).sha256


def test_a_file_with_a_foreign_type_is_refused_by_name(workspace: Workspace) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.extra_ = Foreign()
    store, sha256 = store_of(workspace, skops.io.dumps(model))
    with pytest.raises(ArtifactCorrupted, match="Foreign"):
        model_files.load(store, sha256)


def test_a_file_that_would_call_a_function_is_refused(workspace: Workspace) -> None:
    import os

    pipeline = Pipeline([("run", FunctionTransformer(func=os.getcwd)), ("model", LinearRegression())])
    store, sha256 = store_of(workspace, skops.io.dumps(pipeline))
    with pytest.raises(ArtifactCorrupted, match="getcwd"):
        model_files.load(store, sha256)


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps({"a": 1})])
def test_bytes_that_are_no_model_file_are_refused(workspace: Workspace, content: bytes) -> None:
    store, sha256 = store_of(workspace, content)
    with pytest.raises(ArtifactCorrupted, match="not a model file"):
        model_files.load(store, sha256)


def test_changed_bytes_are_refused(workspace: Workspace) -> None:
    store, sha256 = store_of(workspace, model_files.save(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])))
    path = store.path(sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactCorrupted, match="no longer match"):
        model_files.load(store, sha256)


def test_half_a_file_is_refused(workspace: Workspace) -> None:
    whole = model_files.save(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
    store, sha256 = store_of(workspace, whole[: len(whole) // 2])
    with pytest.raises(ArtifactCorrupted):
        model_files.load(store, sha256)


def test_a_file_that_is_gone_is_said_to_be(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        model_files.load(workspace.artifacts, "0" * 64)
