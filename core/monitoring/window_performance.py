"""How well a model does in a window, from three sources: labels, estimates, and both together.

*Realised*: the metrics on the rows whose label has come, with the interval of a sample. *Estimated*: what the scores,
or the losses learnt from the reference, say of all rows without any label. *Corrected*: labelled rows count as what
they are, and rows still waiting as estimated. The rows that were labelled first are no random sample, often those that
were looked into because of their score; realised figures follow that choice, corrected ones do not, as long as of
rows with alike scores (or inputs) those labelled are like those that wait. They narrow to the realised figure as labels
come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.drift.columns import moments, sample
from core.estimation import believing
from core.estimation.concept import ConceptChange, residual_change, score_change
from core.estimation.estimating import UNKNOWN, EstimatedMetric, codes_of, estimate_scores
from core.estimation.loss_estimating import LOSSES, estimate_losses
from core.estimation.maturity import Arrivals, arrivals_of
from core.estimation.support import Outside, Sample, encoded, outside
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.monitoring.alerting import Firing, performance_firing
from core.monitoring.bias import GapChange
from core.monitoring.counting import Slice, of_slice
from core.monitoring.labels import KeptLabel, kept_labels
from core.monitoring.performance import evaluated, number, realised, scores_of, truths
from core.monitoring.performance_reference import PerformanceReference, learnt, performance_reference, scored
from core.monitoring.tables import Source
from core.monitoring.window_gaps import gaps_of
from core.registry.tables import ModelVersion
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column, score_column
from core.wording import brief_interval
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MIN_ESTIMATED = 10
SEED = 20_260_815
SUPPORT_ROWS = 20_000


@dataclass(frozen=True)
class PerformanceFigure:
    """One metric of one window, or of a slice of it, from one source.

    Parameters
    ----------
    slice : str
        "" for all rows.
    source : Source
    key : str
        Of `core.evaluation.metrics.METRICS`.
    value : float
    low, high : float or None
        Realised: a 95 % confidence interval. Estimated and corrected: the band in which the window's final figure will
        lie in 95 of 100, if nothing speaks against believing it.
    n_labelled : int
        Rows whose label has come.
    note : str
        What speaks against it; "" where nothing does.
    """

    slice: str
    source: Source
    key: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int
    note: str = ""


@dataclass(frozen=True)
class WindowPerformance:
    """What labels and estimates say of one window.

    Parameters
    ----------
    figures : tuple of PerformanceFigure
        Of all rows first, primary metric first, then of slices.
    arrivals : Arrivals
        How its labels came in.
    matched : frozenset of str
        Prediction ids in it whose label had come before the prediction was known.
    gap : GapChange or None
        How far apart groups of people fare; see `window_gaps.gaps_of`.
    """

    figures: tuple[PerformanceFigure, ...]
    arrivals: Arrivals
    matched: frozenset[str]
    gap: GapChange | None = None

    def primary(self, task: Task | str, source: Source) -> PerformanceFigure | None:
        """The primary metric of all rows from one source."""
        key = primary_metric(task)
        return next((one for one in self.figures if one.slice == "" and (one.source, one.key) == (source, key)), None)


@dataclass(frozen=True, eq=False)
class PerformanceWatch:
    """What of a monitor's version holds for all its windows.

    Parameters
    ----------
    signature : mapping
    labels : mapping of prediction id to KeptLabel
    evaluated : (value, low, high) or None
        The primary metric on the fixed evaluation set.
    reference : PerformanceReference or None
        None where nothing can be estimated.
    """

    signature: Mapping[str, Any]
    labels: Mapping[str, KeptLabel]
    evaluated: tuple[float, float, float] | None
    reference: PerformanceReference | None

    @cached_property
    def values(self) -> dict[str, str]:
        """What turned out to be true, by prediction id."""
        return {one: kept.value for one, kept in self.labels.items()}

    @cached_property
    def first_at(self) -> dict[str, float]:
        """When the first label of each prediction came, in seconds since 1970, by prediction id."""
        return {one: kept.first_at.timestamp() for one, kept in self.labels.items()}

    @property
    def task(self) -> Task:
        """What the version predicts."""
        return Task(self.signature["task"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels it can answer; none for a regression."""
        return tuple(self.signature["classes"] or ())

    def columns(self, slices: Sequence[Slice] = ()) -> list[str]:
        """Which columns of the kept rows are needed."""
        scores = [score_column(label) for label in self.classes]
        features = [feature_column(one.column) for one in slices]
        if self.reference is not None:
            features += self.reference.features
        return list(dict.fromkeys([AT, PREDICTION, PREDICTION_ID, LABEL, *scores, *features]))


def performance_watch(workspace: Workspace, *, model_id: int, version: ModelVersion, now: datetime) -> PerformanceWatch:
    """Read what all windows of a version are judged by; learns from its reference where that never was done.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    reference = performance_reference(workspace, version, now=now)
    with workspace.read() as session:
        labels = kept_labels(session, model_id)
        then = evaluated(session, run_id=version.run_id, task=version.signature["task"])
    return PerformanceWatch(version.signature, labels, then, reference)


def window_performance(watch: PerformanceWatch, rows: pa.Table, slices: Sequence[Slice] = ()) -> WindowPerformance:
    """Judge a window by its labels and by estimates.

    Parameters
    ----------
    rows : pyarrow.Table
        In the layout of `core.serving.frames`, with the columns that `PerformanceWatch.columns` names, as far as they
        were kept. Without predictions there are no figures.
    slices : sequence of Slice
        Parts to be judged as well.
    """
    if PREDICTION not in rows.column_names or rows.num_rows == 0:
        return WindowPerformance((), arrivals_of(np.empty(0), np.empty(0)), frozenset())
    figures = _figures(watch, rows, "")
    for one in slices:
        part = of_slice(rows, one)
        if 0 < part.num_rows < rows.num_rows:
            figures += _figures(watch, part, one.label)
    ids = rows[PREDICTION_ID].to_pylist() if PREDICTION_ID in rows.column_names else []
    matched = {one for one in ids if one in watch.labels and not watch.labels[one].known}
    gap = None if watch.reference is None else gaps_of(watch.reference, rows, truths(rows, watch.values), watch.classes)
    return WindowPerformance(tuple(figures), _arrivals(watch, rows, ids), frozenset(matched), gap)


def concept_of(watch: PerformanceWatch, rows: pa.Table, *, n_looks: int = 1) -> ConceptChange | None:
    """Test on the labelled rows of a window whether what a score, or a prediction, means has changed.

    Parameters
    ----------
    rows : pyarrow.Table
        As `window_performance` takes them.
    n_looks : int
        How many windows are looked at.

    Returns
    -------
    ConceptChange or None
        None where nothing was learnt from a reference, or too few labels have come.
    """
    reference = watch.reference
    if reference is None or not reference.can_estimate or PREDICTION not in rows.column_names or rows.num_rows == 0:
        return None
    usable, _ = _usable(watch, reference, rows, truths(rows, watch.values))
    if reference.scores is None:
        return residual_change(reference.residuals, usable.truth - usable.answers, n_looks=n_looks)
    if usable.scores is None or len(usable.answers) == 0:
        return None
    return score_change(reference.scores, usable.scores, usable.truth, classes=watch.classes, n_looks=n_looks)


def performance_firings(
    watch: PerformanceWatch, found: WindowPerformance, *, model: str, window: str, min_rows: int
) -> list[Firing]:
    """Say which alerts a window's performance raises.

    Parameters
    ----------
    model : str
        What people call it, "income champion".
    window : str
    min_rows : int
        Fewer labels raise nothing.

    Returns
    -------
    list of Firing
        "performance", critical, where the realised interval is worse than the evaluation set's. Else
        "estimated_performance", a warning, where the whole estimated band is, and nothing speaks against believing it.
    """
    if watch.evaluated is None:
        return []
    primary = METRICS[primary_metric(watch.task)]
    for source in (Source.REALISED, Source.ESTIMATED):
        now = found.primary(watch.task, source)
        if now is None or now.low is None or now.high is None:
            continue
        enough = now.n_labelled >= min_rows if source is Source.REALISED else not now.note
        if not enough:
            continue
        harm = performance_firing(
            model=model,
            window=window,
            title=primary.title,
            greater_is_better=primary.greater_is_better,
            now=(now.value, now.low, now.high),
            then=watch.evaluated,
            n_labelled=now.n_labelled,
        )
        if harm is None:
            continue
        if source is Source.REALISED:
            return [harm]
        return [Firing("estimated_performance", "warning", _estimated_sentence(model, window, now, watch.evaluated))]
    return []


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows that can be estimated, and what the labels say of them: codes, or float64 with NaN."""

    answers: NDArray[Any]
    scores: NDArray[np.float64] | None
    features: NDArray[np.float64] | None
    truth: NDArray[Any]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return np.isfinite(self.truth) if self.scores is None else np.asarray(self.truth != UNKNOWN)

    def take(self, keep: NDArray[np.bool_]) -> _Rows:
        parts = (None if one is None else one[keep] for one in (self.answers, self.scores, self.features, self.truth))
        return _Rows(*parts)  # type: ignore[arg-type]


def _figures(watch: PerformanceWatch, rows: pa.Table, part: str) -> list[PerformanceFigure]:
    truth = truths(rows, watch.values)
    found = [
        PerformanceFigure(part, Source.REALISED, one.key, one.value, one.low, one.high, one.n_labelled)
        for one in realised(watch.signature, rows, watch.values)
    ]
    if watch.reference is None or not watch.reference.can_estimate:
        return found
    usable, columns = _usable(watch, watch.reference, rows, truth)
    if len(usable.answers) < MIN_ESTIMATED:
        return found
    n_labelled = int(usable.labelled.sum())
    against = [
        *watch.reference.against,
        *believing.of_scores(len(usable.answers), rows.num_rows),
        *believing.of_support(_named(outside(watch.reference.support, columns))),
        *_contradicted(watch, watch.reference, usable, found),
    ]
    sources = {Source.ESTIMATED: False}
    if 0 < n_labelled < len(usable.answers):
        sources[Source.CORRECTED] = True
    for source, with_labels in sources.items():
        found += [
            PerformanceFigure(part, source, one.key, one.value, one.low, one.high, n_labelled, " ".join(against))
            for one in _estimate(watch.reference, usable, with_labels=with_labels)
        ]
    return found


def _usable(
    watch: PerformanceWatch, reference: PerformanceReference, rows: pa.Table, truth: Sequence[Any]
) -> tuple[_Rows, dict[str, Sample]]:
    """The rows that have all that an estimate takes, and a sample of their columns for what the reference holds."""
    import pyarrow as pa

    kinds = {feature_column(one["name"]): one["kind"] for one in learnt(watch.signature["features"])}
    there = [name for name in reference.features if name in rows.column_names]
    some = np.arange(rows.num_rows)
    if reference.losses is None and len(some) > SUPPORT_ROWS:
        some = np.sort(np.random.default_rng(SEED).choice(len(some), SUPPORT_ROWS, replace=False))
    picked = rows.select(there).take(pa.array(some)) if there else None
    columns = {} if picked is None else {name: sample(picked[name], kinds[name]) for name in there}
    if reference.losses is not None:
        answers = np.array([number(one) for one in rows[PREDICTION].to_pylist()], dtype=np.float64)
        missing: Sample = np.full(rows.num_rows, np.nan)
        inputs = {name: columns.get(name, missing) for name in reference.features}
        features = encoded(reference.support, inputs, reference.features).reshape(len(answers), -1)
        told = np.array([number(one) for one in truth], dtype=np.float64)
        told[~np.isfinite(told)] = np.nan
        keep = np.isfinite(answers)
        columns[PREDICTION] = answers
        return _Rows(answers, None, features, told).take(keep), {name: one[keep] for name, one in columns.items()}
    scores = scores_of(rows, watch.classes)
    if scores is None:
        return _Rows(np.empty(0), np.empty((0, 0)), None, np.empty(0)), {}
    codes = codes_of(rows[PREDICTION].to_pylist(), watch.classes)
    keep = np.isfinite(scores).all(axis=1) & (codes >= 0) & (codes < len(watch.classes))
    columns |= {score_column(watch.classes[at]): scores[some, at] for at in scored(watch.classes)}
    whole = _Rows(codes, scores, None, codes_of(truth, watch.classes))
    return whole.take(keep), {name: one[keep[some]] for name, one in columns.items()}


def _estimate(reference: PerformanceReference, rows: _Rows, *, with_labels: bool) -> tuple[EstimatedMetric, ...]:
    rng = np.random.default_rng(SEED)
    truth = rows.truth if with_labels else None
    if reference.losses is not None:
        assert rows.features is not None
        return estimate_losses(reference.losses, rows.features, rows.answers, rng=rng, truth=truth)
    assert reference.scores is not None
    assert rows.scores is not None
    return estimate_scores(reference.scores, rows.scores, rows.answers, rng=rng, truth=truth)


def _contradicted(
    watch: PerformanceWatch, reference: PerformanceReference, rows: _Rows, found: Sequence[PerformanceFigure]
) -> list[str]:
    """Whether the labels that are in contradict the estimate of their own rows, by a metric or by what scores mean.

    A ranking may stay as good as it was while every chance is off, so that the primary metric alone does not tell.
    """
    known = {one.key: one for one in found if one.low is not None and one.high is not None}
    said = {one.key: one for one in _estimate(reference, rows.take(rows.labelled), with_labels=False)} if known else {}
    keys = [primary_metric(watch.task), *LOSSES]
    for key in dict.fromkeys(key for key in keys if key in known and key in said):
        real, expected = known[key], said[key]
        assert real.low is not None
        assert real.high is not None
        against = believing.of_labels(
            METRICS[key].title,
            (real.value, real.low, real.high),
            (expected.value, expected.low, expected.high),
            real.n_labelled,
        )
        if against:
            return against
    if reference.scores is None or rows.scores is None or len(rows.answers) == 0:
        return []
    return believing.of_concept(score_change(reference.scores, rows.scores, rows.truth, classes=watch.classes))


def _named(found: Outside) -> Outside:
    """With columns as people call them."""
    feature, score = feature_column(""), score_column("")
    called = []
    for name in found.names:
        if name.startswith(feature):
            called.append(name.removeprefix(feature))
        elif name.startswith(score):
            called.append(f"the score of {name.removeprefix(score)}")
        else:
            called.append("what is predicted")
    return replace(found, names=tuple(called))


def _arrivals(watch: PerformanceWatch, rows: pa.Table, ids: Sequence[str | None]) -> Arrivals:
    own = rows[LABEL].is_valid().to_numpy() if LABEL in rows.column_names else np.zeros(rows.num_rows, dtype=bool)
    if not ids or AT not in rows.column_names:
        return arrivals_of(np.empty(0), np.empty(0), n_at_once=int(own.sum()))
    joined = np.flatnonzero([one is not None for one in ids] & ~own)
    times = moments(rows[AT])[joined]
    at = np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 1e6)
    received = np.array([watch.first_at.get(ids[place] or "", np.nan) for place in joined.tolist()], dtype=np.float64)
    return arrivals_of(at, received, n_at_once=int(own.sum()))


def _estimated_sentence(model: str, window: str, now: PerformanceFigure, then: tuple[float, float, float]) -> str:
    return (
        f"{model}: {METRICS[now.key].title} is estimated at {brief_interval(now.value, now.low, now.high)} in "
        f"{window}, worse than {brief_interval(*then)} on the evaluation set. No labels confirm it yet."
    )
