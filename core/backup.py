"""Backing up a home into one tar file, and bringing it back.

The database is copied by SQLite's own online backup, so work goes on meanwhile; then come the stored files, of which
there can only be more than the copy refers to, never fewer. On PostgreSQL and object storage use their own tools.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from core.artifacts import CHUNK
from core.audit.service import record
from core.errors import AlreadyExists, ArtifactCorrupted, InvalidInput, NotFound
from core.permissions import Actor, Permission, require
from core.settings import Settings
from core.workspace import Workspace

DATABASE = "gatehouse.db"
STORED_FILE = re.compile(r"artifacts/sha256/([0-9a-f]{2})/([0-9a-f]{62})")


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    file: Path
    n_files: int
    size_bytes: int


def make_backup(workspace: Workspace, file: Path, *, actor: Actor, now: datetime) -> Backup:
    """Write the database and every stored file into one tar file.

    Raises
    ------
    PermissionDenied
    AlreadyExists
        The file is there already; nothing is overwritten.
    InvalidInput
        The home is not on SQLite, or the file's folder is not there.
    """
    require(actor, Permission.STORAGE_EDIT)
    if workspace.settings.database_url:
        raise InvalidInput("This home keeps its rows in another database; back that up with its own tools.")
    if file.exists():
        raise AlreadyExists(f"{file} is there already. Choose another name.")
    if not file.parent.is_dir():
        raise InvalidInput(f"There is no folder {file.parent}. Make it first.")
    with workspace.write() as session:
        record(
            session,
            actor=actor,
            action="home.backed_up",
            subject_kind="home",
            subject_id=0,
            subject_label=file.name,
            now=now,
        )
    n_files = 0
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        copy, packed = Path(folder) / DATABASE, Path(folder) / "packed.tar"
        _copy_database(workspace.home / DATABASE, copy)
        with tarfile.open(packed, "w") as tar:
            tar.add(copy, DATABASE)
            for path in sorted(workspace.artifacts.folder.glob("sha256/??/*")):
                # What a sweep takes meanwhile nothing referred to for a day, so the copied rows do not either.
                with suppress(FileNotFoundError):
                    tar.add(path, f"artifacts/{path.relative_to(workspace.artifacts.folder).as_posix()}")
                    n_files += 1
        packed.rename(file)
    return Backup(file, n_files, file.stat().st_size)


def restore_backup(settings: Settings, file: Path) -> Backup:
    """Bring a backup back into a home that is empty or not there; all of it or nothing.

    Raises
    ------
    NotFound
        There is no such file.
    AlreadyExists
        The home holds something.
    InvalidInput
        The file is no backup of Gatehouse.
    ArtifactCorrupted
        What it holds was changed after it was written.
    """
    home = settings.resolved_home
    if not file.is_file():
        raise NotFound("backup", file)
    if home.exists() and any(home.iterdir()):
        raise AlreadyExists(f"{home} is not empty. Restore into another folder with --home, then start from there.")
    home.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home.parent, prefix=".restoring-"))
    try:
        n_files = _unpack(file, folder)
        _check_database(folder / DATABASE)
        if home.exists():
            home.rmdir()
        folder.rename(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Backup(file, n_files, file.stat().st_size)


def _copy_database(source: Path, target: Path) -> None:
    reading, writing = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
    finally:
        reading.close()
        writing.close()


def _unpack(file: Path, folder: Path) -> int:
    n_files = 0
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                stored = STORED_FILE.fullmatch(member.name)
                # Nothing but the two kinds of file a backup holds: no links, no paths that lead elsewhere.
                if not member.isfile() or (stored is None and member.name != DATABASE):
                    raise InvalidInput(f"{file} holds {member.name!r}, which no backup of Gatehouse does.")
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                digest = _write(content, target)
                if stored is not None:
                    n_files += 1
                    if digest != stored[1] + stored[2]:
                        raise ArtifactCorrupted(
                            f"The stored file {stored[1]}{stored[2][:6]} in {file} no longer matches its hash: "
                            "the backup was damaged. Nothing was restored."
                        )
    except tarfile.TarError as error:
        raise InvalidInput(f"{file} is no backup of Gatehouse: {error}.") from error
    if not (folder / DATABASE).exists():
        raise InvalidInput(f"{file} is no backup of Gatehouse: it holds no {DATABASE}.")
    return n_files


def _write(content: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _check_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    finally:
        connection.close()
    if verdict != "ok":
        raise ArtifactCorrupted(f"The database in the backup is damaged: {verdict}. Nothing was restored.")
