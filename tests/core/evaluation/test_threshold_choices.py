"""A threshold as a version keeps it: with its figures, the files they were counted on, and a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput
from core.evaluation.threshold_choices import ThresholdChoice, choice, threshold_sentence
from core.evaluation.threshold_grids import grid
from core.evaluation.threshold_rules import Rule, suggest
from tests.core.evaluation.binary_rows import drawn

COSTS = BinaryCosts(false_alarm=1, miss=5)
FILES = {"validation_sha256": "a" * 64, "predictions_sha256": "b" * 64}


def test_a_choice_carries_its_figures_its_files_and_says_them(rng: np.random.Generator) -> None:
    rule = Rule("cost", costs=COSTS)
    found = grid(drawn(300, rng), drawn(200, rng))
    suggestion = suggest(found, rule)
    assert suggestion.place is not None
    document = choice(found, suggestion.place, rule=rule, **FILES).to_document()
    assert document["value"] == suggestion.threshold
    assert document["chosen_on"]["n_rows"] == 300
    assert document["tested"] == found.test.figures(suggestion.place, COSTS)
    assert (document["validation_sha256"], document["predictions_sha256"]) == tuple(FILES.values())
    said = threshold_sentence(document)
    assert f"from a score of {suggestion.threshold:.6g} on, chosen for the lowest expected cost" in said
    assert "on 200 test rows" in said


def test_a_threshold_set_by_hand_says_so(rng: np.random.Generator) -> None:
    found = grid(drawn(300, rng), drawn(200, rng))
    chosen = choice(found, found.nearest(0.5), **FILES)
    assert chosen.key == "0.5"
    assert "cost" not in chosen.to_document()["tested"]
    said = threshold_sentence(chosen.to_document())
    assert said.startswith("Positive from a score of 0.5 on, chosen by hand; on 200 test rows: recall 0.")
    assert threshold_sentence(None) == ""


@pytest.mark.parametrize("value", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_is_a_score(value: float) -> None:
    with pytest.raises(InvalidInput, match="above 0 and at most 1"):
        ThresholdChoice(value, "by hand", chosen_on={}, tested={}, **FILES)
