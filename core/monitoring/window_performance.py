"""How well a model does in a window, from three sources: labels, estimates, and both together.

*Realised*: the metrics on the rows whose label has come, with the interval of a sample. *Estimated*: what the scores,
or the losses learnt from the reference, say of all rows without any label. *Corrected*: labelled rows count as what
they are, and rows still waiting as estimated. The rows that were labelled first are no random sample, often those that
were looked into because of their score; realised figures follow that choice, corrected ones do not, as long as of
rows with alike scores (or inputs) those labelled are like those that wait. They narrow to the realised figure as labels
come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.drift.columns import moments
from core.estimation import believing
from core.estimation.concept import ConceptChange
from core.estimation.estimating import EstimatedMetric, estimate_scores
from core.estimation.loss_estimating import LOSSES, estimate_losses
from core.estimation.maturity import Arrivals, arrivals_of
from core.estimation.support import Outside, outside
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.alerting import Firing, performance_firing
from core.monitoring.bias import GapChange
from core.monitoring.counting import Slice, of_slice
from core.monitoring.judged_rows import EstimableRows, ForeignLabels, JudgedRows, numbers_of
from core.monitoring.performance import places_of, realised
from core.monitoring.performance_reference import PerformanceReference
from core.monitoring.performance_watch import PerformanceWatch
from core.monitoring.tables import Source
from core.monitoring.window_gaps import gaps_of
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column, score_column
from core.wording import brief_interval

if TYPE_CHECKING:
    import pyarrow as pa

MIN_ESTIMATED = 10
SEED = 20_260_815


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
    concept : ConceptChange or None
        Whether a score, or a prediction, still means what it meant; None where nobody looked, or too few labels came.
    foreign : ForeignLabels or None
        Labels that are no class of the model; None where there are none.
    """

    figures: tuple[PerformanceFigure, ...]
    arrivals: Arrivals
    matched: frozenset[str]
    gap: GapChange | None = None
    concept: ConceptChange | None = None
    foreign: ForeignLabels | None = None

    def primary(self, task: Task | str, source: Source) -> PerformanceFigure | None:
        """The primary metric of all rows from one source."""
        key = primary_metric(task)
        return next((one for one in self.figures if one.slice == "" and (one.source, one.key) == (source, key)), None)


def window_performance(
    watch: PerformanceWatch, rows: pa.Table, slices: Sequence[Slice] = (), *, n_looks: int = 0
) -> WindowPerformance:
    """Judge a window by its labels and by estimates.

    Parameters
    ----------
    rows : pyarrow.Table
        In the layout of `core.serving.frames`, with the columns that `PerformanceWatch.columns` names, as far as they
        were kept. Without predictions there are no figures.
    slices : sequence of Slice
        Parts to be judged as well.
    n_looks : int
        How many windows are asked whether the concept changed; 0 where this one is not.
    """
    if PREDICTION not in rows.column_names or rows.num_rows == 0:
        return WindowPerformance((), arrivals_of(np.empty(0), np.empty(0)), frozenset())
    judged = JudgedRows(watch, rows)
    figures = _figures(judged, "")
    for one in slices:
        part = of_slice(rows, one)
        if 0 < part.num_rows < rows.num_rows:
            figures += _figures(JudgedRows(watch, part), one.label)
    return WindowPerformance(
        figures=tuple(figures),
        arrivals=_arrivals(judged),
        matched=frozenset(_matched(judged)),
        gap=gaps_of(judged),
        concept=judged.concept(n_looks) if n_looks else None,
        foreign=judged.foreign,
    )


def performance_firings(
    watch: PerformanceWatch, found: WindowPerformance, *, model: str, window: str, n_rows: int, min_rows: int
) -> list[Firing]:
    """Say which alerts a window's performance raises.

    Parameters
    ----------
    model : str
        What people call it, "income champion".
    window : str
    n_rows : int
        In the window.
    min_rows : int
        Fewer labels raise nothing by what they say, and fewer rows nothing by an estimate.

    Returns
    -------
    list of Firing
        "performance", critical, where the realised interval is worse than the evaluation set's; a warning where most
        labels are no class of the model, so that nothing can be told. Else
        "estimated_performance", a warning, where the whole estimated band is, and nothing speaks against believing it.
    """
    if found.foreign is not None and found.foreign.most and found.foreign.n_labelled >= min_rows:
        return [Firing("performance", "warning", f"{model}: in {window} {found.foreign.sentence}")]
    if watch.evaluated is None:
        return []
    primary = METRICS[primary_metric(watch.task)]
    for source in (Source.REALISED, Source.ESTIMATED):
        now = found.primary(watch.task, source)
        if now is None or now.low is None or now.high is None:
            continue
        if not _enough(now, n_rows, min_rows):
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
        severity = ALERT_RULES["estimated_performance"].severity or "warning"
        return [Firing("estimated_performance", severity, _estimated_sentence(model, window, now, watch.evaluated))]
    return []


def performance_judged(
    watch: PerformanceWatch, found: WindowPerformance, fired: Sequence[Firing], *, n_rows: int, min_rows: int
) -> frozenset[str]:
    """The kinds of alerts of which a window's performance tells whether they fire.

    Parameters
    ----------
    fired : sequence of Firing
        What `performance_firings` says of the same. Where labels tell of harm, nobody asks the estimate.
    """
    kinds = {"performance": Source.REALISED, "estimated_performance": Source.ESTIMATED}
    told = {one.kind for one in fired}
    if watch.evaluated is None or "performance" in told:
        return frozenset(told & kinds.keys())
    for kind, source in kinds.items():
        now = found.primary(watch.task, source)
        if now is not None and now.low is not None and now.high is not None and _enough(now, n_rows, min_rows):
            told.add(kind)
    return frozenset(told & kinds.keys())


def _enough(now: PerformanceFigure, n_rows: int, min_rows: int) -> bool:
    """Whether a figure rests on enough to raise an alert, and nothing speaks against it."""
    return now.n_labelled >= min_rows if now.source == Source.REALISED else n_rows >= min_rows and not now.note


def _figures(judged: JudgedRows, part: str) -> list[PerformanceFigure]:
    watch, answers, truth = judged.watch, judged.answers, judged.truth
    if not watch.classes:
        answers, truth = numbers_of(answers), numbers_of(truth)
    foreign = judged.foreign
    note = "" if foreign is None else foreign.sentence
    found = [
        PerformanceFigure(part, Source.REALISED, one.key, one.value, one.low, one.high, one.n_labelled, note)
        for one in realised(watch.task, watch.classes, truth=truth, answers=answers, scores=judged.scores)
    ]
    if watch.reference is None or not watch.reference.can_estimate:
        return found
    usable, columns = judged.estimable
    if len(usable.answers) < MIN_ESTIMATED:
        return found
    n_labelled = int(usable.labelled.sum())
    against = [
        *watch.reference.against,
        *believing.of_scores(len(usable.answers), judged.rows.num_rows),
        *believing.of_support(_named(outside(watch.reference.support, columns))),
        *(() if foreign is not None and foreign.most else _contradicted(judged, watch.reference, found)),
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


def _estimate(
    reference: PerformanceReference, rows: EstimableRows, *, with_labels: bool
) -> tuple[EstimatedMetric, ...]:
    rng = np.random.default_rng(SEED)
    truth = rows.truth if with_labels else None
    if reference.losses is not None:
        assert rows.features is not None
        return estimate_losses(reference.losses, rows.features, rows.answers, rng=rng, truth=truth)
    assert reference.scores is not None
    assert rows.scores is not None
    return estimate_scores(reference.scores, rows.scores, rows.answers, rng=rng, truth=truth)


def _contradicted(judged: JudgedRows, reference: PerformanceReference, found: Sequence[PerformanceFigure]) -> list[str]:
    """Whether the labels that are in contradict the estimate of their own rows, by a metric or by what scores mean.

    A ranking may stay as good as it was while every chance is off, so that the primary metric alone does not tell.
    """
    rows, _ = judged.estimable
    known = {one.key: one for one in found if one.low is not None and one.high is not None}
    said = {one.key: one for one in _estimate(reference, rows.take(rows.labelled), with_labels=False)} if known else {}
    keys = [primary_metric(judged.watch.task), *LOSSES]
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
    return [] if reference.scores is None else believing.of_concept(judged.concept())


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


def _arrivals(judged: JudgedRows) -> Arrivals:
    rows = judged.rows
    own = rows[LABEL].is_valid().to_numpy() if LABEL in rows.column_names else np.zeros(rows.num_rows, dtype=bool)
    if PREDICTION_ID not in rows.column_names or AT not in rows.column_names:
        return arrivals_of(np.empty(0), np.empty(0), n_at_once=int(own.sum()))
    joined = np.flatnonzero(rows[PREDICTION_ID].is_valid().to_numpy() & ~own)
    times = moments(rows[AT])[joined]
    at = np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 1e6)
    first_at = judged.watch.first_at
    places, came = places_of(rows[PREDICTION_ID], first_at)
    received = np.array([*(first_at[one] for one in came), np.nan])[places[joined]]
    return arrivals_of(at, received, n_at_once=int(own.sum()))


def _matched(judged: JudgedRows) -> list[str]:
    """Prediction ids of which a label had come before they were known."""
    labels = judged.watch.labels
    unknown = [one for one, kept in labels.items() if not kept.known]
    if not unknown or PREDICTION_ID not in judged.rows.column_names:
        return []
    places, told = places_of(judged.rows[PREDICTION_ID], unknown)
    return [told[place] for place in np.unique(places[places >= 0]).tolist()]


def _estimated_sentence(model: str, window: str, now: PerformanceFigure, then: tuple[float, float, float]) -> str:
    return (
        f"{model}: {METRICS[now.key].title} is estimated at {brief_interval(now.value, now.low, now.high)} in "
        f"{window}, worse than {brief_interval(*then)} on the evaluation set. No labels confirm it yet."
    )
