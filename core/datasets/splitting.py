"""Which row goes to which part, from a seed and the rows alone.

The same rows and options give the same parts whatever else happens; the seed of a run plays no part.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

SplitMethod = Literal["random", "stratified", "time"]
METHODS: tuple[SplitMethod, ...] = ("random", "stratified", "time")


class Part(IntEnum):
    """What a row is used for; EXCLUDED rows equal a row of an evaluation set, or lack a time in a split by time."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    EXCLUDED = 3


@dataclass(frozen=True)
class SplitOptions:
    """How rows are assigned to parts.

    Parameters
    ----------
    method : {"random", "stratified", "time"}
        Shuffled; shuffled within each value of ``column``; earliest to latest of ``column``.
    column : str or None
        Needed by "stratified" and "time".
    validation_share, test_share : float
        Of the rows, 0 to below 1, together below 1.
    seed : int
        Of the shuffle; without effect in a split by time.
    """

    method: SplitMethod = "random"
    column: str | None = None
    validation_share: float = 0.2
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidInput(f"There is no split method {self.method!r}. Choose {', '.join(METHODS)}.")
        if self.method != "random" and not self.column:
            raise InvalidInput(f"A {self.method} split needs a column. Choose one, or split at random.")
        shares = (self.validation_share, self.test_share)
        if min(shares) < 0 or not sum(shares) < 1:
            raise InvalidInput(
                f"Validation and test shares of {shares[0]:g} and {shares[1]:g} leave nothing to train on. "
                "Each is at least 0, and together they stay below 1."
            )

    @property
    def key(self) -> str:
        """The options as a hash, for finding the same split again."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def hold_out(
    eligible: NDArray[np.bool_], keys: NDArray[np.int64] | None, share: float, options: SplitOptions, *, stream: int
) -> NDArray[np.bool_]:
    """Choose a share of the eligible rows.

    Parameters
    ----------
    eligible : ndarray of bool, shape (n_rows,)
    keys : ndarray of int64, shape (n_rows,) or None
        Class codes for "stratified", moments for "time"; None for "random".
    share : float
        Of the eligible rows, 0 to 1; rounded to whole rows. By time the latest rows are taken, and rows of the same
        moment as the first one taken go with it, so that the parts never share a moment.
    options : SplitOptions
        Its method and seed.
    stream : int
        Distinguishes choices made under one seed.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    chosen = np.zeros(len(eligible), dtype=np.bool_)
    rows = np.flatnonzero(eligible)
    if len(rows) == 0 or share <= 0:
        return chosen
    if options.method == "time":
        assert keys is not None
        moments = np.sort(keys[rows])
        wanted = round(len(rows) * share)
        if wanted:
            chosen[rows[keys[rows] >= moments[len(rows) - wanted]]] = True
        return chosen
    rng = np.random.default_rng([abs(options.seed), int(options.seed < 0), stream])
    order = rng.permutation(rows)
    if options.method == "random":
        chosen[order[: round(len(rows) * share)]] = True
        return chosen
    assert keys is not None
    codes = keys[order]
    # Rows of one class in shuffled order; the class sizes are rounded so that their sum is the share of the whole.
    by_class = order[np.argsort(codes, kind="stable")]
    _, sizes = np.unique(codes, return_counts=True)
    ends = np.cumsum(sizes)
    takes = np.diff(np.round(ends * share).astype(np.int64), prepend=0)
    for end, size, take in zip(ends, sizes, takes, strict=True):
        chosen[by_class[end - size : end - size + take]] = True
    return chosen
