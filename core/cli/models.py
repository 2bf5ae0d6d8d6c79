"""Commands on models: register, cards, promotion requests, waivers, rollback, scoring a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.errors import InvalidInput, LifecycleError

if TYPE_CHECKING:
    from core.governance.tables import DecisionKind

Kind = TypeVar("Kind", bound=StrEnum)

Version = Annotated[str, typer.Argument(metavar="M@V", help="A model version: income@3.")]
Comment = Annotated[str, typer.Option("--comment", help="What is said about it.")]
RequestId = Annotated[int, typer.Argument(metavar="ID", help="The request.")]
InEnvironment = Annotated[str, typer.Option("--environment", help="production or staging.")]
UnderAlias = Annotated[str, typer.Option("--alias", help="champion, challenger or shadow.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    model = typer.Typer(help="Registered models.", no_args_is_help=True, rich_markup_mode=None)
    model.command("register")(register_run)
    model.command("list")(list_models)
    model.command("show")(show_model)
    app.add_typer(model, name="model")
    app.command()(promote)
    request = typer.Typer(help="Promotion requests.", no_args_is_help=True, rich_markup_mode=None)
    request.command("list")(list_requests)
    request.command("show")(show_request)
    request.command()(approve)
    request.command("request-changes")(request_changes)
    request.command()(reject)
    request.command()(withdraw)
    app.add_typer(request, name="request")
    app.command()(rollback)
    app.command()(score)
    card = typer.Typer(help="Model cards.", no_args_is_help=True, rich_markup_mode=None)
    card.command("show")(show_card)
    card.command("edit")(edit_card)
    app.add_typer(card, name="card")
    waiver = typer.Typer(help="Waivers of gates.", no_args_is_help=True, rich_markup_mode=None)
    waiver.command("add")(add_waiver)
    app.add_typer(waiver, name="waiver")


def register_run(
    run_id: Annotated[int, typer.Argument(metavar="RUN")],
    name: Annotated[str, typer.Option("--name", help="The model; a known one gets its next version.")],
    description: Annotated[str, typer.Option("--description", help="What a new model is for.")] = "",
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The score from which on a row is called positive.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="Find the threshold: recall>=0.9, precision>=0.8, share<=0.1, f1 or cost."),
    ] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Register a finished run as a model's next version, with a threshold of its own where one is given."""
    from core.database import utc_now
    from core.permissions import Permission, require
    from core.registry import service

    with acting(home, as_name) as (workspace, actor):
        require(actor, Permission.MODEL_REGISTER)
        chosen, said = None, ""
        if threshold is not None or rule is not None:
            from core.evaluation.threshold_choices import threshold_sentence
            from core.training.threshold_analysis import choose

            chosen = choose(workspace, run_id=run_id, threshold=threshold, rule=rule)
            said = threshold_sentence(chosen.to_document())
        with workspace.write() as session:
            version = service.register_version(
                session,
                run_id=run_id,
                model_name=name,
                description=description,
                threshold=chosen,
                actor=actor,
                now=utc_now(),
            )
            label = f"{name}@{version.number}"
            result = {"id": version.id, "label": label, "threshold": version.threshold}
        show(result, as_json, "\n".join([f"Registered as {label}.", *([said] if said else [])]))


def list_models(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List models and what is live."""
    from core.permissions import Permission, require
    from core.registry import queries

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MODEL_READ)
        show(queries.list_models(session), as_json)


def show_model(
    name: Annotated[str, typer.Argument(metavar="M")], home: Home = None, as_name: ActAs = None, as_json: AsJson = False
) -> None:
    """Show a model's versions and deployments."""
    from core.permissions import Permission, require
    from core.registry import queries

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MODEL_READ)
        model_id = queries.model_by_name(session, name).id or 0
        result = {
            "id": model_id,
            "name": name,
            "versions": queries.version_rows(session, model_id),
            "deployments": queries.deployments(session, model_id),
        }
        show(result, as_json)


def promote(
    version: Version,
    comment: Comment,
    alias: UnderAlias = "champion",
    environment: InEnvironment = "production",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a version to go live; waits until its evidence is gathered."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.governance import queries, service
    from core.registry import queries as registry
    from core.registry.tables import Alias, Environment

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            request = service.request_promotion(
                session,
                version_id=registry.resolve_version(session, version).id or 0,
                environment=_one_of(Environment, environment),
                alias=_one_of(Alias, alias),
                comment=comment,
                actor=actor,
                now=utc_now(),
            )
            request_id, job_id = request.id or 0, request.job_id
        finish(workspace, job_id)
        with workspace.read() as session:
            page = queries.decision_page(session, request_id, actor, utc_now())
        said = [
            f"Request {request_id}: {page.question}",
            *(f"{one['set']}: {one['sentence']}" for one in page.comparisons),
            f"Blocking: {page.n_blocking or 'none'}. Warnings: {page.n_warnings or 'none'}.",
            f"Can approve: {', '.join(page.reviewers) or 'nobody; ask an administrator to add a reviewer'}.",
        ]
        result = {
            "id": request_id,
            "state": page.state,
            "blocking": page.n_blocking,
            "warnings": page.n_warnings,
            "reviewers": list(page.reviewers),
            "evidence_digest": page.evidence_digest,
        }
        show(result, as_json, "\n".join(said))


def list_requests(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List promotion requests, undecided ones first."""
    from core.governance import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.REQUEST_READ)
        show([*queries.open_requests(session), *queries.decided_requests(session)], as_json)


def show_request(request_id: RequestId, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show everything a reviewer sees of a request."""
    from core.database import utc_now
    from core.governance import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.REQUEST_READ)
        show(queries.decision_page(session, request_id, actor, utc_now()), as_json)


def approve(
    request_id: RequestId,
    comment: Annotated[str, typer.Option("--comment")] = "",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Approve; the last approval needed makes the version live."""
    _decide(request_id, "approve", comment, home, as_name, as_json)


def request_changes(
    request_id: RequestId, comment: Comment, home: Home = None, as_name: ActAs = None, as_json: AsJson = False
) -> None:
    """Ask for changes."""
    _decide(request_id, "request_changes", comment, home, as_name, as_json)


def reject(
    request_id: RequestId, comment: Comment, home: Home = None, as_name: ActAs = None, as_json: AsJson = False
) -> None:
    """Reject for good."""
    _decide(request_id, "reject", comment, home, as_name, as_json)


def withdraw(request_id: RequestId, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Take your own request back."""
    from core.database import utc_now
    from core.governance import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        service.withdraw(session, request_id=request_id, actor=actor, now=utc_now())
        show({"id": request_id}, as_json, f"Request {request_id} is withdrawn.")


def rollback(
    model: Annotated[str, typer.Argument(metavar="M")],
    reason: Annotated[str, typer.Option("--reason", help="What went wrong.")] = "Rolled back from the shell.",
    alias: UnderAlias = "champion",
    environment: InEnvironment = "production",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Make live again what was live before."""
    from core.database import utc_now
    from core.governance import service
    from core.registry import queries
    from core.registry.tables import Alias, Environment

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        deployment = service.roll_back(
            session,
            model_id=queries.model_by_name(session, model).id or 0,
            environment=_one_of(Environment, environment),
            alias=_one_of(Alias, alias),
            reason=reason,
            actor=actor,
            now=utc_now(),
        )
        label = queries.version_label(session, deployment.version_id)
        show({"id": deployment.id, "version": label}, as_json, f"{label} is {alias} in {environment} again.")


def score(
    version: Annotated[str, typer.Argument(metavar="M[@V]", help="A model version; the newest unless given.")],
    input_file: Annotated[Path, typer.Option("--input", exists=True, dir_okay=False, help="Rows to score.")],
    output_file: Annotated[Path, typer.Option("--output", help="Where the rows go with their predictions.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Score a file with a model version; neither logged nor monitored."""
    import pyarrow.parquet as pq

    from core.datasets.exporting import to_csv
    from core.datasets.ingest import inspect, read_exactly
    from core.permissions import Permission, require
    from core.registry import queries
    from core.serving.batch_scoring import score_file

    with acting(home, as_name) as (workspace, actor):
        require(actor, Permission.PREDICTION_CREATE)
        table = read_exactly(input_file, inspect(input_file, file_name=input_file.name).options)
        with workspace.read() as session:
            version_id = queries.resolve_version(session, version).id or 0
        scored = score_file(workspace, version_id=version_id, table=table)
        if output_file.suffix == ".parquet":
            pq.write_table(scored, output_file)
        else:
            output_file.write_bytes(to_csv(scored))
        said = f"{scored.num_rows:,} rows scored into {output_file}."
        show({"rows": scored.num_rows, "output": str(output_file)}, as_json, said)


def show_card(version: Version, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show a version's card."""
    from core.governance import queries
    from core.permissions import Permission, require
    from core.registry import queries as registry

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MODEL_READ)
        show(queries.card(session, registry.resolve_version(session, version).id or 0), as_json)


def edit_card(
    version: Version,
    file: Annotated[Path, typer.Option("--file", exists=True, dir_okay=False, help="JSON: section to text.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Write sections of a version's card; the others stay."""
    from core.database import utc_now
    from core.governance import queries, service
    from core.registry import queries as registry

    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON ({error}); expected an object of section and text.") from error
    if not isinstance(given, dict):
        raise InvalidInput(f"{file} holds a {type(given).__name__}; expected an object of section and text.")
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        version_id = registry.resolve_version(session, version).id or 0
        card = queries.card(session, version_id)
        service.edit_card(
            session,
            version_id=version_id,
            sections={**card.sections, **{str(key): str(value) for key, value in given.items()}},
            revision=card.revision,
            actor=actor,
            now=utc_now(),
        )
        show({"id": version_id}, as_json, f"The card of {version} is saved.")


def add_waiver(
    request_id: Annotated[int, typer.Argument(metavar="REQ")],
    gate: Annotated[str, typer.Option("--gate", help="Code of the gate.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may pass all the same.")],
    until: Annotated[datetime, typer.Option("--until", help="Last day.", formats=["%Y-%m-%d"])],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Let a request pass a gate that blocks, until a day."""
    from core.database import utc_now
    from core.governance import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        waiver = service.grant_waiver(
            session,
            request_id=request_id,
            gate=gate,
            reason=reason,
            until=until.replace(hour=23, minute=59, second=59, tzinfo=UTC),
            actor=actor,
            now=utc_now(),
        )
        show({"id": waiver.id}, as_json, f"Gate {gate} of request {request_id} is waived.")


def _decide(
    request_id: int, kind: DecisionKind | str, comment: str, home: Path | None, as_name: str | None, as_json: bool
) -> None:
    from core.database import utc_now
    from core.governance import queries, service
    from core.governance.lifecycle import stands
    from core.governance.tables import DecisionKind

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        request = service.decide(
            session,
            workspace.artifacts,
            request_id=request_id,
            kind=DecisionKind(kind),
            comment=comment,
            evidence_digest=queries.request(session, request_id).evidence_digest or "",
            actor=actor,
            now=utc_now(),
        )
        said = f"Request {request_id} ({queries.request_label(session, request)}) {stands(request.state)}."
        show({"id": request_id, "state": request.state}, as_json, said)


def _one_of(kind: type[Kind], given: str) -> Kind:
    try:
        return kind(given)
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        raise LifecycleError(f"{given!r} is not one of: {choices}.") from None
