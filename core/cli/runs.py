"""Commands on runs: train, list, show, cancel, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.errors import InvalidInput

if TYPE_CHECKING:
    from sqlmodel import Session


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(train)
    group = typer.Typer(help="Runs.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_runs)
    group.command("show")(show_run)
    group.command()(cancel)
    app.add_typer(group, name="run")
    app.command()(compare)


def train(
    dataset: Annotated[str, typer.Option("--dataset", metavar="N[@V]", help="What to train on.")],
    algorithm: Annotated[str, typer.Option("--algorithm", help="Key of an algorithm.")],
    target: Annotated[
        str | None, typer.Option("--target", help="What is predicted; the dataset's unless given.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", metavar="k=v", help="A parameter; repeat it.")] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature; repeat it. All unless given.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="random, stratified or time.")] = "random",
    split_column: Annotated[str | None, typer.Option("--split-column", help="Column of the split.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds the fit.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Queue a run."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.datasets import queries as datasets
    from core.datasets.splitting import SplitOptions
    from core.training import queries, service
    from core.training.specification import RunSpec

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            version = datasets.resolve_version(session, dataset)
            aim = target or datasets.dataset(session, version.dataset_id).target
            if not aim:
                raise InvalidInput(f"{dataset} has no target of its own; say what is predicted with --target.")
            column = split_column or (aim if split == "stratified" else None)
            spec = RunSpec(
                dataset_version_id=version.id or 0,
                target=aim,
                task=None,
                features=tuple(feature) if feature else None,
                split=SplitOptions(method=split, column=column),  # type: ignore[arg-type] # checked by the class
                algorithm=algorithm,
                parameters=dict(_pair(text) for text in param or []),
                seed=seed,
            )
            run = service.request_run(session, spec=spec, actor=actor, now=utc_now())
            run_id, job_id = run.id or 0, run.job_id
        if wait:
            finish(workspace, job_id)
        with workspace.read() as session:
            state = queries.run(session, run_id).state
            show({"id": run_id, "state": state, "metrics": _metrics(session, run_id)}, as_json)


def list_runs(
    limit: Annotated[int, typer.Option("--limit", help="At most so many.")] = 50,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from core.permissions import Permission, require
    from core.training import queries

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.RUN_READ)
        show(queries.list_runs(session, limit=limit), as_json)


def show_run(run_id: int, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show a run's whole record."""
    from core.permissions import Permission, require
    from core.training import queries

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.RUN_READ)
        record = queries.run_record(session, run_id)
        kept = record.run.model_dump(exclude={"importance", "dummy", "signature"})
        show({**kept, "dataset": record.version_label, "metrics": _metrics(session, run_id)}, as_json)


def cancel(run_id: int, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Ask a run to stop."""
    from core.database import utc_now
    from core.training import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        service.cancel_run(session, run_id=run_id, actor=actor, now=utc_now())
        show({"id": run_id}, as_json, f"Run {run_id} is asked to stop.")


def compare(
    baseline: Annotated[int, typer.Argument(help="The run the others are held against.")],
    candidates: Annotated[list[int], typer.Argument(help="The other runs.")],
    metric: Annotated[str | None, typer.Option("--metric", help="The task's primary metric unless given.")] = None,
    margin: Annotated[float | None, typer.Option("--margin", help="A loss that still counts as not worse.")] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Say whether each candidate is better than the baseline, on the same rows."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.training import service

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            job = service.request_comparison(
                session,
                baseline_run_id=baseline,
                candidate_run_ids=candidates,
                actor=actor,
                now=utc_now(),
                metric=metric,
                margin=margin,
            )
            job_id = job.id
        result = finish(workspace, job_id).result or {}
        show(result, as_json, "\n".join(_said(one) for one in result["comparisons"]))


def _said(one: dict[str, Any]) -> str:
    if "refused" in one:
        return f"run {one['candidate_run_id']}: {one['refused']}"
    low, high = one["interval"]
    return (
        f"run {one['candidate_run_id']} against run {one['baseline_run_id']}: {one['verdict'].replace('_', ' ')}, "
        f"{one['metric']} {one['effect']:+.4f} [{low:+.4f}, {high:+.4f}] on {one['n_rows']:,} rows"
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"--param {text!r} has no value; write it as --param key=value.")
    return key.strip(), value.strip()


def _metrics(session: Session, run_id: int) -> dict[str, dict[str, object]]:
    from core.training import queries

    return {
        scored.set_label: {
            key: {"value": value.value, "low": value.low, "high": value.high} for key, value in scored.metrics.items()
        }
        for scored in queries.run_record(session, run_id).evaluations
    }
