"""Where to call a row positive: what each threshold finds, misses and costs, and choosing one by a rule. Pure.

A row is called positive where the score of the positive class is at least the threshold. A threshold is chosen on
validation rows and reported on test rows: the figures on the rows it was chosen on flatter it, those on the others do
not know the choice. A truth the model does not know counts as not positive.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics import intervals
from core.statistics.intervals import Interval

MAX_THRESHOLDS = 200
DEFAULT = 0.5
FEW_POSITIVES = 20

Floats = NDArray[np.float64]
RuleKey = Literal["cost", "recall", "precision", "share", "f1"]
FigureKey = Literal["precision", "recall", "fpr", "accuracy", "f1", "share", "cost"]

CELLS = ("tp", "fp", "tn", "fn")
SAID_FIRST: tuple[FigureKey, ...] = ("recall", "precision", "cost")
TITLES: dict[FigureKey, str] = {
    "recall": "Recall",
    "precision": "Precision",
    "fpr": "False alarm rate",
    "accuracy": "Accuracy",
    "f1": "F1",
    "share": "Share called positive",
    "cost": "Expected cost",
}
SENTENCES: dict[FigureKey, str] = {
    "recall": "Of the truly positive rows, the share that is called positive.",
    "precision": "Of the rows called positive, the share that is.",
    "fpr": "Of the truly negative rows, the share that is called positive by mistake.",
    "accuracy": "The share of rows called what they are.",
    "f1": "The harmonic mean of precision and recall.",
    "share": "The share of all rows that is called positive: the work a threshold makes.",
    "cost": "What a row costs on average, by the costs of a false alarm and of a miss.",
}
# The levels that a grid of many rows holds besides the corners of its ROC curve.
STEPS = tuple(step / 20 for step in range(1, 20))
RECALLS = (*STEPS, 0.98, 0.99, 0.995, 1.0)
PRECISIONS = (*STEPS, 0.98, 0.99)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, *STEPS)


@dataclass(frozen=True)
class Costs:
    """What each outcome of a decision costs, in any one unit; a gain is a negative cost.

    Parameters
    ----------
    false_alarm, miss : float
        A negative row called positive, a positive row not called.
    hit, rest : float
        A positive row called positive, a negative one not called.
    """

    false_alarm: float
    miss: float
    hit: float = 0.0
    rest: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(one) for one in self.by_cell):
            raise InvalidInput("A cost is not a finite number. Give each outcome a number.")
        if self.false_alarm < self.rest or self.miss < self.hit:
            raise InvalidInput("A mistake costs less than being right, so no threshold is of use. Check the costs.")
        if self.false_alarm == self.rest and self.miss == self.hit:
            raise InvalidInput(
                "Neither mistake costs anything, so every threshold is as good. Give one of them a cost."
            )

    @property
    def by_cell(self) -> tuple[float, float, float, float]:
        """The costs in the order of `CELLS`."""
        return self.hit, self.false_alarm, self.rest, self.miss

    @classmethod
    def of(cls, document: Mapping[str, Any] | None, classes: Sequence[str]) -> Costs | None:
        """The costs of a dataset's question, ``{"labels", "matrix"}``, for these two classes; None where it has none.

        None too where the costs name other labels: they are of another question then.
        """
        if document is None or len(classes) != 2:
            return None
        at = {label: place for place, label in enumerate(document["labels"])}
        if len(at) != 2 or set(at) != set(classes):
            return None
        negative, positive = (at[label] for label in classes)
        matrix = document["matrix"]
        try:
            return cls(
                false_alarm=float(matrix[negative][positive]),
                miss=float(matrix[positive][negative]),
                hit=float(matrix[positive][positive]),
                rest=float(matrix[negative][negative]),
            )
        except InvalidInput:
            return None

    def in_words(self) -> str:
        """Say them, as in "a false alarm costs 1 and a miss 10", with what being right costs where it is not 0."""
        said = f"a false alarm costs {self.false_alarm:g} and a miss {self.miss:g}"
        return said + (f", a hit {self.hit:g} and a rightly left row {self.rest:g}" if self.hit or self.rest else "")


class Estimate(NamedTuple):
    """A figure with its 95 % interval; no ends where too little is known for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Tally:
    """The four outcomes at each threshold of a grid, on one set of rows.

    Parameters
    ----------
    n_rows, n_positive : int
        Rows of a weight above 0, and those of them that are positive.
    cells : ndarray of shape (4, n_thresholds)
        Summed weights, or counts, in the order of `CELLS`.
    squares : ndarray of shape (4, n_thresholds)
        Summed squared weights; equal to ``cells`` where rows count once each.
    """

    n_rows: int
    n_positive: int
    cells: Floats
    squares: Floats

    @property
    def total(self) -> float:
        """The summed weight of all rows."""
        return float(self.cells[:, 0].sum())

    @property
    def one_class(self) -> bool:
        """Whether all rows are positive or none is."""
        return self.n_positive in (0, self.n_rows)

    def values(self, key: FigureKey, costs: Costs | None = None) -> Floats:
        """One figure at every threshold; NaN where it is not defined.

        Raises
        ------
        InvalidInput
            The cost without costs.
        """
        tp, fp, tn, fn = self.cells
        if key == "cost":
            return np.asarray(np.array(_given(costs).by_cell) @ self.cells / self.total)
        above, below = {
            "precision": (tp, tp + fp),
            "recall": (tp, tp + fn),
            "fpr": (fp, fp + tn),
            "accuracy": (tp + tn, tp + fp + tn + fn),
            "f1": (2 * tp, 2 * tp + fp + fn),
            "share": (tp + fp, tp + fp + tn + fn),
        }[key]
        shares: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
        return shares

    def estimate(self, key: FigureKey, place: int, costs: Costs | None = None) -> Estimate | None:
        """One figure at one threshold with its interval, None where it is not defined.

        Shares have Wilson's interval; with weights the rows count as (sum w)^2 / sum w^2 of equal weight (Kish). F1 is
        2 J / (1 + J) of the share J of hits among the rows that are or are called positive. The interval of the cost
        combines the outcomes' Wilson intervals with the correlations of a multinomial draw, so that it has width where
        no mistake was seen: the interval of a mean held the truth in 88 to 93 of 100 simulations with few misses, this
        one in 95 to 97.

        References
        ----------
        Zou (2007), Toward using confidence intervals to compare correlations, Psychological Methods 12, 399-413,
        doi:10.1037/1082-989X.12.4.399, the general form of combining limits of correlated estimates.
        """
        value = float(self.values(key, costs)[place])
        if math.isnan(value):
            return None
        if key == "cost":
            return self._cost(value, place, _given(costs))
        among = {
            "precision": ([0], [0, 1]),
            "recall": ([0], [0, 3]),
            "fpr": ([1], [1, 2]),
            "accuracy": ([0, 2], [0, 1, 2, 3]),
            "f1": ([0], [0, 1, 3]),
            "share": ([0, 1], [0, 1, 2, 3]),
        }[key]
        found = self._wilson(*among, place)
        if key == "f1":
            found = Interval(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high))
        return Estimate(value, min(found.low, value), max(found.high, value))

    def _wilson(self, hits: list[int], among: list[int], place: int) -> Interval:
        weight, squared = self.cells[among, place].sum(), self.squares[among, place].sum()
        share = float(self.cells[hits, place].sum() / weight)
        n = float(weight * weight / squared)
        return intervals.wilson(min(1.0, share) * n, n)

    def _cost(self, value: float, place: int, costs: Costs) -> Estimate:
        # Each outcome's cost beyond a rightly left row; the outcomes' shares are those of one multinomial draw.
        beyond = np.array(costs.by_cell) - costs.rest
        share = self.cells[:, place] / self.total
        ends = np.array([self._wilson([cell], [0, 1, 2, 3], place) for cell in range(len(CELLS))])
        odds = np.sqrt(share / np.maximum(1 - share, 1e-300))
        correlation = np.maximum(-np.outer(odds, odds), -1.0) * np.sign(np.outer(beyond, beyond))
        np.fill_diagonal(correlation, 1.0)
        down, up = np.abs(beyond * (share - ends[:, 0])), np.abs(beyond * (ends[:, 1] - share))
        down, up = np.where(beyond < 0, up, down), np.where(beyond < 0, down, up)
        low, high = (math.sqrt(max(0.0, float(off @ correlation @ off))) for off in (down, up))
        # A mean of costs lies between the cheapest and the dearest outcome.
        return Estimate(value, max(value - low, min(costs.by_cell)), min(value + high, max(costs.by_cell)))


@dataclass(frozen=True, eq=False)
class Grid:
    """Thresholds, rising, with the outcomes at each on validation and on test rows.

    Parameters
    ----------
    negative, positive : str
        The two classes.
    thresholds : ndarray of shape (n_thresholds,)
        In (0, 1]; holds 0.5.
    validation, test : Tally
    """

    negative: str
    positive: str
    thresholds: Floats
    validation: Tally
    test: Tally

    def nearest(self, threshold: float) -> int:
        """The place of the threshold closest to one asked for; of two as close, the lower."""
        return int(np.abs(self.thresholds - threshold).argmin())

    def to_document(self) -> dict[str, Any]:
        """Plain numbers, as an analysis is stored: see `threshold_analysis.grid`."""
        return {
            "negative": self.negative,
            "positive": self.positive,
            "thresholds": self.thresholds.tolist(),
            "validation": _tally_document(self.validation),
            "test": _tally_document(self.test),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grid:
        """Read what `to_document` gave."""
        return cls(
            document["negative"],
            document["positive"],
            np.array(document["thresholds"], dtype=np.float64),
            _tally(document["validation"]),
            _tally(document["test"]),
        )


@dataclass(frozen=True)
class Rule:
    """How a threshold is to be chosen.

    Parameters
    ----------
    key : {"cost", "recall", "precision", "share", "f1"}
        The lowest expected cost; a recall or a precision of at least ``bound``; at most a share ``bound`` of all rows
        called positive; the highest F1.
    bound : float, optional
        In (0, 1]; for recall, precision and share.
    costs : Costs, optional
        For the cost.
    """

    key: RuleKey
    bound: float | None = None
    costs: Costs | None = None

    def __post_init__(self) -> None:
        if self.key in ("recall", "precision", "share"):
            if self.bound is None or not 0 < self.bound <= 1:
                raise InvalidInput(f"The {self.key} asked for is {self.bound}; give a share above 0 and at most 1.")
        elif self.key == "cost" and self.costs is None:
            raise InvalidInput("The lowest cost needs costs. Say what a false alarm and a miss cost, on the dataset.")

    @property
    def figure(self) -> FigureKey:
        """The figure the rule speaks of."""
        return self.key

    def in_words(self) -> str:
        """What it asks for: "a recall of at least 0.9 with the fewest rows called positive"."""
        match self.key:
            case "recall":
                return f"a recall of at least {self.bound:g} with the fewest rows called positive"
            case "precision":
                return f"a precision of at least {self.bound:g} with the most positive rows found"
            case "share":
                return f"at most {(self.bound or 0) * 100:g} % of rows called positive, as many as that allows"
            case "f1":
                return "the highest F1"
            case _:
                assert self.costs is not None
                return f"the lowest expected cost where {self.costs.in_words()}"


@dataclass(frozen=True)
class Suggestion:
    """What a rule found on validation rows, and how that does on test rows.

    Parameters
    ----------
    rule : Rule
    place : int or None
        Of the threshold in the grid; None where none is suggested.
    threshold : float or None
    held : {"surely", "perhaps", "not"} or None
        Whether the constraint holds on the test rows: with the whole interval, with a part of it, with none of it.
        None for a rule without one, and where the figure is not defined there.
    sentences : tuple of str
        What was chosen and why, how it does on test rows, what to be careful about; or why nothing was.
    """

    rule: Rule
    place: int | None
    threshold: float | None
    held: Literal["surely", "perhaps", "not"] | None
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold as it is stored with a model version.

    Parameters
    ----------
    value : float
        In (0, 1].
    rule : str
        What it was chosen for, in words; "by hand" where somebody set it.
    chosen_on, tested : mapping
        Its figures on validation and on test rows, as `figures` gives them.
    """

    value: float
    rule: str
    chosen_on: Mapping[str, Any]
    tested: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and 0 < self.value <= 1):
            raise InvalidInput(
                f"The threshold {self.value} is not above 0 and at most 1, as scores are. Choose another."
            )

    @property
    def key(self) -> str:
        """The value as the one text that tells it apart: "0.31"."""
        return repr(float(self.value))

    def to_document(self) -> dict[str, Any]:
        """As a version keeps it."""
        return {
            "value": float(self.value),
            "rule": self.rule,
            "chosen_on": dict(self.chosen_on),
            "tested": dict(self.tested),
        }


BY_HAND = "by hand"


def grid(validation: Predictions, test: Predictions, *, at: Sequence[float] | None = None) -> Grid:
    """Count the four outcomes at the thresholds that matter.

    Where validation and test rows have at most 200 different scores between them, every decision they can lead to is
    there, each at a short number between two scores. Otherwise there are at most 200 thresholds between validation
    scores: the corners of the upper hull of the ROC curve, among which are the lowest expected cost for any costs and
    the highest F1 (thinned where a million rows give more than 130), and steps of recall, of precision and of the share
    called positive, at every twentieth and closer at the ends.

    Parameters
    ----------
    validation, test : Predictions
        Binary, with scores, the same classes. Rows count by their weight, where they have one; those of weight 0 are
        left out.
    at : sequence of float, optional
        These thresholds alone, in (0, 1].

    Returns
    -------
    Grid

    Raises
    ------
    NotApplicable
        Not binary, without scores, or no row that counts.
    InvalidInput
        The two sets know other classes.

    Notes
    -----
    Sorts the scores: n log n.
    """
    for rows in (validation, test):
        if rows.task is not Task.BINARY:
            raise NotApplicable(f"A {rows.task.value} task has no threshold; only a binary one has.")
        if rows.scores is None:
            raise NotApplicable("This model gives classes without scores, so there is nothing to put a threshold on.")
    if validation.classes != test.classes:
        raise InvalidInput(
            f"The rows know the classes {validation.classes} and {test.classes}; score them by one model."
        )
    chosen_on, reported_on = _rows(validation), _rows(test)
    for words, counted in (("validation", chosen_on), ("test", reported_on)):
        if not len(counted.score):
            raise NotApplicable(f"There is no {words} row to count decisions on.")
    thresholds = _that_matter(chosen_on, reported_on) if at is None else np.unique(np.asarray(at, dtype=np.float64))
    if len(thresholds) == 0 or not (np.isfinite(thresholds).all() and thresholds[0] > 0 and thresholds[-1] <= 1):
        raise InvalidInput("A threshold lies above 0 and is at most 1, as scores are.")
    negative, positive = validation.classes
    return Grid(negative, positive, thresholds, _count(chosen_on, thresholds), _count(reported_on, thresholds))


def suggest(found: Grid, rule: Rule) -> Suggestion:
    """Choose a threshold on the validation rows by a rule, and say how it does on the test rows.

    Of thresholds that do equally well the one that calls the fewest rows is taken, and of those that decide all
    validation rows alike the middle one. Where the validation rows are all of one class nothing is suggested.
    """
    rows = found.validation
    if rows.one_class:
        kind = "positive" if rows.n_positive else "negative"
        return _nothing(rule, f"All {rows.n_rows:,} validation rows are {kind}, so no threshold can be chosen on them.")
    values = rows.values(rule.figure, rule.costs)
    called = rows.cells[0] + rows.cells[1] > 0
    slack = 1e-9
    match rule.key:
        case "recall":
            allowed = values >= (rule.bound or 0) - slack
            prefer = -rows.values("share")
        case "precision":
            allowed = called & (values >= (rule.bound or 0) - slack)
            prefer = rows.values("recall")
        case "share":
            allowed = called & (values <= (rule.bound or 0) + slack)
            prefer = values
        case "f1":
            allowed, prefer = called, values
        case _:
            allowed, prefer = np.ones(len(values), dtype=bool), -values
    if not allowed.any():
        return _nothing(rule, _out_of_reach(found, rule, values, called))
    highest = prefer[allowed].max()
    best = np.flatnonzero(allowed & (prefer >= highest - slack * abs(highest)))[-1]
    alike = np.flatnonzero((rows.cells == rows.cells[:, [best]]).all(axis=0))
    place = int(alike[len(alike) // 2])
    held = _held(found.test, rule, place)
    return Suggestion(
        rule,
        place,
        float(found.thresholds[place]),
        held,
        (_chosen(found, rule, place), _tested(found, rule, place, held), *_care(found, place)),
    )


def choice(found: Grid, place: int, *, rule: Rule | None = None, costs: Costs | None = None) -> ThresholdChoice:
    """A threshold of a grid with its figures, ready to be stored with a version.

    Parameters
    ----------
    rule : Rule, optional
        By which it was chosen; by hand unless given.
    costs : Costs, optional
        For the expected cost; the rule's unless given.
    """
    costs = costs if rule is None or rule.costs is None else rule.costs
    return ThresholdChoice(
        value=float(found.thresholds[place]),
        rule=BY_HAND if rule is None else rule.in_words(),
        chosen_on=figures(found.validation, place, costs),
        tested=figures(found.test, place, costs),
    )


def figures(rows: Tally, place: int, costs: Costs | None = None) -> dict[str, Any]:
    """Every figure at one threshold, as plain numbers.

    Returns
    -------
    dict
        ``n_rows``, ``n_positive``, ``tp``, ``fp``, ``tn``, ``fn``, then a figure's key with ``{"value", "low",
        "high"}``, or None where it is not defined; the cost only where there are costs.
    """
    document: dict[str, Any] = {"n_rows": rows.n_rows, "n_positive": rows.n_positive}
    document |= {name: _number(rows.cells[cell, place]) for cell, name in enumerate(CELLS)}
    for key in TITLES:
        if key != "cost" or costs is not None:
            estimate = rows.estimate(key, place, costs)
            document[key] = None if estimate is None else estimate._asdict()
    return document


def parse_rule(text: str, costs: Costs | None = None) -> Rule:
    """Read a rule as a person types it: ``recall>=0.9``, ``precision>=0.8``, ``share<=0.1``, ``f1``, ``cost``.

    Raises
    ------
    InvalidInput
        It is none of these, or the cost is asked for where there are no costs.
    """
    found = re.fullmatch(
        r"(?:(recall|precision)(?:>=|≥)|(share)(?:<=|≤))(\d*\.?\d+)|(f1|cost)", re.sub(r"\s", "", text.lower())
    )
    if found is None:
        raise InvalidInput(
            f"{text[:60]!r} is no rule for a threshold. "
            "Write one of: recall>=0.9, precision>=0.8, share<=0.1, f1, cost."
        )
    reached, most, bound, best = found.groups()
    key: Any = reached or most or best
    return Rule(key, None if bound is None else float(bound), costs if key == "cost" else None)


def threshold_sentence(stored: Mapping[str, Any] | None) -> str:
    """Say a version's stored threshold, its rule and how it did on test rows; empty where it has none."""
    if not stored:
        return ""
    rule, tested = str(stored["rule"]), stored.get("tested") or {}
    chosen_on = stored.get("chosen_on") or {}
    said = f"Positive from a score of {stored['value']:.6g} on, chosen {rule if rule == BY_HAND else f'for {rule}'}"
    if rule != BY_HAND and "n_rows" in chosen_on:
        said += f" on {chosen_on['n_rows']:,} validation rows"
    shown = [f"{_said(key)} {_interval(tested[key])}" for key in SAID_FIRST if tested.get(key) is not None]
    return said + (f"; on {tested['n_rows']:,} test rows: {', '.join(shown)}." if shown else ".")


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows that count, by rising score."""

    score: Floats
    positive: NDArray[np.bool_]
    weight: Floats | None


def _rows(predictions: Predictions) -> _Rows:
    assert predictions.scores is not None
    score, weight = predictions.scores[:, 1], predictions.sample_weight
    positive = np.asarray(predictions.y_true == predictions.positive_class, dtype=bool)
    if weight is not None:
        counts = weight > 0
        score, positive, weight = score[counts], positive[counts], weight[counts]
    order = np.argsort(score, kind="stable")
    return _Rows(score[order], positive[order], None if weight is None else weight[order])


def _count(rows: _Rows, thresholds: Floats) -> Tally:
    first = np.searchsorted(rows.score, thresholds, side="left")
    weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight

    def cells(amount: Floats) -> Floats:
        # Summed from the top, so that few called rows are counted exactly beside many others.
        hits, alarms = (_from_top(np.where(kind, amount, 0.0)) for kind in (rows.positive, ~rows.positive))
        tp, fp = hits[first], alarms[first]
        return np.stack([tp, fp, np.maximum(alarms[0] - fp, 0.0), np.maximum(hits[0] - tp, 0.0)])

    counted = cells(weight)
    return Tally(
        n_rows=len(rows.score),
        n_positive=int(rows.positive.sum()),
        cells=counted,
        squares=counted if rows.weight is None else cells(weight * weight),
    )


def _from_top(amount: Floats) -> Floats:
    """Sums of the last values: of all, of all but the first, …, of none."""
    return np.concatenate([np.cumsum(amount[::-1])[::-1], [0.0]])


def _that_matter(chosen_on: _Rows, reported_on: _Rows) -> Floats:
    both = np.unique(np.concatenate([chosen_on.score, reported_on.score]))
    if len(both) < MAX_THRESHOLDS - 1:
        return _between_scores(both, np.arange(len(both) + 1))
    distinct = np.unique(chosen_on.score)
    if len(distinct) < MAX_THRESHOLDS - 1:
        return _between_scores(distinct, np.arange(len(distinct) + 1))
    return _between_scores(distinct, _selected(chosen_on, distinct))


def _selected(rows: _Rows, distinct: Floats) -> NDArray[np.int64]:
    """Places among the decisions of rising scores: the hull's corners, then steps of recall and of the share called."""
    first = np.append(np.searchsorted(rows.score, distinct, side="left"), len(rows.score))
    weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight
    tp = _from_top(np.where(rows.positive, weight, 0.0))[first]
    fp = _from_top(np.where(rows.positive, 0.0, weight))[first]
    called = tp + fp
    last = len(first) - 1
    steps = [0, last]
    if tp[0] > 0:
        # The fewest rows called that still reach the recall: the last place where it does, tp falling with the place.
        steps += [int(np.searchsorted(-tp, -level * tp[0] * (1 - 1e-12), side="right")) - 1 for level in RECALLS]
    steps += [min(last, int(np.searchsorted(-called, -level * called[0] * (1 + 1e-12)))) for level in SHARES]
    precision = tp / np.where(called > 0, called, np.inf)
    steps += [int((precision >= level).argmax()) for level in PRECISIONS]  # the most rows called at that precision
    even = np.unique(np.clip(steps, 0, last))
    corners = _hull(fp[::-1], tp[::-1])
    corners = last - corners
    room = MAX_THRESHOLDS - 1 - len(even)
    if len(corners) > room:
        corners = corners[np.unique(np.linspace(0, len(corners) - 1, room).round().astype(np.int64))]
    return np.unique(np.concatenate([even, corners]))


def _hull(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Places of the corners of the upper hull of points whose x and y never fall."""
    kept: list[int] = []
    xs, ys = x.tolist(), y.tolist()
    for place in range(len(xs)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (xs[b] - xs[a]) * (ys[place] - ys[a]) < (ys[b] - ys[a]) * (xs[place] - xs[a]):
                break
            kept.pop()
        kept.append(place)
    return np.array(kept, dtype=np.int64)


def _between_scores(distinct: Floats, places: NDArray[np.int64]) -> Floats:
    """A threshold for each decision: place k calls the k-th lowest score and those above it, the last place none.

    Calling a score of 0 and calling no score of 1 would take a threshold outside (0, 1]; those decisions are left out.
    """
    found = [DEFAULT]
    for place in places.tolist():
        low = 0.0 if place == 0 else float(distinct[place - 1])
        high = 1.0 if place == len(distinct) else float(distinct[place])
        if low < high:
            found.append(_shortest(low, high))
    return np.unique(found)


def _shortest(low: float, high: float) -> float:
    """The number of fewest decimals in (low, high], close to the middle: what a person would write."""
    middle = (low + high) / 2
    for decimals in range(2, 16):
        rounded = round(middle, decimals)
        if low < rounded <= high:
            return rounded
    return high


def _nothing(rule: Rule, sentence: str) -> Suggestion:
    return Suggestion(rule, None, None, None, (sentence,))


def _out_of_reach(found: Grid, rule: Rule, values: Floats, called: NDArray[np.bool_]) -> str:
    reachable = np.where(called, values, np.nan)
    if rule.key == "share":
        place = int(np.nanargmin(reachable))
        return (
            f"No threshold calls at most {(rule.bound or 0) * 100:g} % of the validation rows positive and still calls "
            f"one; the fewest are {values[place] * 100:.3g} %, at {found.thresholds[place]:.6g}."
        )
    place = int(np.nanargmax(reachable))
    return (
        f"No threshold has a {rule.key} of {rule.bound:g} on the validation rows; the highest is {values[place]:.3f}, "
        f"at {found.thresholds[place]:.6g}."
    )


def _held(rows: Tally, rule: Rule, place: int) -> Literal["surely", "perhaps", "not"] | None:
    if rule.bound is None:
        return None
    estimate = rows.estimate(rule.figure, place)
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    if rule.key == "share":
        worst, best = -estimate.high, -estimate.low
        bound = -rule.bound
    else:
        worst, best, bound = estimate.low, estimate.high, rule.bound
    return "surely" if worst >= bound else "perhaps" if best >= bound else "not"


def _chosen(found: Grid, rule: Rule, place: int) -> str:
    rows = found.validation
    value = rows.values(rule.figure, rule.costs)[place]
    title = _said(rule.figure)
    return (
        f"Call positive from a score of {found.thresholds[place]:.6g} on: {rule.in_words()}, chosen on {rows.n_rows:,} "
        f"validation rows, where the {title} is {value:.3f}."
    )


def _tested(found: Grid, rule: Rule, place: int, held: Literal["surely", "perhaps", "not"] | None) -> str:
    rows, title = found.test, _said(rule.figure)
    estimate = rows.estimate(rule.figure, place, rule.costs)
    if estimate is None:
        return f"On the {rows.n_rows:,} test rows the {title} is not defined."
    said = f"On {rows.n_rows:,} test rows, which the choice did not see, the {title} is {_interval(estimate._asdict())}"
    if held is None:
        usual = rows.estimate(rule.figure, found.nearest(DEFAULT), rule.costs)
        return said + (f"; at 0.5 it is {_interval(usual._asdict())}." if usual is not None else ".")
    beyond = "above" if rule.key == "share" else "below"
    bound = f"{rule.bound:g}"
    match held:
        case "surely":
            return f"{said}: it holds there with the whole interval."
        case "not":
            return f"{said}: it does not hold there, the whole interval is {beyond} {bound}."
        case _:
            met = estimate.value <= (rule.bound or 0) if rule.key == "share" else estimate.value >= (rule.bound or 0)
            return (
                f"{said}: it holds there, but not surely, since the interval reaches {beyond} {bound}."
                if met
                else f"{said}: it is {beyond} {bound} there, though the interval leaves room for it."
            )


def _care(found: Grid, place: int) -> tuple[str, ...]:
    rows, said = found.validation, []
    fewest = min(rows.n_positive, rows.n_rows - rows.n_positive)
    if fewest < FEW_POSITIVES:
        kind = "positive" if fewest == rows.n_positive else "negative"
        said.append(f"Only {fewest} validation rows are {kind}: another choice of rows could lead far from it.")
    called = rows.cells[0] + rows.cells[1]
    if len(np.unique(called[(called > 0) & (called < rows.total)])) == 0:
        said.append("All validation rows have the same score, so a threshold calls all of them or none.")
    elif called[place] == 0:
        said.append("It calls no validation row positive.")
    elif called[place] == rows.total:
        said.append("It calls every validation row positive.")
    return tuple(said)


def _said(key: FigureKey) -> str:
    """A figure's name inside a sentence."""
    return {"f1": "F1", "cost": "expected cost a row"}.get(key, TITLES[key].lower())


def _interval(figure: Mapping[str, Any]) -> str:
    said = f"{figure['value']:.3f}"
    if figure.get("low") is None or figure.get("high") is None:
        return said
    return f"{said} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _given(costs: Costs | None) -> Costs:
    if costs is None:
        raise InvalidInput("The expected cost needs costs. Say what a false alarm and a miss cost.")
    return costs


def _number(amount: float) -> float | int:
    return int(amount) if float(amount).is_integer() else float(amount)


def _tally_document(rows: Tally) -> dict[str, Any]:
    document: dict[str, Any] = {"n_rows": rows.n_rows, "n_positive": rows.n_positive}
    document |= {name: [_number(one) for one in rows.cells[cell]] for cell, name in enumerate(CELLS)}
    if rows.squares is not rows.cells:
        document["squares"] = {name: rows.squares[cell].tolist() for cell, name in enumerate(CELLS)}
    return document


def _tally(document: Mapping[str, Any]) -> Tally:
    cells = np.array([document[name] for name in CELLS], dtype=np.float64)
    squares = document.get("squares")
    return Tally(
        document["n_rows"],
        document["n_positive"],
        cells,
        cells if squares is None else np.array([squares[name] for name in CELLS], dtype=np.float64),
    )
