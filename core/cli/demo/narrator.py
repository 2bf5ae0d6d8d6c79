"""Telling the past: each step of the story is one call of a public service at a moment that has gone by."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from core.automation.inline import run_job
from core.datasets import queries as data
from core.datasets import service as datasets
from core.datasets.ingest import inspect
from core.datasets.options import ParseOptions
from core.datasets.splitting import SplitOptions
from core.datasets.tables import Intake, Relation
from core.errors import LifecycleError
from core.evaluation import queries as evaluations
from core.governance import queries as approvals
from core.governance import service as governance
from core.governance.tables import DecisionKind
from core.jobs import queries as jobs
from core.jobs.tables import Job, JobState
from core.monitoring import queries as monitors
from core.monitoring import service as monitoring
from core.permissions import Actor
from core.registry import service as registry
from core.registry import suites
from core.registry.tables import Alias, Environment
from core.training import service as training
from core.training.specification import RunSpec
from core.training.threshold_analysis import choose
from core.workspace import Workspace


class Narrator:
    """Acts through the public services at the story's moment, and waits for each job where it stands.

    Parameters
    ----------
    workspace : Workspace
    began_at : datetime
        The story's first moment; `at` moves it forward, never back.
    report : callable
        Says what happens, one line a step.
    """

    def __init__(self, workspace: Workspace, began_at: datetime, report: Callable[[str], None]) -> None:
        self.workspace, self.now, self._report = workspace, began_at, report

    def at(self, moment: datetime, said: str) -> None:
        """Let time pass until a moment, and say what happens then."""
        self.now = max(moment, self.now + timedelta(minutes=1))
        self._report(said)

    def _tick(self, minutes: float = 3) -> datetime:
        self.now += timedelta(minutes=minutes)
        return self.now

    def _finish(self, job_id: int | None) -> Job:
        assert job_id is not None
        began = self._tick()
        job = run_job(self.workspace, job_id, began)
        if job.state != JobState.SUCCEEDED:
            raise LifecycleError(f"The demo's {job.kind} job {job.state}: {job.error}")
        self.now = max(self.now, job.finished_at or began)
        return job

    def upload(self, frame: pd.DataFrame, file_name: str, who: Actor) -> tuple[int, ParseOptions]:
        """Upload a table as a CSV file and accept what is inferred of it."""
        text = io.StringIO()
        frame.to_csv(text, index=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload.csv"
            path.write_text(text.getvalue(), encoding="utf-8")
            stored = self.workspace.artifacts.put_file(path)
            options = inspect(path, file_name=file_name).options
        with self.workspace.write() as session:
            upload = datasets.store_upload(session, artifact=stored, file_name=file_name, actor=who, now=self._tick())
            assert upload.id is not None
            return upload.id, options

    def add_version(
        self,
        frame: pd.DataFrame,
        *,
        dataset: str,
        file_name: str,
        who: Actor,
        target: str,
        sensitive: Sequence[str] = (),
        time_column: str | None = None,
        adds_to: int | None = None,
    ) -> int:
        """Make a dataset version of a table; tells its id."""
        upload_id, options = self.upload(frame, file_name, who)
        with self.workspace.write() as session:
            intake = datasets.request_intake(
                session,
                upload_id=upload_id,
                dataset_name=dataset,
                relation=Relation.NEW if adds_to is None else Relation.ADDS_TO,
                options=options,
                target=target,
                sensitive=list(sensitive),
                time_column=time_column,
                parent_id=adds_to,
                actor=who,
                now=self._tick(),
            )
            intake_id, job_id = intake.id, intake.job_id
        self._finish(job_id)
        with self.workspace.read() as session:
            done = session.get(Intake, intake_id)
            if done is None or done.version_id is None:
                raise LifecycleError(f"The demo's data was refused: {done.error if done else 'no intake'}")
            return done.version_id

    def train(
        self,
        version_id: int,
        *,
        target: str,
        features: Sequence[str],
        algorithm: str,
        who: Actor,
        parameters: Mapping[str, object] | None = None,
        folds: int = 0,
    ) -> int:
        """Train a run; tells its id."""
        spec = RunSpec(
            dataset_version_id=version_id,
            target=target,
            task=None,
            features=tuple(features),
            split=SplitOptions(method="stratified", column=target),
            algorithm=algorithm,
            parameters=dict(parameters or {}),
            seed=7,
            folds=folds,
        )
        with self.workspace.write() as session:
            run = training.request_run(session, spec=spec, actor=who, now=self._tick())
            run_id, job_id = run.id, run.job_id
        self._finish(job_id)
        assert run_id is not None
        return run_id

    def wait_for(self, job_id: int | None) -> None:
        """Wait for a job a service enqueued."""
        self._finish(job_id)

    def set_costs(
        self, version_id: int, *, labels: tuple[str, str], false_alarm: float, miss: float, who: Actor
    ) -> None:
        """Say what a mistake on a dataset's question costs.

        Parameters
        ----------
        version_id : int
            Any version of the dataset.
        labels : tuple of str
            The negative and the positive answer, in this order.
        """
        with self.workspace.write() as session:
            datasets.set_costs(
                session,
                dataset_id=data.version(session, version_id).dataset_id,
                costs={"labels": list(labels), "matrix": [[0.0, false_alarm], [miss, 0.0]]},
                actor=who,
                now=self._tick(),
            )

    def recalibrate(self, run_id: int, method: str, who: Actor) -> int:
        """Train a run again with a calibrator; tells the new run's id."""
        with self.workspace.write() as session:
            run = training.request_recalibration(session, run_id=run_id, method=method, actor=who, now=self._tick())
            again, job_id = run.id, run.job_id
        self._finish(job_id)
        assert again is not None
        return again

    def compare(self, baseline: int, candidates: Sequence[int], who: Actor) -> list[dict[str, Any]]:
        """Compare runs with a baseline; gives the entries of the job's result."""
        with self.workspace.write() as session:
            job_id = training.request_comparison(
                session, baseline_run_id=baseline, candidate_run_ids=candidates, actor=who, now=self._tick()
            ).id
        made: list[dict[str, Any]] = (self._finish(job_id).result or {})["comparisons"]
        return made

    def analyse(self, run_id: int, kind: str, options: Mapping[str, Any], who: Actor) -> None:
        """Look into a run's first evaluation, which is the one on the fixed set."""
        with self.workspace.write() as session:
            evaluation_id = evaluations.evaluations_of_run(session, run_id)[0].id
            assert evaluation_id is not None
            job_id = training.request_analysis(
                session,
                run_id=run_id,
                evaluation_id=evaluation_id,
                kind=kind,
                options=options,
                actor=who,
                now=self._tick(),
            ).id
        self._finish(job_id)

    def register(self, run_id: int, *, model: str, who: Actor, description: str = "", rule: str | None = None) -> int:
        """Register a run as a model's next version, and let the model's behaviour suite run on it; tells its id.

        Parameters
        ----------
        rule : str, optional
            By which the version's threshold is chosen, as `threshold_rules.parse_rule` reads it.
        """
        threshold = None if rule is None else choose(self.workspace, run_id=run_id, rule=rule)
        with self.workspace.write() as session:
            version = registry.register_version(
                session,
                run_id=run_id,
                model_name=model,
                description=description,
                threshold=threshold,
                actor=who,
                now=self._tick(),
            )
            version_id = version.id
            assert version_id is not None
            (job,) = jobs.jobs_of(session, "model_version", version_id)
            job_id = job.id
        self._finish(job_id)
        return version_id

    def write_suite(
        self, model_id: int, tests: Sequence[Mapping[str, Any]], *, reason: str, version_id: int, who: Actor
    ) -> None:
        """Write a model's next behaviour suite, and run it on a version that was there before."""
        with self.workspace.write() as session:
            suites.save_suite(session, model_id=model_id, tests=tests, reason=reason, actor=who, now=self._tick(20))
            job_id = suites.request_behaviour(session, version_id=version_id, actor=who, now=self._tick()).id
        self._finish(job_id)

    def write_card(self, version_id: int, sections: Mapping[str, str], who: Actor) -> None:
        """Fill in what only people know of a model version."""
        with self.workspace.write() as session:
            card = approvals.card(session, version_id)
            governance.edit_card(
                session,
                version_id=version_id,
                sections={**card.sections, **sections},
                revision=card.revision,
                actor=who,
                now=self._tick(10),
            )

    def request(self, version_id: int, *, comment: str, who: Actor) -> int:
        """Ask for promotion and let the evidence be prepared; tells the request's id."""
        with self.workspace.write() as session:
            request = governance.request_promotion(
                session,
                version_id=version_id,
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                comment=comment,
                actor=who,
                now=self._tick(),
            )
            request_id, job_id = request.id, request.job_id
        self._finish(job_id)
        assert request_id is not None
        return request_id

    def decide(self, request_id: int, kind: DecisionKind, *, comment: str, who: Actor) -> None:
        """Decide on a request, some hours after it was made."""
        with self.workspace.write() as session:
            request = approvals.request(session, request_id)
            governance.decide(
                session,
                self.workspace.artifacts,
                request_id=request_id,
                kind=kind,
                comment=comment,
                evidence_digest=request.evidence_digest or "",
                actor=who,
                now=self._tick(190),
            )

    def add_batch(self, model_id: int, frame: pd.DataFrame, *, file_name: str, time_column: str, who: Actor) -> None:
        """Hand a file of production rows to the model's monitor."""
        upload_id, options = self.upload(frame, file_name, who)
        with self.workspace.write() as session:
            monitor = monitors.monitor_of(
                session, model_id=model_id, environment=Environment.PRODUCTION, alias=Alias.CHAMPION
            )
            assert monitor is not None
            assert monitor.id is not None
            batch = monitoring.add_batch(
                session,
                monitor_id=monitor.id,
                upload_id=upload_id,
                options=options,
                time_column=time_column,
                actor=who,
                now=self._tick(),
            )
            job_id = batch.job_id
        self._finish(job_id)
