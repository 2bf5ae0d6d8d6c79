"""Commands on how a monitor cuts and decides, and on two of its windows."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show

Model = Annotated[str, typer.Argument(metavar="M", help="A registered model.")]
WindowId = Annotated[int, typer.Argument(metavar="WINDOW", help="The id of a window, from monitor show.")]


def set_monitor(
    model: Model,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="window=week, false_alerts=0.5, ...")],
    only_try: Annotated[bool, typer.Option("--try", help="Say what it would have alerted on; save nothing.")] = False,
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Change how a model is monitored, or try a change on the past."""
    from core.cli.waiting import finish
    from core.cli.watching import champion_monitor
    from core.database import utc_now
    from core.monitoring import queries, service
    from core.monitoring.monitor_settings import settings_of

    changes: dict[str, Any] = dict(map(_setting, settings))
    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            monitor_id = champion_monitor(session, model)
            act = service.request_preview if only_try else service.edit_monitor
            made = act(session, monitor_id=monitor_id, actor=actor, now=utc_now(), **changes)
            job_id = made.id if only_try else None
        if only_try:
            result = finish(workspace, job_id).result or {}
            show(result, as_json, result.get("sentence", ""))
            return
        with workspace.read() as session:
            kept = settings_of(queries.monitor(session, monitor_id)).to_json()
        show({"id": monitor_id, **kept}, as_json)


def compare_windows(
    first: WindowId,
    second: WindowId,
    part: Annotated[str, typer.Option("--slice", metavar="COLUMN=VALUE", help="Only these rows.")] = "",
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Say which columns moved from one window of a model to another."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.monitoring import service

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            job_id = service.request_window_comparison(
                session, first_id=first, second_id=second, part=part, actor=actor, now=utc_now()
            ).id
        result = finish(workspace, job_id).result or {}
    rows = [
        {name: one[name] for name in ("feature", "test", "effect", "pvalue_corrected", "state")}
        for one in result["features"]
    ]
    show(result if as_json else rows, as_json)


def _setting(text: str) -> tuple[str, Any]:
    """A key and its value: JSON where it is some, else the text itself."""
    from core.errors import InvalidInput
    from core.monitoring.monitor_settings import Changes

    key, given, value = text.partition("=")
    if not given or key not in Changes.__annotations__:
        raise InvalidInput(
            f"{text!r} is no setting. Write KEY=VALUE with one of: {', '.join(Changes.__annotations__)}."
        )
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
