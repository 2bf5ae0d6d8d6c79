"""Thresholds: counts against brute force and scikit-learn, choices against every other threshold, honest sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score, roc_curve

from core.errors import InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.thresholds import (
    MAX_THRESHOLDS,
    TITLES,
    Costs,
    FigureKey,
    Grid,
    Rule,
    Tally,
    choice,
    figures,
    grid,
    parse_rule,
    suggest,
    threshold_sentence,
)

COSTS = Costs(false_alarm=1, miss=5)


def predictions(positive: Any, score: Any, weights: NDArray[np.float64] | None = None) -> Predictions:
    """Binary predictions of rows with these truths and scores of "yes"."""
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    more: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
    return Predictions(
        task=Task.BINARY,
        ordinals=np.arange(len(score)),
        y_true=np.where(positive, "yes", "no"),
        y_pred=np.where(score > 0.5, "yes", "no"),
        scores=np.column_stack([1 - score, score]),
        classes=("no", "yes"),
        **more,
    )


def drawn(n: int, rng: np.random.Generator, *, share: float = 0.25, decimals: int = 17) -> Predictions:
    positive = rng.random(n) < share
    return predictions(positive, (1 / (1 + np.exp(-(rng.normal(size=n) + 2 * positive - 1.5)))).round(decimals))


def truth_of(rows: Predictions) -> NDArray[np.bool_]:
    return rows.y_true == "yes"


def score_of(rows: Predictions) -> NDArray[np.float64]:
    assert rows.scores is not None
    return rows.scores[:, 1]


@pytest.mark.parametrize("n", [30, 3_000])
def test_each_threshold_counts_what_brute_force_counts(n: int, rng: np.random.Generator) -> None:
    validation, test = drawn(n, rng), drawn(n, rng, decimals=2)
    found = grid(validation, test)
    assert (found.negative, found.positive) == ("no", "yes")
    assert len(found.thresholds) <= MAX_THRESHOLDS
    assert 0.5 in found.thresholds
    assert (np.diff(found.thresholds) > 0).all()
    for rows, tally in ((validation, found.validation), (test, found.test)):
        for place, threshold in enumerate(found.thresholds):
            called = score_of(rows) >= threshold
            (tn, fp), (fn, tp) = confusion_matrix(truth_of(rows), called, labels=[False, True])
            assert tally.cells[:, place].tolist() == [tp, fp, tn, fn]


def test_the_figures_are_scikit_learns(rng: np.random.Generator) -> None:
    rows = drawn(500, rng)
    found = grid(rows, drawn(50, rng))
    for place in range(0, len(found.thresholds), 7):
        called = score_of(rows) >= found.thresholds[place]
        if not called.any():
            continue
        expected: dict[FigureKey, float] = {
            "precision": precision_score(truth_of(rows), called),
            "recall": recall_score(truth_of(rows), called),
            "accuracy": accuracy_score(truth_of(rows), called),
            "f1": f1_score(truth_of(rows), called),
            "share": called.mean(),
        }
        for key, value in expected.items():
            assert found.validation.values(key)[place] == pytest.approx(value)
    # From scikit-learn's own ROC curve: every pair on the grid is on it or, between its corners, below it.
    fpr, tpr, _ = roc_curve(truth_of(rows), score_of(rows))
    assert (found.validation.values("recall") <= np.interp(found.validation.values("fpr"), fpr, tpr) + 1e-9).all()


def test_few_rows_give_every_decision_they_can_lead_to(rng: np.random.Generator) -> None:
    validation, test = drawn(40, rng, decimals=2), drawn(30, rng, decimals=2)
    found = grid(validation, test)
    for rows, tally in ((validation, found.validation), (test, found.test)):
        decisions = {int((score_of(rows) >= score).sum()) for score in np.unique(score_of(rows))} | {0}
        assert set((tally.cells[0] + tally.cells[1]).astype(int)) == decisions


@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("costs", [COSTS, Costs(10, 1), Costs(3, 4, hit=-2, rest=1)])
def test_the_cheapest_threshold_of_many_rows_is_the_cheapest_of_all(
    share: float, costs: Costs, rng: np.random.Generator
) -> None:
    rows = drawn(5_000, rng, share=share)
    every = grid(rows, rows, at=np.unique(score_of(rows)))
    thinned = grid(rows, rows)
    assert len(thinned.thresholds) <= MAX_THRESHOLDS
    assert thinned.validation.values("cost", costs).min() <= every.validation.values("cost", costs).min() + 1e-12
    assert np.nanmax(thinned.validation.values("f1")) == pytest.approx(np.nanmax(every.validation.values("f1")))


@pytest.mark.parametrize("bound", [0.9, 0.95, 0.99])
def test_many_rows_keep_the_threshold_for_a_usual_recall(bound: float, rng: np.random.Generator) -> None:
    rows = drawn(5_000, rng)
    every = grid(rows, rows, at=np.unique(score_of(rows)))
    needed = every.validation.values("share")[every.validation.values("recall") >= bound].min()
    found = suggest(grid(rows, rows), Rule("recall", bound))
    assert found.place is not None
    assert grid(rows, rows).validation.values("share")[found.place] == pytest.approx(needed)


def test_a_weight_counts_as_that_many_rows(rng: np.random.Generator) -> None:
    rows = drawn(60, rng)
    weights = rng.integers(0, 4, 60).astype(float)
    repeated = predictions(
        np.repeat(truth_of(rows), weights.astype(int)), np.repeat(score_of(rows), weights.astype(int))
    )
    weighted = predictions(truth_of(rows), score_of(rows), weights)
    at = np.linspace(0.1, 0.9, 9)
    once, thrice = grid(repeated, repeated, at=at), grid(weighted, weighted, at=at)
    assert thrice.validation.cells == pytest.approx(once.validation.cells)
    assert thrice.validation.n_rows == int((weights > 0).sum())
    for key in TITLES:
        assert thrice.validation.values(key, COSTS) == pytest.approx(once.validation.values(key, COSTS), nan_ok=True)
        wide, narrow = thrice.validation.estimate(key, 4, COSTS), once.validation.estimate(key, 4, COSTS)
        assert wide is not None
        assert narrow is not None
        assert wide.high - wide.low > narrow.high - narrow.low  # type: ignore[operator] - repeats pretend to know more
    equal = predictions(truth_of(rows), score_of(rows), np.full(60, 2.5))
    for key in TITLES:
        mine = grid(equal, equal, at=at).validation.estimate(key, 4, COSTS)
        assert mine == pytest.approx(grid(rows, rows, at=at).validation.estimate(key, 4, COSTS))


def test_the_intervals_hold_the_truth_as_often_as_they_say(rng: np.random.Generator) -> None:
    rows = drawn(200_000, rng)
    at = (0.3,)
    truth = grid(rows, rows, at=at).test
    inside = dict.fromkeys(TITLES, 0)
    times = 400
    for _ in range(times):
        taken = rows.take(rng.choice(rows.n_rows, 250, replace=False))
        found = grid(taken, taken, at=at).test
        for key in TITLES:
            estimate, true = found.estimate(key, 0, COSTS), float(truth.values(key, COSTS)[0])
            assert estimate is not None
            assert estimate.low is not None
            assert estimate.high is not None
            inside[key] += estimate.low <= true <= estimate.high
    for key, count in inside.items():
        # Of 400 that hold in 95 of 100, fewer than 367 or more than 391 are seen once in a thousand tries.
        assert 0.917 <= count / times <= 0.978, key


def test_a_cost_no_mistake_was_seen_of_still_has_an_interval() -> None:
    rows = predictions([True] * 10 + [False] * 10, [0.9] * 10 + [0.1] * 10)
    perfect = grid(rows, rows, at=(0.5,)).test.estimate("cost", 0, COSTS)
    assert perfect is not None
    assert perfect.high is not None
    assert (perfect.value, perfect.low) == (0, 0)
    assert 0.1 < perfect.high < 1


@pytest.mark.parametrize("costs", [Costs(1, 50), Costs(1, 1), Costs(2, 3, hit=-4, rest=1)])
def test_the_interval_of_a_cost_holds_the_truth_where_misses_are_rare(costs: Costs, rng: np.random.Generator) -> None:
    shares = np.array([0.12, 0.15, 0.71, 0.02])
    truth, inside, times = float(shares @ costs.by_cell), 0, 400
    for cells in rng.multinomial(250, shares, size=times):
        counted = cells[:, None].astype(float)
        found = Tally(250, int(cells[0] + cells[3]), counted, counted).estimate("cost", 0, costs)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert 0.917 <= inside / times <= 0.985


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
    values = tally.values(rule.figure, rule.costs)
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
    assert figures(found.validation, 0)[undefined] is None


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


def test_what_cannot_have_a_threshold_is_refused(rng: np.random.Generator) -> None:
    rows = drawn(10, rng)
    bare = Predictions(Task.BINARY, rows.ordinals, rows.y_true, rows.y_pred, None, ("no", "yes"))
    numbers = Predictions(Task.REGRESSION, np.arange(2), [1.0, 2.0], [1.0, 2.0], None, ())  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match="without scores"):
        grid(bare, rows)
    with pytest.raises(NotApplicable, match="only a binary one"):
        grid(numbers, numbers)
    with pytest.raises(NotApplicable, match="no validation row"):
        grid(rows.take(np.zeros(10, dtype=bool)), rows)
    weighted = predictions([True, False], [0.5, 0.5], np.array([0.0, 1.0]))
    with pytest.raises(NotApplicable, match="no test row"):
        grid(rows, weighted.take(np.array([0])))
    with pytest.raises(InvalidInput, match="above 0 and is at most 1"):
        grid(rows, rows, at=(0.0,))
    others = Predictions(Task.BINARY, rows.ordinals, rows.y_true, rows.y_pred, rows.scores, ("no", "zes"))
    with pytest.raises(InvalidInput, match="score them by one model"):
        grid(rows, others)


def test_a_truth_the_model_does_not_know_counts_as_not_positive() -> None:
    rows = predictions([True, False], [0.9, 0.8])
    odd = Predictions(Task.BINARY, rows.ordinals, ["maybe", "yes"], rows.y_pred, rows.scores, rows.classes)  # type: ignore[arg-type]
    assert grid(odd, odd, at=(0.5,)).test.cells[:, 0].tolist() == [1, 1, 0, 0]


def test_stored_then_loaded_equals_the_original(rng: np.random.Generator) -> None:
    for weights in (None, rng.random(50)):
        rows = drawn(50, rng)
        weighted = predictions(truth_of(rows), score_of(rows), weights)
        found = grid(weighted, rows)
        again = Grid.from_document(found.to_document())
        assert again.to_document() == found.to_document()
        assert suggest(again, RULES[0]).sentences == suggest(found, RULES[0]).sentences


def test_thresholds_are_numbers_a_person_would_write() -> None:
    rows = predictions([True, False, True], [0.7123456, 0.3123456, 0.3123457])
    assert grid(rows, rows).thresholds.tolist() == [0.16, 0.3123457, 0.5, 0.51, 0.86]


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


def test_costs_are_those_of_the_two_classes() -> None:
    kept = {"labels": ["no", "yes"], "matrix": [[0.0, 1.0], [5.0, -2.0]]}
    assert Costs.of(kept, ("no", "yes")) == Costs(1, 5, hit=-2)
    assert Costs.of({**kept, "labels": ["yes", "no"]}, ("no", "yes")) == Costs(5, 1, rest=-2)
    assert Costs.of(kept, ("0", "1")) is None
    assert Costs.of(kept, ()) is None
    assert Costs.of(None, ("no", "yes")) is None
    for wrong in ({"false_alarm": -1, "miss": 1}, {"false_alarm": 0, "miss": 0}, {"false_alarm": np.inf, "miss": 1}):
        with pytest.raises(InvalidInput):
            Costs(**wrong)


def test_a_choice_carries_its_figures_and_says_them(rng: np.random.Generator) -> None:
    found = grid(drawn(300, rng), drawn(200, rng))
    suggestion = suggest(found, RULES[0])
    assert suggestion.place is not None
    chosen = choice(found, suggestion.place, rule=RULES[0])
    document = chosen.to_document()
    assert document["value"] == suggestion.threshold
    assert document["chosen_on"]["n_rows"] == 300
    assert document["tested"]["cost"] == figures(found.test, suggestion.place, COSTS)["cost"]
    said = threshold_sentence(document)
    assert f"from a score of {suggestion.threshold:.6g} on, chosen for the lowest expected cost" in said
    assert "on 200 test rows" in said
    by_hand = choice(found, found.nearest(0.5)).to_document()
    assert "cost" not in by_hand["tested"]
    assert threshold_sentence(by_hand).startswith("Positive from a score of 0.5 on, chosen by hand; on 200 test rows")
    assert threshold_sentence(None) == ""
    assert choice(found, found.nearest(0.5)).key == "0.5"
