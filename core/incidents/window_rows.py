"""Reading back the rows of one window, for what counts do not tell; only the files that reach into it are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from core.errors import LifecycleError
from core.monitoring import cells
from core.monitoring.kept_rows import KeptRows
from core.monitoring.tables import READ_STATES, Batch, BucketSketch, Monitor, Window
from core.monitoring.windows import BATCH, Span
from core.serving import queries as serving
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MOST_READ = 200_000
"""Rows up to which a window is read back."""


@dataclass(frozen=True)
class WindowRows:
    """The kept rows of one window."""

    workspace: Workspace
    window: Window
    files: KeptRows

    def read(self, columns: Sequence[str]) -> pa.Table | None:
        """Some columns; None where the rows are no longer kept, or are too many to be read."""
        if self.window.n_rows > MOST_READ:
            return None
        try:
            if is_timed(self.window):
                return self.files.of_span(span_of(self.window), columns)
            if not self.files.batches:
                return None
            return self.files.of_batch(self.files.batches[0], columns)
        except LifecycleError:
            return None


def rows_of(workspace: Workspace, session: Session, monitor: Monitor, window: Window) -> WindowRows:
    """Find the files that hold a window's rows; none is opened before it is read."""
    query = select(Batch).where(
        Batch.monitor_id == monitor.id,
        Batch.version_id == window.version_id,
        col(Batch.data_sha256).is_not(None),
        col(Batch.state).in_(READ_STATES),
    )
    batches = list(session.exec(query.order_by(col(Batch.id))))
    if not is_timed(window):
        own = [one for one in batches if cells.source_of(one) == window.label]
        return WindowRows(workspace, window, KeptRows(workspace, (), own))
    inside = _sources_inside(session, window, [one for one in batches if one.time_column is not None])
    segments = serving.segments(
        session,
        monitor.model_id,
        window.from_at,
        window.to_at,
        version_id=window.version_id,
        environment=monitor.environment,
        alias=monitor.alias,
    )
    return WindowRows(workspace, window, KeptRows(workspace, segments, inside))


def is_timed(window: Window) -> bool:
    """Whether a window is a span of time, not a batch without times."""
    return not window.label.startswith(f"{BATCH} ")


def span_of(window: Window) -> Span:
    """The window's span of time."""
    return Span(window.from_at, window.to_at, window.label)


def _sources_inside(session: Session, window: Window, batches: Sequence[Batch]) -> list[Batch]:
    """The batches of which rows were counted in the window."""
    found = []
    for batch in batches:
        of_batch = (
            col(BucketSketch.monitor_id) == window.monitor_id,
            col(BucketSketch.version_id) == window.version_id,
            # Named one by one they let the index find a span.
            col(BucketSketch.source) == cells.source_of(batch),
        )
        # A bucket may begin before the window: a day holds hours.
        began = col(BucketSketch.bucket_at) > window.from_at - timedelta(days=1)
        inside = (began, col(BucketSketch.bucket_at) < window.to_at)
        if session.exec(select(BucketSketch.id).where(*of_batch, *inside).limit(1)).first() is not None:
            found.append(batch)
    return found
