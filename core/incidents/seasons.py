"""Whether a window looks as the same season looked before: away in between, and back. PURE."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from core.incidents.evidence import SeasonEvidence
from core.monitoring.tables import DriftResult, WindowState
from core.wording import enumerated

LAGS: tuple[tuple[str, timedelta, timedelta], ...] = (
    ("the day before", timedelta(days=1), timedelta(hours=6)),
    ("the week before", timedelta(days=7), timedelta(days=3)),
    ("the year before", timedelta(days=365), timedelta(days=40)),
)
"""(words, how long ago, the longest window this is a season of). 365 days may miss a date by one: see `CLOSE`."""
CLOSE = timedelta(days=2)
LEAST = 0.1
MOST_LEFT = 0.5
"""Of a feature's distance to all training rows, what may be left beside those of the season it is explained by."""
NAMED = 3


def close_to(lag: timedelta, length: timedelta) -> timedelta:
    """How far from so long ago a window may begin and still be of the same season."""
    return min(CLOSE, length) if lag > timedelta(days=7) else length / 2


@dataclass(frozen=True)
class Earlier:
    """A window before, with its results by feature."""

    from_at: datetime
    label: str
    results: Mapping[str, DriftResult]


def season_evidence(
    from_at: datetime, length: timedelta, drifted: Sequence[DriftResult], earlier: Sequence[Earlier]
) -> SeasonEvidence | None:
    """Hold what drifted against the window of the same season before.

    It is a season's return only where the features did not lie so all the while: in some window between they had not
    drifted. A year's season needs the window of a year ago (within two days), and so on.

    Parameters
    ----------
    drifted : sequence of DriftResult
        The window's features that drifted; not empty.
    earlier : sequence of Earlier
        Decided windows before, oldest first; those of the same season and one between them and this will do.

    Returns
    -------
    SeasonEvidence or None
        None where no window of the same season is known, or nothing was away in between.
    """
    answer = None
    for words, lag, longest in LAGS:
        if length > longest:
            continue
        wanted = from_at - lag
        close = close_to(lag, length)
        same = [one for one in earlier if abs(one.from_at - wanted) <= close]
        between = [one for one in earlier if wanted + close < one.from_at < from_at]
        if not same or not any(_quiet(drifted, one) for one in between):
            continue
        then = min(same, key=lambda one: abs(one.from_at - wanted))
        known = [one for one in drifted if one.feature in then.results]
        apart = [(one.feature, distance(then.results[one.feature].bins, one.bins)) for one in known]
        far = [name for name, gap in apart if gap >= LEAST]
        if known and not far:
            worst = max(gap for _, gap in apart)
            sentence = (
                f"{then.label}, {words}, looked the same (largest difference {worst:.2f}), others between did not."
            )
            return SeasonEvidence(True, sentence)
        if known:
            answer = SeasonEvidence(False, f"{then.label}, {words}, looked different in {enumerated(far, NAMED)}.")
    return answer


@dataclass(frozen=True)
class Apart:
    """How far a feature of the window lies from the reference's rows of the same season, and from all its rows.

    ``alike`` is the distance below which samples of these sizes are alike.
    """

    feature: str
    season: float
    whole: float
    alike: float

    @property
    def explained(self) -> bool:
        """Whether the season is all of it, or more than half: no January is quite like the one before."""
        return self.season < max(self.alike, LEAST) or self.season <= MOST_LEFT * self.whole


def reference_evidence(season: str, found: Sequence[Apart]) -> SeasonEvidence:
    """Hold what drifted against the rows of the same season that the version was trained on.

    Parameters
    ----------
    season : str
        In words: "January", "Mondays", "13:00".
    found : sequence of Apart
        The features that drifted; not empty.

    Returns
    -------
    SeasonEvidence
        It matches where the season explains every one of them.
    """
    left = [one.feature for one in found if not one.explained]
    if left:
        return SeasonEvidence(False, f"The training rows of {season} look different too in {enumerated(left, NAMED)}.")
    least = max(found, key=lambda one: one.season)
    return SeasonEvidence(
        True,
        f"The training rows of {season} look like it: {least.feature} is the furthest from them, at {least.season:.2f},"
        f" and {least.whole:.2f} from all training rows.",
    )


def season_words(key: str) -> str:
    """A season as `windows.season_of` gives it, as people say it: "January", "Mondays", "13:00"."""
    kind, _, value = key.partition("=")
    match kind:
        case "month":
            return f"{datetime(2000, int(value), 1, tzinfo=UTC):%B}"
        case "weekday":
            return f"{value}s"
        case _:
            return f"{value}:00"


def _quiet(drifted: Sequence[DriftResult], one: Earlier) -> bool:
    results = [one.results.get(result.feature) for result in drifted]
    return all(result is not None and result.state == WindowState.QUIET for result in results)


def distance(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """How far the current rows of two stored results lie apart, in [0, 1], from their bins.

    Kolmogorov-Smirnov for numbers, read between edges by straight lines; total variation for categories, and the
    difference of the missing shares where that is larger. 1 where the two cannot be compared.
    """
    gone = abs(float(first.get("current_missing", 0.0)) - float(second.get("current_missing", 0.0)))
    if "edges" in first and "edges" in second:
        points = np.union1d(first["edges"], second["edges"])
        reached = [
            np.interp(points, one["edges"], np.concatenate([[0.0], np.cumsum(one["current"])]))
            for one in (first, second)
        ]
        return max(gone, float(np.abs(reached[0] - reached[1]).max()))
    if "values" in first and "values" in second:
        shares = [dict(zip(one["values"], one["current"], strict=True)) for one in (first, second)]
        names = shares[0].keys() | shares[1].keys()
        moved = sum(abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0)) for name in names)
        return max(gone, 0.5 * float(moved))
    return 1.0


def constant_value(bins: Mapping[str, Any]) -> float | None:
    """The number that the current rows of a stored result all hold; None where they hold several, or no numbers."""
    if "edges" not in bins or sum(share > 0 for share in bins["current"]) != 1:
        return None
    place = int(np.argmax(bins["current"]))
    return float(bins["edges"][place] + bins["edges"][place + 1]) / 2


def follows_calendar(
    bins: Mapping[str, Any], before: Mapping[str, Any] | None, from_at: datetime, length: timedelta
) -> bool:
    """Whether a column that holds one value does so because the window is one month, one weekday or one hour.

    Parameters
    ----------
    bins : mapping
        Of a column that holds one value in the window.
    before : mapping or None
        Of the same column in the window before: where it held one value too, holding one is no news, and where it held
        two of several, this one among them, the season may have turned within it.
    from_at, length : datetime, timedelta
        When the window begins, and how long it is.
    """
    value = constant_value(bins)
    if value is not None and value == constant_value({**bins, "current": bins.get("reference", [])}):
        return True  # the reference's rows of the same season hold it alone too
    if before is not None:
        if constant_value(before) is not None:
            return True
        if not _turned_to(bins, before):
            return False
    parts = [from_at.year, from_at.month, from_at.month - 1, (from_at.month - 1) // 3 + 1]
    if length <= timedelta(days=7):
        parts += [from_at.isocalendar().week]
    if length <= timedelta(days=1):
        parts += [from_at.day, from_at.weekday(), from_at.isoweekday(), from_at.isoweekday() % 7]
    if length <= timedelta(hours=1):
        parts += [from_at.hour]
    return value in parts


def _turned_to(bins: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether the window before held two of the reference's several values, one of them the one held now."""
    if "edges" not in before:
        return False
    centres = [(low + high) / 2 for low, high in itertools.pairwise(before["edges"])]
    held = [at for at, share in zip(centres, before["current"], strict=True) if share > 0]
    known = sum(share > 0 for share in before["reference"])
    return len(held) == 2 < known and constant_value(bins) in held
