"""Whether the mix of labels moved, and whether that is all that moved. PURE.

A label shift leaves the rows of each label as they were (Saerens, Latinne and Decaestecker, 2002,
doi:10.1162/089976602753284446). Seen through the model: the scores of rows of one label are spread as the scores of
rows of that label were on the evaluation set (black-box shift: Lipton, Wang and Smola, 2018, arXiv:1802.03916). What
the scores do not see is not tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.incidents.evidence import LabelEvidence
from core.statistics import two_sample
from core.statistics.sketches import counted, counted_categories
from core.wording import percent

LEVEL = 0.001
LEAST_EFFECT = 0.05
LEAST_WITHIN = 0.1
FEWEST = 100
"""Labels of one class that each sample needs before "as before" is said of it."""


def label_evidence(
    then: NDArray[Any],
    now: NDArray[Any],
    *,
    scores_then: NDArray[np.float64] | None = None,
    scores_now: NDArray[np.float64] | None = None,
) -> LabelEvidence | None:
    """Hold a window's labels against those of the evaluation set.

    Parameters
    ----------
    then, now : ndarray of shape (n,), (m,)
        str for classes, float64 for a regression.
    scores_then, scores_now : ndarray of shape (n,), (m,), optional
        One score a row, from the same version. Without them, and for a regression, nothing is said within labels.

    Returns
    -------
    LabelEvidence or None
        None where either sample is empty. The mix moved where its test (chi-square, or Kolmogorov-Smirnov for
        numbers) has p < 0.001 and at least 5 % of the rows would have to change.
    """
    if len(then) == 0 or len(now) == 0:
        return None
    if then.dtype != object:
        moved = _apart(then, now, LEAST_EFFECT)
        words = f"Outcomes moved: their middle is {np.median(now):.4g}, it was {np.median(then):.4g}."
        return LabelEvidence(len(now), {}, {}, moved, None, words if moved else "Outcomes lie as before.")
    both = counted_categories(then, now)
    names = both.names
    _, pvalue, _ = two_sample.chi_square(both.reference, both.current)
    moved = pvalue < LEVEL and float(two_sample.total_variation(both.reference, both.current)) >= LEAST_EFFECT
    shares_then, shares_now = two_sample.shares(both.reference), two_sample.shares(both.current)
    most = int(np.argmax(np.abs(shares_now - shares_then)))
    sentence = (
        f"{names[most]} is the label of {percent(shares_now[most])} of {len(now):,} labelled rows; it was that of "
        f"{percent(shares_then[most])}."
    )
    within = None
    if scores_then is not None and scores_now is not None:
        within = _moved_within(names, then, now, scores_then, scores_now)
    return LabelEvidence(
        n=len(now),
        then=dict(zip(names, shares_then.tolist(), strict=True)),
        now=dict(zip(names, shares_now.tolist(), strict=True)),
        moved=moved,
        moved_within=within,
        sentence=sentence,
    )


def _moved_within(
    names: tuple[str, ...],
    then: NDArray[Any],
    now: NDArray[Any],
    scores_then: NDArray[np.float64],
    scores_now: NDArray[np.float64],
) -> bool | None:
    looked = 0
    for name in names:
        one, two = scores_then[then == name], scores_now[now == name]
        if min(len(one), len(two)) < FEWEST:
            continue
        looked += 1
        if _apart(one, two, LEAST_WITHIN):
            return True
    return False if looked else None


def _apart(then: NDArray[np.float64], now: NDArray[np.float64], least: float) -> bool:
    both = counted(np.asarray(then, dtype=np.float64), np.asarray(now, dtype=np.float64))
    if float(two_sample.kolmogorov_smirnov(both.reference, both.current)) < least:
        return False
    return two_sample.ks_pvalue(both.reference, both.current)[0] < LEVEL
