"""From a file to a decision on real data, through the jobs that do the work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sqlmodel import delete

from core.access.tables import UserRole
from core.automation.inline import run_all
from core.datasets import ingest
from core.datasets import queries as datasets
from core.datasets import service as datasets_service
from core.datasets.splitting import SplitOptions
from core.datasets.tables import Relation
from core.errors import NotApplicable, PermissionDenied, StaleRevision
from core.governance import queries, service
from core.governance.as_of import live_as_of
from core.governance.binding import digest
from core.governance.integrity import verify_everything
from core.governance.tables import DecisionKind, PromotionRequest, RequestState
from core.permissions import Actor, Role
from core.registry import queries as registry
from core.registry import retraining
from core.registry import service as registry_service
from core.training import service as training
from core.training.specification import RunSpec
from core.training.tables import Run
from core.workspace import Workspace
from tests.factories import NOW, key, make_model

MakeActor = Callable[..., Actor]


class Walk:
    """Walks the path for one model, each step in a transaction of its own, an hour apart."""

    def __init__(self, workspace: Workspace, make_actor: MakeActor, folder: Path) -> None:
        self.workspace, self.folder, self.now = workspace, folder, NOW
        self.sam = make_actor("sam", Role.DATA_SCIENTIST)
        self.rita = make_actor("rita", Role.REVIEWER)
        self.olga = make_actor("olga", Role.OPERATOR)

    def later(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def upload(self, frame: pd.DataFrame, relation: Relation) -> int:
        path = self.folder / "cells.csv"
        frame.to_csv(path, index=False)
        options = ingest.inspect(path, file_name=path.name).options
        stored = self.workspace.artifacts.put_file(path)
        now = self.later()
        with self.workspace.write() as session:
            upload = datasets_service.store_upload(
                session, artifact=stored, file_name=path.name, actor=self.sam, now=now
            )
            intake = datasets_service.request_intake(
                session,
                upload_id=key(upload),
                dataset_name="cells",
                relation=relation,
                options=options,
                target="finding",
                sensitive=["site"],
                time_column=None,
                actor=self.sam,
                now=now,
            )
        run_all(self.workspace, self.now)
        with self.workspace.read() as session:
            done = datasets.intake(session, key(intake))
            assert done.version_id is not None, done.error
            return done.version_id

    def train(self, version_id: int, algorithm: str, **parameters: object) -> int:
        spec = RunSpec(
            dataset_version_id=version_id,
            target="finding",
            task=None,
            features=None,
            split=SplitOptions(),
            algorithm=algorithm,
            parameters=parameters,
            seed=0,
        )
        with self.workspace.write() as session:
            run = training.request_run(session, spec=spec, actor=self.sam, now=self.later())
        return self.finish(key(run))

    def finish(self, run_id: int) -> int:
        run_all(self.workspace, self.now)
        with self.workspace.read() as session:
            run = session.get_one(Run, run_id)
            assert run.state == "finished", run.error
        return run_id

    def register(self, run_id: int) -> int:
        with self.workspace.write() as session:
            return key(
                registry_service.register_version(
                    session, run_id=run_id, model_name="cells", actor=self.sam, now=self.later()
                )
            )

    def ask(self, version_id: int) -> PromotionRequest:
        with self.workspace.write() as session:
            request_id = key(
                service.request_promotion(
                    session, version_id=version_id, comment="Please.", actor=self.sam, now=self.later()
                )
            )
        run_all(self.workspace, self.now)
        return self.request(request_id)

    def request(self, request_id: int) -> PromotionRequest:
        with self.workspace.read() as session:
            return queries.request(session, request_id)

    def approve(self, request: PromotionRequest) -> None:
        assert request.evidence_digest is not None, request.error
        with self.workspace.write() as session:
            service.decide(
                session,
                self.workspace.artifacts,
                request_id=key(request),
                kind=DecisionKind.APPROVE,
                comment="Good.",
                evidence_digest=request.evidence_digest,
                actor=self.rita,
                now=self.later(),
            )

    def page(self, request: PromotionRequest, actor: Actor) -> queries.DecisionPage:
        with self.workspace.read() as session:
            return queries.decision_page(session, key(request), actor, self.now)


@pytest.fixture
def cells() -> pd.DataFrame:
    loaded = load_breast_cancer(as_frame=True)
    frame = loaded.data.iloc[:, :8].round(5)
    frame["site"] = np.where(np.arange(len(frame)) % 2 == 0, "north", "south")
    frame["finding"] = np.where(loaded.target == 1, "benign", "malignant")
    return frame


@pytest.fixture
def path(workspace: Workspace, make_actor: MakeActor, tmp_path: Path) -> Walk:
    return Walk(workspace, make_actor, tmp_path)


def outcomes(page: queries.DecisionPage) -> dict[str, str]:
    return {row.code: row.outcome for row in page.gates}


def test_from_an_upload_to_a_rollback(path: Walk, cells: pd.DataFrame) -> None:
    first_data = path.upload(cells.iloc[:400], Relation.NEW)
    weak, strong = (
        path.register(path.train(first_data, "logistic_regression")),
        path.register(path.train(first_data, "random_forest", n_estimators=20)),
    )

    first = path.ask(weak)
    assert first.state == RequestState.OPEN, first.error
    page = path.page(first, path.rita)
    assert page.question == "Make cells v1 champion in production?"
    assert outcomes(page) == {
        "better_than_dummy": "passed",
        "not_worse_fixed": "not_applicable",
        "not_worse_latest": "not_applicable",
        "data_checks": "passed",
        "smoke_test": "passed",
        "card_complete": "failed",
        "no_quarantine": "passed",
        "behaviour_suite": "passed",
        "evaluation_set_worn": "not_applicable",
    }
    assert (page.n_blocking, page.n_warnings, page.may_decide) == (0, 1, True)
    assert page.comparisons == ()
    assert page.dummy is not None
    assert page.dummy["verdict"] == "better"
    assert page.metrics["champion"] is None
    assert {entry["column"] for entry in page.fairness} == {"site"}
    assert not path.page(first, path.sam).may_decide
    before_anything = path.now
    path.approve(first)
    first_live = path.now

    second_data = path.upload(cells.iloc[400:], Relation.ADDS_TO)
    with path.workspace.write() as session:
        (champion,) = retraining.models_for_dataset(session, datasets.version(session, second_data).dataset_id)
        run = retraining.request_retraining(
            session, model_id=champion.model_id, dataset_version_id=second_data, actor=path.olga, now=path.later()
        )
        assert run.retrained_from_id == champion.run_id
        assert run.algorithm == "logistic_regression"
    retrained = path.register(path.finish(key(run)))

    second = path.ask(retrained)
    page = path.page(second, path.rita)
    assert page.question == "Make cells v3 champion in production, replacing v1?"
    assert [entry["set"] for entry in page.comparisons] == ["fixed", "latest"]
    assert {entry["baseline_label"] for entry in page.comparisons} == {"cells v1"}
    assert page.changed is not None
    assert page.changed_by_slice[0]["slice"].startswith("site = ")
    assert page.data_changes
    assert page.stale == ()
    assert digest(second.evidence) == second.evidence_digest
    assert page.way_back is not None
    assert page.way_back.version_id == weak
    assert {row.code for row in page.gates if row.blocks} <= {"not_worse_fixed", "not_worse_latest"}

    third = path.ask(strong)
    if path.page(second, path.rita).n_blocking:
        waive_all(path, second)
    path.approve(second)
    with pytest.raises(StaleRevision, match="another version became live"):
        path.approve(third)

    with path.workspace.write() as session:
        service.roll_back(session, model_id=champion.model_id, reason="Complaints.", actor=path.olga, now=path.later())
    with path.workspace.read() as session:
        live = registry.live(session, model_id=champion.model_id)
        assert live is not None
        assert live.version_id == weak
        assert live_as_of(session, before_anything) == []
        (row,) = live_as_of(session, first_live)
        assert (row.version_label, row.approvers, row.requested_by) == ("cells v1", ("rita",), "sam")
        assert row.evidence_digest == first.evidence_digest
        assert row.gates == "5 passed, 1 failed, 3 not applicable"
        (row,) = live_as_of(session, path.now)
        assert (row.cause, row.deployed_by, row.reason) == ("rollback", "olga", "Complaints.")
        assert (row.request_id, row.approvers) == (first.id, ("rita",))
    assert verify_everything(path.workspace).intact


def waive_all(path: Walk, request: PromotionRequest) -> None:
    with path.workspace.write() as session:
        for row in queries.decision_page(session, key(request), path.rita, path.now).gates:
            if row.blocks:
                service.grant_waiver(
                    session,
                    request_id=key(request),
                    gate=row.code,
                    reason="Few rows.",
                    until=path.now + timedelta(days=1),
                    actor=path.rita,
                    now=path.now,
                )


def test_a_dummy_and_a_foreign_model_file_do_not_pass_the_gates(path: Walk, cells: pd.DataFrame) -> None:
    data = path.upload(cells, Relation.NEW)
    dummy = path.ask(path.register(path.train(data, "dummy")))
    assert outcomes(path.page(dummy, path.rita))["better_than_dummy"] == "failed"

    version_id = path.register(path.train(data, "logistic_regression"))
    with path.workspace.read() as session:
        model_file = path.workspace.artifacts.path(registry.version(session, version_id).model_sha256)
    content = model_file.read_bytes()
    model_file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    damaged = path.ask(version_id)
    page = path.page(damaged, path.rita)
    assert outcomes(page)["smoke_test"] == "failed"
    assert "bytes no longer match" in next(row.explanation for row in page.gates if row.code == "smoke_test")
    report = verify_everything(path.workspace)
    assert report.chain.intact
    assert {one.what for one in report.damaged} == {"model file of cells v2", "model file of run 2"}
    model_file.unlink()
    assert {one.reason for one in verify_everything(path.workspace).damaged} == {"missing"}


def test_quarantined_data_blocks(path: Walk, cells: pd.DataFrame) -> None:
    data = path.upload(cells, Relation.NEW)
    version_id = path.register(path.train(data, "logistic_regression"))
    with path.workspace.write() as session:
        datasets_service.quarantine(session, version_id=data, reason="Wrong labels.", actor=path.rita, now=path.later())
    page = path.page(path.ask(version_id), path.rita)
    assert outcomes(page)["no_quarantine"] == "failed"
    assert page.n_blocking == 1


def test_whoever_lost_the_permission_meanwhile_prepares_nothing(path: Walk, cells: pd.DataFrame) -> None:

    version_id = path.register(path.train(path.upload(cells, Relation.NEW), "logistic_regression"))
    with path.workspace.write() as session:
        request_id = key(
            service.request_promotion(session, version_id=version_id, comment="x", actor=path.sam, now=path.later())
        )
        session.execute(delete(UserRole).where(UserRole.user_id == path.sam.user_id))  # type: ignore[arg-type]
    run_all(path.workspace, path.now)
    request = path.request(request_id)
    assert request.state == RequestState.PREPARING
    assert "may not create a request" in (request.error or "")


def test_retraining_takes_its_permission(path: Walk) -> None:
    with path.workspace.write() as session:
        with pytest.raises(PermissionDenied, match="retrain a run"):
            retraining.request_retraining(session, model_id=1, dataset_version_id=1, actor=path.rita, now=path.now)
        model = make_model(session)
        with pytest.raises(NotApplicable, match="no champion"):
            retraining.request_retraining(
                session, model_id=key(model), dataset_version_id=1, actor=path.sam, now=path.now
            )
