"""The prediction log: appended to a spool file before a prediction is answered, sealed into segments soon after.

A process owns one spool file at a time and holds a lock on it as long as it lives. Sealing sets the file aside, writes
its lines as one Parquet file per (model version, alias) into the artifact store, commits a row for each, and removes
the file. A killed process leaves its files behind unlocked; the next one seals them. A group of lines is sealed whole
or not at all, so before a file is sealed again one id tells whether its rows are kept already, whatever file they lie
in by now: a kill between the commit and the removal counts nothing twice.

Chosen: append and flush to the operating system. That survives the death of the process; a power cut may lose the last
seconds, since forcing each request to disk costs ten times the answer itself.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from sqlmodel import col, select

from core.database import utc_now
from core.registry.tables import ModelVersion
from core.serving import queries
from core.serving.frames import predictions_table, to_parquet
from core.serving.tables import PredictionSegment
from core.workspace import Workspace

logger = logging.getLogger(__name__)

SEAL_AFTER_SECONDS = 2.0
SEAL_AFTER_ROWS = 5_000


@dataclass(frozen=True)
class Answered:
    """The rows of one request and what was answered.

    Parameters
    ----------
    model_id, version_id : int
    alias : str
    at : datetime
        When it was answered.
    latency_ms : float
        How long the whole request's prediction took.
    rows : sequence of n mappings
        JSON values by feature.
    ids : sequence of n str
    predictions : sequence of n str or float
    scores : sequence of n lists of float, or None
        In the order of the signature's classes.
    """

    model_id: int
    version_id: int
    alias: str
    at: datetime
    latency_ms: float
    rows: Sequence[dict[str, Any]]
    ids: Sequence[str]
    predictions: Sequence[str | float]
    scores: Sequence[Sequence[float]] | None


@dataclass(frozen=True)
class _Spool:
    path: Path
    file: IO[bytes]


class PredictionLog:
    """One process's part of the prediction log; safe for many threads.

    Parameters
    ----------
    workspace : Workspace
    environment : str
        Whose predictions these are.
    clock : callable, optional
    """

    def __init__(self, workspace: Workspace, environment: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._workspace, self._environment, self._clock = workspace, environment, clock
        self._folder = workspace.home / "spool" / environment
        self._folder.mkdir(parents=True, exist_ok=True)
        self._appending, self._sealing = threading.Lock(), threading.Lock()
        self._spool: _Spool | None = None
        self._aside: list[_Spool] = []
        self._began_at: datetime | None = None
        self._n_rows = 0

    @property
    def pending_rows(self) -> int:
        """Rows appended and not yet set aside for sealing."""
        return self._n_rows

    def append(self, answered: Answered) -> None:
        """Write one request's rows down; once this returns, killing the process does not lose them."""
        line = json.dumps(
            {
                "model_id": answered.model_id,
                "version_id": answered.version_id,
                "alias": answered.alias,
                "at": answered.at.isoformat(),
                "latency_ms": answered.latency_ms,
                "rows": list(answered.rows),
                "ids": list(answered.ids),
                "predictions": list(answered.predictions),
                "scores": None if answered.scores is None else [list(row) for row in answered.scores],
            },
            allow_nan=False,
            separators=(",", ":"),
        ).encode()
        with self._appending:
            if self._spool is None:
                self._spool = self._new_spool()
                self._began_at = self._clock()
            self._spool.file.write(line + b"\n")
            self._spool.file.flush()
            self._n_rows += len(answered.ids)

    def due(self) -> bool:
        """Whether there is something to seal: rows older than 2 seconds, or 5,000 of them, or an earlier failure."""
        if self._aside:
            return True
        if self._began_at is None:
            return False
        age = (self._clock() - self._began_at).total_seconds()
        return age >= SEAL_AFTER_SECONDS or self._n_rows >= SEAL_AFTER_ROWS

    def seal(self) -> int:
        """Seal all that was appended so far; tells how many segments were made.

        When it fails, what was set aside stays on disk and the next call takes it up again.
        """
        with self._sealing:
            n_failed = len(self._aside)
            with self._appending:
                if self._spool is not None:
                    self._aside.append(self._spool)
                    self._spool, self._began_at, self._n_rows = None, None, 0
            made = 0
            while self._aside:
                made += self._seal_file(self._aside[0].path, again=n_failed > 0)
                self._aside.pop(0).file.close()
                n_failed -= 1
            return made

    def seal_left_over(self) -> int:
        """Seal the files of processes that died; tells how many segments were made."""
        made = 0
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # its process lives
                    continue
                if path.exists():  # not sealed by another process between listing and locking
                    made += self._seal_file(path, again=True)
        return made

    def close(self) -> None:
        """Seal the rest and let go."""
        self.seal()

    def _new_spool(self) -> _Spool:
        path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex}.jsonl"
        # Made under a name that `seal_left_over` passes over, so that it never sees a living process's file unlocked.
        hidden = path.with_suffix(".new")
        file = hidden.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        hidden.rename(path)
        return _Spool(path, file)

    def _seal_file(self, path: Path, *, again: bool) -> int:
        groups: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
        whole = True
        for entry in _entries(path):
            if entry is None:
                whole = False
                continue
            groups.setdefault((entry["model_id"], entry["version_id"], entry["alias"]), []).append(entry)
        for (model_id, version_id, alias), entries in groups.items():
            self._seal_group(model_id, version_id, alias, entries, again=again)
        if whole:
            path.unlink()
        else:
            path.rename(path.with_suffix(".damaged"))
            logger.error("A line of %s could not be read; the others were sealed and the file was kept.", path.name)
        return len(groups)

    def _seal_group(
        self, model_id: int, version_id: int, alias: str, entries: list[dict[str, Any]], *, again: bool
    ) -> None:
        with self._workspace.read() as session:
            signature = session.exec(select(ModelVersion.signature).where(col(ModelVersion.id) == version_id)).one()
        sizes = [len(entry["ids"]) for entry in entries]
        moments = [datetime.fromisoformat(entry["at"]) for entry in entries]
        table = predictions_table(
            signature,
            rows=[row for entry in entries for row in entry["rows"]],
            ids=[one for entry in entries for one in entry["ids"]],
            at=[at for at, size in zip(moments, sizes, strict=True) for _ in range(size)],
            latency_ms=[entry["latency_ms"] for entry, size in zip(entries, sizes, strict=True) for _ in range(size)],
            predictions=[one for entry in entries for one in entry["predictions"]],
            scores=[row for entry in entries for row in (entry["scores"] or [None] * len(entry["ids"]))],
        )
        if again and self._is_kept(model_id, version_id, alias, entries):
            return
        stored = self._workspace.artifacts.put_bytes(to_parquet(table))
        with self._workspace.write() as session:
            earlier = select(PredictionSegment.id).where(col(PredictionSegment.sha256) == stored.sha256)
            if session.exec(earlier).first() is not None:
                return
            session.add(
                PredictionSegment(
                    model_id=model_id,
                    version_id=version_id,
                    environment=self._environment,
                    alias=alias,
                    sha256=stored.sha256,
                    n_rows=table.num_rows,
                    from_at=min(moments),
                    to_at=max(moments),
                    sealed_at=self._clock(),
                )
            )

    def _is_kept(self, model_id: int, version_id: int, alias: str, entries: list[dict[str, Any]]) -> bool:
        """Whether these rows were sealed before; compaction may have put them into another file since."""
        ids = [one for entry in entries for one in entry["ids"]]
        moments = [datetime.fromisoformat(entry["at"]) for entry in entries]
        with self._workspace.read() as session:
            reaching = queries.segments(
                session,
                model_id,
                min(moments),
                max(moments) + timedelta(microseconds=1),
                version_id=version_id,
                environment=self._environment,
                alias=alias,
            )
        return any(queries.holds(self._workspace.artifacts, one, ids[0]) for one in reaching)


def _entries(path: Path) -> Iterator[dict[str, Any] | None]:
    """A spool file's lines; None for one that cannot be read.

    A last line without its line break was being written when the process was killed: it was never answered, so it is
    left out in silence.
    """
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                yield None
