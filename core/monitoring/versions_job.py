"""The job that holds one dataset version against another, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.datasets import queries as datasets
from core.datasets.tables import ColumnKind
from core.drift.columns import sample
from core.drift.measuring import measure
from core.errors import SchemaMismatch
from core.jobs.context import JobContext
from core.monitoring.alerting import decide
from core.monitoring.tables import WindowState
from core.permissions import Permission, require
from core.workspace import Workspace

ALPHA, MIN_EFFECT, MIN_ROWS = 0.05, 0.1, 100
SEED = 20_260_418


def compare_versions(workspace: Workspace, context: JobContext) -> None:
    """Compare two dataset versions; the result is `drift_between`'s document."""
    require(context.actor, Permission.DATASET_READ)
    context.report(0.0, "reading")
    result = drift_between(
        workspace,
        reference_id=context.payload["reference_id"],
        current_id=context.payload["current_id"],
    )
    with context.record():
        context.result = result


def drift_between(workspace: Workspace, *, reference_id: int, current_id: int) -> dict[str, Any]:
    """Measure how far each column that two dataset versions share moved.

    Returns
    -------
    dict
        ``features``: one entry per shared column in the reference's order with ``feature``, ``test``, ``statistic``,
        ``effect``, ``pvalue``, ``pvalue_corrected``, ``drifted`` and ``state``. ``alpha``, ``min_effect``,
        ``min_rows``: what was decided by. ``not_compared``: columns only one of them has.

    Raises
    ------
    NotFound, ArtifactCorrupted
    SchemaMismatch
        They share no column.
    """
    with workspace.read() as session:
        reference, current = (datasets.version(session, key) for key in (reference_id, current_id))
    before, after = ({column["name"]: column["kind"] for column in found.columns} for found in (reference, current))
    shared = [name for name in before if name in after]
    if not shared:
        raise SchemaMismatch("The two dataset versions share no column. Choose two versions of one dataset.")
    store = workspace.artifacts
    tables = [datasets.read_table(store, found, columns=shared) for found in (reference, current)]
    measures = {}
    for name in shared:
        kind = _common_kind(name, before, after)
        then, now = (sample(table[name], kind) for table in tables)
        measures[name] = measure(then, now, kind, rng=np.random.default_rng(SEED))
    decisions = decide(
        measures,
        n_rows=min(table.num_rows for table in tables),
        alpha=ALPHA,
        min_effect=MIN_EFFECT,
        min_rows=MIN_ROWS,
    )
    return {
        "reference_id": reference_id,
        "current_id": current_id,
        "alpha": ALPHA,
        "min_effect": MIN_EFFECT,
        "min_rows": MIN_ROWS,
        "features": [
            {
                "feature": name,
                "test": found.test,
                "statistic": found.statistic,
                "effect": found.effect,
                "pvalue": found.pvalue,
                "pvalue_corrected": decisions[name].pvalue_corrected,
                "drifted": decisions[name].state is WindowState.DRIFTED,
                "state": decisions[name].state.value,
            }
            for name, found in measures.items()
        ],
        "not_compared": sorted(before.keys() ^ after.keys()),
    }


def _common_kind(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> ColumnKind:
    """The kind both are measured as; as categories unless both are numbers or alike."""
    first, second = ColumnKind(before[name]), ColumnKind(after[name])
    if first == second:
        return first
    numbers = {ColumnKind.INTEGER, ColumnKind.NUMBER}
    return ColumnKind.NUMBER if {first, second} <= numbers else ColumnKind.CATEGORY
