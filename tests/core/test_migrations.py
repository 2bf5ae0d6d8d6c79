"""The schema: migrated equals declared, newer is refused, the file is copied first."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from core.errors import InvalidInput
from core.migrations import _config, migrate, refuse_newer, revisions, upgrade
from core.settings import Settings
from core.tables import METADATA


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_files_are_numbered_in_the_order_they_follow_each_other() -> None:
    scripts = ScriptDirectory.from_config(_config())
    assert revisions() == [script.revision for script in scripts.walk_revisions()][::-1]


def test_every_table_is_as_declared(settings: Settings) -> None:
    migrate(settings)
    engine = create_engine(settings.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert set(METADATA.tables) | {"alembic_version"} == set(inspect(connection).get_table_names())
    engine.dispose()


@pytest.mark.parametrize("start", revisions())
def test_old_database_upgraded_equals_a_fresh_one(tmp_path: Path, start: str) -> None:
    schemas = []
    for name, first in (("old", start), ("fresh", None)):
        home = tmp_path / name
        home.mkdir()
        settings = Settings(home=home)
        if first is not None:
            upgrade(settings.url, first)
        migrate(settings)
        connection = sqlite3.connect(home / "gatehouse.db")
        rows = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master").fetchall()
        schemas.append(sorted(((name, table, *parts(sql)) for name, table, sql in rows), key=str))
        connection.close()
    assert schemas[0] == schemas[1]


def test_what_windows_said_before_verdicts_were_kept_is_taken_from_their_states_and_alerts(settings: Settings) -> None:
    upgrade(settings.url, "0003")
    connection = sqlite3.connect(settings.resolved_home / "gatehouse.db")
    moment = "2026-01-01 00:00:00"
    for number, state in enumerate(("quiet", "drifted", "drifted"), start=1):
        values = (number, 1, 1, "month", f"2026-0{number}", "", moment, moment, 500, 4, 0, state, moment, moment)
        connection.execute(f"INSERT INTO window VALUES ({', '.join('?' * len(values))})", values)
    connection.execute(
        "INSERT INTO alert (monitor_id, window_id, kind, severity, state, sentence, since, since_at, opened_at, note) "
        "VALUES (1, 2, 'drift', 'warning', 'open', 'Drifted.', '2026-02', ?, ?, '')",
        (moment, moment),
    )
    connection.commit()
    connection.close()
    migrate(settings)
    connection = sqlite3.connect(settings.resolved_home / "gatehouse.db")
    kept = connection.execute("SELECT * FROM window_verdict ORDER BY window_id, kind").fetchall()
    connection.close()
    assert kept == [(1, "drift", "", ""), (1, "prediction_drift", "", ""), (2, "drift", "warning", "Drifted.")]


def test_when_alerts_ended_before_that_was_kept_is_taken_from_the_audit_log(settings: Settings) -> None:
    upgrade(settings.url, "0004")
    connection = sqlite3.connect(settings.resolved_home / "gatehouse.db")
    moment = "2026-01-01 00:00:00.000000"
    for number, state in enumerate(("resolved", "open", "resolved"), start=1):
        connection.execute(
            "INSERT INTO alert (id, kind, severity, state, sentence, since, since_at, opened_at, note) "
            "VALUES (?, 'drift', 'warning', ?, 'Drifted.', '2026-01', ?, ?, '')",
            (number, state, moment, moment),
        )
    told = ((1, "alert.resolved", 1), (2, "alert.resolved", 2), (3, "alert.reopened", 2), (4, "alert.resolved", 1))
    for number, action, alert_id in told:
        connection.execute(
            "INSERT INTO audit_event (number, at, action_id, action, actor_name, via, subject_kind, subject_id, "
            "subject_label, details, previous_hash, hash) VALUES (?, ?, '', ?, '', '', 'monitor', 1, '', ?, '', '')",
            (number, f"2026-02-0{number} 00:00:00.000000", action, json.dumps({"alert_id": alert_id})),
        )
    connection.commit()
    connection.close()
    migrate(settings)
    connection = sqlite3.connect(settings.resolved_home / "gatehouse.db")
    ends = connection.execute("SELECT id, resolved_at FROM alert ORDER BY id").fetchall()
    connection.close()
    assert ends == [(1, "2026-02-04 00:00:00.000000"), (2, None), (3, None)]


def parts(sql: str | None) -> tuple[list[str], list[str]]:
    """A statement's columns in order, and its constraints, which a rebuilt table lists in any order."""
    lines = [line.strip().rstrip(",") for line in (sql or "").splitlines()]
    constraints = [line for line in lines if line.startswith(("PRIMARY", "CONSTRAINT", "FOREIGN", "UNIQUE"))]
    return [line for line in lines if line not in constraints], sorted(constraints)


def stamp(settings: Settings, revision: str) -> None:
    connection = sqlite3.connect(settings.resolved_home / "gatehouse.db")
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()
    connection.close()


def test_newer_schema_is_refused_and_left_as_it_is(settings: Settings) -> None:
    migrate(settings)
    stamp(settings, "9999")
    before = (settings.resolved_home / "gatehouse.db").read_bytes()
    for look in (migrate, refuse_newer):
        with pytest.raises(InvalidInput, match=r"has schema 9999, .* written by a newer one\. Upgrade Gatehouse"):
            look(settings)
    assert (settings.resolved_home / "gatehouse.db").read_bytes() == before


def test_file_is_copied_before_it_is_changed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(settings)
    assert not list(settings.resolved_home.glob("gatehouse-before-*"))
    migrate(settings)
    assert not list(settings.resolved_home.glob("gatehouse-before-*"))

    current = revisions()
    seen: list[list[str]] = []
    monkeypatch.setattr("core.migrations.revisions", lambda: [*current, "next"])
    monkeypatch.setattr(
        "core.migrations.upgrade",
        lambda _url: seen.append([path.name for path in settings.resolved_home.glob("gatehouse-before-*")]),
    )
    migrate(settings)
    assert seen == [["gatehouse-before-next.db"]]
    copy = sqlite3.connect(settings.resolved_home / "gatehouse-before-next.db")
    assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(current[-1],)]
    copy.close()
