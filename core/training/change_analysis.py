"""Changed decisions between two runs: how many, for whom, and the clearest cases with what each model made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import InvalidInput, LifecycleError, NotApplicable
from core.evaluation import changes
from core.evaluation.comparing import align
from core.evaluation.slices import groups, slice_columns
from core.evaluation.tables import Task

if TYPE_CHECKING:
    from core.evaluation.predictions import Predictions
    from core.training.analysing import Material

MOST_EXAMPLES = 10
MOST_SLICES = 100
MOST_COLUMNS = 12
LONGEST_VALUE = 120
# Enough to tell what weighs most in a row; a page of its own explains one row with more.
BACKGROUND_ROWS = 100
ORDERS = 100


def changed(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that a run and a baseline decide differently, by slice and with examples.

    Parameters
    ----------
    options : mapping
        ``"baseline_run_id"``, a run scored on the same evaluation set. ``"columns"``, optional: names of the columns to
        slice by, at most 12; without it the sensitive columns and then the categories of fewest values.
        ``"thresholds"``, optional, for a binary task: ``{"before", "after"}``, the scores from which on the baseline
        and the run call a row positive; None, or left out, for the class of the highest score. With them the run may be
        held against itself.

    Returns
    -------
    dict
        ``{"baseline_run_id", "n_rows", "n_left_out", "n_changed", "n_corrected", "n_broken", "columns", "by_slice",
        "score_of", "corrected", "broken", "contributions_missing"}``:

        - ``n_left_out``: rows that only one of the two was scored on; ``n_changed`` counts, in a multiclass task, rows
          that went from one wrong class to another too;
        - ``by_slice``: ``{"slice", "n", "changed", "corrected", "broken"}``, at most 100, the slice with the most
          broken beyond corrected first;
        - ``corrected``, ``broken``: at most 10 examples each, the largest change of score first, ``{"ordinal",
          "values", "true", "before", "after", "score_before", "score_after", "contributions"}``; ``values`` is the
          row, column to value; the scores are those of the class ``score_of``, or where that is None of the row's true
          class, and None for a model that gives none;
        - ``contributions``: ``{"before", "after"}``, each ``{"of", "base", "prediction", "entries": [{"feature",
          "contribution"}]}`` with the largest first; ``base`` and contributions sum to ``prediction``. None where one
          of the models cannot be explained on these rows, and then ``contributions_missing`` says why.

    Raises
    ------
    InvalidInput
        No baseline, the run itself, an unknown option, too many columns, or another task.
    NotApplicable
        The baseline was not scored on this evaluation set, or a threshold where there are no two classes with scores.
    SchemaMismatch
        A column is not there.
    """
    was_from, is_from = _thresholds(options.get("thresholds"))
    baseline = _baseline(material, options)
    before, after, n_left_out = align(_decided(baseline, was_from), _decided(material, is_from))
    counted = changes.changed_decisions(before, after)
    if counted is None:
        raise NotApplicable("A regression decides nothing, so no decision can change.")
    columns = _columns(material, options.get("columns"))
    # Both are positions into the rows of the evaluation set that this run was scored on.
    places = np.flatnonzero(np.isin(material.predictions.ordinals, after.ordinals))
    places = places[np.argsort(material.predictions.ordinals[places], kind="stable")]
    table = material.rows(columns) if columns else None
    values = {name: groups(table[name].take(pa.array(places)).to_pylist()) for name in columns} if table else {}
    score_of, was, became = _scores(before, after)
    corrected = _clearest((before.y_pred != after.y_pred) & (after.y_pred == after.y_true), was, became)
    broken = _clearest((before.y_pred != after.y_pred) & (before.y_pred == before.y_true), was, became)
    chosen = np.concatenate([corrected, broken])
    examples = _examples(material, places[chosen], chosen, before, after, was, became)
    reasons, missing = _contributions(material, baseline, places[chosen])
    for example, reason in zip(examples, reasons, strict=True):
        example["contributions"] = reason
    return {
        "baseline_run_id": baseline.run.id,
        **counted,
        "n_left_out": n_left_out,
        "columns": columns,
        "by_slice": changes.changed_by_slice(before, after, values)[:MOST_SLICES],
        "score_of": score_of,
        "corrected": examples[: len(corrected)],
        "broken": examples[len(corrected) :],
        "contributions_missing": missing,
    }


def _baseline(material: Material, options: Mapping[str, Any]) -> Material:
    unknown = sorted(set(options) - {"baseline_run_id", "columns", "thresholds"})
    if unknown:
        words = "give baseline_run_id, columns and thresholds"
        raise InvalidInput(f"There is no option {', '.join(unknown)} here; {words}.")
    run_id = options.get("baseline_run_id")
    if isinstance(run_id, bool) or not isinstance(run_id, int):
        raise InvalidInput(f"baseline_run_id is {run_id!r}; give the number of the run to hold this one against.")
    if run_id == material.run.id and not options.get("thresholds"):
        raise InvalidInput("A run decides as itself; give another run to hold it against.")
    return material.other(run_id)


def _thresholds(given: object) -> tuple[float | None, float | None]:
    """The baseline's and the run's own threshold, None where the highest score decides."""
    if given is None:
        return None, None
    if not isinstance(given, Mapping) or not set(given) <= {"before", "after"}:
        raise InvalidInput(f"thresholds is {given!r}; give before, after or both, each a number.")
    wrong = [one for one in given.values() if isinstance(one, bool) or not isinstance(one, int | float | None)]
    if wrong:
        raise InvalidInput(f"A threshold is {wrong[0]!r}; give a number, usually between 0 and 1.")
    return given.get("before"), given.get("after")


def _decided(one: Material, threshold: float | None) -> Predictions:
    return one.predictions if threshold is None else one.predictions.decided_at(threshold)


def _columns(material: Material, given: object) -> list[str]:
    if given is None:
        return slice_columns(
            material.set_version.columns,
            material.set_version.profile,
            sensitive=material.dataset.sensitive,
            target=material.run.target,
        )
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"columns is {given!r}; give a list of column names.")
    names = list(dict.fromkeys(given))
    if len(names) > MOST_COLUMNS:
        raise InvalidInput(f"{len(names)} columns were given; at most {MOST_COLUMNS} can be looked at together.")
    return names


def _scores(
    before: Predictions, after: Predictions
) -> tuple[str | None, NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """What the scores are of, and each row's before and after."""
    if after.task is Task.BINARY and before.classes == after.classes:
        was, became = (None if one.scores is None else one.scores[:, 1] for one in (before, after))
        return after.positive_class, was, became
    return None, _of_the_truth(before), _of_the_truth(after)


def _of_the_truth(predictions: Predictions) -> NDArray[np.float64] | None:
    if predictions.scores is None:
        return None
    column = {label: position for position, label in enumerate(predictions.classes)}
    place = np.array([column.get(label, -1) for label in predictions.y_true], dtype=np.int64)
    return np.where(place >= 0, predictions.scores[np.arange(len(place)), place], 0.0)


def _clearest(
    rows: NDArray[np.bool_], was: NDArray[np.float64] | None, became: NDArray[np.float64] | None
) -> NDArray[np.intp]:
    """Positions of the rows whose score changed most; the first ones where there are no scores to go by."""
    found = np.flatnonzero(rows)
    if was is not None and became is not None:
        found = found[np.argsort(-np.abs(became - was)[found], kind="stable")]
    return found[:MOST_EXAMPLES]


def _examples(
    material: Material,
    places: NDArray[np.intp],
    chosen: NDArray[np.intp],
    before: Predictions,
    after: Predictions,
    was: NDArray[np.float64] | None,
    became: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    rows = material.rows().take(pa.array(places)).to_pylist() if len(places) else []
    return [
        {
            "ordinal": int(after.ordinals[position]),
            "values": {name: _plain(value) for name, value in row.items()},
            "true": str(after.y_true[position]),
            "before": str(before.y_pred[position]),
            "after": str(after.y_pred[position]),
            "score_before": None if was is None else float(was[position]),
            "score_after": None if became is None else float(became[position]),
        }
        for position, row in zip(chosen, rows, strict=True)
    ]


def _contributions(
    material: Material, baseline: Material, places: NDArray[np.intp]
) -> tuple[list[dict[str, Any] | None], str | None]:
    """What each feature adds in each row, for both models; a reason where one of them cannot be explained."""
    if not len(places):
        return [], None
    try:
        sides = [_explained(one, material, places) for one in (baseline, material)]
    except LifecycleError as refusal:
        return [None] * len(places), str(refusal)
    return [{"before": before, "after": after} for before, after in zip(*sides, strict=True)], None


def _explained(one: Material, rows_of: Material, places: NDArray[np.intp]) -> list[dict[str, Any]]:
    from core.training.explaining import contributions
    from core.training.frames import frame_from_table

    features = one.model.signature["features"]
    rows = rows_of.rows([entry["name"] for entry in features]).take(pa.array(places))
    seed = one.run.seed
    background = one.training_rows(n_rows=BACKGROUND_ROWS, rng=np.random.default_rng(seed))
    found = contributions(
        one.model,
        frame_from_table(rows, features),
        frame_from_table(background, features),
        rng=np.random.default_rng(seed),
        n_permutations=ORDERS,
        n_background=BACKGROUND_ROWS,
    )
    return [
        {
            "of": found.of[row],
            "base": float(found.base[row]),
            "prediction": float(found.predicted[row]),
            "entries": [
                {"feature": found.features[j], "contribution": float(found.values[row, j])}
                for j in np.argsort(-np.abs(found.values[row]), kind="stable")
            ],
        }
        for row in range(len(places))
    ]


def _plain(value: Any) -> Any:
    """A value as JSON knows it; long texts are cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
