"""Whether the mix of labels moved and nothing else; whether a window is the return of a season."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.incidents.labels import label_evidence
from core.incidents.seasons import (
    Apart,
    Earlier,
    distance,
    follows_calendar,
    reference_evidence,
    season_evidence,
    season_words,
)
from core.monitoring.tables import DriftResult


def labelled(n: int, share: float, seed: int, *, apart: float = 1.5) -> tuple[NDArray[Any], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    yes = rng.random(n) < share
    return np.where(yes, "yes", "no").astype(object), rng.normal(np.where(yes, apart, 0.0), 1.0)


def test_another_mix_of_the_same_rows_is_told_from_other_rows() -> None:
    then, scores = labelled(2_000, 0.3, 1)
    now, scores_now = labelled(1_000, 0.6, 2)
    found = label_evidence(then, now, scores_then=scores, scores_now=scores_now)
    assert found is not None
    assert (found.moved, found.moved_within, found.n) == (True, False, 1_000)
    assert "of 1,000 labelled rows" in found.sentence
    other = label_evidence(then, now, scores_then=scores, scores_now=labelled(1_000, 0.6, 2, apart=0.3)[1])
    assert other is not None
    assert (other.moved, other.moved_within) == (True, True)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_mix_does_not_move(seed: int) -> None:
    then, scores = labelled(1_000, 0.3, seed)
    now, scores_now = labelled(500, 0.3, seed + 100)
    found = label_evidence(then, now, scores_then=scores, scores_now=scores_now)
    assert found is not None
    assert (found.moved, found.moved_within) == (False, False)


def test_few_labels_say_nothing_within_and_none_say_nothing_at_all() -> None:
    then, scores = labelled(1_000, 0.5, 1)
    now, scores_now = labelled(120, 0.5, 2)
    found = label_evidence(then, now, scores_then=scores, scores_now=scores_now)
    assert found is not None
    assert found.moved_within is None
    assert label_evidence(then, np.array([], dtype=object)) is None
    assert label_evidence(np.array([], dtype=object), now) is None
    alone = label_evidence(then, now)
    assert alone is not None
    assert alone.moved_within is None


def test_numbers_move_by_their_distribution() -> None:
    rng = np.random.default_rng(3)
    then = rng.normal(100, 10, 2_000)
    moved = label_evidence(then, rng.normal(120, 10, 500))
    assert moved is not None
    assert (moved.moved, moved.moved_within) == (True, None)
    assert moved.sentence.startswith("Outcomes moved: their middle is 1")
    kept = label_evidence(then, rng.normal(100, 10, 500))
    assert kept is not None
    assert (kept.moved, kept.sentence) == (False, "Outcomes lie as before.")


EDGES = [0.0, 10.0, 20.0, 30.0]
WINTER, SUMMER = [0.8, 0.2, 0.0], [0.0, 0.2, 0.8]
JULY = datetime(2026, 7, 1, tzinfo=UTC)


def result(current: list[float], state: str, feature: str = "temperature") -> DriftResult:
    bins = {"edges": EDGES, "reference": [0.4, 0.2, 0.4], "current": current, "current_missing": 0.0}
    return DriftResult(
        window_id=1, feature=feature, column_kind="number", test="kolmogorov_smirnov", effect=0.4, threshold=0.1,
        state=state, n_reference=1000, n_current=500, bins=bins,
    )  # fmt: skip


def month(back: int, current: list[float], state: str) -> Earlier:
    years, place = divmod(JULY.month - 1 - back, 12)
    at = JULY.replace(year=JULY.year + years, month=place + 1)
    return Earlier(at, f"{at:%Y-%m}", {"temperature": result(current, state)})


MIDDLE = [month(back, [0.4, 0.2, 0.4], "quiet") for back in range(11, 0, -1)]


def test_a_season_is_back_where_it_looked_so_a_year_ago_and_not_in_between() -> None:
    found = season_evidence(
        JULY, timedelta(days=31), [result(SUMMER, "drifted")], [month(12, SUMMER, "drifted"), *MIDDLE]
    )
    assert found is not None
    assert found.matches
    assert found.sentence == (
        "2025-07, the year before, looked the same (largest difference 0.00), others between did not."
    )


def test_it_is_not_back_where_last_year_looked_different() -> None:
    found = season_evidence(
        JULY, timedelta(days=31), [result(SUMMER, "drifted")], [month(12, WINTER, "drifted"), *MIDDLE]
    )
    assert found is not None
    assert not found.matches
    assert found.sentence == "2025-07, the year before, looked different in temperature."


@pytest.mark.parametrize(
    "earlier",
    [
        [],
        MIDDLE,
        [month(back, SUMMER, "drifted") for back in range(12, 0, -1)],  # it never went away
        [month(13, SUMMER, "drifted"), *MIDDLE],
    ],
)
def test_without_a_year_or_a_pause_no_season_is_seen(earlier: list[Earlier]) -> None:
    assert season_evidence(JULY, timedelta(days=31), [result(SUMMER, "drifted")], earlier) is None


def test_days_have_the_season_of_a_week() -> None:
    sunday = datetime(2026, 7, 12, tzinfo=UTC)
    days = [
        Earlier(
            sunday - timedelta(days=back),
            f"{sunday - timedelta(days=back):%Y-%m-%d}",
            {"temperature": result(SUMMER if back == 7 else [0.4, 0.2, 0.4], "drifted" if back == 7 else "quiet")},
        )
        for back in range(8, 0, -1)
    ]
    found = season_evidence(sunday, timedelta(days=1), [result(SUMMER, "drifted")], days)
    assert found is not None
    assert found.matches
    assert found.sentence.startswith("2026-07-05, the week before, looked the same")


def test_distances_of_bins_are_those_of_their_distributions() -> None:
    first = {"edges": [0.0, 1.0, 2.0], "current": [0.5, 0.5]}
    assert distance(first, {"edges": [0.0, 0.5, 1.0, 2.0], "current": [0.25, 0.25, 0.5]}) == pytest.approx(0.0)
    assert distance(first, {"edges": [0.0, 1.0, 2.0], "current": [1.0, 0.0]}) == pytest.approx(0.5)
    assert distance(first, {**first, "current_missing": 0.7}) == pytest.approx(0.7)
    names = {"values": ["a", "b"], "current": [0.5, 0.5]}
    assert distance(names, {"values": ["b", "c"], "current": [0.5, 0.5]}) == pytest.approx(0.5)
    assert distance(first, names) == 1.0


MONTHS = [place + 0.5 for place in range(13)]


def months(*held: int) -> dict[str, Any]:
    current = [1 / len(held) if place + 1 in held else 0.0 for place in range(12)]
    return {"edges": MONTHS, "reference": [1 / 12] * 12, "current": current}


HALVES = {"edges": [6.5, 7.5, 8.5], "reference": [0.5, 0.5], "current": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("bins", "before", "follows"),
    [
        (months(7), None, True),  # a column "month" in a window of July
        (months(3), None, True),  # the third quarter
        (months(5), None, False),
        (months(5), months(2), True),  # it held one value in the window before too
        (months(7), months(1, 2, 3), False),  # it varied in the window before: it stands still now
        (months(3), months(2, 3), True),  # the season turned in the window before
        (months(7), months(6, 8), False),
        (
            months(5) | {"reference": months(5)["current"]},
            months(4, 5),
            True,
        ),  # so do the season's rows of the reference
        (months(7), HALVES, False),  # the reference knows two values alone: that both were held tells of no season
        (months(6, 7), None, False),
        ({"values": ["a"], "current": [1.0]}, None, False),
    ],
)
def test_a_column_that_follows_the_calendar_does_not_stand_still(
    bins: dict[str, Any], before: dict[str, Any] | None, follows: bool
) -> None:
    assert follows_calendar(bins, before, JULY, timedelta(days=31)) is follows


@pytest.mark.parametrize(
    ("found", "matches", "said"),
    [
        ([Apart("temp", 0.04, 0.6, 0.1)], True, "temp is the furthest from them, at 0.04, and 0.60 from all"),
        ([Apart("temp", 0.04, 0.6, 0.1), Apart("hum", 0.28, 0.6, 0.1)], True, "hum is the furthest"),  # less than half
        ([Apart("temp", 0.04, 0.6, 0.1), Apart("hum", 0.4, 0.6, 0.1)], False, "look different too in hum."),
        ([Apart("temp", 0.13, 0.2, 0.15)], True, "temp is the furthest"),  # of few rows chance explains as much
        ([Apart("temp", 0.13, 0.2, 0.05)], False, "look different too in temp."),
    ],
)
def test_the_training_rows_of_the_season_explain_what_moved_or_do_not(
    found: list[Apart], matches: bool, said: str
) -> None:
    told = reference_evidence("July", found)
    assert told.matches is matches
    assert said in told.sentence
    assert told.sentence.startswith("The training rows of July")


@pytest.mark.parametrize(("key", "words"), [("month=06", "June"), ("weekday=Monday", "Mondays"), ("hour=13", "13:00")])
def test_seasons_are_said_as_people_say_them(key: str, words: str) -> None:
    assert season_words(key) == words
