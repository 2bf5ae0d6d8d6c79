"""When the rows of a window came, and of those just before and after it as far as a gap at its edge takes them.

A window knows nothing of the rows beside it: where its own begin a while after it does, the stream may have begun then.
Only rows on both sides of an edge tell that the sender was silent; of a window that still runs nothing is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.drift.columns import moments
from core.monitoring import cells
from core.monitoring.kept_rows import KeptRows
from core.monitoring.stretches import LONGER, Rhythm, at_edges, rhythm
from core.monitoring.windows import Span
from core.serving.frames import AT

if TYPE_CHECKING:
    import pyarrow as pa

REACH = timedelta(days=15)
"""How far before and after a window is looked: two weekends lie in it."""
MOST_AROUND = 2_000_000
"""Rows up to which what lies around a window is read."""


@dataclass(frozen=True)
class Stream:
    """What flows in for one monitor and version.

    Parameters
    ----------
    monitor_id, version_id : int
    kept : KeptRows
    buckets : sequence of (start, n_rows)
        As `cells.buckets` gives them.
    read_at : datetime
        Until when rows are known.
    """

    monitor_id: int
    version_id: int
    kept: KeptRows
    buckets: Sequence[tuple[datetime, int]]
    read_at: datetime

    def rhythm(self, span: Span, rows: pa.Table) -> Rhythm | None:
        """How often rows come in a window and where none did, over its edges too.

        Parameters
        ----------
        rows : pyarrow.Table
            Those of the span.

        Returns
        -------
        Rhythm or None
            See `stretches.rhythm`.
        """
        if AT not in rows.column_names:
            return None
        times = moments(rows[AT])
        found = rhythm(times)
        if found is None or span.to_at > self.read_at or not _is_open(times, span, found.step):
            return found
        told = [
            one
            for one in at_edges(times, self._around(span), begins=span.from_at, ends=span.to_at)
            if not self._others_answered(one.after, one.before)
        ]
        return replace(found, stretches=tuple(sorted([*found.stretches, *told], key=lambda one: one.after)))

    def _around(self, span: Span) -> NDArray[Any]:
        beside = Span(span.from_at - REACH, span.from_at, "before"), Span(span.to_at, span.to_at + REACH, "after")
        n_rows = sum(n for at, n in self.buckets if beside[0].from_at <= at < beside[1].to_at)
        if n_rows > MOST_AROUND:
            return np.empty(0, dtype="datetime64[us]")
        tables = [self.kept.of_span(one, [AT]) for one in beside]
        return np.concatenate([moments(one[AT]) for one in tables if one.num_rows] or [np.empty(0, "datetime64[us]")])

    def _others_answered(self, after: datetime, before: datetime) -> bool:
        with self.kept.workspace.read() as session:
            return cells.others_counted(session, self.monitor_id, self.version_id, after, before)


def _is_open(times: NDArray[Any], span: Span, step: timedelta) -> bool:
    """Whether a window's rows begin clearly after it does, or end clearly before."""
    known = times[~np.isnat(times)]
    begins, ends = (np.datetime64(at.replace(tzinfo=None), "us") for at in (span.from_at, span.to_at))
    return bool(max(known.min() - begins, ends - known.max()) > np.timedelta64(LONGER * step))
