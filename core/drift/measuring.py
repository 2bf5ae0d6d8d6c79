"""Measuring how far one column moved; the decision is `alerting`'s. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS, Family, Sample, missing
from core.errors import InvalidInput
from core.statistics import binning
from core.statistics.two_sample import TestResult

MAX_CATEGORIES = 20
PLAUSIBLE = 0.01
FAMILIES: dict[ColumnKind, Family] = {
    ColumnKind.INTEGER: "numeric",
    ColumnKind.NUMBER: "numeric",
    ColumnKind.DATE: "numeric",
    ColumnKind.TIMESTAMP: "numeric",
    ColumnKind.BOOLEAN: "categorical",
    ColumnKind.CATEGORY: "categorical",
    ColumnKind.TEXT: "categorical",
}
VALUE_TESTS: dict[Family, str] = {"numeric": "kolmogorov_smirnov", "categorical": "chi_square"}


@dataclass(frozen=True)
class DriftMeasure:
    """How far one column moved.

    Parameters
    ----------
    test : str
        Key in `DRIFT_TESTS` of the test that `effect` and `statistic` are from.
    effect, statistic, pvalue : float or None
        None where a sample has no row at all. The effect lies in [0, 1].
    n_reference, n_current : int
        Rows of each sample, missing values among them.
    bins : dict
        JSON: then and now on the same bins. Numeric ``edges``, categorical ``values``; ``reference`` and ``current``
        (shares of the present values), ``reference_missing``, ``current_missing`` (shares of the rows) and
        ``measures`` (the catalogue's further effects by key).
    """

    test: str
    effect: float | None
    statistic: float | None
    pvalue: float | None
    n_reference: int
    n_current: int
    bins: dict[str, Any]


def measure(reference: Sample, current: Sample, kind: ColumnKind | str) -> DriftMeasure:
    """Measure how far a column's current values are from its reference.

    The values present are compared by the test of the column's kind; where either sample has missing values their
    share is compared too. Of the two, the one with the larger effect counts among those with a p-value below 0.01,
    else the one with the smaller p-value, and the p-value is doubled for having looked twice (a union bound, so the
    false-alert rate holds).

    Parameters
    ----------
    reference, current : ndarray of shape (n,), (m,)
        float64 with NaN for numeric, date and timestamp columns (`columns.sample` makes them); str or None for others.
    kind : ColumnKind

    Raises
    ------
    InvalidInput
        A sample is not of the kind's type.
    """
    family = FAMILIES[ColumnKind(kind)]
    for sample in (reference, current):
        if (sample.dtype == object) != (family == "categorical"):
            raise InvalidInput(f"A {kind} column is measured on {family} samples; this one holds {sample.dtype}.")
    gone = missing(reference), missing(current)
    present = reference[~gone[0]], current[~gone[1]]
    bins = _bins(*present, family)
    bins |= {
        "reference_missing": float(gone[0].mean()) if len(reference) else 0.0,
        "current_missing": float(gone[1].mean()) if len(current) else 0.0,
    }
    found: dict[str, TestResult] = {}
    if len(present[0]) and len(present[1]):
        found[VALUE_TESTS[family]] = _run(VALUE_TESTS[family], *present)
        bins["measures"] = {
            test.key: float(cast(float, test.function(*present)))
            for test in DRIFT_TESTS.values()
            if not test.decides and family in test.families
        }
    if len(reference) and len(current) and (gone[0].any() or gone[1].any()):
        found["missing_share"] = _run("missing_share", reference, current)
    if not found:
        return DriftMeasure(VALUE_TESTS[family], None, None, None, len(reference), len(current), bins)
    key = min(found, key=lambda name: _precedence(found[name]))
    result = found[key]
    pvalue = min(1.0, result.pvalue * len(found))
    return DriftMeasure(key, result.effect, result.statistic, pvalue, len(reference), len(current), bins)


def _precedence(result: TestResult) -> tuple[bool, float, float]:
    plausible = result.pvalue < PLAUSIBLE
    return (not plausible, -result.effect if plausible else result.pvalue, -result.effect)


def _run(key: str, reference: Sample, current: Sample) -> TestResult:
    result = DRIFT_TESTS[key].function(reference, current)
    assert isinstance(result, TestResult)
    return result


def _bins(reference: Sample, current: Sample, family: Family) -> dict[str, Any]:
    if family == "numeric":
        edges = binning.shared_edges(reference, current)
        shares = [binning.shares(binning.counts(sample, edges)) for sample in (reference, current)]
        return {"edges": edges.tolist(), "reference": shares[0].tolist(), "current": shares[1].tolist()}
    values, first, second = binning.category_counts(reference, current)
    if len(values) > MAX_CATEGORIES:
        first, second = (
            np.append(counted[:MAX_CATEGORIES], counted[MAX_CATEGORIES:].sum()) for counted in (first, second)
        )
        values = [*values[:MAX_CATEGORIES], f"{len(values) - MAX_CATEGORIES} others"]
    return {
        "values": values,
        "reference": binning.shares(first).tolist(),
        "current": binning.shares(second).tolist(),
    }
