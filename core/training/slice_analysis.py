"""The analyses of slices: a metric within parts of the rows, and the weak parts that a search finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core.datasets.tables import ColumnKind
from core.errors import InsufficientData, InvalidInput
from core.evaluation import weak_slices
from core.evaluation.metrics import metric, primary_metric
from core.evaluation.slices import (
    MIN_ROWS,
    MOST_CROSSED,
    Grouped,
    Slice,
    group_column,
    measure_slices,
    tells,
    wrong,
)
from core.evaluation.tables import Task
from core.evaluation.weak_slices import LOSSES, WeakSlice, find_weak_slices, row_loss
from core.training.analysing import Material

MOST_SHOWN = 8
MOST_SEARCHED = 30


def slices(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a metric in slices.

    Parameters
    ----------
    options : mapping
        ``columns``, up to three names: every combination of their groups is a slice. Without them the sensitive columns
        are sliced by one at a time, then those whose groups differ most in how often the model is wrong, eight in all.
        ``metric``, a key of the catalogue; the task's primary one unless given.

    Returns
    -------
    dict
        ``metric``; ``columns``; ``asked``, whether they were asked for; ``n_rows``; ``overall`` with ``value``, ``low``
        and ``high``; ``min_rows``, below which nothing is compared; ``n_compared``, what the correction allows for;
        ``n_left_out``, slices not measured because there were too many; ``slices``, each with ``conditions`` (pairs of
        column and value), ``words``, ``n_rows``, ``value``, ``low``, ``high``, ``rest``, ``difference``,
        ``difference_low``, ``difference_high``, ``pvalue``, ``corrected``, ``reading`` ("worse", "better", "alike",
        "too_small") and ``reason``. Figures that are not there are null.

    Raises
    ------
    InvalidInput, NotApplicable, SchemaMismatch
    """
    _know(options, {"columns", "metric"})
    entry = metric(str(options.get("metric") or primary_metric(material.task)))
    wanted = _names(options.get("columns"), most=MOST_CROSSED)
    if wanted:
        chosen, n_looked_at = _grouped(material, wanted), 0
        crossings: list[list[Grouped]] = [chosen]
    else:
        chosen, n_looked_at = _telling(material)
        crossings = [[column] for column in chosen]
    if not chosen:
        raise InsufficientData(
            "No column of these rows has groups to slice by; name up to three columns with the option columns."
        )
    report = measure_slices(
        material.predictions, crossings, entry, costs=material.dataset.costs, n_looked_at=n_looked_at
    )
    return {
        "metric": entry.key,
        "columns": [column.name for column in chosen],
        "asked": bool(wanted),
        "n_rows": report.n_rows,
        "overall": {"value": report.overall.value, "low": report.overall.low, "high": report.overall.high},
        "min_rows": MIN_ROWS,
        "n_compared": report.n_compared,
        "n_left_out": report.n_left_out,
        "slices": [_entry(one) for one in report.slices],
    }


def weak(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """Search half of the rows for slices on which the model is worse, and confirm the worst on the other half.

    Rows of a weight above 0 count alike, whatever it is: the exact test that confirms a slice counts rows.

    Parameters
    ----------
    options : mapping
        ``columns``, those to search; every column but the target and free text unless given, at most 30. ``loss``,
        "error" (the default for classes), "log_loss", or "absolute_error" for numbers.

    Returns
    -------
    dict
        ``loss`` and ``loss_title``; ``columns`` searched; ``weighted``, whether rows have weights, by which nothing is
        counted here; ``n_rows``, those that count; ``n_search``, ``n_confirm``; ``n_searched``, how
        many conditions were looked at; ``min_rows``; ``n_confirmed``; ``slices`` tried on the other half, confirmed
        ones first, each with the fields of `weak_slices.WeakSlice`, ``words`` and ``n_rows``. Figures that are not
        there are null.

    Raises
    ------
    InvalidInput, NotApplicable, SchemaMismatch
    InsufficientData
        Too few rows to halve.
    """
    _know(options, {"columns", "loss"})
    plain = "absolute_error" if material.task is Task.REGRESSION else "error"
    loss: weak_slices.Loss = options.get("loss") or plain  # type: ignore[assignment] # row_loss checks it
    losses = row_loss(material.predictions, loss)
    wanted = _names(options.get("columns"), most=MOST_SEARCHED) or _candidates(material)[:MOST_SEARCHED]
    weight = material.predictions.sample_weight
    counted = np.ones(len(losses), dtype=bool) if weight is None else weight > 0
    losses = losses[counted]
    columns = [replace(column, codes=column.codes[counted]) for column in _grouped(material, wanted)]
    columns = [column for column in columns if len(np.unique(column.codes)) > 1]
    # One seed for all, so that every run on these rows is searched and confirmed on the same halves.
    found = find_weak_slices(losses, columns, loss=loss, rng=np.random.default_rng(0))
    return {
        "loss": loss,
        "loss_title": LOSSES[loss],
        "columns": [column.name for column in columns],
        "weighted": weight is not None,
        "n_rows": len(losses),
        "n_search": found.n_search,
        "n_confirm": found.n_confirm,
        "n_searched": found.n_searched,
        "min_rows": found.min_rows,
        "n_confirmed": found.n_confirmed,
        "slices": [_weak_entry(one) for one in found.slices],
    }


def _telling(material: Material) -> tuple[list[Grouped], int]:
    """The columns to show unasked, and how many comparisons there were to choose from."""
    sensitive = [name for name in material.dataset.sensitive if name in material.kinds and name != material.run.target]
    # Sliced by though most of its values are rare, because somebody said that it matters.
    held = {column.name: column for column in _grouped(material, _candidates(material))}
    usable = [column for column in held.values() if column.name in sensitive or _has_groups(column)]
    loss = wrong(material.predictions)
    ranked = sorted(usable, key=lambda column: (column.name not in sensitive, -tells(loss, column)))
    n_looked_at = 0
    for column in usable:
        large = int((np.bincount(column.codes) >= MIN_ROWS).sum())
        n_looked_at += 1 if len(column.labels) == 2 else large
    return [column for column in ranked[: max(MOST_SHOWN, len(sensitive))] if len(column.labels) > 1], n_looked_at


def _has_groups(column: Grouped) -> bool:
    """Whether at least two groups of a column are large enough, and most rows lie in a group that says something."""
    sizes = np.bincount(column.codes, minlength=len(column.labels))
    rare = 0 if column.other is None else int(sizes[column.other])
    return int((sizes >= MIN_ROWS).sum()) >= 2 and rare <= sizes.sum() / 2


def _candidates(material: Material) -> list[str]:
    """Every column that can be sliced by, sensitive ones first: not the target, and no free text."""
    names = [name for name, kind in material.kinds.items() if name != material.run.target and kind != ColumnKind.TEXT]
    return sorted(names, key=lambda name: name not in material.dataset.sensitive)


def _grouped(material: Material, names: Sequence[str]) -> list[Grouped]:
    table = material.rows(names)
    return [group_column(name, table[name]) for name in names]


def _names(given: object, *, most: int) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"columns is {given!r}; give a list of column names.")
    names = list(dict.fromkeys(given))
    if len(names) > most:
        raise InvalidInput(f"{len(names)} columns were given; at most {most} can be taken together.")
    return names


def _know(options: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidInput(f"There is no option {', '.join(unknown)} here; give {' or '.join(sorted(known))}.")


def _entry(one: Slice) -> dict[str, Any]:
    return {**asdict(one), "conditions": [list(pair) for pair in one.conditions], "words": one.words}


def _weak_entry(one: WeakSlice) -> dict[str, Any]:
    plain = {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(one).items()
    }
    return {
        **plain,
        "conditions": [list(pair) for pair in one.conditions],
        "words": one.words,
        "n_rows": one.n_search + one.n_confirm,
    }
