"""The causes triage tells apart, and the rules that speak for and against each. PURE.

A rule looks at the evidence and says, in one sentence with numbers, what it sees; or nothing. Each sentence counts for
or against one cause by the rule's weight: 1 hints, 3 is strong, 5 and more decides. Nothing is learned and nothing is
hidden: what a page shows is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.incidents.evidence import Evidence, FeatureEvidence, Figure
from core.incidents.signs import SIGNS
from core.wording import brief_interval, enumerated, percent

EDITION = 1
"""Raised whenever a rule, a mark or what they are worked out from changes: what earlier ones found is found anew."""
NAMED = 3
REPEATED_RISE = 0.1
LARGEST_STEP = 0.7
"""Of a steady rise no step is more than this part."""
UNTOUCHED = 0.5
"""A feature whose effect is below this part of its threshold has not moved."""


@dataclass(frozen=True)
class Cause:
    """One entry of the catalogue of causes.

    Parameters
    ----------
    key, title : str
    happened : str
        What happened, as it stands in an incident's title.
    sentence : str
        What it means.
    told_by_alerts : bool
        Whether the alerts say better what happened, where there are any.
    """

    key: str
    title: str
    happened: str
    sentence: str
    told_by_alerts: bool = False


CAUSES: dict[str, Cause] = {
    cause.key: cause
    for cause in (
        Cause(
            "pipeline_fault",
            "Pipeline fault",
            "data arrives wrong",
            "The data arrives wrong: the world has not changed, its record has.",
        ),
        Cause(
            "input_shift",
            "Input shift",
            "other rows come in than in training",
            "Other rows come in than the version was trained on; outcomes follow them.",
        ),
        Cause(
            "label_shift",
            "Label shift",
            "one outcome became more frequent",
            "One outcome has become more frequent; rows of one outcome are as before.",
        ),
        Cause(
            "concept_change",
            "Concept change",
            "the same inputs have other outcomes",
            "The same inputs now have other outcomes.",
        ),
        Cause("seasonal_return", "Season", "a season came back", "It looks as the same season looked before."),
        Cause("new_version", "New version", "another version answers", "What answers changed, not what is asked."),
        Cause(
            "infrastructure",
            "Infrastructure",
            "the service or what feeds it fails",
            "The service or what feeds it is at fault, not the data it sends.",
            told_by_alerts=True,
        ),
        Cause(
            "cannot_tell",
            "Cannot tell yet",
            "something changed",
            "What is known does not tell the possible causes apart.",
            told_by_alerts=True,
        ),
        Cause(
            "none",
            "Nothing is wrong",
            "nothing is wrong",
            "Nothing drifted and nothing is known to be worse.",
            told_by_alerts=True,
        ),
    )
}


@dataclass(frozen=True)
class Rule:
    """One stated rule.

    Parameters
    ----------
    key : str
    cause : str
        Key in `CAUSES` that it speaks about.
    weight : int
        Above 0 it speaks for the cause, below 0 against it.
    sees : callable
        ``sees(evidence)`` gives what it sees, or "" where it does not hold.
    """

    key: str
    cause: str
    weight: int
    sees: Callable[[Evidence], str]


def names(features: Sequence[FeatureEvidence]) -> str:
    """Up to three names and how many more."""
    return enumerated([feature.name for feature in features], NAMED)


def figure(found: Figure) -> str:
    """Write 0.81 [0.79, 0.83]."""
    return brief_interval(found.value, found.low, found.high)


def in_doubt(feature: FeatureEvidence, evidence: Evidence) -> bool:
    """Whether a mark may come from another version's reference: the version changed, and the feature did not."""
    return bool(evidence.changed("deployment")) and feature.moved_since_before is False


def unmarked(evidence: Evidence) -> tuple[FeatureEvidence, ...]:
    """Features that drifted without the mark of a fault."""
    return tuple(one for one in evidence.drifted if not one.faults or in_doubt(one, evidence))


def marked(evidence: Evidence) -> tuple[FeatureEvidence, ...]:
    """Features with the mark of a fault, drifted or not."""
    return tuple(one for one in evidence.features if one.faults and not in_doubt(one, evidence))


def _sign(key: str) -> Callable[[Evidence], str]:
    def sees(evidence: Evidence) -> str:
        told = [one for one in evidence.features if not in_doubt(one, evidence)]
        found = [sign.sentence for one in told for sign in one.signs if sign.key == key]
        said = list(dict.fromkeys(found))
        return " ".join(said[:NAMED]) + (f" So do {len(said) - NAMED} more." if len(said) > NAMED else "")

    return sees


def _contract(evidence: Evidence) -> str:
    return " ".join(evidence.contract[:NAMED])


def _repeats(evidence: Evidence) -> str:
    then, now = evidence.repeated_then, evidence.repeated_now
    if then is None or now is None or now - then < REPEATED_RISE:
        return ""
    return f"{percent(now)} of the rows repeat an earlier row; of as many rows in training {percent(then)} did."


def _no_fault(evidence: Evidence) -> str:
    if not evidence.drifted or marked(evidence) or _repeats(evidence):
        return ""
    return f"{names(evidence.drifted)} moved without any mark of a fault: no unit, sign, spelling or gap explains it."


def _drifted(evidence: Evidence) -> str:
    found = unmarked(evidence)
    if not found:
        return ""
    return f"{names(found)} drifted ({len(found)} of {len(evidence.features)} features) without the mark of a fault."


def _none_drifted(evidence: Evidence) -> str:
    return "" if evidence.drifted else "No feature drifted."


def _all_marked(evidence: Evidence) -> str:
    if not evidence.drifted or unmarked(evidence):
        return ""
    return f"{names(evidence.drifted)} {'carries' if len(evidence.drifted) == 1 else 'carry'} the mark of a fault."


def _some_marked(evidence: Evidence) -> str:
    found = marked(evidence)
    return f"{names(found)} {'carries' if len(found) == 1 else 'carry'} the mark of a fault." if found else ""


def _rose(evidence: Evidence) -> str:
    """A fault comes at once; what grows comes in steps of which none is nearly all of it."""
    for feature in unmarked(evidence):
        seen = [effect for effect in feature.earlier_effects[-3:] if effect is not None]
        path = [*seen, feature.effect or 0.0]
        steps = [after - before for before, after in pairwise(path)]
        if len(steps) >= 2 and min(steps) > 0 and max(steps) <= LARGEST_STEP * sum(steps):
            return f"{feature.name} moved window by window (effect {', '.join(f'{one:.2f}' for one in path)})."
    return ""


def _outcomes_follow(evidence: Evidence) -> str:
    # Beside a fault it would say no more than that the fault does no harm.
    if not unmarked(evidence) or marked(evidence):
        return ""
    if evidence.concept is not None:
        return "" if evidence.concept.changed else evidence.concept.sentence
    found = evidence.performance
    if (
        found is not None
        and not found.contradiction
        and found.below_estimate is False
        and found.realised
        and found.estimated
    ):
        return (
            f"{found.title} is {figure(found.realised)} from labels, as the inputs let expect "
            f"({figure(found.estimated)}): the same inputs still have the same outcomes."
        )
    return ""


def _mix_moved(evidence: Evidence) -> str:
    return evidence.labels.sentence if evidence.labels is not None and evidence.labels.moved else ""


def _mix_kept(evidence: Evidence) -> str:
    labels = evidence.labels
    return f"The mix of labels is as before ({labels.n:,} labels)." if labels is not None and not labels.moved else ""


def _mix_explains(evidence: Evidence) -> str:
    if evidence.labels is None or not evidence.labels.moved or evidence.labels.moved_within is not False:
        return ""
    return "Rows of one label look as rows of that label did: only their mix changed."


def _mix_does_not_explain(evidence: Evidence) -> str:
    if evidence.labels is None or not evidence.labels.moved_within:
        return ""
    return "Rows of one label differ from rows of that label before: more than the mix changed."


def important_unmoved(evidence: Evidence) -> str:
    """A change of the mix moves every feature that tells the label; one that matters and stays refutes it."""
    moved = [one.importance for one in evidence.drifted if one.importance is not None]
    if not moved:
        return ""
    still = [
        one
        for one in evidence.features
        if one.importance is not None
        and one.importance >= max(moved)
        and one.importance > 0
        and one.effect is not None
        and one.strength < UNTOUCHED
    ]
    if not still:
        return ""
    if len(still) > 1:
        return (
            f"{names(still)}, which tell the label as well as what drifted, have not moved; another mix would move "
            "them too."
        )
    return (
        f"{names(still)}, which tells the label as well as what drifted, has not moved; another mix would move it too."
    )


def answers_unmoved(evidence: Evidence) -> str:
    """A change of the mix moves the predictions of any model that tells labels at all."""
    if evidence.prediction_drifted or not evidence.drifted or not evidence.enough:
        return ""
    return "The predictions have not drifted; another mix of labels would move them too."


def _below_estimate(evidence: Evidence) -> str:
    found = evidence.performance
    if found is not None and found.below_estimate is False and found.contradiction:
        return found.contradiction  # another metric of the same rows told
    if found is None or not found.below_estimate or found.realised is None or found.estimated is None:
        return ""
    return (
        f"{found.title} is {figure(found.realised)} from {found.n_labelled:,} labels, worse than the inputs explain "
        f"({figure(found.estimated)})."
    )


def _slice_below_estimate(evidence: Evidence) -> str:
    said = [
        f"In {name} {found.title} is {figure(found.realised)} from labels, where the inputs let expect "
        f"{figure(found.estimated)}."
        for name, found in evidence.slices.items()
        if found.below_estimate and found.realised is not None and found.estimated is not None
    ]
    return " ".join(said[:NAMED])


def _concept_fired(evidence: Evidence) -> str:
    return evidence.concept.sentence if evidence.concept is not None and evidence.concept.changed else ""


def _concept_quiet(evidence: Evidence) -> str:
    return evidence.concept.sentence if evidence.concept is not None and not evidence.concept.changed else ""


def _worse_without_drift(evidence: Evidence) -> str:
    found = evidence.performance
    if evidence.drifted or found is None or not found.realised_worse:
        return ""
    return f"{found.title} is worse although no feature drifted."


def _as_estimated(evidence: Evidence) -> str:
    found = evidence.performance
    if found is None or found.below_estimate is not False or _slice_below_estimate(evidence):
        return ""
    if found.contradiction or _concept_fired(evidence):
        return ""  # not proven worse is not as good: a wide estimate lets expect anything
    return f"{found.title} from labels is no worse than the inputs let expect."


def _season_matches(evidence: Evidence) -> str:
    return evidence.season.sentence if evidence.season is not None and evidence.season.matches else ""


def _season_differs(evidence: Evidence) -> str:
    return evidence.season.sentence if evidence.season is not None and not evidence.season.matches else ""


def _deployed(evidence: Evidence) -> str:
    return " ".join(change.sentence for change in evidence.changed("deployment"))


def _not_deployed(evidence: Evidence) -> str:
    return "" if evidence.changed("deployment") else "The same version answered before."


def _inputs_as_before(evidence: Evidence) -> str:
    known = [one for one in evidence.features if one.moved_since_before is not None]
    if not evidence.changed("deployment") or not known or any(one.moved_since_before for one in known):
        return ""
    return "The inputs are those of the window before: only what they are held against, or what answers, changed."


def _inputs_moved(evidence: Evidence) -> str:
    moved = [one for one in evidence.features if one.moved_since_before]
    return f"{names(moved)} moved since the window before." if moved else ""


def _worse_since_deployed(evidence: Evidence) -> str:
    found = evidence.performance
    if not evidence.changed("deployment") or found is None or not found.realised_worse:
        return ""
    return f"{found.title} is worse since the version changed."


def _troubles(evidence: Evidence) -> str:
    return " ".join(evidence.troubles[:NAMED])


def _no_troubles(evidence: Evidence) -> str:
    return "" if evidence.troubles else "No alert about errors, latency or silence is open."


def _volume(evidence: Evidence) -> str:
    return " ".join(change.sentence for change in evidence.changed("volume"))


def _stopped(evidence: Evidence) -> str:
    return evidence.stopped


def _nothing(evidence: Evidence) -> str:
    quiet = not evidence.drifted and not evidence.prediction_drifted and not evidence.worse
    quiet = quiet and not (evidence.troubles or evidence.contract or marked(evidence) or _concept_fired(evidence))
    quiet = quiet and not _repeats(evidence) and not evidence.stopped
    quiet = quiet and not _slice_below_estimate(evidence) and not _volume(evidence) and not _mix_moved(evidence)
    return "No feature and no prediction drifted, and nothing is known to be worse." if quiet else ""


RULES: tuple[Rule, ...] = (
    *(
        Rule(f"sign_{sign.key}", "pipeline_fault" if sign.speaks == "fault" else "input_shift", sign.weight, _sign(key))
        for key, sign in SIGNS.items()
    ),
    Rule("rows_repeat", "pipeline_fault", 4, _repeats),
    Rule("contract_failed", "pipeline_fault", 2, _contract),
    Rule("no_mark_of_a_fault", "pipeline_fault", -2, _no_fault),
    Rule("features_drifted", "input_shift", 3, _drifted),
    Rule("moved_steadily", "input_shift", 1, _rose),
    Rule("season_is_not_enough", "input_shift", 1, _season_differs),
    Rule("outcomes_follow", "input_shift", 2, _outcomes_follow),
    Rule("no_feature_drifted", "input_shift", -5, _none_drifted),
    Rule("all_drift_is_marked", "input_shift", -3, _all_marked),
    Rule("mix_explains_inputs", "input_shift", -4, _mix_explains),
    Rule("season_explains_inputs", "input_shift", -3, _season_matches),
    Rule("mix_moved", "label_shift", 2, _mix_moved),
    Rule("only_the_mix_moved", "label_shift", 4, _mix_explains),
    Rule("mix_kept", "label_shift", -5, _mix_kept),
    Rule("more_than_the_mix_moved", "label_shift", -3, _mix_does_not_explain),
    Rule("important_feature_unmoved", "label_shift", -3, important_unmoved),
    Rule("predictions_unmoved", "label_shift", -3, answers_unmoved),
    Rule("fault_explains_mix", "label_shift", -4, _some_marked),
    Rule("worse_than_inputs_explain", "concept_change", 3, _below_estimate),
    Rule("slice_worse_than_inputs_explain", "concept_change", 4, _slice_below_estimate),
    Rule("outcomes_changed", "concept_change", 4, _concept_fired),
    Rule("worse_without_drift", "concept_change", 2, _worse_without_drift),
    Rule("outcomes_unchanged", "concept_change", -2, _concept_quiet),
    Rule("as_inputs_explain", "concept_change", -2, _as_estimated),
    Rule("mix_explains_outcomes", "concept_change", -6, _mix_explains),
    Rule("fault_explains_outcomes", "concept_change", -6, _some_marked),
    Rule("version_changed_at_once", "concept_change", -3, _deployed),
    Rule("season_matches", "seasonal_return", 5, _season_matches),
    Rule("season_differs", "seasonal_return", -5, _season_differs),
    Rule("version_went_live", "new_version", 3, _deployed),
    Rule("inputs_as_before", "new_version", 3, _inputs_as_before),
    Rule("worse_since", "new_version", 1, _worse_since_deployed),
    Rule("same_version", "new_version", -6, _not_deployed),
    Rule("inputs_moved_too", "new_version", -3, _inputs_moved),
    Rule("fault_explains_drift", "new_version", -4, _some_marked),
    Rule("trouble_is_open", "infrastructure", 6, _troubles),
    Rule("volume_changed", "infrastructure", 2, _volume),
    Rule("rows_stopped", "infrastructure", 3, _stopped),
    Rule("no_trouble", "infrastructure", -1, _no_troubles),
    Rule("nothing_moved", "none", 9, _nothing),
)


def cause_title(key: str) -> str:
    """What a cause is called; its key where an older catalogue named it."""
    return CAUSES[key].title if key in CAUSES else key
