"""The analysis of fairness: figures and criteria by the groups of sensitive columns, and thresholds as a what-if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from core.datasets import queries as datasets
from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.fairness import FOUR_FIFTHS, FairnessReport, fairness_reports
from core.evaluation.group_measures import MIN_GROUP_ROWS, cross, measure_kind, measures_of
from core.evaluation.group_thresholds import group_grid
from core.evaluation.slices import Grouped, group_column
from core.evaluation.tables import Task

if TYPE_CHECKING:
    import pyarrow as pa

    from core.training.analysing import Material

MOST_COLUMNS = 8
MOST_CROSSED = 4
MOST_GROUPS = 60


def by_group(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """Measure how groups fare, by each sensitive column and by each pair; where there are three, by all three too.

    Parameters
    ----------
    options : mapping
        ``columns``, at most eight names; the dataset's sensitive columns unless given. Pairs are made of the first
        four.

    Returns
    -------
    dict
        ``columns``; ``n_rows``; ``min_rows``, below which a group is too small to say; ``four_fifths``, 0.8;
        ``n_tests``, how many p-values the correction allows for; ``weighted``; ``measures``, each with ``key``,
        ``title``, ``sentence`` and ``better`` ("high", "low", "zero", "open"); ``groupings``, first each column, then
        the crossings, each with ``columns``, ``words``, ``n_groups``, ``n_small`` (groups of too few rows),
        ``n_not_listed`` (of more than 60 groups the smallest are counted only), ``groups`` and ``criteria``; a group
        has ``group``, ``n_rows`` and ``figures``, by measure's key a ``value``, ``low``, ``high``, ``n`` and
        ``reason``; a criterion has the fields of `fairness.Criterion`. ``thresholds``: for a binary task with scores
        and validation predictions, per column a `GroupGrid` document; and ``no_thresholds``, why there are none, or
        empty. Figures that are not there are null.

    Raises
    ------
    NotApplicable
        No column of the dataset is marked sensitive, or only the target is.
    InsufficientData
        There are no rows.
    InvalidInput, SchemaMismatch
        The columns are not names, or not there.
    """
    names = _columns(material, options)
    if material.predictions.n_rows == 0:
        raise InsufficientData("This evaluation has no rows, so no group can be measured.")
    table = material.rows(names)
    grouped = {name: group_column(name, table[name], most_values=None) for name in names}
    groupings: list[tuple[tuple[str, ...], Grouped]] = [((name,), grouped[name]) for name in names]
    groupings += [(columns, cross([grouped[name] for name in columns])) for columns in _crossings(names)]
    # One seed for all, so that runs on the same rows are held against the same permutations.
    reports = fairness_reports(material.predictions, groupings, rng=np.random.default_rng(0))
    thresholds, no_thresholds = _thresholds(material, names, table)
    return {
        "columns": names,
        "n_rows": material.predictions.n_rows,
        "min_rows": MIN_GROUP_ROWS,
        "four_fifths": FOUR_FIFTHS,
        "n_tests": reports[0].n_tests,
        "weighted": material.predictions.sample_weight is not None,
        "measures": [{"key": key, **measure_kind(key)._asdict()} for key in measures_of(material.predictions)],
        "groupings": [_grouping(report) for report in reports],
        "thresholds": thresholds,
        "no_thresholds": no_thresholds,
    }


def _columns(material: Material, options: Mapping[str, Any]) -> list[str]:
    unknown = sorted(set(options) - {"columns"})
    if unknown:
        raise InvalidInput(f"There is no option {', '.join(unknown)} here; give columns.")
    given = options.get("columns")
    if given is None:
        names = [name for name in material.dataset.sensitive if name in material.kinds and name != material.run.target]
        if not names:
            raise NotApplicable(
                f"No column of {material.dataset.name} is marked sensitive. Mark one when reading its next version, "
                "or name columns with the option columns."
            )
        return names[:MOST_COLUMNS]
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"columns is {given!r}; give a list of column names.")
    names = list(dict.fromkeys(given))
    if not 1 <= len(names) <= MOST_COLUMNS:
        raise InvalidInput(f"{len(names)} columns were given; give one to {MOST_COLUMNS}.")
    if material.run.target in names:
        raise InvalidInput(f"{material.run.target} is what the run predicts; groups are made of other columns.")
    return names


def _crossings(names: Sequence[str]) -> list[tuple[str, ...]]:
    crossings: list[tuple[str, ...]] = list(combinations(names[:MOST_CROSSED], 2))
    return [*crossings, tuple(names)] if len(names) == 3 else crossings


def _grouping(report: FairnessReport) -> dict[str, Any]:
    by_size = sorted(range(len(report.groups)), key=lambda place: -report.groups[place].n_rows)
    listed = sorted(by_size[:MOST_GROUPS])
    return {
        "columns": list(report.columns),
        "words": " and ".join(report.columns),
        "n_groups": len(report.groups),
        "n_small": sum(group.n_rows < MIN_GROUP_ROWS for group in report.groups),
        "n_not_listed": len(report.groups) - len(listed),
        "groups": [
            {
                "group": group.group,
                "n_rows": group.n_rows,
                "figures": {key: asdict(one) for key, one in group.figures.items()},
            }
            for group in (report.groups[place] for place in listed)
        ],
        "criteria": [asdict(one) for one in report.criteria],
    }


def _thresholds(material: Material, names: Sequence[str], table: pa.Table) -> tuple[list[dict[str, Any]], str]:
    """The what-if grids of the single columns, or why there are none."""
    if material.task is not Task.BINARY or material.predictions.scores is None:
        return [], "Thresholds are for the scores of a binary task; this model gives none."
    validation = material.validation
    if validation is None or validation.n_rows == 0:
        return [], "This run kept no predictions of its validation rows to choose thresholds on. Train it again."
    import pyarrow as pa

    known = {column["name"] for column in material.trained_version.columns}
    shared = [name for name in names if name in known]
    before = datasets.read_table(material.store, material.trained_version, columns=shared).take(
        pa.array(validation.ordinals)
    )
    grids, n = [], validation.n_rows
    for name in shared:
        first, second = (_plain(part[name]) for part in (before, table))
        if first.type != second.type:
            first, second = first.cast(pa.string()), second.cast(pa.string())
        # Grouped together, so that quarters of numbers are cut at the same edges in both.
        both = group_column(name, pa.chunked_array([*first.chunks, *second.chunks], first.type), most_values=None)
        sizes = np.bincount(both.codes, minlength=len(both.labels))
        if len(both.labels) > MOST_GROUPS:
            both = _largest(both, sizes)
        grids.append(
            group_grid(
                name, both.labels, (validation, both.codes[:n]), (material.predictions, both.codes[n:])
            ).to_document()
        )
    return grids, "" if grids else "The rows the run was trained on have none of these columns."


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _largest(grouped: Grouped, sizes: np.ndarray[Any, Any]) -> Grouped:
    """The largest groups, and the others together as one."""
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_GROUPS - 1])
    position = np.full(len(sizes), len(kept), dtype=np.int64)
    position[kept] = np.arange(len(kept))
    labels = (*(grouped.labels[place] for place in kept), "all other groups")
    return Grouped(grouped.name, labels, position[grouped.codes], len(kept))
