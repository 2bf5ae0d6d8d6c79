from typing import Any

import pytest

from core.errors import InvalidInput, NotApplicable, NotFound
from core.evaluation.tables import Task
from core.training.algorithms import ALGORITHMS, Algorithm, algorithm, parse_parameters, require_task

EVERY = pytest.mark.parametrize("chosen", ALGORITHMS.values(), ids=lambda entry: entry.key)


@EVERY
def test_an_entry_is_complete_and_its_defaults_are_legal(chosen: Algorithm) -> None:
    assert ALGORITHMS[chosen.key] is chosen
    assert chosen.sentence.endswith(".")
    assert parse_parameters(chosen, {}) == {parameter.key: parameter.default for parameter in chosen.parameters}
    for parameter in chosen.parameters:
        assert parameter.help
        assert (parameter.kind == "choice") == bool(parameter.choices)
        if parameter.kind in ("int", "float"):
            assert parameter.low is not None
            assert parameter.high is not None


def test_a_zero_that_stands_for_something_is_said_in_words() -> None:
    deepest, trees = (
        next(one for one in ALGORITHMS["random_forest"].parameters if one.key == key)
        for key in ("max_depth", "n_estimators")
    )
    assert (deepest.said(0), deepest.said(7), deepest.said("–")) == ("no limit", 7, "–")
    assert trees.said(0) == 0


@EVERY
def test_values_typed_on_a_command_line_mean_the_same_as_a_forms(chosen: Algorithm) -> None:
    typed = {parameter.key: str(parameter.default) for parameter in chosen.parameters}
    parsed = parse_parameters(chosen, typed)
    assert parsed == parse_parameters(chosen, {})
    assert [type(value) for value in parsed.values()] == [type(p.default) for p in chosen.parameters]


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("logistic_regression", {"C": "lots"}, "C was 'lots'; expected a number between 0.0001 and 10000"),
        ("logistic_regression", {"C": 0}, "expected a number between"),
        ("logistic_regression", {"C": float("nan")}, "expected a number between"),
        ("logistic_regression", {"c": 1}, "has no parameter 'c'. It has: C, class_weight, max_iter"),
        ("logistic_regression", {"class_weight": "heavy"}, "expected one of none, balanced"),
        ("random_forest", {"n_estimators": 10.5}, "expected a whole number between 1 and 2000"),
        ("random_forest", {"n_estimators": True}, "expected a whole number"),
        ("random_forest", {"n_estimators": 10**400}, "expected a whole number"),
        ("hist_gradient_boosting", {"early_stopping": "perhaps"}, "expected true or false"),
        ("dummy", {"x": 1}, "has no parameter 'x'. It has none"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_was_expected(key: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace(".", r"\.")):
        parse_parameters(algorithm(key), given)


def test_an_unknown_algorithm_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="random_forest"):
        algorithm("xgboost")


def test_an_algorithm_that_cannot_do_the_task_is_answered_with_those_that_can() -> None:
    with pytest.raises(NotApplicable, match="ridge"):
        require_task(algorithm("logistic_regression"), Task.REGRESSION)
    require_task(algorithm("ridge"), Task.REGRESSION)
