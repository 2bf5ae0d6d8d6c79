"""The REST edge on a real small home: who is answered, what is refused, and in which shape."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlmodel import Session, select

from core.access.secrets import secret_hash
from core.access.tables import ApiToken, User, UserRole
from core.api.app import create_api
from core.audit.service import head_number
from core.audit.tables import AuditEvent
from core.database import utc_now
from core.datasets.tables import Upload
from core.governance.tables import Decision, PromotionRequest
from core.jobs.tables import Job
from core.monitoring.service import ensure_monitor
from core.monitoring.tables import Batch
from core.permissions import ROLE_PERMISSIONS, Actor, Permission, Role
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment, ModelVersion
from core.settings import Settings
from core.training.service import request_run
from core.training.specification import RunSpec
from core.training.tables import Run
from core.workspace import Workspace, open_workspace
from tests.factories import (
    add,
    key,
    make_dataset,
    make_dataset_version,
    make_model,
    make_open_request,
    make_run,
    make_stored_version,
)

P = Permission
PROFILE = {"columns": [{"name": "age", "n_distinct": 60}, {"name": "income", "n_distinct": 2}]}
MakeActor = Callable[..., Actor]


@dataclass(frozen=True)
class Story:
    """A dataset, a finished run, a model with three versions: two were live, the third is asked for."""

    run_id: int
    queued_id: int
    request_id: int
    batch_id: int
    digest: str
    uploader: Actor
    launcher: Actor
    requester: Actor


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Story]:
    """A home made once. Who took part holds the reviewer's role too: only their part keeps them from deciding."""
    home = tmp_path_factory.mktemp("api") / "home"
    workspace = open_workspace(Settings(home=home))
    with workspace.write() as session:
        uploader, launcher, requester = (account(session, name) for name in ("ulla", "liam", "rosa"))
        dataset = make_dataset(session, name="income")
        data = make_dataset_version(session, dataset_id=dataset.id, uploaded_by=uploader.user_id, profile=PROFILE)
        model = make_model(session, name="income")
        versions = [
            make_stored_version(
                session,
                workspace.artifacts,
                model_id=model.id,
                dataset_version_id=data.id,
                requested_by=launcher.user_id,
            )
            for _ in range(3)
        ]
        for version in versions[:2]:
            assign(
                session,
                version_id=key(version),
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                cause=Cause.PROMOTION,
                actor=requester,
                now=utc_now() - timedelta(days=1),
            )
        monitor = ensure_monitor(
            session,
            model_id=key(model),
            environment=Environment.PRODUCTION,
            alias=Alias.CHAMPION,
            now=utc_now() - timedelta(days=1),
        )
        batch = add(session, Batch(monitor_id=key(monitor), added_at=utc_now()))
        request = make_open_request(session, version=versions[2], requested_by=requester.user_id)
        run = make_run(session, dataset_version_id=data.id)
        spec = RunSpec(dataset_version_id=key(data), target="income", features=("age",), algorithm="dummy")
        queued = request_run(session, spec=spec, actor=launcher, now=utc_now())
    workspace.close()
    assert request.evidence_digest is not None
    story = Story(
        key(run), key(queued), key(request), key(batch), request.evidence_digest, uploader, launcher, requester
    )
    return home, story


def account(session: Session, name: str) -> Actor:
    user_id = key(add(session, User(name=name, created_at=utc_now())))
    roles = (Role.DATA_SCIENTIST, Role.REVIEWER)
    for role in roles:
        add(session, UserRole(user_id=user_id, role=role))
    return Actor(user_id, name, frozenset(roles), "browser")


@pytest.fixture
def home(made: tuple[Path, Story], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "home"))


@pytest.fixture
def story(made: tuple[Path, Story]) -> Story:
    return made[1]


class Client:
    """Speaks HTTP to the application; a path may name things of the story."""

    def __init__(self, portal: BlockingPortal, workspace: Workspace) -> None:
        self.app = create_api(workspace)
        self._portal, self._workspace = portal, workspace

    def token(self, actor: Actor) -> str:
        """An API token of an account, whatever its roles may."""
        assert actor.user_id is not None
        secret = f"the token of {actor.user_id}"
        with self._workspace.write() as session:
            if session.exec(select(ApiToken).where(ApiToken.token_hash == secret_hash(secret))).first() is None:
                session.add(
                    ApiToken(user_id=actor.user_id, name="script", token_hash=secret_hash(secret), created_at=utc_now())
                )
        return secret

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        actor: Actor | None = None,
        header: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Send one request as an account, or with a header of one's own, or with neither."""
        headers = dict(more.pop("headers", {}))
        if actor is not None:
            headers["Authorization"] = f"Bearer {self.token(actor)}"
        if header is not None:
            headers["Authorization"] = header
        if body is not None:
            more["json"] = body

        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://home") as client:
                return await client.request(method, path, headers=headers, **more)

        return self._portal.call(answer)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture
def client(portal: BlockingPortal, workspace: Workspace) -> Client:
    return Client(portal, workspace)


@dataclass(frozen=True)
class Asked:
    """One route: a request that goes through for who may, what it needs, and how it is answered then."""

    path: str
    needs: Permission
    status: int
    body: Callable[[Story], dict[str, Any]] | None = None
    content: bytes | None = None


LABELS = b"prediction_id,label\nabc,>50K\n"
ROUTES: dict[tuple[str, str], Asked] = {
    ("GET", "/datasets"): Asked("/datasets", P.DATASET_READ, 200),
    ("GET", "/datasets/{name:path}/versions/{number}"): Asked("/datasets/income/versions/1", P.DATASET_READ, 200),
    ("GET", "/runs"): Asked("/runs", P.RUN_READ, 200),
    ("POST", "/runs"): Asked(
        "/runs", P.RUN_START, 202, lambda _: {"dataset": "income", "algorithm": "dummy", "features": ["age"]}
    ),
    ("POST", "/runs/{run_id}/cancel"): Asked("/runs/{queued_id}/cancel", P.RUN_CANCEL, 200),
    ("GET", "/models"): Asked("/models", P.MODEL_READ, 200),
    ("POST", "/models/{name:path}/versions"): Asked(
        "/models/income/versions", P.MODEL_REGISTER, 201, lambda story: {"run_id": story.run_id}
    ),
    ("POST", "/models/{name:path}/rollback"): Asked(
        "/models/income/rollback", P.DEPLOYMENT_ROLL_BACK, 200, lambda _: {"reason": "Harm."}
    ),
    ("GET", "/monitors"): Asked("/monitors", P.MONITORING_READ, 200),
    ("POST", "/models/{name:path}/batches"): Asked(
        "/models/income/batches?file_name=may.csv", P.BATCH_ADD, 202, content=b"age\n41\n"
    ),
    ("POST", "/models/{name:path}/batches/from-dataset"): Asked(
        "/models/income/batches/from-dataset", P.BATCH_ADD, 202, lambda _: {"dataset": "income@1"}
    ),
    ("GET", "/batches/{batch_id}"): Asked("/batches/{batch_id}", P.MONITORING_READ, 200),
    ("POST", "/models/{name:path}/labels"): Asked(
        "/models/income/labels?file_name=labels.csv", P.BATCH_ADD, 202, content=LABELS
    ),
    ("GET", "/live"): Asked("/live", P.DEPLOYMENT_READ, 200),
    ("POST", "/requests"): Asked(
        "/requests", P.REQUEST_CREATE, 202, lambda _: {"version": "income@1", "comment": "It was better."}
    ),
    ("GET", "/requests/{request_id}"): Asked("/requests/{request_id}", P.REQUEST_READ, 200),
    ("POST", "/requests/{request_id}/decisions"): Asked(
        "/requests/{request_id}/decisions",
        P.REQUEST_DECIDE,
        201,
        lambda story: {"kind": "approve", "evidence_digest": story.digest},
    ),
}


def ask(
    client: Client, route: tuple[str, str], story: Story, *, actor: Actor | None = None, header: str | None = None
) -> httpx.Response:
    asked = ROUTES[route]
    path = asked.path.format(queued_id=story.queued_id, request_id=story.request_id, batch_id=story.batch_id)
    more = {} if asked.content is None else {"content": asked.content}
    return client.send(route[0], path, asked.body(story) if asked.body else None, actor=actor, header=header, **more)


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    found = set()
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        waiting.extend(getattr(getattr(route, "original_router", None), "routes", []))
        if isinstance(route, APIRoute):
            found |= {(method, route.path) for method in route.methods}
    return found


def test_the_table_names_every_route(client: Client) -> None:
    assert routes_of(client.app) == set(ROUTES)


def per_route(check: Callable[..., None]) -> Any:
    return pytest.mark.parametrize("route", ROUTES, ids=" ".join)(check)


@pytest.mark.parametrize("header", [None, "Bearer", "Basic abc", "Bearer unknown"])
@per_route
def test_without_a_known_token_nothing_is_answered(
    route: tuple[str, str], header: str | None, client: Client, workspace: Workspace, story: Story
) -> None:
    before = audit_head(workspace)
    response = ask(client, route, story, header=header)
    assert response.status_code == 401
    assert set(response.json()) == {"error"}
    assert "token" in response.json()["error"]
    assert audit_head(workspace) == before


@per_route
def test_who_may_is_answered(route: tuple[str, str], client: Client, story: Story, make_actor: MakeActor) -> None:
    may = next(role for role in Role if ROLE_PERMISSIONS[role] & {ROUTES[route].needs})
    response = ask(client, route, story, actor=make_actor("may", may))
    assert response.status_code == ROUTES[route].status, response.text


@pytest.mark.parametrize(
    ("route", "role"),
    [
        pytest.param(route, role, id=f"{' '.join(route)}-{role or 'no role'}")
        for route, asked in ROUTES.items()
        for role in [None, *(role for role in Role if asked.needs not in ROLE_PERMISSIONS[role])]
    ],
)
def test_who_may_not_is_refused_and_nothing_is_written(
    route: tuple[str, str],
    role: Role | None,
    client: Client,
    workspace: Workspace,
    story: Story,
    make_actor: MakeActor,
) -> None:
    actor = make_actor("may not", *([] if role is None else [role]))
    before = audit_head(workspace)
    response = ask(client, route, story, actor=actor)
    assert response.status_code == 403
    assert set(response.json()) == {"error"}
    assert "may not" in response.json()["error"]
    assert audit_head(workspace) == before


def audit_head(workspace: Workspace) -> int:
    with workspace.read() as session:
        return head_number(session)


def test_runs_are_started_and_listed(client: Client, workspace: Workspace, story: Story, scientist: Actor) -> None:
    body = {"dataset": "income@1", "algorithm": "logistic_regression", "features": ["age"], "seed": 3}
    response = client.send("POST", "/runs", body, actor=scientist)
    assert response.status_code == 202
    run_id = response.json()["id"]
    listed = client.send("GET", "/runs", actor=scientist, params={"limit": 1}).json()
    assert [row["id"] for row in listed] == [run_id]
    assert listed[0]["requested_by"] == scientist.name
    older = client.send("GET", "/runs", actor=scientist, params={"before_id": run_id}).json()
    assert story.run_id in [row["id"] for row in older]
    with workspace.read() as session:
        run = session.get_one(Run, run_id)
        assert (run.target, run.seed, run.requested_by) == ("income", 3, scientist.user_id)
        event = session.exec(
            select(AuditEvent).where(AuditEvent.action == "run.requested", AuditEvent.subject_id == run_id)
        ).one()
    assert (event.actor_name, event.via) == (scientist.name, "api")


def test_a_run_that_cannot_be_is_refused_with_the_reason(client: Client, story: Story, scientist: Actor) -> None:
    for change, status, says in [
        ({"dataset": "nothing"}, 404, "no dataset 'nothing'"),
        ({"dataset": "income@7"}, 404, "7 of income"),
        ({"dataset": "income@" + "9" * 30}, 404, "of income"),
        ({"dataset": "income@two"}, 422, "version number"),
        ({"algorithm": "oracle"}, 404, "oracle"),
        ({"features": ["income"]}, 422, "income"),
        ({"seed": -1}, 422, "seed"),
        ({"split": "time"}, 422, "column"),
    ]:
        body = {"dataset": "income", "algorithm": "dummy", "features": ["age"], **change}
        response = client.send("POST", "/runs", body, actor=scientist)
        assert response.status_code == status, (change, response.text)
        assert says in response.json()["error"]


def test_a_run_becomes_a_version_and_is_asked_for(
    client: Client, workspace: Workspace, story: Story, scientist: Actor
) -> None:
    made = client.send("POST", "/models/income/versions", {"run_id": story.run_id}, actor=scientist)
    assert made.json() == {"id": made.json()["id"], "model": "income", "number": 4, "threshold": None}
    untested = {"run_id": story.run_id, "threshold": 0.3}
    refused = client.send("POST", "/models/income/versions", untested, actor=scientist)
    assert (refused.status_code, "could not be tested" in refused.json()["error"]) == (400, True)
    again = client.send("POST", "/models/income/versions", {"run_id": story.run_id}, actor=scientist)
    assert (again.status_code, again.json()["error"]) == (409, f"Run {story.run_id} is income v4 already.")
    asked = client.send("POST", "/requests", {"version": "income@4", "comment": "Better."}, actor=scientist)
    assert (asked.status_code, asked.json()["state"]) == (202, "preparing")
    with workspace.read() as session:
        request = session.get_one(PromotionRequest, asked.json()["id"])
        assert request.requested_by == scientist.user_id
        assert session.get_one(ModelVersion, request.version_id).registered_by == scientist.user_id
    twice = client.send("POST", "/requests", {"version": "income@4", "comment": "Better."}, actor=scientist)
    assert twice.status_code == 409


def test_an_approval_swaps_and_a_rollback_swaps_back(
    client: Client, story: Story, reviewer: Actor, operator: Actor
) -> None:
    shown = client.send("GET", f"/requests/{story.request_id}", actor=reviewer).json()
    body = {"kind": "approve", "evidence_digest": shown["evidence_digest"]}
    decided = client.send("POST", f"/requests/{story.request_id}/decisions", body, actor=reviewer)
    assert (decided.status_code, decided.json()["state"]) == (201, "approved")
    (live,) = client.send("GET", "/live", actor=reviewer).json()
    assert live["version_label"] == "income v3"
    back = client.send("POST", "/models/income/rollback", {"reason": "Harm."}, actor=operator)
    assert back.json()["version"] == "income v2"


@pytest.mark.parametrize(
    ("who", "part"),
    [("uploader", "uploaded the data"), ("launcher", "launched the run"), ("requester", "made the request")],
)
@pytest.mark.parametrize("kind", ["approve", "request_changes", "reject"])
def test_who_took_part_does_not_decide(
    who: str, part: str, kind: str, client: Client, workspace: Workspace, story: Story
) -> None:
    body = {"kind": kind, "evidence_digest": story.digest, "comment": "I know it well."}
    response = client.send("POST", f"/requests/{story.request_id}/decisions", body, actor=getattr(story, who))
    assert response.status_code == 403
    assert part in response.json()["error"]
    with workspace.read() as session:
        assert session.exec(select(Decision)).first() is None
        assert session.get_one(PromotionRequest, story.request_id).state == "open"


def test_a_decision_on_other_evidence_is_refused(client: Client, story: Story, reviewer: Actor) -> None:
    body = {"kind": "approve", "evidence_digest": "0" * 64}
    response = client.send("POST", f"/requests/{story.request_id}/decisions", body, actor=reviewer)
    assert response.status_code == 409
    assert "prepared again" in response.json()["error"]


def test_a_second_decision_is_told_who_was_first(
    client: Client, story: Story, reviewer: Actor, make_actor: MakeActor
) -> None:
    body = {"kind": "reject", "evidence_digest": story.digest, "comment": "Worse for the old."}
    path = f"/requests/{story.request_id}/decisions"
    assert client.send("POST", path, body, actor=reviewer).status_code == 201
    second = client.send("POST", path, body, actor=make_actor("rudi", Role.REVIEWER))
    assert second.status_code == 409
    assert f"{reviewer.name} decided first" in second.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "says"),
    [
        ("POST", "/runs", {"json": {"dataset": "income"}}, 422, "body.algorithm: Field required"),
        ("POST", "/runs", {"json": {"dataset": "income", "algorithm": 7}}, 422, "body.algorithm"),
        ("POST", "/runs", {"json": []}, 422, "body"),
        ("POST", "/runs", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "JSON"),
        ("POST", "/runs", {}, 422, "body: Field required"),
        ("GET", "/runs", {"params": {"limit": "many"}}, 422, "query.limit"),
        ("GET", "/runs", {"params": {"limit": "-1"}}, 422, "query.limit"),
        ("GET", "/runs", {"params": {"limit": "100000"}}, 422, "query.limit"),
        ("GET", "/requests/x", {}, 422, "path.request_id"),
        ("GET", "/requests/7000", {}, 404, "7000"),
        ("GET", f"/requests/{10**30}", {}, 422, "path.request_id"),
        ("GET", f"/datasets/income/versions/{10**30}", {}, 422, "path.number"),
        ("GET", "/live", {"params": {"at": "yesterday"}}, 422, "query.at"),
        ("GET", "/live", {"params": {"at": "2026-03-01T10:00:00"}}, 422, "no time zone"),
        ("POST", "/models/nothing/rollback", {"json": {"reason": "Harm."}}, 404, "nothing"),
        ("POST", "/models/income/versions", {"json": {"run_id": 10**30}}, 422, "body.run_id"),
        ("POST", "/requests", {"json": {"version": "income@1", "comment": " "}}, 422, "comment"),
        ("POST", "/requests", {"json": {"version": "income@1", "comment": "x", "alias": "best"}}, 422, "body.alias"),
        ("GET", "/nowhere", {}, 404, "no such address: GET /nowhere"),
        ("DELETE", "/runs", {}, 405, "DELETE is not answered at /runs"),
        ("GET", "/docs", {}, 404, "no such address"),
        ("GET", "/redoc", {}, 404, "no such address"),
    ],
)
def test_what_is_not_understood_is_told_in_one_shape(
    method: str,
    path: str,
    sent: dict[str, Any],
    status: int,
    says: str,
    client: Client,
    story: Story,
    make_actor: MakeActor,
) -> None:
    everyone = make_actor("everyone", *Role)
    response = client.send(method, path, actor=everyone, **sent)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert says in response.json()["error"]


@pytest.mark.parametrize(
    "name", [":red[x]", "![](http://x/y.png)", "<script>alert(1)</script>", "=HYPERLINK(1)", "x'; DROP TABLE run;--"]
)
def test_a_hostile_name_is_kept_and_given_back_literally(
    name: str, client: Client, story: Story, scientist: Actor
) -> None:
    from urllib.parse import quote

    path = f"/models/{quote(name, safe='')}/versions"
    assert client.send("POST", path, {"run_id": story.run_id}, actor=scientist).json()["model"] == name
    assert name in [row["name"] for row in client.send("GET", "/models", actor=scientist).json()]


def test_a_defect_is_told_in_the_same_shape_and_gives_nothing_away(
    client: Client, story: Story, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr("core.training.queries.list_runs", broken)
    response = client.send("GET", "/runs", actor=scientist)
    assert response.status_code == 500
    assert set(response.json()) == {"error"}
    assert "swordfish" not in json.dumps(response.json())


def test_a_file_handed_in_becomes_a_batch_that_a_job_reads(
    client: Client, workspace: Workspace, scientist: Actor
) -> None:
    response = client.send(
        "POST",
        "/models/income/batches",
        actor=scientist,
        params={"file_name": "../up/may.csv", "time_column": "day"},
        content=b"day,age\n2026-05-01,41\n",
    )
    assert response.status_code == 202, response.text
    with workspace.read() as session:
        batch = session.get_one(Batch, response.json()["id"])
        upload = session.get_one(Upload, batch.upload_id)
        job = session.get_one(Job, response.json()["job_id"])
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "batch.added")).one()
    assert (batch.time_column, batch.state, upload.file_name) == ("day", "pending", "may.csv")
    assert (job.kind, job.subject_id) == ("read_batch", batch.id)
    assert (event.actor_name, event.via) == (scientist.name, "api")
    assert workspace.artifacts.get_bytes(upload.sha256) == b"day,age\n2026-05-01,41\n"
    shown = client.send("GET", f"/batches/{batch.id}", actor=scientist).json()
    assert shown == {"id": batch.id, "state": "pending", "n_rows": None, "error": None}


def test_data_to_monitor_that_cannot_be_is_refused_with_the_reason(client: Client, scientist: Actor) -> None:
    for path, content, status, says in [
        ("/models/income/batches?file_name=a.csv", b"", 422, "body is empty"),
        ("/models/income/batches", b"age\n1\n", 422, "file_name"),
        ("/models/income/batches?file_name=a.csv&time_column=when", b"age\n1\n", 422, "no column 'when'"),
        ("/models/nothing/batches?file_name=a.csv", b"age\n1\n", 404, "nothing"),
        ("/models/income/batches?file_name=a.csv&alias=shadow", b"age\n1\n", 404, "monitor"),
        ("/models/income/labels?file_name=a.csv&id_column=key", LABELS, 422, "no column 'key'"),
    ]:
        response = client.send("POST", path, actor=scientist, content=content)
        assert response.status_code == status, (path, response.text)
        assert says in response.json()["error"]
    for body, status, says in [
        ({"dataset": "income@9"}, 404, "9 of income"),
        ({"dataset": "income@1", "time_column": "when"}, 422, "no column 'when'"),
    ]:
        response = client.send("POST", "/models/income/batches/from-dataset", body, actor=scientist)
        assert response.status_code == status, response.text
        assert says in response.json()["error"]
