from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.drift.contract import ALLOWED_SHARE, breaks, kept_by

RNG = np.random.default_rng(4)
TRAINED = {
    "age": RNG.integers(18, 80, 2_000).astype(float),
    "job": RNG.choice(np.array(["cook", "nurse"], dtype=object), 2_000),
    "debt": np.where(RNG.random(2_000) < 0.2, np.nan, RNG.lognormal(size=2_000)),
    "id": np.array([f"r{place}" for place in range(2_000)], dtype=object),
}
KEPT = {name: kept_by(sample) for name, sample in TRAINED.items()}


def rows(n: int = 500, **over: np.ndarray) -> dict[str, np.ndarray]:
    chosen = np.random.default_rng(5).integers(0, 2_000, n)
    return {name: sample[chosen] for name, sample in TRAINED.items()} | over


def replaced(sample: np.ndarray, n: int, value: object) -> np.ndarray:
    changed = sample.copy()
    changed[:n] = value
    return changed


def test_rows_like_those_of_training_break_nothing() -> None:
    assert breaks(KEPT, rows()) == []


@pytest.mark.parametrize(
    ("feature", "value", "rule", "words"),
    [
        ("age", np.nan, "never_missing", "age is missing in 20.0 % of the rows; in training it never was."),
        ("age", 999.0, "within_range", "age lies outside the range of the training rows in 20.0 % of the rows."),
        ("age", -np.inf, "within_range", "age lies outside the range"),
        ("job", "poet", "known_categories", "job holds a category that training never saw in 20.0 % of the rows."),
        ("job", None, "never_missing", "job is missing"),
    ],
)
def test_a_rule_that_is_broken_is_named_with_its_share(feature: str, value: object, rule: str, words: str) -> None:
    current = rows()
    [found] = breaks(KEPT, current | {feature: replaced(current[feature], 100, value)})
    assert (found.feature, found.rule, found.n, found.share) == (feature, rule, 100, 0.2)
    assert found.sentence.startswith(words)


def test_what_training_never_promised_cannot_be_broken() -> None:
    current = rows()
    empty_debt = np.full(500, np.nan)
    new_ids = np.array([f"n{place}" for place in range(500)], dtype=object)
    assert breaks(KEPT, current | {"debt": empty_debt, "id": new_ids}) == []


def test_a_feature_that_vanished_is_missing_throughout() -> None:
    current = rows()
    del current["age"]
    [found] = breaks(KEPT, current)
    assert (found.feature, found.rule, found.share) == ("age", "never_missing", 1.0)


@pytest.mark.parametrize(("n", "broken"), [(10, False), (30, True)])
def test_a_handful_of_rows_is_no_break_and_many_are(n: int, broken: bool) -> None:
    current = rows(1_000)
    changed = current | {"age": replaced(current["age"], n, 200.0)}
    low = stats.binomtest(n, 1_000).proportion_ci(0.998, "exact").low
    assert (low > ALLOWED_SHARE) is broken
    assert bool(breaks(KEPT, changed)) is broken


def test_an_empty_window_and_an_empty_training_column_say_nothing() -> None:
    assert breaks(KEPT, {}) == []
    assert breaks({"x": kept_by(np.full(10, np.nan))}, {"x": np.ones(500)}) == []
