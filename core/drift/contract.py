"""Live rows held against what the training data never held. PURE.

A model was fitted on rows that kept certain rules: this column was never empty, that one knew only these categories and
only this range. A live row that breaks one is answered all the same, by a model that never saw its like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.drift.drift_tests import Sample, missing
from core.statistics.sketches import CategorySketch, NumericSketch, align
from core.wording import percent

Rule = Literal["never_missing", "known_categories", "within_range"]

ALLOWED_SHARE = 0.01
CONFIDENCE = 0.999
MAX_CATEGORIES = 1_000
SENTENCES: dict[Rule, str] = {
    "never_missing": "{feature} is missing in {share} of the rows; in training it never was.",
    "known_categories": "{feature} holds a category that training never saw in {share} of the rows.",
    "within_range": "{feature} lies outside the range of the training rows in {share} of the rows.",
}


@dataclass(frozen=True)
class Kept:
    """What one column kept throughout the training rows.

    Parameters
    ----------
    never_missing : bool
    categories : frozenset of str or None
        None for numbers, and where there were more than 1,000: an identifier breaks nothing by being new.
    low, high : float or None
        Of the finite numbers; None for categories and where there was none.
    """

    never_missing: bool
    categories: frozenset[str] | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Break:
    """One rule that live rows break, in ``n`` rows, a share of ``share`` of all."""

    feature: str
    rule: Rule
    n: int
    share: float

    @property
    def sentence(self) -> str:
        """In words."""
        return SENTENCES[self.rule].format(feature=self.feature, share=percent(self.share, 1))

    def to_json(self) -> dict[str, Any]:
        """As it is stored with a window."""
        return {
            "feature": self.feature,
            "rule": self.rule,
            "n": self.n,
            "share": self.share,
            "sentence": self.sentence,
        }


def kept_by(sample: Sample) -> Kept:
    """Learn what a column of the training rows kept."""
    gone = missing(sample)
    present = sample[~gone]
    if sample.dtype == object:
        categories = frozenset(present.tolist())
        return Kept(not gone.any(), categories if len(categories) <= MAX_CATEGORIES else None, None, None)
    finite = present[np.isfinite(present)]
    if len(finite) == 0:
        return Kept(not gone.any(), None, None, None)
    return Kept(not gone.any(), None, float(finite.min()), float(finite.max()))


def kept_in(sketch: NumericSketch | CategorySketch) -> Kept:
    """The same from a column that is counted in cells.

    The range is that of the outermost cells, at most a cell wider than the rows' own. Categories are known only where
    all were counted by name.
    """
    never_missing = sketch.n_missing == 0
    if isinstance(sketch, CategorySketch):
        whole = sketch.n_other == 0 and len(sketch.names) <= MAX_CATEGORIES
        return Kept(never_missing, frozenset(sketch.names) if whole else None, None, None)
    points = align(sketch, sketch)
    low, high = points.low[np.isfinite(points.low)], points.high[np.isfinite(points.high)]
    if len(low) == 0 or len(high) == 0:
        return Kept(never_missing, None, None, None)
    return Kept(never_missing, None, float(low.min()), float(high.max()))


def breaks(kept: Mapping[str, Kept], current: Mapping[str, Sample]) -> list[Break]:
    """Find the rules that live rows break.

    A rule is broken when more than 1 % of the rows certainly do: their exact one-sided 99.9 % bound lies above that, so
    that a handful of rows beyond the old extremes, as any new data has, breaks nothing.

    Parameters
    ----------
    kept : mapping of feature to Kept
    current : mapping of feature to ndarray of shape (n,)
        As `columns.sample` makes them. A feature that is not among them is missing throughout.

    Returns
    -------
    list of Break
        The largest share first.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26, 404-413.
    """
    n_rows = max((len(sample) for sample in current.values()), default=0)
    found = []
    for feature, rules in kept.items():
        sample = current.get(feature)
        gone = np.ones(n_rows, dtype=bool) if sample is None else missing(sample)
        counts: dict[Rule, int] = {}
        if rules.never_missing:
            counts["never_missing"] = int(gone.sum())
        if sample is not None and rules.categories is not None:
            known = {None, *rules.categories}
            counts["known_categories"] = sum(n for name, n in Counter(sample.tolist()).items() if name not in known)
        if sample is not None and rules.low is not None and rules.high is not None:
            counts["within_range"] = int(((sample < rules.low) | (sample > rules.high)).sum())
        found += [Break(feature, rule, n, n / n_rows) for rule, n in counts.items() if n and _surely_above(n, n_rows)]
    return sorted(found, key=lambda one: (-one.share, one.feature, one.rule))


def _surely_above(n: int, n_rows: int) -> bool:
    from scipy import stats

    return float(stats.beta.ppf(1 - CONFIDENCE, n, n_rows - n + 1)) > ALLOWED_SHARE
