"""Default deny, function by function: every function that acts for somebody refuses who may not, and writes nothing."""

# ruff: noqa: ARG005 - every call of the table is called alike

from __future__ import annotations

import ast
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

import core
from core.access import service as access
from core.access.secrets import secret_hash
from core.access.tables import ApiToken, User, UserRole
from core.backup import make_backup
from core.collaboration.service import add_comment
from core.datasets import service as datasets
from core.datasets.ingest import inspect
from core.datasets.options import ParseOptions
from core.datasets.tables import Relation
from core.errors import LifecycleError, PermissionDenied, SchemaMismatch
from core.governance import policies, standing
from core.governance import service as governance
from core.governance.gates import GATES
from core.governance.integrity import verify_everything
from core.governance.tables import DecisionKind
from core.incidents import service as incidents
from core.incidents.evidence import Evidence
from core.incidents.triage import triage
from core.jobs.context import JobContext
from core.jobs.kinds import JOB_KINDS
from core.monitoring import batch_withdrawal, rule_service
from core.monitoring import service as monitoring
from core.monitoring.tables import Alert, Batch, BatchState, Window
from core.permissions import ROLE_PERMISSIONS, Actor, Permission, Role
from core.registry import retraining, suites
from core.registry import service as registry
from core.registry.tables import Alias, Cause, Environment
from core.serving import answering
from core.serving.answering import predict
from core.settings import Settings
from core.training import service as training
from core.training.specification import RunSpec
from core.workspace import Workspace, open_workspace
from tests.factories import (
    NOW,
    SIGNATURE,
    add,
    key,
    make_dataset_version,
    make_evaluation,
    make_model,
    make_open_request,
    make_run,
    make_stored_version,
    make_upload,
)

P = Permission
FOUND = triage(Evidence("2026-03", 500, 100))
PROFILE = {"columns": [{"name": "age", "n_distinct": 60}, {"name": "income", "n_distinct": 2}]}


@dataclass
class Ground:
    """A home in which every function of the table has something to act on, and an account of each role."""

    workspace: Workspace
    options: ParseOptions
    actors: dict[Role, Actor] = field(default_factory=dict)
    nobody: Actor = field(init=False)
    ids: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    card_revision: int = 0

    def __getattr__(self, name: str) -> int:
        try:
            return self.ids[name]
        except KeyError:
            raise AttributeError(name) from None

    def state(self) -> str:
        """A digest of every row of every table and the name of every stored file."""
        connection = sqlite3.connect(self.workspace.home / "gatehouse.db")
        try:
            everything = hashlib.sha256("\n".join(connection.iterdump()).encode())
        finally:
            connection.close()
        for path in sorted(self.workspace.home.rglob("*")):
            if not path.name.startswith("gatehouse.db"):
                everything.update(str(path).encode())
        return everything.hexdigest()


Call = Callable[[Session, Ground, Actor], object]


@dataclass(frozen=True)
class Change:
    """One function, what it takes to call it, and a call that goes through for who may.

    Parameters
    ----------
    needs : tuple of Permission
        Any one of them is enough.
    stops_at : exception, optional
        Where the call ends for who may: past the permission, at the next thing asked.
    """

    call: Call
    needs: tuple[Permission, ...]
    stops_at: type[LifecycleError] | None = None


TABLE: dict[str, Change] = {
    "core.access.service.add_user": Change(
        lambda s, g, a: access.add_user(s, name="new", roles=[Role.VIEWER], password=None, actor=a, now=NOW),
        (P.USER_EDIT,),
    ),
    "core.access.service.set_roles": Change(
        lambda s, g, a: access.set_roles(s, user_id=g.somebody, roles=[Role.REVIEWER], actor=a, now=NOW),
        (P.USER_EDIT,),
    ),
    "core.access.service.set_active": Change(
        lambda s, g, a: access.set_active(s, user_id=g.somebody, active=False, actor=a, now=NOW), (P.USER_EDIT,)
    ),
    "core.access.service.set_password": Change(
        lambda s, g, a: access.set_password(s, user_id=g.somebody, password="a long password", actor=a, now=NOW),
        (P.USER_EDIT,),
    ),
    "core.access.service.create_token": Change(
        lambda s, g, a: access.create_token(s, name="script", actor=a, now=NOW), (P.TOKEN_CREATE,)
    ),
    "core.access.service.revoke_token": Change(
        lambda s, g, a: access.revoke_token(s, token_id=g.token, actor=a, now=NOW), (P.USER_EDIT,)
    ),
    "core.backup.make_backup": Change(
        lambda s, g, a: make_backup(g.workspace, g.workspace.home.parent / "backup.tar", actor=a, now=NOW),
        (P.STORAGE_EDIT,),
    ),
    "core.collaboration.service.add_comment": Change(
        lambda s, g, a: add_comment(s, subject_kind="run", subject_id=g.run, body="Why?", actor=a, now=NOW),
        (P.COMMENT_ADD,),
    ),
    "core.datasets.service.store_upload": Change(
        lambda s, g, a: datasets.store_upload(
            s, artifact=g.workspace.artifacts.put_bytes(b"stored before"), file_name="x.csv", actor=a, now=NOW
        ),
        (P.DATASET_ADD, P.BATCH_ADD),
    ),
    "core.datasets.service.request_intake": Change(
        lambda s, g, a: datasets.request_intake(
            s,
            upload_id=g.upload,
            dataset_name="new",
            relation=Relation.NEW,
            options=g.options,
            target="income",
            sensitive=(),
            time_column=None,
            actor=a,
            now=NOW,
        ),
        (P.DATASET_ADD,),
    ),
    "core.datasets.service.quarantine": Change(
        lambda s, g, a: datasets.quarantine(s, version_id=g.data, reason="Wrong.", actor=a, now=NOW),
        (P.DATASET_QUARANTINE,),
    ),
    "core.datasets.service.lift_quarantine": Change(
        lambda s, g, a: datasets.lift_quarantine(s, version_id=g.quarantined, actor=a, now=NOW),
        (P.DATASET_QUARANTINE,),
    ),
    "core.datasets.service.set_costs": Change(
        lambda s, g, a: datasets.set_costs(
            s,
            dataset_id=g.dataset,
            costs={"labels": ["<=50K", ">50K"], "matrix": [[0, 1], [5, 0]]},
            actor=a,
            now=NOW,
        ),
        (P.DATASET_ADD,),
    ),
    "core.governance.integrity.verify_everything": Change(
        lambda s, g, a: verify_everything(g.workspace, actor=a), (P.AUDIT_VERIFY,)
    ),
    "core.governance.service.request_promotion": Change(
        lambda s, g, a: governance.request_promotion(s, version_id=g.idle, comment="Better.", actor=a, now=NOW),
        (P.REQUEST_CREATE,),
    ),
    "core.governance.service.renew": Change(
        lambda s, g, a: governance.renew(s, request_id=g.request, actor=a, now=NOW), (P.REQUEST_CREATE,)
    ),
    "core.governance.service.withdraw": Change(
        lambda s, g, a: governance.withdraw(s, request_id=g.request, actor=a, now=NOW), (P.REQUEST_CREATE,)
    ),
    "core.governance.service.decide": Change(
        lambda s, g, a: governance.decide(
            s,
            g.workspace.artifacts,
            request_id=g.request,
            kind=DecisionKind.REJECT,
            comment="Worse.",
            evidence_digest=g.digest,
            actor=a,
            now=NOW,
        ),
        (P.REQUEST_DECIDE,),
    ),
    "core.governance.service.roll_back": Change(
        lambda s, g, a: governance.roll_back(s, model_id=g.model, reason="Harm.", actor=a, now=NOW),
        (P.DEPLOYMENT_ROLL_BACK,),
    ),
    "core.governance.service.grant_waiver": Change(
        lambda s, g, a: governance.grant_waiver(
            s,
            request_id=g.request,
            gate="smoke_test",
            reason="Known.",
            until=NOW + timedelta(days=1),
            actor=a,
            now=NOW,
        ),
        (P.WAIVER_GRANT,),
    ),
    "core.governance.policies.save_policy": Change(
        lambda s, g, a: policies.save_policy(
            s, gates=dict.fromkeys(GATES, "blocking"), margins={}, approvals=2, reason="Two eyes.", actor=a, now=NOW
        ),
        (P.POLICY_EDIT,),
    ),
    "core.governance.service.edit_card": Change(
        lambda s, g, a: governance.edit_card(
            s, version_id=g.candidate, sections={}, revision=g.card_revision, actor=a, now=NOW
        ),
        (P.CARD_EDIT,),
    ),
    "core.monitoring.service.edit_monitor": Change(
        lambda s, g, a: monitoring.edit_monitor(
            s, monitor_id=g.monitor, window="week", false_alerts=0.1, min_rows=50, min_effect=0.2, actor=a, now=NOW
        ),
        (P.MONITOR_EDIT,),
    ),
    "core.monitoring.service.add_batch": Change(
        lambda s, g, a: monitoring.add_batch(
            s, monitor_id=g.monitor, upload_id=g.upload, options=g.options, time_column=None, actor=a, now=NOW
        ),
        (P.BATCH_ADD,),
    ),
    "core.monitoring.service.add_version": Change(
        lambda s, g, a: monitoring.add_version(
            s, monitor_id=g.monitor, dataset_version_id=g.data, time_column=None, actor=a, now=NOW
        ),
        (P.BATCH_ADD,),
    ),
    "core.monitoring.batch_withdrawal.withdraw_batch": Change(
        lambda s, g, a: batch_withdrawal.withdraw_batch(
            s, batch_id=g.batch, reason="The wrong file.", actor=a, now=NOW
        ),
        (P.BATCH_ADD,),
    ),
    "core.monitoring.service.add_labels": Change(
        lambda s, g, a: monitoring.add_labels(
            s,
            model_id=g.model,
            upload_id=g.upload,
            options=g.options,
            id_column="age",
            label_column="income",
            actor=a,
            now=NOW,
        ),
        (P.BATCH_ADD,),
    ),
    "core.monitoring.service.refresh": Change(
        lambda s, g, a: monitoring.refresh(s, monitor_id=g.monitor, actor=a, now=NOW), (P.BATCH_ADD,)
    ),
    "core.monitoring.service.request_version_comparison": Change(
        lambda s, g, a: monitoring.request_version_comparison(
            s, reference_id=g.data, current_id=g.quarantined, actor=a, now=NOW
        ),
        (P.DATASET_READ,),
    ),
    "core.monitoring.service.request_window_comparison": Change(
        lambda s, g, a: monitoring.request_window_comparison(
            s, first_id=g.window, second_id=g.other_window, actor=a, now=NOW
        ),
        (P.MONITORING_READ,),
    ),
    "core.monitoring.service.request_preview": Change(
        lambda s, g, a: monitoring.request_preview(s, monitor_id=g.monitor, window="week", actor=a, now=NOW),
        (P.MONITOR_EDIT,),
    ),
    "core.monitoring.service.acknowledge_alert": Change(
        lambda s, g, a: monitoring.acknowledge_alert(s, alert_id=g.alert, note="Mine.", actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.monitoring.rule_service.edit_rule": Change(
        lambda s, g, a: rule_service.edit_rule(
            s, monitor_id=g.monitor, kind="no_predictions", enabled=True, parameters={"hours": 5}, actor=a, now=NOW
        ),
        (P.MONITOR_EDIT,),
    ),
    "core.monitoring.service.resolve_alert": Change(
        lambda s, g, a: monitoring.resolve_alert(s, alert_id=g.alert, note="Done.", actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.open_from_window": Change(
        lambda s, g, a: incidents.open_from_window(s, window_id=g.window, triage=FOUND, actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.open_from_alert": Change(
        lambda s, g, a: incidents.open_from_alert(s, alert_id=g.alert, triage=FOUND, actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.request_triage": Change(
        lambda s, g, a: incidents.request_triage(s, window_id=g.window, actor=a, now=NOW), (P.MONITORING_READ,)
    ),
    "core.incidents.service.request_look": Change(
        lambda s, g, a: incidents.request_look(s, incident_id=g.incident, actor=a, now=NOW), (P.ALERT_ACKNOWLEDGE,)
    ),
    "core.incidents.service.look_again": Change(
        lambda s, g, a: incidents.look_again(s, incident_id=g.incident, window_id=None, triage=FOUND, actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.take_over": Change(
        lambda s, g, a: incidents.take_over(s, incident_id=g.incident, actor=a, now=NOW), (P.ALERT_ACKNOWLEDGE,)
    ),
    "core.incidents.service.add_note": Change(
        lambda s, g, a: incidents.add_note(s, incident_id=g.incident, note="Seen.", actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.record_action": Change(
        lambda s, g, a: incidents.record_action(s, incident_id=g.incident, kind="watch", note="", actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.incidents.service.resolve": Change(
        lambda s, g, a: incidents.resolve(s, incident_id=g.incident, outcome="Over.", actor=a, now=NOW),
        (P.ALERT_ACKNOWLEDGE,),
    ),
    "core.registry.service.register_version": Change(
        lambda s, g, a: registry.register_version(s, run_id=g.run, model_name="new", actor=a, now=NOW),
        (P.MODEL_REGISTER,),
    ),
    "core.registry.suites.save_suite": Change(
        lambda s, g, a: suites.save_suite(
            s, model_id=g.model, tests=[{"test": "size"}], reason="Small.", actor=a, now=NOW
        ),
        (P.SUITE_EDIT,),
    ),
    "core.registry.suites.request_behaviour": Change(
        lambda s, g, a: suites.request_behaviour(s, version_id=g.candidate, actor=a, now=NOW), (P.MODEL_READ,)
    ),
    "core.registry.retraining.request_retraining": Change(
        lambda s, g, a: retraining.request_retraining(s, model_id=g.model, dataset_version_id=g.data, actor=a, now=NOW),
        (P.RUN_RETRAIN,),
    ),
    "core.serving.answering.predict": Change(
        # Whoever may is told what is wrong with the rows; a model file is not needed to see that.
        lambda s, g, a: predict(_live(g), [], actor=a, models=None, log=None, clock=lambda: NOW),  # type: ignore[arg-type]
        (P.PREDICTION_CREATE,),
        stops_at=SchemaMismatch,
    ),
    "core.training.service.request_run": Change(
        lambda s, g, a: training.request_run(
            s,
            spec=RunSpec(dataset_version_id=g.data, target="income", features=("age",), algorithm="dummy"),
            actor=a,
            now=NOW,
        ),
        (P.RUN_START,),
    ),
    "core.training.service.cancel_run": Change(
        lambda s, g, a: training.cancel_run(s, run_id=g.queued, actor=a, now=NOW), (P.RUN_CANCEL,)
    ),
    "core.training.service.request_scoring": Change(
        lambda s, g, a: training.request_scoring(s, run_id=g.run, evaluation_set_id=g.evaluation_set, actor=a, now=NOW),
        (P.RUN_START,),
    ),
    "core.training.service.request_comparison": Change(
        lambda s, g, a: training.request_comparison(
            s, baseline_run_id=g.run, candidate_run_ids=[g.other_run], actor=a, now=NOW
        ),
        (P.RUN_READ,),
    ),
    "core.training.service.request_recalibration": Change(
        lambda s, g, a: training.request_recalibration(s, run_id=g.run, method="sigmoid", actor=a, now=NOW),
        (P.RUN_START,),
    ),
    "core.training.service.request_analysis": Change(
        lambda s, g, a: training.request_analysis(
            s, run_id=g.run, evaluation_id=g.evaluation, kind="slices", options={}, actor=a, now=NOW
        ),
        (P.RUN_READ,),
    ),
}

# Public functions with an actor that ask for no permission, and who asked before them.
ASKED_BEFORE = {
    "core.audit.service.record": "the service whose change it records",
    "core.jobs.service.enqueue": "the service that enqueues",
    "core.training.service.record": "the service whose change it records",
    "core.training.service.finish": "the job's handler, when it started",
    "core.registry.suites.record_behaviour": "the job's handler, when it started, or the preparation of a request",
    "core.registry.service.assign": "the decision or the rollback, which alone may import it",
    "core.governance.service.store_card": "edit_card, or the preparation of a request",
    "core.monitoring.service.record": "the service whose change it records",
    "core.monitoring.recording.record_windows": "the job's handler, when it started",
    "core.monitoring.window_alerts.follow_window": "the job's handler, when it started",
    "core.monitoring.window_alerts.close_outlived": "the program itself, when a version was replaced",
    "core.monitoring.alert_log.open_alert": "the program itself, when a rule fires",
    "core.monitoring.alert_log.fire_again": "the program itself, when a rule fires",
    "core.monitoring.alert_log.close_alert": "the program itself, when a rule fires no longer",
    "core.incidents.service.record_incident": "open_from_window, open_from_alert, or the program itself",
    "core.incidents.service.follow_severity": "record_incident, or the program itself, when an alert became worse",
    "core.permissions.require": "it is the question",
}
# Public functions that read as somebody and write nothing.
READS = {
    "core.governance.inbox.inbox",
    "core.governance.decision_page.decision_page",
    "core.governance.standing.conflict",
    "core.governance.standing.decided_already",
    "core.governance.standing.reason_against_deciding",
}


def _live(ground: Ground) -> answering.LiveModel:
    return answering.LiveModel(
        model_id=ground.model,
        model_name="income",
        alias="champion",
        deployment_id=1,
        version_id=ground.candidate,
        number=1,
        model_sha256="0" * 64,
        signature=SIGNATURE,
    )


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    workspace = open_workspace(Settings(home=tmp_path_factory.mktemp("permissions") / "home"))
    file = workspace.home.parent / "rows.csv"
    file.write_bytes(b"age,income\n17,no\n18,yes\n")
    ground = Ground(workspace, inspect(file, file_name="rows.csv").options)
    store = workspace.artifacts
    store.put_bytes(b"stored before")
    with workspace.write() as session:
        for role in Role:
            user_id = key(add(session, User(name=f"the {role.value}", created_at=NOW)))
            add(session, UserRole(user_id=user_id, role=role))
            ground.actors[role] = Actor(user_id, f"the {role.value}", frozenset({role}), "browser")
        ground.nobody = Actor(key(add(session, User(name="nobody", created_at=NOW))), "nobody", frozenset(), "browser")
        somebody = key(add(session, User(name="somebody", created_at=NOW)))
        add(session, UserRole(user_id=somebody, role=Role.VIEWER))
        token = add(session, ApiToken(user_id=somebody, name="theirs", token_hash=secret_hash("x"), created_at=NOW))
        data = make_dataset_version(session, profile=PROFILE)
        quarantined = make_dataset_version(
            session, dataset_id=data.dataset_id, quarantined_at=NOW, quarantine_reason="Wrong."
        )
        model = make_model(session, name="income")
        first, second, candidate, idle = (
            make_stored_version(session, store, model_id=key(model), dataset_version_id=key(data)) for _ in range(4)
        )
        for version in (first, second):
            registry.assign(
                session,
                version_id=key(version),
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                cause=Cause.PROMOTION,
                actor=ground.nobody,
                now=NOW,
            )
        monitor = monitoring.ensure_monitor(
            session, model_id=key(model), environment="production", alias="champion", now=NOW
        )
        window, other_window = (
            add(
                session,
                Window(
                    monitor_id=key(monitor),
                    version_id=key(second),
                    label=label,
                    from_at=NOW,
                    to_at=NOW,
                    n_rows=500,
                    n_features=1,
                    n_drifted=1,
                    state="drifted",
                    computed_at=NOW,
                    read_at=NOW,
                ),
            )
            for label in ("2026-03", "2026-04")
        )
        batch = add(session, Batch(monitor_id=key(monitor), state=BatchState.READY, n_rows=500, added_at=NOW))
        alert = add(
            session,
            Alert(
                monitor_id=key(monitor),
                window_id=key(window),
                kind="drift",
                severity="warning",
                sentence="age drifted.",
                since="2026-03",
                since_at=NOW,
                opened_at=NOW,
            ),
        )
        incident = incidents.record_incident(
            session,
            monitor_id=None,
            window=None,
            alerts=[],
            triage=FOUND,
            since_at=NOW,
            actor=ground.nobody,
            now=NOW,
        )
        requester = ground.actors[Role.DATA_SCIENTIST]
        request = make_open_request(
            session, version=candidate, requested_by=requester.user_id, gates={"smoke_test": "failed"}
        )
        run = make_run(session, dataset_version_id=key(data))
        evaluation = make_evaluation(session, run_id=key(run))
        queued = training.request_run(
            session,
            spec=RunSpec(dataset_version_id=key(data), target="income", features=("age",), algorithm="dummy"),
            actor=requester,
            now=NOW,
        )
        ground.ids = {
            "somebody": somebody,
            "token": key(token),
            "upload": key(make_upload(session)),
            "dataset": data.dataset_id,
            "data": key(data),
            "quarantined": key(quarantined),
            "model": key(model),
            "candidate": key(candidate),
            "idle": key(idle),
            "request": key(request),
            "run": key(run),
            "other_run": key(make_run(session, dataset_version_id=key(data))),
            "queued": key(queued),
            "evaluation_set": evaluation.evaluation_set_id,
            "evaluation": key(evaluation),
            "monitor": key(monitor),
            "batch": key(batch),
            "alert": key(alert),
            "window": key(window),
            "other_window": key(other_window),
            "incident": key(incident),
        }
        ground.digest = request.evidence_digest or ""
        ground.card_revision = standing.card(session, key(candidate)).revision
    yield ground
    workspace.close()


def may_not(change: Change) -> list[Role | None]:
    """The roles without any of the permissions, and None for an account without a role."""
    return [None, *(role for role in Role if ROLE_PERMISSIONS[role].isdisjoint(change.needs))]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        pytest.param(name, role, id=f"{name.removeprefix('core.')}-{role or 'no role'}")
        for name, change in TABLE.items()
        for role in may_not(change)
    ],
)
def test_who_may_not_is_refused_and_nothing_is_written(name: str, role: Role | None, ground: Ground) -> None:
    actor = ground.nobody if role is None else ground.actors[role]
    before = ground.state()
    if name in WITHOUT_A_SESSION:
        with pytest.raises(PermissionDenied):
            TABLE[name].call(_NO_SESSION, ground, actor)
    else:
        # Caught inside the transaction, so that what was written before the question would be kept, and seen.
        with ground.workspace.write() as session, pytest.raises(PermissionDenied):
            TABLE[name].call(session, ground, actor)
    assert ground.state() == before


@pytest.mark.parametrize("name", TABLE, ids=lambda name: name.removeprefix("core."))
def test_who_may_is_not_refused(name: str, ground: Ground) -> None:
    """The same call goes through for a role that may: it was the role alone that kept the others out."""
    change = TABLE[name]
    actor = ground.actors[next(role for role in Role if ROLE_PERMISSIONS[role] & set(change.needs))]
    expected: Any = pytest.raises(change.stops_at) if change.stops_at else pytest.raises(_RolledBackError)
    with expected:
        if name in WITHOUT_A_SESSION:
            change.call(_NO_SESSION, ground, actor)
            raise _RolledBackError
        with ground.workspace.write() as session:
            change.call(session, ground, actor)
            raise _RolledBackError


class _RolledBackError(Exception):
    """Ends a transaction whose outcome the next test must not meet."""


WITHOUT_A_SESSION = {
    "core.backup.make_backup",
    "core.governance.integrity.verify_everything",
    "core.serving.answering.predict",
}
_NO_SESSION: Any = None


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_a_job_asks_again_when_it_starts(kind: str, ground: Ground) -> None:
    """Who enqueued it may have lost the role since; every handler asks before it looks at anything."""
    context = JobContext(ground.workspace, job_id=0, fence=0, attempt=1, payload={}, actor=ground.nobody)
    module, name = JOB_KINDS[kind].handler.split(":")
    before = ground.state()
    with pytest.raises(PermissionDenied):
        getattr(import_module(module), name)(ground.workspace, context)
    assert ground.state() == before


def test_the_table_names_every_function_that_acts_for_somebody() -> None:
    found = set(_functions_with_an_actor())
    assert found - set(TABLE) - set(ASKED_BEFORE) - READS == set(), "add the function to TABLE with its permission"
    assert (set(TABLE) | set(ASKED_BEFORE) | READS) - found == set(), "the function is gone or lost its actor"


def _functions_with_an_actor() -> Iterator[str]:
    folder = Path(core.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        module = ".".join(("core", *path.relative_to(folder).with_suffix("").parts))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if any(argument.arg == "actor" for argument in arguments):
                yield f"{module}.{node.name}"
