from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf

from core.estimation.maturity import DAY, EDGES, HOUR, Arrivals, arrival_curve, arrivals_of, maturity

START = 1_767_225_600.0  # 2026-01-01
Floats = NDArray[np.float64]


def month(number: int, n: int, *, mean_days: float = 5.0, ever: float = 1.0) -> tuple[Floats, Floats]:
    """Predictions over 30 days from the given month, and when their labels come, if ever."""
    rng = np.random.default_rng(number)
    predicted = np.sort(START + (30 * number + 30 * rng.random(n)) * DAY)
    received = predicted + rng.exponential(mean_days * DAY, n)
    return predicted, np.where(rng.random(n) < ever, received, np.inf)


def seen(rows: tuple[Floats, Floats], now: float) -> Arrivals:
    predicted, received = rows
    past = predicted <= now
    return arrivals_of(predicted[past], np.where(received[past] <= now, received[past], np.nan))


def halves(rows: tuple[Floats, Floats], now: float) -> list[Arrivals]:
    """As two windows: of one alone nothing is learnt."""
    middle = len(rows[0]) // 2
    return [seen((rows[0][part], rows[1][part]), now) for part in (slice(middle), slice(middle, None))]


def test_the_curve_is_kaplan_and_meiers_where_rows_still_wait() -> None:
    now = START + 70 * DAY
    rows = [month(number, 3_000, mean_days=8, ever=0.8) for number in range(3)]
    curve = arrival_curve([seen(one, now) for one in rows], now=now)
    assert curve is not None
    predicted = np.concatenate([one[0] for one in rows])
    received = np.concatenate([one[1] for one in rows])
    received, predicted = received[predicted <= now], predicted[predicted <= now]
    came = received <= now
    reference = ecdf(CensoredData(uncensored=(received - predicted)[came], right=(now - predicted)[~came]))
    ages = np.array([1, 2, 5, 10, 21, 42]) * DAY
    found, _ = curve.by(ages)
    assert found == pytest.approx(reference.cdf.evaluate(ages), abs=0.012)
    assert found == pytest.approx(0.8 * (1 - np.exp(-ages / (8 * DAY))), abs=0.03)


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined:RuntimeWarning")
def test_greenwoods_interval_is_that_of_scipy() -> None:
    now = START + 70 * DAY
    rows = month(0, 800, mean_days=8)
    assert arrival_curve([seen(rows, now)], now=now) is None
    curve = arrival_curve(halves(rows, now), now=now)
    assert curve is not None
    age = np.array([7 * DAY])
    share, greenwood = curve.by(age)
    came = rows[1] <= now
    reference = ecdf(CensoredData(uncensored=(rows[1] - rows[0])[came], right=(now - rows[0])[~came]))
    band = reference.sf.confidence_interval(method="linear")
    half = (band.high.evaluate(age) - band.low.evaluate(age)) / 2  # type: ignore[attr-defined]
    assert 1.96 * (1 - share) * np.sqrt(greenwood) == pytest.approx(half, rel=0.05)


def test_of_a_young_window_few_labels_are_due_and_of_an_old_one_all() -> None:
    now = START + 92 * DAY
    rows = [month(number, 2_000) for number in range(4)]
    arrivals = [seen(one, now) for one in rows]
    curve = arrival_curve(arrivals, now=now)
    assert curve is not None
    assert curve.median_delay() == pytest.approx(4 * DAY)  # the first edge after 3.5 days
    found = [maturity(one, curve, n_rows=sum(n for _, n, _ in one.pieces), now=now) for one in arrivals]
    assert [one.is_mature for one in found] == [True, True, False, False]
    assert [one.is_late for one in found] == [False] * 4
    young = found[3]
    assert young.due is not None
    assert young.final is not None
    assert young.due.low <= young.n_labelled <= young.due.high
    assert young.final.low <= young.n_rows <= young.final.high + 1
    assert "are expected in the end" in young.sentence
    assert found[0].sentence == "2,000 labels are in for 2,000 predictions, 100 % of those that will come."


def test_the_interval_of_the_final_count_holds_nearly_always() -> None:
    held = 0
    for draw in range(40):
        now = START + 52 * DAY
        rows = [month(1_000 * (draw + 1) + number, 500, ever=0.7) for number in (0, 1)]
        rows = [
            (predicted - 30_000 * (draw + 1) * DAY, received - 30_000 * (draw + 1) * DAY)
            for predicted, received in rows
        ]
        arrivals = [seen(one, now) for one in rows]
        curve = arrival_curve(arrivals, now=now)
        assert curve is not None
        past = rows[1][0] <= now
        final = maturity(arrivals[1], curve, n_rows=int(past.sum()), now=now).final
        assert final is not None
        held += final.low - 1 <= np.isfinite(rows[1][1][past]).sum() <= final.high + 1
    # 95 of 100 are promised; the curve ends at 22 days, after which one in a hundred labels comes.
    assert held >= 33


def test_labels_that_stopped_coming_are_late() -> None:
    now = START + 60 * DAY
    old, new = month(0, 2_000), month(1, 2_000)
    stopped = (new[0], np.where(new[1] > START + 40 * DAY, np.inf, new[1]))
    curve = arrival_curve(halves(old, now), now=now)
    found = maturity(seen(stopped, now), curve, n_rows=2_000, now=now)
    assert found.is_late
    assert not found.is_mature
    assert "fewer than the" in found.sentence
    assert "due by now" in found.sentence


def test_a_window_whose_labels_never_came_is_late_however_old_it_is() -> None:
    now = START + 400 * DAY
    old, lost = month(0, 2_000), month(1, 2_000)
    lost = (lost[0], np.where(np.arange(2_000) < 40, lost[1], np.inf))
    curve = arrival_curve([seen(old, now), seen(lost, now)], now=now)
    found = maturity(seen(lost, now), curve, n_rows=2_000, now=now)
    assert (found.n_labelled, found.is_late, found.is_mature) == (40, True, False)


def test_too_few_labels_tell_nothing_of_those_to_come() -> None:
    now = START + 60 * DAY
    few = seen(month(0, 49), now)
    assert arrival_curve([few], now=now) is None
    assert arrival_curve(halves(month(0, 49), now), now=now) is None
    found = maturity(few, None, n_rows=80, now=now)
    assert (found.due, found.final, found.is_mature, found.is_late) == (None, None, False, False)
    assert found.sentence.endswith("how many are still to come is not known: too few came before.")
    assert arrival_curve([], now=now) is None


@pytest.mark.parametrize(
    ("window", "n_rows", "mature", "words"),
    [
        (Arrivals(0, (0,) * len(EDGES), ()), 20, False, "have no prediction ids"),
        (Arrivals(20, (0,) * len(EDGES), ()), 20, True, "every label is in"),
        (Arrivals(12, (0,) * len(EDGES), ()), 20, True, "no more can come"),
        (Arrivals(0, (0,) * len(EDGES), ()), 0, False, "0 labels are in for 0 predictions"),
    ],
)
def test_rows_that_no_label_can_be_joined_to_wait_for_none(
    window: Arrivals, n_rows: int, mature: bool, words: str
) -> None:
    found = maturity(window, None, n_rows=n_rows, now=START)
    assert found.is_mature is mature
    assert words in found.sentence
    assert not found.can_grow


def test_every_label_is_counted_once_by_delay_and_by_time() -> None:
    predicted = np.array([0.0, 0.0, 3_600.0, np.nan, 7_200.0])
    received = np.array([-5.0, 2 * HOUR, np.nan, 9.0, 7_200.0 + 3_000 * DAY])
    found = arrivals_of(predicted, received, n_at_once=3, n_pieces=2)
    assert sum(found.delays) == found.n_joined == 3
    assert found.delays[0] == 1
    assert found.delays[EDGES.index(2 * HOUR)] == 1
    assert found.delays[-1] == 1
    assert [(n, joined) for _, n, joined in found.pieces] == [(2, 2), (2, 1)]
    assert arrivals_of(np.empty(0), np.empty(0)).pieces == ()
