"""Commands on how the installation is, and on when an alert is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.errors import InvalidInput

if TYPE_CHECKING:
    from sqlmodel import Session

    from core.monitoring.rule_queries import RuleRow

Model = Annotated[
    str | None, typer.Option("--model", metavar="M", help="A registered model's monitor; else the installation.")
]
LEARNED = "learned"
DEFAULT = "default"


def register(app: typer.Typer) -> None:
    """Add these commands; those on rules are in the group `alert` (`core.cli.watching`)."""
    app.command()(health)


def health(home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Print what each process measured last, and what the rules make of it."""
    from core.database import utc_now
    from core.health.figures import FIGURES, in_words
    from core.health.queries import latest
    from core.monitoring.liveness import ago
    from core.monitoring.rule_queries import rules_of_installation
    from core.permissions import Permission, require

    now = utc_now()
    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        found = latest(session, now)
        rules = [_rule(row) for row in rules_of_installation(session, now)]
        if as_json:
            show({"figures": found, "rules": rules}, as_json)
            return
        figures = [
            {
                "figure": FIGURES[row.key].title,
                "process": row.process,
                "about": row.subject or "everything",
                "value": in_words(row.value, FIGURES[row.key].unit),
                "measured": ago(now - row.at),
            }
            for row in found
        ]
        show(figures, as_json, None if figures else "Nothing was measured within two hours: no process is running.")
        for rule in rules:
            show(f"{rule['title']}: {rule['says']}", as_json)


def list_rules(model: Model = None, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """List when an alert is raised, and what each rule says now."""
    from core.permissions import Permission, require

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MONITORING_READ)
        show([_rule(row) for row in _rules(session, model)], as_json)


def set_rule(
    kind: Annotated[str, typer.Argument(metavar="RULE", help="Its key, see `alert rules`.")],
    model: Model = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="A parameter; V is a number, or `default`, or `learned`."),
    ] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.", show_default=False)] = None,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Change when an alert is raised; what is not named stays."""
    from core.database import utc_now
    from core.monitoring.alert_rules import rule_kind
    from core.monitoring.rule_queries import stored_rule
    from core.monitoring.rule_service import edit_rule

    rule_kind(kind)
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        monitor_id = _monitor_id(session, model)
        stored = stored_rule(session, monitor_id, kind)
        edit_rule(
            session,
            monitor_id=monitor_id,
            kind=kind,
            enabled=(stored is None or stored.enabled) if on is None else on,
            parameters=(stored.parameters if stored else {}) | _parameters(given or []),
            actor=actor,
            now=utc_now(),
        )
        row = next(row for row in _rules(session, model) if row.kind.key == kind)
        show(_rule(row), as_json)


def _parameters(given: list[str]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for one in given:
        key, equals, value = one.partition("=")
        try:
            values[key.strip()] = None if value.strip() in {LEARNED, DEFAULT} else float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise InvalidInput(f"{one!r} is no parameter. Write it as hours=12, hours=default or hours=learned.")
    return values


def _rules(session: Session, model: str | None) -> list[RuleRow]:
    from core.database import utc_now
    from core.monitoring.rule_queries import rules_of_installation, rules_of_monitor

    monitor_id = _monitor_id(session, model)
    return (
        rules_of_installation(session, utc_now())
        if monitor_id is None
        else rules_of_monitor(session, monitor_id, utc_now())
    )


def _monitor_id(session: Session, model: str | None) -> int | None:
    from core.cli.watching import champion_monitor

    return None if model is None else champion_monitor(session, model)


def _rule(row: RuleRow) -> dict[str, object]:
    return {
        "rule": row.kind.key,
        "title": row.kind.title,
        "family": row.kind.family.value,
        "wakes": row.kind.wakes,
        "on": row.enabled,
        "parameters": [f"{key}={LEARNED if value is None else f'{value:g}'}" for key, value in row.parameters.items()],
        "outlook": row.finding.outlook.value if row.finding else None,
        "says": row.finding.sentence if row.finding else "It is switched off.",
    }
