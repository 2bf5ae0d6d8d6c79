from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.datasets.tables import Dataset
from core.estimation.estimating import SHARES
from core.evaluation.metrics import METRICS
from core.evaluation.tables import Task
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.counting import Slice
from core.monitoring.labels import KeptLabel
from core.monitoring.performance_reference import from_bytes, performance_reference, to_bytes
from core.monitoring.performance_watch import PerformanceWatch, performance_watch
from core.monitoring.tables import Estimator, Source
from core.monitoring.window_performance import (
    PerformanceFigure,
    WindowPerformance,
    performance_firings,
    performance_judged,
    window_performance,
)
from core.permissions import Actor
from core.registry import queries as registry
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column, score_column
from core.training.models import load_model
from core.workspace import Workspace
from tests.factories import NOW
from tests.live_models import FEATURES, LiveModel, go_live, keep_version, live_fixtures, stream

Kept = Callable[..., pa.Table]


made, home, live, scientist = live_fixtures(n_rows=6_000)


def watch_of(workspace: Workspace, live: LiveModel) -> PerformanceWatch:
    with workspace.read() as session:
        version = registry.version(session, live.version_id)
    return performance_watch(workspace, version=version, now=NOW)


def kept(workspace: Workspace, live: LiveModel, table: pa.Table, target: str = "paid") -> tuple[pa.Table, list[Any]]:
    """Rows as the log keeps them, an hour apart, and what will turn out to be true of each."""
    with workspace.read() as session:
        version = registry.version(session, live.version_id)
    model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=version.signature)
    labels, scores = model.predict_table(table)
    columns: dict[str, Any] = {
        PREDICTION_ID: [f"p{row}" for row in range(table.num_rows)],
        AT: pa.array([NOW + timedelta(minutes=row) for row in range(table.num_rows)], pa.timestamp("us", tz="UTC")),
        PREDICTION: pa.array(labels.tolist()),
    }
    if scores is not None:
        columns |= {score_column(one): scores[:, at] for at, one in enumerate(model.classes)}
    columns |= {feature_column(name): table[name] for name in FEATURES}
    return pa.table(columns), table[target].to_pylist()


def labelled(watch: PerformanceWatch, truth: list[Any], rows: Any, *, known: bool = True) -> PerformanceWatch:
    labels = {f"p{row}": KeptLabel(str(truth[row]), NOW + timedelta(days=9), known) for row in rows}
    return replace(watch, labels=labels)


def of_source(found: WindowPerformance, source: Source, part: str = "") -> dict[str, PerformanceFigure]:
    return {one.key: one for one in found.figures if (one.source, one.slice) == (source, part)}


def accuracy(table: pa.Table, truth: list[Any]) -> float:
    return float(np.mean([one == other for one, other in zip(table[PREDICTION].to_pylist(), truth, strict=True)]))


def test_without_labels_the_estimate_alone_says_how_well_it_does(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(2_000, seed=31, hours_shift=0.3))
    found = window_performance(watch, rows)
    assert {one.source for one in found.figures} == {Source.ESTIMATED}
    estimated = of_source(found, Source.ESTIMATED)
    assert set(estimated) == set(SHARES)
    assert all(one.note == "" and one.n_labelled == 0 for one in found.figures)
    said = estimated["accuracy"]
    assert said.low is not None
    assert said.high is not None
    assert said.low <= accuracy(rows, truth) <= said.high
    assert performance_firings(watch, found, model="pay champion", window="2026-01", n_rows=1_500, min_rows=100) == []


def test_what_was_learnt_is_kept_and_read_back_the_same(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    assert watch.reference is not None
    with workspace.read() as session:
        kept_bytes = session.get_one(Estimator, live.version_id).content
    again = from_bytes(kept_bytes)
    rows, _ = kept(workspace, live, stream(500, seed=32))
    expected = window_performance(watch_of(workspace, live), rows).figures
    assert window_performance(replace(watch, reference=again), rows).figures == expected
    with workspace.write() as session:
        session.get_one(Estimator, live.version_id).content = b"of an earlier version"
    assert watch_of(workspace, live).reference is not None
    assert to_bytes(again)[:2] == b"PK"


def test_three_sources_stand_beside_each_other_and_meet_when_every_label_is_in(
    workspace: Workspace, live: LiveModel
) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(1_500, seed=33))
    # Those called positive were looked into first: realised recall is all there is to find.
    first = [row for row, one in enumerate(rows[PREDICTION].to_pylist()) if one == "yes"]
    some = window_performance(labelled(watch, truth, first), rows)
    final = accuracy(rows, truth)
    realised, corrected = of_source(some, Source.REALISED), of_source(some, Source.CORRECTED)
    assert realised["recall"].value == 1.0
    positive = np.array(truth) == "yes"
    recall = float((np.array(rows[PREDICTION].to_pylist())[positive] == "yes").mean())
    assert corrected["recall"].low is not None
    assert corrected["recall"].high is not None
    assert corrected["recall"].low <= recall <= corrected["recall"].high < 1.0
    assert {one.n_labelled for one in some.figures} == {len(first)}
    whole = window_performance(labelled(watch, truth, range(1_500)), rows)
    assert of_source(whole, Source.CORRECTED) == {}
    assert of_source(whole, Source.REALISED)["accuracy"].value == pytest.approx(final)


def test_labels_of_any_order_of_rows_give_the_same_figures(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(400, seed=34))
    watch = labelled(watch, truth, range(0, 400, 3))
    expected = {(one.source, one.key): one for one in window_performance(watch, rows).figures}
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(400)
        parts = [rows.take(pa.array(part)) for part in np.array_split(order, 1 + seed)]
        for one in window_performance(watch, pa.concat_tables(parts)).figures:
            before = expected[one.source, one.key]
            assert one.value == pytest.approx(before.value, rel=1e-12), one.key
            # The band of an estimate is drawn, and the rows are drawn for in their order.
            assert one.low == pytest.approx(before.low, abs=0.02)


def test_a_changed_concept_contradicts_the_estimate_and_no_alert_is_raised_by_it(
    workspace: Workspace, live: LiveModel
) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(1_500, seed=35))
    changed = ["no" if row % 3 == 0 and one == "yes" else one for row, one in enumerate(truth)]
    quiet, found = (window_performance(labelled(watch, one, range(700)), rows) for one in (truth, changed))
    assert of_source(quiet, Source.ESTIMATED)["roc_auc"].note == ""
    note = of_source(found, Source.CORRECTED)["roc_auc"].note
    assert "700 labels that are in contradict it" in note
    assert [
        one.kind for one in performance_firings(watch, found, model="m", window="w", n_rows=1_500, min_rows=100)
    ] == ["performance"]
    told = window_performance(labelled(watch, changed, range(700)), rows, n_looks=1).concept
    calm = window_performance(labelled(watch, truth, range(700)), rows, n_looks=1).concept
    assert told is not None
    assert calm is not None
    assert told.pvalue < 0.001 < calm.pvalue


def test_rows_the_reference_never_held_speak_against_the_estimate(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, _ = kept(workspace, live, stream(800, seed=36, hours_shift=4.0))
    note = of_source(window_performance(watch, rows), Source.ESTIMATED)["accuracy"].note
    assert "of the rows have values that the reference hardly holds, by hours" in note


def test_an_estimate_that_is_worse_beyond_doubt_is_a_warning_until_labels_tell(
    workspace: Workspace, live: LiveModel
) -> None:
    watch = replace(watch_of(workspace, live), evaluated=(0.999, 0.998, 0.9995))
    rows, truth = kept(workspace, live, stream(1_500, seed=37))
    found = window_performance(watch, rows)
    fired = performance_firings(watch, found, model="pay champion", window="2026-01", n_rows=1_500, min_rows=100)
    assert [one.kind for one in fired] == ["estimated_performance"]
    assert [one.severity for one in fired] == [ALERT_RULES[one.kind].severity for one in fired]
    assert "is estimated at" in fired[0].sentence
    doubted = replace(found, figures=tuple(replace(one, note="Few rows.") for one in found.figures))
    assert performance_firings(watch, doubted, model="m", window="w", n_rows=1_500, min_rows=100) == []
    told = window_performance(labelled(watch, truth, range(900)), rows)
    fired = performance_firings(watch, told, model="pay champion", window="2026-01", n_rows=1_500, min_rows=100)
    assert [(one.kind, one.severity) for one in fired] == [("performance", "critical")]


def test_what_a_window_cannot_tell_of_performance_is_not_called_quiet(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    demanding = replace(watch, evaluated=(0.999, 0.998, 0.9995))
    rows, truth = kept(workspace, live, stream(1_500, seed=37))

    def told(watch: PerformanceWatch, found: WindowPerformance) -> list[str]:
        fired = performance_firings(watch, found, model="m", window="w", n_rows=1_500, min_rows=100)
        return sorted(performance_judged(watch, found, fired, n_rows=1_500, min_rows=100))

    unlabelled, few, many = (window_performance(labelled(watch, truth, range(n)), rows) for n in (0, 99, 900))
    doubted = replace(unlabelled, figures=tuple(replace(one, note="Few rows.") for one in unlabelled.figures))
    assert told(watch, unlabelled) == told(watch, few) == told(demanding, few) == ["estimated_performance"]
    assert told(watch, doubted) == []
    assert told(watch, many) == ["estimated_performance", "performance"]
    assert told(demanding, many) == ["performance"]  # the estimate was not asked
    assert told(replace(watch, evaluated=None), many) == []


def test_an_estimate_of_fewer_rows_than_a_window_needs_raises_nothing(workspace: Workspace, live: LiveModel) -> None:
    watch = replace(watch_of(workspace, live), evaluated=(0.999, 0.998, 0.9995))
    table = stream(40_000, seed=40)
    doubtful = np.abs(np.array(table["hours"]) / 8 + np.array(table["age"]) / 20 - 7.5) < 0.12
    rows, _ = kept(workspace, live, table.take(pa.array(np.flatnonzero(doubtful)[:24])))
    found = window_performance(watch, rows)
    said = found.primary(Task.BINARY, Source.ESTIMATED)
    assert said is not None
    assert said.high is not None
    assert (said.high < 0.998, said.note) == (True, "")

    def kinds(min_rows: int) -> list[str]:
        fired = performance_firings(watch, found, model="m", window="w", n_rows=24, min_rows=min_rows)
        return [one.kind for one in fired]

    assert (kinds(24), kinds(25)) == (["estimated_performance"], [])


def test_slices_have_figures_of_their_own(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(900, seed=38))
    found = window_performance(labelled(watch, truth, range(600)), rows, [Slice("job", "cook"), Slice("job", "poet")])
    assert {one.slice for one in found.figures} == {"", "job=cook"}
    cooks = np.array(rows[feature_column("job")].to_pylist()) == "cook"
    right = np.array(rows[PREDICTION].to_pylist()) == np.array(truth)
    cook = of_source(found, Source.REALISED, "job=cook")["accuracy"]
    assert cook.value == pytest.approx(right[:600][cooks[:600]].mean())
    assert cook.n_labelled == cooks[:600].sum()
    assert found.primary(Task.BINARY, Source.REALISED) == of_source(found, Source.REALISED)["roc_auc"]


def test_arrivals_and_labels_that_had_been_unknown_are_told(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(300, seed=39))
    own = pa.array([one if row < 20 else None for row, one in enumerate(truth)])
    watch = labelled(watch, truth, range(10, 60), known=False)
    found = window_performance(watch, rows.append_column(LABEL, own))
    assert found.arrivals.n_at_once == 20
    assert found.arrivals.n_joined == 40
    assert sum(n for _, n, _ in found.arrivals.pieces) == 280
    assert found.matched == {f"p{row}" for row in range(10, 60)}
    assert of_source(found, Source.REALISED)["accuracy"].n_labelled == 60


def test_gaps_between_groups_are_held_against_the_evaluation_sets(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    data = keep_version(workspace, stream(3_000, seed=1))
    with workspace.write() as session:
        session.get_one(Dataset, data.dataset_id).sensitive = ["job", "hours", "not kept"]
    live = go_live(workspace, scientist, now, name="watched", data=data)
    watch = watch_of(workspace, live)
    assert watch.reference is not None
    assert watch.reference.sensitive == ("job",)  # of numbers the groups would be other ones in every window
    assert set(watch.reference.gaps) == {("job", "demographic_parity"), ("job", "equal_opportunity")}
    table = stream(1_500, seed=43)
    job, hours = np.array(table["job"].to_pylist()), np.array(table["hours"].to_pylist())
    rows, truth = kept(
        workspace, live, table.set_column(0, "hours", pa.array(np.where(job == "cook", hours + 12, hours)))
    )
    found = window_performance(labelled(watch, truth, range(1_000)), rows).gap
    assert found is not None
    assert found.widened
    assert (found.gap.column, found.gap.criterion, found.gap.highest) == ("job", "demographic_parity", "cook")
    quiet = window_performance(watch, kept(workspace, live, stream(1_500, seed=44))[0]).gap
    assert quiet is not None
    assert not quiet.widened


def test_rows_without_scores_or_predictions_have_what_can_be_told(workspace: Workspace, live: LiveModel) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(400, seed=40))
    watch = labelled(watch, truth, range(200))
    names = [score_column("no"), score_column("yes")]
    bare = window_performance(watch, rows.drop_columns(names))
    assert {one.source for one in bare.figures} == {Source.REALISED}
    gaps = rows.set_column(
        rows.column_names.index(names[1]),
        names[1],
        pa.array([None if row % 4 == 0 else one for row, one in enumerate(rows[names[1]].to_pylist())]),
    )
    assert "25 % of the rows have no scores" in of_source(window_performance(watch, gaps), Source.ESTIMATED)["f1"].note
    assert window_performance(watch, rows.drop_columns([PREDICTION])).figures == ()
    assert window_performance(watch, rows.slice(0, 0)).figures == ()
    assert window_performance(watch, rows.slice(0, 0), n_looks=1).concept is None


def test_labels_that_the_model_does_not_know_are_told_and_blame_no_estimate(
    workspace: Workspace, live: LiveModel
) -> None:
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, stream(1_000, seed=45))
    shouted = [one.upper() for one in truth]
    found = window_performance(labelled(watch, shouted, range(300)), rows)
    (fired,) = performance_firings(watch, found, model="pay champion", window="2026-01", n_rows=1_000, min_rows=100)
    assert (fired.kind, fired.severity) == ("performance", "warning")
    assert "300 of 300 labels are no class of the model: 'NO' and 'YES'. It knows 'no' and 'yes'." in fired.sentence
    assert performance_firings(watch, found, model="m", window="w", n_rows=1_000, min_rows=301) == []
    assert "no class of the model" in of_source(found, Source.REALISED)["accuracy"].note
    assert of_source(found, Source.ESTIMATED)["accuracy"].note == ""
    few = [*["perhaps"] * 20, *truth[20:]]
    found = window_performance(labelled(watch, few, range(600)), rows)
    assert "20 of 600 labels" in of_source(found, Source.REALISED)["accuracy"].note
    assert performance_firings(watch, found, model="m", window="w", n_rows=1_000, min_rows=100) == []


def paid(table: pa.Table) -> pa.Table:
    """With what is paid: harder to tell of the old."""
    age = np.array(table["age"].to_pylist(), dtype=float)
    noise = np.random.default_rng(table.num_rows).normal(size=len(age)) * age / 20
    return table.append_column("pay", pa.array(np.array(table["hours"].to_pylist()) * 3 + age + noise))


def test_a_regression_is_estimated_by_its_losses(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    data = keep_version(workspace, paid(stream(6_000, seed=1)))
    live = go_live(workspace, scientist, now, name="wage", data=data, target="pay", algorithm="ridge")
    watch = watch_of(workspace, live)
    rows, truth = kept(workspace, live, paid(stream(1_000, seed=41)), target="pay")
    found = window_performance(labelled(watch, truth, range(400)), rows)
    final = float(np.sqrt(np.mean((np.array(truth) - np.array(rows[PREDICTION].to_pylist())) ** 2)))
    for source in (Source.ESTIMATED, Source.CORRECTED):
        said = of_source(found, source)["rmse"]
        assert said.low is not None
        assert said.high is not None
        assert said.low <= final <= said.high, source
        assert "contradict" not in said.note
    off = [one + 4 * final for one in truth]
    told = window_performance(labelled(watch, off, range(400)), rows)
    assert "contradict" in of_source(told, Source.ESTIMATED)["rmse"].note
    change = window_performance(labelled(watch, off, range(400)), rows, n_looks=1).concept
    assert change is not None
    assert change.about == "mean"
    assert change.pvalue < 0.001
    with workspace.read() as session:
        version = registry.version(session, live.version_id)
    reference = performance_reference(workspace, version, now=NOW)
    assert reference is not None
    again = window_performance(replace(watch, reference=reference), rows)
    assert [one.value for one in again.figures] == pytest.approx(
        [one.value for one in window_performance(watch, rows).figures]
    )
    assert set(of_source(found, Source.ESTIMATED)) <= set(METRICS)
