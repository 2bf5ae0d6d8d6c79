"""Ten thousand runs: the best fifty by any metric, and the pages that list, show and compare them.

python -m tests.benchmarks.many_runs [RUNS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Float, cast, event, func, insert, literal, select
from sqlmodel import Session, SQLModel, col

from core.evaluation.metrics import metrics_for
from core.evaluation.queries import top_runs
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.permissions import Role
from core.settings import Settings
from core.training.queries import count_runs, list_runs
from core.training.service import request_comparison
from core.training.tables import Run
from core.workspace import Workspace, opened
from tests.benchmarks.figures import Figure, sampled, table, wall_ms, worst
from tests.benchmarks.homes import settled_home, train
from tests.benchmarks.pages import FRESH_S, INSIDE_S, SCRIPT_MS, scripts, settled
from tests.benchmarks.scripts import Visit
from tests.benchmarks.visiting import browsing, running

N_RUNS, N_REAL, TOP = 10_000, 10, 50
TOP_MS, REPEATS = 5.0, 21
SPREAD = 0.05


def fill(workspace: Workspace, n_runs: int) -> list[int]:
    """Train and compare ten real runs, then copy their rows until there are so many; the ids of the ten.

    A copy has curves, importance and about ten metric values as its original has, each value moved at random.
    """
    narrator, cast_of, version_id = settled_home(workspace, months=5)
    real = [
        train(narrator, cast_of, version_id, "logistic_regression", C=strength)
        for strength in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    ]
    real += [train(narrator, cast_of, version_id, "random_forest", n_estimators=trees) for trees in (20, 40)]
    real += [train(narrator, cast_of, version_id, "hist_gradient_boosting")]
    with workspace.write() as session:
        job = request_comparison(
            session, baseline_run_id=real[0], candidate_run_ids=real[1:], actor=cast_of.sam, now=narrator.now
        )
    narrator.wait_for(job.id)
    counter = select(literal(1).label("n")).cte("counter", recursive=True)
    counter = counter.union_all(select(counter.c.n + 1).where(counter.c.n < n_runs // N_REAL - 1))
    with workspace.write() as session:
        step = {table: _largest(session, table) for table in (Run, Evaluation)}
        moved = col(MetricValue.value) + SPREAD * cast(func.random(), Float) / float(2**63)
        n = counter.c.n
        session.execute(_copied(Run, counter, {"id": col(Run.id) + n * step[Run]}))
        session.execute(
            _copied(
                Evaluation,
                counter,
                {
                    "id": col(Evaluation.id) + n * step[Evaluation],
                    "run_id": col(Evaluation.run_id) + n * step[Run],
                },
            )
        )
        session.execute(
            _copied(
                MetricValue,
                counter,
                {"evaluation_id": col(MetricValue.evaluation_id) + n * step[Evaluation], "value": moved},
            )
        )
    return real


def _largest(session: Session, table: type[SQLModel]) -> int:
    return int(session.execute(select(func.max(table.id))).scalar_one())  # type: ignore[attr-defined]


def _copied(table: type[SQLModel], counter: Any, changed: dict[str, Any]) -> Any:
    columns = list(table.__table__.columns)  # type: ignore[attr-defined]
    chosen = (
        select(*(changed.get(column.name, column) for column in columns))
        .select_from(table)
        .join(counter, literal(True))
    )
    return insert(table).from_select([column.name for column in columns], chosen)


def statements(session: Session, ask: Callable[[Session], object]) -> list[tuple[str, Any]]:
    """The SQL a query sends, with its parameters."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
        sent.append((sql, parameters))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", keep)
    ask(session)
    event.remove(connection, "before_cursor_execute", keep)
    return sent


def sql_ms(session: Session, sent: Sequence[tuple[str, Any]]) -> float:
    """Time on the clock that the database takes for statements and for giving out their rows."""
    connection = session.connection()
    return wall_ms(lambda: [connection.exec_driver_sql(*one).fetchall() for one in sent])


def best(workspace: Workspace) -> list[Figure]:
    """The best fifty by each metric: SQL of the plain ranking, SQL of the page's list, and the list with its rows."""
    found: dict[str, list[Figure]] = {"SQL of top_runs": [], "SQL of list_runs": [], "whole list_runs": []}
    for metric in metrics_for(Task.BINARY):
        top = partial(top_runs, key=metric.key, greater_is_better=metric.greater_is_better, limit=TOP)
        listed = partial(list_runs, limit=TOP, sort_metric=metric.key)
        with workspace.read() as session:
            plain, rows = statements(session, top), statements(session, listed)
            samples = {
                "SQL of top_runs": sampled(lambda: sql_ms(session, plain), REPEATS),  # noqa: B023 - called at once
                "SQL of list_runs": sampled(lambda: sql_ms(session, rows), REPEATS),  # noqa: B023
                "whole list_runs": sampled(lambda: wall_ms(lambda: listed(session)), REPEATS),  # noqa: B023
            }
        for name, taken in samples.items():
            found[name].append(Figure(f"{name}: {metric.key}", taken, "ms", TOP_MS))
    return [worst(f"best {TOP} of the runs, {name}", lines, target=TOP_MS) for name, lines in found.items()]


def figures(n_runs: int = N_RUNS, rounds: int = 3) -> list[Figure]:
    """Fill a home, ask it, and open its pages."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with opened(Settings(home=home)) as workspace:
            began = time.perf_counter()
            real = fill(workspace, n_runs)
            filled = time.perf_counter() - began
            with workspace.read() as session:
                total = count_runs(session)
            ranked = best(workspace)
        wanted = [
            Visit(Role.DATA_SCIENTIST, "runs", {}),
            Visit(Role.DATA_SCIENTIST, "runs", {"sort": "roc_auc"}, "best first"),
            Visit(Role.DATA_SCIENTIST, "run", {"run": str(real[-1])}),
            Visit(
                Role.DATA_SCIENTIST,
                "compare",
                {"runs": ",".join(str(one) for one in real), "baseline": str(real[0])},
                f"of {N_REAL}",
            ),
        ]
        with running(home, "--demo") as gatehouse, browsing() as context:
            found = settled(context, gatehouse.url, wanted, rounds=rounds)
        ran = scripts(home, wanted, demo=True)
    prefix = f"{total:,} runs, "
    return [
        Figure(prefix + "made in", (filled,), "s"),
        *ranked,
        worst(prefix + "fresh tab", found["fresh"], target=FRESH_S),
        worst(prefix + "inside the app", found["inside"], target=INSIDE_S),
        worst(prefix + "script CPU", ran, target=SCRIPT_MS),
        *(
            Figure(prefix + one.what, one.samples, one.unit, one.target)
            for one in (*found["fresh"], *found["inside"], *ran)
        ),
    ]


if __name__ == "__main__":
    print(table(figures(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
