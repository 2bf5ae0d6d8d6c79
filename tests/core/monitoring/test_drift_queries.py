"""The heat map's squares: columns ranked, windows told apart, slices and the window before kept apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from core.monitoring import drift_queries, performance_queries, window_queries
from core.monitoring.drift_queries import DriftMap
from core.monitoring.tables import DriftResult, Monitor, PerformanceResult, Window, WindowState
from tests.factories import add, key, make_model_version

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def monitor(session: Session) -> Monitor:
    """A monitor by month."""
    version = make_model_version(session)
    return add(
        session,
        Monitor(model_id=version.model_id, environment="production", alias="champion", created_at=FIRST),
    )


def put_window(session: Session, monitor: Monitor, place: int, *, version_id: int | None = None, **over: object) -> int:
    start = FIRST + timedelta(days=31 * place)
    version_id = version_id or key(make_model_version(session, model_id=monitor.model_id))
    values = {"label": f"{start:%Y-%m}", "from_at": start, "to_at": start + timedelta(days=31), "n_rows": 100}
    return key(
        add(
            session,
            Window(
                monitor_id=key(monitor), version_id=version_id, n_features=2, n_drifted=0, state=WindowState.QUIET,
                computed_at=start, read_at=start, **{"length": monitor.window, **values, **over},
            ),
        )
    )  # fmt: skip


def put_result(session: Session, window_id: int, feature: str, effect: float | None, **over: object) -> None:
    values = {
        "column_kind": "number", "test": "kolmogorov_smirnov", "threshold": 0.1, "n_reference": 9, "n_current": 9,
        "state": WindowState.QUIET if effect is not None else WindowState.NOT_ENOUGH_DATA,
    }  # fmt: skip
    add(session, DriftResult(window_id=window_id, feature=feature, effect=effect, **{**values, **over}))


def drawn(found: DriftMap) -> dict[tuple[str, str], float | None]:
    return {(found.windows[one.place].label, found.columns[one.rank].feature): one.effect for one in found.squares}


def test_columns_are_ranked_by_their_largest_effect_in_units_of_the_threshold(
    session: Session, monitor: Monitor
) -> None:
    january, february = (put_window(session, monitor, place) for place in range(2))
    put_result(session, january, "large", 0.3, threshold=0.4)
    put_result(session, january, "once", 0.0)
    put_result(session, february, "once", 0.2, state=WindowState.DRIFTED)
    put_result(session, february, "unknown", None)
    put_result(session, february, "prediction", 0.2, is_prediction=True)
    put_result(session, february, "prediction", 0.01)
    found = drift_queries.drift_map(session, key(monitor), n_columns=2)
    assert [(one.feature, one.is_prediction) for one in found.columns] == [
        ("prediction", True),
        ("once", False),
        ("large", False),
        ("prediction", False),
        ("unknown", False),
    ]
    assert [one.feature for one in found.columns if one.drifted] == ["once"]
    assert found.first_drifted == "2026-02"
    # The feature of the prediction's name is not among the two shown.
    assert drawn(found) == {("2026-01", "once"): 0.0, ("2026-02", "once"): 0.2, ("2026-02", "prediction"): 0.2}


def test_a_column_that_is_not_shown_still_drifted(session: Session, monitor: Monitor) -> None:
    january, february = (put_window(session, monitor, place) for place in range(2))
    put_result(session, january, "steady", 0.2, state=WindowState.DRIFTED)
    put_result(session, february, "louder", 0.9, state=WindowState.DRIFTED)
    put_result(session, january, "louder", 0.0)
    found = drift_queries.drift_map(session, key(monitor), n_columns=1)
    assert {feature for _, feature in drawn(found)} == {"louder"}
    assert found.first_drifted == "2026-01"


def test_slices_the_window_before_and_older_windows_are_kept_apart(session: Session, monitor: Monitor) -> None:
    windows = [put_window(session, monitor, place) for place in range(3)]
    for place, window_id in enumerate(windows):
        put_result(session, window_id, "age", 0.1 * place, effect_before=0.7, state_before=WindowState.DRIFTED)
        put_result(session, window_id, "age", 0.9, slice="sex=female")
    newest = drift_queries.drift_map(session, key(monitor), limit=2)
    assert [one.label for one in newest.windows] == ["2026-02", "2026-03"]
    assert list(drawn(newest).values()) == pytest.approx([0.1, 0.2])
    assert newest.first_drifted is None
    before = drift_queries.drift_map(session, key(monitor), before=True)
    assert set(drawn(before).values()) == {0.7}
    assert before.first_drifted == "2026-01"
    assert set(drawn(drift_queries.drift_map(session, key(monitor), part="sex=female")).values()) == {0.9}


def test_windows_of_another_length_or_without_results_are_no_column(session: Session, monitor: Monitor) -> None:
    put_window(session, monitor, 0)
    assert drift_queries.drift_map(session, key(monitor)) == DriftMap((), (), None, ())
    put_result(session, put_window(session, monitor, 1, length="day"), "age", 0.5)
    put_result(session, put_window(session, monitor, 2), "age", 0.2)
    assert drawn(drift_queries.drift_map(session, key(monitor))) == {("2026-03", "age"): 0.2}
    assert window_queries.n_windows(session, key(monitor)) == 2


def test_of_versions_that_share_a_month_the_one_that_drifted_is_named(session: Session, monitor: Monitor) -> None:
    versions = [make_model_version(session, model_id=monitor.model_id, number=number) for number in (8, 9)]
    old, new = (put_window(session, monitor, 0, version_id=key(one)) for one in versions)
    put_result(session, old, "age", 0.01)
    put_result(session, new, "age", 0.4, state=WindowState.DRIFTED)
    put_window(session, monitor, 1)
    found = drift_queries.drift_map(session, key(monitor))
    assert [one.label for one in found.windows] == ["2026-01 (v8)", "2026-01 (v9)"]
    assert found.first_drifted == "2026-01 (v9)"
    # They are called the same where fewer are shown.
    assert [one.label for one in window_queries.spans(session, key(monitor), limit=2)] == ["2026-01 (v9)", "2026-02"]


def test_performance_is_read_from_a_moment_on(session: Session, monitor: Monitor) -> None:
    for place in range(3):
        window_id = put_window(session, monitor, place)
        add(session, PerformanceResult(window_id=window_id, key="f1", value=0.1 * place, n_labelled=5))
    found = performance_queries.performance(session, key(monitor), since=FIRST + timedelta(days=31))
    assert [(one.window, one.value, one.n_rows) for one in found] == [("2026-02", 0.1, 100), ("2026-03", 0.2, 100)]
    assert [one.window for one in performance_queries.performance(session, key(monitor), limit=1)] == ["2026-03"]
