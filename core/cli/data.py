"""Commands on datasets: add, list, show, diff, check, quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show

if TYPE_CHECKING:
    from sqlmodel import Session

    from core.datasets.tables import Dataset, DatasetVersion

Reference = Annotated[str, typer.Argument(metavar="N[@V]", help="A dataset, or one of its versions: income@2.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Datasets and their versions.", no_args_is_help=True, rich_markup_mode=None)
    group.command()(add)
    group.command("list")(list_datasets)
    group.command("show")(show_version)
    group.command()(diff)
    group.command()(check)
    group.command()(quarantine)
    group.command()(costs)
    app.add_typer(group, name="dataset")


def add(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Option("--name", help="The dataset; a known one gets its next version.")],
    target: Annotated[str | None, typer.Option("--target", help="What is predicted.")] = None,
    sensitive: Annotated[list[str] | None, typer.Option("--sensitive", help="A sensitive column; repeat it.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="The column that says when.")] = None,
    adds_to: Annotated[
        int | None, typer.Option("--adds-to", help="Number of the version the rows are added to.")
    ] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset version of a file; prints what was inferred of it."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.datasets import queries, service
    from core.datasets.ingest import inspect
    from core.datasets.tables import Relation
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor):
        require(actor, Permission.DATASET_ADD)
        inspection = inspect(file, file_name=file.name)
        with workspace.read() as session:
            known = next((row for row in queries.list_datasets(session) if row.name == name), None)
            before = queries.dataset(session, known.id) if known else None
            parent_id = None
            if adds_to is not None:
                parent_id = queries.resolve_version(session, f"{name}@{adds_to}").id
            elif known is not None:
                parent_id = known.latest_version_id
        relation = Relation.NEW if parent_id is None else Relation.ADDS_TO if adds_to is not None else Relation.REPLACES
        stored = workspace.artifacts.put_file(file)
        with workspace.write() as session:
            upload = service.store_upload(session, artifact=stored, file_name=file.name, actor=actor, now=utc_now())
            intake = service.request_intake(
                session,
                upload_id=upload.id or 0,
                dataset_name=name,
                relation=relation,
                options=inspection.options,
                target=target or (before.target if before else None),
                sensitive=sensitive or (list(before.sensitive) if before else []),
                time_column=time or (before.time_column if before else None),
                parent_id=parent_id,
                actor=actor,
                now=utc_now(),
            )
            intake_id, job_id = intake.id or 0, intake.job_id
        finish(workspace, job_id)
        with workspace.read() as session:
            done = queries.intake(session, intake_id)
            version = queries.version(session, done.version_id or 0)
            label = queries.version_label(session, version.id or 0)
        result = {
            "id": version.id,
            "label": label,
            "rows": version.n_rows,
            "columns": {column["name"]: column["kind"] for column in version.columns},
            "inferred": list(inspection.notes),
            "summary": version.summary,
        }
        said = [f"{label}: {version.n_rows:,} rows, {version.n_columns} columns", *inspection.notes, version.summary]
        show(result, as_json, "\n".join(said))


def list_datasets(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List the datasets."""
    from core.datasets import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.DATASET_READ)
        show(queries.list_datasets(session), as_json)


def show_version(reference: Reference, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show one version: its state, columns and what changed."""
    from core.datasets import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.DATASET_READ)
        version = queries.resolve_version(session, reference)
        show(_described(session, version, queries.dataset(session, version.dataset_id)), as_json)


def diff(
    base: Annotated[str, typer.Argument(metavar="N@A")],
    version: Annotated[str, typer.Argument(metavar="N@B")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two versions."""
    from core.datasets import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.DATASET_READ)
        before, after = queries.resolve_version(session, base), queries.resolve_version(session, version)
        target = queries.dataset(session, after.dataset_id).target
        found = queries.diff_versions(workspace.artifacts, before, after, target)
        show(found, as_json, "\n".join(found["sentences"]) or "Nothing changed.")


def check(reference: Reference, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show how a version's checks ended."""
    from core.datasets import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.DATASET_READ)
        version = queries.resolve_version(session, reference)
        rows = [
            {
                "check": row.code,
                "column": row.column,
                "severity": row.severity,
                "outcome": row.outcome,
                "explanation": row.explanation,
            }
            for row in queries.checks(session, version.id or 0)
        ]
        show(rows, as_json)


def quarantine(
    reference: Reference,
    reason: Annotated[str, typer.Option("--reason", help="What is wrong with the data.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Keep a version out of training and approvals."""
    from core.database import utc_now
    from core.datasets import queries, service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        version = queries.resolve_version(session, reference)
        service.quarantine(session, version_id=version.id or 0, reason=reason, actor=actor, now=utc_now())
        show({"id": version.id}, as_json, f"{queries.version_label(session, version.id or 0)} is quarantined.")


def costs(
    name: Annotated[str, typer.Argument(metavar="N", help="The dataset.")],
    miss: Annotated[float | None, typer.Option("--miss", help="What a positive row taken for negative costs.")] = None,
    false_alarm: Annotated[
        float | None, typer.Option("--false-alarm", help="What a negative row taken for positive costs.")
    ] = None,
    matrix: Annotated[
        str | None, typer.Option("--matrix", help='JSON: {"labels": [...], "matrix": [[...]]}, true labels as rows.')
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the costs back.")] = False,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Show what a mistake on the dataset's question costs, or set it."""
    import json

    from core.database import utc_now
    from core.datasets import costs as matrices
    from core.datasets import queries, service
    from core.errors import InvalidInput
    from core.permissions import Permission, require

    pair = miss is not None or false_alarm is not None
    if pair + (matrix is not None) + none > 1:
        raise InvalidInput("Give --miss and --false-alarm, or --matrix, or --none.")
    if pair and (miss is None or false_alarm is None):
        raise InvalidInput(
            "A miss and a false alarm are weighed against each other; give both --miss and --false-alarm."
        )
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        require(actor, Permission.DATASET_READ)
        dataset = queries.dataset_by_name(session, name)
        dataset_id = dataset.id or 0
        if pair or matrix is not None or none:
            wanted = None
            if pair:
                labels = queries.target_labels(session, dataset_id)
                if labels is None:
                    raise InvalidInput(
                        f"The labels of {name}'s target are not two known ones. Give the costs with --matrix."
                    )
                wanted = matrices.of_mistakes(labels, miss=miss or 0.0, false_alarm=false_alarm or 0.0)
            elif matrix is not None:
                try:
                    wanted = json.loads(matrix)
                except ValueError as error:
                    raise InvalidInput(f"The matrix is not JSON ({error}).") from error
                if not isinstance(wanted, dict):
                    raise InvalidInput('The matrix must be an object: {"labels": [...], "matrix": [[...]]}.')
            dataset = service.set_costs(session, dataset_id=dataset_id, costs=wanted, actor=actor, now=utc_now())
        said = f"{name}: {matrices.in_words(dataset.costs)}." if dataset.costs else f"{name} has no costs."
        show({"id": dataset_id, "costs": dataset.costs}, as_json, said)


def _described(session: Session, version: DatasetVersion, dataset: Dataset) -> dict[str, object]:
    from core.datasets import queries

    return {
        "id": version.id,
        "label": queries.version_label(session, version.id or 0),
        "summary": version.summary,
        "rows": version.n_rows,
        "columns": {column["name"]: column["kind"] for column in version.columns},
        "target": dataset.target,
        "sensitive": list(dataset.sensitive),
        "changes": (version.diff or {}).get("sentences", []),
        "content_hash": version.content_hash,
        "quarantine_reason": version.quarantine_reason,
        "created_at": version.created_at,
    }
