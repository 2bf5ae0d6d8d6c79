"""Reading back the rows of one window, for what counts do not tell, as far as they are kept and not too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import Session

from core.errors import LifecycleError
from core.monitoring.kept_rows import KeptRows, is_timed, rows_of_window, span_of
from core.monitoring.tables import Monitor, Window
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
    return WindowRows(workspace, window, rows_of_window(workspace, session, monitor, window))
