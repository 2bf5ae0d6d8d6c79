"""Commands as a person types them: exit codes, messages, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from core.access import passwords, queries, service
from core.audit.queries import events
from core.cli import main
from core.cli.context import literal, to_plain
from core.database import utc_now
from core.errors import InvalidInput, LifecycleError
from core.permissions import Actor
from core.settings import Settings
from core.workspace import Workspace, opened

Run = Callable[..., Result]


@pytest.fixture
def run(home: Path) -> Run:
    """Run a command on the test's home; a refusal comes back as exit code 1, as `run()` makes it."""

    def command(*arguments: str) -> Result:
        result = CliRunner().invoke(main.app, [*arguments, "--home", str(home)])
        if result.exception is not None and not isinstance(result.exception, SystemExit | LifecycleError):
            raise result.exception
        return result

    return command


def test_shell_makes_the_first_administrator_and_no_more(run: Run) -> None:
    made = run("user", "add", "ada", "--role", "administrator", "--role", "viewer", "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout) == {"id": 1, "name": "ada", "roles": ["administrator", "viewer"]}
    refused = run("user", "add", "eve", "--role", "administrator")
    assert refused.exit_code == 1
    assert "shell (no role) may not edit" in str(refused.exception)
    assert run("user", "add", "rita", "--role", "reviewer", "--as", "ada").exit_code == 0
    assert run("user", "roles", "rita", "--role", "operator", "--as", "ada").exit_code == 0
    listed = json.loads(run("user", "list", "--json").stdout)
    assert [(user["name"], user["roles"]) for user in listed] == [
        ("ada", ["viewer", "administrator"]),
        ("rita", ["operator"]),
    ]
    assert "rita" in run("user", "list").stdout


def test_wrong_usage_is_two_and_refusal_is_one(run: Run) -> None:
    unknown = run("user", "add", "ada", "--role", "king")
    assert unknown.exit_code == 2
    assert "viewer, data-scientist" in unknown.output
    assert run("user", "add").exit_code == 2
    assert run("audit", "as-of", "yesterday").exit_code == 2
    assert run("user", "list", "--as", "nobody").exit_code == 1


def test_refusal_goes_to_stderr_without_a_stack_trace(home: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "core.cli.main", "user", "list", "--as", "no\x1b[31mbody", "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "There is no account no\\x1b[31mbody. `gatehouse user list` shows the accounts there are.\n"
    )


def test_password_is_set_by_oneself_or_an_administrator_and_signs_out(
    run: Run, workspace: Workspace, viewer: Actor, scientist: Actor, administrator: Actor, home: Path
) -> None:
    def fits(name: str, password: str) -> bool:
        with workspace.read() as session:
            user = queries.user_by_name(session, name)
            assert user is not None
            return passwords.verify(password, user.password_hash)

    with workspace.write() as session:
        assert viewer.user_id is not None
        signed_in = service.sign_in_as(session, user_id=viewer.user_id, now=utc_now(), hours=1)
    done = run("user", "password", viewer.name, "--password", "correct horse", "--as", administrator.name, "--json")
    assert json.loads(done.stdout) == {"id": viewer.user_id, "name": viewer.name}
    assert fits(viewer.name, "correct horse")
    with workspace.read() as session:
        assert queries.actor_of_sign_in(session, signed_in, utc_now()) is None

    arguments = ["user", "password", viewer.name, "--as", viewer.name, "--home", str(home)]
    asked = CliRunner().invoke(main.app, arguments, input="battery staple\nbattery staple\n")
    assert asked.exit_code == 0, asked.output
    assert "battery" not in asked.output
    assert fits(viewer.name, "battery staple")

    for refused in (
        ("user", "password", viewer.name, "--password", "not for you", "--as", scientist.name),
        ("user", "password", viewer.name, "--password", "short", "--as", viewer.name),
        ("user", "password", "nobody", "--password", "long enough", "--as", administrator.name),
    ):
        assert run(*refused).exit_code == 1, refused
    assert fits(viewer.name, "battery staple")
    with workspace.read() as session:
        assert [event.actor_name for event in events(session, limit=10) if event.action == "user.password_set"] == [
            viewer.name,
            administrator.name,
        ]


def test_token_is_shown_once_and_ends_when_revoked(run: Run, viewer: Actor) -> None:
    made = json.loads(run("token", "create", "nightly", "--days", "3", "--as", viewer.name, "--json").stdout)
    assert made["token"].startswith("gh_")
    listed = run("token", "list", "--as", viewer.name, "--json").stdout
    assert made["token"] not in listed
    assert json.loads(listed)[0]["revoked_at"] is None
    assert run("token", "revoke", str(made["id"]), "--as", viewer.name).exit_code == 0
    assert json.loads(run("token", "list", "--as", viewer.name, "--json").stdout)[0]["revoked_at"] is not None


def test_verify_names_what_was_changed_and_fails(run: Run, workspace: Workspace) -> None:
    run("user", "add", "ada", "--role", "administrator")
    assert run("audit", "verify").exit_code == 0
    with workspace.write() as session:
        session.execute(text("UPDATE audit_event SET actor_name = 'eve' WHERE number = 1"))
    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert "event 1: its own content was changed" in broken.stdout
    assert json.loads(run("audit", "verify", "--json").stdout)["chain"]["breaks"][0]["number"] == 1


def test_viewers_neither_read_nor_verify_the_log_nor_back_up(run: Run, viewer: Actor, tmp_path: Path) -> None:
    for arguments in (("audit", "verify"), ("audit", "list"), ("audit", "as-of", "2026-01-01"), ("user", "list")):
        assert run(*arguments, "--as", viewer.name).exit_code == 1, arguments
    assert run("backup", str(tmp_path / "backup.tar"), "--as", viewer.name).exit_code == 1
    assert not (tmp_path / "backup.tar").exists()


def test_log_is_listed_newest_first(run: Run) -> None:
    run("user", "add", "ada", "--role", "administrator")
    run("user", "add", "rita", "--role", "reviewer", "--as", "ada")
    events = json.loads(run("audit", "list", "--json").stdout)
    assert [(event["number"], event["actor_name"], event["subject_label"]) for event in events] == [
        (2, "ada", "rita"),
        (1, "shell", "ada"),
    ]
    assert run("audit", "as-of", "2026-01-01").stdout == "None.\n"
    assert run("job", "list").stdout == "None.\n"


def test_backup_comes_back_whole_and_only_into_an_empty_home(
    run: Run, workspace: Workspace, administrator: Actor, tmp_path: Path
) -> None:
    stored = workspace.artifacts.put_bytes(b"model")
    file = tmp_path / "backup.tar"
    made = run("backup", str(file), "--as", administrator.name, "--json")
    assert json.loads(made.stdout)["n_files"] == 1
    assert run("backup", str(file), "--as", administrator.name).exit_code == 1  # nothing is overwritten
    assert run("restore", str(file)).exit_code == 1  # the home is not empty

    target = tmp_path / "restored"
    result = CliRunner().invoke(main.app, ["restore", str(file), "--home", str(target)])
    assert result.exit_code == 0, result.output
    with opened(Settings(home=target)) as restored, restored.read() as session:
        assert session.execute(text("SELECT name FROM user_account")).scalar() == administrator.name
        assert session.execute(text("SELECT action FROM audit_event")).scalar() == "home.backed_up"
        assert restored.artifacts.get_bytes(stored.sha256) == b"model"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("../escaped", b"x", "which no backup of Gatehouse does"),
        ("artifacts/sha256/ab/" + "0" * 62, b"x", "no longer matches its hash"),
        ("gatehouse.db", b"not a database" * 100, "is damaged"),
        (None, b"", "is no backup of Gatehouse"),
    ],
)
def test_broken_backup_restores_nothing(tmp_path: Path, name: str | None, content: bytes, reason: str) -> None:
    import io
    import tarfile

    from core.backup import restore_backup

    file, home = tmp_path / "backup.tar", tmp_path / "target"
    if name is None:
        file.write_bytes(b"no tar at all" * 100)
    else:
        with tarfile.open(file, "w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(LifecycleError, match=reason):
        restore_backup(Settings(home=home), file)
    assert [path.name for path in tmp_path.iterdir()] == ["backup.tar"]


def test_demo_refuses_to_listen_beyond_this_machine(home: Path) -> None:
    from core.cli.processes import check_demo

    check_demo(Settings(home=home, demo=True))
    check_demo(Settings(home=home, host="0.0.0.0"))
    with pytest.raises(InvalidInput, match=r"listens on 127\.0\.0\.1 only, not on 0\.0\.0\.0"):
        check_demo(Settings(home=home, demo=True, host="0.0.0.0"))


def test_settings_reach_other_processes_by_their_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.cli.processes import environment_of

    settings = Settings(home=home, demo=True, port=9000, lease_seconds=1.5)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, core.cli.main; "
        "print([m for m in ('sqlalchemy', 'pandas', 'sklearn', 'duckdb', 'streamlit') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_shown_values_are_plain(now: datetime, tmp_path: Path) -> None:
    assert to_plain({"at": now, "path": tmp_path, "set": (1, 2)}) == {
        "at": now.isoformat(),
        "path": str(tmp_path),
        "set": [1, 2],
    }
    assert literal("a\x1b]0;evil\x07 é\n") == "a\\x1b]0;evil\\x07 é\n"
