from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.monitoring.monitor_settings import MonitorSettings, Trained, changed

PLAIN = MonitorSettings(
    window="month",
    window_rows=None,
    min_rows=100,
    min_effect=0.1,
    false_alerts=0.1,
    windows_needed=1,
    windows_of=1,
    season="none",
    season_column=None,
    tests={},
    slice_columns=(),
)
TRAINED = Trained(
    features={"hours": "number", "job": "category", "member": "boolean", "city": "category"},
    columns={"hours": "number", "job": "category", "member": "boolean", "city": "category", "day": "date"},
    n_distinct={"hours": 900, "job": 4, "member": 2, "city": 340, "day": 60},
)


@pytest.mark.parametrize(
    "changes",
    [
        {"window": "hour", "season": "hour", "season_column": "day"},
        {"window": "week", "season": "month", "season_column": "day"},
        {"window": "count", "window_rows": 5_000},
        {"windows_needed": 2, "windows_of": 3},
        {"tests": {"hours": "kolmogorov_smirnov", "job": "chi_square"}},
        {"slice_columns": ["job", "member"]},
    ],
    ids=str,
)
def test_settings_that_suit_the_data_are_taken(changes: dict[str, Any]) -> None:
    after = changed(PLAIN, changes, TRAINED)  # type: ignore[arg-type]
    kept = after.to_json()
    assert kept == PLAIN.to_json() | changes
    assert after.digest(*kept) != PLAIN.digest(*kept)
    assert changed(after, {}, TRAINED) == after


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"window": "fortnight"}, "Choose one of: hour, day, week, month, count"),
        ({"window": "count"}, "Give window_rows"),
        ({"min_rows": "many"}, "min_rows cannot be 'many'; it takes a whole number"),
        ({"false_alerts": True}, "it takes a number"),
        ({"slice_columns": "job"}, "a list of names"),
        ({"window": "count", "window_rows": 99}, "at least 100"),
        (
            {"windows_needed": 3, "windows_of": 2},
            "A feature was to count as drifted when it is beyond its threshold in 3 of the last 2 windows; that "
            "is more than are looked at. Ask for 1 to 2 of 2, or for 3 of 3 to 12 windows.",
        ),
        (
            {"windows_needed": 0},
            "in 0 of the last 1 window; at least one must be. Ask for 1 of 1, or for 1 or more of up to 12 windows.",
        ),
        (
            {"windows_needed": 1, "windows_of": 13},
            "in 1 of the last 13 windows; at most the last 12 are looked at. Ask for 1 of 12 windows or fewer.",
        ),
        (
            {"windows_needed": 14, "windows_of": 13},
            "at most the last 12 are looked at. Ask for 12 of 12 windows or fewer.",
        ),
        ({"windows_needed": 1, "windows_of": 0}, "in 1 of the last 0 windows; at least one must be. Ask for 1 of 1"),
        ({"season": "month"}, "No column is named .* Choose one of: day"),
        ({"season": "month", "season_column": "hours"}, "'hours' is no time"),
        ({"season": "weekday", "season_column": "day"}, "does not lie in one weekday. Choose a season of: none, month"),
        ({"season": "year", "season_column": "day"}, "Choose one of: none, hour, weekday, month"),
        ({"tests": {"job": "kolmogorov_smirnov"}}, "does not decide for 'job', a category column"),
        ({"tests": {"shoe size": "chi_square"}}, "does not take"),
        ({"slice_columns": ["city"]}, "holds 340 values"),
        ({"slice_columns": ["hours"]}, "it is a number"),
        ({"slice_columns": ["day"]}, "it is not kept"),
        ({"slice_columns": ["job", "job"]}, "each once"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_with_what_would(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        changed(PLAIN, changes, TRAINED)  # type: ignore[arg-type]


def test_without_anything_live_only_what_needs_no_data_can_be_set() -> None:
    assert changed(PLAIN, {"window": "week"}, None).window == "week"
    with pytest.raises(InvalidInput, match="Promote a version first"):
        changed(PLAIN, {"slice_columns": ["job"]}, None)


def test_what_belongs_to_another_choice_is_dropped() -> None:
    by_rows = changed(PLAIN, {"window": "count", "window_rows": 500}, TRAINED)
    assert changed(by_rows, {"window": "day"}, TRAINED).window_rows is None
    seasonal = changed(PLAIN, {"season": "month", "season_column": "day"}, TRAINED)
    assert changed(seasonal, {"season": "none"}, TRAINED).season_column is None
