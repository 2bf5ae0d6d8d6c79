"""Whether everything is as it was written, and what is said when it is not."""

from datetime import datetime

import pytest
from sqlalchemy import text

from core.datasets.tables import Dataset, Split
from core.errors import PermissionDenied
from core.evaluation.tables import Evaluation
from core.governance.integrity import verify_everything
from core.governance.policies import ensure_seeded_policy
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import (
    NOW,
    add,
    key,
    make_dataset_version,
    make_evaluation_set,
    make_open_request,
    make_stored_version,
    make_upload,
)


@pytest.fixture
def stored(workspace: Workspace) -> dict[str, str]:
    """One row of each kind with a file behind it: what it is in words -> its hash."""
    put = {
        what: workspace.artifacts.put_bytes(what.encode()).sha256
        for what in ("upload", "data", "rows", "split", "predictions")
    }
    with workspace.write() as session:
        dataset = add(session, Dataset(name="income", created_at=NOW))
        upload = make_upload(session, file_name="../../x.csv", sha256=put["upload"])
        version = make_dataset_version(session, dataset_id=dataset.id, upload_id=upload.id, data_sha256=put["data"])
        rows = make_evaluation_set(session, version=version, rows_sha256=put["rows"])
        session.get_one(Split, rows.split_id).assignment_sha256 = put["split"]
        model = make_stored_version(session, workspace.artifacts, dataset_version_id=version.id)
        add(
            session,
            Evaluation(
                run_id=model.run_id,
                evaluation_set_id=key(rows),
                task="binary",
                predictions_sha256=put["predictions"],
                n_rows=1,
                created_at=NOW,
            ),
        )
    return {
        "uploaded file ../../x.csv": put["upload"],
        "data file of income v1": put["data"],
        "fixed evaluation set of income v1": put["rows"],
        "split 1 of income v1": put["split"],
        "predictions of run 1 on evaluation set 1": put["predictions"],
        "model file of run 1": model.model_sha256,
    }


def test_all_is_well(workspace: Workspace, stored: dict[str, str]) -> None:
    report = verify_everything(workspace)
    assert report.intact
    assert report.n_files == len(stored)


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_every_damaged_file_is_named_in_words(workspace: Workspace, stored: dict[str, str], damage: str) -> None:
    for what, sha256 in stored.items():
        path = workspace.artifacts.path(sha256)
        content = path.read_bytes()
        if damage == "changed":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            path.unlink()
        found = {one.what: one.reason for one in verify_everything(workspace).damaged}
        assert what in found
        assert ("missing" if damage == "missing" else "bytes were changed") in found[what]
        assert all(one == what or one.startswith("model file of model") for one in found)
        path.write_bytes(content)
    assert verify_everything(workspace).intact


def test_an_edited_event_is_found(workspace: Workspace, administrator: Actor, now: datetime) -> None:
    with workspace.write() as session:
        ensure_seeded_policy(session, now)
    with workspace.write() as session:
        session.execute(text("UPDATE audit_event SET actor_name = 'nobody' WHERE number = 1"))
    report = verify_everything(workspace)
    assert not report.intact
    assert [one.number for one in report.chain.breaks] == [1]


def test_changed_evidence_is_found(workspace: Workspace, now: datetime) -> None:
    with workspace.write() as session:
        request = make_open_request(session, version=make_stored_version(session, workspace.artifacts))
    with workspace.write() as session:
        request = session.merge(request)
        request.evidence = {**(request.evidence or {}), "comparisons": [{"verdict": "better"}]}
    damaged = verify_everything(workspace).damaged
    assert any(one.what.startswith(f"evidence of request {request.id} (model") for one in damaged)


def test_only_who_may_verify_does(
    workspace: Workspace, viewer: Actor, scientist: Actor, auditor: Actor, administrator: Actor
) -> None:
    for actor in (viewer, scientist):
        with pytest.raises(PermissionDenied, match="verify an audit"):
            verify_everything(workspace, actor=actor)
    for actor in (auditor, administrator):
        assert verify_everything(workspace, actor=actor).intact
