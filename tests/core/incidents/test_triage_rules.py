"""Each stated rule by itself: where it speaks, what it says, and that it is silent on a quiet window."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from core.incidents.causes import CAUSES, RULES
from core.incidents.evidence import (
    Change,
    ConceptEvidence,
    Evidence,
    FeatureEvidence,
    Figure,
    LabelEvidence,
    PerformanceEvidence,
    SeasonEvidence,
)
from core.incidents.signs import SIGNS, Sign
from core.incidents.triage import triage


def feature(name: str = "hours", **over: Any) -> FeatureEvidence:
    return FeatureEvidence(
        **{"name": name, "kind": "number", "drifted": False, "effect": 0.02, "threshold": 0.1, **over}
    )


MOVED = feature(drifted=True, effect=0.3, importance=0.3)
STILL = feature("age", importance=0.5)
MARKED = replace(MOVED, signs=(Sign("unit_change", "hours is in minutes."),))
GOOD = PerformanceEvidence(
    "Accuracy", True, then=Figure(0.8, 0.78, 0.82), realised=Figure(0.8, 0.77, 0.83), estimated=Figure(0.8, 0.77, 0.83),
    n_labelled=900,
)  # fmt: skip
WORSE = replace(GOOD, realised=Figure(0.6, 0.57, 0.63), estimated=Figure(0.61, 0.58, 0.64))
BELOW = replace(GOOD, realised=Figure(0.6, 0.57, 0.63))
MIX = LabelEvidence(900, {"yes": 0.5}, {"yes": 0.8}, True, False, "yes is the label of 80 %; it was that of 50 %.")
KEPT = LabelEvidence(900, {"yes": 0.5}, {"yes": 0.5}, False, False, "")
DEPLOYED = (Change("deployment", "pay v3 went live in place of v2."),)
QUIET = Evidence("2026-07", 1_000, 100, features=(STILL, feature()), performance=GOOD, labels=KEPT)
DRIFTED = replace(QUIET, features=(STILL, MOVED))

CASES: dict[str, tuple[Evidence, str]] = {
    **{
        f"sign_{key}": (replace(QUIET, features=(feature(signs=(Sign(key, f"It is {key}."),)),)), f"It is {key}.")
        for key in SIGNS
    },
    "rows_repeat": (
        replace(QUIET, repeated_then=0.01, repeated_now=0.3),
        "30 % of the rows repeat an earlier row; of as many rows in training 1 % did.",
    ),
    "contract_failed": (replace(QUIET, contract=("age is never missing.",)), "age is never missing."),
    "no_mark_of_a_fault": (DRIFTED, "hours moved without any mark of a fault"),
    "features_drifted": (DRIFTED, "hours drifted (1 of 2 features)"),
    "moved_steadily": (
        replace(QUIET, features=(replace(MOVED, earlier_effects=(0.05, 0.1, 0.2)),)),
        "hours moved window by window (effect 0.05, 0.10, 0.20, 0.30).",
    ),
    "rows_stopped": (replace(QUIET, stopped="None came on Monday."), "None came on Monday."),
    "season_is_not_enough": (replace(DRIFTED, season=SeasonEvidence(False, "July was not.")), "July was not."),
    "outcomes_follow": (DRIFTED, "the same inputs still have the same outcomes"),
    "no_feature_drifted": (QUIET, "No feature drifted."),
    "all_drift_is_marked": (replace(QUIET, features=(STILL, MARKED)), "hours carries the mark of a fault."),
    "mix_explains_inputs": (replace(DRIFTED, labels=MIX), "only their mix changed"),
    "season_explains_inputs": (replace(DRIFTED, season=SeasonEvidence(True, "July was so.")), "July was so."),
    "mix_moved": (replace(QUIET, labels=MIX), "yes is the label of 80 %"),
    "only_the_mix_moved": (replace(QUIET, labels=MIX), "only their mix changed"),
    "mix_kept": (QUIET, "The mix of labels is as before (900 labels)."),
    "more_than_the_mix_moved": (replace(QUIET, labels=replace(MIX, moved_within=True)), "more than the mix changed"),
    "important_feature_unmoved": (DRIFTED, "age, which tells the label as well as what drifted, has not moved"),
    "predictions_unmoved": (DRIFTED, "The predictions have not drifted"),
    "fault_explains_mix": (replace(QUIET, features=(MARKED,)), "hours carries the mark of a fault."),
    "worse_than_inputs_explain": (
        replace(QUIET, performance=BELOW),
        "Accuracy is 0.6 [0.57, 0.63] from 900 labels, worse than the inputs explain (0.8 [0.77, 0.83]).",
    ),
    "slice_worse_than_inputs_explain": (replace(QUIET, slices={"sex=Female": BELOW}), "In sex=Female Accuracy is 0.6"),
    "outcomes_changed": (replace(QUIET, concept=ConceptEvidence(True, "Outcomes changed.")), "Outcomes changed."),
    "worse_without_drift": (replace(QUIET, performance=WORSE), "Accuracy is worse although no feature drifted."),
    "outcomes_unchanged": (replace(QUIET, concept=ConceptEvidence(False, "As before.")), "As before."),
    "as_inputs_explain": (QUIET, "Accuracy from labels is no worse than the inputs let expect."),
    "mix_explains_outcomes": (replace(QUIET, labels=MIX), "only their mix changed"),
    "fault_explains_outcomes": (replace(QUIET, features=(MARKED,)), "hours carries the mark of a fault."),
    "version_changed_at_once": (replace(QUIET, changes=DEPLOYED), "pay v3 went live in place of v2."),
    "season_matches": (replace(QUIET, season=SeasonEvidence(True, "July was so.")), "July was so."),
    "season_differs": (replace(QUIET, season=SeasonEvidence(False, "July was not.")), "July was not."),
    "version_went_live": (replace(QUIET, changes=DEPLOYED), "pay v3 went live in place of v2."),
    "inputs_as_before": (
        replace(QUIET, changes=DEPLOYED, features=(feature(moved_since_before=False),)),
        "The inputs are those of the window before",
    ),
    "worse_since": (
        replace(QUIET, changes=DEPLOYED, performance=WORSE),
        "Accuracy is worse since the version changed.",
    ),
    "same_version": (QUIET, "The same version answered before."),
    "inputs_moved_too": (
        replace(QUIET, features=(feature(moved_since_before=True),)),
        "hours moved since the window before.",
    ),
    "fault_explains_drift": (replace(QUIET, features=(MARKED,)), "hours carries the mark of a fault."),
    "trouble_is_open": (replace(QUIET, troubles=("No predictions.",)), "No predictions."),
    "volume_changed": (replace(QUIET, changes=(Change("volume", "10 rows came in."),)), "10 rows came in."),
    "no_trouble": (QUIET, "No alert about errors, latency or silence is open."),
    "nothing_moved": (QUIET, "No feature and no prediction drifted"),
}
ON_A_QUIET_WINDOW = {
    "no_feature_drifted", "mix_kept", "as_inputs_explain", "same_version", "no_trouble", "nothing_moved",
}  # fmt: skip


def test_every_rule_has_its_case() -> None:
    assert CASES.keys() == {rule.key for rule in RULES}
    assert len({rule.key for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_rule_speaks_where_it_holds_and_only_there(rule: Any) -> None:
    evidence, said = CASES[rule.key]
    assert said in rule.sees(evidence)
    assert rule.cause in CAUSES
    assert rule.weight != 0
    assert bool(rule.sees(QUIET)) is (rule.key in ON_A_QUIET_WINDOW)


def test_what_is_not_known_makes_no_rule_speak() -> None:
    bare = Evidence("2026-07", 1_000, 100, features=(feature(),))
    speaking = {rule.key for rule in RULES if rule.sees(bare)}
    assert speaking == ON_A_QUIET_WINDOW - {"mix_kept", "as_inputs_explain"}


def test_rows_that_stopped_for_a_while_are_no_quiet_window() -> None:
    told = triage(replace(QUIET, stopped="None came on Monday."))
    assert (told.cause, told.sentence) == ("infrastructure", "Infrastructure: None came on Monday.")
    # Whatever the cause is called, it is said.
    worse = triage(replace(DRIFTED, stopped="None came on Monday.", concept=ConceptEvidence(True, "Outcomes changed.")))
    assert worse.cause == "concept_change"
    assert worse.remarks == ("None came on Monday.",)
    assert triage(QUIET).remarks == ()


def test_an_estimate_that_lets_expect_anything_speaks_for_no_shift() -> None:
    wide = PerformanceEvidence(
        "RMSE", False, Figure(34, 31, 40), Figure(111, 104, 119), Figure(52, 22, 120), n_labelled=718,
        contradiction="718 labels that are in contradict it.",
    )  # fmt: skip
    fired = ConceptEvidence(True, "The truth lies higher than predicted.")
    told = triage(replace(DRIFTED, performance=wide, concept=fired))
    assert told.cause == "concept_change"
    assert "718 labels that are in contradict it." in told.ranked[0].speaks_for
    assert not any("as the inputs let expect" in said for one in told.ranked for said in one.speaks_for)
    # Where nobody tested the outcomes and nothing contradicts it, it is what it was.
    alike = triage(replace(DRIFTED, performance=replace(wide, contradiction=""), concept=None))
    assert any("as the inputs let expect" in said for one in alike.ranked for said in one.speaks_for)


def test_a_mark_counts_for_nothing_where_only_the_reference_changed() -> None:
    swapped = replace(MARKED, moved_since_before=False)
    evidence = replace(QUIET, features=(swapped, replace(STILL, moved_since_before=False)), changes=DEPLOYED)
    assert triage(evidence).cause == "new_version"
    assert triage(replace(evidence, features=(replace(swapped, moved_since_before=True),))).cause == "pipeline_fault"


def test_the_causes_named_come_with_what_speaks_for_and_against_them() -> None:
    told = triage(replace(DRIFTED, features=(STILL, MOVED, replace(MARKED, name="pay"))))
    assert told.cause == "pipeline_fault"
    assert told.sentence == "Pipeline fault: hours is in minutes."
    assert [finding.cause for finding in told.ranked][:2] == ["pipeline_fault", "input_shift"]
    concept = next(
        one for one in triage(replace(QUIET, performance=BELOW, labels=MIX)).ranked if one.cause == "concept_change"
    )
    assert concept.speaks_against


def test_a_quiet_window_is_quiet_whatever_was_deployed() -> None:
    still = tuple(replace(one, moved_since_before=False) for one in QUIET.features)
    assert triage(replace(QUIET, features=still, changes=DEPLOYED)).cause == "none"


@pytest.mark.parametrize(
    ("earlier", "effect", "steady"),
    [
        ((0.05, 0.1, 0.2), 0.3, True),
        ((0.01, 0.02, 0.26), 0.27, False),  # a jump that stays
        ((0.1, 0.2, 0.15), 0.3, False),
        ((None, None, 0.1), 0.3, False),
        ((), 0.3, False),
    ],
)
def test_a_rise_is_steady_where_no_step_is_nearly_all_of_it(
    earlier: tuple[float | None, ...], effect: float, steady: bool
) -> None:
    moved = replace(MOVED, earlier_effects=earlier, effect=effect)
    rule = next(rule for rule in RULES if rule.key == "moved_steadily")
    assert bool(rule.sees(replace(QUIET, features=(moved,)))) is steady


def test_equal_evidence_names_no_cause() -> None:
    told = triage(replace(QUIET, features=(STILL, MOVED), performance=BELOW, prediction_drifted=True))
    assert (told.cause, [one.score for one in told.ranked[:2]]) == ("cannot_tell", [3, 3])
    assert told.sentence == "As much speaks for input shift and concept change: look at both."


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (Evidence("2026-07", 40, 100, features=(MOVED,)), "2026-07 holds 40 rows; 100 are needed"),
        (
            Evidence("2026-07", 500, 100, features=(MOVED,), prediction_drifted=True),
            "Without labels an input shift and a label shift look alike",
        ),
        (
            Evidence("2026-07", 500, 100, features=(STILL,), prediction_drifted=True),
            "The predictions drifted, but no single feature did",
        ),
        (
            Evidence("2026-07", 500, 100, features=(STILL,), performance=replace(WORSE, estimated=None)),
            "a concept change and a label shift look alike",
        ),
    ],
)
def test_where_it_cannot_be_told_it_says_what_would_tell(evidence: Evidence, said: str) -> None:
    told = triage(evidence)
    assert told.cause == "cannot_tell"
    assert said in told.sentence


@pytest.mark.parametrize(
    ("performance", "said"),
    [
        (None, "Not known: nothing says how good the answers are now."),
        (
            GOOD,
            "No harm is seen: Accuracy is 0.8 [0.77, 0.83] from 900 labels, 0.8 [0.78, 0.82] on the evaluation set.",
        ),
        (WORSE, "Accuracy is 0.6 [0.57, 0.63] from 900 labels; it was 0.8 [0.78, 0.82] on the evaluation set."),
        (
            replace(GOOD, realised=None),
            "No harm is expected: Accuracy is estimated at 0.8 [0.77, 0.83] without labels, 0.8 [0.78, 0.82] on the "
            "evaluation set. The estimate assumes unchanged outcomes for the same inputs.",
        ),
        (
            replace(WORSE, realised=None),
            "Accuracy is estimated at 0.61 [0.58, 0.64] without labels; it was 0.8 [0.78, 0.82] on the evaluation set.",
        ),
        (
            replace(WORSE, realised=None, note="hours lies outside."),
            "Not known: no labels have arrived, and the estimate is not to be believed. hours lies outside.",
        ),
        (
            replace(GOOD, realised=None, estimated=None),
            "Not known: no labels have arrived and there is no estimate. Accuracy was 0.8 [0.78, 0.82] on the "
            "evaluation set.",
        ),
    ],
)
def test_harm_is_said_with_its_source_or_as_unknown(performance: PerformanceEvidence | None, said: str) -> None:
    assert triage(replace(QUIET, performance=performance)).harm == said


def test_a_smaller_metric_is_worse_where_it_grows() -> None:
    error = PerformanceEvidence("RMSE", False, then=Figure(2, 1.9, 2.1), realised=Figure(3, 2.8, 3.2), n_labelled=500)
    assert error.realised_worse is True
    assert replace(error, realised=Figure(1, 0.9, 1.1)).realised_worse is False
    assert replace(error, realised=Figure(3)).realised_worse is None
    assert replace(error, estimated=Figure(2, 1.9, 2.1), note="no").below_estimate is None


def test_features_are_ranked_by_importance_times_drift() -> None:
    features = (
        feature("much, little", drifted=True, effect=0.9, importance=0.01),
        feature("some, much", drifted=True, effect=0.2, importance=0.5),
        feature("still", effect=0.05, importance=0.9),
    )
    ranked = triage(replace(QUIET, features=features)).features
    assert [one.name for one in ranked] == ["some, much", "much, little", "still"]
    assert ranked[0].weight == pytest.approx(0.2 / 0.1 * 0.5)
    unknown = triage(replace(QUIET, features=tuple(replace(one, importance=None) for one in features)))
    assert [one.name for one in unknown.features] == ["much, little", "some, much", "still"]
    assert any("kept no importances" in sentence for sentence in unknown.unseen)


def test_the_link_is_the_correlation_with_how_far_performance_fell() -> None:
    falling = replace(WORSE, earlier=(0.8, 0.78, 0.74, 0.7))
    with_it = feature("with it", effect=0.5, earlier_effects=(0.01, 0.1, 0.2, 0.3))
    against = feature("against", effect=0.01, earlier_effects=(0.4, 0.3, 0.2, 0.1))
    constant = feature("constant", effect=0.1, earlier_effects=(0.1, 0.1, 0.1, 0.1))
    short = feature("short", effect=0.1, earlier_effects=(None, None, 0.1, 0.2))
    ranked = {
        one.name: one.link
        for one in triage(replace(QUIET, features=(with_it, against, constant, short), performance=falling)).features
    }
    # numpy.corrcoef([0.01, 0.1, 0.2, 0.3, 0.5], [-0.8, -0.78, -0.74, -0.7, -0.6])
    assert ranked["with it"] == pytest.approx(0.99273, abs=1e-5)
    assert ranked["against"] is not None
    assert ranked["against"] < -0.9
    assert ranked["constant"] is None
    assert ranked["short"] is None
    assert not math.isnan(ranked["with it"] or math.nan)


def test_the_document_is_plain_json() -> None:
    import json
    from datetime import UTC, datetime

    change = Change("deployment", "v3 went live.", datetime(2026, 7, 1, tzinfo=UTC))
    document = triage(replace(DRIFTED, changes=(change,))).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["changes"][0]["at"] == "2026-07-01T00:00:00+00:00"


def test_outcomes_that_follow_as_before_tell_an_input_shift_without_the_mix_of_labels() -> None:
    # A regression has no mix of labels; whether outcomes follow can be tested all the same.
    moved = replace(QUIET, features=(MOVED,), labels=None, prediction_drifted=True, performance=None)
    assert triage(moved).cause == "cannot_tell"
    assert triage(replace(moved, concept=ConceptEvidence(False, "As before."))).cause == "input_shift"
    assert triage(replace(moved, concept=ConceptEvidence(True, "Outcomes changed."))).cause != "input_shift"
