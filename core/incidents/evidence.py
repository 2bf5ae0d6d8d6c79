"""What triage judges by: everything known about one window, as values. PURE; `gather` fills it in.

None always means "not known", never "nothing": a rule that needs what is not known says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.incidents.signs import SIGNS, Sign


@dataclass(frozen=True)
class FeatureEvidence:
    """One feature in the window.

    Parameters
    ----------
    name, kind : str
    drifted : bool
        Whether its effect lies beyond its threshold, as the monitor decided.
    effect : float or None
    threshold : float
    test : str
        Key of the test that decided.
    missing_then, missing_now : float
        Shares of rows.
    importance : float or None
        Its share of what all features matter to the version, in [0, 1].
    moved_since_before : bool or None
        Whether it drifted against the window before.
    earlier_effects : tuple of float or None
        Its effects in the windows before, oldest first.
    signs : tuple of Sign
    """

    name: str
    kind: str
    drifted: bool
    effect: float | None
    threshold: float
    test: str = ""
    missing_then: float = 0.0
    missing_now: float = 0.0
    importance: float | None = None
    moved_since_before: bool | None = None
    earlier_effects: tuple[float | None, ...] = ()
    signs: tuple[Sign, ...] = ()

    @property
    def strength(self) -> float:
        """Effect against its threshold; 1 is where it counts."""
        return (self.effect or 0.0) / (self.threshold or 1.0)

    @property
    def faults(self) -> tuple[Sign, ...]:
        """The marks that only a fault leaves."""
        return tuple(sign for sign in self.signs if SIGNS[sign.key].speaks == "fault")


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PerformanceEvidence:
    """One metric: on the evaluation set, from labels that have arrived, and estimated without labels.

    Parameters
    ----------
    title : str
        Of the metric.
    greater_is_better : bool
    then : Figure or None
        On the evaluation set.
    realised, estimated : Figure or None
        The estimate assumes that the same inputs still have the same outcomes.
    n_labelled : int
    earlier : tuple of float or None
        Realised, else estimated, in the windows before, oldest first.
    note : str
        Why the estimate is not to be believed; "" where nothing speaks against it.
    contradiction : str
        That labels of the window contradict the estimate, in words; "" where they do not.
    """

    title: str
    greater_is_better: bool
    then: Figure | None = None
    realised: Figure | None = None
    estimated: Figure | None = None
    n_labelled: int = 0
    earlier: tuple[float | None, ...] = ()
    note: str = ""
    contradiction: str = ""

    @property
    def realised_worse(self) -> bool | None:
        """Whether labels show it worse than on the evaluation set beyond doubt."""
        return self._worse(self.realised, self.then)

    @property
    def estimated_worse(self) -> bool | None:
        """Whether the estimate is worse than on the evaluation set beyond doubt; None where it is not believed."""
        return None if self.note else self._worse(self.estimated, self.then)

    @property
    def below_estimate(self) -> bool | None:
        """Whether labels show it worse than the inputs alone explain."""
        return None if self.note else self._worse(self.realised, self.estimated)

    def _worse(self, now: Figure | None, then: Figure | None) -> bool | None:
        if now is None or then is None or None in (now.low, now.high, then.low, then.high):
            return None
        assert now.low is not None
        assert now.high is not None
        assert then.low is not None
        assert then.high is not None
        return now.high < then.low if self.greater_is_better else now.low > then.high


@dataclass(frozen=True)
class LabelEvidence:
    """The labels of the window against those the version was judged on.

    Parameters
    ----------
    n : int
        Labels in the window.
    then, now : mapping of label to share
        Empty for a number.
    moved : bool
        Whether the mix of labels differs.
    moved_within : bool or None
        Whether rows of one label differ from rows of that label then. A mere change of the mix leaves them alike.
    sentence : str
    """

    n: int
    then: Mapping[str, float]
    now: Mapping[str, float]
    moved: bool
    moved_within: bool | None
    sentence: str


@dataclass(frozen=True)
class ConceptEvidence:
    """Whether the same inputs now have other outcomes, as tested on labelled rows."""

    changed: bool
    sentence: str


@dataclass(frozen=True)
class SeasonEvidence:
    """Whether the same season of earlier data looks like the window; the sentence says which season it is."""

    matches: bool
    sentence: str


@dataclass(frozen=True)
class Change:
    """Something that changed just before.

    Parameters
    ----------
    kind : str
        "deployment", "dataset" or "volume".
    sentence : str
    at : datetime or None
    """

    kind: str
    sentence: str
    at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything known about one window.

    Parameters
    ----------
    window : str
        Its label.
    n_rows, min_rows : int
        Below ``min_rows`` nothing is told from the data.
    features : tuple of FeatureEvidence
    prediction_drifted : bool
    performance : PerformanceEvidence or None
        Of the primary metric.
    slices : mapping of slice to PerformanceEvidence
    labels, concept, season
        None where unknown.
    repeated_then, repeated_now : float or None
        Share of rows that equal an earlier one in all features: of as many training rows, and in the window.
    contract : tuple of str
        What every training row kept and the window's rows break, in words.
    stopped : str
        In which stretches no row of a regular stream came, in words; "" where none is known.
    changes : tuple of Change
    troubles : tuple of str
        Open alerts about errors, latency and silence, in words.
    """

    window: str
    n_rows: int
    min_rows: int
    features: tuple[FeatureEvidence, ...] = ()
    prediction_drifted: bool = False
    performance: PerformanceEvidence | None = None
    slices: Mapping[str, PerformanceEvidence] = field(default_factory=dict)
    labels: LabelEvidence | None = None
    concept: ConceptEvidence | None = None
    season: SeasonEvidence | None = None
    repeated_then: float | None = None
    repeated_now: float | None = None
    contract: tuple[str, ...] = ()
    stopped: str = ""
    changes: tuple[Change, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether the window holds enough rows to tell anything from."""
        return self.n_rows >= self.min_rows

    @property
    def drifted(self) -> tuple[FeatureEvidence, ...]:
        """Features that drifted, most important and strongest first."""
        found = [feature for feature in self.features if feature.drifted]
        return tuple(sorted(found, key=lambda one: (-(one.importance or 0.0) * one.strength, -one.strength, one.name)))

    @property
    def worse(self) -> bool:
        """Whether performance is known to be worse, from labels or by a believed estimate."""
        found = self.performance
        return found is not None and bool(found.realised_worse or found.estimated_worse)

    def changed(self, kind: str) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)
