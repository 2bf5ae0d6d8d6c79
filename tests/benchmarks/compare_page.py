"""Ten stored runs, each scored on 100,000 rows: the page that compares them, and the report of it.

python -m tests.benchmarks.compare_page [ROUNDS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlmodel import Session, col, select

from core.database import utc_now
from core.datasets.tables import EvaluationSet
from core.evaluation import comparing
from core.evaluation import service as evaluations
from core.evaluation.curves import curves
from core.evaluation.metrics import compute_metrics
from core.evaluation.predictions import Predictions, to_parquet
from core.evaluation.tables import Evaluation, Task
from core.permissions import Role
from core.settings import Settings
from core.training.report import comparison_report
from core.training.tables import Run
from core.workspace import Workspace, opened
from tests.benchmarks.figures import Figure, sampled, table, wall_ms, worst
from tests.benchmarks.homes import settled_home, train
from tests.benchmarks.pages import FRESH_S, INSIDE_S, scripts, settled
from tests.benchmarks.scripts import Visit
from tests.benchmarks.visiting import browsing, running

N_RUNS, N_ROWS, POSITIVE = 10, 100_000, 0.15
REPEATS = 5
LOOKS: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "curves"),
    ({"look": "trade_offs"}, "trade-offs"),
    ({"look": "parameters"}, "parameters"),
    ({"look": "decisions"}, "changed decisions"),
)


def fill(workspace: Workspace) -> tuple[list[int], int]:
    """Train one run and copy its row; each copy gets predictions of its own, and each is held against the first.

    Predictions, metrics with intervals, curves and verdicts are worked out and stored as a job would; only the scores
    are drawn instead of predicted, every run a little better than the one before. The ids of the runs and of the set.
    """
    narrator, cast, version_id = settled_home(workspace, months=2)
    first = train(narrator, cast, version_id, "logistic_regression")
    now, rng = utc_now(), np.random.default_rng(0)
    with workspace.write() as session:
        known = session.exec(select(EvaluationSet).order_by(col(EvaluationSet.id))).first()
        assert known is not None
        rows = EvaluationSet(**known.model_dump(exclude={"id", "kind", "n_rows"}), kind="latest", n_rows=N_ROWS)
        session.add(rows)
        session.flush()
        original = session.get_one(Run, first)
        runs = [original, *(_copied(session, original, strength=0.001 * 3**place) for place in range(N_RUNS - 1))]
        ids, set_id = [run.id or 0 for run in runs], rows.id or 0
    positive = rng.random(N_ROWS) < POSITIVE
    common = rng.normal(size=N_ROWS)
    made: list[tuple[Predictions, Evaluation]] = []
    for place, run_id in enumerate(ids):
        signal = positive * (1.4 + 0.02 * place) + common + 0.3 * rng.normal(size=N_ROWS) - 2.2
        predictions = _predictions(positive, 1 / (1 + np.exp(-signal)))
        stored = workspace.artifacts.put_bytes(to_parquet(predictions))
        with workspace.write() as session:
            evaluation = evaluations.record_evaluation(
                session,
                run_id=run_id,
                evaluation_set_id=set_id,
                task=Task.BINARY,
                predictions_sha256=stored.sha256,
                n_rows=N_ROWS,
                n_left_out=0,
                metrics=compute_metrics(predictions),
                curves=curves(predictions),
                now=now,
            )
        made.append((predictions, evaluation))
    for predictions, evaluation in made[1:]:
        result = comparing.compare(made[0][0], predictions, metric="roc_auc", n_candidates=N_RUNS - 1, rng=rng)
        with workspace.write() as session:
            evaluations.record_comparison(
                session,
                baseline_evaluation_id=made[0][1].id or 0,
                candidate_evaluation_id=evaluation.id or 0,
                metric="roc_auc",
                margin=result.margin,
                result=result,
                now=now,
            )
    return ids, set_id


def _copied(session: Session, run: Run, *, strength: float) -> Run:
    kept = run.model_dump(exclude={"id", "parameters"})
    copy = Run(**kept, parameters={**run.parameters, "C": strength})
    session.add(copy)
    session.flush()
    return copy


def _predictions(positive: np.ndarray, score: np.ndarray) -> Predictions:
    labels = np.array(["no", "yes"], dtype=object)
    return Predictions(
        task=Task.BINARY,
        ordinals=np.arange(len(score)),
        y_true=labels[positive.astype(int)],
        y_pred=labels[(score >= 0.5).astype(int)],
        scores=np.column_stack([1 - score, score]),
        classes=("no", "yes"),
    )


def figures(rounds: int = 5) -> list[Figure]:
    """Fill a home, open the page again and again, and write its report."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with opened(Settings(home=home)) as workspace:
            began = time.perf_counter()
            ids, set_id = fill(workspace)
            filled = time.perf_counter() - began
            with workspace.read() as session:
                report = sampled(
                    lambda: wall_ms(
                        lambda: comparison_report(
                            session, run_ids=ids, baseline_id=ids[0], metric="roc_auc", set_id=set_id, now=utc_now()
                        )
                    ),
                    REPEATS,
                )
        chosen = {"runs": ",".join(map(str, ids)), "baseline": str(ids[0]), "metric": "roc_auc", "set": str(set_id)}
        wanted = [
            Visit(Role.DATA_SCIENTIST, "compare", chosen | look, f"of {N_RUNS} × {N_ROWS:,} rows, {title}")
            for look, title in LOOKS
        ]
        with running(home, "--demo") as gatehouse, browsing() as context:
            found = settled(context, gatehouse.url, wanted[:1], rounds=rounds)
        ran = scripts(home, wanted, demo=True)
    return [
        Figure(f"{N_RUNS} runs × {N_ROWS:,} rows made in", (filled,), "s"),
        worst("compare page, fresh tab", found["fresh"], target=FRESH_S),
        worst("compare page, inside the app", found["inside"], target=INSIDE_S),
        *ran,
        Figure("comparison report written", report, "ms"),
    ]


if __name__ == "__main__":
    print(table(figures(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
