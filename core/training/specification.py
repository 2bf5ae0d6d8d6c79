"""What a run is asked to be, and what is worked out where nobody said: the task and the features. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.datasets.splitting import SplitOptions
from core.datasets.tables import ColumnKind
from core.errors import InvalidInput, NotApplicable, SchemaMismatch
from core.evaluation.tables import Task

MOST_CLASSES = 50
REGRESSION_ABOVE = 10
FEWEST_FOLDS, MOST_FOLDS = 2, 20
NUMERIC = (ColumnKind.INTEGER, ColumnKind.NUMBER)
LABELS = (ColumnKind.BOOLEAN, ColumnKind.CATEGORY, ColumnKind.TEXT)


@dataclass(frozen=True)
class RunSpec:
    """A wish for a run.

    Parameters
    ----------
    dataset_version_id : int
    target : str
        The column to predict.
    task : Task, optional
        Worked out from the target when None.
    features : tuple of str, optional
        The columns to predict from; `choose_features` decides when None.
    split : SplitOptions
    algorithm : str
        A key of `algorithms.ALGORITHMS`.
    parameters : dict
        What differs from the algorithm's defaults.
    seed : int
        Seeds the fit, never the split.
    folds : int
        Of the cross-validation, 2 to 20; 0 for none.
    calibration : str, optional
        A key of `calibrating.CALIBRATIONS`; scores stay as fitted when None.
    weight_column : str, optional
        How much each row counts, in the fit and in every metric; all rows count alike when None.
    """

    dataset_version_id: int
    target: str
    task: Task | None = None
    features: tuple[str, ...] | None = None
    split: SplitOptions = field(default_factory=SplitOptions)
    algorithm: str = "logistic_regression"
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    folds: int = 0
    calibration: str | None = None
    weight_column: str | None = None


@dataclass(frozen=True)
class FeatureChoice:
    """Which columns a model sees, and why it does not see the others.

    Parameters
    ----------
    features : tuple of str
        In the version's column order.
    left_out : dict of str to str
        Column to reason, in words.
    """

    features: tuple[str, ...]
    left_out: dict[str, str]


def infer_task(*, target: str, kind: str, n_distinct: int) -> Task:
    """What a target asks for.

    Two values make a binary task, whatever their kind. More labels make a multiclass task, up to `MOST_CLASSES`.
    Whole numbers with 3 to 10 values are taken for classes; other numbers for regression.

    Raises
    ------
    InvalidInput
        One value only, or too many labels.
    NotApplicable
        A date, which no algorithm here predicts.
    """
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        raise NotApplicable(f"The target {target!r} is a {kind}; choose a column of labels or numbers.")
    if n_distinct < 2:
        raise InvalidInput(f"The target {target!r} holds {n_distinct} different values; a model needs at least 2.")
    if n_distinct == 2:
        return Task.BINARY
    if kind == ColumnKind.NUMBER or (kind == ColumnKind.INTEGER and n_distinct > REGRESSION_ABOVE):
        return Task.REGRESSION
    if n_distinct > MOST_CLASSES:
        raise InvalidInput(
            f"The target {target!r} holds {n_distinct:,} different labels; at most {MOST_CLASSES} can be predicted. "
            "Choose another target, or group its labels."
        )
    return Task.MULTICLASS


def check_task(task: Task, *, target: str, kind: str, n_distinct: int) -> Task:
    """Refuse a task somebody asked for that the target cannot serve.

    Raises
    ------
    NotApplicable, InvalidInput
    """
    if task == Task.REGRESSION:
        if kind not in NUMERIC:
            raise NotApplicable(f"The target {target!r} holds {kind} values; regression needs numbers.")
        if n_distinct < 2:
            raise InvalidInput(f"The target {target!r} holds {n_distinct} different values; a model needs at least 2.")
        return task
    if kind not in (*LABELS, *NUMERIC):
        raise NotApplicable(f"The target {target!r} is a {kind}; choose a column of labels or numbers.")
    if task == Task.BINARY and n_distinct != 2:
        raise InvalidInput(f"The target {target!r} holds {n_distinct:,} different values; a binary task needs 2.")
    if not 2 <= n_distinct <= MOST_CLASSES:
        raise InvalidInput(
            f"The target {target!r} holds {n_distinct:,} different labels; a multiclass task needs 2 to {MOST_CLASSES}."
        )
    return task


def choose_features(
    columns: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any],
    *,
    target: str,
    time_column: str | None = None,
    weight_column: str | None = None,
) -> FeatureChoice:
    """The columns a model sees when nobody chose.

    All but: the target; the column that weighs rows; free text, which no algorithm here reads; the dataset's time
    column, because a model that knows when a row was recorded learns the past's calendar; columns that name rows
    (labels that are all different, or whole numbers that count without a gap); columns that hold one value or none.

    Parameters
    ----------
    columns : sequence of {"name", "kind"}
    profile : mapping
        The version's profile; its ``columns`` give ``n_distinct``, ``n_missing``, ``min`` and ``max``.
    """
    facts = {entry["name"]: entry for entry in profile.get("columns", [])}
    n_rows = int(profile.get("n_rows") or 0)
    left_out: dict[str, str] = {}
    for column in columns:
        name, kind = column["name"], column["kind"]
        if name == target:
            continue
        reason = "says how much each row counts" if name == weight_column else None
        reason = reason or _reason_to_leave_out(kind, facts.get(name, {}), n_rows=n_rows, is_time=name == time_column)
        if reason:
            left_out[name] = reason
    chosen = tuple(c["name"] for c in columns if c["name"] != target and c["name"] not in left_out)
    return FeatureChoice(chosen, left_out)


def check_features(
    features: Sequence[str], columns: Sequence[Mapping[str, Any]], *, target: str, label: str
) -> tuple[str, ...]:
    """Refuse features that cannot be used; `label` names the dataset version.

    Raises
    ------
    SchemaMismatch
        A column that is not there.
    InvalidInput
        None at all, one twice, the target itself, or free text.
    """
    kinds = {column["name"]: column["kind"] for column in columns}
    if not features:
        raise InvalidInput("No column is left to predict from. Name at least one feature.")
    for name in features:
        if name not in kinds:
            raise SchemaMismatch(f"{label} has no column {name!r}. It has: {', '.join(kinds)}.")
        if name == target:
            raise InvalidInput(f"{name!r} is the target; it cannot be a feature too.")
        if kinds[name] == ColumnKind.TEXT:
            raise InvalidInput(f"{name!r} is free text, which no algorithm here reads. Leave it out of the features.")
    if len(set(features)) < len(features):
        raise InvalidInput("A feature was named twice.")
    return tuple(features)


def weight_columns(columns: Sequence[Mapping[str, Any]], profile: Mapping[str, Any], *, target: str) -> tuple[str, ...]:
    """The columns that could say how much each row counts; see `check_weight_column`."""
    facts = {entry["name"]: entry for entry in profile.get("columns", [])}
    return tuple(
        column["name"]
        for column in columns
        if column["name"] != target and _against_weighing(column["kind"], facts.get(column["name"], {})) is None
    )


def check_weight_column(
    name: str,
    columns: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any],
    *,
    target: str,
    features: Sequence[str],
    label: str,
) -> str:
    """Refuse a column that cannot say how much each row counts; `label` names the dataset version.

    Raises
    ------
    SchemaMismatch
        It is not there.
    InvalidInput
        It is the target or a feature, holds no numbers, a missing or negative one, or zeros only.
    """
    kinds = {column["name"]: column["kind"] for column in columns}
    if name not in kinds:
        raise SchemaMismatch(f"{label} has no column {name!r} to weigh rows by. It has: {', '.join(kinds)}.")
    if name == target:
        raise InvalidInput(f"{name!r} is the target; it cannot weigh the rows too.")
    if name in features:
        raise InvalidInput(f"{name!r} weighs the rows; it cannot be a feature too. Leave it out of the features.")
    facts = {entry["name"]: entry for entry in profile.get("columns", [])}
    reason = _against_weighing(kinds[name], facts.get(name, {}))
    if reason is not None:
        raise InvalidInput(
            f"{name!r} cannot weigh the rows: {reason}. A weight is a number of at least 0 in every row."
        )
    return name


def check_folds(folds: int) -> int:
    """Refuse a number of folds that is neither 0 nor from 2 to 20.

    Raises
    ------
    InvalidInput
    """
    if folds != 0 and not FEWEST_FOLDS <= folds <= MOST_FOLDS:
        raise InvalidInput(
            f"{folds} folds were asked for; expected {FEWEST_FOLDS} to {MOST_FOLDS}, or 0 for no cross-validation."
        )
    return folds


def _against_weighing(kind: str, fact: Mapping[str, Any]) -> str | None:
    if kind not in NUMERIC:
        return f"it holds {kind} values"
    n_missing, low, high = fact.get("n_missing"), fact.get("min"), fact.get("max")
    if n_missing:
        return f"{n_missing:,} of its values are missing"
    if low is None or high is None:
        return "it holds no value"
    if low < 0:
        return f"its smallest value is {low:g}"
    return None if high > 0 else "it holds zeros only"


def _reason_to_leave_out(kind: str, fact: Mapping[str, Any], *, n_rows: int, is_time: bool) -> str | None:
    if kind == ColumnKind.TEXT:
        return "free text, which no algorithm here reads"
    if is_time:
        return "the dataset's time column"
    n_distinct = fact.get("n_distinct")
    if n_distinct is None or n_rows < 20:
        return None
    if n_distinct <= 1 and not (n_distinct == 1 and fact.get("n_missing")):
        return "holds no more than one value"
    if n_distinct == n_rows:
        if kind == ColumnKind.CATEGORY:
            return "names rows: all its values differ"
        low, high = fact.get("min"), fact.get("max")
        counts = isinstance(low, int | float) and isinstance(high, int | float) and high - low + 1 == n_rows
        if kind == ColumnKind.INTEGER and counts:
            return "counts rows: whole numbers without a gap"
    return None
