"""The ``gatehouse`` command. Exit code 0: done; 1: refused or failed, with the reason on stderr; 2: wrong usage."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from core.errors import LifecycleError

# In the order `gatehouse --help` lists them.
MODULES = (
    "core.cli.processes",
    "core.cli.data",
    "core.cli.runs",
    "core.cli.models",
    "core.cli.behaviour",
    "core.cli.watching",
    "core.cli.health",
    "core.cli.incidents",
    "core.cli.auditing",
    "core.cli.people",
    "core.cli.storage",
)

app = typer.Typer(
    help="Oversight of machine-learning models through their whole life.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for name in MODULES:
    if find_spec(name) is not None:
        import_module(name).register(app)


def run() -> None:
    """Run one command and leave with its exit code."""
    from core.cli.context import literal

    try:
        app()
    except LifecycleError as refusal:
        typer.echo(literal(str(refusal)), err=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
