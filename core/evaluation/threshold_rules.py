"""Choosing a threshold by a rule: on validation rows, with sentences that say how it does on test rows. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput
from core.evaluation.threshold_figures import FIGURES, Floats, Tally
from core.evaluation.threshold_grids import DEFAULT, Grid

FEW_OF_A_CLASS = 20

RuleKey = Literal["cost", "recall", "precision", "share", "f1"]
Held = Literal["surely", "perhaps", "not"]


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
    costs : BinaryCosts, optional
        For the cost.
    """

    key: RuleKey
    bound: float | None = None
    costs: BinaryCosts | None = None

    def __post_init__(self) -> None:
        if self.key in ("recall", "precision", "share"):
            if self.bound is None or not 0 < self.bound <= 1:
                raise InvalidInput(f"The {self.key} asked for is {self.bound}; give a share above 0 and at most 1.")
        elif self.key == "cost" and self.costs is None:
            raise InvalidInput("The lowest cost needs costs. Say what a false alarm and a miss cost, on the dataset.")

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


def parse_rule(text: str, costs: BinaryCosts | None = None) -> Rule:
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
    held: Held | None
    sentences: tuple[str, ...]


def suggest(found: Grid, rule: Rule) -> Suggestion:
    """Choose a threshold on the validation rows by a rule, and say how it does on the test rows.

    Of thresholds that do equally well the one that calls the fewest rows is taken, and of those that decide all
    validation rows alike the middle one. Where the validation rows are all of one class nothing is suggested.
    """
    rows = found.validation
    if rows.one_class:
        kind = "positive" if rows.n_positive else "negative"
        return _nothing(rule, f"All {rows.n_rows:,} validation rows are {kind}, so no threshold can be chosen on them.")
    values = rows.values(rule.key, rule.costs)
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


def _nothing(rule: Rule, sentence: str) -> Suggestion:
    return Suggestion(rule, None, None, None, (sentence,))


def _out_of_reach(found: Grid, rule: Rule, values: Floats, called: NDArray[np.bool_]) -> str:
    if not called.any():
        return (
            f"No threshold calls any of the {found.validation.n_rows:,} validation rows positive: "
            "their scores are 0, or next to it."
        )
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


def _held(rows: Tally, rule: Rule, place: int) -> Held | None:
    if rule.bound is None:
        return None
    estimate = rows.estimate(rule.key, place)
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
    value = rows.values(rule.key, rule.costs)[place]
    title = FIGURES[rule.key].in_words()
    return (
        f"Call positive from a score of {found.thresholds[place]:.6g} on: {rule.in_words()}, chosen on {rows.n_rows:,} "
        f"validation rows, where the {title} is {value:.3f}."
    )


def _tested(found: Grid, rule: Rule, place: int, held: Held | None) -> str:
    rows, title = found.test, FIGURES[rule.key].in_words()
    estimate = rows.estimate(rule.key, place, rule.costs)
    if estimate is None:
        return f"On the {rows.n_rows:,} test rows the {title} is not defined."
    said = f"On {rows.n_rows:,} test rows, which the choice did not see, the {title} is {estimate.in_words()}"
    if held is None:
        usual = rows.estimate(rule.key, found.nearest(DEFAULT), rule.costs)
        return said + (f"; at 0.5 it is {usual.in_words()}." if usual is not None else ".")
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
    if fewest < FEW_OF_A_CLASS:
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
