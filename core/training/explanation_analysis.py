"""The analyses that explain a run: how its predictions move with one feature, and what made one row's prediction.

References
----------
Friedman (2001), Annals of Statistics 29, section 8.2, for partial dependence; Goldstein, Kapelner, Bleich and Pitkin
(2015), Journal of Computational and Graphical Statistics 24, for the individual lines. For contributions see
`explaining`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.tables import Task
from core.training import explaining
from core.training.analysing import Material
from core.training.frames import frame_from_rows, frame_from_table
from core.training.models import FittedModel

if TYPE_CHECKING:
    import pandas as pd

MOST_FEATURES = 6
GRID_POINTS = 20
MOST_CATEGORIES = 12
DESCRIBED_ROWS = 5000
AVERAGED_ROWS = 200
LINES = 30
TAIL = 0.01
SAID_BY_NAME = 6
DATES = (ColumnKind.DATE, ColumnKind.TIMESTAMP)


def dependence(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """Partial dependence with individual lines: what the model would say if one feature had another value.

    Each of up to 200 rows is given each value of a grid in turn, everything else left as it is; the mean over the rows
    is the partial dependence, a row's own answers are its line. Where the feature depends on others, some of these
    rows never occur: `share` says how much data is near a value.

    Parameters
    ----------
    options : mapping
        ``"features"``: a list of names, at most 6; without it the 6 that matter most by the run's importance, or,
        where none was kept, those whose shuffling moves the predictions most. Dates and timestamps are passed over.
        ``"class"``: whose score it is of, for a multiclass task; without it the class predicted most often.

    Returns
    -------
    dict
        ``{"of": class or None, "n_rows", "mean", "features": [...]}``: how many rows were averaged and their mean
        prediction; a share, or in the target's unit. Each feature is ``{"name", "kind", "values", "average",
        "standard_error", "share", "lines", "own", "missing", "n_values"}``:

        - ``values``: up to 20 values that occur, evenly spread over the rows from the first to the last percent of
          them, ascending; of a category the 12 most frequent, most frequent first (of ``n_values`` there are); of a
          boolean false and true;
        - ``average``, ``standard_error``: one number per value; the error over the rows averaged;
        - ``share``: of a number, the share of rows that are nearer to this value than to the others; else of rows with
          the value (of at most 5,000 rows of the evaluation set);
        - ``lines``: at most 30 rows' answers, each one number per value; ``own``: the value each of them has, None
          where it is missing;
        - ``missing``: ``{"average", "share"}`` where the value is missing in some rows, else None.

    Raises
    ------
    InvalidInput
        A feature or a class the model does not know, more than 6 features, or an option there is not.
    NotApplicable
        All features are dates.
    InsufficientData
        There are no rows.
    """
    _require_options(options, ("features", "class"))
    model, rng = material.model, np.random.default_rng(material.run.seed)
    position = _position(model, material, options.get("class"))
    known = {entry["name"]: str(entry["kind"]) for entry in model.signature["features"]}
    table = material.rows(list(known))
    if table.num_rows == 0:
        raise InsufficientData("The evaluation has no rows to show a dependence on.")
    described = _drawn(table.num_rows, DESCRIBED_ROWS, rng)
    frame = frame_from_table(table.take(pa.array(described)), model.signature["features"])
    rows = frame.iloc[_drawn(len(frame), AVERAGED_ROWS, rng)].reset_index(drop=True)
    shown = rng.permutation(len(rows))[:LINES]
    names = _wanted(options.get("features"), known)
    if names is None:
        names = _most_important(material, model, rows, position, known, rng)
    return {
        "of": model.classes[position] if model.classes else None,
        "n_rows": len(rows),
        "mean": _short(_output(model, rows, position).mean()),
        "features": [_moved(model, frame, rows, name, known[name], position, shown) for name in names],
    }


def contributions(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """What each feature of one row adds to its prediction (`explaining.contributions`).

    Parameters
    ----------
    options : mapping
        Exactly one of ``"ordinal"``, a row of the evaluation set by its position in its dataset version, from 0, and
        ``"values"``, a row as a caller would send it for a prediction.

    Returns
    -------
    dict
        ``{"of", "base", "prediction", "entries": [{"feature", "value", "contribution", "standard_error"}], "sentence",
        "meaning", "exact", "n_background", "label", "truth", "ordinal", "values"}``. `base` and the contributions sum
        to `prediction`: the score of the class `of` (the positive one, or of a multiclass task the one predicted),
        or where `of` is None the value predicted. Entries have the largest contribution first; `standard_error` is
        None with one training row only. `sentence` tells the row's way from base to prediction and `meaning` what
        that rests on. `label` is what is predicted, `truth` what is known of a row of the evaluation set, else None;
        `values` is the row as a caller would send it.

        The same training rows and orders are drawn each time, so that two rows of a run can be held against each
        other.

    Raises
    ------
    InvalidInput
        Neither or both were given, an option there is not, or the evaluation has no such row.
    SchemaMismatch
        A value is missing, of the wrong kind, or of a feature the model does not know.
    """
    _require_options(options, ("ordinal", "values"))
    if len(options) != 1:
        raise InvalidInput(
            "Say which row to explain: either an ordinal of the evaluation set or values; "
            f"{'both were' if options else 'neither was'} given."
        )
    model = material.model
    features = model.signature["features"]
    truth = ordinal = None
    if "ordinal" in options:
        ordinal, place = _row_of(material, options["ordinal"])
        row = material.rows([entry["name"] for entry in features]).slice(place, 1)
        frame = frame_from_table(row, features)
        truth = material.predictions.y_true[place]
    else:
        if not isinstance(options["values"], Mapping):
            raise InvalidInput("The values were no mapping of feature to value; send one value for each feature.")
        frame = frame_from_rows([options["values"]], model.signature)
    training = material.training_rows(n_rows=explaining.N_BACKGROUND, rng=np.random.default_rng(material.run.seed))
    found = explaining.contributions(
        model, frame, frame_from_table(training, features), rng=np.random.default_rng(material.run.seed)
    )
    values = {entry["name"]: _as_sent(frame[entry["name"]].iloc[0], str(entry["kind"])) for entry in features}
    order = np.argsort(-np.abs(found.values[0]), kind="stable")
    entries = [
        {
            "feature": found.features[j],
            "value": values[found.features[j]],
            "contribution": float(found.values[0, j]),
            "standard_error": _finite(found.standard_error[0, j]),
        }
        for j in order
    ]
    base, prediction = float(found.base[0]), float(found.predicted[0])
    return {
        "of": found.of[0],
        "base": base,
        "prediction": prediction,
        "entries": entries,
        "sentence": way_in_words(base, entries, prediction, is_share=found.of[0] is not None),
        "meaning": explaining.explained_in_words(model.task, found.of[0], n_background=found.n_background),
        "exact": found.exact,
        "n_background": found.n_background,
        "label": _plain(model.predict(frame).labels[0]),
        "truth": _plain(truth),
        "ordinal": ordinal,
        "values": values,
    }


def way_in_words(base: float, entries: Sequence[Mapping[str, Any]], prediction: float, *, is_share: bool) -> str:
    """Say a row's way: "Starts at 0.24, age adds 0.10, …, ends at 0.61".

    The six largest contributions are named, those that round to nothing and the rest are told in one.
    """
    digits = 2
    if not is_share:
        scale = max(abs(base), abs(prediction))
        digits = max(0, 2 - math.floor(math.log10(scale))) if scale > 0 else 2
    named = [entry for entry in entries if round(abs(entry["contribution"]), digits)][:SAID_BY_NAME]
    parts = [f"Starts at {_said(base, digits)}"]
    parts += [f"{entry['feature']} {_adds(entry['contribution'], digits)}" for entry in named]
    rest = [entry for entry in entries if entry not in named]
    left = sum(entry["contribution"] for entry in rest)
    if rest and named and round(abs(left), digits):
        others = f"{len(rest)} others together" if len(rest) > 1 else str(rest[0]["feature"])
        parts.append(f"{others} {_adds(left, digits, many=len(rest) > 1)}")
    elif not named:
        parts.append("no feature moves it much")
    return ", ".join([*parts, f"ends at {_said(prediction, digits)}"]) + "."


def _adds(contribution: float, digits: int, *, many: bool = False) -> str:
    verb = "add" if contribution > 0 else "take away"
    if not many:
        verb = "adds" if contribution > 0 else "takes away"
    return f"{verb} {_said(abs(contribution), digits)}"


def _said(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def _require_options(options: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InvalidInput(f"There is no option {', '.join(map(repr, unknown))}. There are: {', '.join(known)}.")


def _position(model: FittedModel, material: Material, wanted: Any) -> int:
    """Which output the dependence is of."""
    if wanted is not None:
        if wanted not in model.classes:
            given = f"The model does not know the class {wanted!r}."
            raise InvalidInput(f"{given} It knows: {', '.join(map(repr, model.classes)) or 'none'}.")
        return model.classes.index(wanted)
    if model.task != Task.MULTICLASS:
        return 1 if model.task == Task.BINARY else 0
    called = [int((material.predictions.y_pred == label).sum()) for label in model.classes]
    return int(np.argmax(called))


def _wanted(given: Any, known: Mapping[str, str]) -> list[str] | None:
    if given is None:
        if all(kind in DATES for kind in known.values()):
            raise NotApplicable("All features are dates or timestamps, which are moved as a whole; nothing to show.")
        return None
    names = list(dict.fromkeys(given)) if isinstance(given, list) else []
    if not 1 <= len(names) <= MOST_FEATURES:
        raise InvalidInput(f"The features were {given!r}; give a list of 1 to {MOST_FEATURES} names.")
    unknown = [name for name in names if name not in known]
    if unknown:
        listed = ", ".join(map(repr, list(known)[:20]))
        raise InvalidInput(f"The model has no feature {', '.join(map(repr, unknown))}. It has: {listed}.")
    kept = [name for name in names if known[name] not in DATES]
    if not kept:
        raise NotApplicable(f"{', '.join(map(repr, names))}: dates and timestamps are not shown; choose others.")
    return kept


def _most_important(
    material: Material,
    model: FittedModel,
    rows: pd.DataFrame,
    position: int,
    known: Mapping[str, str],
    rng: np.random.Generator,
) -> list[str]:
    """The names to show: by the run's own importance, else by how far shuffling moves the predictions."""
    kept = material.run.importance
    if kept:
        ordered = [entry["name"] for entry in kept["features"]]
    else:
        intact = _output(model, rows, position)
        moved = {}
        for name in known:
            shuffled = rows.copy()
            shuffled[name] = rows[name].iloc[rng.permutation(len(rows))].array
            moved[name] = float(np.abs(_output(model, shuffled, position) - intact).mean())
        ordered = sorted(known, key=lambda name: -moved[name])
    return [name for name in ordered if name in known and known[name] not in DATES][:MOST_FEATURES]


def _moved(
    model: FittedModel,
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    name: str,
    kind: str,
    position: int,
    shown: NDArray[np.intp],
) -> dict[str, Any]:
    present = frame[name].dropna()
    share_missing = 1 - len(present) / len(frame)
    if kind == ColumnKind.CATEGORY:
        counts = present.value_counts(sort=False)
        # By frequency, equal ones by name, whatever order the rows came in.
        frequent = sorted(counts.index, key=lambda value: (-counts[value], value))
        grid, n_values = frequent[:MOST_CATEGORIES], len(frequent)
        share = [counts[value] / len(frame) for value in grid]
    else:
        numbers = present.to_numpy(dtype=np.float64)
        distinct = np.unique(numbers)
        grid, n_values = _grid(numbers, distinct).tolist(), len(distinct)
        nearest = np.searchsorted((np.array(grid[1:]) + np.array(grid[:-1])) / 2, numbers)
        share = (np.bincount(nearest, minlength=len(grid)) / len(frame)).tolist()
    points = [*grid, None] if share_missing else grid
    answers = _answers(model, rows, name, points, kind, position)
    average = answers.mean(axis=1)
    spread = answers.std(axis=1, ddof=1) / math.sqrt(len(rows)) if len(rows) > 1 else np.zeros(len(points))
    inner = slice(0, len(grid))
    return {
        "name": name,
        "kind": kind,
        "values": [_as_sent(value, kind) for value in grid],
        "average": [_short(value) for value in average[inner]],
        "standard_error": [_short(value) for value in spread[inner]],
        "share": [_short(value) for value in share],
        "lines": [[_short(value) for value in answers[inner, row]] for row in shown],
        "own": [_as_sent(rows[name].iloc[row], kind) for row in shown],
        "missing": {"average": _short(average[-1]), "share": _short(share_missing)} if share_missing else None,
        "n_values": n_values,
    }


def _grid(numbers: NDArray[np.float64], distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most 20 values that occur: quantiles of the rows, then of the values left over between them.

    Where one value has most rows, quantiles alone would be that value again and again. The last rows at either end are
    left out, because one outlier would press all others into a corner of the figure.
    """
    if len(distinct) <= GRID_POINTS:
        return distinct
    chosen = np.unique(np.quantile(numbers, np.linspace(TAIL, 1 - TAIL, GRID_POINTS), method="inverted_cdf"))
    left = np.setdiff1d(distinct[(distinct >= chosen[0]) & (distinct <= chosen[-1])], chosen)
    if len(chosen) < GRID_POINTS and len(left):
        inside = np.linspace(0, 1, GRID_POINTS - len(chosen) + 2)[1:-1]
        chosen = np.union1d(chosen, np.quantile(left, inside, method="inverted_cdf"))
    return chosen


def _answers(
    model: FittedModel, rows: pd.DataFrame, name: str, points: Sequence[Any], kind: str, position: int
) -> NDArray[np.float64]:
    """What the model says of each row with each value, shape (n_points, n_rows)."""
    import pandas as pd

    n = len(rows)
    repeated = rows.iloc[np.tile(np.arange(n), len(points))].reset_index(drop=True)
    if kind == ColumnKind.CATEGORY:
        column: Any = pd.Series([value for value in points for _ in range(n)], dtype=object)
    else:
        column = np.repeat(np.array([math.nan if value is None else value for value in points], dtype=np.float64), n)
    repeated[name] = column
    return _output(model, repeated, position).reshape(len(points), n) if points else np.empty((0, n))


def _output(model: FittedModel, frame: pd.DataFrame, position: int) -> NDArray[np.float64]:
    labels, scores = model.predict(frame)
    return np.asarray(labels, dtype=np.float64) if scores is None else scores[:, position]


def _drawn(n: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, size=most, replace=False))


def _row_of(material: Material, given: Any) -> tuple[int, int]:
    """A row's ordinal and its place among the predictions."""
    ordinals = material.predictions.ordinals
    if isinstance(given, bool) or not isinstance(given, int):
        raise InvalidInput(f"The ordinal was {given!r}; give the whole number of a row.")
    found = np.flatnonzero(ordinals == given)
    if not len(found):
        near = ordinals[np.argsort(np.abs(ordinals - given), kind="stable")[:3]].tolist() if len(ordinals) else []
        hint = f" Near it are: {', '.join(map(str, sorted(near)))}." if near else ""
        raise InvalidInput(f"The evaluation has no row with the ordinal {given}; it has {len(ordinals):,} rows.{hint}")
    return given, int(found[0])


def _as_sent(value: Any, kind: str) -> Any:
    """A cell of a frame as a caller would send it."""
    import pandas as pd

    if pd.isna(value):
        return None
    if kind == ColumnKind.CATEGORY:
        return str(value)
    if kind == ColumnKind.BOOLEAN:
        return bool(value)
    if kind == ColumnKind.INTEGER:
        return int(value)
    if kind == ColumnKind.DATE:
        return f"{value:%Y-%m-%d}"
    return f"{value:%Y-%m-%dT%H:%M:%S}" if kind == ColumnKind.TIMESTAMP else float(value)


def _plain(value: Any) -> Any:
    return None if value is None else value if isinstance(value, str) else float(value)


def _short(value: Any) -> float:
    """Six significant digits: what a page can show, at a fraction of the document."""
    return float(f"{float(value):.6g}")


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
