"""The threshold a model version keeps: its value, what for, its figures and where they come from. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.threshold_figures import FIGURES, Estimate, FigureKey

if TYPE_CHECKING:
    from core.datasets.costs import BinaryCosts
    from core.evaluation.threshold_grids import Grid
    from core.evaluation.threshold_rules import Rule

BY_HAND = "by hand"
SAID: tuple[FigureKey, ...] = ("recall", "precision", "cost")


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
        Its figures on validation and on test rows, as `Tally.figures` gives them.
    validation_sha256, predictions_sha256 : str
        The files of predictions that these two were counted on, as the run and its evaluation name them.

    Raises
    ------
    InvalidInput
        A value that is no threshold.
    """

    value: float
    rule: str
    chosen_on: Mapping[str, Any]
    tested: Mapping[str, Any]
    validation_sha256: str
    predictions_sha256: str

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
            "validation_sha256": self.validation_sha256,
            "predictions_sha256": self.predictions_sha256,
        }


def choice(
    found: Grid,
    place: int,
    *,
    validation_sha256: str,
    predictions_sha256: str,
    rule: Rule | None = None,
    costs: BinaryCosts | None = None,
) -> ThresholdChoice:
    """A threshold of a grid with its figures, ready to be stored with a version.

    Parameters
    ----------
    validation_sha256, predictions_sha256 : str
        The files the grid was counted on.
    rule : Rule, optional
        By which it was chosen; by hand unless given.
    costs : BinaryCosts, optional
        For the expected cost; the rule's unless given.
    """
    costs = costs if rule is None or rule.costs is None else rule.costs
    return ThresholdChoice(
        value=float(found.thresholds[place]),
        rule=BY_HAND if rule is None else rule.in_words(),
        chosen_on=found.validation.figures(place, costs),
        tested=found.test.figures(place, costs),
        validation_sha256=validation_sha256,
        predictions_sha256=predictions_sha256,
    )


def threshold_sentence(stored: Mapping[str, Any] | None) -> str:
    """Say a version's stored threshold, its rule and how it did on test rows; empty where it has none."""
    if not stored:
        return ""
    rule, tested = str(stored["rule"]), stored.get("tested") or {}
    chosen_on = stored.get("chosen_on") or {}
    said = f"Positive from a score of {stored['value']:.6g} on, chosen {rule if rule == BY_HAND else f'for {rule}'}"
    if rule != BY_HAND and "n_rows" in chosen_on:
        said += f" on {chosen_on['n_rows']:,} validation rows"
    shown = [
        f"{FIGURES[key].in_words()} {Estimate(**tested[key]).in_words()}" for key in SAID if tested.get(key) is not None
    ]
    return said + (f"; on {tested['n_rows']:,} test rows: {', '.join(shown)}." if shown else ".")
