"""Commands on what is live: drift between versions, monitors, batches, labels, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.cli.health import list_rules, set_rule
from core.cli.monitor_rules import compare_windows, set_monitor
from core.wording import enumerated

if TYPE_CHECKING:
    from sqlmodel import Session

    from core.workspace import Workspace

Model = Annotated[str, typer.Argument(metavar="M", help="A registered model.")]
WINDOWS_SAID = 12
"""How many of the windows that a batch reached are told one by one."""
FEATURES_SAID = 3
IDS_SAID = 5

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV or Parquet file.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(drift)
    monitor = typer.Typer(help="Monitors.", no_args_is_help=True, rich_markup_mode=None)
    monitor.command("list")(list_monitors)
    monitor.command("show")(show_monitor)
    monitor.command("add-batch")(add_batch)
    monitor.command("add-version")(add_version)
    monitor.command("add-labels")(add_labels)
    monitor.command("batches")(list_batches)
    monitor.command("withdraw-batch")(withdraw_batch)
    monitor.command("set")(set_monitor)
    monitor.command("compare")(compare_windows)
    app.add_typer(monitor, name="monitor")
    alert = typer.Typer(help="Alerts.", no_args_is_help=True, rich_markup_mode=None)
    alert.command("list")(list_alerts)
    alert.command()(acknowledge)
    alert.command("rules")(list_rules)
    alert.command("set-rule")(set_rule)
    app.add_typer(alert, name="alert")


def drift(
    reference: Annotated[str, typer.Option("--reference", metavar="N@A", help="What is measured against.")],
    current: Annotated[str, typer.Option("--current", metavar="N@B", help="What is measured.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Say which columns moved from one dataset version to another."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.datasets import queries
    from core.monitoring import service

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            job = service.request_version_comparison(
                session,
                reference_id=queries.resolve_version(session, reference).id or 0,
                current_id=queries.resolve_version(session, current).id or 0,
                actor=actor,
                now=utc_now(),
            )
            job_id = job.id
        result = finish(workspace, job_id).result or {}
        show(result if as_json else result["features"], as_json)


def list_monitors(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List monitors, attention first."""
    from core.monitoring import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        show(queries.list_monitors(session), as_json)


def show_monitor(model: Model, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show a model's windows, oldest first, with what drifted in each."""
    from core.monitoring import drift_queries, window_queries
    from core.monitoring.tables import WindowState
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        found = champion_monitor(session, model)
        rows = [
            {
                "id": window.id,
                "window": window.label,
                "rows": window.n_rows,
                "state": window.state,
                "drifted": [
                    result.feature
                    for result in drift_queries.drift_results(session, window.id or 0)
                    if result.state == WindowState.DRIFTED
                ],
            }
            for window in window_queries.windows(session, found)
        ]
        show({"id": found, "windows": rows} if as_json else rows, as_json)


def add_batch(
    model: Model,
    file: File,
    time: Annotated[str | None, typer.Option("--time", metavar="C", help="The column that says when.")] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Hold a file of production rows against the live version's reference."""
    from core.database import utc_now
    from core.datasets import service as datasets
    from core.datasets.ingest import inspect
    from core.monitoring import service

    with acting(home, as_name) as (workspace, actor):
        options = inspect(file, file_name=file.name).options
        stored = workspace.artifacts.put_file(file)
        with workspace.write() as session:
            now = utc_now()
            upload = datasets.store_upload(session, artifact=stored, file_name=file.name, actor=actor, now=now)
            batch = service.add_batch(
                session,
                monitor_id=champion_monitor(session, model),
                upload_id=upload.id or 0,
                options=options,
                time_column=time,
                actor=actor,
                now=now,
            )
            batch_id, job_id = batch.id or 0, batch.job_id
        _finish_batch(workspace, batch_id, job_id, as_json)


def add_version(
    model: Model,
    version: Annotated[str, typer.Argument(metavar="N@V", help="A version of a dataset.")],
    time: Annotated[str | None, typer.Option("--time", metavar="C", help="The column that says when.")] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Hold a dataset version against the live version's reference."""
    from core.database import utc_now
    from core.datasets import queries as datasets
    from core.monitoring import service

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            batch = service.add_version(
                session,
                monitor_id=champion_monitor(session, model),
                dataset_version_id=datasets.resolve_version(session, version).id or 0,
                time_column=time,
                actor=actor,
                now=utc_now(),
            )
            batch_id, job_id = batch.id or 0, batch.job_id
        _finish_batch(workspace, batch_id, job_id, as_json)


def _finish_batch(workspace: Workspace, batch_id: int, job_id: int | None, as_json: bool) -> None:
    from core.cli.waiting import finish
    from core.monitoring import queries

    found = finish(workspace, job_id).result or {}
    windows, notes = found.get("windows", []), found.get("notes", [])
    with workspace.read() as session:
        done = queries.batch(session, batch_id)
        row = next(row for row in queries.list_monitors(session) if row.id == done.monitor_id)
    # Rows of the past reach other windows than the monitor's newest: what they did there is the answer.
    said = [f"Batch {batch_id}: {done.n_rows or 0:,} rows read.", *map(_said_of_window, windows[-WINDOWS_SAID:])]
    if len(windows) > WINDOWS_SAID:
        said.insert(1, f"{len(windows)} windows were computed; the newest of them:")
    answer = {"id": batch_id, "rows": done.n_rows, "state": row.state, "sentence": row.sentence, "windows": windows}
    show({**answer, "notes": notes}, as_json, "\n".join([*said, *notes]))


def _said_of_window(window: Mapping[str, Any]) -> str:
    from core.monitoring.tables import WindowState

    counted = f"{window['label']}, {window['n_rows']:,} rows: "
    if window["state"] == WindowState.NOT_ENOUGH_DATA:
        return f"{counted}not enough data to tell."
    if not window["drifted"]:
        return f"{counted}none of {window['n_features']} features drifted."
    drifted = enumerated(window["drifted"], FEATURES_SAID)
    return f"{counted}{len(window['drifted'])} of {window['n_features']} features drifted: {drifted}."


def add_labels(
    model: Model,
    file: File,
    id_column: Annotated[
        str, typer.Option("--id", metavar="C", help="The column of prediction ids.")
    ] = "prediction_id",
    label_column: Annotated[str, typer.Option("--label", metavar="C", help="The column of labels.")] = "label",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Join what turned out to be true to predictions, by their ids."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.datasets import service as datasets
    from core.datasets.ingest import inspect
    from core.monitoring import service
    from core.registry import queries as registry

    with acting(home, as_name) as (workspace, actor):
        options = inspect(file, file_name=file.name).options
        stored = workspace.artifacts.put_file(file)
        with workspace.write() as session:
            now = utc_now()
            upload = datasets.store_upload(session, artifact=stored, file_name=file.name, actor=actor, now=now)
            job = service.add_labels(
                session,
                model_id=registry.model_by_name(session, model).id or 0,
                upload_id=upload.id or 0,
                options=options,
                id_column=id_column,
                label_column=label_column,
                actor=actor,
                now=now,
            )
            upload_id, job_id = upload.id, job.id
        found = finish(workspace, job_id).result or {}
        said = [found.get("sentence", "Labels joined.")]
        if found.get("unknown"):
            said.append(f"Without a prediction: {enumerated(found['unknown'], IDS_SAID)}.")
        show({"id": upload_id, **found}, as_json, " ".join(said))


def list_batches(model: Model, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List what was added to a model's monitor, newest first."""
    from core.monitoring import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        found = queries.batches(session, champion_monitor(session, model))
        names = queries.batch_names(session, found)
        rows = [
            {
                "id": one.id,
                "name": names[one.id or 0],
                "state": one.state,
                "rows": one.n_rows,
                "time_column": one.time_column,
                "added_at": one.added_at,
                "error": one.error,
            }
            for one in found
        ]
        show(rows, as_json)


def withdraw_batch(
    batch_id: Annotated[int, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option("--reason", help="Why it should not count.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Take the rows of a batch out of every window."""
    from core.database import utc_now
    from core.monitoring import batch_withdrawal

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        batch_withdrawal.withdraw_batch(session, batch_id=batch_id, reason=reason, actor=actor, now=utc_now())
        show({"id": batch_id}, as_json, f"Batch {batch_id} is withdrawn; its windows are computed anew.")


def list_alerts(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List alerts, newest first."""
    from core.monitoring import alert_queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        show(alert_queries.alerts(session), as_json)


def acknowledge(
    alert_id: Annotated[int, typer.Argument(metavar="ID")],
    note: Annotated[str, typer.Option("--note", help="What you found.")] = "",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Say that you are on it."""
    from core.database import utc_now
    from core.monitoring import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        service.acknowledge_alert(session, alert_id=alert_id, note=note, actor=actor, now=utc_now())
        show({"id": alert_id}, as_json, f"Alert {alert_id} is acknowledged.")


def champion_monitor(session: Session, model: str) -> int:
    """The monitor of a model's champion in production.

    Raises
    ------
    NotFound
    """
    from core.errors import NotFound
    from core.monitoring import queries
    from core.registry import queries as registry

    model_id = registry.model_by_name(session, model).id or 0
    found = queries.monitor_of(session, model_id=model_id, environment="production", alias="champion")
    if found is None or found.id is None:
        raise NotFound("monitor of", repr(model), "A monitor comes with a model's first deployment.")
    return found.id
