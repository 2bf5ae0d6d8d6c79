"""From an upload to a version: what is recorded, what is refused, who may."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlmodel import Session, func, select

from core.artifacts import StoredArtifact
from core.audit.tables import AuditEvent
from core.automation.inline import run_job
from core.datasets import queries, service
from core.datasets.options import ColumnOption, ParseOptions
from core.datasets.tables import ColumnKind, Dataset, DatasetVersion, Intake, Relation, Upload, VersionState
from core.errors import AlreadyExists, ArtifactCorrupted, InvalidInput, InvalidTransition, NotFound, PermissionDenied
from core.jobs.service import request_cancel
from core.permissions import Actor
from core.workspace import Workspace
from tests.core.datasets.conftest import AddVersion, AskFor

CSV = "x,colour,y\n" + "\n".join(f"{i},{'red' if i % 3 else 'blue'},{'yes' if i % 2 else 'no'}" for i in range(60))
OPTIONS = ParseOptions(columns=(ColumnOption("a", "a", ColumnKind.INTEGER), ColumnOption("b", "b", ColumnKind.TEXT)))


def stored_files(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.artifacts.folder.rglob("*") if path.is_file()}


def counts(session: Session) -> tuple[int, int]:
    found = (session.exec(select(func.count()).select_from(table)).one() for table in (Dataset, DatasetVersion))
    datasets, versions = found
    return datasets, versions


def test_a_new_dataset_opens_with_its_sentence_profile_and_checks(
    workspace: Workspace, add_version: AddVersion
) -> None:
    version = add_version(CSV, name="colours", target="y", sensitive=["colour"])
    assert version.number == 1
    assert version.columns == [
        {"name": "x", "kind": "integer"},
        {"name": "colour", "kind": "category"},
        {"name": "y", "kind": "category"},
    ]
    assert version.summary.startswith("Usable: ")
    assert "60 rows and 3 columns" in version.summary
    with workspace.read() as session:
        row = queries.list_datasets(session)[0]
        assert (row.name, row.target, row.latest_number, row.n_rows, row.failed_checks) == ("colours", "y", 1, 60, 0)
        assert queries.dataset_by_name(session, "colours").sensitive == ["colour"]
        assert len(queries.checks(session, version.id or 0)) == 10
        actions = list(session.exec(select(AuditEvent.action).order_by(AuditEvent.number)))  # type: ignore[arg-type]
        assert actions == ["upload.stored", "intake.requested", "dataset.created", "dataset_version.added"]
    table = queries.read_table(workspace.artifacts, version, columns=["y", "x"])
    assert table.column_names == ["y", "x"]
    assert table["x"].to_pylist() == list(range(60))
    page = queries.preview(workspace.artifacts, version, offset=57, limit=10)
    assert page["x"].tolist() == [57, 58, 59]
    assert len(queries.preview(workspace.artifacts, version, offset=60, limit=10)) == 0


def test_the_same_content_makes_no_second_version(
    workspace: Workspace, add_version: AddVersion, ask_for: AskFor
) -> None:
    add_version(CSV, name="colours")
    before = stored_files(workspace)
    again = ask_for(CSV.replace("\n", "\r\n"), name="colours", relation=Relation.REPLACES)
    assert again.state == VersionState.REFUSED
    assert "colours v1 has exactly this content already" in (again.error or "")
    assert len(stored_files(workspace) - before) == 1  # the uploaded file itself
    with workspace.read() as session:
        assert counts(session) == (1, 1)


def test_adding_rows_keeps_the_earlier_ones_and_inherits(workspace: Workspace, add_version: AddVersion) -> None:
    add_version(CSV, name="colours", target="y")
    added = add_version("colour,x,y\ngreen,100,no\nred,101,maybe\n", name="colours", relation=Relation.ADDS_TO)
    assert added.number == 2
    assert added.n_rows == 62
    assert queries.read_table(workspace.artifacts, added)["x"].to_pylist() == [*range(60), 100, 101]
    assert added.diff is not None
    assert added.diff["labels_new"] == ["maybe"]
    assert added.diff["categories_new"] == [{"column": "colour", "values": ["green"]}]
    assert added.diff["rows"] == {"before": 60, "after": 62}
    assert added.summary.startswith("Usable with care: ")
    with workspace.read() as session:
        assert queries.dataset_by_name(session, "colours").target == "y"
        assert queries.resolve_version(session, "colours").number == 2
        assert queries.resolve_version(session, "colours@1").number == 1
        assert queries.version_label(session, added.id or 0) == "colours v2"
        assert not service.blocking(session, added.id or 0)


def test_rows_of_another_schema_cannot_be_added(workspace: Workspace, add_version: AddVersion, ask_for: AskFor) -> None:
    add_version(CSV, name="colours")
    before = stored_files(workspace)
    refused = ask_for("x,y\n1,yes\n", name="colours", relation=Relation.ADDS_TO)
    assert refused.state == VersionState.REFUSED
    assert "lacks 'colour'" in (refused.error or "")
    assert len(stored_files(workspace) - before) == 1
    with workspace.read() as session:
        assert counts(session) == (1, 1)


def test_a_version_that_lost_its_target_must_not_be_trained_on(workspace: Workspace, add_version: AddVersion) -> None:
    add_version(CSV, name="colours", target="y")
    version = add_version("x,colour\n1,red\n2,blue\n", name="colours", relation=Relation.REPLACES)
    assert version.summary.startswith("Not to be trained on: ")
    with workspace.read() as session:
        reasons = service.blocking(session, version.id or 0)
    assert len(reasons) == 2
    assert any("y" in reason and "gone" in reason for reason in reasons)


def test_a_file_that_cannot_be_read_as_confirmed_leaves_nothing(workspace: Workspace, ask_for: AskFor) -> None:
    refused = ask_for("a,b\n1,x\n1.5,y\n", options=OPTIONS)
    assert refused.state == VersionState.REFUSED
    assert refused.error is not None
    assert refused.error.startswith("Line 3: the cell '1.5' of column 'a' is not an integer")
    assert len(stored_files(workspace)) == 1
    with workspace.read() as session:
        assert counts(session) == (0, 0)
        assert queries.pending_intakes(session) == []


def test_a_cancelled_intake_says_so(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    artifact = workspace.artifacts.put_bytes(b"a,b\n1,x\n")
    with workspace.write() as session:
        upload = service.store_upload(session, artifact=artifact, file_name="f.csv", actor=scientist, now=now)
        intake = _ask(session, upload, scientist, now)
    with workspace.write() as session:
        request_cancel(session, job_id=intake.job_id or 0, now=now)
    with workspace.read() as session:
        found = queries.intake(session, intake.id or 0)
        assert found.state == VersionState.REFUSED
        assert "cancelled" in (found.error or "")
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "intake.refused")).one()
        assert (event.subject_id, event.actor_name, event.details["error"]) == (found.id, scientist.name, found.error)


def test_someone_who_lost_the_role_meanwhile_adds_nothing(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    from core.access.tables import UserRole

    artifact = workspace.artifacts.put_bytes(b"a,b\n1,x\n")
    with workspace.write() as session:
        upload = service.store_upload(session, artifact=artifact, file_name="f.csv", actor=scientist, now=now)
        intake = _ask(session, upload, scientist, now)
        session.delete(session.exec(select(UserRole).where(UserRole.user_id == scientist.user_id)).one())
    assert run_job(workspace, intake.job_id or 0, now).state == "failed"
    with workspace.read() as session:
        assert counts(session) == (0, 0)


def test_a_changed_byte_of_a_version_is_noticed(workspace: Workspace, add_version: AddVersion) -> None:
    version = add_version(CSV)
    path = workspace.artifacts.path(version.data_sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactCorrupted):
        queries.read_table(workspace.artifacts, version)


def test_names_are_taken_literally(workspace: Workspace, add_version: AddVersion) -> None:
    for name in ("../../x", ":red[x]", "<script>", "a@2", "income@1@2", "'; DROP TABLE dataset; --"):
        version = add_version(CSV, name=name)
        with workspace.read() as session:
            assert queries.resolve_version(session, name).id == version.id
            assert queries.resolve_version(session, f"{name}@1").id == version.id
            assert queries.version_label(session, version.id or 0) == f"{name} v1"
    outside = {path.name for path in workspace.home.rglob("*") if not path.is_relative_to(workspace.artifacts.folder)}
    assert {name for name in outside if not name.startswith("gatehouse.db")} <= {".migrate.lock"}


def _ask(session: Session, upload: Upload, actor: Actor, now: datetime, **over: object) -> Intake:
    wishes: dict[str, object] = {
        "dataset_name": "line",
        "relation": Relation.NEW,
        "options": OPTIONS,
        "target": None,
        "sensitive": [],
        "time_column": None,
    }
    return service.request_intake(
        session,
        upload_id=upload.id or 0,
        actor=actor,
        now=now,
        **{**wishes, **over},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("over", "error", "words"),
    [
        ({"dataset_name": " "}, InvalidInput, "1 to 200"),
        ({"dataset_name": "x" * 10_000}, InvalidInput, "10,000 characters"),
        ({"target": "z"}, InvalidInput, "The target 'z'"),
        ({"sensitive": ["z"]}, InvalidInput, "The sensitive column 'z'"),
        ({"time_column": "z"}, InvalidInput, "The time column 'z'"),
        ({"relation": Relation.ADDS_TO}, NotFound, "new dataset"),
        ({"options": ParseOptions()}, InvalidInput, "Inspect the file first"),
        ({"parent_id": 1}, InvalidInput, "no earlier version"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_before_anything_is_read(
    scientist: Actor, session: Session, now: datetime, over: dict[str, object], error: type[Exception], words: str
) -> None:
    artifact = StoredArtifact("0" * 64, 1)
    upload = service.store_upload(session, artifact=artifact, file_name="f.csv", actor=scientist, now=now)
    with pytest.raises(error, match=words):
        _ask(session, upload, scientist, now, **over)
    assert session.exec(select(func.count()).select_from(Intake)).one() == 0


def test_a_taken_name_is_refused(workspace: Workspace, add_version: AddVersion, ask_for: AskFor) -> None:
    add_version(CSV, name="colours")
    with pytest.raises(AlreadyExists, match="replaces or adds"):
        ask_for("a\n1\n", name="colours")


@pytest.mark.parametrize("role", ["viewer", "reviewer", "auditor", "administrator"])
def test_who_may_not_add_files(
    role: str, request: pytest.FixtureRequest, workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    actor: Actor = request.getfixturevalue(role)
    artifact = StoredArtifact("0" * 64, 1)
    with workspace.write() as session:
        with pytest.raises(PermissionDenied):
            service.store_upload(session, artifact=artifact, file_name="f.csv", actor=actor, now=now)
        upload = service.store_upload(session, artifact=artifact, file_name="f.csv", actor=scientist, now=now)
        with pytest.raises(PermissionDenied):
            _ask(session, upload, actor, now)


def test_an_operator_uploads_a_batch_but_makes_no_dataset(operator: Actor, session: Session, now: datetime) -> None:
    upload = service.store_upload(
        session, artifact=StoredArtifact("0" * 64, 1), file_name="f.csv", actor=operator, now=now
    )
    with pytest.raises(PermissionDenied):
        _ask(session, upload, operator, now)


def test_quarantine_needs_a_reason_is_lifted_and_audited(
    workspace: Workspace, add_version: AddVersion, reviewer: Actor, scientist: Actor, now: datetime
) -> None:
    version_id = add_version(CSV).id or 0
    with workspace.write() as session:
        with pytest.raises(PermissionDenied):
            service.quarantine(session, version_id=version_id, reason="wrong", actor=scientist, now=now)
        with pytest.raises(PermissionDenied):
            service.lift_quarantine(session, version_id=version_id, actor=scientist, now=now)
        with pytest.raises(InvalidInput, match="reason"):
            service.quarantine(session, version_id=version_id, reason=" ", actor=reviewer, now=now)
        with pytest.raises(InvalidTransition):
            service.lift_quarantine(session, version_id=version_id, actor=reviewer, now=now)
        service.quarantine(session, version_id=version_id, reason="labels were swapped", actor=reviewer, now=now)
        with pytest.raises(InvalidTransition):
            service.quarantine(session, version_id=version_id, reason="again", actor=reviewer, now=now)
    with workspace.read() as session:
        assert queries.list_datasets(session)[0].quarantined
        assert queries.version(session, version_id).quarantine_reason == "labels were swapped"
    with workspace.write() as session:
        service.lift_quarantine(session, version_id=version_id, actor=reviewer, now=now)
    with workspace.read() as session:
        assert not queries.list_datasets(session)[0].quarantined
        actions = [event.action for event in session.exec(select(AuditEvent))]
    assert actions[-2:] == ["dataset_version.quarantined", "dataset_version.quarantine_lifted"]
