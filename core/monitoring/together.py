"""What a window says as a whole, from its rows: the figures of `window_measures`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.datasets.tables import ColumnKind
from core.drift.columns import sample
from core.drift.contract import Kept, kept_in
from core.estimation.concept import ConceptChange
from core.monitoring.bias import GapChange
from core.monitoring.reference import ALL, Reference, Some
from core.monitoring.stretches import Rhythm
from core.monitoring.window_measures import WindowFigure, figures
from core.serving.frames import feature_column

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 20_261_125


def columns(reference: Reference) -> list[str]:
    """Which columns of the kept rows are needed."""
    return [feature_column(name) for name in _kinds(reference)]


def together(
    reference: Reference,
    rows: pa.Table,
    *,
    some: Some,
    concept: ConceptChange | None,
    gap: GapChange | None = None,
    times: Rhythm | None = None,
    min_rows: int,
) -> Sequence[WindowFigure]:
    """Look at a window as a whole; the same rows always give the same figures.

    Parameters
    ----------
    rows : pyarrow.Table
        The window's, with `columns`, as far as they were kept.
    some : Some
        Which of the reference's rows it is held against; what training never held is asked of all.
    concept : ConceptChange or None
        What its labels say, see `WindowPerformance.concept`.
    gap : GapChange or None
        How far apart groups of people fare in it, see `window_gaps.gaps_of`.
    times : Rhythm or None
        When its rows came, see `window_edges.Stream.rhythm`.
    min_rows : int
        The monitor's.
    """
    looked_at = _kinds(reference)
    current = {
        name: sample(rows[feature_column(name)], kind)
        for name, kind in looked_at.items()
        if feature_column(name) in rows.column_names
    }
    return figures(
        reference={name: reference.some_rows(some)[name] for name in looked_at},
        kept=_kept(reference),
        current=current,
        concept=concept,
        gap=gap,
        times=times,
        min_rows=min_rows,
        rng=np.random.default_rng(SEED),
    )


def _kinds(reference: Reference) -> dict[str, str]:
    """The features that are looked at: later rows hold later times, which would tell any window from the reference."""
    return {
        name: kind
        for (is_prediction, name), kind in reference.kinds.items()
        if not is_prediction and kind not in (ColumnKind.DATE, ColumnKind.TIMESTAMP)
    }


def _kept(reference: Reference) -> dict[str, Kept]:
    counted = reference.sketches([ALL])[ALL]
    return {name: kept_in(counted[False, name]) for name in _kinds(reference)}
