"""A window's rows beside what turned out to be true of them: each column looked up once, whoever asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift.columns import sample
from core.estimation.concept import ConceptChange, among_looks, residual_change, score_change
from core.estimation.estimating import UNKNOWN, codes_of
from core.estimation.support import Sample, encoded
from core.monitoring.performance import number, scores_of, truths
from core.monitoring.performance_reference import PerformanceReference, learnt, scored
from core.monitoring.performance_watch import PerformanceWatch
from core.serving.frames import PREDICTION, feature_column, score_column
from core.wording import enumerated

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 20_260_815
SUPPORT_ROWS = 20_000
SHOWN = 5


@dataclass(frozen=True, eq=False)
class EstimableRows:
    """The rows that have all an estimate takes, and what the labels say of them: codes, or float64 with NaN."""

    answers: NDArray[Any]
    scores: NDArray[np.float64] | None
    features: NDArray[np.float64] | None
    truth: NDArray[Any]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which of them have a label."""
        return np.isfinite(self.truth) if self.scores is None else np.asarray(self.truth != UNKNOWN)

    def take(self, keep: NDArray[np.bool_]) -> EstimableRows:
        """Some of them."""
        parts = (None if one is None else one[keep] for one in (self.answers, self.scores, self.features, self.truth))
        return EstimableRows(*parts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ForeignLabels:
    """Labels of a window that are no class of the model: something new, or the classes spelt otherwise.

    Parameters
    ----------
    names : tuple of str
        Which, sorted.
    n : int
        Rows that have one.
    n_labelled : int
        Rows that have any label.
    classes : tuple of str
        Those the model knows.
    """

    names: tuple[str, ...]
    n: int
    n_labelled: int
    classes: tuple[str, ...]

    @property
    def most(self) -> bool:
        """Whether more than half of the labels are foreign, so that they say nothing of the model."""
        return 2 * self.n > self.n_labelled

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do."""
        told = f"{self.n:,} of {self.n_labelled:,} labels are no class of the model: {_some(self.names)}. "
        known = f"It knows {_some(self.classes)}. "
        if self.most:
            return f"{told}{known}How good its answers are cannot be told; hand the labels in again as it spells them."
        return f"{told}{known}Their rows count as wrong."


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Rows of a window, or of a slice of it.

    Parameters
    ----------
    watch : PerformanceWatch
    rows : pyarrow.Table
        In the layout of `core.serving.frames`, at least one, with predictions.
    """

    watch: PerformanceWatch
    rows: pa.Table

    @cached_property
    def truth(self) -> NDArray[Any]:
        """Each row's label as it came, None where it has not; object of shape (n,)."""
        return np.array([*truths(self.rows, self.watch.values), None], dtype=object)[:-1]

    @cached_property
    def answers(self) -> NDArray[Any]:
        """What was predicted: float64 with NaN for a regression, else object holding str or None."""
        return sample(self.rows[PREDICTION], ColumnKind.CATEGORY if self.watch.classes else ColumnKind.NUMBER)

    @cached_property
    def scores(self) -> NDArray[np.float64] | None:
        """Of shape (n, k), NaN where missing; None for a regression, and where a class has none."""
        return scores_of(self.rows, self.watch.classes) if self.watch.classes else None

    @cached_property
    def foreign(self) -> ForeignLabels | None:
        """Labels that are no class of the model; None where there are none, and for a regression."""
        classes = self.watch.classes
        came = [one for one in self.truth.tolist() if one is not None]
        foreign = set(came) - set(classes) if classes else set()
        if not foreign:
            return None
        return ForeignLabels(tuple(sorted(foreign)), sum(one in foreign for one in came), len(came), classes)

    @cached_property
    def estimable(self) -> tuple[EstimableRows, dict[str, Sample]]:
        """The rows an estimate can be made of, and a sample of their columns to hold against the reference's support.

        Raises
        ------
        AssertionError
            Nothing was learnt from a reference.
        """
        assert self.watch.reference is not None
        return _estimable(self, self.watch.reference)

    def concept(self, n_looks: int = 1) -> ConceptChange | None:
        """Whether what a score, or a prediction, means has changed, by the labelled rows.

        Parameters
        ----------
        n_looks : int
            How many windows are looked at.

        Returns
        -------
        ConceptChange or None
            None where nothing was learnt from a reference, or too few labels have come.
        """
        reference = self.watch.reference
        if reference is None or not reference.can_estimate:
            return None
        if reference.scores is None:
            usable, _ = self.estimable
            return residual_change(reference.residuals, usable.truth - usable.answers, n_looks=n_looks)
        return None if self._score_change is None else among_looks(self._score_change, n_looks)

    @cached_property
    def _score_change(self) -> ConceptChange | None:
        usable, _ = self.estimable
        reference = self.watch.reference
        if reference is None or reference.scores is None or usable.scores is None or len(usable.answers) == 0:
            return None
        return score_change(reference.scores, usable.scores, usable.truth, classes=self.watch.classes)


def numbers_of(values: NDArray[Any]) -> NDArray[np.float64]:
    """Labels or answers as numbers, NaN for what is none."""
    if values.dtype != object:
        return values
    return np.array([number(one) for one in values.tolist()], dtype=np.float64)


def _some(names: Sequence[str]) -> str:
    return enumerated([repr(one) for one in names], SHOWN)


def _estimable(judged: JudgedRows, reference: PerformanceReference) -> tuple[EstimableRows, dict[str, Sample]]:
    import pyarrow as pa

    rows, watch = judged.rows, judged.watch
    kinds = {feature_column(one["name"]): one["kind"] for one in learnt(watch.signature["features"])}
    there = [name for name in reference.features if name in rows.column_names]
    some = np.arange(rows.num_rows)
    if reference.losses is None and len(some) > SUPPORT_ROWS:
        some = np.sort(np.random.default_rng(SEED).choice(len(some), SUPPORT_ROWS, replace=False))
    picked = rows.select(there)
    if there and len(some) < rows.num_rows:
        picked = picked.take(pa.array(some))
    columns = {name: sample(picked[name], kinds[name]) for name in there}
    if reference.losses is not None:
        answers = numbers_of(judged.answers)
        missing: Sample = np.full(rows.num_rows, np.nan)
        inputs = {name: columns.get(name, missing) for name in reference.features}
        features = encoded(reference.support, inputs, reference.features).reshape(len(answers), -1)
        told = numbers_of(judged.truth)
        told[~np.isfinite(told)] = np.nan
        keep = np.isfinite(answers)
        columns[PREDICTION] = answers
        whole = EstimableRows(answers, None, features, told)
        return whole.take(keep), {name: one[keep] for name, one in columns.items()}
    scores = judged.scores
    if scores is None:
        return EstimableRows(np.empty(0), np.empty((0, 0)), None, np.empty(0)), {}
    codes = codes_of(judged.answers.tolist(), watch.classes)
    keep = np.isfinite(scores).all(axis=1) & (codes >= 0) & (codes < len(watch.classes))
    columns |= {score_column(watch.classes[at]): scores[some, at] for at in scored(watch.classes)}
    whole = EstimableRows(codes, scores, None, codes_of(judged.truth.tolist(), watch.classes))
    return whole.take(keep), {name: one[keep[some]] for name, one in columns.items()}
