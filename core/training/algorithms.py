"""The catalogue of algorithms: what can be trained, on which tasks, with which parameters.

Pure. scikit-learn is imported when an estimator is built, so that reading the catalogue (forms, ``--help``) is free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidInput, NotApplicable, NotFound
from core.evaluation.tables import Task

CLASSIFICATION = (Task.BINARY, Task.MULTICLASS)
EVERY_TASK = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)

Encoding = Literal["linear", "tree"]


@dataclass(frozen=True)
class Parameter:
    """One thing to choose about an algorithm.

    Parameters
    ----------
    key, title : str
        Its name in records and on the command line; its name on a form.
    kind : {"int", "float", "choice", "bool"}
    default : int, float, str or bool
    low, high : float or None
        Inclusive bounds of a number.
    choices : tuple of str
        The allowed words of a choice.
    help : str
        One sentence for the form.
    zero : str
        What 0 stands for, where it is no number: "no limit".
    """

    key: str
    title: str
    kind: Literal["int", "float", "choice", "bool"]
    default: int | float | str | bool
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    zero: str = ""

    def said(self, value: object) -> object:
        """A value as a record says it: itself, or what 0 stands for."""
        return self.zero if self.zero and value == 0 else value


@dataclass(frozen=True)
class Algorithm:
    """One way to fit a model.

    Parameters
    ----------
    key, title : str
    tasks : tuple of Task
        What it can predict.
    build : callable
        ``build(task, parameters, seed)`` gives an unfitted scikit-learn estimator whose ``fit`` takes a
        ``sample_weight``.
    encoding : {"linear", "tree"}
        How columns are prepared for it, see `preprocessing`.
    parameters : tuple of Parameter
    sentence : str
        What it is good for.
    """

    key: str
    title: str
    tasks: tuple[Task, ...]
    build: Callable[[Task, Mapping[str, Any], int], Any]
    encoding: Encoding
    parameters: tuple[Parameter, ...]
    sentence: str


def _dummy(task: Task, parameters: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001 - the catalogue's signature
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyRegressor(strategy="mean") if task == Task.REGRESSION else DummyClassifier(strategy="prior")


def _logistic_regression(task: Task, parameters: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=parameters["C"],
        class_weight=_or_none(parameters["class_weight"]),
        max_iter=parameters["max_iter"],
        random_state=seed,
    )


def _ridge(task: Task, parameters: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001
    from sklearn.linear_model import Ridge

    return Ridge(alpha=parameters["alpha"], random_state=seed)


def _random_forest(task: Task, parameters: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    # One thread: with several, the trees' answers are summed in the order they arrive, and bits differ.
    settings = {
        "n_estimators": parameters["n_estimators"],
        "max_depth": parameters["max_depth"] or None,
        "min_samples_leaf": parameters["min_samples_leaf"],
        "max_features": 1.0 if parameters["max_features"] == "all" else parameters["max_features"],
        "random_state": seed,
        "n_jobs": 1,
    }
    if task == Task.REGRESSION:
        return RandomForestRegressor(**settings)
    return RandomForestClassifier(class_weight=_or_none(parameters["class_weight"]), **settings)


def _hist_gradient_boosting(task: Task, parameters: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    settings = {
        "learning_rate": parameters["learning_rate"],
        "max_iter": parameters["max_iter"],
        "max_leaf_nodes": parameters["max_leaf_nodes"],
        "min_samples_leaf": parameters["min_samples_leaf"],
        "l2_regularization": parameters["l2_regularization"],
        "early_stopping": parameters["early_stopping"],
        "random_state": seed,
    }
    if task == Task.REGRESSION:
        return HistGradientBoostingRegressor(**settings)
    return HistGradientBoostingClassifier(class_weight=_or_none(parameters["class_weight"]), **settings)


def _or_none(word: str) -> str | None:
    return None if word == "none" else word


_CLASS_WEIGHT = Parameter(
    "class_weight",
    "Class weight",
    "choice",
    "none",
    choices=("none", "balanced"),
    help="Balanced gives rare classes as much weight as frequent ones; scores then stop being shares. "
    "Ignored when a number is predicted.",
)

ALGORITHMS: dict[str, Algorithm] = {
    "dummy": Algorithm(
        key="dummy",
        title="Dummy",
        tasks=EVERY_TASK,
        build=_dummy,
        encoding="tree",
        parameters=(),
        sentence="Always answers the training rows' most frequent class, or their mean: what every model must beat.",
    ),
    "logistic_regression": Algorithm(
        key="logistic_regression",
        title="Logistic regression",
        tasks=CLASSIFICATION,
        build=_logistic_regression,
        encoding="linear",
        parameters=(
            Parameter(
                "C", "Inverse regularisation", "float", 1.0, 1e-4, 1e4, help="Smaller keeps coefficients closer to 0."
            ),
            _CLASS_WEIGHT,
            Parameter("max_iter", "Most iterations", "int", 1000, 1, 10_000, help="When to stop if not converged."),
        ),
        sentence="A weighted sum of the features, turned into a probability: quick, stable and easy to explain.",
    ),
    "ridge": Algorithm(
        key="ridge",
        title="Ridge regression",
        tasks=(Task.REGRESSION,),
        build=_ridge,
        encoding="linear",
        parameters=(
            Parameter("alpha", "Regularisation", "float", 1.0, 0.0, 1e6, help="Larger keeps coefficients closer to 0."),
        ),
        sentence="A weighted sum of the features that predicts a number: quick, stable and easy to explain.",
    ),
    "random_forest": Algorithm(
        key="random_forest",
        title="Random forest",
        tasks=EVERY_TASK,
        build=_random_forest,
        encoding="tree",
        parameters=(
            Parameter("n_estimators", "Trees", "int", 100, 1, 2000, help="More is steadier, slower and larger."),
            Parameter("max_depth", "Deepest tree", "int", 0, 0, 100, help="0 means no limit.", zero="no limit"),
            Parameter("min_samples_leaf", "Rows in a leaf, at least", "int", 5, 1, 10_000, help="Larger smooths more."),
            Parameter(
                "max_features",
                "Features tried at each split",
                "choice",
                "sqrt",
                choices=("sqrt", "log2", "all"),
                help="Fewer makes the trees differ more.",
            ),
            _CLASS_WEIGHT,
        ),
        sentence="The average of many trees, each grown on a resample of the rows: strong without tuning.",
    ),
    "hist_gradient_boosting": Algorithm(
        key="hist_gradient_boosting",
        title="Gradient boosting (histogram)",
        tasks=EVERY_TASK,
        build=_hist_gradient_boosting,
        encoding="tree",
        parameters=(
            Parameter("learning_rate", "Learning rate", "float", 0.1, 1e-3, 1.0, help="Smaller needs more iterations."),
            Parameter("max_iter", "Iterations", "int", 100, 1, 5000, help="Trees per class."),
            Parameter("max_leaf_nodes", "Most leaves in a tree", "int", 31, 2, 1024, help="Larger fits finer detail."),
            Parameter(
                "min_samples_leaf", "Rows in a leaf, at least", "int", 20, 1, 10_000, help="Larger smooths more."
            ),
            Parameter(
                "l2_regularization", "Regularisation", "float", 0.0, 0.0, 1e4, help="Larger keeps leaves closer to 0."
            ),
            Parameter(
                "early_stopping",
                "Stop early",
                "bool",
                False,
                help="Holds out a tenth of the training rows and stops when they stop improving.",
            ),
            _CLASS_WEIGHT,
        ),
        sentence="Trees that each correct those before them: usually the most accurate on tables.",
    ),
}


def algorithm(key: str) -> Algorithm:
    """Look an algorithm up.

    Raises
    ------
    NotFound
        Names the algorithms there are.
    """
    if key not in ALGORITHMS:
        raise NotFound("algorithm", repr(key), f"Choose one of: {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[key]


def require_task(chosen: Algorithm, task: Task) -> None:
    """Refuse an algorithm that cannot predict this kind of target.

    Raises
    ------
    NotApplicable
        Names the algorithms that can.
    """
    if task not in chosen.tasks:
        able = ", ".join(entry.key for entry in ALGORITHMS.values() if task in entry.tasks)
        raise NotApplicable(f"{chosen.title} cannot be trained for a {task.value} task. Choose one of: {able}.")


def parse_parameters(chosen: Algorithm, given: Mapping[str, object]) -> dict[str, Any]:
    """Check given parameters, as typed on a command line or sent by a form, and fill in the defaults.

    Parameters
    ----------
    chosen : Algorithm
    given : mapping of str to object
        Values may be text: "0.1", "true".

    Returns
    -------
    dict
        Every parameter of the algorithm, in the catalogue's order, as int, float, str or bool.

    Raises
    ------
    InvalidInput
        An unknown parameter, a value of the wrong kind or outside its bounds.
    """
    known = {parameter.key: parameter for parameter in chosen.parameters}
    for key in given:
        if key not in known:
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise InvalidInput(f"{chosen.title} has no parameter {key!r}. {has}")
    return {key: _parse(chosen, entry, given.get(key, entry.default)) for key, entry in known.items()}


def _parse(chosen: Algorithm, parameter: Parameter, value: object) -> int | float | str | bool:
    def refuse(expected: str) -> InvalidInput:
        return InvalidInput(f"{chosen.title}: {parameter.key} was {value!r}; expected {expected}.")

    text = str(value).strip()
    if parameter.kind == "choice":
        if text not in parameter.choices:
            raise refuse(f"one of {', '.join(parameter.choices)}")
        return text
    if parameter.kind == "bool":
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise refuse("true or false")
        return words[text.lower()]
    low, high = parameter.low, parameter.high
    noun = "a whole number" if parameter.kind == "int" else "a number"
    expected = f"{noun} between {low:g} and {high:g}" if low is not None and high is not None else noun
    if isinstance(value, bool):
        raise refuse(expected)
    try:
        number = float(text)
    except ValueError as error:
        raise refuse(expected) from error
    if not math.isfinite(number) or (parameter.kind == "int" and number != int(number)):
        raise refuse(expected)
    if (low is not None and number < low) or (high is not None and number > high):
        raise refuse(expected)
    return int(number) if parameter.kind == "int" else number
