"""How a column's streams vary where nothing changed. PURE.

The reference is one sample, not the truth. A further window is drawn as the reference predicts it
(`core.statistics.predictive`): first what the truth may be given the reference, then the window's rows. This is
two-sample resampling with the reference held as it is, and exact for continuous columns whatever their distribution.
Drawing both samples from the reference instead takes what it holds once, or never, for the truth: rejected, for rare
values would call far too often.

Where the reference carries a time, `dependence` tells from its blocks how far windows lie though nothing changed;
where that is more than independent rows explain, a value test's windows are drawn as the blocks lie, and shares as if
there were only so many independent rows.

Shares are worked out exactly (`share_nulls`), and so is how far two names move that can have no third. All other value
tests are drawn (`drawn_nulls`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift import share_nulls
from core.drift.dependence import Blocks, Dependence, dependence_of, deviations
from core.drift.drawn_nulls import BLOCK_DRAWS, POWERS, Drawing, DrawnNull
from core.drift.drift_tests import DRIFT_TESTS, missing
from core.drift.share_nulls import NEVER_SEEN, Share
from core.statistics.sketches import CategorySketch, NumericSketch
from core.statistics.tails import UnsureTail

Floats = NDArray[np.float64]

SHARE_MOVED = ("chi_square", "total_variation")
"""Of two names these are by how much the share of one differs."""


@dataclass(frozen=True, eq=False)
class Column:
    """One watched column.

    Parameters
    ----------
    sketch : NumericSketch or CategorySketch
        Its reference; of one season, where windows are held against the same season.
    kind : ColumnKind
    streams : sequence of str
        Keys of the tests that decide (`measuring.streams_of`).
    blocks : Blocks or None
        The rows in blocks as long as a window; None takes rows for independent.
    """

    sketch: NumericSketch | CategorySketch
    kind: ColumnKind | str
    streams: Sequence[str]
    blocks: Blocks | None = None


@dataclass(frozen=True, eq=False)
class Null:
    """How one column's streams vary where nothing changed.

    Parameters
    ----------
    streams : mapping of str to DrawnNull or Share
        By key of the test; without the value test where the reference holds no value.
    missing : Share
        Of rows that hold no value.
    shared : ndarray of shape (s,)
        Which part of the variance of a window's distance is the reference's, so that windows have it in common.
    dependence : mapping of str to Dependence
        How the rows hang together, of the value test and the missing share; empty where that was not looked at.
    """

    streams: Mapping[str, DrawnNull | Share]
    missing: Share
    shared: Floats
    dependence: Mapping[str, Dependence]


def null(column: Column, grid: Floats, rng: np.random.Generator) -> Null:
    """Work out how a column's streams vary.

    Parameters
    ----------
    column : Column
    grid : ndarray of shape (s,)
        Rows of a window, rising.
    rng : Generator
    """
    sketch = column.sketch
    present = np.maximum(1.0, np.round(grid * (sketch.n_present / max(1, sketch.n_rows))))
    shared = grid / (grid + max(1, sketch.n_rows))
    streams: dict[str, DrawnNull | Share] = {}
    found: dict[str, Dependence] = {}
    common, fewer = 0.0, 1.0
    gone = share_nulls.of_missing(sketch)
    for key in column.streams:
        match DRIFT_TESTS[key].role:
            case "missing":
                if column.blocks is not None:
                    found[key] = _missing_dependence(column.blocks, gone.seen, rng)
                    gone = share_nulls.of_fewer(gone, found[key].common, _fewer(found[key]))
                streams[key] = gone
            case "support":
                share = (
                    share_nulls.outside(sketch)
                    if isinstance(sketch, NumericSketch)
                    else share_nulls.of_new_names(sketch)
                )
                # Extremes and new names come with what else a window shares.
                streams[key] = share_nulls.of_fewer(share, common, fewer)
            case _ if sketch.n_present:
                drawn = Drawing(key, sketch, column.kind)
                weight = NEVER_SEEN if _is_constant(sketch) else 1.0
                apart = None if column.blocks is None else drawn.apart(column.blocks)
                if apart is not None:
                    found[key] = one = drawn.dependence(apart, rng)
                    if one.seen:
                        common, fewer = one.common, _fewer(one)
                        own = np.array([one.wider(n) for n in present])
                        of_reference = one.n_rows / sketch.n_present
                        shared = of_reference / (own + of_reference)
                        tails = [
                            UnsureTail(drawn.blocks_tail(apart, n, wider, rng), one.freedom, POWERS.get(key, 1.0))
                            for n, wider in zip(present, own + of_reference, strict=True)
                        ]
                        streams[key] = DrawnNull(sketch.n_present, present, tails, weight)
                        continue
                yes_or_no = isinstance(sketch, CategorySketch) and column.kind == ColumnKind.BOOLEAN
                if key in SHARE_MOVED and yes_or_no and len(sketch.counts) == 2:
                    streams[key] = share_nulls.of_one_of_two(sketch.counts)
                else:
                    streams[key] = DrawnNull(sketch.n_present, present, drawn.tails(present, rng), weight)
            case _:
                continue
    return Null(streams, gone, shared, found)


def _missing_dependence(blocks: Blocks, share: float, rng: np.random.Generator) -> Dependence:
    gone = missing(blocks.values).astype(np.float64)
    apart = deviations(replace(blocks, values=gone), lambda values, _: values.astype(np.intp), 2)
    return dependence_of(
        apart,
        np.array([1 - share, share]),
        lambda shares, _: np.abs(shares[..., 1] - share),
        power=1.0,
        n_draws=BLOCK_DRAWS,
        rng=rng,
    )


def _fewer(found: Dependence) -> float:
    """How many rows of the reference tell as much as one independent one."""
    return max(1.0, found.design_effect) if found.seen else 1.0


def _is_constant(sketch: NumericSketch | CategorySketch) -> bool:
    """Whether the reference holds one value only, so that any other is something it never held."""
    return len(sketch.counts) == 1 and (isinstance(sketch, CategorySketch) or not np.isnan(sketch.values[0]))
