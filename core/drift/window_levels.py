"""The one level of all streams in a window of exactly so many rows. PURE.

Counts are whole, so a share's threshold attains less than its level, and how much less jumps with every row: in windows
of about 60 rows the threshold of a boolean of a tenth attains between 0.4 and 1.0 of it. So the level is not read
between calibrated sizes but raised, at the very size, until what the streams attain uses up the window's level: to the
last step below it, or to the next above where that one is nearer and at most a quarter too much. Shares are exact at
each size. Drawn streams attain their level; but where their draws are tied, as those of few names, they have the
thresholds of some levels only, 6 % apart (`RAISES`), and attain what they did at the calibrated sizes.

*Many steps.* A share with more than `MANY_STEPS` steps between a level and four times that counts as attaining it: a
step is ``4 ** (1 / MANY_STEPS)``, 2 %, in the mean, the largest one found 4 %, so it attains 1 % less on average.

*Rows without a value* vary from window to window. What a share of the others attains is the mean over `PARTS` numbers
of them, each as likely as the next; beyond `FEW_ROWS` rows the number to be expected stands for all, as steps are small
there. Taken as they come in each window, a column's threshold would depend on how many rows other columns lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.drift.promises import MOST_LEVEL, firing_chance
from core.drift.share_nulls import Share

Floats = NDArray[np.float64]

N_HALVINGS = 24
MOST_RAISED = 4.0
MOST_OVER = 0.25
RAISES = np.geomspace(1.0, MOST_RAISED, 25)
FEW = slice(None, None, 4)
"""Of `RAISES`: enough for a stream that attains every level, between which its thresholds can be read."""
PARTS, FEW_ROWS = 3, 512
MANY_STEPS = 64


@dataclass(frozen=True, eq=False)
class SharedRows:
    """A share, and the rows of a window it may be of: numbers of rows with their probabilities."""

    share: Share
    rows: Sequence[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class DrawnPart:
    """A drawn stream: its part of a level, and how much of that it attains at each of `RAISES`; None for all of it."""

    weight: float
    attained: Floats | None = None


WindowColumn = Sequence[SharedRows | DrawnPart]
"""A column's streams in a window."""


def last_raise(by: float) -> int:
    """The last of `RAISES` that is no more."""
    return int(np.searchsorted(RAISES, by * (1 + 1e-12), side="right")) - 1


def present_rows(missing: Share, n_rows: int) -> list[tuple[int, float]]:
    """How many of a window's rows hold a value: a few numbers with their probabilities, none of them 0."""
    if n_rows > FEW_ROWS:
        return [(max(1, round(n_rows * (1 - missing.seen))), 1.0)]
    return [(count, chance) for count, chance in missing.rest(n_rows, PARTS) if count]


def raised(
    columns: Sequence[WindowColumn],
    correlation: Floats,
    *,
    smooth: float,
    level: float,
    windows_needed: int,
    windows_of: int,
) -> float:
    """How many times the level of a stream is to be raised above what it were if every level could be attained.

    Parameters
    ----------
    columns : sequence of m WindowColumn
    correlation : ndarray of shape (m,)
        As `firing_chance`.
    smooth : float
        The level of one stream if every level could be attained.
    level : float
        Of the window.
    windows_needed, windows_of : int
        k and n.

    Returns
    -------
    float
        From 1 to `MOST_RAISED`, to 7 digits. O(steps of all shares between the two) for each of `N_HALVINGS`.
    """
    attained = _Attained(columns, smooth)
    highest = min(MOST_RAISED, MOST_LEVEL / smooth)
    chances = _Chances(attained, correlation, highest, windows_needed, windows_of)

    def fires(by: float) -> float:
        return float(-np.expm1(np.log1p(-chances.of(attained.of(by))).sum()))

    below, above = 1.0, highest
    for _ in range(N_HALVINGS):
        middle = float(np.sqrt(below * above))
        below, above = (middle, above) if fires(middle) <= level else (below, middle)
    over = fires(above) - level
    return above if over <= min(MOST_OVER * level, level - fires(below)) else below


class _Attained:
    """With which chance any stream of each column exceeds, by how much the level is raised."""

    def __init__(self, columns: Sequence[WindowColumn], smooth: float) -> None:
        self.n_columns = len(columns)
        self.column = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
        known: dict[tuple[Share, int], Floats] = {}
        smoothly: list[tuple[int, float]] = []
        tied: list[tuple[int, Floats]] = []
        least: list[tuple[int, float]] = []
        steps: list[Floats] = []
        for at, stream in enumerate(stream for column in columns for stream in column):
            if isinstance(stream, DrawnPart):
                if stream.attained is None:
                    smoothly.append((at, smooth * stream.weight))
                else:
                    tied.append((at, smooth * stream.weight * RAISES * stream.attained))
                continue
            share = stream.share
            for n_rows, chance in stream.rows:
                found = known.get((share, n_rows))
                if found is None:
                    whole = smooth * share.weight
                    found = known[share, n_rows] = share.tail(n_rows).steps(whole, MOST_RAISED * whole)
                if len(found) > MANY_STEPS:
                    smoothly.append((at, smooth * share.weight * chance))
                    continue
                if len(found) > 1:
                    of = np.full(len(found) - 1, len(least))
                    steps.append(np.array([of, found[1:] / (smooth * share.weight), found[1:] * chance]))
                least.append((at, float(found[0]) * chance))
        self.smoothly = np.bincount(
            np.array([at for at, _ in smoothly], dtype=np.intp),
            np.array([level for _, level in smoothly], dtype=np.float64),
            minlength=len(self.column),
        ).astype(np.float64)
        self.tied = np.array([at for at, _ in tied], dtype=np.intp)
        self.tied_attain = np.array([attained for _, attained in tied]).reshape(-1, len(RAISES))
        self.stream = np.array([at for at, _ in least], dtype=np.intp)
        self.least = np.array([attained for _, attained in least])
        of, self.step_at, self.step_to = np.concatenate([np.empty((3, 0)), *steps], axis=1)
        order = np.argsort(self.step_at, kind="stable")
        self.step_of, self.step_at, self.step_to = of[order].astype(np.intp), self.step_at[order], self.step_to[order]

    def of(self, by: float) -> Floats:
        """An array of shape (m,)."""
        shares = self.least.copy()
        reached = int(np.searchsorted(self.step_at, by, side="right"))
        # Of steps of the same share the last one taken counts.
        shares[self.step_of[:reached]] = self.step_to[:reached]
        found = self.smoothly * by + np.bincount(self.stream, shares, minlength=len(self.column))
        found[self.tied] += self.tied_attain[:, last_raise(by)]
        exceeding: Floats = -np.expm1(np.bincount(self.column, np.log1p(-found), minlength=self.n_columns))
        return exceeding


class _Chances:
    """`firing_chance` near a level: where k of n windows are asked for, a parabola through three of it, in logarithms.

    Over the factor of 4 that is the chance itself to within 1 %, for a tenth of the time. A column that attains less is
    told less exactly, and matters less.
    """

    def __init__(
        self, attained: _Attained, correlation: Floats, highest: float, windows_needed: int, windows_of: int
    ) -> None:
        self.alone = windows_needed == 1
        if self.alone:
            return
        most = np.maximum(attained.of(highest), 1e-300)
        self.at = np.log(most) - np.log(MOST_RAISED) * np.arange(3)[:, None] / 2
        self.chances = np.array(
            [
                np.log(
                    np.maximum(
                        firing_chance(np.exp(at), correlation, windows_needed=windows_needed, windows_of=windows_of),
                        1e-300,
                    )
                )
                for at in self.at
            ]
        )

    def of(self, exceeding: Floats) -> Floats:
        """An array of shape (m,)."""
        if self.alone:
            return exceeding
        x = (self.at[0] - np.log(np.maximum(exceeding, 1e-300))) / np.log(MOST_RAISED) * 2
        most, middle, least = self.chances
        found = most + x * (-1.5 * most + 2 * middle - 0.5 * least) + x**2 * (0.5 * most - middle + 0.5 * least)
        return np.where(exceeding > 0, np.exp(np.minimum(found, 0.0)), 0.0)
