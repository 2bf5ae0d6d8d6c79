"""Commands about the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show


def register(app: typer.Typer) -> None:
    """Add these commands."""
    audit = typer.Typer(help="The audit log.", no_args_is_help=True)
    audit.command("verify")(verify)
    audit.command("list")(list_events)
    audit.command("as-of")(as_of)
    app.add_typer(audit, name="audit")


def verify(home: Home = None, as_json: AsJson = False, as_name: ActAs = None) -> None:
    """Check the chain of events and the hash of every stored file; exit code 1 when anything was changed."""
    from core.governance.integrity import verify_everything

    with acting(home, as_name) as (workspace, actor):
        report = verify_everything(workspace, actor=actor)
    lines = [f"event {found.number}: {found.reason}" for found in report.chain.breaks]
    lines += [f"{damaged.what}: {damaged.reason}" for damaged in report.damaged]
    checked = f"{report.chain.events:,} events, {report.n_files:,} stored files"
    if not lines:
        lines = [
            f"Everything is as it was written: {checked}.",
            f"Head: event {report.chain.head_number}, {report.chain.head_hash}. "
            "Keep it elsewhere: only against it a cut-off end shows.",
        ]
    else:
        lines.append(f"Changed after it was written: {len(lines)} of {checked}.")
    show({"intact": report.intact, "chain": report.chain, "damaged": report.damaged}, as_json, "\n".join(lines))
    if not report.intact:
        raise typer.Exit(1)


def list_events(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """List events."""
    from core.audit import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.AUDIT_READ)
        events = queries.events(session, limit=limit)
    if as_json:
        show(events, as_json)
        return
    fields = {"number", "at", "actor_name", "via", "action", "subject_kind", "subject_label"}
    show([event.model_dump(include=fields) for event in events], as_json)


def as_of(
    time: Annotated[
        str, typer.Argument(help="2026-03-12 or 2026-03-12T14:05+01:00; a day means its end, no zone this machine's.")
    ],
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """Tell what was live at a moment, who allowed it, and on what evidence."""
    from core.governance.as_of import live_as_of
    from core.permissions import Permission, require

    at = _moment(time)
    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.AUDIT_READ)
        rows = live_as_of(session, at)
    if as_json:
        show({"at": at, "live": rows}, as_json)
        return
    show(
        [
            {
                "model": row.model_name,
                "environment": row.environment,
                "alias": row.alias,
                "version": row.version_label,
                "since": row.since,
                "cause": row.cause,
                "by": row.deployed_by,
                "requested by": row.requested_by,
                "approved by": list(row.approvers),
                "gates": row.gates,
                "evidence": row.evidence_digest[:8] if row.evidence_digest else None,
            }
            for row in rows
        ],
        as_json,
    )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date or time; write 2026-03-12 or 2026-03-12T14:05+01:00", param_hint="TIME"
        ) from None
    if len(text) == len("2026-03-12"):
        at = at.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return at.astimezone()
