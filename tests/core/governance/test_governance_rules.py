"""The pure rules: legal moves, conflicts of interest, gates, what an approval is bound to, cards."""

import itertools

import pytest

from core.datasets.tables import Outcome, Severity
from core.errors import InvalidInput, InvalidTransition
from core.evaluation.reuse import Reuse
from core.evaluation.tables import Verdict
from core.governance import binding, gates
from core.governance.cards import CARD_SECTIONS, CardFacts, MetricFact, blanks, draft_card
from core.governance.conflicts import Part, Participants, in_words, parts_taken
from core.governance.lifecycle import MOVES, UNDECIDED, move
from core.governance.tables import RequestState as State

LEGAL = {
    (State.PREPARING, State.PREPARING),
    (State.PREPARING, State.OPEN),
    (State.PREPARING, State.WITHDRAWN),
    (State.OPEN, State.PREPARING),
    (State.OPEN, State.CHANGES_REQUESTED),
    (State.OPEN, State.APPROVED),
    (State.OPEN, State.REJECTED),
    (State.OPEN, State.WITHDRAWN),
    (State.CHANGES_REQUESTED, State.PREPARING),
    (State.CHANGES_REQUESTED, State.WITHDRAWN),
}


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(State, State)))
def test_a_request_makes_legal_moves_only(current: State, wanted: State) -> None:
    if (current, wanted) in LEGAL:
        assert move(current, wanted) is wanted
    else:
        with pytest.raises(InvalidTransition, match="cannot become"):
            move(current, wanted)


def test_only_approved_rejected_and_withdrawn_are_final() -> None:
    assert set(MOVES) == set(State)
    assert set(State) - UNDECIDED == {State.APPROVED, State.REJECTED, State.WITHDRAWN}


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        (1, (Part.UPLOADED,)),
        (2, (Part.UPLOADED, Part.LAUNCHED)),
        (3, (Part.WROTE_POLICY,)),
        (4, (Part.REQUESTED,)),
        (6, (Part.WROTE_SUITE,)),
        (5, ()),
        (None, ()),
    ],
)
def test_who_took_part_is_named_by_each_part(user_id: int | None, expected: tuple[Part, ...]) -> None:
    assert parts_taken(user_id, Participants(frozenset({1, 2}), 2, 3, 4, 6)) == expected


def test_nobody_took_part_in_what_built_in_actors_did() -> None:
    assert parts_taken(None, Participants(frozenset(), None, None, None)) == ()
    assert parts_taken(1, Participants(frozenset(), None, None, None)) == ()


def test_parts_are_put_in_words() -> None:
    assert in_words((Part.UPLOADED,)) == "uploaded the data"
    assert in_words((Part.UPLOADED, Part.LAUNCHED, Part.REQUESTED)) == (
        "uploaded the data, launched the run and made the request"
    )


def fact(verdict: Verdict) -> gates.ComparisonFact:
    return gates.ComparisonFact(verdict, "roc_auc", 0.0123, -0.004, 0.03, 0.01, 6512)


def check(severity: Severity, outcome: Outcome) -> gates.CheckFact:
    return gates.CheckFact("target present", severity, outcome, "The target is gone.")


def evidence(**over: object) -> gates.Evidence:
    whole: dict[str, object] = {
        "champion": "income v2",
        "fixed": fact(Verdict.BETTER),
        "latest": None,
        "has_latest_set": False,
        "dummy": fact(Verdict.BETTER),
        "checks": (check(Severity.BLOCK, Outcome.PASSED),),
        "smoke": gates.SmokeFact(50, 50),
        "blanks": (),
        "n_sections": 7,
        "quarantined": (),
        "behaviour": gates.BehaviourFact(2, ("Noise", "Size"), (), ()),
        "reuse": Reuse(3, 0.002, 0.01),
    }
    return gates.Evidence(**{**whole, **over})  # type: ignore[arg-type]


CASES: list[tuple[str, dict[str, object], Outcome, str]] = [
    ("better_than_dummy", {}, Outcome.PASSED, "+0.012 ROC AUC (−0.004 to +0.030) on 6,512 rows, margin 0.01"),
    ("better_than_dummy", {"dummy": fact(Verdict.NOT_WORSE)}, Outcome.FAILED, "not shown to be better"),
    ("better_than_dummy", {"dummy": fact(Verdict.INCONCLUSIVE)}, Outcome.FAILED, "not shown to be better"),
    ("better_than_dummy", {"dummy": None}, Outcome.FAILED, "no comparison"),
    ("better_than_dummy", {"dummy": None, "missing": {"dummy": "Too few rows."}}, Outcome.FAILED, "Too few rows."),
    ("not_worse_fixed", {"champion": None, "fixed": None}, Outcome.NOT_APPLICABLE, "the first"),
    ("not_worse_fixed", {}, Outcome.PASSED, "better than income v2"),
    ("not_worse_fixed", {"fixed": fact(Verdict.NOT_WORSE)}, Outcome.PASSED, "not worse than income v2"),
    ("not_worse_fixed", {"fixed": fact(Verdict.WORSE)}, Outcome.FAILED, "worse than income v2"),
    ("not_worse_fixed", {"fixed": fact(Verdict.INCONCLUSIVE)}, Outcome.FAILED, "cannot be told"),
    ("not_worse_fixed", {"fixed": None}, Outcome.FAILED, "no comparison"),
    ("not_worse_fixed", {"fixed": None, "missing": {"fixed": "It lacks age."}}, Outcome.FAILED, "It lacks age."),
    ("not_worse_latest", {"champion": None}, Outcome.NOT_APPLICABLE, "the first"),
    ("not_worse_latest", {}, Outcome.NOT_APPLICABLE, "no newer labelled rows"),
    ("not_worse_latest", {"has_latest_set": True}, Outcome.FAILED, "no comparison"),
    ("not_worse_latest", {"has_latest_set": True, "latest": fact(Verdict.BETTER)}, Outcome.PASSED, "latest"),
    ("not_worse_latest", {"has_latest_set": True, "latest": fact(Verdict.WORSE)}, Outcome.FAILED, "latest"),
    ("data_checks", {}, Outcome.PASSED, "1 of 1 checks did not fail."),
    ("data_checks", {"checks": ()}, Outcome.FAILED, "No check"),
    ("data_checks", {"checks": (check(Severity.BLOCK, Outcome.FAILED),)}, Outcome.FAILED, "The target is gone."),
    ("data_checks", {"checks": (check(Severity.WARN, Outcome.FAILED),)}, Outcome.PASSED, "warnings: target present"),
    ("data_checks", {"checks": (check(Severity.LOG, Outcome.FAILED),)}, Outcome.PASSED, "0 of 1"),
    ("smoke_test", {}, Outcome.PASSED, "50 of 50"),
    ("smoke_test", {"smoke": gates.SmokeFact(50, 49)}, Outcome.FAILED, "49 of 50"),
    ("smoke_test", {"smoke": gates.SmokeFact(0, 0)}, Outcome.FAILED, "not asked"),
    ("smoke_test", {"smoke": gates.SmokeFact(0, 0, "The file is gone.")}, Outcome.FAILED, "The file is gone."),
    ("smoke_test", {"smoke": None}, Outcome.FAILED, "not asked"),
    ("card_complete", {}, Outcome.PASSED, "All 7"),
    ("card_complete", {"blanks": ("Limitations", "Owner")}, Outcome.FAILED, "2 of 7 sections"),
    ("no_quarantine", {}, Outcome.PASSED, "No data"),
    ("no_quarantine", {"quarantined": ("income v1",)}, Outcome.FAILED, "income v1"),
    ("behaviour_suite", {}, Outcome.PASSED, "2 of 2 tests of behaviour suite 2 passed."),
    ("behaviour_suite", {"behaviour": None}, Outcome.FAILED, "was not run"),
    ("behaviour_suite", {"behaviour": gates.BehaviourFact(1, (), (), ())}, Outcome.FAILED, "No test"),
    (
        "behaviour_suite",
        {"behaviour": gates.BehaviourFact(1, ("Size",), ("Noise",), ("Latency",))},
        Outcome.FAILED,
        "1 of 3 tests of behaviour suite 1 passed; failed: Noise; not run: Latency.",
    ),
    ("evaluation_set_worn", {"champion": None, "reuse": None}, Outcome.NOT_APPLICABLE, "Nothing is live"),
    ("evaluation_set_worn", {}, Outcome.PASSED, "3 candidates have been judged"),
    ("evaluation_set_worn", {"reuse": Reuse(12, 0.006, 0.01)}, Outcome.PASSED, "bring fresh data soon"),
    ("evaluation_set_worn", {"reuse": Reuse(90, 0.011, 0.01)}, Outcome.FAILED, "waived in writing"),
    ("evaluation_set_worn", {"reuse": None}, Outcome.FAILED, "not known"),
]


@pytest.mark.parametrize(("code", "over", "outcome", "words"), CASES)
def test_a_gate_ends_as_its_evidence_says(code: str, over: dict[str, object], outcome: Outcome, words: str) -> None:
    (answer,) = gates.evaluate(evidence(**over), {code: "warning"})
    assert (answer.code, answer.outcome) == (code, outcome)
    assert words in answer.explanation


def test_every_gate_has_a_case_that_passes_and_one_that_fails() -> None:
    assert {code for code, _, outcome, _ in CASES if outcome == Outcome.PASSED} == set(gates.GATES)
    assert {code for code, _, outcome, _ in CASES if outcome == Outcome.FAILED} == set(gates.GATES)


def test_the_policy_gives_the_severity_and_chooses_the_gates() -> None:
    chosen = {"smoke_test": "warning", "card_complete": "blocking"}
    answers = gates.evaluate(evidence(), chosen)
    assert {answer.code: answer.severity for answer in answers} == chosen


@pytest.mark.parametrize("severities", [{"no_such_gate": "blocking"}, {"smoke_test": "sometimes"}])
def test_a_policy_of_unknown_words_is_refused(severities: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        gates.evaluate(evidence(), severities)


BOUND = {
    "artifact": "a",
    "threshold": 0.3,
    "evaluations": ["1:b"],
    "checks": "c",
    "card": "d",
    "behaviour": "f",
    "policy": "e",
    "quarantine": [],
    "champion": 3,
}


@pytest.mark.parametrize("name", list(BOUND))
def test_each_bound_value_that_changes_is_named(name: str) -> None:
    assert binding.changes(BOUND, dict(BOUND)) == ()
    assert binding.changes(BOUND, {**BOUND, name: "other"}) == (binding.CHANGED[name],)
    without = {one: value for one, value in BOUND.items() if one != name}
    assert binding.changes(without, BOUND) == (binding.CHANGED[name],)


def test_a_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert binding.digest({"a": 1, "b": [1, 2]}) == binding.digest({"b": [1, 2], "a": 1})
    assert binding.digest({"a": 1, "b": [1, 2]}) != binding.digest({"a": 1, "b": [2, 1]})


def test_a_card_is_drafted_from_the_records_and_leaves_the_rest_to_people() -> None:
    facts = CardFacts(
        dataset_label="income v2",
        n_rows=32561,
        n_train=19537,
        n_features=13,
        target="income",
        task="binary",
        algorithm="random_forest",
        metrics=[MetricFact("fixed", 6512, "Area under the ROC curve", 0.9051, 0.897, 0.913)],
        sensitive=["sex"],
        owner="sam",
    )
    card = draft_card(facts)
    assert list(card) == list(CARD_SECTIONS)
    assert "income v2: 19,537 of 32,561 rows" in card["training_data"]
    assert "0.9051 (0.897 to 0.913) on 6,512 rows of the fixed evaluation set" in card["evaluation"]
    assert "sex" in card["fairness"]
    assert blanks(card) == ["Intended use", "Out of scope", "Limitations"]
    assert blanks({**card, "limitations": "  "}) == ["Intended use", "Out of scope", "Limitations"]
    assert blanks(dict.fromkeys(CARD_SECTIONS, "said")) == []
