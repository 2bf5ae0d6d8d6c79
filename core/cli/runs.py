"""Commands on runs: train, list, show, cancel, compare, analyse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.errors import InvalidInput
from core.wording import brief_interval

if TYPE_CHECKING:
    from sqlmodel import Session

    from core.training.queries import RunRecord


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(train)
    group = typer.Typer(help="Runs.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_runs)
    group.command("show")(show_run)
    group.command()(cancel)
    group.command()(recalibrate)
    app.add_typer(group, name="run")
    app.command()(compare)
    app.command()(analyse)


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
    folds: Annotated[int, typer.Option("--folds", help="Of the cross-validation, 2 to 20; 0 for none.")] = 0,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="METHOD", help="sigmoid or isotonic.")
    ] = None,
    weight_column: Annotated[
        str | None, typer.Option("--weight-column", metavar="NAME", help="How much each row counts.")
    ] = None,
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
                folds=folds,
                calibration=calibration,
                weight_column=weight_column,
            )
            run = service.request_run(session, spec=spec, actor=actor, now=utc_now())
            run_id, job_id = run.id or 0, run.job_id
        if wait:
            finish(workspace, job_id)
        with workspace.read() as session:
            state = queries.run(session, run_id).state
            _show_end(session, run_id, state, as_json)


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


def recalibrate(
    run_id: int,
    method: Annotated[str, typer.Option("--method", help="sigmoid or isotonic.")] = "sigmoid",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Queue a run that repeats another and makes its scores the shares of rows that come true."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.training import queries, service

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            run = service.request_recalibration(session, run_id=run_id, method=method, actor=actor, now=utc_now())
            made, job_id = run.id or 0, run.job_id
        if wait:
            finish(workspace, job_id)
        with workspace.read() as session:
            state = queries.run(session, made).state
            _show_end(session, made, state, as_json)


def compare(
    baseline: Annotated[int, typer.Argument(help="The run the others are held against.")],
    candidates: Annotated[list[int], typer.Argument(help="The other runs.")],
    metric: Annotated[str | None, typer.Option("--metric", help="The task's primary metric unless given.")] = None,
    margin: Annotated[float | None, typer.Option("--margin", help="A loss that still counts as not worse.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write one HTML page that needs no server.")
    ] = None,
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
        if report is not None:
            with workspace.read() as session:
                written = _report(session, baseline, candidates, metric, margin, result["comparisons"])
            report.write_text(written, "utf-8")
        show(result, as_json, "\n".join(_said(one) for one in result["comparisons"]))


def analyse(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="The run to look into.")],
    kind: Annotated[str, typer.Option("--kind", help="Key of an analysis, such as slices, weak_slices or errors.")],
    column: Annotated[list[str] | None, typer.Option("--column", help="A column to look at; repeat it.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="k=v", help="An option of the analysis; repeat it.")
    ] = None,
    set_kind: Annotated[str, typer.Option("--set", help="The evaluation set: fixed or latest.")] = "fixed",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Look into one evaluation of a run; what was worked out before is shown again."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.evaluation import queries as evaluations
    from core.permissions import Permission, require
    from core.training import queries, service
    from core.training.analyses import analysis_kind

    options: dict[str, Any] = {key: _value(text) for key, text in (_pair(text, "--option") for text in option or [])}
    if column:
        options["columns"] = list(column)
    with acting(home, as_name) as (workspace, actor):
        with workspace.read() as session:
            require(actor, Permission.RUN_READ)
            record = queries.run_record(session, run_id)
            analysis_kind(kind, record.run.task)
            evaluation_id = _scored_on(record, set_kind)
            found = evaluations.analysis(session, evaluation_id=evaluation_id, kind=kind, options=options)
        if found is None:
            with workspace.write() as session:
                job_id = service.request_analysis(
                    session,
                    run_id=run_id,
                    evaluation_id=evaluation_id,
                    kind=kind,
                    options=options,
                    actor=actor,
                    now=utc_now(),
                ).id
            finish(workspace, job_id)
            with workspace.read() as session:
                found = evaluations.analysis(session, evaluation_id=evaluation_id, kind=kind, options=options)
        assert found is not None
        if as_json:
            show(found.result, as_json)
        else:
            _show_document(found.result)


def _report(
    session: Session,
    baseline: int,
    candidates: list[int],
    metric: str | None,
    margin: float | None,
    made: list[dict[str, Any]],
) -> str:
    """The runs as one page, judged on the rows that the comparison just made was made on."""
    from core.database import utc_now
    from core.errors import NotApplicable
    from core.evaluation import queries as evaluations
    from core.evaluation.metrics import primary_metric
    from core.training import queries
    from core.training.report import comparison_report

    done = next((one["id"] for one in made if "id" in one), None)
    if done is None:
        raise NotApplicable("No candidate could be compared, so there is nothing to report.")
    evaluation_id = evaluations.comparison(session, done).baseline_evaluation_id
    return comparison_report(
        session,
        run_ids=[baseline, *candidates],
        baseline_id=baseline,
        metric=metric or primary_metric(queries.run(session, baseline).task),
        set_id=evaluations.evaluation(session, evaluation_id).evaluation_set_id,
        now=utc_now(),
        margin=margin,
    )


def _scored_on(record: RunRecord, set_kind: str) -> int:
    """The run's evaluation on one of its dataset's sets, the newest of that kind."""
    from core.errors import NotFound

    fitting = [one.evaluation.id for one in record.evaluations if one.evaluation_set.kind == set_kind]
    if not fitting:
        scored = ", ".join(sorted({one.evaluation_set.kind for one in record.evaluations})) or "none"
        raise NotFound(
            "evaluation", f"of run {record.run.id} on the {set_kind} set", f"Sets it was scored on: {scored}."
        )
    return max(one for one in fitting if one is not None)


def _show_document(result: dict[str, Any]) -> None:
    """An analysis in words: what is single as lines, what is a list of entries as tables."""
    show({key: value for key, value in result.items() if not _is_entries(value)}, False)
    for key, value in result.items():
        if _is_entries(value):
            show("", False, f"\n{key.replace('_', ' ').capitalize()}")
            show([_line(one) for one in value], False)


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as one line of a table: what names it first, without lists."""
    named = {"words": entry["words"]} if "words" in entry else {}
    return named | {key: value for key, value in entry.items() if not isinstance(value, list | dict)}


def _is_entries(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _said(one: dict[str, Any]) -> str:
    if "refused" in one:
        return f"run {one['candidate_run_id']}: {one['refused']}"
    low, high = one["interval"]
    return (
        f"run {one['candidate_run_id']} against run {one['baseline_run_id']}: {one['verdict'].replace('_', ' ')}, "
        f"{one['metric']} {one['effect']:+.4f} [{low:+.4f}, {high:+.4f}] on {one['n_rows']:,} rows"
    )


def _pair(text: str, flag: str = "--param") -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"{flag} {text!r} has no value; write it as {flag} key=value.")
    return key.strip(), value.strip()


def _value(text: str) -> Any:
    """An option's value as JSON reads it: a number, true, a list; else the text itself."""
    import json

    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _show_end(session: Session, run_id: int, state: str, as_json: bool) -> None:
    from core.evaluation.metrics import METRICS

    found = _metrics(session, run_id)
    said = [f"Run {run_id} is {state}."]
    for name, metrics in found.items():
        said.append(f"On {name}, with 95 % intervals:")
        said += [
            f"  {METRICS[key].title} {brief_interval(one['value'], one['low'], one['high'])}"
            for key, one in metrics.items()
        ]
    show({"id": run_id, "state": state, "metrics": found}, as_json, "\n".join(said))


def _metrics(session: Session, run_id: int) -> dict[str, dict[str, dict[str, Any]]]:
    from core.training import queries

    return {
        scored.set_label: {
            key: {"value": value.value, "low": value.low, "high": value.high} for key, value in scored.metrics.items()
        }
        for scored in queries.run_record(session, run_id).evaluations
    }
