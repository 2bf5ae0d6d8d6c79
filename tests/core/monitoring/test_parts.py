"""A part that died is missed by whoever still runs; one that slept, stopped in good order or never started is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.jobs import processes
from core.jobs.parts import PARTS, Seen
from core.monitoring import alert_queries, faults, rule_service
from core.monitoring.liveness import Outlook
from core.monitoring.liveness_job import judge_parts
from core.permissions import Actor
from core.workspace import Workspace

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FIRES, QUIET, UNKNOWN = Outlook.FIRES, Outlook.QUIET, Outlook.UNKNOWN


def seen(role: str, ago: timedelta = SECOND, *, host: str = "here", port: str = "", **over: datetime) -> Seen:
    """A process that was last seen so long ago and has beaten since it started, yesterday."""
    started_at = NOW - timedelta(days=1)
    return Seen(**{"role": role, "host": host, "address": port, "started_at": started_at, "beating_since": started_at,
                   "seen_at": NOW - ago, **over})  # fmt: skip


JUST_WOKE = {"beating_since": NOW - 30 * SECOND}
JUST_STARTED = {"started_at": NOW - 10 * MINUTE, "beating_since": NOW - 10 * MINUTE}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("all beat", [seen(role) for role in PARTS], QUIET),
        ("nothing runs", [seen("web", HOUR), seen("worker", HOUR)], UNKNOWN),
        ("nothing was ever started", [], UNKNOWN),
        ("scoring died", [seen("web"), seen("worker"), seen("scoring", 4 * MINUTE)], FIRES),
        ("the patience is not over", [seen("web"), seen("scoring", 2 * MINUTE)], QUIET),
        ("the worker died, only scoring is left", [seen("scoring"), seen("worker", HOUR), seen("web", HOUR)], FIRES),
        ("the machine slept, all wake", [seen(role, **JUST_WOKE) for role in PARTS], QUIET),
        ("the machine slept, one is first", [seen("worker", **JUST_WOKE), seen("web", 8 * HOUR)], UNKNOWN),
        ("one did not wake", [seen("worker", beating_since=NOW - 5 * MINUTE), seen("web", 8 * HOUR)], FIRES),
        ("power was cut, all begin elsewhere", [seen("web", HOUR, port="1"), seen("web", port="2", **JUST_STARTED)],
         UNKNOWN),
        ("another took its place", [seen("scoring", HOUR), seen("scoring", **JUST_STARTED), seen("web")], QUIET),
        ("one of two machines is gone", [seen("worker"), seen("web"), seen("worker", HOUR, host="there")], FIRES),
        ("the clock was set back", [seen(role, -HOUR) for role in PARTS], QUIET),
        ("the clock was set back when one had died", [seen("web"), seen("scoring", -HOUR)], QUIET),
    ],
)  # fmt: skip
def test_who_is_missed(name: str, known: list[Seen], expected: Outlook) -> None:
    assert faults.parts(known, minutes=3, now=NOW).outlook is expected


def test_what_is_missing_is_said_with_what_follows_and_what_to_do() -> None:
    found = faults.parts([seen("web"), seen("scoring", 4 * MINUTE), seen("worker", 9 * MINUTE)], minutes=3, now=NOW)
    assert found.sentence == (
        "worker has not been heard from for 9 min, so jobs wait and no monitor is computed; scoring has not been heard "
        "from for 4 min, so requests to predict are not answered. Its output says why it ended; start it again with "
        "gatehouse scoring and gatehouse worker."
    )
    assert found.since_at == NOW - 4 * MINUTE
    one = faults.parts([seen("web"), seen("worker", HOUR, host="there")], minutes=3, now=NOW)
    assert one.sentence.startswith("worker on there has not been heard from for 60 min")


class Installation:
    """Parts on one machine that beat every five seconds and ask the rule every minute, as the real ones do."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.now = workspace, NOW
        self.running: dict[str, datetime] = {}

    def start(self, role: str) -> None:
        self.running[role] = self.now

    def kill(self, role: str) -> None:
        del self.running[role]

    def stop(self, role: str) -> None:
        """In good order: it takes its row along."""
        started_at = self.running.pop(role)
        with self.workspace.write() as session:
            processes.gone(session, role=role, pid=int(started_at.timestamp()) % 10**6, host="elsewhere")

    def live(self, minutes: float) -> None:
        for turn in range(int(minutes * 4)):
            self.now += 15 * SECOND
            for role, started_at in self.running.items():
                with self.workspace.write() as session:
                    processes.beat(
                        session, role=role, pid=int(started_at.timestamp()) % 10**6, host="elsewhere", address=role,
                        started_at=started_at, now=self.now,
                    )  # fmt: skip
            if turn % 4 == 3 and self.running:
                judge_parts(self.workspace, self.now)

    def alerts(self) -> list[tuple[str, str]]:
        """State and note, oldest first."""
        with self.workspace.read() as session:
            return [(one.state, one.note) for one in alert_queries.alerts(session)][::-1]


@pytest.fixture
def installation(workspace: Workspace) -> Installation:
    made = Installation(workspace)
    for role in PARTS:
        made.start(role)
    made.live(5)
    return made


@pytest.mark.parametrize("role", PARTS)
def test_a_part_that_died_is_one_alert_until_it_beats_again(installation: Installation, role: str) -> None:
    installation.kill(role)
    installation.live(2)
    assert installation.alerts() == []
    installation.live(20)
    assert installation.alerts() == [("open", "")]
    installation.start(role)
    installation.live(2)
    assert installation.alerts() == [
        ("resolved", f"It is over. Web, scoring and worker are running; {role} was started 1 min ago.")
    ]


def test_a_second_part_that_dies_joins_the_alert(installation: Installation, workspace: Workspace) -> None:
    installation.kill("scoring")
    installation.live(5)
    installation.kill("worker")
    installation.live(5)
    with workspace.read() as session:
        (alert,) = alert_queries.alerts(session)
    assert "scoring has not been heard from" in alert.sentence
    assert "worker has not been heard from" in alert.sentence
    installation.start("scoring")
    installation.live(5)
    assert [state for state, _ in installation.alerts()] == ["open"]


@pytest.mark.parametrize(
    ("died", "expected", "says"),
    [
        ((), QUIET, "No part ended without having been stopped in 60 min."),
        ((MINUTE,), QUIET, "Scoring ended once in 60 min without having been stopped; 3 times are told."),
        ((MINUTE, 2 * MINUTE, 61 * MINUTE), QUIET, "Scoring ended 2 times in 60 min"),
        ((MINUTE, 2 * MINUTE, 59 * MINUTE), FIRES, "scoring ended 3 times in 60 min without having been stopped and "
         "was started again each time, last 1 min ago; until it has started, requests to predict are not answered. "
         "Its output says why it ends."),
        ((-MINUTE, 2 * MINUTE, 59 * MINUTE), QUIET, "Scoring ended 2 times"),  # the clock was set back
    ],
)  # fmt: skip
def test_how_often_a_part_may_end(died: tuple[timedelta, ...], expected: Outlook, says: str) -> None:
    known = [seen("web"), replace(seen("scoring"), died=tuple(NOW - one for one in died))]
    found = faults.restarts(known, times=3, minutes=60, now=NOW)
    assert found.outlook is expected
    assert found.sentence.startswith(says)
    if expected is FIRES:
        assert found.since_at == NOW - 59 * MINUTE


def test_ends_count_by_machine_and_nothing_is_told_where_nothing_runs() -> None:
    died = tuple(NOW - minute * MINUTE for minute in range(1, 4))
    two = [replace(seen("worker", host=host), died=died[place : place + 2]) for place, host in enumerate(("a", "b"))]
    assert faults.restarts(two, times=3, minutes=60, now=NOW).outlook is QUIET
    # Of several workers on one machine any may take the place of one that died.
    one = [replace(seen("worker"), died=died[:2]), replace(seen("worker"), died=died[1:])]
    assert faults.restarts(one, times=3, minutes=60, now=NOW).sentence.startswith("worker ended 3 times")
    silent = [replace(seen("worker", HOUR), died=died)]
    assert faults.restarts(silent, times=3, minutes=60, now=NOW).outlook is UNKNOWN


@pytest.mark.parametrize("role", PARTS)
def test_a_part_that_dies_again_and_again_is_one_alert_though_it_is_never_missing(
    installation: Installation, workspace: Workspace, administrator: Actor, role: str
) -> None:
    with workspace.write() as session:
        rule_service.edit_rule(
            session, monitor_id=None, kind="restarts", enabled=True, parameters={"times": 3, "minutes": 10},
            actor=administrator, now=NOW,
        )  # fmt: skip
    for _ in range(5):
        installation.kill(role)
        installation.live(0.5)
        installation.start(role)
        installation.live(1)
    with workspace.read() as session:
        (alert,) = alert_queries.alerts(session)
    assert (alert.kind, alert.state) == ("restarts", "open")
    assert alert.sentence.startswith(f"This installation: {role} ended ")
    installation.live(10)
    assert installation.alerts() == [
        ("resolved", f"It is over. {role.capitalize()} ended 2 times in 10 min without having been stopped; 3 times "
         "are told.")
    ]  # fmt: skip


def test_a_part_that_is_stopped_and_started_again_does_not_keep_ending(installation: Installation) -> None:
    for _ in range(12):
        installation.stop("scoring")
        installation.live(0.5)
        installation.start("scoring")
        installation.live(1)
    assert installation.alerts() == []


def test_a_machine_that_slept_has_lost_no_part(installation: Installation, workspace: Workspace) -> None:
    installation.now += 8 * HOUR
    installation.live(5)
    with workspace.read() as session:
        assert [one.died for one in processes.seen(session)] == [(), (), ()]


def test_a_restart_within_the_patience_is_nothing(installation: Installation) -> None:
    for _ in range(3):
        installation.kill("worker")
        installation.live(1)
        installation.start("worker")
        installation.live(4)
    assert installation.alerts() == []


def test_stopping_in_good_order_is_nothing(installation: Installation) -> None:
    installation.stop("scoring")
    installation.live(20)
    for role in list(installation.running):
        installation.stop(role)
    installation.now += 5 * HOUR
    installation.start("web")
    installation.live(20)
    assert installation.alerts() == []


@pytest.mark.parametrize("step", [8 * HOUR, -HOUR], ids=["the machine slept", "the clock was set back"])
def test_silence_of_all_is_nothing(installation: Installation, step: timedelta) -> None:
    installation.now += step
    judge_parts(installation.workspace, installation.now)
    installation.live(10)
    assert installation.alerts() == []


def test_a_part_that_does_not_wake_with_the_rest_is_missed(installation: Installation) -> None:
    installation.kill("scoring")
    installation.now += 8 * HOUR
    installation.live(2)
    assert installation.alerts() == []
    installation.live(5)
    assert [state for state, _ in installation.alerts()] == ["open"]
