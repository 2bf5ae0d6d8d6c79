"""What each threshold of one run's scores finds, misses and costs, and choosing one for its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.costs import BinaryCosts
from core.datasets.tables import EvaluationSet
from core.errors import InvalidInput, NotApplicable
from core.evaluation import queries as evaluations
from core.evaluation import threshold_grids
from core.evaluation.tables import Evaluation
from core.evaluation.threshold_choices import ThresholdChoice, choice
from core.evaluation.threshold_grids import Grid
from core.evaluation.threshold_rules import Rule, parse_rule, suggest
from core.training import queries
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.training.analysing import Material

NO_VALIDATION = (
    "This run kept no predictions of its validation rows, so there is nothing to choose a threshold on. Train it again."
)


def grid(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - it has no options
    """The outcomes at every threshold that matters, on validation and on the rows of the evaluation set.

    Parameters
    ----------
    options : mapping
        None are read.

    Returns
    -------
    dict
        ``negative`` and ``positive``, the two classes; ``thresholds``, at most 200, rising, in (0, 1]; ``validation``
        and ``test``, each with ``n_rows``, ``n_positive`` and, one number a threshold, ``tp``, ``fp``, ``tn`` and
        ``fn``: counts, or summed weights, and then ``squares`` with the same four keys holds summed squared weights.
        `Grid.from_document` reads it.

    Raises
    ------
    NotApplicable
        The run kept no validation predictions, or its model gives no scores.
    """
    if material.validation is None:
        raise NotApplicable(NO_VALIDATION)
    return threshold_grids.grid(material.validation, material.predictions).to_document()


def choose(
    workspace: Workspace, *, run_id: int, threshold: float | None = None, rule: str | None = None
) -> ThresholdChoice:
    """Set a run's threshold by hand or find it by a rule, from its stored predictions.

    Parameters
    ----------
    threshold : float, optional
        In (0, 1].
    rule : str, optional
        As `threshold_rules.parse_rule` reads it; the costs are those of the dataset. One of the two must be given.

    Returns
    -------
    ThresholdChoice
        With its figures on the validation rows and on the fixed evaluation set.

    Raises
    ------
    NotFound
    InvalidInput
        Neither or both were given, or what was given cannot be read.
    NotApplicable
        The run has no such predictions, or no threshold keeps the rule; the message says which.
    """
    if (threshold is None) == (rule is None):
        raise InvalidInput("Give a threshold, or a rule to find it by.")
    with workspace.read() as session:
        run = queries.run(session, run_id)
        version = datasets.version(session, run.dataset_version_id)
        costs = BinaryCosts.of(
            datasets.dataset(session, version.dataset_id).costs, (run.signature or {}).get("classes") or ()
        )
        scored = _fixed(session, run_id)
    store = workspace.artifacts
    if run.validation_sha256 is None:
        raise NotApplicable(NO_VALIDATION)
    validation = evaluations.predictions_file(store, run.validation_sha256)
    test = evaluations.load_predictions(store, scored)
    wanted = None if rule is None else parse_rule(rule, costs)
    found = threshold_grids.grid(validation, test, at=None if threshold is None else (threshold,))
    return choice(
        found,
        0 if wanted is None else _place(found, wanted),
        validation_sha256=run.validation_sha256,
        predictions_sha256=scored.predictions_sha256,
        rule=wanted,
        costs=costs,
    )


def _place(found: Grid, rule: Rule) -> int:
    suggestion = suggest(found, rule)
    if suggestion.place is None:
        raise NotApplicable(" ".join(suggestion.sentences))
    return suggestion.place


def _fixed(session: Session, run_id: int) -> Evaluation:
    found = session.exec(
        select(Evaluation)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(col(Evaluation.run_id) == run_id, col(EvaluationSet.kind) == splits.FIXED)
        .order_by(col(Evaluation.id))
    ).first()
    if found is None:
        raise NotApplicable(
            f"Run {run_id} was not scored on a fixed evaluation set, so a threshold could not be tested. "
            "Score it first."
        )
    return found
