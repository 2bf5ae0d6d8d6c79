"""Windows whose cause is known, each triaged: faults, shifts, changed outcomes, seasons, versions, silence, quiet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from core.incidents.evidence import Change
from core.incidents.triage import triage
from tests.core.incidents.world import Case, chance, evidence_of, fitted, outcomes, rows

N = 2_000
Rng = np.random.Generator


def quiet(rng: Rng, n: int = N) -> pd.DataFrame:
    return rows(n, rng)[0]


def changed(column: str, change: Callable[[pd.Series], Any]) -> Callable[[Rng], Case]:
    """A quiet window of which one column arrives changed, without labels."""

    def make(rng: Rng) -> Case:
        frame = quiet(rng)
        return Case(frame.assign(**{column: change(frame[column])}))

    return make


def labelled(
    frame: pd.DataFrame, rng: Rng, of: Callable[[pd.DataFrame], NDArray[np.float64]] = chance, **more: Any
) -> Case:
    return Case(frame, outcomes(frame, rng, of), **more)


def unit_with_labels(rng: Rng) -> Case:
    frame, labels = rows(N, rng)
    return Case(frame.assign(hours=frame["hours"] * 60), labels)


def all_missing_with_labels(rng: Rng) -> Case:
    frame, labels = rows(N, rng)
    return Case(frame.assign(pay=np.nan), labels)


def exchanged(first: str, second: str) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        frame = quiet(rng)
        return Case(frame.assign(**{first: frame[second], second: frame[first]}))

    return make


def partly_missing(rng: Rng) -> Case:
    frame = quiet(rng)
    return Case(frame.assign(age=frame["age"].where(rng.random(N) > 0.3)))


def filled(rng: Rng) -> Case:
    frame = quiet(rng)
    return Case(frame.assign(distance=frame["distance"].where(rng.random(N) > 0.3, -999.0)))


def recoded(column: pd.Series) -> pd.Series:
    return column.map({"cook": "C1", "nurse": "C2", "pilot": "C3", "clerk": "C4"})


def unknown_job(rng: Rng) -> Case:
    frame = quiet(rng)
    return Case(frame.assign(job=frame["job"].where(rng.random(N) > 0.2, "courier")))


def duplicated(rng: Rng) -> Case:
    frame = quiet(rng)
    return Case(frame.iloc[np.r_[0:1400, 0:600]])


def shifted(column: str, by: float, *, with_labels: bool) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        frame = quiet(rng)
        frame = frame.assign(**{column: frame[column] + by})
        return labelled(frame, rng) if with_labels else Case(frame)

    return make


def several_shifted(rng: Rng) -> Case:
    frame = quiet(rng)
    frame = frame.assign(
        hours=frame["hours"] * 0.9 - 4 + rng.normal(0, 3, N),
        age=(frame["age"] * 0.8).round(),
        pay=(frame["pay"] * np.exp(rng.normal(-0.4, 0.2, N))).round(2),
    )
    return labelled(frame, rng)


def harder_rows(rng: Rng) -> Case:
    """Inputs move to where outcomes are nearly even: harm, though nothing but the inputs changed."""
    frame, _ = rows(6 * N, rng)
    even = np.argsort(np.abs(chance(frame) - 0.5))[: 3 * N]
    frame = frame.iloc[rng.permutation(even)[:N]].reset_index(drop=True)
    frame = frame.assign(distance=frame["distance"] + 5 * rng.random(N) + 4)
    return labelled(frame, rng)


def without_harm(rng: Rng) -> Case:
    """What moved tells nothing of the outcome."""
    frame = quiet(rng)
    return labelled(frame.assign(temperature=frame["temperature"] * 0.5 + 14, score=frame["score"] + 0.8), rng)


def other_mix(prior: float, *, with_labels: bool) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        frame, labels = rows(N, rng, prior=prior)
        return Case(frame, labels if with_labels else None)

    return make


def turned(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Pay now tells the opposite."""
    return np.asarray(1 / (1 + np.exp(-((frame["hours"] - 40) / 4 - 2.2 * (np.log(frame["pay"]) - 7.5)))))


def random_now(frame: pd.DataFrame) -> NDArray[np.float64]:
    return np.full(len(frame), 0.5)


def concept(of: Callable[[pd.DataFrame], NDArray[np.float64]]) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        return labelled(quiet(rng), rng, of)

    return make


def concept_in_a_slice(rng: Rng) -> Case:
    frame = quiet(rng)

    def of(held: pd.DataFrame) -> NDArray[np.float64]:
        return np.where(held["city"] == "Riga", 1 - chance(held), chance(held))

    return labelled(frame, rng, of, slices=("city",))


def no_labels_of_a_concept(rng: Rng) -> Case:
    return Case(labelled(quiet(rng), rng, turned).frame)


def season(now: int, then: int | None) -> Callable[[Rng], Case]:
    """July against the whole year; the July before is known where given, or what is given as July."""

    def make(rng: Rng) -> Case:
        frame, _ = rows(N, rng, month=now)
        return Case(frame, season=None if then is None else rows(N, rng, month=then)[0])

    return make


def growth(rng: Rng) -> Case:
    """Distances grow month by month; July before was as the reference."""
    months = [
        frame.assign(distance=frame["distance"] + 1.5 * place + rng.gamma(1.0, place + 0.1, N))
        for place, frame in enumerate(quiet(rng) for _ in range(4))
    ]
    last = months[-1]
    return labelled(last, rng, season=quiet(rng), earlier=months[:-1], before=months[-2])


DEPLOYED = (Change("deployment", "pay v3 went live in place of v2 on 1 Jul 2026."),)


def new_version(rng: Rng) -> Case:
    """The new version was trained on other rows; what comes in is what came before."""
    other = quiet(rng, 6_000)
    other = other.assign(hours=other["hours"] - 8, distance=other["distance"] * 0.6)
    return Case(quiet(rng), reference=other, before=quiet(rng), changes=DEPLOYED)


def new_version_in_harm(rng: Rng) -> Case:
    frame = quiet(rng)
    return labelled(frame, rng, turned, before=quiet(rng), changes=DEPLOYED)


def version_and_unit(rng: Rng) -> Case:
    frame = quiet(rng)
    return Case(frame.assign(pay=frame["pay"] / 100), before=quiet(rng), changes=DEPLOYED)


def silence(rng: Rng) -> Case:
    return Case(quiet(rng, 5), troubles=("No prediction was asked for since 3 Jul 2026, 14:00 UTC.",))


def errors(rng: Rng) -> Case:
    return Case(quiet(rng), troubles=("12 % of requests failed in the last hour.",))


def few_rows(rng: Rng) -> Case:
    frame = quiet(rng, 40)
    return Case(frame.assign(hours=frame["hours"] + 30))


def nothing(n: int, *, with_labels: bool = False, n_noise: int = 0) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        frame, labels = rows(n, rng)
        reference = None
        if n_noise:
            reference = fitted().reference
            reference = reference.assign(**{f"noise {i}": rng.normal(size=len(reference)) for i in range(n_noise)})
            frame = frame.assign(**{f"noise {i}": rng.normal(size=n) for i in range(n_noise)})
        return Case(frame, labels if with_labels else None, reference=reference)

    return make


SCENARIOS: dict[str, tuple[Callable[[Rng], Case], str]] = {
    "unit change: hours in minutes": (changed("hours", lambda one: one * 60), "pipeline_fault"),
    "unit change: distance in miles": (changed("distance", lambda one: (one / 1.609344).round(2)), "pipeline_fault"),
    "unit change: Celsius to Fahrenheit": (changed("temperature", lambda one: one * 1.8 + 32), "pipeline_fault"),
    "unit change with labels and harm": (unit_with_labels, "pipeline_fault"),
    "decimal shift: pay in cents": (changed("pay", lambda one: one * 100), "pipeline_fault"),
    "decimal shift: pay in thousands": (changed("pay", lambda one: one / 1000), "pipeline_fault"),
    "sign flip": (changed("score", lambda one: -one), "pipeline_fault"),
    "gone constant": (changed("hours", lambda one: one * 0 + 40.0), "pipeline_fault"),
    "category gone constant": (changed("city", lambda one: one.where(one == "Bern", "Bern")), "pipeline_fault"),
    "all missing": (changed("age", lambda one: one * np.nan), "pipeline_fault"),
    "all missing with labels and harm": (all_missing_with_labels, "pipeline_fault"),
    "category all missing": (changed("job", lambda one: one.where(one == "", None)), "pipeline_fault"),
    "a third missing": (partly_missing, "pipeline_fault"),
    "a third filled with -999": (filled, "pipeline_fault"),
    "two numbers exchanged": (exchanged("age", "hours"), "pipeline_fault"),
    "two categories exchanged": (exchanged("job", "city"), "pipeline_fault"),
    "clipped above": (changed("pay", lambda one: one.clip(upper=1_500)), "pipeline_fault"),
    "clipped below": (changed("age", lambda one: one.clip(lower=40)), "pipeline_fault"),
    "clock set three hours on": (changed("hour", lambda one: (one + 3) % 24), "pipeline_fault"),
    "clock set eight hours back": (changed("hour", lambda one: (one - 8) % 24), "pipeline_fault"),
    "case change": (changed("city", lambda one: one.str.upper()), "pipeline_fault"),
    "padded names": (changed("job", lambda one: " " + one), "pipeline_fault"),
    "a category renamed": (changed("city", lambda one: one.replace("Wien", "Vienna")), "pipeline_fault"),
    "every category recoded": (changed("job", recoded), "pipeline_fault"),
    "boolean spelled differently": (
        changed("member", lambda one: one.map({"true": "1", "false": "0"})),
        "pipeline_fault",
    ),
    "duplicates": (duplicated, "pipeline_fault"),
    "a new version and a decimal shift": (version_and_unit, "pipeline_fault"),
    "a new category": (unknown_job, "input_shift"),
    "mean shift of one feature, with labels": (shifted("hours", 5, with_labels=True), "input_shift"),
    "mean shift of a feature that tells little, no labels": (shifted("score", 1.2, with_labels=False), "input_shift"),
    "mean shift of the telling feature, no labels": (shifted("hours", 6, with_labels=False), "cannot_tell"),
    "mean shift of several features": (several_shifted, "input_shift"),
    "covariate shift with harm": (harder_rows, "input_shift"),
    "covariate shift without harm": (without_harm, "input_shift"),
    "growth month by month": (growth, "input_shift"),
    "label shift up, with labels": (other_mix(0.85, with_labels=True), "label_shift"),
    "label shift down, with labels": (other_mix(0.2, with_labels=True), "label_shift"),
    "label shift without labels": (other_mix(0.9, with_labels=False), "cannot_tell"),
    "concept turned, inputs unchanged": (concept(turned), "concept_change"),
    "concept gone, inputs unchanged": (concept(random_now), "concept_change"),
    "concept turned in one slice": (concept_in_a_slice, "concept_change"),
    "concept turned, no labels: invisible": (no_labels_of_a_concept, "none"),
    "seasonal return": (season(7, 7), "seasonal_return"),
    "seasonal return in winter": (season(1, 1), "seasonal_return"),
    "off season": (season(7, 4), "input_shift"),
    "season without a year before": (season(7, None), "input_shift"),
    "new version trained on other rows": (new_version, "new_version"),
    "new version does harm": (new_version_in_harm, "new_version"),
    "silence": (silence, "infrastructure"),
    "errors": (errors, "infrastructure"),
    "too few rows": (few_rows, "cannot_tell"),
    "quiet, 100 rows": (nothing(100), "none"),
    "quiet, 500 rows with labels": (nothing(500, with_labels=True), "none"),
    "quiet, 2,000 rows": (nothing(2_000), "none"),
    "quiet, 2,000 rows with labels": (nothing(2_000, with_labels=True), "none"),
    "quiet, 20,000 rows": (nothing(20_000), "none"),
    "quiet, 1,000 rows, 100 features": (nothing(1_000, n_noise=90), "none"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_planted_cause_is_found(name: str) -> None:
    make, cause = SCENARIOS[name]
    told = triage(evidence_of(make(np.random.default_rng(20260712))))
    assert told.cause == cause, (told.sentence, told.ranked)
