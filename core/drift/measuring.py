"""Measuring how far one column moved; what that amounts to is decided elsewhere. PURE.

Which tests decide for a column follows from its kind and from how many reference rows there are; a person may choose
another value test. Numbers are held against the reference by Kolmogorov-Smirnov, which needs no bins; names by
chi-square's pooled total variation, which does not take rare categories for drift. Later rows hold later dates and
times, so of those no value test decides unless a person chooses one. The missing share decides beside it, for a value
that is gone is none of those present. What the reference never held decides from 1,000 reference rows
on, for a smaller reference has not seen its own range: a new category of categories (not of text, whose words never
end, nor of booleans, which have no third), a value out of range of numbers.

All of a version's windows are judged by the same tests: the rows that count are the reference's, not the window's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS, NAMES, Family, Sample, TestOutcome, missing
from core.drift.evidence import CountedRows, binned
from core.errors import InvalidInput
from core.statistics import binning
from core.statistics.sketches import (
    MAX_COARSENESS,
    OTHER,
    CategorySketch,
    Counted,
    CountedCategories,
    NumericSketch,
    align,
    align_categories,
    coarseness,
    counted,
    counted_categories,
)

MAX_CATEGORIES = 20
PLAUSIBLE = 0.01
FAMILIES: dict[ColumnKind, Family] = {
    ColumnKind.INTEGER: "numeric",
    ColumnKind.NUMBER: "numeric",
    ColumnKind.DATE: "time",
    ColumnKind.TIMESTAMP: "time",
    ColumnKind.BOOLEAN: "boolean",
    ColumnKind.CATEGORY: "categorical",
    ColumnKind.TEXT: "text",
}

Sketch = NumericSketch | CategorySketch


@dataclass(frozen=True, eq=False)
class ColumnMeasure:
    """How far one column moved.

    Parameters
    ----------
    outcomes : tuple of TestOutcome
        Every test of the catalogue that fits, or was asked, in its order.
    streams : tuple of str
        Keys of the tests that decide.
    n_reference, n_current : int
        Rows of each sample, missing values among them.
    n_missing : int
        Rows of both that hold no value.
    named : bool
        Whether it was measured by names, not as numbers.
    coarseness : float
        How large a share of a sample one point hides, in [0, 1]: a cell of several numbers, or the names beyond the
        vocabulary taken as one. A Kolmogorov-Smirnov effect may be too small by it, a share outside the range by it at
        either end; 0 where both samples were counted exactly.
    bins : dict
        JSON: then and now on the same bins. Numeric ``edges``, categorical ``values``; ``reference`` and ``current``
        (shares of the present values), ``reference_missing``, ``current_missing`` (shares of the rows) and
        ``measures`` (effects of the tests that do not decide, by key). Empty where only the deciding tests were asked.
    """

    outcomes: tuple[TestOutcome, ...]
    streams: tuple[str, ...]
    n_reference: int
    n_current: int
    n_missing: int
    named: bool
    coarseness: float
    bins: dict[str, Any]

    @property
    def too_coarse(self) -> bool:
        """Whether sketches of numbers hide more than is allowed, so that the values themselves must be counted.

        Never of names: beyond the vocabulary they are one category by decision.
        """
        return not self.named and self.coarseness > MAX_COARSENESS

    @cached_property
    def deciding(self) -> tuple[TestOutcome, ...]:
        """Outcomes of the tests that decide, in the order of ``streams``."""
        found = {outcome.test: outcome for outcome in self.outcomes}
        return tuple(found[key] for key in self.streams)

    @cached_property
    def leading(self) -> TestOutcome:
        """The deciding outcome that says most: the largest effect among p-values below 0.01, else the smallest p-value.

        The value test's where none has any.
        """
        told = [outcome for outcome in self.deciding if outcome.pvalue is not None]
        return min(told, key=_precedence) if told else self.deciding[0]

    @property
    def test(self) -> str:
        """Key of the leading test."""
        return self.leading.test

    @property
    def effect(self) -> float | None:
        """The leading test's."""
        return self.leading.effect

    @property
    def statistic(self) -> float | None:
        """The leading test's."""
        return self.leading.statistic

    @property
    def pvalue(self) -> float | None:
        """The leading test's, times the number of deciding tests that have one: a union bound for having looked often.

        Without a missing row in either sample the missing share has nothing to say and does not count.
        """
        if self.leading.pvalue is None:
            return None
        looked = sum(
            outcome.pvalue is not None and (outcome.test != "missing_share" or self.n_missing)
            for outcome in self.deciding
        )
        return min(1.0, self.leading.pvalue * max(1, looked))


@cache
def value_tests(kind: ColumnKind | str) -> tuple[str, ...]:
    """Keys of the tests that may be chosen to decide for a column; for text those of its length too."""
    family = FAMILIES[ColumnKind(kind)]
    return tuple(
        test.key
        for test in DRIFT_TESTS.values()
        if test.role == "values" and (family in test.families or (family == "text" and "length" in test.families))
    )


def family_of(kind: ColumnKind | str, chosen: str | None = None) -> Family:
    """As what a column is measured: by its kind, and text by its length where a test of numbers alone is chosen.

    Parameters
    ----------
    kind : ColumnKind
    chosen : str, optional
        Key of the value test that shall decide.

    Raises
    ------
    InvalidInput
        There is no such test, it is no value test, or it does not fit the kind.
    """
    family, fitting = FAMILIES[ColumnKind(kind)], value_tests(kind)
    if chosen is None:
        return family
    if chosen not in fitting:
        raise InvalidInput(f"A {kind} column cannot be judged by {chosen!r}; choose one of: {', '.join(fitting)}.")
    return family if family in DRIFT_TESTS[chosen].families else "length"


def streams_of(kind: ColumnKind | str, n: int, chosen: str | None = None) -> tuple[str, ...]:
    """Keys of the tests that decide for a column: one value test, the missing share, what the reference never held.

    Dates and times have no value test unless one is chosen.

    Parameters
    ----------
    kind : ColumnKind
    n : int
        Reference rows that hold a value.
    chosen : str, optional
        Key of the value test to decide instead of the kind's own.

    Raises
    ------
    InvalidInput
        As `family_of`.
    """
    return tuple(key for key, from_rows in _streams(kind, chosen) if n >= from_rows)


@cache
def _streams(kind: ColumnKind | str, chosen: str | None) -> tuple[tuple[str, int], ...]:
    """Keys of the tests that may decide for a column, and from how many reference rows on each does."""
    family = family_of(kind, chosen)
    return tuple(
        (test.key, test.from_rows)
        for test in sorted(DRIFT_TESTS.values(), key=lambda test: test.role != "values")
        if (test.key == chosen if chosen and test.role == "values" else family in test.default_for)
    )


def measure(
    reference: Sketch | Sample,
    current: Sketch | Sample,
    kind: ColumnKind | str,
    chosen: str | None = None,
    *,
    rng: np.random.Generator | None = None,
    draw_all: bool = False,
) -> ColumnMeasure:
    """Measure how far a column's current values are from its reference.

    Parameters
    ----------
    reference, current : NumericSketch, CategorySketch or ndarray of shape (n,), (m,)
        Both sketches, or both samples, which are counted exactly: float64 with NaN for columns measured as numbers
        (`columns.sample` makes them), str or None for others.
    kind : ColumnKind
    chosen : str, optional
        Key of the value test that decides. For a text column a test of numbers means the length of its texts: the
        sketches or samples given are those of the lengths.
    rng : Generator, optional
        For p-values of the deciding tests that take drawing; without it they are None.
    draw_all : bool
        Whether those of the others are drawn too, which takes up to 0.2 s where the samples differ.

    Returns
    -------
    ColumnMeasure
        Never an error for what is in the data: where a sample has no row that a test looks at, its outcome has no
        effect.

    Raises
    ------
    InvalidInput
        The chosen test does not fit the kind, or a sample is not of the kind's type.
    """
    family = family_of(kind, chosen)
    points, rows = _side_by_side(reference, current, kind, family)
    held = {"points": points, "bins": binned(points), "rows": rows}
    streams = streams_of(kind, points.n_reference, chosen)
    outcomes = tuple(
        test.test(held[test.over], rng if draw_all or test.key in streams else None)
        for test in DRIFT_TESTS.values()
        if family in test.families
    )
    bins = _bins(points)
    for name, counts in (("reference", rows.reference), ("current", rows.current)):
        n_missing, n_present = counts.tolist()
        bins[f"{name}_missing"] = n_missing / max(1, n_missing + n_present)
    bins["measures"] = {
        outcome.test: outcome.effect
        for outcome in outcomes
        if outcome.test not in streams and outcome.effect is not None
    }
    return _measured(outcomes, streams, points, rows, bins)


def measure_deciding(
    reference: Sketch | Sample,
    current: Sketch | Sample,
    kind: ColumnKind | str,
    chosen: str | None = None,
    *,
    also: str | None = None,
) -> ColumnMeasure:
    """What `measure` says by the tests that decide, for a quarter of its cost; nothing is drawn.

    Parameters
    ----------
    reference, current, kind, chosen
        As `measure`.
    also : str, optional
        Key of one more test that is asked, where it fits.

    Returns
    -------
    ColumnMeasure
        With the outcomes of these tests alone, equal to `measure`'s, and without bins.
    """
    family = family_of(kind, chosen)
    points, rows = _side_by_side(reference, current, kind, family)
    streams = streams_of(kind, points.n_reference, chosen)
    outcomes = tuple(
        test.test(rows if test.over == "rows" else points)
        for test in DRIFT_TESTS.values()
        if family in test.families and (test.key in streams or test.key == also)
    )
    return _measured(outcomes, streams, points, rows, {})


def _measured(
    outcomes: tuple[TestOutcome, ...],
    streams: tuple[str, ...],
    points: Counted | CountedCategories,
    rows: CountedRows,
    bins: dict[str, Any],
) -> ColumnMeasure:
    return ColumnMeasure(
        outcomes=outcomes,
        streams=streams,
        n_reference=rows.n_reference,
        n_current=rows.n_current,
        n_missing=int(rows.reference[0] + rows.current[0]),
        named=isinstance(points, CountedCategories),
        coarseness=_coarseness(points),
        bins=bins,
    )


def _precedence(outcome: TestOutcome) -> tuple[bool, float, float]:
    assert outcome.pvalue is not None
    assert outcome.effect is not None
    plausible = outcome.pvalue < PLAUSIBLE
    # Effects that are equal but for rounding are equal; the value test is the first.
    effect = round(outcome.effect, 9)
    return (not plausible, -effect if plausible else outcome.pvalue, -effect)


def _side_by_side(
    reference: Sketch | Sample, current: Sketch | Sample, kind: ColumnKind | str, family: Family
) -> tuple[Counted | CountedCategories, CountedRows]:
    samples = reference, current
    named = family in NAMES
    match reference, current:
        case (CategorySketch(), CategorySketch()) if named:
            points: Counted | CountedCategories = align_categories(reference, current)
        case (NumericSketch(), NumericSketch()) if not named:
            points = align(reference, current)
        case (np.ndarray(), np.ndarray()) if {reference.dtype == object, current.dtype == object} == {named}:
            points = (counted_categories if named else counted)(reference, current)
        case _:
            held = " and ".join(
                f"samples of {one.dtype}" if isinstance(one, np.ndarray) else type(one).__name__ for one in samples
            )
            wanted = "names" if named else "lengths" if family == "length" else "numbers"
            raise InvalidInput(
                f"A {kind} column is measured on {wanted}; give two samples or sketches of them, not {held}."
            )
    rows = [_missing_and_present(one) for one in samples]
    return points, CountedRows(*rows)


def _missing_and_present(sample: Sketch | Sample) -> NDArray[np.int64]:
    if isinstance(sample, np.ndarray):
        n_missing = int(missing(sample).sum())
        return np.array([n_missing, len(sample) - n_missing], dtype=np.int64)
    return np.array([sample.n_missing, sample.n_present], dtype=np.int64)


def _coarseness(points: Counted | CountedCategories) -> float:
    if isinstance(points, Counted):
        return coarseness(points)
    if OTHER not in points.names:
        return 0.0
    at = points.names.index(OTHER)
    return max(float(counts[at]) / max(1, int(counts.sum())) for counts in (points.reference, points.current))


def _bins(points: Counted | CountedCategories) -> dict[str, Any]:
    if isinstance(points, Counted):
        edges = binning.shared_edges(points.positions, points.reached.sum(axis=0))
        return {"edges": edges.tolist()} | _shares(*binning.counts(points.positions, edges, points.reached))
    order = np.argsort(-(points.reference + points.current), kind="stable")
    names = [points.names[place] for place in order[:MAX_CATEGORIES]]
    samples = [counts[order] for counts in (points.reference, points.current)]
    if len(order) > MAX_CATEGORIES:
        names.append(f"{len(order) - MAX_CATEGORIES} others")
        samples = [np.append(counts[:MAX_CATEGORIES], counts[MAX_CATEGORIES:].sum()) for counts in samples]
    return {"values": names} | _shares(*samples)


def _shares(reference: NDArray[np.int64], current: NDArray[np.int64]) -> dict[str, Any]:
    return {"reference": binning.shares(reference).tolist(), "current": binning.shares(current).tolist()}
