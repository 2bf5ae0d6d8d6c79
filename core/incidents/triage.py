"""From evidence to causes: each with what speaks for and against it, and an honest "cannot tell". PURE."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.incidents import causes
from core.incidents.causes import CAUSES, RULES, figure
from core.incidents.evidence import Change, Evidence, FeatureEvidence

LEAST = 2
"""A cause with less speaking for it than this is not named."""
FEWEST_WINDOWS = 5
"""Windows a link between a feature's drift and performance is told from."""


@dataclass(frozen=True)
class Finding:
    """One cause with the sentences that speak for and against it; ``score`` is the sum of their weights."""

    cause: str
    score: int
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]


@dataclass(frozen=True)
class RankedFeature:
    """One feature as triage ranks it.

    Parameters
    ----------
    effect, threshold : float
    importance : float or None
        Share of what all features matter, in [0, 1].
    weight : float
        Importance times effect against its threshold; without importances the latter alone.
    link : float or None
        Pearson's correlation, over the windows, of its effect with how far performance fell; None for fewer than
        five windows in which both are known.
    signs, sign_keys : tuple of str
        What its shape betrays, in words and by key in `signs.SIGNS`.
    """

    name: str
    drifted: bool
    effect: float | None
    threshold: float
    importance: float | None
    weight: float
    link: float | None
    signs: tuple[str, ...]
    sign_keys: tuple[str, ...]


@dataclass(frozen=True)
class Triage:
    """What triage found.

    Parameters
    ----------
    cause : str
        Key in `CAUSES`.
    sentence : str
        The cause and the strongest reason, in words.
    ranked : tuple of Finding
        Every cause for which something speaks, most likely first.
    features : tuple of RankedFeature
        Every feature, what matters first.
    harm : str
        Estimated harm, or that it is not known and why.
    unseen : tuple of str
        What is missing, and what could not be seen without it.
    changes : tuple of Change
        What changed just before, newest first.
    remarks : tuple of str
        What else is worth saying of the window's rows, whatever the cause.
    """

    cause: str
    sentence: str
    ranked: tuple[Finding, ...]
    features: tuple[RankedFeature, ...]
    harm: str
    unseen: tuple[str, ...]
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document an incident keeps: the fields by name, moments as ISO 8601."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self), default=datetime.isoformat, allow_nan=False))
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Triage:
        """What `to_json` wrote."""
        return cls(
            cause=document["cause"],
            sentence=document["sentence"],
            ranked=tuple(
                Finding(one["cause"], one["score"], tuple(one["speaks_for"]), tuple(one["speaks_against"]))
                for one in document["ranked"]
            ),
            features=tuple(
                RankedFeature(**{**one, "signs": tuple(one["signs"]), "sign_keys": tuple(one["sign_keys"])})
                for one in document["features"]
            ),
            harm=document["harm"],
            unseen=tuple(document["unseen"]),
            changes=tuple(
                Change(one["kind"], one["sentence"], None if one["at"] is None else datetime.fromisoformat(one["at"]))
                for one in document["changes"]
            ),
            remarks=tuple(document.get("remarks", ())),
        )


def triage(evidence: Evidence) -> Triage:
    """Rank the causes of what a window shows.

    The cause named is the one for which most speaks, where that is enough and no other has as much, and where none of
    `AMBIGUITIES` holds; otherwise "cannot_tell", with what would tell.
    """
    found = [_finding(key, evidence) for key in CAUSES if key != "cannot_tell"]
    order = list(CAUSES)
    ranked = sorted((one for one in found if one.speaks_for), key=lambda one: (-one.score, order.index(one.cause)))
    cause, sentence = _decide(evidence, ranked)
    return Triage(
        cause=cause,
        sentence=sentence,
        ranked=tuple(ranked),
        features=rank_features(evidence),
        harm=harm(evidence),
        unseen=tuple(sentence for holds, sentence in UNSEEN if holds(evidence)),
        changes=tuple(sorted(evidence.changes, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)),
        remarks=(evidence.stopped,) if evidence.stopped else (),
    )


def _finding(key: str, evidence: Evidence) -> Finding:
    seen = [(rule.weight, said) for rule in RULES if rule.cause == key and (said := rule.sees(evidence))]
    seen.sort(key=lambda one: -abs(one[0]))
    return Finding(
        cause=key,
        score=sum(weight for weight, _ in seen),
        speaks_for=tuple(said for weight, said in seen if weight > 0),
        speaks_against=tuple(said for weight, said in seen if weight < 0),
    )


def _decide(evidence: Evidence, ranked: Sequence[Finding]) -> tuple[str, str]:
    if not evidence.enough and not evidence.troubles:
        return "cannot_tell", (
            f"{evidence.window} holds {evidence.n_rows:,} rows; {evidence.min_rows:,} are needed to tell anything."
        )
    best = ranked[0] if ranked else None
    if best is None or best.score < LEAST:
        return "cannot_tell", _undecided(evidence, ranked)
    for first, holds, sentence in AMBIGUITIES:
        if best.cause == first and holds(evidence):
            return "cannot_tell", sentence
    if len(ranked) > 1 and ranked[1].score == best.score:
        titles = " and ".join(CAUSES[one.cause].title.lower() for one in ranked[:2])
        return "cannot_tell", f"As much speaks for {titles}: look at both."
    return best.cause, f"{CAUSES[best.cause].title}: {best.speaks_for[0]}"


def _undecided(evidence: Evidence, ranked: Sequence[Finding]) -> str:
    if evidence.prediction_drifted and not evidence.drifted:
        return "The predictions drifted, but no single feature did: several may have moved together, each a little."
    if not ranked:
        return "Something is worse, but no rule says why."
    return "What speaks for each possible cause is outweighed by what speaks against it."


def _needs_labels(evidence: Evidence) -> bool:
    """Without labels a moved mix of outcomes moves inputs and predictions just as an input shift does."""
    refuted = causes.important_unmoved(evidence) or causes.answers_unmoved(evidence)
    follows = evidence.concept is not None and not evidence.concept.changed
    return evidence.labels is None and evidence.prediction_drifted and not refuted and not follows


def _mix_unknown(evidence: Evidence) -> bool:
    found = evidence.performance
    return evidence.labels is None and evidence.concept is None and (found is None or found.below_estimate is None)


AMBIGUITIES: tuple[tuple[str, Callable[[Evidence], bool], str], ...] = (
    (
        "input_shift",
        _needs_labels,
        "Inputs and predictions moved together. Without labels an input shift and a label shift look alike; labels of "
        "this window will tell.",
    ),
    (
        "concept_change",
        _mix_unknown,
        "It is worse without drift, but neither the mix of labels nor an estimate is known: a concept change and a "
        "label shift look alike.",
    ),
)
"""(the cause that would be named, what holds, what is said instead)."""

UNSEEN: tuple[tuple[Callable[[Evidence], bool], str], ...] = (
    (
        lambda evidence: evidence.labels is None and evidence.concept is None,
        "No labels of this window are known, so neither a change of outcomes nor of their mix can be seen.",
    ),
    (
        lambda evidence: evidence.season is None and bool(evidence.drifted),
        "No earlier data of the same season is known, so a returning season cannot be seen.",
    ),
    (
        lambda evidence: bool(evidence.features) and all(one.importance is None for one in evidence.features),
        "The version's run kept no importances, so features are ranked by how far they moved alone.",
    ),
    (
        lambda evidence: evidence.performance is not None and bool(evidence.performance.note),
        "The estimate of performance is not to be believed here.",
    ),
)
"""(what is missing, what cannot be seen for it)."""


def harm(evidence: Evidence) -> str:
    """Put in words how much worse answers are, and from what that is known."""
    found = evidence.performance
    if found is None or found.then is None:
        return "Not known: nothing says how good the answers are now."
    then = f"{figure(found.then)} on the evaluation set"
    if found.realised is not None:
        now = f"{found.title} is {figure(found.realised)} from {found.n_labelled:,} labels"
        if found.realised_worse:
            return f"{now}; it was {then}."
        return f"No harm is seen: {now}, {then}."
    if found.note:
        return f"Not known: no labels have arrived, and the estimate is not to be believed. {found.note}"
    if found.estimated is not None:
        now = f"{found.title} is estimated at {figure(found.estimated)} without labels"
        if found.estimated_worse:
            return f"{now}; it was {then}."
        return f"No harm is expected: {now}, {then}. The estimate assumes unchanged outcomes for the same inputs."
    return f"Not known: no labels have arrived and there is no estimate. {found.title} was {then}."


def rank_features(evidence: Evidence) -> tuple[RankedFeature, ...]:
    """Order features: those with the mark of a fault, those that drifted, the rest; each by importance times drift."""
    known = any(one.importance is not None for one in evidence.features)

    def weight(one: FeatureEvidence) -> float:
        return one.strength * ((one.importance or 0.0) if known else 1.0)

    ranked = [
        RankedFeature(
            name=one.name,
            drifted=one.drifted,
            effect=one.effect,
            threshold=one.threshold,
            importance=one.importance,
            weight=weight(one),
            link=_link(one, evidence),
            signs=tuple(sign.sentence for sign in one.signs),
            sign_keys=tuple(sign.key for sign in one.signs),
        )
        for one in evidence.features
    ]
    marked = {one.name for one in causes.marked(evidence)}
    ranked.sort(key=lambda one: (one.name not in marked, not one.drifted, -one.weight, -(one.effect or 0.0), one.name))
    return tuple(ranked)


def _link(one: FeatureEvidence, evidence: Evidence) -> float | None:
    found = evidence.performance
    if found is None:
        return None
    last = found.realised or found.estimated
    scores = [*found.earlier, None if last is None else last.value]
    effects = [*one.earlier_effects, one.effect]
    n = min(len(scores), len(effects))
    pairs = [
        (effect, score if not found.greater_is_better else -score)
        for effect, score in zip(effects[len(effects) - n :], scores[len(scores) - n :], strict=True)
        if effect is not None and score is not None
    ]
    if len(pairs) < FEWEST_WINDOWS:
        return None
    return _correlation([effect for effect, _ in pairs], [score for _, score in pairs])


def _correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    middle = sum(first) / len(first), sum(second) / len(second)
    apart, fell = [one - middle[0] for one in first], [one - middle[1] for one in second]
    square, fell_square = sum(one * one for one in apart), sum(one * one for one in fell)
    if min(square, fell_square) <= 0:
        return None
    return sum(a * b for a, b in zip(apart, fell, strict=True)) / math.sqrt(square * fell_square)
