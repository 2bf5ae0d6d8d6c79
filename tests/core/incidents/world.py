"""A small world with known truth: rows, outcomes, a model fitted on them, and what a monitor would know of a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from core.drift.contract import breaks, kept_by
from core.drift.measuring import measure
from core.estimation.concept import ALPHA, score_change
from core.estimation.estimating import codes_of, estimate_scores, fit_scores
from core.incidents.evidence import (
    Change,
    ConceptEvidence,
    Evidence,
    FeatureEvidence,
    Figure,
    LabelEvidence,
    PerformanceEvidence,
    SeasonEvidence,
)
from core.incidents.labels import label_evidence
from core.incidents.marking import Column, signs_of
from core.statistics.intervals import wilson
from core.statistics.sketches import Counted, CountedCategories, counted, counted_categories

MIN_ROWS = 100
LEAST_EFFECT = 0.1
NUMBERS = ("hours", "age", "pay", "distance", "hour", "temperature", "score")
CATEGORIES = ("job", "city", "member")
FEATURES = (*NUMBERS, *CATEGORIES)
CLASSES = ("no", "yes")
Outcome = Callable[[pd.DataFrame], NDArray[np.float64]]


def rows(
    n: int, rng: np.random.Generator, *, month: int | None = None, prior: float | None = None
) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Rows and their outcomes: of one month where given; with a share of "yes" where given."""
    if prior is None:
        frame = _inputs(n, rng, month)
        return frame, outcomes(frame, rng)
    frame, labels = rows(12 * n, rng, month=month)
    n_yes = round(n * prior)
    picked = np.concatenate([np.flatnonzero(labels == "yes")[:n_yes], np.flatnonzero(labels == "no")[: n - n_yes]])
    picked = rng.permutation(picked)
    return frame.iloc[picked].reset_index(drop=True), labels[picked]


def _inputs(n: int, rng: np.random.Generator, month: int | None) -> pd.DataFrame:
    months = rng.integers(1, 13, n) if month is None else np.full(n, month)
    hours_of_day = np.clip(np.round(rng.normal(10, 3, n)), 0, 23)
    evening = rng.random(n) < 0.35
    return pd.DataFrame(
        {
            "hours": rng.normal(40, 8, n).round(2),
            "age": rng.integers(18, 80, n).astype(float),
            "pay": rng.lognormal(7.5, 0.5, n).round(2),
            "distance": rng.gamma(2.0, 6.0, n).round(2),
            "hour": np.where(evening, np.clip(np.round(rng.normal(18, 1.5, n)), 0, 23), hours_of_day),
            "temperature": (10 + 12 * np.sin((months - 4) * np.pi / 6) + rng.normal(0, 3, n)).round(1),
            "score": rng.normal(0.5, 1.0, n).round(3),
            "job": rng.choice(["cook", "nurse", "pilot", "clerk"], n, p=[0.4, 0.3, 0.1, 0.2]).astype(object),
            "city": rng.choice(["Bern", "Oslo", "Rome", "Wien", "Riga"], n, p=[0.3, 0.25, 0.2, 0.15, 0.1]).astype(
                object
            ),
            "member": rng.choice(["true", "false"], n, p=[0.7, 0.3]).astype(object),
        }
    )


def chance(frame: pd.DataFrame) -> NDArray[np.float64]:
    """The chance of "yes": hours and pay tell most, then age and the job; the rest tells nothing."""
    logit = (
        (frame["hours"] - 40) / 4
        + 2.2 * (np.log(frame["pay"].clip(lower=1)) - 7.5)
        + (frame["age"] - 48) / 18
        + np.where(frame["job"] == "pilot", 1.5, 0.0)
    )
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


def outcomes(frame: pd.DataFrame, rng: np.random.Generator, of: Outcome = chance) -> NDArray[Any]:
    return np.where(rng.random(len(frame)) < of(frame), "yes", "no").astype(object)


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model with what is kept of it: its reference, the set it was judged on, its importances."""

    pipeline: Any
    reference: pd.DataFrame
    judged_labels: NDArray[Any]
    judged_scores: NDArray[np.float64]
    then: Figure
    importance: dict[str, float]

    def scores(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(self.pipeline.predict_proba(frame)[:, 1], dtype=np.float64)


@cache
def fitted(seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    reference, labels = rows(6_000, rng)
    judged, judged_labels = rows(4_000, rng)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pipeline = make_pipeline(
        make_column_transformer((encoder, list(CATEGORIES)), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, max_leaf_nodes=8, random_state=0),
    )
    pipeline.fit(reference, labels)
    found = permutation_importance(
        pipeline, judged.iloc[:1000], judged_labels[:1000], n_repeats=2, random_state=0, scoring="accuracy"
    )
    drops = np.clip(found.importances_mean, 0, None)
    scores = np.asarray(pipeline.predict_proba(judged)[:, 1])
    return Model(
        pipeline, reference, judged_labels, scores, accuracy(judged_labels, scores),
        dict(zip(judged.columns, drops / drops.sum(), strict=True)),
    )  # fmt: skip


def accuracy(labels: NDArray[Any], scores: NDArray[np.float64]) -> Figure:
    hits = int((labels == np.where(scores >= 0.5, "yes", "no")).sum())
    around = wilson(hits, len(labels))
    return Figure(hits / len(labels), around.low, around.high)


@dataclass
class Case:
    """One window of the world: its rows, labels where they have come, and what surrounds it."""

    frame: pd.DataFrame
    labels: NDArray[Any] | None = None
    reference: pd.DataFrame | None = None
    season: pd.DataFrame | None = None
    before: pd.DataFrame | None = None
    earlier: Sequence[pd.DataFrame] = ()
    changes: tuple[Change, ...] = ()
    troubles: tuple[str, ...] = ()
    slices: Sequence[str] = ()
    model: Model = field(default_factory=fitted)


@dataclass(frozen=True)
class Held:
    """A column of the window against the reference: counted in both, its leading effect, whether it drifted."""

    counted: Counted | CountedCategories
    effect: float
    drifted: bool


def held(then: pd.Series, now: pd.Series, n_columns: int) -> Held:
    numeric = pd.api.types.is_numeric_dtype(then)
    samples = [_sample(column, numeric=numeric) for column in (then, now)]
    found = measure(*samples, "number" if numeric else "category", rng=np.random.default_rng(0))
    return Held(
        (counted if numeric else counted_categories)(*samples),
        found.effect or 0.0,
        any(_counts(one.effect, one.pvalue, n_columns * len(found.streams)) for one in found.deciding),
    )


def _sample(column: pd.Series, *, numeric: bool | None = None) -> NDArray[Any]:
    if pd.api.types.is_numeric_dtype(column) if numeric is None else numeric:
        return column.to_numpy(dtype=float)
    return np.array([None if pd.isna(one) else str(one) for one in column], dtype=object)


def _counts(effect: float | None, pvalue: float | None, n_tests: int) -> bool:
    return effect is not None and pvalue is not None and effect >= LEAST_EFFECT and pvalue * n_tests < 0.001


def evidence_of(case: Case) -> Evidence:
    """What a monitor knows of the window, measured on its rows."""
    model = case.model
    reference = model.reference if case.reference is None else case.reference
    n_columns = len(reference.columns) + 1
    against = {name: held(reference[name], case.frame[name], n_columns) for name in reference.columns}
    signs = signs_of(
        {
            name: Column(found.counted, float(reference[name].isna().mean()), float(case.frame[name].isna().mean()))
            for name, found in against.items()
        }
    )
    features = []
    for name, found in against.items():
        before = None
        if case.before is not None:
            before = held(case.before[name], case.frame[name], n_columns).drifted
        features.append(
            FeatureEvidence(
                name=name,
                kind="number" if pd.api.types.is_numeric_dtype(reference[name]) else "category",
                drifted=found.drifted,
                effect=found.effect,
                threshold=LEAST_EFFECT,
                importance=model.importance.get(name),
                moved_since_before=before,
                earlier_effects=tuple(held(reference[name], frame[name], n_columns).effect for frame in case.earlier),
                signs=signs[name],
            )
        )
    scores = model.scores(case.frame[list(FEATURES)])
    kept = {name: kept_by(_sample(reference[name])) for name in reference.columns}
    prediction = held(pd.Series(model.judged_scores), pd.Series(scores), n_columns)
    return Evidence(
        window="2026-07",
        n_rows=len(case.frame),
        min_rows=MIN_ROWS,
        features=tuple(features),
        prediction_drifted=prediction.drifted,
        performance=performance(model, scores, case.labels),
        slices=_slices(case, scores),
        labels=_labels(model, scores, case.labels),
        season=None if case.season is None else _season(case.season, case.frame, n_columns),
        concept=_concept(model, scores, case.labels),
        contract=tuple(one.sentence for one in breaks(kept, {name: _sample(case.frame[name]) for name in kept})),
        repeated_then=float(reference.sample(min(len(case.frame), len(reference)), random_state=0).duplicated().mean()),
        repeated_now=float(case.frame.duplicated().mean()),
        changes=case.changes,
        troubles=case.troubles,
    )


def performance(model: Model, scores: NDArray[np.float64], labels: NDArray[Any] | None) -> PerformanceEvidence:
    rng = np.random.default_rng(0)
    estimator = _estimator(model)
    both = np.column_stack([1 - scores, scores])
    metrics = estimate_scores(estimator, both, (scores >= 0.5).astype(np.int64), rng=rng)
    found = next(one for one in metrics if one.key == "accuracy")
    realised = None if labels is None else accuracy(labels, scores)
    return PerformanceEvidence(
        title="Accuracy",
        greater_is_better=True,
        then=model.then,
        realised=realised,
        estimated=Figure(found.value, found.low, found.high),
        n_labelled=0 if labels is None else len(labels),
    )


@cache
def _estimator(model: Model) -> Any:
    both = np.column_stack([1 - model.judged_scores, model.judged_scores])
    return fit_scores(both, codes_of(list(model.judged_labels), CLASSES), rng=np.random.default_rng(1))


def _concept(model: Model, scores: NDArray[np.float64], labels: NDArray[Any] | None) -> ConceptEvidence | None:
    if labels is None:
        return None
    both = np.column_stack([1 - scores, scores])
    found = score_change(_estimator(model), both, codes_of(list(labels), CLASSES), classes=CLASSES)
    return None if found is None else ConceptEvidence(found.pvalue < ALPHA, found.sentence)


def _slices(case: Case, scores: NDArray[np.float64]) -> dict[str, PerformanceEvidence]:
    found = {}
    for column in case.slices:
        for value in sorted(case.frame[column].unique()):
            at = (case.frame[column] == value).to_numpy()
            labels = None if case.labels is None else case.labels[at]
            found[f"{column}={value}"] = performance(case.model, scores[at], labels)
    return found


def _labels(model: Model, scores: NDArray[np.float64], labels: NDArray[Any] | None) -> LabelEvidence | None:
    if labels is None:
        return None
    return label_evidence(model.judged_labels, labels, scores_then=model.judged_scores, scores_now=scores)


def _season(earlier: pd.DataFrame, now: pd.DataFrame, n_columns: int) -> SeasonEvidence:
    moved = [name for name in earlier.columns if held(earlier[name], now[name], n_columns).drifted]
    if moved:
        return SeasonEvidence(False, f"July before looked different in {', '.join(moved)}.")
    return SeasonEvidence(True, "July before looked the same.")
