"""Commands that run Gatehouse: everything at once, or one process.

The supervisor starts ``python -m core.cli.processes ROLE``, so that a worker's fork server, which imports its main
module again in every child, meets a small one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.context import Home, literal, settings_for
from core.errors import InvalidInput, LifecycleError
from core.jobs.parts import PARTS

if TYPE_CHECKING:
    from core.settings import Settings

DEMO_HOME = Path("data/demo")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
WEBSOCKET_MESSAGE_BYTES = 200 << 20
CLOSE_WITHIN_S = 3
PREPARE = "prepare"

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option("--port", help="Port of the pages.", show_default="8501")]
ScoringPort = Annotated[int | None, typer.Option("--scoring-port", help="Port of scoring.", show_default="8502")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(web)
    app.command()(scoring)
    app.command()(worker)


def up(
    home: Home = None,
    demo: Annotated[bool, typer.Option("--demo", help="A whole story in a home of its own.")] = False,
    host: Host = None,
    port: Port = None,
    scoring_port: ScoringPort = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
) -> None:
    """Run everything: pages, scoring and a worker."""
    from core.cli.running import run_everything

    given = {"host": host, "port": port, "scoring_port": scoring_port, "demo": demo or None}
    in_demo_home = demo and home is None and "GATEHOUSE_HOME" not in os.environ
    settings = settings_for(DEMO_HOME if in_demo_home else home, **given)
    check_demo(settings)
    raise typer.Exit(run_everything(settings, open_browser=open_browser))


def web(home: Home = None, host: Host = None, port: Port = None) -> None:
    """Run the pages and the REST API alone."""
    _become("web", settings_for(home, host=host, port=port))


def scoring(
    home: Home = None,
    host: Host = None,
    scoring_port: Annotated[int | None, typer.Option("--port", help="Port.", show_default="8502")] = None,
    environment: Annotated[str, typer.Option("--environment", help="Deployment environment.")] = "production",
) -> None:
    """Run scoring alone."""
    _become("scoring", settings_for(home, host=host, scoring_port=scoring_port), "--environment", environment)


def worker(home: Home = None) -> None:
    """Run a worker alone."""
    _become("worker", settings_for(home))


def command_of(role: str, *arguments: str) -> tuple[str, ...]:
    """The command line of one process."""
    return (sys.executable, "-m", "core.cli.processes", role, *arguments)


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that give another process these settings."""
    return {
        f"GATEHOUSE_{name.upper()}": str(int(value) if isinstance(value, bool) else value)
        for name, value in settings.model_dump().items()
    } | {"GATEHOUSE_HOME": str(settings.resolved_home)}


def check_demo(settings: Settings) -> None:
    """Refuse to show a demo workspace, whose roles are one click away, to anybody but this machine.

    Raises
    ------
    InvalidInput
    """
    if settings.demo and settings.host not in LOOPBACK:
        raise InvalidInput(
            f"The demo lets anybody act as anybody, so it listens on 127.0.0.1 only, not on {settings.host}. "
            "Leave out --host, or leave out --demo."
        )


def _become(role: str, settings: Settings, *arguments: str) -> None:
    check_demo(settings)
    command = command_of(role, *arguments)
    os.execve(command[0], command, {**os.environ, **environment_of(settings)})  # noqa: S606 - our own command line


def _serve(application: Callable[..., object], host: str, port: int) -> None:
    import logging

    import uvicorn

    # Streamlit gives uvicorn's loggers its own level; a filter stays.
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addFilter(lambda line: line.levelno >= logging.WARNING)
    uvicorn.run(
        application,
        host=host,
        port=port,
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
        timeout_graceful_shutdown=CLOSE_WITHIN_S,
        log_level="warning",
        access_log=False,
        server_header=False,
    )


def _run(role: str, settings: Settings, environment: str) -> None:
    from core.migrations import migrate

    check_demo(settings)
    settings.resolved_home.mkdir(parents=True, exist_ok=True)
    # Migrated here, so that a refusal is one sentence, not a server that cannot start; after the imports of what
    # serves, so that these go on while another process migrates.
    if role == "web":
        application = import_module("dashboard.app").app  # by name: nothing in core imports the dashboard
        migrate(settings)
        _serve(application, settings.host, settings.port)
    elif role == "scoring":
        from core.automation.watching import look_after_others
        from core.serving.app import create_app

        migrate(settings)
        _serve(create_app(settings, environment, watch=look_after_others), settings.host, settings.scoring_port)
    elif role == "worker":
        from core.automation.worker import run_worker

        migrate(settings)
        run_worker(settings)
    else:
        migrate(settings)
        from core.cli.preparing import prepare

        prepare(settings)


def main(arguments: list[str] | None = None) -> None:
    """Run one process; its settings come from the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=[*PARTS, PREPARE])
    parser.add_argument("--environment", default="production")
    parser.add_argument("--leash", type=int)
    chosen = parser.parse_args(arguments)
    if chosen.leash is not None:
        from core.cli import leash

        leash.follow(chosen.leash)
    try:
        _run(chosen.role, settings_for(None), chosen.environment)
    except LifecycleError as refusal:
        typer.echo(literal(str(refusal)), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
