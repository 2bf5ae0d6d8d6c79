from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import anyio
import httpx
import pyarrow as pa
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlmodel import select

from core.access.service import create_token, revoke_token
from core.health.tables import HealthSample
from core.jobs import processes
from core.permissions import Actor
from core.registry import queries
from core.registry.service import assign, register_version
from core.registry.tables import Alias, Cause, Environment
from core.serving import inputs
from core.serving.app import MAX_BODY_BYTES, create_app
from core.serving.queries import read_segments, segments
from core.serving.tables import PredictionSegment
from core.training.threshold_analysis import choose
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import LiveModel, go_live, json_rows, live_fixtures, stream

ROWS = json_rows(stream(5, seed=9))


class Client:
    """Speaks HTTP to the application in its own event loop, started and stopped like a process."""

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        self._portal, self._app = portal, app
        self._lifespan = portal.wrap_async_context_manager(app.router.lifespan_context(app))

    def __enter__(self) -> Client:
        self._lifespan.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._lifespan.__exit__(None, None, None)

    def request(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://scoring") as client:
                return await client.request(method, path, **sent)

        return self._portal.call(send)

    def predict(self, rows: Any, *, token: str, model: str = "pay", alias: str = "champion") -> httpx.Response:
        from urllib.parse import quote

        return self.request(
            "POST",
            f"/v1/models/{quote(model, safe='')}/{alias}/predict",
            content=json.dumps({"rows": rows}),
            headers={"Authorization": f"Bearer {token}"},
        )


made, home, live, scientist = live_fixtures(n_rows=400)


@pytest.fixture
def client(workspace: Workspace) -> Iterator[Client]:
    with start_blocking_portal() as portal, Client(portal, create_app(workspace.settings)) as opened:
        yield opened


@pytest.fixture
def token(workspace: Workspace, scientist: Actor, now: datetime) -> str:
    with workspace.write() as session:
        return create_token(session, name="script", actor=scientist, now=now)[1]


def test_a_live_model_answers_each_row_in_order(live: LiveModel, client: Client, token: str) -> None:
    response = client.predict(ROWS, token=token)
    assert response.status_code == 200
    document = response.json()
    assert (document["model"], document["version"], document["deployment_id"]) == ("pay", 1, live.deployment_id)
    assert len(document["predictions"]) == len(ROWS)
    for one in document["predictions"]:
        assert one["prediction"] == max(one["scores"], key=one["scores"].get)
        assert sum(one["scores"].values()) == pytest.approx(1)
    alone = [client.predict([row], token=token).json()["predictions"][0]["scores"] for row in ROWS]
    together = [one["scores"] for one in document["predictions"]]
    for single, batched in zip(alone, together, strict=True):
        assert single == pytest.approx(batched)
    ids = {one["prediction_id"] for one in document["predictions"]}
    assert len(ids) == len(ROWS)


def test_every_answer_is_in_the_log_after_a_stop(workspace: Workspace, live: LiveModel, token: str) -> None:
    with start_blocking_portal() as portal, Client(portal, create_app(workspace.settings)) as opened:
        answers = [one for _ in range(3) for one in opened.predict(ROWS, token=token).json()["predictions"]]
    with workspace.read() as session:
        kept = segments(session, live.model_id)
        assert {segment.version_id for segment in kept} == {live.version_id}
        assert {(segment.environment, segment.alias) for segment in kept} == {("production", "champion")}
    table = pa.concat_tables(read_segments(workspace.artifacts, kept))
    logged = dict(zip(table["prediction_id"].to_pylist(), table["prediction"].to_pylist(), strict=True))
    assert logged == {one["prediction_id"]: one["prediction"] for one in answers}
    assert table["feature:hours"].to_pylist() == [row["hours"] for row in ROWS] * 3
    assert table["feature:job"].to_pylist() == [row["job"] for row in ROWS] * 3
    assert list(workspace.home.glob("spool/production/*")) == []


def test_the_log_is_sealed_while_the_process_runs(
    workspace: Workspace, live: LiveModel, client: Client, token: str
) -> None:
    client.predict(ROWS, token=token)

    async def wait() -> None:
        with anyio.fail_after(20):
            while True:
                with workspace.read() as session:
                    if session.exec(select(PredictionSegment)).first() is not None:
                        return
                await anyio.sleep(0.1)

    anyio.run(wait)


def test_a_swap_takes_effect_with_the_next_request(
    workspace: Workspace, live: LiveModel, client: Client, token: str, scientist: Actor, now: datetime
) -> None:
    assert client.predict(ROWS, token=token).json()["version"] == 1
    go_live(workspace, scientist, now, n_rows=400, algorithm="dummy", seed=2)
    after = client.predict(ROWS, token=token).json()
    assert after["version"] == 2
    assert len({json.dumps(one["scores"]) for one in after["predictions"]}) == 1  # the dummy says the same of each


def between(client: Client, token: str, low: float, high: float) -> dict[str, Any]:
    """A row whose score of "yes" lies between two numbers."""
    rows = json_rows(stream(200, seed=11))
    answers = client.predict(rows, token=token).json()["predictions"]
    return next(row for row, answer in zip(rows, answers, strict=True) if low < answer["scores"]["yes"] < high)


def test_the_threshold_stored_with_a_version_decides(
    workspace: Workspace, live: LiveModel, client: Client, token: str, scientist: Actor, now: datetime
) -> None:
    """Two versions of one file: the same score is decided by the threshold of whichever is live."""
    row = between(client, token, 0.25, 0.45)
    first = client.predict([row], token=token).json()
    score = first["predictions"][0]["scores"]["yes"]
    assert first["threshold"] is None
    assert first["predictions"][0]["prediction"] == "no"

    def swap(version_id: int) -> None:
        with workspace.write() as session:
            assign(
                session,
                version_id=version_id,
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                cause=Cause.PROMOTION,
                actor=scientist,
                now=now,
            )

    with workspace.read() as session:
        run_id = queries.version(session, live.version_id).run_id
    chosen = choose(workspace, run_id=run_id, threshold=0.25)
    with workspace.write() as session:
        version = register_version(session, run_id=run_id, model_name="pay", threshold=chosen, actor=scientist, now=now)
    assert version.model_sha256 == first_file(workspace, live)
    swap(key(version))
    second = client.predict([row], token=token).json()
    assert (second["version"], second["threshold"]) == (2, 0.25)
    assert second["predictions"][0]["prediction"] == "yes"
    assert second["predictions"][0]["scores"]["yes"] == score
    swap(live.version_id)
    third = client.predict([row], token=token).json()
    assert (third["version"], third["threshold"]) == (1, None)
    assert third["predictions"][0]["prediction"] == "no"


def first_file(workspace: Workspace, live: LiveModel) -> str:
    with workspace.read() as session:
        return queries.version(session, live.version_id).model_sha256


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer not-a-token"])
def test_without_a_valid_token_nothing_is_answered(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = client.request("POST", "/v1/models/pay/champion/predict", json={"rows": []}, headers=headers)
    assert response.status_code == 401
    assert "token" in response.json()["error"]


def test_a_revoked_token_is_refused(
    workspace: Workspace, live: LiveModel, client: Client, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        row, secret = create_token(session, name="short", actor=scientist, now=now)
    assert client.predict(ROWS, token=secret).status_code == 200
    with workspace.write() as session:
        assert row.id is not None
        revoke_token(session, token_id=row.id, actor=scientist, now=now)
    assert client.predict(ROWS, token=secret).status_code == 401


def test_a_role_without_the_permission_is_refused(
    workspace: Workspace, live: LiveModel, client: Client, viewer: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        secret = create_token(session, name="script", actor=viewer, now=now)[1]
    response = client.predict(ROWS, token=secret)
    assert response.status_code == 403
    assert "viewer" in response.json()["error"]


@pytest.mark.parametrize(
    ("model", "alias", "says"),
    [
        ("nothing", "champion", "no model 'nothing'"),
        ("pay", "challenger", "pay in production"),
        ("pay", "best", "champion, challenger, shadow"),
        ("../../x", "champion", "'../../x'"),
        ("<script>", "champion", "'<script>'"),
        ("x" * 5_000, "champion", "…"),
    ],
)
def test_what_is_not_live_is_not_found(
    live: LiveModel, client: Client, token: str, model: str, alias: str, says: str
) -> None:
    response = client.predict(ROWS, token=token, model=model, alias=alias)
    assert response.status_code == 404
    assert says in response.json()["error"]
    assert len(response.json()["error"]) < 500


def test_a_hostile_model_name_is_served_literally(
    workspace: Workspace, client: Client, token: str, scientist: Actor, now: datetime
) -> None:
    name = "../../:red[x]/<script> ü"
    go_live(workspace, scientist, now, name=name, n_rows=400)
    response = client.predict(ROWS, token=token, model=name)
    assert response.status_code == 200
    assert response.json()["model"] == name


def changed(**over: Any) -> list[dict[str, Any]]:
    return [ROWS[0], {**ROWS[1], **over}]


def without(name: str) -> list[dict[str, Any]]:
    return [ROWS[0], {key: value for key, value in ROWS[1].items() if key != name}]


@pytest.mark.parametrize(
    ("rows", "field", "given", "expected"),
    [
        (without("age"), "age", "nothing", "a whole number"),
        (changed(age="forty"), "age", 'the text "forty"', "a whole number"),
        (changed(age=40.5), "age", "the number 40.5", "a whole number"),
        (changed(age=True), "age", "true", "a whole number"),
        (changed(hours=10**400), "hours", "a number too large", "a number"),
        (changed(hours=[1]), "hours", "a list", "a number"),
        (changed(job=3), "job", "the number 3", "text"),
        (changed(member="yes"), "member", 'the text "yes"', "true or false"),
        (changed(hours=None), "hours", "null", "a number; it was never missing in training"),
        (changed(horus=1), "horus", "a feature the model does not know", "only: age, hours, job and member"),
        ([ROWS[0], 7], "row", "the number 7", "an object with one value per feature"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_name(
    live: LiveModel, client: Client, token: str, rows: list[Any], field: str, given: str, expected: str
) -> None:
    response = client.predict(rows, token=token)
    assert response.status_code == 422
    document = response.json()
    assert (document["row"], document["field"], document["given"], document["expected"]) == (2, field, given, expected)
    assert field in document["error"]


def test_a_number_that_is_not_finite_is_refused(live: LiveModel, client: Client, token: str) -> None:
    response = client.predict(changed(hours=float("nan")), token=token)
    assert response.status_code == 422
    assert response.json()["given"] == "a number that is not finite"


def test_a_category_never_seen_is_answered(live: LiveModel, client: Client, token: str) -> None:
    assert client.predict(changed(job="=HYPERLINK(1)"), token=token).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 400, "one key"),
        (b'{"rows": [], "more": 1}', 400, "one key"),
        (b'{"rows": []}', 422, "1 to 10,000"),
        (b'{"rows": {}}', 422, "must be a list"),
    ],
    ids=["empty", "cut", "not text", "deep", "list", "more keys", "no rows", "rows no list"],
)
def test_a_body_that_is_no_request_is_refused(
    live: LiveModel, client: Client, token: str, content: bytes, status: int, says: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    response = client.request("POST", "/v1/models/pay/champion/predict", content=content, headers=headers)
    assert response.status_code == status
    assert says in response.json()["error"]


def test_too_much_at_once_is_refused(live: LiveModel, client: Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    large = b" " * (MAX_BODY_BYTES + 1)
    response = client.request("POST", "/v1/models/pay/champion/predict", content=large, headers=headers)
    assert response.status_code == 413
    assert client.predict([{}] * (inputs.MAX_ROWS + 1), token=token).status_code == 422


def test_other_addresses_and_methods_get_plain_errors(client: Client) -> None:
    assert client.request("GET", "/nowhere").json()["error"].startswith("There is no such address")
    assert client.request("GET", "/v1/models/pay/champion/predict").status_code == 405
    assert client.request("GET", "/docs").status_code == 404


def test_a_damaged_model_file_is_not_used(workspace: Workspace, live: LiveModel, client: Client, token: str) -> None:
    from core.registry.tables import ModelVersion

    with workspace.read() as session:
        path = workspace.artifacts.path(session.get_one(ModelVersion, live.version_id).model_sha256)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    response = client.predict(ROWS, token=token)
    assert response.status_code == 500
    assert "changed after it was written" in response.json()["error"]


def test_health_and_heartbeat(workspace: Workspace, client: Client) -> None:
    assert client.request("GET", "/healthz").json()["status"] == "ok"
    from core.database import utc_now

    async def wait() -> None:
        with anyio.fail_after(10):
            while True:
                with workspace.read() as session:
                    if any(one.role == "scoring" for one in processes.alive(session, utc_now())):
                        return
                await anyio.sleep(0.05)

    anyio.run(wait)


def test_what_became_of_each_request_is_counted(
    workspace: Workspace, live: LiveModel, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_blocking_portal() as portal, Client(portal, create_app(workspace.settings)) as opened:
        for _ in range(3):
            assert opened.predict(ROWS, token=token).status_code == 200
        assert opened.predict([{}], token=token).status_code == 422
        assert opened.predict(ROWS, token="wrong").status_code == 401
        with monkeypatch.context() as patched:
            patched.setattr("core.serving.app.predict", lambda *_, **__: 1 / 0)
            assert opened.predict(ROWS, token=token).status_code == 500
    with workspace.read() as session:
        rows = session.exec(select(HealthSample).where(HealthSample.process == "scoring")).all()
    model = f"model {live.model_id} champion production"
    by_subject: dict[str, dict[str, float]] = {}
    for row in rows:
        by_subject.setdefault(row.subject, {})
        by_subject[row.subject][row.key] = by_subject[row.subject].get(row.key, 0.0) + row.value
    # Counts become rates of the time since the last sample, so that they compare by their ratios.
    one = by_subject[""]["errors"]
    assert one > 0
    assert by_subject[""]["requests"] / one == pytest.approx(6)
    assert by_subject[""]["refused"] / one == pytest.approx(2)
    assert by_subject[model]["requests"] / one == pytest.approx(5)
    assert by_subject[model]["refused"] / one == pytest.approx(1)
    assert by_subject[model]["rows"] * 60 / one == pytest.approx(3 * len(ROWS))
    assert by_subject[model]["latency_p50_ms"] <= by_subject[model]["latency_p99_ms"]
    assert by_subject[""]["memory_bytes"] > 0
