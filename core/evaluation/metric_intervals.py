"""The 95 % interval of each metric: (outcome, measured) -> interval, or None where too few rows allow none.

Wherever Wilson's interval is named it is `intervals.proportion`, which reaches further where nearly all rows, or nearly
none, are in. Where rows have weights, closed forms take the effective size of the rows they are about, and the others
take the weighted influences: a weight never counts as further rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import (
    SMALLEST_SHARE,
    TOP_SHARE,
    Measured,
    calibration_gaps,
    class_areas,
    median_ends,
    top_hits,
)
from core.evaluation.outcomes import Outcome
from core.statistics import intervals, ranking, resampling
from core.statistics.intervals import Interval

Cells = NDArray[np.bool_]

FEW = 5
FEW_A_BIN = 10
MOST_COST_LEVELS = 8
# The share of a squared width at which one class decides it.
DOMINANT = 0.5
# Two-sided, so that each end alone is one of 95 %.
ONE_SIDED = 0.9


def accuracy_interval(outcome: Outcome, _measured: Measured) -> Interval:
    """Wilson."""
    return _wilson(outcome, _diagonal(outcome), _everywhere(outcome))


def recall_interval(outcome: Outcome, _measured: Measured) -> Interval:
    """Wilson, given the number of positive rows."""
    return _wilson(outcome, _cell(outcome, 1, 1), _row(outcome, 1))


def precision_interval(outcome: Outcome, _measured: Measured) -> Interval:
    """Wilson, given the number of rows predicted positive."""
    return _wilson(outcome, _cell(outcome, 1, 1), _column(outcome, 1))


def top_classes_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Wilson."""
    size = outcome.n_effective
    if outcome.is_weighted and 0 < measured.value < 1:
        # As `_wilson`, with the variance from the rows themselves, not corrected for their number.
        variance = measured.standard_error**2 * (outcome.n_counted - 1) / outcome.n_counted
        size = min(size, measured.value * (1 - measured.value) / variance)
    return _share(measured.value, size)


def f_beta_interval(beta: float) -> Callable[[Outcome, Measured], Interval]:
    """Wilson of TP among the rows that are or were called positive, and of the misses among the mistakes, combined.

    With J = TP / (TP + FP + FN) and r = FN / (FP + FN) the odds of F are those of J times (1 + b²) / (b² r + 1 - r):
    two independent shares given the counts. F1 does not depend on r, and F1 = 2 J / (1 + J).

    Of up to `intervals.FEW_EVENTS` found J alone reaches down further than need be. Where then no mistake, or every
    one, is a miss, r can be missed on one side only, and what it adds to the low end is one-sided.

    With weights the two are not independent, since heavy misses lower the one and raise the other; but for F1 it is
    then `share_interval`, unless nothing, or everything, was found.
    """
    square = beta * beta

    def found(outcome: Outcome, measured: Measured) -> Interval:
        if outcome.is_unevenly_weighted and beta != 1 and measured.standard_error > 0 and 0 < measured.value < 1:
            return share_interval(outcome, measured)
        # A class the model does not know counts as not positive: a row of it called positive is a false alarm.
        hit, actual = _cell(outcome, 1, 1), _row(outcome, 1)
        called = actual | _column(outcome, 1)
        hits, wrong = float(outcome.confusion[hit].sum()), float(outcome.confusion[called & ~hit].sum())
        joint = hits / (hits + wrong)
        ends = _wilson(outcome, hit, called)
        missed = float(outcome.confusion[actual & ~hit].sum()) / wrong if wrong > 0 else 0.5
        share = _wilson(outcome, actual & ~hit, called & ~hit) if wrong > 0 else Interval(0.0, 1.0)

        def value(j: float, r: float) -> float:
            gain = (1 + square) * j
            return gain / (gain + (square * r + 1 - r) * (1 - j)) if gain > 0 else 0.0

        # The cost of a mistake, b² r + 1 - r, rises or falls with r; by log odds, where the two add up.
        cheap, dear = sorted((square * one + 1 - one) for one in share)
        cost = square * missed + 1 - missed
        if wrong > 0 and missed in (0, 1) and outcome.effective(hit) <= intervals.FEW_EVENTS:
            dear = max(square * one + 1 - one for one in _wilson(outcome, actual & ~hit, called & ~hit, ONE_SIDED))
        if joint in (0, 1):
            # By log odds J is then infinitely far from its other end, and what r adds to that is nothing.
            centre = (share.low + share.high) / 2
            return Interval(value(ends.low, centre), value(ends.high, centre))
        middle = _logit(joint) - math.log(cost)
        down = math.hypot(_logit(joint) - _logit(ends.low), math.log(dear / cost))
        up = math.hypot(_logit(ends.high) - _logit(joint), math.log(cost / cheap))
        shift = math.log(1 + square)
        return Interval(intervals.expit(middle + shift - down), intervals.expit(middle + shift + up))

    return found


def balanced_accuracy_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Wilson of each class, combined; a class the model knows and that does not occur may be anything.

    Multiclass: each end at least as wide as `share_interval`, unless one class alone makes up most of the width.
    Wilson's centre lies nearer to one half than the share, which adds up over classes: combined alone, four classes of
    12 rows held the truth in 92 of 100 simulations, so in 95.
    """
    codes: list[int] = np.flatnonzero(outcome.confusion.sum(axis=1) > 0).tolist()
    each = [_wilson(outcome, _cell(outcome, code, code), _row(outcome, code)) for code in codes]
    recalls = [float(outcome.confusion[code, code] / outcome.confusion[code].sum()) for code in codes]
    if outcome.is_binary:
        return _mean(outcome, recalls, each)
    return _mean_or_wider(outcome, measured, recalls, each)


def macro_f1_interval(outcome: Outcome, measured: Measured) -> Interval:
    """As `share_interval`; at each end at least as wide as the classes' own intervals combined, as if independent.

    A class's own is `f1_interval`'s, so that a class of a few rows widens it by what those leave open; a class the
    model knows and that does not occur may be anything. Where one class alone makes up most of the width, its own
    decides: the combined interval alone.
    """
    values, each = [], []
    for code in range(len(outcome.labels)):
        hit, called = _cell(outcome, code, code), _row(outcome, code) | _column(outcome, code)
        if outcome.confusion[called].any():
            joint = float(outcome.confusion[code, code] / outcome.confusion[called].sum())
            ends = _wilson(outcome, hit, called)
            values.append(2 * joint / (1 + joint))
            each.append(Interval(2 * ends.low / (1 + ends.low), 2 * ends.high / (1 + ends.high)))
    return _mean_or_wider(outcome, measured, values, each)


def macro_precision_interval(outcome: Outcome, measured: Measured) -> Interval:
    """As `macro_f1_interval`, a class's own interval being Wilson's of the rows called so, or 0 to 1 without any."""
    values, each = [], []
    for code in range(len(outcome.labels)):
        called = _column(outcome, code)
        if not outcome.confusion[called | _row(outcome, code)].any():
            continue
        size = float(outcome.confusion[called].sum())
        values.append(float(outcome.confusion[code, code]) / size if size else 0.0)
        each.append(_wilson(outcome, _cell(outcome, code, code), called) if size else Interval(0.0, 1.0))
    return _mean_or_wider(outcome, measured, values, each)


def roc_auc_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    """DeLong's on the logit scale, reaching further towards 1/2 for rows of a kind that the sample may not hold.

    DeLong's variance knows of a class only what its rows show. Ten positives that all rank above the rest leave open
    that one in four scores as a negative does; DeLong's interval forgets it, and where one in twenty does so it held
    the truth in 58 of 100 simulations with 10 positives and in 86 with 50. See `intervals.open_to_unseen`, here with
    Welch's degrees of freedom. With fewer than `FEW` rows of a class at least as wide as a score interval, of 90 %.

    Multiclass: the same of the mean of the classes' areas; None where a class the model knows has fewer than `FEW`
    rows.
    """
    if not outcome.is_binary:
        return _mean_area_interval(outcome, measured)
    n_positive, n_negative = outcome.effective(1), _rest(outcome, 1)
    df, unseen = _area_freedom(outcome, 1, measured), _unseen(outcome, 1, measured)
    found = intervals.open_to_unseen(measured.value, measured.standard_error, df=df, unseen=unseen)
    if min(n_positive, n_negative) >= FEW:
        return found
    return _wider(found, intervals.auc_score_interval(measured.value, n_positive, n_negative, ONE_SIDED))


def _mean_area_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    known = [code for code in range(len(outcome.labels)) if outcome.columns[code] >= 0]
    if len(known) < len(outcome.predictions.classes) or min(outcome.effective(code) for code in known) < FEW:
        return None
    areas = class_areas(outcome)
    variances = [area.standard_error**2 for _, area in areas]
    spread = sum(
        part**2 / _area_freedom(outcome, code, area) for part, (code, area) in zip(variances, areas, strict=True)
    )
    df = max(1.0, sum(variances) ** 2 / spread) if spread > 0 else 1.0
    unseen = math.hypot(*(_unseen(outcome, code, area) for code, area in areas)) / len(areas)
    return intervals.open_to_unseen(measured.value, measured.standard_error, df=df, unseen=unseen)


def _area_freedom(outcome: Outcome, code: int, area: Measured) -> float:
    weight = outcome.weight if outcome.is_weighted else None
    return ranking.two_sample_df(outcome.y_true == code, area.influence, weight)


def _unseen(outcome: Outcome, code: int, area: Measured) -> float:
    """How far the area would move if as many of the rarer side as may be unseen ranked at random."""
    share = intervals.unseen_share(min(outcome.effective(code), _rest(outcome, code)))
    return share * abs(area.value - 0.5)


def _rest(outcome: Outcome, code: int) -> float:
    """Effective size of the rows that are not of a class."""
    return outcome.effective(np.arange(len(outcome.labels)) != code)


def average_precision_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    """As `share_interval`, with at most as many degrees of freedom as there are positives less one.

    As a proportion of the positives where there is no variance; None for fewer than `FEW` of them.
    """
    n_positive = outcome.effective(1)
    if n_positive < FEW:
        return None
    if measured.standard_error == 0 or not 0 < measured.value < 1:
        return _share(measured.value, n_positive)
    df = min(_freedom(outcome, measured), n_positive - 1)
    return _logit_interval(measured.value, measured.standard_error, df)


def lift_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    """Wilson of the share of all positives that the best-scored tenth holds, times 10.

    Its size is the one at which a proportion is as sure as the ratio of two independent ones: the shares of positives
    within the tenth and below it. With weights, at which a proportion is as sure as the influences say. None for fewer
    than `FEW` positives.
    """
    hits, positives, total = top_hits(outcome)
    if outcome.effective(1) < FEW:
        return None
    share = measured.value * TOP_SHARE
    if outcome.is_unevenly_weighted and measured.standard_error > 0 and 0 < share < 1:
        size = share * (1 - share) / (measured.standard_error * TOP_SHARE) ** 2
        return _over_tenth(_share(share, size))
    inside, outside = TOP_SHARE * total, (1 - TOP_SHARE) * total
    # Half a row of each kind is added to either part, so that one without positives still varies.
    a, b = hits + 0.5, positives - hits + 0.5
    variance = (1 - a / (inside + 1)) / a + (1 - b / (outside + 1)) / b
    size = (1 / a + 1 / b) / variance * outcome.effective(1)
    return _over_tenth(_share(share, size))


def _over_tenth(found: Interval) -> Interval:
    return Interval(found.low / TOP_SHARE, found.high / TOP_SHARE)


def share_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Delta method on the logit scale; as a proportion of the rows where that has no width.

    Above one half the low end is no further than that of a proportion that is as sure (Wilson): near 1 the logit's
    reaches too far, a third of the width with 50 rows.
    """
    if measured.standard_error == 0 or not 0 < measured.value < 1:
        return _share(measured.value, outcome.n_effective)
    return _logit_interval(measured.value, measured.standard_error, _counted_freedom(outcome, measured))


def correlation_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    """Delta method on Fisher's scale, the low end above 0 as in `share_interval`, of the share (1 + value) / 2.

    None in a binary task with fewer than `FEW` rows of a class, and where all rows are predicted alike: 0 is then a
    convention without any spread, and says nothing of other rows. At exactly 1 the low end is what Wilson's bound on
    the share of the rarest class that is missed still allows, at -1 likewise the high end.
    """
    if outcome.is_binary and _rarest_class(outcome) < FEW:
        return None
    if measured.value >= 1 - 1e-12:
        return Interval(_share(1.0, _rarest_class(outcome)).low, 1.0)
    if measured.value <= -1 + 1e-12:
        return Interval(-1.0, -_share(1.0, _rarest_class(outcome)).low)
    if measured.standard_error <= SMALLEST_SHARE:
        return None
    # Fisher's scale is the logit's of that share.
    found = _logit_interval((1 + measured.value) / 2, measured.standard_error / 2, _counted_freedom(outcome, measured))
    return Interval(2 * found.low - 1, 2 * found.high - 1)


def cost_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Wilson of the share of rows at each level of cost, combined; so that a mistake not yet seen still counts.

    Levels are held against the one that most rows are at. With more than `MOST_COST_LEVELS` of them the levels are too
    many to bound each; then Student's with the skewness taken out.
    """
    matrix = outcome.cost_matrix
    levels = np.unique(matrix)
    if len(levels) > MOST_COST_LEVELS:
        return _skewed(measured, outcome)
    at = [matrix == level for level in levels]
    shares = [float(outcome.confusion[cells].sum()) / outcome.n_counted for cells in at]
    usual = float(levels[int(np.argmax(shares))])
    each = [_wilson(outcome, cells, _everywhere(outcome)) for cells in at]
    found = intervals.combine((levels - usual).tolist(), shares, each)
    return Interval(max(float(levels[0]), found.low + usual), min(float(levels[-1]), found.high + usual))


def score_loss_interval(outcome: Outcome, measured: Measured) -> Interval | None:
    """As `loss_interval`; None in a binary task with fewer than `FEW` rows of a class, whose losses are then unseen.

    A sample of skewed losses has both a small mean and a small variance, or neither, and Hall's transformation already
    allows for that: half of the variance's spread that skewness explains is not counted once more.
    """
    if outcome.is_binary and _rarest_class(outcome) < FEW:
        return None
    return _positive_loss(measured, _freedom(outcome, measured, explained=0.5))


def loss_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Student's with the skewness of the losses taken out, degrees of freedom from their fourth moment.

    The low end is at least Student's on the log scale: losses are positive.
    """
    return _positive_loss(measured, _freedom(outcome, measured))


def root_loss_interval(outcome: Outcome, measured: Measured) -> Interval:
    """The root of the interval of the mean of the squares, whose skewness is taken for 2 / df more than the rows show.

    Of the skewness of squared normal errors 50 rows show three quarters. Under heavy tails (Student's t with 4.5
    degrees of freedom) it held the truth in 93 of 100 simulations with 50 rows and 94 with 200.
    """
    squared = Measured(measured.value**2, measured.influence * (2 * measured.value))
    df = _freedom(outcome, squared)
    found = _positive_loss(squared, df, hidden=2 / df)
    return Interval(math.sqrt(found.low), math.sqrt(found.high))


def median_error_interval(outcome: Outcome, _measured: Measured) -> Interval | None:
    """Two order statistics; None for fewer than 6 rows."""
    return median_ends(outcome)


def explained_interval(outcome: Outcome, measured: Measured) -> Interval:
    """Student's on the log scale of 1 - value, which is at most 1 and open below; freedom from the fourth moment.

    A ratio of two means is skewed by itself: the log scale held 94 of 100 with 50 rows where `loss_interval` held 91.
    Under heavy tails (Student's t with 4.5 degrees of freedom) it held 93.
    """
    df = _freedom(outcome, measured)
    rest = intervals.around(1 - measured.value, measured.standard_error, df=df, scale="log")
    return Interval(1 - rest.high, 1 - rest.low)


def calibration_error_interval(outcome: Outcome, _measured: Measured) -> Interval | None:
    """Of the bins' summed gaps, what noise adds to them taken off the low end; None as for `score_loss_interval`.

    Multiclass: None where fewer than `FEW` rows are predicted rightly, or wrongly. Both: None where a bin has fewer
    than `FEW_A_BIN` rows on average. So few do not tell their own noise, and how often the interval holds then depends
    on where the gaps lie (docs/interval-coverage.md).
    """
    if outcome.is_binary:
        few = _rarest_class(outcome)
    else:
        right = _diagonal(outcome)
        few = min(outcome.effective(right), outcome.effective(~right))
    if few < FEW:
        return None
    gaps, bins = calibration_gaps(outcome)
    if outcome.is_weighted:
        counted = outcome.weight > 0
        gaps, bins = gaps[counted], np.unique(bins[counted], return_inverse=True)[1]
    if outcome.effective(_everywhere(outcome)) < FEW_A_BIN * (int(bins.max()) + 1):
        return None
    found = resampling.gap_interval(gaps, bins)
    return Interval(found.low / outcome.n_counted, found.high / outcome.n_counted)


def _share(share: float, size: float, level: float = intervals.CONFIDENCE) -> Interval:
    return intervals.proportion(share * size, size, level)


def _wilson(outcome: Outcome, part: Cells, whole: Cells, level: float = intervals.CONFIDENCE) -> Interval:
    """Wilson of the share of the rows in some cells of the confusion matrix that are in others of them.

    With weights, at the smaller of two effective sizes: Kish's, and the one at which a proportion is as sure as the
    weighted one (Korn and Graubard 1998, Survey Methodology 24:193). They differ where weights go with being in.
    """
    inside, total = float(outcome.confusion[part].sum()), float(outcome.confusion[whole].sum())
    share, size = inside / total, outcome.effective(whole)
    if outcome.is_weighted and 0 < share < 1:
        squares = (1 - share) ** 2 * float(outcome.squares[part].sum())
        squares += share**2 * float(outcome.squares[whole & ~part].sum())
        size = min(size, share * (1 - share) * total * total / squares)
    return _share(share, size, level)


def _everywhere(outcome: Outcome) -> Cells:
    return np.ones(outcome.confusion.shape, dtype=bool)


def _diagonal(outcome: Outcome) -> Cells:
    return np.eye(len(outcome.labels), dtype=bool)


def _row(outcome: Outcome, code: int) -> Cells:
    cells = ~_everywhere(outcome)
    cells[code] = True
    return cells


def _column(outcome: Outcome, code: int) -> Cells:
    return _row(outcome, code).T


def _cell(outcome: Outcome, true: int, predicted: int) -> Cells:
    cells = ~_everywhere(outcome)
    cells[true, predicted] = True
    return cells


def _mean(outcome: Outcome, values: list[float], each: list[Interval]) -> Interval:
    """Interval of the mean over the classes that occur, opened by what those the model knows besides could be."""
    found = intervals.combine([1 / len(values)] * len(values), values, each)
    occur = outcome.confusion.sum(axis=0) + outcome.confusion.sum(axis=1) > 0
    unseen = len(outcome.predictions.classes) - int((occur & (outcome.columns >= 0)).sum())
    if unseen <= 0:
        return found
    n = len(values) + unseen
    return Interval(len(values) * found.low / n, (len(values) * found.high + unseen) / n)


def _mean_or_wider(outcome: Outcome, measured: Measured, values: list[float], each: list[Interval]) -> Interval:
    """As `_mean`; at least as wide as `share_interval`, unless one class alone makes up most of the squared width.

    The wider of two held too often where one class has 1 % of the rows (99 in 100): that class decides both, and the
    two fail on different sides.
    """
    found = _mean(outcome, values, each)
    widths = [(high - low) ** 2 for low, high in each]
    return found if max(widths) > DOMINANT * sum(widths) else _wider(found, share_interval(outcome, measured))


def _skewed(measured: Measured, outcome: Outcome) -> Interval:
    return intervals.skewed(measured.value, measured.influence, df=_freedom(outcome, measured))


def _positive_loss(measured: Measured, df: float, hidden: float = 0.0) -> Interval:
    found = intervals.skewed(measured.value, measured.influence, df=df, hidden=hidden)
    low = intervals.around(measured.value, measured.standard_error, df=df, scale="log").low
    return Interval(max(low, found.low), found.high)


def _logit_interval(share: float, error: float, df: float) -> Interval:
    """Student's on the logit scale; above one half the low end no further than that of a proportion as sure."""
    found = intervals.around(share, error, df=df, scale="logit")
    if share <= 0.5:
        return found
    as_sure = intervals.wilson_of(share, share * (1 - share) / error**2, intervals.t_quantile(df))
    return Interval(max(found.low, as_sure.low), found.high)


def _freedom(outcome: Outcome, measured: Measured, explained: float = 0.0) -> float:
    """Degrees of freedom of the influences; with weights by so much less as the rows are worth less.

    At weights as uneven as a gamma of shape 2 gives, 50 rows then held a mean of squares in 95 of 100 simulations, and
    in 94 without.
    """
    df = intervals.effective_df(measured.influence, outcome.n_counted, explained)
    return max(1.0, df * outcome.n_effective / outcome.n_counted) if outcome.is_weighted else df


def _counted_freedom(outcome: Outcome, measured: Measured) -> float:
    """As `_freedom`, for metrics that count rows: none of the variance's spread that goes with the mean is counted.

    The variance of a share follows from the share itself, which the logit scale allows for: of a single one nothing is
    left but the number of rows. Uneven weights add spread of another kind, and there all of it counts.
    """
    return _freedom(outcome, measured, explained=0.0 if outcome.is_unevenly_weighted else 1.0)


def _wider(first: Interval, second: Interval) -> Interval:
    return Interval(min(first.low, second.low), max(first.high, second.high))


def _rarest_class(outcome: Outcome) -> float:
    """Effective size of the rarest class that occurs; of the positive or the rest, in a binary task."""
    if outcome.is_binary:
        return min(outcome.effective(1), _rest(outcome, 1))
    return min(outcome.effective(int(code)) for code in np.flatnonzero(outcome.confusion.sum(axis=1) > 0))


def _logit(share: float) -> float:
    # Weights of very different size leave shares that round to 0 or 1.
    kept = min(max(share, SMALLEST_SHARE), 1 - SMALLEST_SHARE)
    return math.log(kept / (1 - kept))
