"""Changed decisions, all together and by slice."""

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.changes import changed_by_slice, changed_decisions
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task


def labels(predicted: str, ordinals: range = range(6)) -> Predictions:
    truth = np.array(list("aabbcc"), dtype=object)
    return Predictions(
        Task.MULTICLASS, np.array(ordinals), truth, np.array(list(predicted), dtype=object), None, ("a", "b", "c")
    )


def test_a_change_is_corrected_broken_or_neither() -> None:
    # Row 1 corrected, row 2 broken, row 5 from one wrong class to another.
    assert changed_decisions(labels("abbbca"), labels("aaabcb")) == {
        "n_changed": 3,
        "n_corrected": 1,
        "n_broken": 1,
        "n_rows": 6,
    }


def test_slices_are_listed_worst_first() -> None:
    found = changed_by_slice(labels("abbbca"), labels("aaabcb"), {"sex": np.array(list("ffmmmm"), dtype=object)})

    assert found == [
        {"slice": "sex = m", "n": 4, "changed": 2, "corrected": 0, "broken": 1},
        {"slice": "sex = f", "n": 2, "changed": 1, "corrected": 1, "broken": 0},
    ]


def test_slices_add_up_to_all(rng: np.random.Generator) -> None:
    truth, before, after = (rng.choice(np.array(["no", "yes"], dtype=object), size=500) for _ in range(3))
    first, second = (
        Predictions(Task.BINARY, np.arange(500), truth, one, None, ("no", "yes")) for one in (before, after)
    )
    whole = changed_decisions(first, second)
    assert whole is not None

    found = changed_by_slice(first, second, {"region": rng.choice(np.array(["n", "s", "w"], dtype=object), size=500)})

    parts = {key: sum(one[key] for one in found) for key in ("n", "changed", "corrected", "broken")}
    assert list(parts.values()) == [whole["n_rows"], whole["n_changed"], whole["n_corrected"], whole["n_broken"]]


def test_rows_that_do_not_match_are_refused() -> None:
    with pytest.raises(InvalidInput, match="align them first"):
        changed_by_slice(labels("aabbcc"), labels("aabbcc", range(1, 7)), {})
    with pytest.raises(InvalidInput, match="2 values for 6 rows"):
        changed_by_slice(labels("aabbcc"), labels("aabbcc"), {"sex": np.array(["f", "m"])})


def test_a_regression_decides_nothing() -> None:
    made = Predictions(Task.REGRESSION, np.arange(2), np.ones(2), np.ones(2), None, ())

    assert changed_decisions(made, made) is None
    assert changed_by_slice(made, made, {"sex": np.array(["f", "m"])}) == []
