"""What can be set about a monitor, and what is wrong with a setting. PURE."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from core.datasets.tables import ColumnKind
from core.errors import InvalidInput
from core.monitoring.windows import COUNT, SEASON_CHOICES, SEASONS_OF, WINDOW_CHOICES

if TYPE_CHECKING:
    from core.monitoring.tables import Monitor

MOST_FALSE_ALERTS = 30
LEAST_ROWS = 10
MOST_WINDOW_ROWS = 100_000_000
MOST_WINDOWS_OF = 12
MOST_SLICES = 12
MOST_SLICE_COLUMNS = 5
SLICED_KINDS = (ColumnKind.BOOLEAN, ColumnKind.CATEGORY)
TIME_KINDS = (ColumnKind.DATE, ColumnKind.TIMESTAMP)


class Changes(TypedDict, total=False):
    """Settings to change; those left out stay as they are."""

    window: str
    window_rows: int | None
    min_rows: int
    min_effect: float
    false_alerts: float
    windows_needed: int
    windows_of: int
    season: str
    season_column: str | None
    tests: dict[str, str]
    slice_columns: list[str]
    dependent_rows: bool


@dataclass(frozen=True)
class MonitorSettings:
    """How a monitor cuts and decides.

    Parameters
    ----------
    window : {"hour", "day", "week", "month", "count"}
    window_rows : int or None
        Rows of a window of "count", which closes at the end of the day that fills it; None for all others.
    min_rows : int
        Below this a window says "not enough data", >= 10.
    min_effect : float
        Smallest effect that counts, in [0, 1): with many rows a harmless shift is significant too.
    false_alerts : float
        How many false alerts a month are acceptable, in (0, 30].
    windows_needed, windows_of : int
        A feature counts as drifted when it was beyond its threshold in ``windows_needed`` of the last ``windows_of``
        windows; 1 <= windows_needed <= windows_of <= 12.
    season : {"none", "hour", "weekday", "month"}
        Which rows of the reference a window is held against: all, or those of the same season.
    season_column : str or None
        The column of the training data that says when a row was; needed for a season.
    tests : dict of feature to test
        The test that decides for a feature, where it is not the usual one of its kind.
    slice_columns : tuple of str
        Features by whose values windows are looked at in slices too; at most 5, of at most 12 values each.
    dependent_rows : bool
        Whether thresholds follow how rows of the reference hang together, where it has a time. The promise is what is
        asked for, and rows that share their hour or weather break it; independent ones lose nothing by a look.
    """

    window: str
    window_rows: int | None
    min_rows: int
    min_effect: float
    false_alerts: float
    windows_needed: int
    windows_of: int
    season: str
    season_column: str | None
    tests: Mapping[str, str]
    slice_columns: tuple[str, ...]
    dependent_rows: bool = True

    def to_json(self) -> dict[str, Any]:
        """As it is kept and told in an audit event."""
        return asdict(self) | {"tests": dict(self.tests), "slice_columns": list(self.slice_columns)}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> MonitorSettings:
        """The settings that `to_json` wrote."""
        return MonitorSettings(**{**document, "slice_columns": tuple(document["slice_columns"])})

    def digest(self, *names: str) -> str:
        """A hash of some of the settings; equal settings have equal ones."""
        kept = {name: value for name, value in self.to_json().items() if name in names}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Trained:
    """What the live version was trained on.

    Parameters
    ----------
    features : mapping of name to kind
        What the model takes.
    columns : mapping of name to kind
        What its dataset version holds, the features among them.
    n_distinct : mapping of name to int
        How many different values each column holds.
    """

    features: Mapping[str, str]
    columns: Mapping[str, str]
    n_distinct: Mapping[str, int]


def settings_of(monitor: Monitor) -> MonitorSettings:
    """A monitor's settings."""
    return MonitorSettings(
        window=monitor.window,
        window_rows=monitor.window_rows,
        min_rows=monitor.min_rows,
        min_effect=monitor.min_effect,
        false_alerts=monitor.false_alerts,
        windows_needed=monitor.windows_needed,
        windows_of=monitor.windows_of,
        season=monitor.season,
        season_column=monitor.season_column,
        tests=dict(monitor.tests),
        slice_columns=tuple(monitor.slice_columns),
        dependent_rows=monitor.dependent_rows,
    )


def changed(settings: MonitorSettings, changes: Changes, trained: Trained | None) -> MonitorSettings:
    """Settings after a change, checked.

    Parameters
    ----------
    trained : Trained or None
        None where nothing is live: then seasons, tests and slices cannot be set.

    Raises
    ------
    InvalidInput
        A setting makes no sense or does not suit the data.
    """
    given: dict[str, Any] = dict(changes)
    for name, value in given.items():
        if not isinstance(value, _TAKES[name]) or isinstance(value, bool) != (_TAKES[name] is bool):
            raise InvalidInput(f"{name} cannot be {value!r}; it takes {_CALLED[_TAKES[name]]}.")
    if "slice_columns" in given:
        given["slice_columns"] = tuple(given["slice_columns"])
    if given.get("window", settings.window) != COUNT:
        given["window_rows"] = None
    if given.get("season", settings.season) == "none":
        given["season_column"] = None
    found = replace(settings, **given)
    _check_window(found)
    _check_promise(found)
    if found.season != "none" or found.tests or found.slice_columns:
        if trained is None:
            raise InvalidInput(
                "Nothing is live here, so there is no training data that seasons, tests of features and slices could "
                "be checked against. Promote a version first."
            )
        _check_season(found, trained)
        _check_tests(found, trained)
        _check_slices(found, trained)
    return found


_TAKES: dict[str, Any] = {
    "window": str,
    "window_rows": int | None,
    "min_rows": int,
    "min_effect": int | float,
    "false_alerts": int | float,
    "windows_needed": int,
    "windows_of": int,
    "season": str,
    "season_column": str | None,
    "tests": dict,
    "slice_columns": list,
    "dependent_rows": bool,
}
_CALLED = {
    str: "a word",
    int: "a whole number",
    int | None: "a whole number",
    int | float: "a number",
    str | None: "a name",
    dict: "a test for each feature named",
    list: "a list of names",
    bool: "true or false",
}


def _check_window(settings: MonitorSettings) -> None:
    if settings.window not in WINDOW_CHOICES:
        raise InvalidInput(f"{settings.window!r} is no window. Choose one of: {', '.join(WINDOW_CHOICES)}.")
    if settings.min_rows < LEAST_ROWS:
        raise InvalidInput(f"The smallest window is {settings.min_rows} rows; it must be at least {LEAST_ROWS}.")
    if settings.window == COUNT:
        if settings.window_rows is None:
            raise InvalidInput("Windows by rows need the number of rows of each. Give window_rows.")
        if not settings.min_rows <= settings.window_rows <= MOST_WINDOW_ROWS:
            raise InvalidInput(
                f"A window of {settings.window_rows:,} rows is given; it must have at least {settings.min_rows:,}, the "
                f"smallest window that tells something, and at most {MOST_WINDOW_ROWS:,}."
            )


def _check_promise(settings: MonitorSettings) -> None:
    if not 0 < settings.false_alerts <= MOST_FALSE_ALERTS:
        raise InvalidInput(
            f"{settings.false_alerts} false alerts a month are given; it must be above 0 and at most "
            f"{MOST_FALSE_ALERTS}."
        )
    if not 0 <= settings.min_effect < 1:
        raise InvalidInput(f"The smallest effect is {settings.min_effect}; it must be at least 0 and below 1.")
    _check_windows(settings.windows_needed, settings.windows_of)


def _check_windows(needed: int, of: int) -> None:
    windows = "window" if of == 1 else "windows"
    given = f"A feature was to count as drifted when it is beyond its threshold in {needed} of the last {of} {windows}"
    if needed < 1 or of < 1:
        advice = f"Ask for 1 of 1, or for 1 or more of up to {MOST_WINDOWS_OF} windows."
        raise InvalidInput(f"{given}; at least one must be. {advice}")
    if of > MOST_WINDOWS_OF:
        advice = f"Ask for {min(needed, MOST_WINDOWS_OF)} of {MOST_WINDOWS_OF} windows or fewer."
        raise InvalidInput(f"{given}; at most the last {MOST_WINDOWS_OF} are looked at. {advice}")
    if needed > of:
        advice = "Ask for 1 of 1" if of == 1 else f"Ask for 1 to {of} of {of}"
        if needed <= MOST_WINDOWS_OF:
            advice += f", or for {needed} of {needed} to {MOST_WINDOWS_OF} windows"
        raise InvalidInput(f"{given}; that is more than are looked at. {advice}.")


def _check_season(settings: MonitorSettings, trained: Trained) -> None:
    if settings.season not in SEASON_CHOICES:
        raise InvalidInput(f"{settings.season!r} is no season. Choose one of: {', '.join(SEASON_CHOICES)}.")
    if settings.season == "none":
        return
    if settings.season not in SEASONS_OF[settings.window]:
        raise InvalidInput(
            f"A window by {settings.window} does not lie in one {settings.season}. Choose a season of: "
            f"{', '.join(SEASONS_OF[settings.window])}; or shorter windows."
        )
    times = [name for name, kind in trained.columns.items() if kind in TIME_KINDS]
    if settings.season_column not in times:
        asked = "No column is named" if settings.season_column is None else f"{settings.season_column!r} is no time"
        there = f"Choose one of: {', '.join(times)}." if times else "It has none; train on data that says when."
        raise InvalidInput(
            f"{asked} to tell the season of the training rows by. It takes a column of dates or times in the training "
            f"data. {there}"
        )


def _check_tests(settings: MonitorSettings, trained: Trained) -> None:
    if not settings.tests:
        return
    from core.drift.measuring import value_tests

    for feature, key in settings.tests.items():
        if feature not in trained.features:
            raise InvalidInput(f"A test is given for {feature!r}, which the live model does not take.")
        fitting = value_tests(trained.features[feature])
        if key not in fitting:
            raise InvalidInput(
                f"{key!r} does not decide for {feature!r}, a {trained.features[feature]} column. Choose one of: "
                f"{', '.join(fitting)}."
            )


def _check_slices(settings: MonitorSettings, trained: Trained) -> None:
    n_columns = len(settings.slice_columns)
    if len(set(settings.slice_columns)) != n_columns or n_columns > MOST_SLICE_COLUMNS:
        raise InvalidInput(f"{n_columns} columns to slice by are given; name at most {MOST_SLICE_COLUMNS}, each once.")
    for name in settings.slice_columns:
        kind = trained.features.get(name)
        if kind is None:
            raise InvalidInput(f"{name!r} cannot be sliced by: the live model does not take it, so it is not kept.")
        if kind not in SLICED_KINDS:
            raise InvalidInput(f"{name!r} cannot be sliced by: it is a {kind}. Choose a category or a yes/no column.")
        if trained.n_distinct.get(name, 0) > MOST_SLICES:
            raise InvalidInput(
                f"{name!r} cannot be sliced by: it holds {trained.n_distinct[name]:,} values, and slices of more than "
                f"{MOST_SLICES} are too small to tell anything. Choose a coarser column."
            )
