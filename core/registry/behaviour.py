"""Behaviour tests: what a model must do whatever its metrics say. Pure.

Each test is a function of a fitted model and some rows it was not trained on; a *suite* is a list of entries that name
a test, the column it is about and what it allows. The rows are real ones with something changed, so a failed test is
a statement about inputs that can come.

References
----------
Ribeiro et al. (2020), Beyond accuracy: behavioral testing of NLP models with CheckList, ACL, for invariance and
direction as kinds of test.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.datasets.tables import ColumnKind, Outcome
from core.errors import InvalidInput
from core.evaluation.tables import Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from core.training.models import FittedModel

ROWS = 500
FEWEST_ROWS = 20
NOISE_SHARE = 0.05
LATENCY_CALLS = 40
NUMBERS = (ColumnKind.INTEGER, ColumnKind.NUMBER)
UNSEEN = "a category never seen"


@dataclass(frozen=True, eq=False)
class Trial:
    """What a test is given.

    Parameters
    ----------
    model : FittedModel
    frame : pandas.DataFrame
        Rows it was not trained on, as the pipeline takes them.
    size_bytes : int
        Of the model's file.
    rng : Generator
    """

    model: FittedModel
    frame: pd.DataFrame
    size_bytes: int
    rng: np.random.Generator

    @property
    def kinds(self) -> dict[str, str]:
        """Each feature's kind."""
        return {entry["name"]: entry["kind"] for entry in self.model.signature["features"]}


@dataclass(frozen=True)
class Finding:
    """What a test found.

    Parameters
    ----------
    outcome : Outcome
        Passed, failed, or not applicable (the model has no such column).
    value : float or None
        What was measured, in the unit of the entry's limit.
    explanation : str
        With numbers.
    """

    outcome: Outcome
    value: float | None
    explanation: str


@dataclass(frozen=True)
class BehaviourTest:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    column : {"none", "any", "number"}
        Whether an entry names a column, and of which kind.
    limit : float
        What is allowed unless an entry says otherwise.
    unit : str
        Of the limit, in words.
    function : callable
        ``(trial, entry) -> Finding``.
    sentence : str
        What it asks.
    """

    key: str
    title: str
    column: Literal["none", "any", "number"]
    limit: float
    unit: str
    function: Callable[[Trial, Mapping[str, Any]], Finding]
    sentence: str


def invariance(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """How much predictions move when one column's values are dealt anew among the rows."""
    column = entry["column"]
    if column not in trial.frame.columns:
        return Finding(Outcome.NOT_APPLICABLE, None, f"The model does not read {column}.")
    changed = trial.frame.copy()
    changed[column] = trial.frame[column].iloc[trial.rng.permutation(len(changed))].array
    return _moved(trial, changed, entry, f"when {column} is dealt anew among the rows")


def direction(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """The share of rows whose prediction moves the wrong way when a number rises by one standard deviation."""
    column, up = entry["column"], entry.get("direction", "up") == "up"
    if column not in trial.frame.columns:
        return Finding(Outcome.NOT_APPLICABLE, None, f"The model does not read {column}.")
    spread = float(trial.frame[column].std())
    if not spread > 0:
        return Finding(Outcome.NOT_APPLICABLE, None, f"{column} holds one value in these rows; nothing can be raised.")
    raised = trial.frame.copy()
    raised[column] = trial.frame[column] + spread
    step = _level(trial.model, raised) - _level(trial.model, trial.frame)
    tolerance = 1e-9 * max(1.0, float(np.abs(_level(trial.model, trial.frame)).max()))
    wrong = float(np.mean(step < -tolerance if up else step > tolerance))
    words = "falls" if up else "rises"
    return _judge(
        entry,
        wrong,
        f"The prediction {words} in {_percent(wrong)} of {len(raised):,} rows when {column} rises by {spread:.3g}",
        _percent(entry["limit"]),
    )


def noise(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """How much predictions move under a little noise on every number."""
    numbers = [name for name, kind in trial.kinds.items() if kind in NUMBERS]
    if not numbers:
        return Finding(Outcome.NOT_APPLICABLE, None, "The model reads no number that noise could be added to.")
    changed = trial.frame.copy()
    for name in numbers:
        spread = float(np.nan_to_num(trial.frame[name].std()))
        changed[name] = trial.frame[name] + NOISE_SHARE * spread * trial.rng.standard_normal(len(changed))
    return _moved(trial, changed, entry, f"under noise of {_percent(NOISE_SHARE, 0)} of each number's spread")


def missing_columns(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """How much predictions move when the column that matters most is missing; every column is tried."""
    worst, share = "", 0.0
    for name, kind in trial.kinds.items():
        changed = trial.frame.copy()
        changed[name] = _all_missing(kind, len(changed))
        moved = _share_moved(trial, changed)
        if math.isnan(moved):
            return Finding(Outcome.FAILED, None, f"Without {name} the model gives no finite prediction.")
        if moved >= share:
            worst, share = name, moved
    return _judge(
        entry,
        share,
        f"Without {worst}, the worst to be missing, {_of(trial, share)}",
        _percent(entry["limit"]),
    )


def extremes(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """How far predictions go on numbers ten times beyond their range, and on categories never seen."""
    base = _level(trial.model, trial.frame)
    spread = float(base.max() - base.min()) or 1.0
    furthest = 0.0
    for factor in (10.0, -10.0):
        changed = trial.frame.copy()
        for name, kind in trial.kinds.items():
            if kind in NUMBERS:
                low, high = float(trial.frame[name].min()), float(trial.frame[name].max())
                changed[name] = (high if factor > 0 else low) + factor * (high - low)
            elif kind == ColumnKind.CATEGORY:
                changed[name] = UNSEEN
        answered = _level(trial.model, changed)
        if not np.isfinite(answered).all():
            return Finding(Outcome.FAILED, None, "Far outside the range of training it gives no finite prediction.")
        furthest = max(furthest, float(np.abs(answered - base).max()) / spread)
    words = f"Far outside the range of training predictions move at most {furthest:.2g} times their usual spread"
    return _judge(entry, furthest, words, f"{entry['limit']:g} times")


def latency(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """The 95th percentile of the time one row takes, in milliseconds, on the machine that ran the suite."""
    rows = [trial.frame.iloc[[position % len(trial.frame)]] for position in range(LATENCY_CALLS)]
    trial.model.predict(rows[0])
    taken = []
    for row in rows:
        began = time.perf_counter()
        trial.model.predict(row)
        taken.append(1000 * (time.perf_counter() - began))
    slow = float(np.quantile(taken, 0.95))
    return _judge(
        entry, slow, f"One row takes {np.median(taken):.1f} ms, nineteen in twenty under {slow:.1f} ms",
        f"{entry['limit']:,g} ms",
    )  # fmt: skip


def size(trial: Trial, entry: Mapping[str, Any]) -> Finding:
    """The size of the model's file, in MiB."""
    mebibytes = trial.size_bytes / 2**20
    return _judge(entry, mebibytes, f"The model's file has {mebibytes:.2f} MiB", f"{entry['limit']:g} MiB")


BEHAVIOUR_TESTS: dict[str, BehaviourTest] = {
    test.key: test
    for test in (
        BehaviourTest(
            "invariance",
            "Invariance",
            "any",
            0.05,
            "share of rows",
            invariance,
            "Predictions hardly move when a column that should not matter is dealt anew among the rows.",
        ),
        BehaviourTest(
            "direction",
            "Direction",
            "number",
            0.05,
            "share of rows",
            direction,
            "Where a number rises, the prediction does not move the wrong way.",
        ),
        BehaviourTest(
            "noise",
            "Noise",
            "none",
            0.1,
            "share of rows",
            noise,
            "A little noise on every number hardly moves predictions.",
        ),
        BehaviourTest(
            "missing_columns",
            "Missing columns",
            "none",
            0.5,
            "share of rows",
            missing_columns,
            "The model still answers, and not wildly, when any one column is missing.",
        ),
        BehaviourTest(
            "extremes",
            "Extremes",
            "none",
            20.0,
            "times the ordinary spread",
            extremes,
            "Values far outside the range of training, and categories never seen, give finite, bounded predictions.",
        ),
        BehaviourTest(
            "latency",
            "Latency",
            "none",
            1000.0,  # what a busy machine keeps too; a tighter one is for those who know theirs
            "milliseconds",
            latency,
            "One row is answered fast enough.",
        ),
        BehaviourTest(
            "size",
            "Size",
            "none",
            200.0,
            "MiB",
            size,
            "The model's file is small enough to load anywhere.",
        ),
    )
}


def default_suite(features: Sequence[str], sensitive: Sequence[str]) -> list[dict[str, Any]]:
    """What every model is held to until somebody writes its suite: the general tests, and each sensitive feature."""
    general = [{"test": key, "limit": test.limit} for key, test in BEHAVIOUR_TESTS.items() if test.column == "none"]
    invariant = [
        {"test": "invariance", "column": name, "limit": BEHAVIOUR_TESTS["invariance"].limit}
        for name in sensitive
        if name in features
    ]
    return [*invariant, *general]


def checked_suite(tests: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Refuse a suite that cannot be run; gives it with every entry complete.

    Parameters
    ----------
    tests : sequence of {"test", "column", "limit", "direction"}
        ``limit`` and ``direction`` ("up" or "down") may be left out, ``column`` where the test takes none.
    kinds : mapping
        The model's features and their kinds.

    Raises
    ------
    InvalidInput
        No test, one that is not in the catalogue or stands there twice, a column that is missing or of the wrong
        kind, a limit below 0.
    """
    if not tests:
        raise InvalidInput("A suite without a test would pass everything; keep at least one.")
    complete: list[dict[str, Any]] = []
    for entry in tests:
        key = str(entry.get("test", ""))
        if not key:
            raise InvalidInput(f"An entry names no test; there are {', '.join(BEHAVIOUR_TESTS)}.")
        if key not in BEHAVIOUR_TESTS:
            raise InvalidInput(f"There is no behaviour test {key!r}; there are {', '.join(BEHAVIOUR_TESTS)}.")
        test = BEHAVIOUR_TESTS[key]
        limit = float(entry.get("limit", test.limit))
        if not (math.isfinite(limit) and limit >= 0):
            raise InvalidInput(f"{test.title}: the limit was {limit}; expected a number of at least 0.")
        made: dict[str, Any] = {"test": key, "limit": limit}
        if test.column != "none":
            column = str(entry.get("column") or "")
            if not column:
                raise InvalidInput(f"{test.title} names no column. The model has: {', '.join(kinds)}.")
            if column not in kinds:
                raise InvalidInput(f"{test.title}: {column!r} is no feature of the model. It has: {', '.join(kinds)}.")
            if test.column == "number" and kinds[column] not in NUMBERS:
                raise InvalidInput(f"{test.title}: {column!r} holds {kinds[column]} values; it takes a number.")
            made["column"] = column
        if key == "direction":
            made["direction"] = str(entry.get("direction", "up"))
            if made["direction"] not in ("up", "down"):
                raise InvalidInput(f"Direction: {made['direction']!r} is neither up nor down.")
        if any({**one, "limit": 0} == {**made, "limit": 0} for one in complete):
            raise InvalidInput(f"{title_of(made)} stands in the suite twice.")
        complete.append(made)
    return complete


def title_of(entry: Mapping[str, Any]) -> str:
    """What an entry of a suite is called: "Invariance (sex)"."""
    test = BEHAVIOUR_TESTS[entry["test"]]
    about = [entry["column"]] if "column" in entry else []
    if "direction" in entry:
        about.append(entry["direction"])
    return f"{test.title} ({', '.join(about)})" if about else test.title


def run_suite(trial: Trial, tests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Run a suite on some rows.

    Returns
    -------
    list of dict
        Per entry, in order: the entry's own keys, ``title``, ``outcome``, ``value`` (or None) and ``explanation``.
        With fewer than 20 rows every test that needs rows is skipped: silence about a model is not health.
    """
    found = []
    for entry in tests:
        if len(trial.frame) < FEWEST_ROWS and entry["test"] != "size":
            words = f"Only {len(trial.frame)} rows could be asked; at least {FEWEST_ROWS} are needed."
            finding = Finding(Outcome.SKIPPED, None, words)
        else:
            finding = BEHAVIOUR_TESTS[entry["test"]].function(trial, entry)
        found.append(
            {
                **entry,
                "title": title_of(entry),
                "outcome": finding.outcome.value,
                "value": finding.value,
                "explanation": finding.explanation,
            }
        )
    return found


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _judge(entry: Mapping[str, Any], value: float, words: str, allowed: str) -> Finding:
    outcome = Outcome.PASSED if value <= entry["limit"] else Outcome.FAILED
    return Finding(outcome, value, f"{words}; {allowed} {'is' if allowed[:2] == '1 ' else 'are'} allowed.")


def _moved(trial: Trial, changed: pd.DataFrame, entry: Mapping[str, Any], when: str) -> Finding:
    share = _share_moved(trial, changed)
    if math.isnan(share):
        return Finding(Outcome.FAILED, None, f"It gives no finite prediction {when}.")
    return _judge(entry, share, f"{_of(trial, share).capitalize()} {when}", _percent(entry["limit"]))


def _of(trial: Trial, share: float) -> str:
    if trial.model.task == Task.REGRESSION:
        return f"predictions move by {_percent(share)} of their spread on average"
    return f"{_percent(share)} of {len(trial.frame):,} decisions change"


def _share_moved(trial: Trial, changed: pd.DataFrame) -> float:
    """Share of decisions that change; for a regression the mean move over the spread. NaN where one is not finite."""
    before, after = trial.model.predict(trial.frame), trial.model.predict(changed)
    if trial.model.task != Task.REGRESSION:
        if after.scores is not None and not np.isfinite(after.scores).all():
            return math.nan
        return float(np.mean(before.labels != after.labels))
    if not np.isfinite(after.labels).all():
        return math.nan
    spread = float(np.std(before.labels)) or 1.0
    return float(np.mean(np.abs(after.labels - before.labels))) / spread


def _level(model: FittedModel, frame: pd.DataFrame) -> NDArray[np.float64]:
    """The score of the last class, or the value: what a direction is meant of."""
    labels, scores = model.predict(frame)
    return np.asarray(labels if scores is None else scores[:, -1], dtype=np.float64)


def _all_missing(kind: str, n_rows: int) -> Any:
    import pandas as pd

    if kind == ColumnKind.CATEGORY:
        return pd.Series([None] * n_rows, dtype=object)
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        return np.full(n_rows, np.datetime64("NaT", "us"))
    return np.full(n_rows, np.nan)
