"""Alerts follow what windows say, in whatever order it is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, col, delete, select

from core.audit.tables import AuditEvent
from core.monitoring.alerting import Firing
from core.monitoring.service import ensure_monitor, resolve_alert
from core.monitoring.tables import Alert, Window, WindowVerdict
from core.monitoring.window_alerts import follow_window
from core.monitoring.windows import span_at
from core.permissions import Actor, system_actor
from core.workspace import Workspace
from tests.factories import NOW, add, key, make_model, make_model_version

QUIET, UNTOLD, WARNING, CRITICAL = "quiet", "untold", "warning", "critical"


class Months:
    """A monitor whose months of 2026 are told one after the other."""

    def __init__(self, session: Session) -> None:
        self.session = session
        version = make_model_version(session, model_id=key(make_model(session, name="pay")))
        self.version_id = key(version)
        self.monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=NOW
        )

    def tell(self, month: int, says: str, *, length: str = "month", is_live: bool = True) -> None:
        """Let a month fire, be quiet, or be too small to tell."""
        self.tell_at(datetime(2026, month, 1, tzinfo=UTC), says, length=length, is_live=is_live)

    def tell_at(self, at: datetime, says: str, *, length: str = "month", is_live: bool = True) -> None:
        span = span_at(at, length)
        of_span = (col(Window.label) == span.label, col(Window.length) == length)
        window = self.session.exec(select(Window).where(*of_span)).first() or add(
            self.session,
            Window(
                monitor_id=key(self.monitor), version_id=self.version_id, length=length, label=span.label,
                from_at=span.from_at, to_at=span.to_at, n_rows=500, n_features=4, n_drifted=0, state="",
                computed_at=NOW, read_at=NOW,
            ),
        )  # fmt: skip
        fires = [Firing("drift", says, f"Drifted in {span.label}.")] if says in (WARNING, CRITICAL) else []
        follow_window(
            self.session,
            monitor=self.monitor,
            window=window,
            firings=fires,
            judged=set() if says == UNTOLD else {"drift"},
            is_live=is_live,
            actor=system_actor(),
            now=NOW,
        )

    def alerts(self) -> list[tuple[str, str, str]]:
        """State, the window it began with and the newest of each, oldest first."""
        query = select(Alert, Window).join(Window, col(Window.id) == col(Alert.window_id)).order_by(col(Alert.id))
        return [(alert.state, alert.since, window.label) for alert, window in self.session.exec(query)]

    def sentence(self) -> str:
        """What the newest alert says."""
        return self.session.exec(select(Alert.sentence).order_by(col(Alert.id).desc())).first() or ""

    def events(self) -> list[str]:
        """What was done to alerts, oldest first."""
        query = select(AuditEvent.action).where(col(AuditEvent.action).startswith("alert."))
        return [action.removeprefix("alert.") for action in self.session.exec(query.order_by(col(AuditEvent.number)))]


@pytest.fixture
def months(workspace: Workspace) -> Iterator[Months]:
    with workspace.write() as session:
        yield Months(session)


def test_what_goes_on_is_one_alert_also_across_a_window_that_cannot_tell(months: Months) -> None:
    for month, says in enumerate((WARNING, UNTOLD, WARNING), start=1):
        months.tell(month, says)
    assert months.alerts() == [("open", "2026-01", "2026-03")]
    assert months.sentence() == "Drifted in 2026-03. It fired first in 2026-01."
    assert months.events() == ["opened"]


def test_after_a_quiet_window_it_is_another_event(months: Months) -> None:
    for month, says in enumerate((WARNING, QUIET, UNTOLD, WARNING), start=1):
        months.tell(month, says)
    assert months.alerts() == [("open", "2026-01", "2026-01"), ("open", "2026-04", "2026-04")]
    assert months.events() == ["opened", "opened"]


def test_a_newest_window_that_turns_quiet_gives_the_alert_back_to_those_before(months: Months) -> None:
    months.tell(1, WARNING)
    months.tell(2, CRITICAL)
    months.tell(2, QUIET)
    assert months.alerts() == [("open", "2026-01", "2026-01")]
    assert months.sentence() == "Drifted in 2026-01."
    months.tell(1, WARNING)
    assert months.alerts() == [("open", "2026-01", "2026-01")]
    months.tell(1, QUIET)
    assert months.alerts() == [("resolved", "2026-01", "2026-01")]
    months.tell(1, WARNING)
    assert months.alerts() == [("open", "2026-01", "2026-01")]
    assert months.events() == ["opened", "worsened", "resolved", "reopened"]


def test_a_first_window_that_turns_quiet_is_not_where_it_began(months: Months) -> None:
    for month in (1, 2, 3):
        months.tell(month, WARNING)
    months.tell(1, QUIET)
    assert months.alerts() == [("open", "2026-02", "2026-03")]
    assert months.sentence() == "Drifted in 2026-03. It fired first in 2026-02."


def test_an_earlier_window_that_fires_is_where_it_began(months: Months) -> None:
    months.tell(3, WARNING)
    months.tell(2, WARNING)
    assert months.alerts() == [("open", "2026-02", "2026-03")]
    assert months.sentence() == "Drifted in 2026-03. It fired first in 2026-02."
    months.tell(4, WARNING)
    assert months.alerts() == [("open", "2026-02", "2026-04")]
    assert months.events() == ["opened"]


def test_only_getting_worse_is_an_event(months: Months) -> None:
    for month, says in enumerate((WARNING, WARNING, CRITICAL, CRITICAL, WARNING), start=1):
        months.tell(month, says)
    assert months.events() == ["opened", "worsened"]


def test_what_a_person_resolved_is_not_told_again_by_windows_they_have_seen(operator: Actor, months: Months) -> None:
    for month in (1, 2):
        months.tell(month, WARNING)
    (alert,) = months.session.exec(select(Alert))
    resolve_alert(months.session, alert_id=key(alert), note="expected", actor=operator, now=NOW)
    for month in (1, 2):
        months.tell(month, CRITICAL)
    assert months.alerts() == [("resolved", "2026-01", "2026-02")]
    months.tell(3, WARNING)
    assert months.alerts() == [("resolved", "2026-01", "2026-02"), ("open", "2026-03", "2026-03")]


def test_windows_cut_shorter_take_the_alert_over(months: Months) -> None:
    months.tell(1, WARNING)
    for day, says in ((1, QUIET), (2, WARNING), (3, WARNING), (4, QUIET), (5, UNTOLD), (6, WARNING)):
        months.tell_at(datetime(2026, 1, day, tzinfo=UTC), says, length="day")
    assert months.alerts() == [("open", "2026-01", "2026-01-03"), ("open", "2026-01-06", "2026-01-06")]
    months.tell(1, WARNING, length="month")
    assert [one[0] for one in months.alerts()] == ["open", "open"]


def test_of_a_version_that_is_not_live_alerts_end_and_none_begins(months: Months) -> None:
    months.tell(1, WARNING)
    months.tell(2, CRITICAL, is_live=False)
    assert months.alerts() == [("open", "2026-01", "2026-01")]
    months.tell(1, QUIET, is_live=False)
    assert months.alerts() == [("resolved", "2026-01", "2026-01")]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_one_event_is_one_alert_in_whatever_order_it_is_told(months: Months, order: tuple[int, ...]) -> None:
    for month in order:
        months.tell(month, WARNING)
    assert months.alerts() == [("open", "2026-01", "2026-03")]
    assert months.events() == ["opened"]


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([QUIET, UNTOLD, WARNING, CRITICAL])), max_size=14))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_told_open_alerts_begin_and_end_with_windows_that_fire_and_no_such_window_is_left_out(
    months: Months, told: list[tuple[int, str]]
) -> None:
    for table in (Alert, WindowVerdict, Window):
        months.session.exec(delete(table))
    for month, says in told:
        months.tell(month, says)
    fires = {f"2026-{month:02}" for month, says in dict(told).items() if says in (WARNING, CRITICAL)}
    standing = [(since, newest) for state, since, newest in months.alerts() if state == "open"]
    for since, newest in standing:
        assert {since, newest} <= fires
        assert since <= newest
    assert all(any(since <= one <= newest for since, newest in standing) for one in fires)
