"""Content-addressed files: the same bytes are kept once, under their SHA-256, and never change.

``artifacts/sha256/ab/cdef…``; create-only, so that nothing overwrites a stored file, on disk and on object storage
alike. What is read is verified against its hash.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from core.errors import ArtifactCorrupted, InvalidInput, NotFound

CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredArtifact:
    """One stored file: its SHA-256 in hexadecimal and its size in bytes."""

    sha256: str
    size_bytes: int


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ArtifactStore:
    """Files by the hash of their content, below one folder.

    Safe for many processes at once: a file is written beside its place and linked into it whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the file of this hash lies, present or not."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise InvalidInput(f"{sha256!r} is not a SHA-256 in hexadecimal.")
        return self.folder / "sha256" / sha256[:2] / sha256[2:]

    def put_bytes(self, content: bytes) -> StoredArtifact:
        """Keep these bytes."""
        with self.writer() as (file, done):
            file.write(content)
        return done[0]

    def put_file(self, path: Path) -> StoredArtifact:
        """Keep a copy of a file's bytes."""
        with path.open("rb") as source, self.writer() as (file, done):
            while chunk := source.read(CHUNK):
                file.write(chunk)
        return done[0]

    @contextmanager
    def writer(self) -> Iterator[tuple[BinaryIO, list[StoredArtifact]]]:
        """Write a file piece by piece; after the block the list holds what was stored."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        done: list[StoredArtifact] = []
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file, done
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.seek(0, os.SEEK_END)
            target = self.path(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            while not _placed(Path(name), target, digest):
                pass
            done.append(StoredArtifact(digest, size))
        finally:
            Path(name).unlink(missing_ok=True)

    def get_bytes(self, sha256: str) -> bytes:
        """Read a file whole, verified.

        Raises
        ------
        NotFound, ArtifactCorrupted
        """
        path = self.path(sha256)
        if not path.exists():
            raise NotFound("stored file", sha256[:8], "It was removed from the artifact store; restore a backup.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise self._corrupted(sha256)
        return content

    def verified_path(self, sha256: str) -> Path:
        """The path of a file, after its bytes were checked against its hash.

        Raises
        ------
        NotFound, ArtifactCorrupted
        """
        path = self.path(sha256)
        if not path.exists():
            raise NotFound("stored file", sha256[:8], "It was removed from the artifact store; restore a backup.")
        if sha256_of(path) != sha256:
            raise self._corrupted(sha256)
        return path

    def touch(self, sha256: str) -> None:
        """Have a sweep spare a file for its whole grace again: somebody is about to refer to it, or may still read it.

        Raises
        ------
        NotFound
        """
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            raise NotFound("stored file", sha256[:8], "It was removed from the artifact store.") from None

    def stored_before(self, moment: datetime) -> Iterator[str]:
        """Hashes of the files that were neither put nor touched since a moment."""
        for path in sorted(self.folder.glob("sha256/??/*")):
            digest = path.parent.name + path.name
            if len(digest) == 64 and _is_older(path, moment):
                yield digest

    def remove(self, sha256: str, *, untouched_since: datetime) -> int:
        """Remove a file that nothing refers to, unless it was put again or touched since; tells how many bytes went.

        Safe beside others that put the same bytes: what they put stays.
        """
        path, aside = self.path(sha256), self.folder / f".swept-{sha256}"
        try:
            size = path.stat().st_size
            path.rename(aside)
        except FileNotFoundError:
            return 0
        try:
            if _is_older(aside, untouched_since):
                return size
            with suppress(FileExistsError):
                os.link(aside, path)
            return 0
        finally:
            aside.unlink(missing_ok=True)

    def clear_left_over(self, *, untouched_since: datetime) -> None:
        """Remove what writers that were killed left behind, and bring back what a killed `remove` had set aside."""
        for path in self.folder.glob(".incoming-*"):
            if _is_older(path, untouched_since):
                path.unlink(missing_ok=True)
        for aside in self.folder.glob(".swept-*"):
            with suppress(FileExistsError, FileNotFoundError):
                os.link(aside, self.path(aside.name.removeprefix(".swept-")))
            aside.unlink(missing_ok=True)

    @staticmethod
    def _corrupted(sha256: str) -> ArtifactCorrupted:
        return ArtifactCorrupted(
            f"The stored file {sha256[:8]} was changed after it was written: its bytes no longer match its hash. "
            "Nothing was loaded from it; restore it from a backup."
        )


def _placed(incoming: Path, target: Path, digest: str) -> bool:
    """Link a file into its place; False where the one that was there was swept meanwhile, so that it is tried again."""
    try:
        os.link(incoming, target)
    except FileExistsError:
        try:
            # As good as put now: a sweep that took it for old puts it back.
            os.utime(target)
            if sha256_of(target) != digest:  # damaged on disk: the good copy heals it
                incoming.replace(target)
        except FileNotFoundError:
            return False
    return True


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False
