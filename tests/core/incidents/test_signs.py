"""Marks of faults: each where it was made, none where the world moved, on exact counts and on sketches alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.incidents.category_signs import category_signs
from core.incidents.conversions import CONVERSIONS
from core.incidents.marking import Column, missing_signs, signs_of
from core.incidents.number_signs import number_signs
from core.incidents.shapes import beside
from core.incidents.signs import SIGNS
from core.statistics.sketches import (
    MAX_COARSENESS,
    align,
    coarseness,
    counted,
    counted_categories,
    fit_scale,
    sketch_numbers,
)

N = 3_000
Numbers = NDArray[np.float64]


def normal(rng: np.random.Generator) -> Numbers:
    return rng.normal(40, 8, N)


def skewed(rng: np.random.Generator) -> Numbers:
    return rng.lognormal(3, 0.6, N).round(2)


def counts(rng: np.random.Generator) -> Numbers:
    return rng.poisson(6, N).astype(float)


def zero_inflated(rng: np.random.Generator) -> Numbers:
    return np.where(rng.random(N) < 0.6, 0.0, rng.gamma(2, 30, N))


def keys(then: Numbers, now: Numbers) -> list[str]:
    exact = [sign.key for sign in number_signs("x", counted(then, now))]
    scale = fit_scale(then)
    sketched = [sign.key for sign in number_signs("x", align(sketch_numbers(then, scale), sketch_numbers(now, scale)))]
    assert sketched == exact
    return exact


@pytest.mark.parametrize("draw", [normal, skewed, counts, zero_inflated])
@pytest.mark.parametrize("conversion", CONVERSIONS, ids=lambda one: one.words)
def test_every_known_unit_change_is_seen_and_named(draw: Callable[..., Numbers], conversion: Any) -> None:
    rng = np.random.default_rng(1)
    then, now = draw(rng), draw(rng) * conversion.factor + conversion.offset
    if draw is zero_inflated and 0.5 < conversion.factor < 2 and not conversion.offset:
        now[now > 0] += 20 * conversion.factor  # of zeros most rows stay as they are: move the others visibly
        then[then > 0] += 20
    found = number_signs("x", counted(then, now))
    assert [sign.key for sign in found] == ["unit_change"]
    # Neighbouring factors (2.54, 2.2) can fit alike on few values; the factor named is never far off.
    named = next(one for one in CONVERSIONS if one.words in found[0].sentence)
    assert named.factor == pytest.approx(conversion.factor, rel=0.2)


@pytest.mark.parametrize("draw", [normal, skewed, counts, zero_inflated])
@pytest.mark.parametrize("factor", [1000.0, 60.0, 2.54, 0.5556])
def test_a_unit_change_shows_in_sketches_as_in_values(draw: Callable[..., Numbers], factor: float) -> None:
    rng = np.random.default_rng(2)
    offset = -17.778 if factor == 0.5556 else 0.0  # as from Fahrenheit to Celsius
    assert keys(draw(rng), draw(rng) * factor + offset) == ["unit_change"]


@pytest.mark.parametrize("factor", [0.01, 0.001])
def test_what_a_cell_hides_is_no_constant_and_shows_in_the_values(factor: float) -> None:
    rng = np.random.default_rng(2)
    then, now = normal(rng), normal(rng) * factor
    scale = fit_scale(then)
    cells = align(sketch_numbers(then, scale), sketch_numbers(now, scale))
    assert coarseness(cells) > MAX_COARSENESS
    assert number_signs("x", cells) == ()
    assert [sign.key for sign in number_signs("x", beside(sketch_numbers(then, scale), now))] == ["unit_change"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (np.negative, "sign_flip"),
        (lambda x: np.full(len(x), 41.0), "constant"),
        (lambda x: np.minimum(x, 45.0), "clipped"),
        (lambda x: np.maximum(x, 35.0), "clipped"),
        (lambda x: np.where(np.arange(len(x)) % 4 == 0, -999.0, x), "filled"),
        (lambda x: np.where(np.arange(len(x)) % 4 == 0, 0.0, x), "filled"),
        (lambda x: x * 5.7, "rescaled"),
    ],
)
def test_other_changes_leave_their_mark(change: Callable[[Numbers], Numbers], key: str) -> None:
    rng = np.random.default_rng(3)
    assert keys(normal(rng), change(normal(rng))) == [key]


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("n", [60, 200, 3_000])
@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_shift_carries_the_mark_of_no_fault(shift: float, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = number_signs("x", counted(normal(rng), rng.normal(40 + 8 * shift, 8, n)))
    assert [sign for sign in found if SIGNS[sign.key].speaks == "fault"] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_and_a_bent_distribution_carry_none_either(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for now in (rng.normal(40, 20, N), rng.exponential(40, N), np.abs(normal(rng) - 40), rng.choice([20.0, 60.0], N)):
        found = number_signs("x", counted(normal(rng), now))
        assert [sign for sign in found if SIGNS[sign.key].speaks == "fault"] == []


@pytest.mark.parametrize("factor", [1.609, 2.2, 2.54, 7.0, 12.0])
@pytest.mark.parametrize("seed", range(5))
def test_counts_that_grew_are_no_other_unit(factor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heads = rng.gamma(1.2, 100, (2, N))
    then, now = rng.poisson(heads[0]).astype(float), rng.poisson(heads[1] * factor).astype(float)
    assert [sign.key for sign in number_signs("x", counted(then, now))] in ([], ["rescaled"])
    assert [sign.key for sign in number_signs("x", counted(then, then[::-1] * 12))] == ["unit_change"]


@pytest.mark.parametrize("shares", [[0.8, 0.1, 0.07, 0.03], [0.45, 0.45, 0.07, 0.03], [0.0, 0.0, 0.7, 0.3]])
def test_few_different_values_tell_no_shape(shares: list[float]) -> None:
    rng = np.random.default_rng(8)
    grades = np.arange(1.0, 5.0)
    then, now = rng.choice(grades, N, p=[0.65, 0.25, 0.07, 0.03]), rng.choice(grades, N, p=shares)
    assert number_signs("x", counted(then, now)) == ()
    filled = np.where(np.arange(N) % 4 == 0, -1.0, rng.choice(grades, N, p=[0.65, 0.25, 0.07, 0.03]))
    assert [sign.key for sign in number_signs("x", counted(then, filled))] == ["filled"]


@pytest.mark.parametrize("period", [24, 7, 12])
@pytest.mark.parametrize("step", [1, 3, -2])
def test_a_clock_set_differently_is_seen_with_its_steps(period: int, step: int) -> None:
    rng = np.random.default_rng(4)
    first = 0 if period != 12 else 1
    chances = 1 + 0.95 * np.sin(np.arange(period) * 2 * np.pi / period)

    def draw() -> Numbers:
        return first + rng.choice(period, N, p=chances / chances.sum()).astype(float)

    found = number_signs("x", counted(draw(), first + (draw() - first + step) % period))
    if step == 3 or period != 24:  # an hour or two of 24 move a smooth day too little to be told
        assert [sign.key for sign in found] == ["clock_shift"]
        assert f"{abs(step)} " in found[0].sentence
        assert ("later" if step > 0 else "earlier") in found[0].sentence


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (np.array([]), np.arange(100.0)),
        (np.arange(100.0), np.array([])),
        (np.full(100, np.nan), np.arange(100.0)),
        (np.full(100, 3.0), np.full(100, 3.0)),
        (np.arange(40.0), np.arange(40.0) * 1000),  # too few to tell a shape
    ],
)
def test_without_enough_values_or_change_nothing_is_told(then: Numbers, now: Numbers) -> None:
    assert number_signs("x", counted(then, now)) == ()


def test_infinities_and_huge_values_do_not_break_it() -> None:
    rng = np.random.default_rng(5)
    then, now = normal(rng), normal(rng) * 60
    then[:5], now[:5] = np.inf, -np.inf
    assert keys(then, now) == ["unit_change"]
    assert [one.key for one in number_signs("x", counted(normal(rng) * 1e300, -normal(rng) * 1e300))] == ["sign_flip"]


def test_a_constant_that_was_one_before_is_no_news() -> None:
    then = np.where(np.arange(1000) < 990, 5.0, 6.0)
    assert number_signs("x", counted(then, np.full(500, 5.0))) == ()
    assert [sign.key for sign in number_signs("x", counted(np.full(500, 5.0), np.full(500, 9.0)))] != ["constant"]


def names(values: list[str], shares: list[float], n: int = 1_000, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).choice(values, n, p=shares).astype(object)


CITIES, SHARES = ["Bern", "Oslo", "Rome", "Wien"], [0.4, 0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    ("now", "key", "said"),
    [
        (names(["BERN", "OSLO", "ROME", "WIEN"], SHARES), "respelled", '"BERN" where it said "Bern"'),
        (names([" Bern", " Oslo", " Rome", " Wien"], SHARES), "respelled", "now says"),
        (names(["Bern", "Oslo", "Rome", "Vienna"], SHARES), "renamed", '"Wien", which vanished'),
        (names(["1", "2", "3", "4"], SHARES), "recoded", "100 % of x are values the reference does not know"),
        (names(["Bern", "Oslo", "Rome", "Wien", "Riga"], [0.3, 0.3, 0.2, 0.1, 0.1]), "new_category", '"Riga"'),
        (names(["Bern"], [1.0]), "constant", '"Bern" in every row'),
        (names(["Bern", "Oslo", "Rome", "Wien"], [0.1, 0.2, 0.3, 0.4]), None, ""),
        (names(["Bern", "Oslo", "Rome"], [0.5, 0.3, 0.2]), None, ""),
    ],
)
def test_categories_betray_new_spellings_names_and_codes(now: NDArray[Any], key: str | None, said: str) -> None:
    found = category_signs("x", counted_categories(names(CITIES, SHARES, seed=9), now))
    assert [sign.key for sign in found] == ([] if key is None else [key])
    assert said in " ".join(sign.sentence for sign in found)


def test_a_long_name_is_cut_and_shown_as_it_is() -> None:
    hostile = ":red[x]" * 30
    then, now = names(CITIES, SHARES), names(["Bern", "Oslo", "Rome", hostile], SHARES)
    found = category_signs("x", counted_categories(then, now))
    assert "…" in found[0].sentence
    assert len(found[0].sentence) < 200


@pytest.mark.parametrize(
    ("then", "now", "key"),
    [(0.0, 1.0, "all_missing"), (0.02, 0.4, "missing"), (0.4, 0.02, None), (0.3, 0.32, None), (1.0, 1.0, None)],
)
def test_missing_values_tell_by_their_rise(then: float, now: float, key: str | None) -> None:
    assert [sign.key for sign in missing_signs("x", then, now)] == ([] if key is None else [key])


def test_two_exchanged_columns_are_told_as_a_pair_and_not_as_units() -> None:
    rng = np.random.default_rng(6)
    meters, seconds = rng.normal(1.7, 0.1, (2, N)), rng.normal(1700, 100, (2, N))
    found = signs_of(
        {
            "a": Column(counted(meters[0], seconds[1])),
            "b": Column(counted(seconds[0], meters[1])),
            "c": Column(counted(meters[0], meters[1])),
            "d": Column(counted_categories(names(CITIES, SHARES), names(CITIES, SHARES, seed=1))),
        }
    )
    assert {name: [sign.key for sign in signs] for name, signs in found.items()} == {
        "a": ["swapped"], "b": ["swapped"], "c": [], "d": [],
    }  # fmt: skip
    assert found["a"][0].sentence == "a looks as b did, and b as a did."


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [60, 300, 2_000])
def test_quiet_columns_carry_no_mark(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    for draw in (normal, skewed, counts, zero_inflated):
        assert number_signs("x", counted(draw(rng), draw(rng)[:n])) == ()
    now = names(CITIES, SHARES, n=n, seed=seed + 100)
    assert category_signs("x", counted_categories(names(CITIES, SHARES, seed=seed), now)) == ()
