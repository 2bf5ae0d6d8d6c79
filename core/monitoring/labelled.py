"""Finding the predictions that labels were handed in for, by their ids, in the log and in batches.

A file says of each part of it which ids lie between its smallest and its largest, and only parts that may hold one of
those looked for are read. Ids that the scoring process gives rise with time (`core.serving.prediction_ids`), so that
labels of one day open the files of that day; of ids in any other order every file may hold one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlmodel import col, select

from core.drift.columns import moments
from core.monitoring.tables import READ_STATES, Batch, Monitor
from core.serving.frames import AT, PREDICTION_ID
from core.serving.queries import segments
from core.serving.row_batches import groups_between, read_batches
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class FoundPredictions:
    """Which predictions were found that have a label: their ids, and where they lie by (monitor, version)."""

    known: set[str]
    days: dict[tuple[int, int], set[datetime]]
    batch_ids: dict[tuple[int, int], list[int]]

    def touched(self) -> set[tuple[int, int]]:
        """Every monitor and version with such predictions."""
        return self.days.keys() | self.batch_ids.keys()


def find_predictions(
    workspace: Workspace,
    model_id: int,
    ids: set[str],
    *,
    watched: tuple[int, int] | None = None,
    report: Callable[[float], None],
) -> FoundPredictions:
    """Look for predictions in the segments and batches of a model, reading ids and times only.

    Parameters
    ----------
    watched : (monitor id, version id), optional
        Look only among what one monitor holds against one version.
    report : callable
        Told how far it is, 0 to 1.

    Raises
    ------
    NotFound, ArtifactCorrupted
        A file that may hold one of them is gone or damaged.
    """
    import pyarrow as pa

    with workspace.read() as session:
        monitors = list(session.exec(select(Monitor).where(col(Monitor.model_id) == model_id)))
        logged = segments(session, model_id)
        batches = list(
            session.exec(
                select(Batch).where(
                    col(Batch.monitor_id).in_([monitor.id for monitor in monitors]), col(Batch.state).in_(READ_STATES)
                )
            )
        )
    by_alias = {(monitor.environment, monitor.alias): monitor.id for monitor in monitors}
    if watched is not None:
        logged = [one for one in logged if (by_alias.get((one.environment, one.alias)), one.version_id) == watched]
        batches = [one for one in batches if (one.monitor_id, one.version_id) == watched]
    rising = sorted(ids)
    wanted = pa.array(rising, pa.string())
    found = FoundPredictions(set(), {}, {})
    for number, segment in enumerate(logged):
        report(number / len(logged))
        known, days = _matches(workspace, segment.sha256, rising, wanted)
        found.known |= known
        monitor_id = by_alias.get((segment.environment, segment.alias))
        if monitor_id is not None and days:
            found.days.setdefault((monitor_id, segment.version_id), set()).update(days)
    for batch in batches:
        if batch.data_sha256 is None or batch.version_id is None or batch.id is None:
            continue
        known, days = _matches(workspace, batch.data_sha256, rising, wanted)
        found.known |= known
        if days:
            found.days.setdefault((batch.monitor_id, batch.version_id), set()).update(days)
        if known and batch.time_column is None:
            found.batch_ids.setdefault((batch.monitor_id, batch.version_id), []).append(batch.id)
    return found


def _matches(workspace: Workspace, sha256: str, rising: list[str], wanted: pa.Array) -> tuple[set[str], set[datetime]]:
    """Which wanted ids a file holds, and the days they lie in; read in pieces, whatever the file's size."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known: set[str] = set()
    days: set[datetime] = set()
    groups = groups_between(workspace.artifacts, sha256, PREDICTION_ID, rising)
    if not groups:
        return known, days
    for piece in read_batches(workspace.artifacts, sha256, [PREDICTION_ID, AT], groups=groups):
        some = piece.filter(pc.is_in(piece[PREDICTION_ID].cast(pa.string()), value_set=wanted))
        known.update(some[PREDICTION_ID].cast(pa.string()).to_pylist())
        if AT in some.schema.names:
            times = moments(pa.chunked_array([some[AT]])).astype("datetime64[D]")
            days.update(
                datetime(day.year, day.month, day.day, tzinfo=UTC) for day in set(times.tolist()) if day is not None
            )
    return known, days
