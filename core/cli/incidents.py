"""Commands on incidents: what is open, why, what was done, how it ended."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show

Id = Annotated[int, typer.Argument(metavar="ID", help="The incident's number, see `incident list`.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    incident = typer.Typer(help="Incidents.", no_args_is_help=True, rich_markup_mode=None)
    incident.command("list")(list_incidents)
    incident.command("show")(show_incident)
    incident.command("open")(open_incident)
    incident.command()(note)
    incident.command()(resolve)
    app.add_typer(incident, name="incident")


def list_incidents(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List incidents, those nobody has resolved first."""
    from core.incidents import queries
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        rows = queries.list_incidents(session)
        brief = [
            {
                "id": row.id,
                "state": row.state,
                "title": row.title,
                "cause": row.cause,
                "owner": row.owner,
                "since": row.since_at,
                "alerts": row.n_alerts,
            }
            for row in rows
        ]
        show(rows if as_json else brief, as_json)


def show_incident(incident_id: Id, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show what happened, since when, the harm, the likely cause, and the remedies with their consequence."""
    from core.incidents import queries
    from core.incidents.causes import cause_title
    from core.incidents.remedies import options
    from core.incidents.situation import situation_of
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        found = queries.incident(session, incident_id)
        remedies = options(
            situation_of(session, monitor_id=found.monitor_id, findings=found.findings, since=found.since_at)
        )
        shown = {
            "id": found.id,
            "title": found.title,
            "state": found.state,
            "severity": found.severity,
            "owner": queries.owner_name(session, incident_id),
            "since": found.since_at,
            "cause": cause_title(found.cause),
            "why": found.findings["sentence"],
            "harm": found.findings["harm"],
            "changed_before": [change["sentence"] for change in found.findings["changes"]],
            "cannot_be_seen": found.findings["unseen"],
            "alerts": [alert.sentence for alert in queries.alerts_of(session, incident_id)],
            "remedies": [
                {"remedy": one.title, "advised": one.advised, "consequence": one.consequence} for one in remedies
            ],
            "done": queries.actions(session, incident_id),
            "outcome": found.outcome or None,
        }
        if as_json:
            show(shown | {"findings": found.findings}, as_json)
            return
        facts = {key: value for key, value in shown.items() if key not in {"remedies", "done", "alerts"}}
        show(facts, as_json)
        for heading in ("alerts", "remedies", "done"):
            typer.echo(f"\n{heading.capitalize()}")
            show(shown[heading], as_json)


def open_incident(
    alert_id: Annotated[int, typer.Argument(metavar="ALERT", help="The alert's number, see `alert list`.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Open an incident about an alert, or add the alert to the one that is open."""
    from core.database import utc_now
    from core.errors import NotFound
    from core.incidents import service
    from core.incidents.opening import triage_now
    from core.monitoring.tables import Alert
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor):
        require(actor, Permission.ALERT_ACKNOWLEDGE)
        with workspace.read() as session:
            alert = session.get(Alert, alert_id)
        if alert is None:
            raise NotFound("alert", alert_id, "See `alert list`.")
        now = utc_now()
        found = triage_now(workspace, monitor_id=alert.monitor_id, window_id=alert.window_id, now=now)
        with workspace.write() as session:
            incident = service.open_from_alert(session, alert_id=alert_id, triage=found, actor=actor, now=now)
            opened = {"id": incident.id, "title": incident.title, "cause": incident.cause}
        show(opened, as_json, f"Incident {opened['id']}: {opened['title']}")


def note(
    incident_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you saw or did.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Write a note into an incident's record."""
    from core.database import utc_now
    from core.incidents import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        service.add_note(session, incident_id=incident_id, note=text, actor=actor, now=utc_now())
        show({"id": incident_id}, as_json, f"The note is kept with incident {incident_id}.")


def resolve(
    incident_id: Id,
    outcome: Annotated[str, typer.Option("--outcome", help="What the cause was, and what was done.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Close an incident, and its alerts with it."""
    from core.database import utc_now
    from core.incidents import service

    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome=outcome, actor=actor, now=utc_now())
        show({"id": incident_id}, as_json, f"Incident {incident_id} is resolved.")
