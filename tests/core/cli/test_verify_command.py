"""``gatehouse audit verify`` on a home that really trained: whatever was changed is named, and the exit code is 1."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from core.artifacts import ArtifactStore
from core.cli.main import app


def gatehouse(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)])


@pytest.fixture(scope="module")
def trained_home(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dataset, a run, its model file and its predictions."""
    folder = tmp_path_factory.mktemp("trained")
    home = folder / "home"
    home.mkdir()
    shutil.copy2(migrated_home / "gatehouse.db", home / "gatehouse.db")
    rows = pd.DataFrame({"age": range(200), "pay": [age % 7 for age in range(200)]})
    rows.assign(member=["yes" if age > 90 else "no" for age in rows["age"]]).to_csv(folder / "people.csv", index=False)
    for arguments in (
        ("user", "add", "ada", "--role", "administrator", "--role", "data-scientist"),
        ("dataset", "add", str(folder / "people.csv"), "--name", "people", "--target", "member", "--as", "ada"),
        ("train", "--dataset", "people", "--algorithm", "dummy", "--wait", "--as", "ada"),
    ):
        done = gatehouse(home, *arguments)
        assert done.exit_code == 0, done.output
    return home


@pytest.fixture
def touched(trained_home: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(trained_home, tmp_path / "touched"))


def ask(home: Path, *statements: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home / "gatehouse.db")) as connection, connection:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ("model_sha256 FROM run", "model file of run 1"),
        ("data_sha256 FROM dataset_version", "data file of people v1"),
        ("predictions_sha256 FROM evaluation", "predictions of run 1 on evaluation set 1"),
    ],
)
def test_a_changed_byte_in_a_file_is_found_and_named(touched: Path, column: str, what: str) -> None:
    assert gatehouse(touched, "audit", "verify").exit_code == 0
    ((sha256,),) = ask(touched, f"SELECT {column}")
    file = ArtifactStore(touched / "artifacts").path(str(sha256))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = gatehouse(touched, "audit", "verify")
    assert found.exit_code == 1
    assert f"{what}: its bytes were changed" in found.stdout
    assert "Changed after it was written: 1 of" in found.stdout


@pytest.mark.parametrize(
    ("statements", "number"),
    [
        (["UPDATE audit_event SET actor_name = 'eve' WHERE number = 2"], 2),
        (["DELETE FROM audit_event WHERE number = 2"], 3),
        (
            [
                "UPDATE audit_event SET number = -1 WHERE number = 2",
                "UPDATE audit_event SET number = 2 WHERE number = 3",
                "UPDATE audit_event SET number = 3 WHERE number = -1",
            ],
            2,
        ),
        (
            [
                "UPDATE audit_event SET number = number + 100 WHERE number > 2",
                "INSERT INTO audit_event SELECT 3, at, action_id, action, actor_id, 'eve', via, os_user, "
                "subject_kind, subject_id, subject_label, details, hash, hash FROM audit_event WHERE number = 2",
                "UPDATE audit_event SET number = number - 99 WHERE number > 100",
            ],
            3,
        ),
    ],
    ids=["edited", "removed", "reordered", "inserted"],
)
def test_a_changed_row_of_the_log_is_found_and_named(touched: Path, statements: list[str], number: int) -> None:
    ask(touched, *statements)
    found = gatehouse(touched, "audit", "verify")
    assert found.exit_code == 1
    assert f"event {number}: " in found.stdout
    told = json.loads(gatehouse(touched, "audit", "verify", "--json").stdout)
    assert told["intact"] is False
    assert number in [one["number"] for one in told["chain"]["breaks"]]


def test_a_trained_home_comes_back_from_its_backup_whole(trained_home: Path, tmp_path: Path) -> None:
    file, restored = tmp_path / "backup.tar", tmp_path / "restored"
    made = gatehouse(trained_home, "backup", str(file), "--as", "ada", "--json")
    assert made.exit_code == 0, made.output
    back = gatehouse(restored, "restore", str(file), "--json")
    assert json.loads(back.stdout)["n_files"] == json.loads(made.stdout)["n_files"] >= 5
    verified = gatehouse(restored, "audit", "verify")
    assert verified.exit_code == 0, verified.output
    shown = [gatehouse(home, "run", "show", "1", "--json").stdout for home in (trained_home, restored)]
    assert shown[0] == shown[1]
    assert json.loads(shown[0])
