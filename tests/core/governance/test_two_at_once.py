"""Several people at once, and any order of legal moves: one decision, one champion."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlmodel import col, select

from core.audit.service import verify
from core.errors import LifecycleError, StaleRevision
from core.governance import queries, service
from core.governance.tables import Decision, DecisionKind, PromotionRequest, RequestState
from core.permissions import Actor, Role
from core.registry import queries as registry
from core.registry.tables import Deployment
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from tests.core.governance.conftest import Story
from tests.factories import NOW, key, make_model, make_open_request, make_stored_version

Outcome = tuple[str, str]


def decide(workspace: Workspace, request_id: int, digest: str, actor: Actor, kind: DecisionKind) -> Outcome:
    try:
        with workspace.write() as session:
            request = service.decide(
                session,
                workspace.artifacts,
                request_id=request_id,
                kind=kind,
                comment="Decided.",
                evidence_digest=digest,
                actor=actor,
                now=NOW,
            )
            return "done", request.state
    except LifecycleError as error:
        return type(error).__name__, str(error)


def in_a_process(
    home: Path, request_id: int, digest: str, actor: Actor, kind: DecisionKind, go: object, answers: object
) -> None:
    workspace = open_workspace(Settings(home=home))
    go.wait()  # type: ignore[attr-defined]
    answers.put(decide(workspace, request_id, digest, actor, kind))  # type: ignore[attr-defined]
    workspace.close()


@pytest.mark.parametrize("other", [DecisionKind.APPROVE, DecisionKind.REJECT, DecisionKind.REQUEST_CHANGES])
def test_two_reviewers_in_threads_give_one_decision_and_one_clear_message(
    workspace: Workspace, story: Story, second_reviewer: Actor, other: DecisionKind
) -> None:
    barrier = threading.Barrier(2)
    answers: list[Outcome] = []

    def run(actor: Actor, kind: DecisionKind) -> None:
        barrier.wait()
        answers.append(decide(workspace, story.request_id, story.digest, actor, kind))

    threads = [
        threading.Thread(target=run, args=arguments)
        for arguments in ((story.reviewer, DecisionKind.APPROVE), (second_reviewer, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one_decision(workspace, story, answers)


@pytest.mark.slow
def test_two_reviewers_in_processes_give_one_decision_and_one_clear_message(
    workspace: Workspace, story: Story, second_reviewer: Actor
) -> None:
    spawn = multiprocessing.get_context("spawn")
    go, collected = spawn.Event(), spawn.Queue()
    children = [
        spawn.Process(
            target=in_a_process,
            args=(workspace.home, story.request_id, story.digest, actor, DecisionKind.APPROVE, go, collected),
        )
        for actor in (story.reviewer, second_reviewer)
    ]
    for child in children:
        child.start()
    go.set()
    answers = [collected.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    collected.close()
    one_decision(workspace, story, answers)


def one_decision(workspace: Workspace, story: Story, answers: list[Outcome]) -> None:
    done = [text for kind, text in answers if kind == "done"]
    refused = [text for kind, text in answers if kind == StaleRevision.__name__]
    assert (len(done), len(refused)) == (1, 1), answers
    with workspace.read() as session:
        (decision,) = session.exec(select(Decision)).all()
        winner = {story.reviewer.user_id: "rita"}.get(decision.user_id, "rudi")
        assert f"{winner} decided first" in refused[0]
        live = session.exec(select(Deployment)).all()
        assert len(live) == (done[0] == RequestState.APPROVED)
        assert verify(session).intact


@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_moves_leaves_two_champions_or_loses_one(
    workspace: Workspace, make_actor: Callable[..., Actor], seed: int
) -> None:
    """Random legal and illegal moves by everybody; after each, what is live is what was last allowed."""
    rng = np.random.default_rng(seed)
    both = frozenset({Role.DATA_SCIENTIST, Role.REVIEWER, Role.OPERATOR})
    people = [make_actor(name, *both) for name in ("ana", "ben", "cleo")]
    with workspace.write() as session:
        model_id = key(make_model(session))
        versions = [
            key(make_stored_version(session, workspace.artifacts, model_id=model_id, requested_by=people[0].user_id))
            for _ in range(3)
        ]
    done: dict[str, int] = {}
    for step in range(60):
        now, actor = NOW + timedelta(minutes=step), people[int(rng.integers(3))]
        move = str(rng.choice(["ask", "approve", "approve", "reject", "withdraw", "roll back", "card"]))
        before = champion(workspace, model_id)
        expected = before
        try:
            with workspace.write() as session:
                open_ids = [row.id for row in queries.open_requests(session)]
                request_id = int(rng.choice(open_ids)) if open_ids else 0
                version_id = int(rng.choice(versions))
                if move == "ask":
                    taken = {row.version_id for row in queries.open_requests(session)}
                    if version_id not in taken and version_id != before:
                        version = registry.version(session, version_id)
                        make_open_request(session, version=version, requested_by=actor.user_id)
                elif move in ("approve", "reject") and request_id:
                    request = queries.request(session, request_id)
                    service.decide(
                        session,
                        workspace.artifacts,
                        request_id=request_id,
                        kind=DecisionKind(move),
                        comment="So it is.",
                        evidence_digest=request.evidence_digest or "",
                        actor=actor,
                        now=now,
                    )
                    if move == "approve":
                        expected = request.version_id
                elif move == "withdraw" and request_id:
                    service.withdraw(session, request_id=request_id, actor=actor, now=now)
                elif move == "roll back":
                    expected = service.roll_back(
                        session, model_id=model_id, reason="Worse.", actor=actor, now=now
                    ).version_id
                elif move == "card":
                    card = queries.card(session, version_id)
                    service.edit_card(
                        session,
                        version_id=version_id,
                        sections={"limitations": f"At step {step}."},
                        revision=card.revision,
                        actor=actor,
                        now=now,
                    )
            done[move] = done.get(move, 0) + 1
        except LifecycleError:
            expected = before
        assert champion(workspace, model_id) == expected
    assert done["approve"] > 0
    with workspace.read() as session:
        assert verify(session).intact
        approved = session.exec(select(PromotionRequest).where(PromotionRequest.state == RequestState.APPROVED)).all()
        by_request = session.exec(select(Deployment.request_id).where(col(Deployment.request_id).is_not(None))).all()
        assert sorted(by_request) == sorted(key(one) for one in approved)  # type: ignore[type-var]


def champion(workspace: Workspace, model_id: int) -> int | None:
    with workspace.read() as session:
        live = session.exec(
            select(Deployment.version_id).where(Deployment.model_id == model_id, col(Deployment.to_at).is_(None))
        ).all()
    assert len(live) <= 1
    return live[0] if live else None
