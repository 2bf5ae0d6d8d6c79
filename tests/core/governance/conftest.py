"""A story of three people: sam trains, olga asks, rita decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from core.artifacts import ArtifactStore
from core.governance.tables import PromotionRequest
from core.permissions import Actor, Role
from core.registry.tables import ModelVersion
from core.workspace import Workspace
from tests.factories import key, make_dataset_version, make_open_request, make_stored_version

MakeActor = Callable[..., Actor]


@dataclass(frozen=True)
class Story:
    """An open request for the first version of a model, with the people behind it."""

    uploader: Actor
    launcher: Actor
    requester: Actor
    reviewer: Actor
    version: ModelVersion
    request: PromotionRequest

    @property
    def request_id(self) -> int:
        return key(self.request)

    @property
    def digest(self) -> str:
        assert self.request.evidence_digest is not None
        return self.request.evidence_digest


@pytest.fixture
def store(workspace: Workspace) -> ArtifactStore:
    return workspace.artifacts


@pytest.fixture
def second_reviewer(make_actor: MakeActor) -> Actor:
    return make_actor("rudi", Role.REVIEWER)


@pytest.fixture
def story(workspace: Workspace, make_actor: MakeActor) -> Story:
    """Each of them is a reviewer too: only what they took part in keeps them from deciding."""
    uploader, launcher, requester = (
        make_actor(name, Role.DATA_SCIENTIST, Role.REVIEWER) for name in ("ulla", "liam", "rosa")
    )
    reviewer = make_actor("rita", Role.REVIEWER)
    with workspace.write() as session:
        data = make_dataset_version(session, uploaded_by=uploader.user_id)
        version = make_stored_version(
            session, workspace.artifacts, dataset_version_id=data.id, requested_by=launcher.user_id
        )
        request = make_open_request(session, version=version, requested_by=requester.user_id)
    return Story(uploader, launcher, requester, reviewer, version, request)
