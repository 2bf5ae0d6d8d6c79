"""Figures about a whole window beside drift column by column. PURE.

None of them raises an alert: the promise of so many false alerts a month is kept by the columns' thresholds alone, and
whatever alerted beside them would break it. They tell where to look, and triage reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.drift.contract import Break, Kept, breaks
from core.drift.drift_tests import Sample
from core.drift.multivariate import MIN_ROWS, MultivariateMeasure, domain_classifier, reconstruction
from core.estimation.concept import ALPHA as CONCEPT_LEVEL
from core.estimation.concept import ConceptChange
from core.monitoring.bias import GapChange
from core.monitoring.stretches import Rhythm, longest_hours
from core.monitoring.tables import WindowState
from core.wording import enumerated, percent

MIN_EFFECT = 0.1
LEVEL = 0.01
NAMED = 3


@dataclass(frozen=True)
class WindowMeasureKind:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    value : str
        What the value is, in words.
    sentence : str
        What the figure means.
    reference : str
        Where it comes from.
    """

    key: str
    title: str
    value: str
    sentence: str
    reference: str


@dataclass(frozen=True)
class WindowFigure:
    """One figure of one window as it is to be recorded; see `tables.WindowMeasure`."""

    kind: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float | None
    state: WindowState
    sentence: str
    details: dict[str, Any] = field(default_factory=dict)


WINDOW_MEASURES: dict[str, WindowMeasureKind] = {
    one.key: one
    for one in (
        WindowMeasureKind(
            key="domain_classifier",
            title="Telling the rows apart",
            value="ROC AUC",
            sentence="How well a model tells a row of the window from one of the reference: 0.5 is not at all. Any "
            "change shows here, in several columns together too.",
            reference="Lopez-Paz and Oquab (2017), arXiv:1610.06545",
        ),
        WindowMeasureKind(
            key="reconstruction",
            title="Correlations kept",
            value="ratio of errors",
            sentence="How much worse rows are rebuilt from the reference's principal components: 1 is as well as ever. "
            "It grows where columns no longer move together as they did.",
            reference="Jolliffe (2002), Principal Component Analysis, chapter 10",
        ),
        WindowMeasureKind(
            key="concept",
            title="What a score means",
            value="distance",
            sentence="Whether rows of a given score turned out as often as they used to. Only labels can tell.",
            reference="Hosmer and Lemeshow (1980), Communications in Statistics 9, 1043-1069",
        ),
        WindowMeasureKind(
            key="contract",
            title="What training never held",
            value="share of rows",
            sentence="The largest share of rows that break what every training row kept: never missing, known "
            "categories, within range.",
            reference="Clopper and Pearson (1934), Biometrika 26, 404-413",
        ),
        WindowMeasureKind(
            key="group_gap",
            title="Gap between groups",
            value="difference",
            sentence="How far apart groups of a sensitive column fare: how often they are called positive, and, where "
            "labels are in, how often their positives are found. It has widened where it lies above the evaluation "
            "set's.",
            reference="Kramer (1956), Biometrics 12, 307-310",
        ),
        WindowMeasureKind(
            key="missing_stretch",
            title="Stretches without rows",
            value="hours of the longest",
            sentence="Whether a stream whose rows come in regular steps stopped for clearly longer than its usual "
            "step, its nights and weekends aside. Of an irregular stream nothing is told.",
            reference="Feller (1968), An Introduction to Probability Theory, volume 1, chapter XIII.7: runs",
        ),
    )
}


def figures(
    *,
    reference: Mapping[str, Sample],
    kept: Mapping[str, Kept],
    current: Mapping[str, Sample],
    concept: ConceptChange | None,
    gap: GapChange | None = None,
    times: Rhythm | None = None,
    min_rows: int,
    rng: np.random.Generator,
) -> list[WindowFigure]:
    """Every figure of the catalogue for one window.

    Parameters
    ----------
    reference, current : mapping of feature to ndarray
        The same features; each sample's columns aligned by row, as `columns.sample` makes them.
    kept : mapping of feature to Kept
        What the training rows kept.
    concept : ConceptChange or None
        What the labelled rows say; None where there are too few.
    gap : GapChange or None
        How far apart groups of people fare; None where no sensitive column is kept, or its groups are too small.
    times : Rhythm or None
        When its rows came; None where they come at no regular step, or without times.
    min_rows : int
        The monitor's; below this nothing is said of the window.

    Returns
    -------
    list of WindowFigure
        One of each kind, in the catalogue's order.
    """
    n_rows = max((len(sample) for sample in current.values()), default=0)
    shared = [name for name in reference if name in current]
    enough = n_rows >= max(min_rows, MIN_ROWS)
    parts = [{name: sample[name] for name in shared} for sample in (reference, current)]
    return [
        _told_apart(domain_classifier(*parts, rng=rng) if enough and shared else None),
        _rebuilt(reconstruction(*parts, rng=rng) if enough and shared else None),
        _meant(concept),
        _kept(breaks(kept, current) if n_rows >= min_rows else None, n_rows),
        _apart(gap if n_rows >= min_rows else None),
        _stopped(times if n_rows >= min_rows else None),
    ]


def _told_apart(found: MultivariateMeasure | None) -> WindowFigure:
    if found is None:
        return _nothing("domain_classifier", "Too few rows to tell whether several columns together moved.")
    moved = found.pvalue < LEVEL and found.effect >= MIN_EFFECT
    telling = [name for name, _ in found.telling]
    if moved:
        by = f", by {enumerated(telling[:NAMED])} above all" if telling else ""
        sentence = f"Its rows can be told from those of the reference{by} (ROC AUC {found.value:.2f})."
    else:
        sentence = f"Rows look like those of the reference, all columns together (ROC AUC {found.value:.2f})."
    return _figure("domain_classifier", found, moved, sentence, {"telling": [list(one) for one in found.telling]})


def _rebuilt(found: MultivariateMeasure | None) -> WindowFigure:
    if found is None:
        return _nothing("reconstruction", "Too few rows or columns to tell whether columns still move together.")
    moved = found.pvalue < LEVEL and found.effect >= MIN_EFFECT
    if not moved:
        sentence = "Columns move together as they did in the reference."
    elif found.value > 1:
        by = f"{percent(found.value - 1)} worse" if found.value < 2 else f"{found.value:.2g} times worse"
        sentence = f"Columns no longer move together as they did: rows are rebuilt {by}."
    else:
        sentence = f"Rows lie closer to the reference's middle than its own: rebuilt {percent(1 - found.value)} better."
    return _figure("reconstruction", found, moved, sentence, {})


def _meant(found: ConceptChange | None) -> WindowFigure:
    if found is None:
        return _nothing("concept", "Too few labels have arrived to tell whether a score still means what it meant.")
    state = WindowState.DRIFTED if found.pvalue < CONCEPT_LEVEL else WindowState.QUIET
    details = {
        "pvalue": found.pvalue,
        "n_labelled": found.n_labelled,
        "about": found.about,
        "bins": [{"n": one.n, "expected": one.expected, "observed": one.observed} for one in found.bins],
    }
    return WindowFigure("concept", found.effect, None, None, None, state, found.sentence, details)


def _kept(found: Sequence[Break] | None, n_rows: int) -> WindowFigure:
    if found is None:
        return _nothing("contract", "Too few rows to tell whether they keep what the training rows kept.")
    if not found:
        sentence = "Every column keeps what the training rows kept."
        return WindowFigure("contract", 0.0, None, None, None, WindowState.QUIET, sentence, {"n_rows": n_rows})
    rest = f" And {len(found) - 1} more." if len(found) > 1 else ""
    details = {"n_rows": n_rows, "breaks": [one.to_json() for one in found]}
    sentence = found[0].sentence + rest
    return WindowFigure("contract", found[0].share, None, None, None, WindowState.DRIFTED, sentence, details)


def _stopped(found: Rhythm | None) -> WindowFigure:
    if found is None:
        return _nothing("missing_stretch", "Rows come at no regular step, or are few, so that no gap can be told.")
    state = WindowState.DRIFTED if found.stretches else WindowState.QUIET
    details = {"step_seconds": found.step.total_seconds(), "stretches": [one.to_json() for one in found.stretches]}
    hours = longest_hours(found.stretches)
    return WindowFigure("missing_stretch", hours, None, None, None, state, found.sentence, details)


def _apart(found: GapChange | None) -> WindowFigure:
    if found is None:
        return _nothing("group_gap", "No sensitive column is kept with its rows, or its groups are too small to judge.")
    one = found.gap
    return WindowFigure(
        kind="group_gap",
        value=one.difference,
        low=one.low,
        high=one.high,
        threshold=None if found.then is None else found.then[2],
        state=WindowState.DRIFTED if found.widened else WindowState.QUIET,
        sentence=found.sentence,
        details={"gaps": [asdict(gap) for gap in found.gaps], "then": found.then and list(found.then)},
    )


def _figure(kind: str, found: MultivariateMeasure, moved: bool, sentence: str, details: dict[str, Any]) -> WindowFigure:
    return WindowFigure(
        kind=kind,
        value=found.value,
        low=found.low,
        high=found.high,
        threshold=None,
        state=WindowState.DRIFTED if moved else WindowState.QUIET,
        sentence=sentence,
        details={
            "effect": found.effect,
            "pvalue": found.pvalue,
            "n_reference": found.n_reference,
            "n_current": found.n_current,
            **details,
        },
    )


def _nothing(kind: str, sentence: str) -> WindowFigure:
    return WindowFigure(kind, None, None, None, None, WindowState.NOT_ENOUGH_DATA, sentence)
