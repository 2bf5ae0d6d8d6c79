"""From an interval to a word, and the word to a sentence."""

from __future__ import annotations

import math

from core.errors import InvalidInput
from core.evaluation.tables import Verdict
from core.statistics.paired import MOST_ROWS


def decide(low: float, high: float, margin: float) -> Verdict:
    """Judge the interval of an effect that is above 0 when the candidate is better.

    The first line that fits decides:

    ==============  =====================================================================
    better          the whole interval is above 0: ``low > 0``
    not worse       no loss as large as the margin is in it: ``low >= -margin``
    worse           the whole interval is below 0: ``high < 0``
    inconclusive    anything else: a loss beyond the margin is possible, and so is none
    ==============  =====================================================================

    So an interval wholly between ``-margin`` and 0 is *not worse*: a loss is certain, and certain to be smaller than
    what was agreed to matter. Two equal models, with the interval [0, 0], are *not worse* at any margin, never better.

    Parameters
    ----------
    low, high : float
        Ends of the interval, low <= high.
    margin : float
        Finite, >= 0, in the effect's unit.

    Raises
    ------
    InvalidInput
        The margin is negative or not finite, or the ends are not ordered numbers.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise InvalidInput(f"The margin is {margin}; give a number of 0 or more.")
    if not low <= high:
        raise InvalidInput(f"The interval runs from {low} to {high}; its ends must be numbers in order.")
    if low > 0:
        return Verdict.BETTER
    if low >= -margin:
        return Verdict.NOT_WORSE
    if high < 0:
        return Verdict.WORSE
    return Verdict.INCONCLUSIVE


def figure(value: float, *, signed: bool = False) -> str:
    """A number in a sentence: three digits after the point where it is below 10, else four significant ones.

    Those before the point are all written, 29,812 and not 2.981e+04; of one that three digits would make nothing of,
    two significant ones.
    """
    if value == 0:
        return "0.000"
    if 0.0005 <= abs(value) < 10:
        text = f"{value:+.3f}" if signed else f"{value:.3f}"
    elif 10_000 <= abs(value) < 1e12:
        text = f"{value:+,.0f}" if signed else f"{value:,.0f}"
    elif abs(value) < 0.0005:
        text = f"{value:+.2g}" if signed else f"{value:.2g}"
    else:
        text = f"{value:+.4g}" if signed else f"{value:.4g}"
    return text.replace("-", "−")


def sentence(
    verdict: Verdict,
    *,
    title: str,
    baseline_value: float,
    candidate_value: float,
    effect: float,
    low: float,
    high: float,
    margin: float,
    n_rows: int,
    smallest_effect: float,
    rows_needed: int | None = None,
    n_candidates: int = 1,
    n_changed: int = 0,
) -> str:
    """Say in plain words what was found and how sure it is; where nothing could be told, how many rows would tell.

    Parameters
    ----------
    n_changed : int
        Rows that the two decide differently. One model at two thresholds may change many, and by a metric of its scores
        be the same.
    """
    opening = {
        Verdict.BETTER: "The candidate is better",
        Verdict.NOT_WORSE: f"The candidate is not worse by more than the margin of {figure(margin)}",
        Verdict.WORSE: "The candidate is worse",
        Verdict.INCONCLUSIVE: "These rows cannot tell",
    }[verdict]
    if verdict is Verdict.NOT_WORSE and low == high == 0 and n_changed:
        return (
            f"No row tells the two apart by this metric, {title} {figure(candidate_value)} on {n_rows:,} rows, though "
            f"{n_changed:,} of them are decided differently: choose a metric of decisions to compare those."
        )
    if verdict is Verdict.NOT_WORSE and low == high == 0:
        return f"The candidate predicts as the baseline does: {title} {figure(candidate_value)} on {n_rows:,} rows."
    allowing = f", allowing for {n_candidates} candidates tried" if n_candidates > 1 else ""
    found = (
        f"{title} {figure(candidate_value)} against {figure(baseline_value)}, "
        f"a difference of {figure(effect, signed=True)} "
        f"(95 % interval {figure(low, signed=True)} to {figure(high, signed=True)}{allowing}) on {n_rows:,} rows."
    )
    power = f" A difference of {figure(smallest_effect)} would have been seen four times out of five."
    if smallest_effect == 0:
        power = ""
    if verdict is Verdict.INCONCLUSIVE and rows_needed is not None:
        power += f" {rows_in_words(rows_needed)} would be needed to tell a difference as large as the margin."
    return f"{opening}: {found}{power}"


def rows_in_words(rows_needed: int) -> str:
    """A number of rows to two digits, upwards: it is an estimate, and too few would not do."""
    if rows_needed >= MOST_ROWS:
        return f"More than {MOST_ROWS:,} rows"
    step = 10 ** max(0, len(str(rows_needed)) - 2)
    return f"About {math.ceil(rows_needed / step) * step:,} rows"
