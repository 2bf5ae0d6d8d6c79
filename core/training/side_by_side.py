"""Several runs held against one baseline: verdicts in words, what differs, and the trade-offs among them. Pure.

The page that compares and the report that is handed on say the same because both read it here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.metrics import METRICS, Metric, metrics_for
from core.evaluation.tables import Comparison, Verdict
from core.evaluation.verdicts import figure
from core.training.algorithms import ALGORITHMS
from core.training.queries import RunRecord, ScoredOn
from core.wording import enumerated

WORDS: dict[Verdict, str] = {
    Verdict.BETTER: "better",
    Verdict.NOT_WORSE: "not worse",
    Verdict.WORSE: "worse",
    Verdict.INCONCLUSIVE: "inconclusive",
}
NONE = "–"
LISTED = 6
NEAR = 0.1


@dataclass(frozen=True)
class Side:
    """A run and its evaluation on the rows that all are judged on."""

    record: RunRecord
    scored: ScoredOn

    @property
    def run_id(self) -> int:
        """The run's number."""
        return self.record.run.id or 0


@dataclass(frozen=True)
class Choice:
    """One thing that was chosen for each run, such as a parameter.

    Parameters
    ----------
    title : str
    values : tuple of str
        One for each run, in the order of the runs.
    """

    title: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether not all runs agree."""
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Axis:
    """Something to lay runs out by: a metric, or what a model costs.

    Parameters
    ----------
    key, title : str
        ``title`` names the unit where there is one.
    greater_is_better : bool
    """

    key: str
    title: str
    greater_is_better: bool

    @property
    def direction(self) -> str:
        """Which way is better."""
        return "higher is better" if self.greater_is_better else "lower is better"


@dataclass(frozen=True)
class Place:
    """Where a run lies along an axis, with the 95 % interval where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


COSTS: dict[str, Axis] = {
    "latency": Axis("latency", "Time for one row, ms", greater_is_better=False),
    "size": Axis("size", "Model size, MB", greater_is_better=False),
    "training": Axis("training", "Training time, s", greater_is_better=False),
}

# Where curves of a kind are told apart: across, upward, the place, and what is said of the heights there.
TOLD_APART: dict[str, tuple[str, str, float, str]] = {
    "roc": ("fpr", "tpr", 0.2, "At 20 % false alarms {} of the positives are found"),
    "precision_recall": ("recall", "precision", 0.5, "With half of the positives found, {} of those flagged are right"),
    "gain": ("share", "found", 0.2, "The likeliest 20 % of rows hold {} of the positives"),
}


def label_of(record: RunRecord) -> str:
    """A run's name beside others."""
    return f"Run {record.run.id}, {ALGORITHMS[record.run.algorithm].title}"


def on_set(record: RunRecord, set_id: int | None) -> ScoredOn | None:
    """The run's evaluation on one set, if it was scored there."""
    return next((one for one in record.evaluations if one.evaluation.evaluation_set_id == set_id), None)


def sides_of(records: Sequence[RunRecord], set_id: int | None) -> list[Side]:
    """Those of the runs that were scored on one set."""
    return [Side(record, one) for record in records if (one := on_set(record, set_id))]


def margin_on(scored: ScoredOn, metric: str, margin: float | None = None) -> float | None:
    """The margin in the metric's unit that a comparison with a baseline is asked for with.

    Parameters
    ----------
    scored : ScoredOn
        The baseline's evaluation.
    margin : float, optional
        As `core.evaluation.comparing.compare` takes it; the metric's default when None.

    Returns
    -------
    float or None
        None where it is a share of the baseline's value and that is not known.
    """
    entry = METRICS[metric]
    given = entry.margin if margin is None else margin
    if not entry.margin_is_share:
        return given
    value = scored.metrics.get(metric)
    return None if value is None else given * abs(value.value)


def verdicts_of(
    comparisons: Sequence[Comparison], candidates: Mapping[int, int], *, n_candidates: int, margin: float | None = None
) -> dict[int, Comparison]:
    """For each candidate the comparison at a margin that allows for as many candidates as are looked at.

    One that allows for more is stricter than it need be and taken where there is none for exactly so many; one that
    allows for fewer is no answer, since it makes a false "better" likelier than it says. One at another margin answers
    another question.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Newest first; the newest of several counts.
    candidates : mapping of int to int
        Evaluation to run.
    n_candidates : int
        How many are looked at.
    margin : float, optional
        In the metric's unit; any when None. A margin that is a share of the baseline's value was taken of the rows
        both were judged on, which may be fewer than the baseline's: there the nearest counts, if it is near.

    Returns
    -------
    dict
        Run to comparison; a candidate without one is not there.
    """
    found: dict[int, Comparison] = {}
    for one in comparisons:
        run_id = candidates.get(one.candidate_evaluation_id)
        if run_id is None or one.n_candidates < n_candidates or not _at(one, margin):
            continue
        if run_id not in found or _strictness(one, margin) < _strictness(found[run_id], margin):
            found[run_id] = one
    return found


def _at(one: Comparison, margin: float | None) -> bool:
    return margin is None or math.isclose(
        one.margin, margin, rel_tol=NEAR if METRICS[one.metric].margin_is_share else 1e-9
    )


def _strictness(one: Comparison, margin: float | None) -> tuple[int, float]:
    return one.n_candidates, 0.0 if margin is None else abs(one.margin - margin)


def pvalues_of(found: Mapping[int, Comparison]) -> dict[int, float | None]:
    """Each candidate's p-value, corrected by Holm where there are several."""
    from core.evaluation.comparing import corrected_pvalues

    return corrected_pvalues({run_id: one.pvalue for run_id, one in found.items()}) if found else {}


def finding(baseline: RunRecord, others: Sequence[RunRecord], found: Mapping[int, Comparison], *, metric: str) -> str:
    """What the comparisons say all together, in one line."""
    title, n = METRICS[metric].title, len(found)
    words = [Verdict(one.verdict) for one in found.values()]
    better = [record for record in others if record.run.id in found and _is_better(found[record.run.id or 0])]
    against = f"run {baseline.run.id} in {title}"
    if len(better) == 1:
        return f"{label_of(better[0])} is better than {against}"
    if better:
        return f"{len(better)} of {n} are better than {against}"
    if n == 1:
        return f"{label_of(_only(others, found))} is {_alone(words[0])} {against}"
    return f"None of {n} is better than {against}"


def agreement(one: Comparison) -> str:
    """Whether the other tests on the same rows say what the verdict's own method says; empty without other tests."""
    return agreeing(one.tests, low=one.low, high=one.high, n_candidates=one.n_candidates)


def agreeing(tests: Sequence[Mapping[str, Any]], *, low: float, high: float, n_candidates: int = 1) -> str:
    """Whether tests say what the verdict's own interval from ``low`` to ``high`` says; empty where none can speak.

    A test speaks for a difference where its interval leaves zero out, or without an interval its p-value is below
    5 % shared out over the candidates tried.
    """
    signs = [sign for test in tests if (sign := says(test, n_candidates=n_candidates)) is not None]
    if not signs:
        return ""
    own = 1 if low > 0 else -1 if high < 0 else 0
    n_alike = sum(sign == own for sign in signs)
    claim = {1: "a gain", -1: "a loss", 0: "no certain difference"}[own]
    if n_alike == len(signs):
        return f"All {len(signs)} agree: {claim}." if len(signs) > 1 else f"It agrees: {claim}."
    return f"{n_alike} of {len(signs)} agree on {claim}: the case is close, and the verdict's own method counts."


def says(test: Mapping[str, Any], *, n_candidates: int = 1) -> int | None:
    """1 for a gain, -1 for a loss, 0 where neither is certain; None where a test has neither interval nor p-value."""
    low, high, pvalue, effect = (test.get(name) for name in ("low", "high", "pvalue", "effect"))
    if low is not None and high is not None:
        return 1 if low > 0 else -1 if high < 0 else 0
    if pvalue is None or effect is None:
        return None
    return 0 if pvalue > 0.05 / n_candidates or effect == 0 else 1 if effect > 0 else -1


def choices(records: Sequence[RunRecord], baseline: RunRecord) -> list[Choice]:
    """Everything that was chosen for the runs; features are said against the baseline's, as sets.

    A parameter that an algorithm does not have is "–".
    """
    parameters = {
        parameter.key: parameter for record in records for parameter in ALGORITHMS[record.run.algorithm].parameters
    }
    return [
        Choice("Algorithm", tuple(ALGORITHMS[one.run.algorithm].title for one in records)),
        *(
            Choice(one.title, tuple(_written(one.said(record.run.parameters.get(key, NONE))) for record in records))
            for key, one in parameters.items()
        ),
        Choice("Features", tuple(features_against(baseline.run.features, one.run.features) for one in records)),
        Choice("Data", tuple(one.version_label for one in records)),
        Choice("Split", tuple(_split(one) for one in records)),
        Choice("Seed", tuple(str(one.run.seed) for one in records)),
        Choice("Calibration", tuple(one.run.calibration or "none" for one in records)),
        Choice("Weighted by", tuple(one.run.weight_column or "nothing" for one in records)),
        Choice("Cross-validation", tuple(f"{one.run.folds} folds" if one.run.folds else "none" for one in records)),
    ]


def curves_finding(code: str, curves: Sequence[Mapping[str, Any]]) -> str:
    """What curves of one kind say where they are told apart, as the range over all runs.

    Parameters
    ----------
    code : str
        As `core.evaluation.curves` names them; a kind without such a place gets a plain heading.
    curves : sequence of mapping
        As `core.evaluation.curves` keeps them; at least one, none of them empty.
    """
    if code not in TOLD_APART:
        return "Predicted at so much, so many came true" if code == "calibration" else "How far they are from the truth"
    across, upward, at, said = TOLD_APART[code]
    heights = []
    for curve in curves:
        nearest = min(range(len(curve[across])), key=lambda place: abs(curve[across][place] - at))
        if abs(curve[across][nearest] - at) > 0.05:
            return "Their curves on the same rows"
        heights.append(100 * curve[upward][nearest])
    low, high = f"{min(heights):.0f}", f"{max(heights):.0f}"
    return said.format(f"{low} %" if low == high else f"{low} to {high} %")


def features_against(baseline: Sequence[str], candidate: Sequence[str]) -> str:
    """A run's features as what was added to and removed from the baseline's."""
    added, removed = _without(candidate, baseline), _without(baseline, candidate)
    if not added and not removed:
        return f"the baseline's {len(baseline)}"
    parts = [f"added {_some(added)}"] if added else []
    return "; ".join([*parts, *([f"removed {_some(removed)}"] if removed else [])])


def differing_sentence(differing: Sequence[Choice]) -> str:
    """What the runs differ in, in one line."""
    if not differing:
        return "They were asked for in the same way"
    names = [one.title[:1].lower() + one.title[1:] for one in differing]
    return f"They differ in {enumerated(names, LISTED)}"


def axes(sides: Sequence[Side]) -> list[Axis]:
    """What the runs can be laid out by: what is known of at least two of them."""
    task = sides[0].record.run.task
    offered = [
        *(Axis(one.key, one.title, one.greater_is_better) for one in metrics_for(task)),
        *COSTS.values(),
    ]
    return [axis for axis in offered if sum(place(side, axis.key) is not None for side in sides) >= 2]


def place(side: Side, axis: str) -> Place | None:
    """Where a run lies along an axis; None where that is not known."""
    run = side.record.run
    match axis:
        case "latency":
            kept = (run.latency or {}).get("one_row_ms")
            return None if kept is None else Place(float(kept))
        case "size":
            return None if run.model_size_bytes is None else Place(run.model_size_bytes / 1e6)
        case "training":
            if run.started_at is None or run.finished_at is None:
                return None
            return Place((run.finished_at - run.started_at).total_seconds())
        case _:
            value = side.scored.metrics.get(axis)
            return None if value is None else Place(value.value, value.low, value.high)


def pareto_front(points: Sequence[tuple[float, float]], *, greater_x: bool, greater_y: bool) -> list[bool]:
    """Which points no other point beats: at least as good on both axes and better on one.

    Equal points are on the front together or not at all. Point estimates alone are read: a run just behind the front
    may be level with it within the intervals.

    Parameters
    ----------
    points : sequence of pair of float
        Finite.
    greater_x, greater_y : bool
        Which way is better.
    """
    turned = [(x if greater_x else -x, y if greater_y else -y) for x, y in points]
    return [not any(x >= a and y >= b and (x, y) != (a, b) for x, y in turned) for a, b in turned]


def shown_metrics(sides: Sequence[Side], wanted: Sequence[str], *, first: str, most: int) -> list[Metric]:
    """The metrics of a table of runs: the one compared by, then those asked for, else the catalogue's next."""
    task = sides[0].record.run.task
    known = {one.key: one for one in metrics_for(task) if any(one.key in side.scored.metrics for side in sides)}
    chosen = [name for name in wanted if name in known] or [name for name in known if name != first][: most - 1]
    return [known[name] for name in dict.fromkeys([first, *chosen]) if name in known][:most]


def verdict_sentence(record: RunRecord, one: Comparison, *, metric: str, pvalue: float | None) -> str:
    """One candidate's verdict with its figures: "Run 4 is better: +0.011 [+0.006, +0.016], p < 0.001, …"."""
    effect, low, high = together(one.effect, one.low, one.high, signed=True)
    parts = [
        f"{METRICS[metric].title} {effect} [{low}, {high}]",
        *([] if pvalue is None else ["p < 0.001" if pvalue < 0.001 else f"p = {pvalue:.3f}"]),
        f"{one.n_rows:,} rows" + (f", {one.n_left_out:,} left out" if one.n_left_out else ""),
        f"detectable {figure(one.smallest_effect)}" if one.smallest_effect else "no row tells the two apart",
    ]
    return f"{label_of(record)}: {WORDS[Verdict(one.verdict)]}. " + "; ".join(parts) + "."


def together(*values: float, signed: bool = False) -> list[str]:
    """Numbers that are read side by side, written alike: three digits after the point where the largest allows it."""
    largest = max(abs(value) for value in values)
    if not 0.0005 <= largest < 10:
        return [figure(value, signed=signed) for value in values]
    rounded = [round(value, 3) + 0.0 for value in values]
    said = [f"{value:+.3f}" if signed and value else f"{value:.3f}" for value in rounded]
    return [one.replace("-", "−") for one in said]


def csv_columns(
    sides: Sequence[Side], found: Mapping[int, Comparison], baseline: RunRecord, records: Sequence[RunRecord]
) -> dict[str, list[Any]]:
    """The whole table of runs, one line a run: every metric with its interval, the verdict, every choice."""
    keys = [one.key for one in metrics_for(baseline.run.task) if any(one.key in side.scored.metrics for side in sides)]
    by_run = {side.run_id: side for side in sides}
    ids = [record.run.id or 0 for record in records]
    pvalues = pvalues_of(found)
    columns: dict[str, list[Any]] = {
        "run": list(ids),
        "role": ["baseline" if record is baseline else "candidate" for record in records],
        "evaluation_set": [by_run[one].scored.set_label if one in by_run else None for one in ids],
        "rows": [by_run[one].scored.evaluation.n_rows if one in by_run else None for one in ids],
    }
    for key in keys:
        values = [by_run[one].scored.metrics.get(key) if one in by_run else None for one in ids]
        columns[key] = [None if one is None else one.value for one in values]
        columns[f"{key}_low"] = [None if one is None else one.low for one in values]
        columns[f"{key}_high"] = [None if one is None else one.high for one in values]
    for name in ("verdict", "effect", "low", "high", "margin", "n_rows", "n_left_out", "smallest_effect"):
        columns[f"compared_{name}"] = [getattr(found[one], name) if one in found else None for one in ids]
    columns["compared_rows_needed"] = [found[one].rows_needed if one in found else None for one in ids]
    columns["compared_n_candidates"] = [found[one].n_candidates if one in found else None for one in ids]
    columns["compared_pvalue_corrected"] = [pvalues.get(one) for one in ids]
    for axis in COSTS.values():
        places = [place(by_run[one], axis.key) if one in by_run else None for one in ids]
        columns[axis.title] = [None if one is None else one.value for one in places]
    taken = set(columns)
    columns |= {one.title: list(one.values) for one in choices(records, baseline) if one.title not in taken}
    return columns


def _is_better(one: Comparison) -> bool:
    return Verdict(one.verdict) is Verdict.BETTER


def _only(others: Sequence[RunRecord], found: Mapping[int, Comparison]) -> RunRecord:
    return next(record for record in others if record.run.id in found)


def _alone(verdict: Verdict) -> str:
    return {
        Verdict.NOT_WORSE: "not worse than",
        Verdict.WORSE: "worse than",
        Verdict.INCONCLUSIVE: "not shown to be better or worse than",
        Verdict.BETTER: "better than",
    }[verdict]


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    known = set(others)
    return [name for name in names if name not in known]


def _some(names: Sequence[str]) -> str:
    return enumerated(names, LISTED)


def _split(record: RunRecord) -> str:
    split = record.split
    if split is None:
        return str(record.run.split_options.get("method") or NONE)
    column = f" by {split.column}" if split.column else ""
    return f"{split.method}{column}, seed {split.seed}"


def _written(value: object) -> str:
    if isinstance(value, float):
        # 0.001 * 9 is 0.009000000000000001 in binary; nobody asked for that.
        return str(float(f"{value:.10g}"))
    return "true" if value is True else "false" if value is False else str(value)
