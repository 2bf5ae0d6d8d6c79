from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlmodel import select

from core.errors import ArtifactCorrupted
from core.registry.tables import ModelVersion
from core.serving import queries
from core.serving.frames import feature_column
from core.serving.log import Answered, PredictionLog
from core.serving.tables import PredictionSegment
from core.workspace import Workspace
from tests.factories import key, make_model_version, make_run

SIGNATURE = {
    "task": "binary",
    "target": "paid",
    "classes": ["no", "yes"],
    "features": [
        {"name": "hours", "kind": "number"},
        {"name": "age", "kind": "integer"},
        {"name": "job", "kind": "category"},
        {"name": "member", "kind": "boolean"},
    ],
}
AT = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)


@pytest.fixture
def version(workspace: Workspace) -> ModelVersion:
    with workspace.write() as session:
        run = make_run(session, signature=SIGNATURE)
        return make_model_version(session, run_id=key(run))


def answered(version: ModelVersion, *ids: str, at: datetime = AT, alias: str = "champion") -> Answered:
    return Answered(
        model_id=version.model_id,
        version_id=key(version),
        alias=alias,
        at=at,
        latency_ms=2.0,
        rows=[{"hours": 40.5, "age": 3, "job": None, "member": True} for _ in ids],
        ids=ids,
        predictions=["yes"] * len(ids),
        scores=[[0.25, 0.75]] * len(ids),
    )


def logged(workspace: Workspace, version: ModelVersion) -> list[str]:
    with workspace.read() as session:
        kept = queries.segments(session, version.model_id)
    if not kept:
        return []
    return list(pa.concat_tables(queries.read_segments(workspace.artifacts, kept))["prediction_id"].to_pylist())


def test_what_is_appended_is_sealed_as_it_was(workspace: Workspace, version: ModelVersion) -> None:
    log = PredictionLog(workspace, "production")
    log.append(answered(version, "a", "b"))
    log.append(answered(version, "c", at=AT + timedelta(minutes=1)))
    log.append(answered(version, "d", alias="shadow"))
    assert log.seal() == 2
    with workspace.read() as session:
        champion, shadow = sorted(queries.segments(session, version.model_id), key=lambda one: one.alias)
        assert (champion.n_rows, champion.from_at, champion.to_at) == (3, AT, AT + timedelta(minutes=1))
        assert shadow.n_rows == 1
        assert queries.last_prediction_at(session, version.model_id) == AT + timedelta(minutes=1)
    table = pa.concat_tables(queries.read_segments(workspace.artifacts, [champion]))
    assert table["prediction_id"].to_pylist() == ["a", "b", "c"]
    assert table["at"].to_pylist() == [AT, AT, AT + timedelta(minutes=1)]
    assert table["score:yes"].to_pylist() == [0.75] * 3
    assert table[feature_column("job")].to_pylist() == [None] * 3
    assert table[feature_column("member")].to_pylist() == [True] * 3


@pytest.mark.parametrize("seal_every", [7, 1_000_000], ids=["sealing now and then", "never sealing"])
def test_a_killed_process_loses_nothing_and_doubles_nothing(
    workspace: Workspace, version: ModelVersion, seal_every: int
) -> None:
    script = Path(__file__).with_name("logging_process.py")
    command = [sys.executable, str(script), str(workspace.home), str(version.model_id), str(key(version))]
    process = subprocess.Popen([*command, str(seal_every)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(40)]
    process.kill()
    said += [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    PredictionLog(workspace, "production").seal_left_over()
    kept = logged(workspace, version)
    assert len(kept) == len(set(kept))
    # One more may have been appended and not yet said.
    assert set(said) <= set(kept) <= {*said, f"request-{len(said)}"}
    assert list(workspace.home.glob("spool/production/*.jsonl")) == []


def test_a_living_processes_file_is_left_alone(workspace: Workspace, version: ModelVersion) -> None:
    living = PredictionLog(workspace, "production")
    living.append(answered(version, "a"))
    assert PredictionLog(workspace, "production").seal_left_over() == 0
    assert logged(workspace, version) == []
    living.seal()
    assert logged(workspace, version) == ["a"]


def test_a_file_that_was_sealed_before_its_process_died_is_not_counted_twice(
    workspace: Workspace, version: ModelVersion
) -> None:
    log = PredictionLog(workspace, "production")
    log.append(answered(version, "a"))
    (spool,) = workspace.home.glob("spool/production/*.jsonl")
    content = spool.read_bytes()
    log.seal()
    spool.write_bytes(content)  # as if killed between the commit and the removal
    PredictionLog(workspace, "production").seal_left_over()
    assert logged(workspace, version) == ["a"]
    assert not spool.exists()


def test_a_line_cut_off_by_the_kill_was_never_answered(workspace: Workspace, version: ModelVersion) -> None:
    log = PredictionLog(workspace, "production")
    log.append(answered(version, "a"))
    log.append(answered(version, "b"))
    (spool,) = workspace.home.glob("spool/production/*.jsonl")
    content = spool.read_bytes()
    (spool.parent / "1-left.jsonl").write_bytes(content[:-20])
    PredictionLog(workspace, "production").seal_left_over()
    assert logged(workspace, version) == ["a"]
    log.close()


def test_a_damaged_line_costs_no_other_and_the_file_is_kept(
    workspace: Workspace, version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(workspace, "production")
    for one in "abc":
        log.append(answered(version, one))
    (spool,) = workspace.home.glob("spool/production/*.jsonl")
    lines = spool.read_bytes().splitlines(keepends=True)
    log.seal()
    left = spool.parent / "1-left.jsonl"
    left.write_bytes(b"".join([lines[0].replace(b'"a"', b'"x"'), b"\0\0\0\n", lines[2].replace(b'"c"', b'"z"')]))
    PredictionLog(workspace, "production").seal_left_over()
    assert sorted(logged(workspace, version)) == ["a", "b", "c", "x", "z"]
    assert left.with_suffix(".damaged").exists()
    assert "could not be read" in caplog.text


def test_what_could_not_be_sealed_is_sealed_at_the_next_turn(
    workspace: Workspace, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(workspace, "production")
    log.append(answered(version, "a"))

    def full(content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(workspace.artifacts, "put_bytes", full)
        with pytest.raises(OSError, match="No space"):
            log.seal()
    assert log.due()
    log.append(answered(version, "b"))
    log.seal()
    assert sorted(logged(workspace, version)) == ["a", "b"]


def test_many_threads_append_and_seal_at_once(workspace: Workspace, version: ModelVersion) -> None:
    log = PredictionLog(workspace, "production")

    def work(thread: int) -> None:
        for number in range(20):
            log.append(answered(version, f"{thread}-{number}"))
            if number % 10 == 9:
                log.seal()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    kept = logged(workspace, version)
    assert len(kept) == len(set(kept)) == 120


def test_a_changed_segment_is_not_read(workspace: Workspace, version: ModelVersion) -> None:
    log = PredictionLog(workspace, "production")
    log.append(answered(version, "a"))
    log.seal()
    with workspace.read() as session:
        segment = session.exec(select(PredictionSegment)).one()
    path = workspace.artifacts.path(segment.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactCorrupted):
        pa.concat_tables(queries.read_segments(workspace.artifacts, [segment]))


def test_segments_are_found_by_the_span_they_reach_into(workspace: Workspace, version: ModelVersion) -> None:
    log = PredictionLog(workspace, "production")
    for hour in (0, 1, 2):
        log.append(answered(version, f"{hour}", at=AT + timedelta(hours=hour)))
        log.seal()
    with workspace.read() as session:
        found = queries.segments(session, version.model_id, AT + timedelta(hours=1), AT + timedelta(hours=2))
    assert [segment.from_at for segment in found] == [AT + timedelta(hours=1)]
