from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import select

from core.automation.inline import run_job
from core.datasets.splitting import SplitOptions
from core.datasets.tables import DatasetVersion, Relation
from core.errors import NotApplicable
from core.evaluation.tables import Comparison, Verdict
from core.permissions import Actor
from core.training import comparing_runs, queries, service
from core.training.comparing_runs import compare_folds, compare_runs_now
from core.training.tables import Run
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


def test_a_model_that_learnt_is_better_than_the_dummy(
    workspace: Workspace, add_version: AddVersion, train: Train, viewer: Actor, now: datetime
) -> None:
    version = add_version(n_rows=800)
    dummy, learnt = train(version.id, "dummy"), train(version.id)
    assert dummy.id is not None
    assert learnt.id is not None
    with workspace.write() as session:
        job = service.request_comparison(
            session, baseline_run_id=dummy.id, candidate_run_ids=[learnt.id], actor=viewer, now=now
        )
    assert job.id is not None
    done = run_job(workspace, job.id)
    assert done.error is None
    assert done.result is not None
    (comparison,) = done.result["comparisons"]
    assert comparison["verdict"] == Verdict.BETTER
    low, high = comparison["interval"]
    assert 0 < low < comparison["effect"] < high
    with workspace.read() as session:
        assert session.exec(select(Comparison)).one().id == comparison["id"]


def test_the_same_comparison_twice_is_one(
    workspace: Workspace, add_version: AddVersion, train: Train, now: datetime
) -> None:
    version = add_version()
    ids = {"baseline_run_id": train(version.id, "dummy").id or 0, "candidate_run_id": train(version.id).id or 0}
    first, second = (compare_runs_now(workspace, **ids, now=now) for _ in range(2))
    assert first.id == second.id
    assert first.n_left_out == 0


def test_an_older_run_is_scored_on_the_newer_set_when_it_is_compared_there(
    workspace: Workspace, add_version: AddVersion, train: Train, tmp_path: Path, now: datetime
) -> None:
    first = add_version(n_rows=300, seed=1)
    old = train(first.id)
    add_version(n_rows=300, seed=2, name="other")
    more = tmp_path / "more.csv"
    other = (tmp_path / "people-2-300.csv").read_text("utf-8").split("\n", 1)[1]
    more.write_text((tmp_path / "people-1-300.csv").read_text("utf-8") + other, "utf-8")
    new = train(add_version(more, relation=Relation.REPLACES, parent_id=first.id).id)
    with workspace.read() as session:
        latest = next(
            s for s in queries.run_record(session, new.id or 0).evaluations if s.evaluation_set.kind == "latest"
        )
        assert len(queries.run_record(session, old.id or 0).evaluations) == 1
    comparison = compare_runs_now(
        workspace,
        baseline_run_id=old.id or 0,
        candidate_run_id=new.id or 0,
        evaluation_set_id=latest.evaluation_set.id,
        now=now,
    )
    assert comparison.n_rows == latest.evaluation_set.n_rows
    with workspace.read() as session:
        assert len(queries.run_record(session, old.id or 0).evaluations) == 2


def test_rows_either_run_was_trained_on_are_left_out_and_counted(
    workspace: Workspace, add_version: AddVersion, train: Train, tmp_path: Path, now: datetime
) -> None:
    whole = add_version(n_rows=400, seed=1)
    judge = train(whole.id)
    copy = add_version(tmp_path / "people-1-400.csv", name="copy")
    same_rows = train(copy.id, split=SplitOptions(seed=9))
    with workspace.read() as session:
        fixed = queries.run_record(session, judge.id or 0).evaluations[0].evaluation_set
    comparison = compare_runs_now(
        workspace,
        baseline_run_id=judge.id or 0,
        candidate_run_id=same_rows.id or 0,
        evaluation_set_id=fixed.id,
        now=now,
    )
    with workspace.read() as session:
        scored = next(
            s for s in queries.run_record(session, same_rows.id or 0).evaluations if s.evaluation_set.id == fixed.id
        )
    assert 0 < scored.evaluation.n_left_out < fixed.n_rows
    assert scored.evaluation.n_rows + scored.evaluation.n_left_out == fixed.n_rows
    assert comparison.n_rows + comparison.n_left_out == fixed.n_rows
    assert comparison.n_left_out == scored.evaluation.n_left_out


def test_runs_on_different_datasets_need_a_set_to_be_named(
    workspace: Workspace, add_version: AddVersion, train: Train, now: datetime
) -> None:
    one, two = train(add_version(seed=1).id), train(add_version(seed=2, name="other").id)
    with pytest.raises(NotApplicable, match="Name the evaluation set"):
        compare_runs_now(workspace, baseline_run_id=one.id or 0, candidate_run_id=two.id or 0, now=now)


def test_a_candidate_that_cannot_be_compared_does_not_spoil_the_others(
    workspace: Workspace, add_version: AddVersion, train: Train, scientist: Actor, now: datetime
) -> None:
    version = add_version(seed=1)
    dummy, learnt = train(version.id, "dummy"), train(version.id)
    foreign = train(add_version(seed=2, name="other").id)
    with workspace.write() as session:
        job = service.request_comparison(
            session,
            baseline_run_id=dummy.id or 0,
            candidate_run_ids=[foreign.id or 0, learnt.id or 0],
            actor=scientist,
            now=now,
        )
    result = run_job(workspace, job.id or 0).result
    assert result is not None
    refused, compared = result["comparisons"]
    assert "different datasets" in refused["refused"]
    assert compared["candidate_run_id"] == learnt.id
    assert "verdict" in compared


def test_a_comparison_is_computed_once_for_each_number_of_candidates(
    workspace: Workspace, add_version: AddVersion, train: Train, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_version()
    ids = {"baseline_run_id": train(version.id, "dummy").id or 0, "candidate_run_id": train(version.id).id or 0}
    alone = compare_runs_now(workspace, **ids, now=now)
    among = compare_runs_now(workspace, **ids, n_candidates=4, now=now)
    assert among.id != alone.id
    assert (alone.n_candidates, among.n_candidates) == (1, 4)
    assert among.low < alone.low < alone.high < among.high
    assert [one["key"] for one in alone.tests] == ["delong", "bootstrap", "permutation"]
    assert alone.rows_needed is not None

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(comparing_runs.comparing, "compare", refuse)
    assert compare_runs_now(workspace, **ids, now=now).id == alone.id
    assert compare_runs_now(workspace, **ids, n_candidates=4, now=now).id == among.id


def test_a_job_allows_for_all_its_candidates(
    workspace: Workspace, add_version: AddVersion, train: Train, viewer: Actor, now: datetime
) -> None:
    version = add_version()
    dummy = train(version.id, "dummy")
    candidates = [train(version.id, seed=seed).id or 0 for seed in (1, 2)]
    with workspace.write() as session:
        job = service.request_comparison(
            session, baseline_run_id=dummy.id or 0, candidate_run_ids=candidates, actor=viewer, now=now
        )
    result = run_job(workspace, job.id or 0).result
    assert result is not None
    for one in result["comparisons"]:
        assert one["n_candidates"] == 2
        assert one["corrected_pvalue"] >= one["pvalue"]


FOLDS = {"folds": 3, "n_train": [20, 20, 20], "n_test": [10, 10, 10], "assignment": "abc"}


def test_runs_with_the_same_folds_are_compared_fold_by_fold() -> None:
    before = {**FOLDS, "metrics": {"log_loss": [0.5, 0.6, 0.55]}}
    after = {**FOLDS, "metrics": {"log_loss": [0.4, 0.52, 0.46]}}

    found = compare_folds(before, after, metric="log_loss")

    assert found is not None
    assert found["key"] == "cross_validation"
    assert "other trainings" in found["title"]
    assert found["effect"] == pytest.approx(0.09)
    assert 0 < found["low"] < 0.09 < found["high"]
    assert compare_folds(before, {**after, "assignment": "other"}, metric="log_loss") is None
    assert compare_folds(before, after, metric="roc_auc") is None
    assert compare_folds(None, after, metric="log_loss") is None
