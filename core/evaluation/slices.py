"""Slices: parts of the rows chosen by the values of columns, and how a metric fares in each. Pure.

A column is put into a few groups (`group_column`): a category by its values, numbers into quarters, dates into days,
months or years; a missing value is a group of its own. One group of a column, or one of each of several columns, is a
slice. Its metric is held against the same metric on all other rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.measures import Measured
from core.evaluation.metrics import Metric, MetricEstimate, measure
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics import intervals
from core.statistics.intervals import CONFIDENCE, Interval
from core.statistics.multiple_testing import holm

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COLUMNS = 4
MOST_VALUES = 12
MOST_CROSSED = 3
MOST_SLICES = 150
MIN_ROWS = 30
SPIKE = 0.25
LONGEST_VALUE = 80
MISSING, OTHER = "missing", "other values"

Reading = Literal["worse", "better", "alike", "too_small"]


@dataclass(frozen=True, eq=False)
class Grouped:
    """The rows of one column, put into groups.

    Parameters
    ----------
    name : str
        The column.
    labels : tuple of str
        Each group in words: numbers and dates ascending, categories by falling count, what is missing last.
    codes : ndarray of shape (n,), int64
        Each row's position in ``labels``.
    other : int or None
        The group that holds the rarer values of a column with too many, where there is one; it is no condition that
        could be acted on.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    other: int | None = None


@dataclass(frozen=True)
class Slice:
    """One slice: its metric against the same metric on the other rows.

    Parameters
    ----------
    conditions : tuple of (column, value)
        All of them hold in the slice.
    n_rows : int
    value, low, high : float or None
        The metric in the slice with its 95 % interval.
    rest : float or None
        The metric on the rows outside it.
    difference, difference_low, difference_high : float or None
        Slice minus rest, with its 95 % interval.
    pvalue, corrected : float or None
        Two-sided, of no difference; as it is, and corrected for the number of slices looked at (Holm).
    reading : {"worse", "better", "alike", "too_small"}
        Worse or better where the corrected p-value is at most 0.05; "too_small" where no comparison was made.
    reason : str
        Why there is no figure or no comparison; empty where there is.
    """

    conditions: tuple[tuple[str, str], ...]
    n_rows: int
    value: float | None
    low: float | None
    high: float | None
    rest: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    pvalue: float | None
    corrected: float | None
    reading: Reading
    reason: str

    @property
    def words(self) -> str:
        """The slice in words: "sex = Female and age = 17 to 28"."""
        return in_words(self.conditions)


@dataclass(frozen=True)
class SliceReport:
    """A metric on all rows and in each slice.

    Parameters
    ----------
    n_compared : int
        How many comparisons the correction allows for.
    n_left_out : int
        Slices not measured because there were too many; the smallest.
    """

    metric: str
    overall: MetricEstimate
    n_rows: int
    n_compared: int
    n_left_out: int
    slices: tuple[Slice, ...]


def in_words(conditions: Sequence[tuple[str, str]]) -> str:
    """Conditions as one phrase."""
    return " and ".join(f"{column} = {value}" for column, value in conditions)


def slice_columns(
    columns: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any],
    *,
    sensitive: Sequence[str],
    target: str,
    most: int = MOST_COLUMNS,
) -> list[str]:
    """Choose the columns to slice by without looking at predictions: sensitive ones, then categories of fewest values.

    A category of one value, or of more than twelve, tells little and is passed over.

    Parameters
    ----------
    columns : sequence of {"name", "kind"}
        As a dataset version keeps them.
    profile : mapping
        The version's.
    most : int
        At most so many categories besides the sensitive columns.
    """
    distinct = {entry["name"]: entry["n_distinct"] for entry in profile.get("columns", [])}
    names = [entry["name"] for entry in columns if entry["name"] != target]
    kinds = {entry["name"]: entry["kind"] for entry in columns}
    categories = [
        name
        for name in names
        if name not in sensitive
        and kinds[name] in ("category", "boolean")
        and 2 <= distinct.get(name, 0) <= MOST_VALUES
    ]
    categories.sort(key=lambda name: (distinct[name], name))
    return [name for name in names if name in sensitive] + categories[:most]


def groups(values: Sequence[Any]) -> NDArray[Any]:
    """Name each value's group as `group_column` does, keeping every value of a category.

    Returns
    -------
    ndarray of shape (n,), object
        Strings; "missing" where there is no value.
    """
    import pyarrow as pa

    try:
        column = pa.array(list(values))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        column = pa.array([None if value is None else str(value) for value in values])
    found = group_column("", column, most_values=None)
    return np.array(found.labels, dtype=object)[found.codes] if len(values) else np.empty(0, dtype=object)


def group_column(name: str, column: pa.ChunkedArray | pa.Array, *, most_values: int | None = MOST_VALUES) -> Grouped:
    """Put a column's rows into groups.

    Numbers and dates of at most twelve values, and all categories, are grouped by value. More numbers are cut at their
    quarters, at edges rounded to be readable; a number equal to an edge lies in the lower group. A value that a quarter
    of the rows share is a group of its own, and the others are cut without it. More dates are taken by day, month or
    year, the finest that gives at most twelve, or by quarters of the years.

    Parameters
    ----------
    most_values : int or None
        A category with more values keeps the most frequent, one fewer than this; the others are one group, "other
        values". None keeps all.

    Returns
    -------
    Grouped
        Every group holds a row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = whole.type.value_type if pa.types.is_dictionary(whole.type) else whole.type
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(whole, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        labels, codes = _by_number(numbers)
    elif pa.types.is_temporal(kind) and not (pa.types.is_time(kind) or pa.types.is_duration(kind)):
        labels, codes = _by_date(pc.cast(whole, pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False))
    elif pa.types.is_null(kind):
        labels, codes = [], np.full(len(whole), -1, dtype=np.int64)
    else:
        labels, codes, other = _by_value(whole, most_values)
        return _grouped(name, labels, codes, other)
    return _grouped(name, labels, codes, None)


def crossed(columns: Sequence[Grouped]) -> Iterator[tuple[tuple[tuple[str, str], ...], NDArray[np.intp]]]:
    """Every combination of groups that occurs, in the order of their labels.

    Yields
    ------
    conditions : tuple of (column, value)
    rows : ndarray
        Positions of its rows, ascending.
    """
    key = np.zeros(len(columns[0].codes), dtype=np.int64)
    for column in columns:
        key = key * len(column.labels) + column.codes
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order])) + 1
    for rows in np.split(order, ends) if len(order) else []:
        row = rows[0]
        yield tuple((column.name, column.labels[column.codes[row]]) for column in columns), rows


def tells(loss: NDArray[np.float64], column: Grouped) -> float:
    """How much a column's groups tell of a per-row loss: the share of its variance that lies between them.

    Corrected for what chance puts there (epsilon squared), so it is about 0, or below, for a column that tells nothing
    however many groups it has. Rows count alike: it orders columns and says nothing of them.

    References
    ----------
    Kelley (1935), An unbiased correlation ratio measure, PNAS 21:554.
    """
    n, k = len(loss), len(column.labels)
    total = float(((loss - loss.mean()) ** 2).sum()) if n else 0.0
    if k < 2 or n <= k or total <= 0:
        return 0.0
    sizes = np.bincount(column.codes, minlength=k)
    means = np.bincount(column.codes, weights=loss, minlength=k) / np.maximum(sizes, 1)
    between = float(sizes @ (means - loss.mean()) ** 2)
    return (between - (k - 1) * (total - between) / (n - k)) / total


def wrong(predictions: Predictions) -> NDArray[np.float64]:
    """The plainest loss of each row: 1 for a wrong class and 0 for the right one; the absolute error of a number."""
    if predictions.task is Task.REGRESSION:
        return np.asarray(np.abs(predictions.y_pred - predictions.y_true), dtype=np.float64)
    return np.asarray(predictions.y_pred != predictions.y_true, dtype=np.float64)


def measure_slices(
    predictions: Predictions,
    crossings: Sequence[Sequence[Grouped]],
    entry: Metric,
    *,
    costs: Mapping[str, Any] | None = None,
    min_rows: int = MIN_ROWS,
    n_looked_at: int = 0,
    most: int = MOST_SLICES,
) -> SliceReport:
    """Measure a metric in every slice, and hold each against the rest of the rows.

    The interval of a difference combines the metric's own intervals in the slice and in the rest, which share no row
    (Zou and Donner 2008; for shares this is Newcombe's hybrid score interval). The p-value agrees with it: it is
    Student's for the distance from 0 over the half width on that side.

    Parameters
    ----------
    predictions : Predictions
    crossings : sequence of sequences of Grouped
        Each gives the slices of its columns' combinations; codes are aligned with the predictions.
    entry : Metric
    costs : mapping, optional
        As `Outcome` takes them; for a metric that needs them.
    min_rows : int
        A slice of fewer rows of a weight above 0, or one whose rest has fewer, is shown without a comparison.
    n_looked_at : int
        How many slices there were to choose from, where these were chosen by their losses; the correction then allows
        for that many.
    most : int
        Of the combinations of one crossing at most so many are measured, the largest.

    Returns
    -------
    SliceReport
        Slices in the order of the crossings and labels.

    Raises
    ------
    NotApplicable
        The metric is not for the task, or not defined on the rows as a whole.
    """
    whole = Outcome(predictions, costs=costs)
    overall, _ = _estimate(entry, whole, measure(entry, whole))
    found: list[Slice] = []
    tests: list[int] = []
    n_left_out = 0
    for columns in crossings:
        _check_crossing(columns, predictions)
        parts = list(crossed(columns))
        if len(parts) > most:
            n_left_out += len(parts) - most
            smallest = sorted((len(rows) for _, rows in parts), reverse=True)[most - 1]
            parts = [part for part in parts if len(part[1]) >= smallest][:most]
        for place, (conditions, rows) in enumerate(parts):
            one = _held_against_rest(whole, conditions, rows, entry, min_rows)
            found.append(one)
            # Two slices that are each other's rest are one comparison.
            if one.pvalue is not None and not (len(parts) == 2 and place == 1 and tests[-1:] == [len(found) - 2]):
                tests.append(len(found) - 1)
    n_compared = max(len(tests), n_looked_at)
    padded = [found[place].pvalue or 0.0 for place in tests] + [1.0] * (n_compared - len(tests))
    corrected = dict(zip(tests, holm(padded).tolist(), strict=False))
    slices = []
    for place, one in enumerate(found):
        if one.pvalue is None:
            slices.append(one)
            continue
        level = corrected.get(place, corrected.get(place - 1, 1.0))
        slices.append(_read(one, level, entry))
    return SliceReport(entry.key, overall, predictions.n_rows, n_compared, n_left_out, tuple(slices))


def _check_crossing(columns: Sequence[Grouped], predictions: Predictions) -> None:
    if not 1 <= len(columns) <= MOST_CROSSED:
        raise InvalidInput(f"{len(columns)} columns were given for one set of slices; give one to {MOST_CROSSED}.")
    for column in columns:
        if len(column.codes) != predictions.n_rows:
            raise InvalidInput(
                f"Column {column.name!r} has {len(column.codes):,} values for {predictions.n_rows:,} rows; "
                "give one per row."
            )


def _read(one: Slice, corrected: float, entry: Metric) -> Slice:
    assert one.difference is not None
    reading: Reading = "alike"
    if corrected <= 1 - CONFIDENCE + 1e-12:
        reading = "better" if (one.difference > 0) == entry.greater_is_better else "worse"
    return replace(one, corrected=corrected, reading=reading)


def _held_against_rest(
    whole: Outcome, conditions: tuple[tuple[str, str], ...], rows: NDArray[np.intp], entry: Metric, min_rows: int
) -> Slice:
    inside = _part(whole, rows)
    n, n_rest = len(rows), whole.n_counted - inside.n_counted
    if inside.n_counted < min_rows:
        return _unsaid(conditions, n, f"Fewer than {min_rows} rows{' that count' * whole.is_weighted}.")
    try:
        measured = measure(entry, inside)
    except NotApplicable as error:
        return _unsaid(conditions, n, str(error))
    estimate, interval = _estimate(entry, inside, measured)
    if interval is None:
        return _unsaid(conditions, n, "Too few rows of a class, true or predicted, for an interval.", estimate)
    if n_rest < min_rows:
        return _unsaid(conditions, n, f"Fewer than {min_rows} rows are outside it.", estimate)
    other = np.ones(whole.n_rows, dtype=bool)
    other[rows] = False
    outside = _part(whole, np.flatnonzero(other))
    try:
        rest = measure(entry, outside)
    except NotApplicable as error:
        return _unsaid(conditions, n, f"On the other rows: {error}", estimate)
    rest_estimate, rest_interval = _estimate(entry, outside, rest)
    if rest_interval is None:
        return _unsaid(conditions, n, "Too few other rows of a class, true or predicted, for an interval.", estimate)
    difference = estimate.value - rest_estimate.value
    span = intervals.combine([1, -1], [estimate.value, rest_estimate.value], [interval, rest_interval])
    if entry.needs == "scores" or whole.is_regression or entry.key in _BY_DELTA:
        span = _widened(difference, span, (measured, rest), (inside.n_counted, outside.n_counted))
    df = min(_freedom(entry, inside), _freedom(entry, outside))
    return Slice(
        conditions, n, estimate.value, estimate.low, estimate.high, rest_estimate.value,
        difference, span.low, span.high, agreeing_pvalue(difference, span, df), None, "alike", "",
    )  # fmt: skip


def _widened(
    difference: float, interval: Interval, measured: tuple[Measured, Measured], sizes: tuple[int, int]
) -> Interval:
    """At least as wide as if the rows of both parts were spread alike.

    A small slice often holds none of the rare rows of a large loss and then looks surer than it can be: of slices cut
    at random out of heavy-tailed errors, one in eight had an RMSE "unlike" the rest's. Metrics of labels need it only
    where their intervals are the delta method's: those made of shares allow for what was not seen.
    """
    if not all(len(one.influence) for one in measured):
        return interval
    # A row's influence times the rows is its share in the value, whose variance is that of one row.
    spread = [size * one.standard_error**2 for size, one in zip(sizes, measured, strict=True)]
    pooled = sum(size * part for size, part in zip(sizes, spread, strict=True)) / sum(sizes)
    half = intervals.normal_quantile() * math.sqrt(pooled * sum(1 / size for size in sizes))
    return Interval(min(interval.low, difference - half), max(interval.high, difference + half))


def agreeing_pvalue(difference: float, interval: Interval, df: float) -> float:
    """The two-sided p-value of no difference that a 95 % interval implies.

    Student's t of the difference over its standard error, which is the interval's half width towards 0 over the
    quantile. So it is at most 0.05 exactly where the interval leaves 0 out.

    Parameters
    ----------
    df : float
        Degrees of freedom, > 0: how many rows the estimate rests on, less one.
    """
    half = difference - interval.low if difference > 0 else interval.high - difference
    if difference == 0:
        return 1.0
    if half <= 0:
        return 0.0
    return intervals.t_pvalue(abs(difference) / half * intervals.t_quantile(df), df)


def _unsaid(
    conditions: tuple[tuple[str, str], ...], n: int, reason: str, estimate: MetricEstimate | None = None
) -> Slice:
    value, low, high = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return Slice(conditions, n, value, low, high, None, None, None, None, None, None, "too_small", reason)


def _part(whole: Outcome, rows: NDArray[np.intp]) -> Outcome:
    part = replace(whole, predictions=whole.predictions.take(rows), shared_labels=whole.labels)
    # The labels' positions are known already; looking up each word again would take most of the time.
    vars(part).update(y_true=whole.y_true[rows], y_pred=whole.y_pred[rows])
    return part


def _estimate(entry: Metric, outcome: Outcome, measured: Measured) -> tuple[MetricEstimate, Interval | None]:
    found = entry.interval(outcome, measured) if outcome.n_counted > 1 else None
    if found is None or not (math.isfinite(found.low) and math.isfinite(found.high)):
        return MetricEstimate(entry.key, measured.value, None, None), None
    interval = Interval(max(entry.low, float(found.low)), min(entry.high, float(found.high)))
    return MetricEstimate(entry.key, measured.value, interval.low, interval.high), interval


def _freedom(entry: Metric, outcome: Outcome) -> float:
    """How many rows of equal weight the metric rests on, less one."""
    n = outcome.n_effective
    if entry.key in _BY_RAREST:
        sizes = outcome.confusion.sum(axis=1)
        if entry.key == "expected_calibration_error" and not outcome.is_binary:
            right = np.eye(len(sizes), dtype=bool)
            n = min(outcome.effective(right), outcome.effective(~right))
        elif outcome.is_binary:
            n = min(outcome.effective(1), outcome.effective(np.arange(len(sizes)) != 1))
        else:
            n = min(outcome.effective(int(code)) for code in np.flatnonzero(sizes > 0))
    elif entry.key in ("recall", "average_precision", "lift"):
        n = outcome.effective(1)
    elif entry.key == "precision":
        n = outcome.effective((slice(None), 1))
    return max(1.0, n - 1)


# These rest on each class by itself; of the many rows of a common one they know no more than of the few of a rare one.
_BY_RAREST = frozenset(
    {
        "roc_auc", "balanced_accuracy", "matthews_correlation", "cohen_kappa", "f1", "f0_5", "f2", "macro_f1",
        "macro_precision", "expected_calibration_error",
    }
)  # fmt: skip
# Metrics of labels whose intervals are the delta method's.
_BY_DELTA = frozenset({"matthews_correlation", "cohen_kappa", "weighted_f1"})


def _grouped(name: str, labels: Sequence[str], codes: NDArray[np.int64], other: int | None) -> Grouped:
    """Drop groups without rows, and put what has no group (-1) last, as missing."""
    named = [*labels, MISSING]
    placed = np.where(codes < 0, len(labels), codes)
    kept = np.flatnonzero(np.bincount(placed, minlength=len(named)))
    position = np.full(len(named), -1, dtype=np.int64)
    position[kept] = np.arange(len(kept))
    return Grouped(
        name,
        tuple(named[place] for place in kept),
        position[placed],
        None if other is None or position[other] < 0 else int(position[other]),
    )


def _by_value(column: Any, most_values: int | None) -> tuple[list[str], NDArray[np.int64], int | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "True", "False")
    elif not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    encoded = column.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    order = sorted(range(len(words)), key=lambda place: (-int(counts[place]), words[place]))
    too_many = most_values is not None and len(words) > most_values
    kept = order[: most_values - 1] if too_many and most_values is not None else order
    position = np.full(len(words) + 1, len(kept), dtype=np.int64)
    position[kept] = np.arange(len(kept))
    position[-1] = -1
    labels = [_value_text(words[place]) for place in kept]
    return ([*labels, OTHER] if too_many else labels), position[codes], len(kept) if too_many else None


def _value_text(word: str) -> str:
    """A category's value, in quotes where it reads like the name of a group of ours."""
    shown = word if len(word) <= LONGEST_VALUE else word[: LONGEST_VALUE - 1] + "…"
    return f'"{shown}"' if shown in (MISSING, OTHER, "") else shown


def _by_number(numbers: NDArray[np.float64]) -> tuple[list[str], NDArray[np.int64]]:
    codes = np.full(len(numbers), -1, dtype=np.int64)
    present = np.isfinite(numbers)
    values = numbers[present]
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= MOST_VALUES:
        codes[present] = place
        return [_number_text(value) for value in distinct], codes
    spikes = distinct[counts >= SPIKE * len(values)]
    cut = values[~np.isin(values, spikes)]
    edges = _edges(cut, whole=bool((distinct == np.floor(distinct)).all()))
    bands = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    # Keyed by where each begins, so that a value of its own stands among the bands it lies between.
    named = {(float(low), 1): _band_text(low, high, spikes) for low, high in pairwise(edges)}
    named |= {(float(value), 0): _number_text(value) for value in spikes}
    keys = sorted(named)
    band_code = np.array([keys.index((float(low), 1)) for low, _ in pairwise(edges)])
    coded = band_code[bands]
    for value in spikes:
        coded[values == value] = keys.index((float(value), 0))
    codes[present] = coded
    return [named[one] for one in keys], codes


def _edges(values: NDArray[np.float64], *, whole: bool) -> NDArray[np.float64]:
    """Edges of the quarters, rounded to a step far below the narrowest, the outer ones outwards."""
    edges = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    step = 10.0 ** math.floor(math.log10(float(np.diff(edges).min()) / 10))
    step = max(step, 1.0) if whole else step
    scaled = edges / step
    if not (np.abs(scaled) < 1e15).all():  # rounding would do nothing, or overflow
        return edges
    inner = np.round(scaled[1:-1])
    rounded = np.concatenate([[np.floor(scaled[0] + 1e-9)], inner, [np.ceil(scaled[-1] - 1e-9)]]) * step
    return rounded if (np.diff(rounded) > 0).all() else edges


def _band_text(low: float, high: float, spikes: NDArray[np.float64]) -> str:
    inside = [_number_text(value) for value in spikes if low <= value <= high]
    named = f"{_number_text(low)} to {_number_text(high)}"
    return f"{named}, not {' or '.join(inside)}" if inside else named


def _number_text(value: float) -> str:
    if value == 0:
        return "0"
    if value == math.floor(value) and abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.6g}"


def _by_date(moments: NDArray[np.datetime64]) -> tuple[list[str], NDArray[np.int64]]:
    codes = np.full(len(moments), -1, dtype=np.int64)
    present = ~np.isnat(moments)
    units: tuple[Literal["D", "M", "Y"], ...] = ("D", "M", "Y")
    for unit in units:
        distinct, place = np.unique(moments[present].astype(f"datetime64[{unit}]"), return_inverse=True)
        if len(distinct) <= MOST_VALUES:
            codes[present] = place
            return [str(moment) for moment in distinct], codes
    years = moments.astype("datetime64[Y]").astype(np.float64) + 1970
    years[~present] = np.nan
    return _by_number(years)
