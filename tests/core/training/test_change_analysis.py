"""Changed decisions of one run against another: counted, sliced, and shown by their clearest cases."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlmodel import select

from core.automation.inline import run_job
from core.datasets.tables import DatasetVersion
from core.errors import InvalidInput, NotApplicable
from core.evaluation import queries as evaluations
from core.evaluation.changes import changed_decisions
from core.evaluation.comparing import align
from core.evaluation.tables import Analysis
from core.permissions import Actor
from core.training import service
from core.training.analyses import analysis_kind
from core.training.analysing import Material, analyse, material_of
from core.training.tables import Run
from core.workspace import Workspace

AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


def material(workspace: Workspace, run: Run) -> Material:
    with workspace.read() as session:
        scored = evaluations.evaluations_of_run(session, run.id or 0)[0]
    return material_of(workspace, run_id=run.id or 0, evaluation_id=scored.id or 0)


def test_the_job_keeps_counts_slices_and_examples_that_add_up(
    workspace: Workspace, add_version: AddVersion, train: Train, viewer: Actor, now: datetime
) -> None:
    version = add_version()
    dummy, learnt = train(version.id, "dummy"), train(version.id)
    with workspace.write() as session:
        scored = evaluations.evaluations_of_run(session, learnt.id or 0)[0]
        job = service.request_analysis(
            session,
            run_id=learnt.id or 0,
            evaluation_id=scored.id or 0,
            kind="changes",
            options={"baseline_run_id": dummy.id},
            actor=viewer,
            now=now,
        )
    assert run_job(workspace, job.id or 0).error is None
    with workspace.read() as session:
        kept = session.exec(select(Analysis).where(Analysis.kind == "changes")).one().result

    before, after, _ = align(material(workspace, dummy).predictions, material(workspace, learnt).predictions)
    assert {name: kept[name] for name in ("n_rows", "n_changed", "n_corrected", "n_broken")} == changed_decisions(
        before, after
    )
    assert kept["n_corrected"] > kept["n_broken"] > 0
    for name in ("changed", "corrected", "broken"):
        by_job = [entry[name] for entry in kept["by_slice"] if entry["slice"].startswith("job = ")]
        assert sum(by_job) == kept[f"n_{name}"]
    at = {int(ordinal): place for place, ordinal in enumerate(after.ordinals)}
    for example in kept["corrected"]:
        place = at[example["ordinal"]]
        assert example["true"] == example["after"] == after.y_pred[place] != example["before"]
        assert example["score_after"] == pytest.approx(after.scores[place, 1])  # type: ignore[index]
        assert example["values"]["member"] == example["true"]
        for side, score in (("before", "score_before"), ("after", "score_after")):
            told = example["contributions"][side]
            total = told["base"] + sum(entry["contribution"] for entry in told["entries"])
            assert total == pytest.approx(example[score], abs=1e-6)
    moved = [abs(one["score_after"] - one["score_before"]) for one in kept["broken"]]
    assert moved == sorted(moved, reverse=True)
    assert len(kept["broken"]) == min(10, kept["n_broken"])


def test_columns_are_those_asked_for(workspace: Workspace, add_version: AddVersion, train: Train) -> None:
    version = add_version()
    dummy, learnt = train(version.id, "dummy"), train(version.id)

    found = analyse(
        analysis_kind("changes", learnt.task),
        material(workspace, learnt),
        {"baseline_run_id": dummy.id, "columns": ["pay"]},
    )

    assert found["columns"] == ["pay"]
    assert {entry["slice"].split(" ")[0] for entry in found["by_slice"]} == {"pay"}


def test_each_side_decides_by_its_own_threshold(workspace: Workspace, add_version: AddVersion, train: Train) -> None:
    version = add_version()
    dummy, learnt = train(version.id, "dummy"), train(version.id)
    mine = material(workspace, learnt)

    found = analyse(
        analysis_kind("changes", learnt.task),
        mine,
        {"baseline_run_id": dummy.id, "thresholds": {"before": None, "after": 0.2}},
    )

    before, after, _ = align(material(workspace, dummy).predictions, mine.predictions.decided_at(0.2))
    assert {name: found[name] for name in ("n_rows", "n_changed", "n_corrected", "n_broken")} == changed_decisions(
        before, after
    )
    assert all((one["score_after"] >= 0.2) == (one["after"] == after.positive_class) for one in found["broken"])


def test_what_cannot_be_held_against_it_is_refused(workspace: Workspace, add_version: AddVersion, train: Train) -> None:
    run, foreign = train(add_version(seed=1).id), train(add_version(seed=2, name="other").id)
    mine = material(workspace, run)
    kind = analysis_kind("changes", run.task)
    for options, message in (
        ({}, "number of the run"),
        ({"baseline_run_id": run.id}, "another run"),
        ({"baseline_run_id": foreign.id, "rows": 3}, "no option rows"),
        ({"baseline_run_id": foreign.id, "thresholds": 0.3}, "give before, after or both"),
    ):
        with pytest.raises(InvalidInput, match=message):
            analyse(kind, mine, options)
    with pytest.raises(NotApplicable, match="not scored on this evaluation set"):
        analyse(kind, mine, {"baseline_run_id": foreign.id})
