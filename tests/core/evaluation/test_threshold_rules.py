"""Rules for a threshold: choices against every other threshold, and honest sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput
from core.evaluation.threshold_figures import FigureKey
from core.evaluation.threshold_grids import grid
from core.evaluation.threshold_rules import Rule, parse_rule, suggest
from tests.core.evaluation.binary_rows import drawn, predictions, score_of

COSTS = BinaryCosts(false_alarm=1, miss=5)


@pytest.mark.parametrize("bound", [0.9, 0.95, 0.99])
def test_many_rows_keep_the_threshold_for_a_usual_recall(bound: float, rng: np.random.Generator) -> None:
    rows = drawn(5_000, rng)
    every = grid(rows, rows, at=np.unique(score_of(rows)))
    needed = every.validation.values("share")[every.validation.values("recall") >= bound].min()
    found = suggest(grid(rows, rows), Rule("recall", bound))
    assert found.place is not None
    assert grid(rows, rows).validation.values("share")[found.place] == pytest.approx(needed)


RULES = [Rule("cost", costs=COSTS), Rule("recall", 0.9), Rule("precision", 0.8), Rule("share", 0.1), Rule("f1")]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60),
    rule=st.sampled_from(RULES),
)
def test_no_threshold_serves_a_rule_better_than_the_suggested(rows: list[tuple[bool, int]], rule: Rule) -> None:
    validation = predictions([positive for positive, _ in rows], [score / 20 for _, score in rows])
    found = grid(validation, validation)
    suggestion = suggest(found, rule)
    every = grid(validation, validation, at=np.unique(np.concatenate([np.linspace(0.001, 1, 400), found.thresholds])))
    tally, called = every.validation, every.validation.cells[:2].sum(axis=0) > 0
    values = tally.values(rule.key, rule.costs)
    if tally.one_class:
        assert suggestion.threshold is None
        return
    keeps = {
        "recall": values >= 0.9 - 1e-9,
        "precision": called & (values >= 0.8 - 1e-9),
        "share": called & (values <= 0.1 + 1e-9),
    }.get(rule.key, np.ones(len(values), dtype=bool))
    if suggestion.threshold is None:
        assert not keeps.any()
        return
    here = every.nearest(suggestion.threshold)
    assert keeps[here]
    match rule.key:
        case "recall":
            assert tally.values("share")[here] == pytest.approx(tally.values("share")[keeps].min())
        case "precision":
            assert tally.values("recall")[here] == pytest.approx(tally.values("recall")[keeps].max())
        case "share":
            assert values[here] == pytest.approx(values[keeps].max())
        case "f1":
            assert values[here] == pytest.approx(np.nanmax(values[called]))
        case _:
            assert values[here] == pytest.approx(values.min())


def test_the_test_rows_do_not_move_the_choice(rng: np.random.Generator) -> None:
    validation = drawn(400, rng)
    chosen = {
        suggest(grid(validation, drawn(400, np.random.default_rng(seed))), Rule("recall", 0.9)).threshold
        for seed in range(3)
    }
    assert len(chosen) == 1


@pytest.mark.parametrize(
    ("hits", "held", "said"),
    [
        (1000, "surely", "it holds there with the whole interval"),
        (910, "perhaps", "it holds there, but not surely, since the interval reaches below 0.9"),
        (890, "perhaps", "it is below 0.9 there, though the interval leaves room for it"),
        (500, "not", "it does not hold there, the whole interval is below 0.9"),
    ],
)
def test_the_sentence_says_whether_the_constraint_holds_on_test_rows(hits: int, held: str, said: str) -> None:
    validation = predictions([True] * 50 + [False] * 50, [0.8] * 50 + [0.2] * 50)
    test = predictions([True] * 1000 + [False] * 1000, [0.8] * hits + [0.1] * (1000 - hits) + [0.1] * 1000)
    found = suggest(grid(validation, test), Rule("recall", 0.9))
    assert found.held == held
    assert said in found.sentences[1]
    assert "which the choice did not see" in found.sentences[1]


def test_too_many_called_on_test_rows_is_said() -> None:
    validation = predictions([True] * 10 + [False] * 90, [0.8] * 10 + [0.2] * 90)
    test = predictions([True] * 100 + [False] * 900, [0.8] * 300 + [0.2] * 700)
    found = suggest(grid(validation, test), Rule("share", 0.1))
    assert found.held == "not"
    assert "the whole interval is above 0.1" in found.sentences[1]


def test_a_rule_no_threshold_keeps_says_how_far_one_gets() -> None:
    rows = predictions([True, False] * 20, [0.6, 0.6] * 20)
    found = suggest(grid(rows, rows), Rule("precision", 0.8))
    assert (found.place, found.threshold, found.held) == (None, None, None)
    assert found.sentences[0].startswith(
        "No threshold has a precision of 0.8 on the validation rows; the highest is 0.5"
    )
    found = suggest(grid(rows, rows), Rule("share", 0.1))
    assert found.sentences[0].startswith("No threshold calls at most 10 % of the validation rows positive and still")


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_one_class_alone_chooses_nothing(positive: bool, rule: Rule, rng: np.random.Generator) -> None:
    rows = predictions([positive] * 30, rng.random(30))
    found = grid(rows, rows)
    suggestion = suggest(found, rule)
    assert suggestion.threshold is None
    assert suggestion.sentences == (
        f"All 30 validation rows are {'positive' if positive else 'negative'}, so no threshold can be chosen on them.",
    )
    undefined: FigureKey = "fpr" if positive else "recall"
    assert found.validation.estimate(undefined, 0) is None
    assert found.validation.figures(0)[undefined] is None


def test_a_test_set_of_one_class_leaves_the_recall_undefined(rng: np.random.Generator) -> None:
    found = suggest(grid(drawn(60, rng), predictions([False] * 9, rng.random(9))), Rule("recall", 0.9))
    assert found.threshold is not None
    assert found.held is None
    assert found.sentences[1] == "On the 9 test rows the recall is not defined."


def test_constant_scores_and_few_rows_are_said() -> None:
    rows = predictions([True, False, False], [0.4, 0.4, 0.4])
    found = suggest(grid(rows, rows), Rule("recall", 0.9))
    assert found.threshold is not None
    assert found.threshold <= 0.4
    assert "Only 1 validation rows are positive" in found.sentences[2]
    assert "All validation rows have the same score" in found.sentences[3]


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("recall>=0.9", Rule("recall", 0.9), "a recall of at least 0.9 with the fewest rows called positive"),
        (" Precision ≥ .8 ", Rule("precision", 0.8), "a precision of at least 0.8 with the most positive rows found"),
        ("share<=0.1", Rule("share", 0.1), "at most 10 % of rows called positive, as many as that allows"),
        ("f1", Rule("f1"), "the highest F1"),
        (
            "cost",
            Rule("cost", costs=COSTS),
            "the lowest expected cost where a false alarm costs 1 and a miss 5",
        ),
    ],
)
def test_a_rule_is_read_as_it_is_typed(text: str, rule: Rule, words: str) -> None:
    assert parse_rule(text, COSTS) == rule
    assert rule.in_words() == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recall<=0.9", "is no rule"),
        ("recall", "is no rule"),
        ("share>=0.5", "is no rule"),
        ("recall>=1.5", "above 0 and at most 1"),
        ("recall>=0", "above 0 and at most 1"),
        ("cost", "on the dataset"),
        ("", "is no rule"),
    ],
)
def test_what_is_no_rule_says_what_is_one(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_rule(text)
