"""Fixtures shared by every test: a real home with a real SQLite file, actors of each role, a clock, a generator."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlmodel import Session

from core.access.tables import User, UserRole
from core.permissions import Actor, Role
from core.settings import Settings
from core.workspace import Workspace, open_workspace

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home migrated once; copied by each test that needs one."""
    home = tmp_path_factory.mktemp("migrated")
    open_workspace(Settings(home=home)).close()
    return home


@pytest.fixture
def home(migrated_home: Path, tmp_path: Path) -> Path:
    target = tmp_path / "home"
    target.mkdir()
    shutil.copy2(migrated_home / "gatehouse.db", target / "gatehouse.db")
    return target


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = open_workspace(Settings(home=home))
    yield opened
    opened.close()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


MakeActor = Callable[..., Actor]


@pytest.fixture
def make_actor(workspace: Workspace) -> MakeActor:
    """Make an account with roles and the actor it acts as: ``make_actor("ana", Role.DATA_SCIENTIST)``."""

    def make(name: str, *roles: Role) -> Actor:
        with workspace.write() as session:
            user = User(name=name, created_at=NOW)
            session.add(user)
            session.flush()
            assert user.id is not None
            session.add_all(UserRole(user_id=user.id, role=role) for role in roles)
            user_id = user.id
        return Actor(user_id=user_id, name=name, roles=frozenset(roles), via="browser")

    return make


@pytest.fixture
def scientist(make_actor: MakeActor) -> Actor:
    return make_actor("sam", Role.DATA_SCIENTIST)


@pytest.fixture
def reviewer(make_actor: MakeActor) -> Actor:
    return make_actor("rita", Role.REVIEWER)


@pytest.fixture
def operator(make_actor: MakeActor) -> Actor:
    return make_actor("olga", Role.OPERATOR)


@pytest.fixture
def auditor(make_actor: MakeActor) -> Actor:
    return make_actor("aldo", Role.AUDITOR)


@pytest.fixture
def viewer(make_actor: MakeActor) -> Actor:
    return make_actor("vera", Role.VIEWER)


@pytest.fixture
def administrator(make_actor: MakeActor) -> Actor:
    return make_actor("ada", Role.ADMINISTRATOR)


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    """One write transaction, committed when the test ends well."""
    with workspace.write() as opened:
        yield opened
