"""Commands that back a home up and bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, settings_for, show


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    home: Home = None,
    as_json: AsJson = False,
    as_name: ActAs = None,
) -> None:
    """Write the database and every stored file into one tar file, while everything goes on."""
    from core.backup import make_backup
    from core.database import utc_now

    with acting(home, as_name) as (workspace, actor):
        made = make_backup(workspace, file, actor=actor, now=utc_now())
    show(made, as_json, f"Backed up the database and {made.n_files:,} stored files into {made.file}.")


def restore(
    file: Annotated[Path, typer.Argument(help="A tar file written by `gatehouse backup`.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty home."""
    from core.backup import restore_backup

    settings = settings_for(home)
    restored = restore_backup(settings, file)
    show(restored, as_json, f"Restored the database and {restored.n_files:,} stored files into {settings.home}.")
