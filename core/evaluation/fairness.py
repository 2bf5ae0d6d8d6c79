"""How differently groups of people fare: figures by group, and the gap between the groups furthest apart. Pure.

A criterion asks that a measure be alike in all groups. Its gap is the largest group's value minus the smallest, its
ratio the smallest over the largest. Noise only ever pushes such a gap up, so its interval is built from all pairs of
groups at once: each pair's difference gets an interval wide enough that all of them hold together in 95 % of samples
(Tukey and Kramer), and the gap lies between the largest low end and the largest high end. By one criterion equal groups
then look unequal in at most 5 % of samples, however many groups there are.

A report has many criteria. It reads "gap" only where the p-value, corrected for every criterion of every grouping in
the report (Holm), is small too: of reports on equal groups of two columns and their crossing 3 % have a gap anywhere,
where a correction within each grouping lets through 7 to 10 % and the intervals alone 26 to 32 %.

A group with fewer than `MIN_GROUP_ROWS` rows that count for a measure is listed and counted, without a figure, and no
criterion is judged by it: its share would be noise, and a gap is drawn by the extremes. Rows count by their weight
where there are weights; a row of weight 0 is absent. A truth the model does not know counts as not positive, and as
predicted wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.evaluation.group_measures import (
    MIN_GROUP_ROWS,
    RECALL_OF,
    Cells,
    Floats,
    GroupFigure,
    GroupResult,
    calibration_error_of,
    cells_of,
    measure_kind,
)
from core.evaluation.predictions import Predictions
from core.evaluation.slices import Grouped
from core.evaluation.tables import Task
from core.evaluation.verdicts import figure
from core.statistics.intervals import CONFIDENCE, bisect
from core.statistics.multiple_testing import holm

MIN_EXPECTED = 5
FOUR_FIFTHS = 0.8
ALPHA = 0.05
N_PERMUTATIONS = 4_999
Reading = Literal["gap", "may_be_chance", "no_gap_shown", "below", "above", "cannot_be_told", "undefined"]


class CriterionKind(NamedTuple):
    """A criterion: the measures that it asks to be alike, and what it means."""

    title: str
    sentence: str
    measures: tuple[str, ...]


CRITERIA: dict[str, CriterionKind] = {
    "demographic_parity": CriterionKind(
        "Demographic parity", "Every group is called positive equally often.", ("selection_rate",)
    ),
    "four_fifths": CriterionKind(
        "Four-fifths rule",
        "The group called positive least often is so at least four fifths as often as the one called most often.",
        ("selection_rate",),
    ),
    "equal_opportunity": CriterionKind(
        "Equal opportunity", "Of the truly positive, every group's are found equally often.", ("true_positive_rate",)
    ),
    "equalised_odds": CriterionKind(
        "Equalised odds",
        "True positives are found and true negatives flagged equally often in every group; the wider gap counts.",
        ("true_positive_rate", "false_positive_rate"),
    ),
    "predictive_parity": CriterionKind(
        "Predictive parity", "Being called positive is right equally often in every group.", ("precision",)
    ),
    "equal_accuracy": CriterionKind("Equal accuracy", "Every group is predicted right equally often.", ("accuracy",)),
    "equal_bias": CriterionKind(
        "Equal mean error", "No group is predicted higher or lower than it is by more than another.", ("mean_error",)
    ),
    "equal_error": CriterionKind(
        "Equal mean absolute error", "Predictions are equally far off in every group.", ("mean_absolute_error",)
    ),
}


BY_TASK: dict[Task, tuple[str, ...]] = {
    Task.BINARY: ("demographic_parity", "four_fifths", "equal_opportunity", "equalised_odds", "predictive_parity"),
    Task.MULTICLASS: ("equal_accuracy",),
    Task.REGRESSION: ("equal_bias", "equal_error"),
}


@dataclass(frozen=True)
class Criterion:
    """How far apart the groups are by one criterion.

    Parameters
    ----------
    key, title, sentence : str
        Of the criterion.
    measure : str
        The measure that the gap is of: where a criterion has two, the one further apart.
    difference, difference_low, difference_high : float or None
        Largest minus smallest group's value, >= 0, with an interval of at least 95 %.
    ratio, ratio_low, ratio_high : float or None
        Smallest over largest, in [0, 1]; None where all are 0 or the measure has a sign.
    highest, lowest : str
        The groups with the largest and the smallest value of ``measure``; the first named of equals. Empty where
        nothing is judged.
    highest_value, lowest_value : float or None
    n_groups, n_small : int
        Groups judged, and groups left out as too small, by any of the criterion's measures.
    pvalue, corrected : float or None
        Of all groups equal: chi-square of the counts (by permutation where one expects fewer than 5) or Welch's
        analysis of variance; and corrected for every criterion in the report (Holm). None for the four-fifths rule,
        which is no test of equality.
    reading : str
        "gap" where the interval leaves 0 out and the corrected p-value is at most 0.05, "may_be_chance" where the
        first holds alone, "no_gap_shown". For four fifths "below", "above", or "cannot_be_told" where 0.8 lies in the
        ratio's interval. "undefined" where fewer than two groups are large enough, or nobody is selected.
    words : str
        The reading as a sentence.
    """

    key: str
    title: str
    sentence: str
    measure: str
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    highest: str
    lowest: str
    highest_value: float | None
    lowest_value: float | None
    n_groups: int
    n_small: int
    pvalue: float | None
    corrected: float | None
    reading: Reading
    words: str


@dataclass(frozen=True)
class FairnessReport:
    """Every group of one column, or of columns crossed, and every criterion of the task.

    Parameters
    ----------
    columns : tuple of str
    groups : tuple of GroupResult
        In the order of the column's labels, small ones too.
    criteria : tuple of Criterion
    n_tests : int
        How many p-values the correction allows for.
    """

    columns: tuple[str, ...]
    groups: tuple[GroupResult, ...]
    criteria: tuple[Criterion, ...]
    n_tests: int


def criterion_kind(key: str) -> CriterionKind:
    """What a criterion is called and means; those of a class's recall are made of its name."""
    if not key.startswith(RECALL_OF):
        return CRITERIA[key]
    name = key.removeprefix(RECALL_OF)
    return CriterionKind(
        f"Equal recall of {name}", f"Rows that are {name} are found equally often in all groups.", (key,)
    )


def fairness_reports(
    predictions: Predictions, groupings: Sequence[tuple[Sequence[str], Grouped]], *, rng: np.random.Generator
) -> tuple[FairnessReport, ...]:
    """Measure every group and judge every criterion, the p-values corrected over all groupings.

    Parameters
    ----------
    predictions : Predictions
    groupings : sequence of (columns, Grouped)
        The names of the columns, and the rows' groups in the order of the predictions.
    rng : Generator
        For permutations, where counts are small.

    Raises
    ------
    InvalidInput
        A grouping has not one group per row.
    """
    found = [(tuple(columns), *_report(predictions, grouped, rng)) for columns, grouped in groupings]
    tested = [criterion.pvalue for _, _, criteria in found for criterion in criteria if criterion.pvalue is not None]
    corrected = iter(holm(tested).tolist())
    return tuple(
        FairnessReport(
            columns,
            groups,
            tuple(_read(criterion, None if criterion.pvalue is None else next(corrected)) for criterion in criteria),
            len(tested),
        )
        for columns, groups, criteria in found
    )


def fairness_change(
    columns: Mapping[str, NDArray[Any]],
    baseline: Predictions | None,
    candidate: Predictions,
    *,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Describe the group gaps of the sensitive columns before and after, ready to be kept as evidence.

    The p-values of all columns are corrected together, so that equal groups read as a gap in at most 5 % of requests.

    Parameters
    ----------
    columns : mapping of name to ndarray of shape (n,)
        Each sensitive column's values, as strings.
    baseline : Predictions or None
        What is live, over the same rows in the same order as the candidate; None where nothing is.
    rng : Generator

    Returns
    -------
    list of dict
        ``column``, ``criterion``, ``title``, ``measure``, ``before`` (gap, or None) with ``before_low`` and
        ``before_high``, ``after`` (gap) with ``low`` and ``high``, ``ratio`` with ``ratio_low`` and ``ratio_high``,
        ``highest``, ``lowest``, ``n_small``, ``reading``, ``four_fifths`` (its reading, or None) and ``sentence``; one
        per column and criterion, column by column, the largest gap first. Empty where no two groups are large enough.
    """
    groupings = [((column,), _named(column, values)) for column, values in columns.items()]
    after = fairness_reports(candidate, groupings, rng=rng)
    before = [None] * len(after) if baseline is None else fairness_reports(baseline, groupings, rng=rng)
    return [
        entry
        for column, one, earlier in zip(columns, after, before, strict=True)
        for entry in _changes(column, earlier, one)
    ]


def _named(column: str, groups: NDArray[Any]) -> Grouped:
    position: dict[str, int] = {}
    codes = np.fromiter((position.setdefault(str(group), len(position)) for group in groups), np.int64, len(groups))
    return Grouped(column, tuple(position), codes)


def _changes(column: str, before: FairnessReport | None, after: FairnessReport) -> list[dict[str, Any]]:
    earlier = {} if before is None else {one.key: one for one in before.criteria if one.difference is not None}
    rule = next((one for one in after.criteria if one.key == "four_fifths" and one.reading != "undefined"), None)
    entries = []
    judged = [one for one in after.criteria if one.difference is not None and one.key != "four_fifths"]
    for one in sorted(judged, key=lambda criterion: -(criterion.difference or 0.0)):
        was = earlier.get(one.key)
        entries.append(
            {
                "column": column,
                "criterion": one.key,
                "title": one.title,
                "measure": one.measure,
                "before": None if was is None else was.difference,
                "before_low": None if was is None else was.difference_low,
                "before_high": None if was is None else was.difference_high,
                "after": one.difference,
                "low": one.difference_low,
                "high": one.difference_high,
                "ratio": one.ratio,
                "ratio_low": one.ratio_low,
                "ratio_high": one.ratio_high,
                "highest": one.highest,
                "lowest": one.lowest,
                "n_small": one.n_small,
                "reading": one.reading,
                "four_fifths": rule.reading if rule and one.key == "demographic_parity" else None,
                "sentence": _change_sentence(one, was),
            }
        )
    return entries


def _change_sentence(after: Criterion, before: Criterion | None) -> str:
    assert after.difference is not None
    assert after.difference_low is not None
    assert after.difference_high is not None
    now = f"{figure(after.difference)} [{figure(after.difference_low)}, {figure(after.difference_high)}]"
    said = f"{after.title}: a gap of {now}, {_against(after)}."
    if before is not None and before.difference is not None:
        assert before.difference_low is not None
        assert before.difference_high is not None
        said += (
            f" It was {figure(before.difference)} "
            f"[{figure(before.difference_low)}, {figure(before.difference_high)}] before."
        )
    if after.n_small:
        said += " " + _small(after.n_small)
    return said


def _against(one: Criterion) -> str:
    """The two groups furthest apart: "share predicted positive 0.250 in Male against 0.080 in Female"."""
    if one.difference == 0 or one.highest_value is None or one.lowest_value is None:
        return f"{measure_kind(one.measure).title} alike in all groups"
    return (
        f"{measure_kind(one.measure).title} {figure(one.highest_value)} in {one.highest} "
        f"against {figure(one.lowest_value)} in {one.lowest}"
    )


def _small(n: int) -> str:
    return "1 group is too small to judge." if n == 1 else f"{n} groups are too small to judge."


class _Gap(NamedTuple):
    difference: float
    low: float
    high: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    highest: int
    lowest: int


def _report(
    predictions: Predictions, grouped: Grouped, rng: np.random.Generator
) -> tuple[tuple[GroupResult, ...], tuple[Criterion, ...]]:
    codes, k = grouped.codes, len(grouped.labels)
    if len(codes) != predictions.n_rows:
        raise InvalidInput(f"{len(codes):,} groups were given for {predictions.n_rows:,} rows; give one per row.")
    cells = cells_of(predictions, codes, k)
    present = np.ones(len(codes), dtype=bool) if predictions.sample_weight is None else predictions.sample_weight > 0
    sizes = np.bincount(codes[present], minlength=k)
    figures: list[dict[str, GroupFigure]] = [
        {key: one.figure(group) for key, one in cells.items()} for group in range(k)
    ]
    if predictions.task is Task.BINARY and predictions.scores is not None:
        for group in range(k):
            figures[group]["calibration_error"] = calibration_error_of(predictions, np.flatnonzero(codes == group))
    results = tuple(GroupResult(label, int(sizes[group]), figures[group]) for group, label in enumerate(grouped.labels))
    keys: tuple[str, ...] = BY_TASK[predictions.task]
    if predictions.task is Task.MULTICLASS:
        keys = (*keys, *(key for key in cells if key.startswith(RECALL_OF)))
    return results, tuple(_criterion(key, cells, grouped.labels, rng) for key in keys)


def _criterion(key: str, cells: Mapping[str, Cells], labels: Sequence[str], rng: np.random.Generator) -> Criterion:
    kind = criterion_kind(key)
    parts = {measure: cells[measure] for measure in kind.measures}
    small: set[int] = set()
    for one in parts.values():
        small |= set(np.flatnonzero(one.n < MIN_GROUP_ROWS).tolist())
    # Measures of different rows are independent, so this keeps 95 % for all of them together.
    level = CONFIDENCE ** (1 / len(parts))
    gaps = {measure: _gap(one, level) for measure, one in parts.items() if len(one.large) >= 2}
    n_groups = min(len(one.large) for one in parts.values())
    blank = Criterion(
        key, kind.title, kind.sentence, kind.measures[0], None, None, None, None, None, None, "", "", None, None,
        n_groups, len(small), None, None, "undefined", "",
    )  # fmt: skip
    if len(gaps) < len(parts):
        return blank
    widest = max(gaps, key=lambda measure: gaps[measure].difference)
    gap = gaps[widest]
    ratios = [one for one in gaps.values() if one.ratio is not None]
    whole = bool(ratios) and len(ratios) == len(gaps)
    return replace(
        blank,
        measure=widest,
        difference=gap.difference,
        difference_low=max(one.low for one in gaps.values()),
        difference_high=max(one.high for one in gaps.values()),
        ratio=min(one.ratio or 0.0 for one in ratios) if whole else None,
        ratio_low=min(one.ratio_low or 0.0 for one in ratios) if whole else None,
        ratio_high=min(1.0 if one.ratio_high is None else one.ratio_high for one in ratios) if whole else None,
        highest=labels[gap.highest],
        lowest=labels[gap.lowest],
        highest_value=float(parts[widest].value[gap.highest]),
        lowest_value=float(parts[widest].value[gap.lowest]),
        pvalue=None if key == "four_fifths" else _all_equal(list(parts.values()), rng),
    )


def _read(one: Criterion, corrected: float | None) -> Criterion:
    """Say what a criterion's figures mean, once its corrected p-value is known."""
    small = f" {_small(one.n_small)}" if one.n_small else ""
    reading: Reading
    if one.difference is None or (one.key == "four_fifths" and one.ratio is None):
        reading = "undefined"
        if one.difference is not None:
            said = "Nobody is called positive, so there is no ratio."
        elif one.n_groups == 0:
            said = f"No group has {MIN_GROUP_ROWS} rows that count."
        else:
            said = f"Fewer than two groups have {MIN_GROUP_ROWS} rows that count."
    elif one.key == "four_fifths":
        assert one.ratio_low is not None
        assert one.ratio_high is not None
        if one.ratio_high < FOUR_FIFTHS:
            reading, said = "below", f"Not kept: {one.lowest} against {one.highest}."
        elif one.ratio_low >= FOUR_FIFTHS:
            reading, said = "above", "Kept: the interval lies above 0.8."
        else:
            reading, said = "cannot_be_told", "With these rows it cannot be told: 0.8 lies in the interval."
    else:
        excludes = one.difference_low is not None and one.difference_low > 0
        unlikely = corrected is not None and corrected <= ALPHA
        if excludes and unlikely:
            reading, said = "gap", _faring(one)
        elif excludes:
            reading, said = "may_be_chance", "The interval leaves out 0, but among so many tests it may be chance."
        else:
            reading, said = "no_gap_shown", "No gap is shown: the interval reaches 0."
    return replace(one, corrected=corrected, reading=reading, words=said + small)


def _faring(one: Criterion) -> str:
    """Who fares best and worst, where the measure says so: "Male fares best (0.690) and Female worst (0.608)."."""
    highest, lowest = (
        f"{group} {{}} ({figure(value or 0.0)})"
        for group, value in ((one.highest, one.highest_value), (one.lowest, one.lowest_value))
    )
    better = measure_kind(one.measure).better
    if better == "high":
        said = f"{highest.format('fares best')} and {lowest.format('worst')}."
    elif better == "low":
        said = f"{lowest.format('fares best')} and {highest.format('worst')}."
    else:
        said = f"{highest.format('highest')} and {lowest.format('lowest')}."
    whole = len(criterion_kind(one.key).measures) == 1
    return said if whole else f"By the {measure_kind(one.measure).title}, {said}"


def _gap(cells: Cells, confidence_level: float) -> _Gap:
    """Largest minus smallest and smallest over largest of the large groups, by intervals of all pairs at once.

    A difference's interval combines the two groups' own (Zou and Donner 2008, doi:10.1002/sim.3095; Newcombe's hybrid
    score for shares), a ratio's likewise (Donner and Zou 2012, doi:10.1177/0962280210383010, equation 9).
    """
    large = cells.large
    value = cells.value[large]
    level = pair_level(len(large), confidence_level)
    ends = np.array([cells.interval(int(group), level) for group in large])
    down, up = value - ends[:, 0], ends[:, 1] - value
    apart = value[:, None] - value[None, :]
    lows = apart - np.hypot(down[:, None], up[None, :])
    highs = apart + np.hypot(up[:, None], down[None, :])
    other = ~np.eye(len(large), dtype=bool)
    most = cells.high - cells.low
    difference = float(value.max() - value.min())
    ratio = ratio_low = ratio_high = None
    if cells.low == 0 and value.max() > 0:
        first, second = value[:, None], value[None, :]
        low1, high1 = ends[:, 0][:, None], ends[:, 1][:, None]
        low2, high2 = ends[:, 0][None, :], ends[:, 1][None, :]
        judged = other & (second > 0)
        lowest = _ratio_end(first, second, low1, high2, sign=-1.0)[judged]
        highest = _ratio_end(first, second, high1, low2, sign=1.0)[judged]
        ratio = float(value.min() / value.max())
        ratio_low = float(np.clip(lowest.min(), 0.0, ratio))
        ratio_high = float(np.clip(highest.min(), ratio, 1.0))
    return _Gap(
        difference,
        min(difference, max(0.0, float(lows[other].max()))),
        max(difference, min(most, float(highs[other].max()))),
        ratio,
        ratio_low,
        ratio_high,
        int(large[int(value.argmax())]),
        int(large[int(value.argmin())]),
    )


def _ratio_end(first: Floats, second: Floats, end: Floats, other_end: Floats, *, sign: float) -> Floats:
    """One end of each ratio first / second, from the ends of the two intervals; 0 or infinite where there is none."""
    product = first * second
    inside = product**2 - end * other_end * (2 * first - end) * (2 * second - other_end)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (product + sign * np.sqrt(np.clip(inside, 0, None))) / (other_end * (2 * second - other_end))
    return np.asarray(np.where(np.isfinite(found), found, 0.0 if sign < 0 else np.inf))


@lru_cache(maxsize=256)
def pair_level(n_groups: int, confidence_level: float = CONFIDENCE) -> float:
    """The level at which each pair's interval must hold for all pairs of groups to hold together.

    From the range of ``n_groups`` standard normals: its quantile over the root of 2 is the critical value of a pair.
    For two groups it is the level itself; with groups of unequal size it holds more than asked.

    References
    ----------
    Kramer (1956), Biometrics 12, 307-310; Hayter (1984), Annals of Statistics 12, 61-75, that it is conservative.
    """
    from scipy.special import ndtr

    if n_groups <= 2:
        return confidence_level
    z = np.linspace(-9, 9, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    def excess(q: float) -> float:
        inside = n_groups * float(np.trapezoid(density * (ndtr(z) - ndtr(z - q)) ** (n_groups - 1), z))
        return inside - confidence_level

    return 2 * NormalDist().cdf(bisect(excess, 15.0, 0.0) / math.sqrt(2)) - 1


def _all_equal(parts: Sequence[Cells], rng: np.random.Generator) -> float:
    """The p-value of all large groups having the same value, by every part together."""
    if parts[0].spread is not None:
        return _welch(parts[0])
    return _shares_equal([(one.value[one.large], one.size[one.large]) for one in parts], rng)


def _shares_equal(parts: Sequence[tuple[Floats, Floats]], rng: np.random.Generator) -> float:
    """Pearson's chi-square of the counts, summed over independent tables; permuted where a cell expects too few."""
    from scipy.special import chdtrc

    statistic, freedom, sparse = 0.0, 0, False
    for value, size in parts:
        common = float(value @ size / size.sum())
        if 0 < common < 1:
            statistic += float((size * (value - common) ** 2).sum() / (common * (1 - common)))
            freedom += len(size) - 1
            sparse |= bool(size.min() * min(common, 1 - common) < MIN_EXPECTED)
    if not freedom:
        return 1.0
    if not sparse:
        return float(chdtrc(freedom, statistic))
    seen, drawn = 0.0, np.zeros(N_PERMUTATIONS)
    for value, size in parts:
        sizes = np.maximum(1, np.round(size)).astype(np.int64)
        hits = np.round(value * sizes).astype(np.int64)
        common = hits.sum() / sizes.sum()
        if 0 < common < 1:
            scale = common * (1 - common)
            seen += float((sizes * (hits / sizes - common) ** 2).sum() / scale)
            # "marginals" walks group by group; its cost does not grow with the number of rows.
            permuted = rng.multivariate_hypergeometric(sizes, int(hits.sum()), size=N_PERMUTATIONS, method="marginals")
            drawn += (sizes * (permuted / sizes - common) ** 2).sum(axis=1) / scale
    return float((1 + (drawn >= seen * (1 - 1e-12)).sum()) / (1 + N_PERMUTATIONS))


def _welch(cells: Cells) -> float:
    """Welch's analysis of variance, which lets groups vary differently; 1 where no group varies and all are equal.

    References
    ----------
    Welch (1951), On the comparison of several mean values, Biometrika 38, 330-336.
    """
    from scipy.special import fdtrc

    assert cells.spread is not None
    value, size, spread = (one[cells.large] for one in (cells.value, cells.size, cells.spread))
    if (spread == 0).any():
        # Without spread any difference is certain; with it in some groups only, the others' weight would be infinite.
        if value.max() == value.min():
            return 1.0
        if not spread.any():
            return 0.0
        spread = np.maximum(spread, spread[spread > 0].min())
    k = len(value)
    weight = size / spread**2
    mean = float(weight @ value / weight.sum())
    loose = float(((1 - weight / weight.sum()) ** 2 / np.maximum(size - 1, 1)).sum())
    statistic = float(weight @ (value - mean) ** 2) / (k - 1) / (1 + 2 * (k - 2) / (k * k - 1) * loose)
    return float(fdtrc(k - 1, (k * k - 1) / (3 * loose), statistic))
