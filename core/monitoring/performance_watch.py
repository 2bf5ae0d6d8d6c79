"""What windows of a model version are judged by: its signature, what was learnt of it, the labels that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.evaluation.tables import Task
from core.monitoring.counting import Slice
from core.monitoring.labels import KeptLabel, kept_labels
from core.monitoring.performance import evaluated
from core.monitoring.performance_reference import PerformanceReference, performance_reference
from core.registry.tables import ModelVersion
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column, score_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa


IDS_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class PerformanceWatch:
    """What of a monitor's version holds for all its windows, and the labels of the one that is judged.

    Parameters
    ----------
    signature : mapping
    evaluated : (value, low, high) or None
        The primary metric on the fixed evaluation set.
    reference : PerformanceReference or None
        None where nothing can be estimated.
    labels : mapping of prediction id to KeptLabel
        See `with_labels`.
    """

    signature: Mapping[str, Any]
    evaluated: tuple[float, float, float] | None
    reference: PerformanceReference | None
    labels: Mapping[str, KeptLabel] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[str, str]:
        """What turned out to be true, by prediction id."""
        return {one: kept.value for one, kept in self.labels.items()}

    @cached_property
    def first_at(self) -> dict[str, float]:
        """When the first label of each prediction came, in seconds since 1970, by prediction id."""
        return {one: kept.first_at.timestamp() for one, kept in self.labels.items()}

    @property
    def task(self) -> Task:
        """What the version predicts."""
        return Task(self.signature["task"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels it can answer; none for a regression."""
        return tuple(self.signature["classes"] or ())

    def columns(self, slices: Sequence[Slice] = ()) -> list[str]:
        """Which columns of the kept rows are needed."""
        scores = [score_column(label) for label in self.classes]
        features = [feature_column(one.column) for one in slices]
        if self.reference is not None:
            features += self.reference.features
        return list(dict.fromkeys([AT, PREDICTION, PREDICTION_ID, LABEL, *scores, *features]))


def performance_watch(workspace: Workspace, *, version: ModelVersion, now: datetime) -> PerformanceWatch:
    """Read what all windows of a version are judged by; learns from its reference where that never was done.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    reference = performance_reference(workspace, version, now=now)
    with workspace.read() as session:
        then = evaluated(session, run_id=version.run_id, task=version.signature["task"])
    return PerformanceWatch(version.signature, then, reference)


def with_labels(workspace: Workspace, watch: PerformanceWatch, *, model_id: int, rows: pa.Table) -> PerformanceWatch:
    """The same, with the labels that came for some rows: those of all rows there ever were may be millions."""
    labels: dict[str, KeptLabel] = {}
    if PREDICTION_ID in rows.column_names:
        with workspace.read() as session:
            # Some at a time: as text, the ids of a window of millions take gigabytes.
            for start in range(0, rows.num_rows, IDS_AT_ONCE):
                some = rows[PREDICTION_ID].slice(start, IDS_AT_ONCE)
                labels |= kept_labels(session, model_id, some.drop_null().to_pylist())
    return replace(watch, labels=labels)
